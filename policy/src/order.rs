//! The order of revisions that have parents: what a head stands for.
use std::collections::{BTreeSet, HashMap};

use crate::version::Version;

/// The most revisions in one graph.
pub const NODES_MAX: usize = 100_000;
/// The most parents of one revision.
pub const PARENTS_MAX: usize = 1_000;

/// Revisions and their parents.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Graph {
    parents: HashMap<Version, Vec<Version>>,
}

/// A graph has grown to [`NODES_MAX`] or [`PARENTS_MAX`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("more than {NODES_MAX} revisions, or {PARENTS_MAX} parents of one")]
pub struct Full;

impl Graph {
    /// Whether a revision is known.
    #[must_use]
    pub fn contains(&self, version: &[u8]) -> bool {
        self.parents.contains_key(version)
    }
    /// How many revisions.
    #[must_use]
    pub fn len(&self) -> usize {
        self.parents.len()
    }
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.parents.is_empty()
    }
    /// The parents of a revision.
    #[must_use]
    pub fn parents(&self, version: &[u8]) -> &[Version] {
        self.parents.get(version).map_or(&[], Vec::as_slice)
    }
    /// Each revision with its parents, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&Version, &[Version])> {
        self.parents.iter().map(|(v, p)| (v, p.as_slice()))
    }
    /// Adds a revision. What is known of a revision already is left as it is.
    ///
    /// # Errors
    /// [`Full`] at a limit.
    pub fn insert(&mut self, version: Version, parents: Vec<Version>) -> Result<(), Full> {
        if self.contains(&version) {
            return Ok(());
        }
        if self.len() >= NODES_MAX || parents.len() > PARENTS_MAX {
            return Err(Full);
        }
        self.parents.insert(version, parents);
        Ok(())
    }
}

/// How heads relate to the heads before, by the graphs that are known together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// All that was applied still is.
    Covers,
    /// Something is gone.
    Loses,
    /// A head is not known to any graph.
    Unknown,
}

/// Whether `after` and all its ancestors cover `before`: then they cover its ancestors too.
#[must_use]
pub fn step(graphs: &[&Graph], before: &BTreeSet<Version>, after: &BTreeSet<Version>) -> Step {
    let mut open: BTreeSet<&Version> = before.difference(after).collect();
    if open.is_empty() {
        return Step::Covers;
    }
    if after.is_empty() {
        return Step::Loses;
    }
    let mut seen: BTreeSet<&Version> = after.iter().collect();
    let mut waiting: Vec<&Version> = after.iter().collect();
    while let Some(version) = waiting.pop() {
        open.remove(version);
        if open.is_empty() {
            return Step::Covers;
        }
        let parents = graphs.iter().flat_map(|graph| graph.parents(version));
        waiting.extend(parents.filter(|parent| seen.insert(parent)));
    }
    let known = |version: &Version| graphs.iter().any(|graph| graph.contains(version));
    if after.iter().all(known) {
        Step::Loses
    } else {
        Step::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(words: &str) -> BTreeSet<Version> {
        words
            .split_whitespace()
            .map(|w| w.as_bytes().into())
            .collect()
    }

    /// `child<parent,parent`.
    fn graph(text: &str) -> Graph {
        let mut graph = Graph::default();
        for edge in text.split_whitespace() {
            let (child, parents) = edge.split_once('<').unwrap_or((edge, ""));
            let parents = parents.split(',').filter(|p| !p.is_empty());
            let parents = parents.map(|p| p.as_bytes().into()).collect();
            graph.insert(child.as_bytes().into(), parents).unwrap();
        }
        graph
    }

    #[test]
    fn steps() {
        let files = graph("r1 r2<r1 r4a<r2 r4b<r2 r5m<r4a,r4b x1 x2<x1,r5m");
        let table = "
            r1      -> r2      : Covers
            r2      -> r1      : Loses
            r4a r4b -> r5m     : Covers
            r5m     -> r4a r4b : Loses
            r4a     -> r4a r4b : Covers
            r4a r4b -> r4b     : Loses
            r5m x1  -> x2      : Covers
            x2      -> r5m x1  : Loses
            r2      -> new     : Unknown
            r2      -> r4a new : Covers
            r4a     -> r4b new : Unknown
            new     -> r2      : Loses
            new     -> new     : Covers
            r1      ->         : Loses
                    -> r1      : Covers";
        for line in table.lines().filter(|l| !l.trim().is_empty()) {
            let (heads, expected) = line.split_once(" :").unwrap();
            let (before, after) = heads.split_once("->").unwrap();
            let step = step(&[&files, &Graph::default()], &set(before), &set(after));
            assert_eq!(format!("{step:?}"), expected.trim(), "{line}");
        }
    }

    #[test]
    fn a_cycle_ends() {
        let graph = graph("a<b b<a c");
        assert_eq!(step(&[&graph], &set("c"), &set("a")), Step::Loses);
    }

    #[test]
    fn a_chain_of_any_length_is_walked() {
        let mut graph = Graph::default();
        for i in 0..NODES_MAX {
            let parent = i.checked_sub(1).map(|p| p.to_string().into_bytes().into());
            let node = i.to_string().into_bytes().into();
            graph.insert(node, parent.into_iter().collect()).unwrap();
        }
        assert_eq!(step(&[&graph], &set("0"), &set("99999")), Step::Covers);
        assert_eq!(graph.insert(b"x".as_slice().into(), vec![]), Err(Full));
    }
}
