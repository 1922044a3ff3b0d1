//! What was seen of each history of heads: the order of revisions, learned from steps.
//!
//! Revision ids tell no order and the files may not be at hand. A revision that comes is a child of
//! those that it replaces; going back from it to revisions that were left is then known as a step
//! down. The lines are a journal: one JSON object each, with a checksum over its text.
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::{
    answer::unhex,
    order::{self, Graph, Step},
    question::HistoryKey,
    verdict::Observation,
    version::{Decimal, Version},
};

/// The most histories that are remembered.
pub const HISTORIES_MAX: usize = 10_000;
/// The most revisions and numbers that are remembered, over all histories.
pub const NODES_MAX: usize = 200_000;

/// Which history, over all databases: `host:port/database`, schema, table and scope.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Place {
    origin: String,
    schema: Box<[u8]>,
    table: Box<[u8]>,
    scope: Box<[u8]>,
}

impl Place {
    /// Of a history and one of its scopes.
    #[must_use]
    pub fn new(origin: &str, key: &HistoryKey, scope: &[u8]) -> Self {
        Self {
            origin: origin.to_owned(),
            schema: key.schema.clone(),
            table: key.table.clone(),
            scope: scope.into(),
        }
    }
}

/// What is remembered of one history.
#[derive(Clone, Default, Debug)]
struct Memory {
    graph: Graph,
    /// The unfinished number that was last seen, and the number that was sure before it.
    floor: Option<(Decimal, Option<Decimal>)>,
}

#[derive(Clone, Default, Debug)]
struct State {
    memories: BTreeMap<Place, Memory>,
    nodes: usize,
}

/// What was seen, shared by all sessions.
#[derive(Default, Debug)]
pub struct Observed(Mutex<State>);

/// What a line says. Names and versions are hexadecimal: they are bytes of any encoding.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Seen {
    origin: String,
    schema: String,
    table: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    scope: String,
    /// Revisions that stayed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    kept: Vec<String>,
    /// Revisions that left: the parents of those that came.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    gone: Vec<String>,
    /// Revisions that came.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    came: Vec<String>,
    /// Parents of those that came, which have lines of their own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    parents: Vec<String>,
    /// A number whose step is unfinished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dirty: Option<String>,
    /// What was sure before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    floor: Option<String>,
}

/// What reading the lines of a file led to.
#[derive(Debug)]
pub struct Loaded {
    /// What they say.
    pub observed: Observed,
    /// Up to here the file is good; a torn last line follows, which the shell should cut off.
    pub good_len: usize,
}

/// A line that is broken, though others follow it: not a torn write but a damaged file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("line {line} is damaged")]
pub struct BrokenLine {
    /// Which, from 1.
    pub line: usize,
}

const HEAD: &str = "{\"sum\":\"";
const MIDDLE: &str = "\",\"seen\":";

/// FNV-1a of 64 bits: it finds torn and damaged lines; it is no defence against a forger.
fn checksum(text: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, step)
}

fn encode(seen: &Seen) -> Observation {
    let text = serde_json::to_string(seen).unwrap_or_default();
    let line = format!("{HEAD}{:016x}{MIDDLE}{text}}}", checksum(&text));
    Observation { line }
}

fn decode(line: &str) -> Option<Seen> {
    let (sum, rest) = line.strip_prefix(HEAD)?.split_once(MIDDLE)?;
    let text = rest.strip_suffix('}')?;
    if sum != format!("{:016x}", checksum(text)) {
        return None;
    }
    serde_json::from_str(text).ok()
}

fn hex(bytes: &[u8]) -> String {
    let mut digits = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(digits, "{byte:02x}");
    }
    digits
}

fn hexes<'a>(versions: impl Iterator<Item = &'a Version>) -> Vec<String> {
    versions.map(|version| hex(version)).collect()
}

fn unhexes(versions: &[String]) -> Option<Vec<Version>> {
    versions.iter().map(|v| unhex(v.as_bytes())).collect()
}

fn seen_at(place: &Place) -> Seen {
    Seen {
        origin: place.origin.clone(),
        schema: hex(&place.schema),
        table: hex(&place.table),
        scope: hex(&place.scope),
        kept: Vec::new(),
        gone: Vec::new(),
        came: Vec::new(),
        parents: Vec::new(),
        dirty: None,
        floor: None,
    }
}

impl State {
    /// The memory of a place, unless a limit is reached.
    fn memory(&mut self, place: Place, more_nodes: usize) -> Option<&mut Memory> {
        let room = self.memories.len() < HISTORIES_MAX || self.memories.contains_key(&place);
        if !room || self.nodes.saturating_add(more_nodes) > NODES_MAX {
            return None;
        }
        self.nodes += more_nodes;
        Some(self.memories.entry(place).or_default())
    }

    /// Does what a line says. None if it is not one of ours, or does not fit.
    fn apply(&mut self, seen: &Seen) -> Option<()> {
        let place = Place {
            origin: seen.origin.clone(),
            schema: unhex(seen.schema.as_bytes())?,
            table: unhex(seen.table.as_bytes())?,
            scope: unhex(seen.scope.as_bytes())?,
        };
        if let Some(dirty) = &seen.dirty {
            let dirty = Decimal::parse(dirty.as_bytes())?;
            let floor = match &seen.floor {
                Some(floor) => Some(Decimal::parse(floor.as_bytes())?),
                None => None,
            };
            self.memory(place, 0)?.floor = Some((dirty, floor));
            return Some(());
        }
        let gone = unhexes(&seen.gone)?;
        let known = unhexes(&seen.kept)?.into_iter().chain(gone.iter().cloned());
        let known = known.map(|version| (version, Vec::new()));
        let mut parents = unhexes(&seen.parents)?;
        parents.extend(gone.iter().cloned());
        let came = unhexes(&seen.came)?
            .into_iter()
            .map(|v| (v, parents.clone()));
        let graph = self.memories.get(&place).map(|memory| &memory.graph);
        let new: Vec<_> = known
            .chain(came)
            .filter(|(version, _)| !graph.is_some_and(|graph| graph.contains(version)))
            .collect();
        let memory = self.memory(place, new.len())?;
        for (version, parents) in new {
            memory.graph.insert(version, parents).ok()?;
        }
        Some(())
    }
}

impl Observed {
    /// What the lines of a journal say.
    ///
    /// # Errors
    /// [`BrokenLine`] for one that is not the last.
    pub fn load(file: &[u8]) -> Result<Loaded, BrokenLine> {
        let mut state = State::default();
        let mut good_len: usize = 0;
        for (bytes, line) in file.split_inclusive(|&b| b == b'\n').zip(1..) {
            let end = good_len.saturating_add(bytes.len());
            let text = bytes
                .strip_suffix(b"\n")
                .and_then(|t| std::str::from_utf8(t).ok());
            match text.and_then(decode) {
                // Beyond a limit, what was seen is forgotten: then a step is unknown, not wrong.
                Some(seen) => drop(state.apply(&seen)),
                None if end == file.len() => break,
                None => return Err(BrokenLine { line }),
            }
            good_len = end;
        }
        let observed = Self(Mutex::new(state));
        Ok(Loaded { observed, good_len })
    }

    /// The fewest lines that say the same.
    #[must_use]
    pub fn compacted(&self) -> Vec<String> {
        let state = self.state();
        let mut lines = Vec::new();
        for (place, memory) in &state.memories {
            for (version, parents) in memory.graph.iter() {
                lines.push(encode(&Seen {
                    came: vec![hex(version)],
                    parents: hexes(parents.iter()),
                    ..seen_at(place)
                }));
            }
            if let Some((dirty, floor)) = &memory.floor {
                lines.push(encode(&Seen {
                    dirty: Some(dirty.to_string()),
                    floor: floor.as_ref().map(ToString::to_string),
                    ..seen_at(place)
                }));
            }
        }
        lines
            .into_iter()
            .map(|observation| observation.line)
            .collect()
    }

    /// How a step of heads goes, by what was seen and, if there are any, the files.
    #[must_use]
    pub fn step(
        &self,
        place: &Place,
        files: Option<&Graph>,
        (before, after): (&BTreeSet<Version>, &BTreeSet<Version>),
    ) -> Step {
        let state = self.state();
        let seen = state.memories.get(place).map(|memory| &memory.graph);
        let graphs: Vec<&Graph> = seen.into_iter().chain(files).collect();
        order::step(&graphs, before, after)
    }

    /// Remembers a step of heads; what should be made durable, if it says anything new.
    pub fn learn(
        &self,
        place: &Place,
        (before, after): (&BTreeSet<Version>, &BTreeSet<Version>),
    ) -> Option<Observation> {
        let mut state = self.state();
        let graph = state.memories.get(place).map(|memory| &memory.graph);
        let mut both = before.union(after);
        if both.all(|version| graph.is_some_and(|graph| graph.contains(version))) {
            return None;
        }
        let seen = Seen {
            kept: hexes(before.intersection(after)),
            gone: hexes(before.difference(after)),
            came: hexes(after.difference(before)),
            ..seen_at(place)
        };
        state.apply(&seen).map(|()| encode(&seen))
    }

    /// The number that was sure before the unfinished step to `dirty`, if that step was seen.
    #[must_use]
    pub fn floor(&self, place: &Place, dirty: &Decimal) -> Option<Option<Decimal>> {
        let state = self.state();
        let (seen, floor) = state.memories.get(place)?.floor.as_ref()?;
        (seen == dirty).then(|| floor.clone())
    }

    /// Remembers what was sure before the unfinished step to `dirty`.
    pub fn learn_floor(
        &self,
        place: &Place,
        dirty: &Decimal,
        floor: Option<&Decimal>,
    ) -> Option<Observation> {
        let seen = Seen {
            dirty: Some(dirty.to_string()),
            floor: floor.map(ToString::to_string),
            ..seen_at(place)
        };
        self.state().apply(&seen).map(|()| encode(&seen))
    }

    /// A panic of another thread leaves at worst a step that is not remembered.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[path = "observed_tests.rs"]
mod tests;
