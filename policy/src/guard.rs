//! A guard: one guarded table with its profile; sets of guards.
use std::sync::Arc;

use serde::Deserialize;

pub use crate::raw_guard::RawGuard;
use crate::{order::Graph, profile::Profile, screen::Screen};

/// Which guard, as an index into [`Guards`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct GuardId(pub(crate) u8);

/// The most guards that one configuration may have: [`GuardSet`] is one machine word pair.
pub const GUARDS_MAX: usize = 128;

/// A set of guards, cheap to copy.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct GuardSet(u128);

impl GuardSet {
    /// No guard.
    pub const EMPTY: Self = Self(0);
    /// Adds one.
    pub fn insert(&mut self, guard: GuardId) {
        self.0 |= 1 << guard.0;
    }
    /// Whether it has none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
    /// Whether `guard` is in it.
    #[must_use]
    pub const fn contains(self, guard: GuardId) -> bool {
        self.0 & (1 << guard.0) != 0
    }
    /// Those in either.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
    /// Those in `self` and not in `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
    /// How many.
    #[must_use]
    pub const fn len(self) -> u32 {
        self.0.count_ones()
    }
    /// Its guards, in order.
    pub fn iter(self) -> impl Iterator<Item = GuardId> {
        (0..128_u8).map(GuardId).filter(move |&g| self.contains(g))
    }
}

impl FromIterator<GuardId> for GuardSet {
    fn from_iter<I: IntoIterator<Item = GuardId>>(guards: I) -> Self {
        let mut set = Self::EMPTY;
        guards.into_iter().for_each(|guard| set.insert(guard));
        set
    }
}

/// What happens to a step whose direction is not known.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unknown {
    /// It passes, and is remembered.
    #[default]
    Pass,
    /// It is refused in enforce mode.
    Refuse,
}

/// One guarded table with its profile.
#[derive(Clone, Debug)]
pub struct Guard {
    /// How the table is read.
    pub profile: Arc<Profile>,
    /// The only schema that counts; any when none.
    pub schema: Option<String>,
    /// What happens to a step whose direction is not known.
    pub unknown: Unknown,
    /// The order of revisions, as far as files tell it.
    pub graph: Option<Arc<Graph>>,
}

impl Guard {
    /// Guards the table of `profile` in every schema.
    #[must_use]
    pub fn new(profile: Arc<Profile>) -> Self {
        Self {
            profile,
            schema: None,
            unknown: Unknown::Pass,
            graph: None,
        }
    }
    /// The tool's name.
    #[must_use]
    pub fn tool(&self) -> &str {
        &self.profile.tool
    }
    /// The table's name.
    #[must_use]
    pub fn table(&self) -> &str {
        &self.profile.table
    }
}

/// More guards than [`GUARDS_MAX`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("more than {GUARDS_MAX} guards")]
pub struct TooManyGuards;

/// All guards of a configuration.
#[derive(Clone, Default, Debug)]
pub struct Guards(Vec<Guard>);

impl Guards {
    /// # Errors
    /// [`TooManyGuards`] beyond [`GUARDS_MAX`].
    pub fn new(guards: Vec<Guard>) -> Result<Self, TooManyGuards> {
        if guards.len() > GUARDS_MAX {
            return Err(TooManyGuards);
        }
        Ok(Self(guards))
    }
    /// Every built-in profile, in every schema.
    #[must_use]
    pub fn builtin() -> Self {
        let profiles = crate::profile::builtin().iter().take(GUARDS_MAX);
        Self(profiles.map(|p| Guard::new(Arc::clone(p))).collect())
    }
    /// The set of all of them.
    #[must_use]
    pub fn all(&self) -> GuardSet {
        self.iter().map(|(id, _)| id).collect()
    }
    /// Each with its id.
    pub fn iter(&self) -> impl Iterator<Item = (GuardId, &Guard)> {
        (0..=u8::MAX).map(GuardId).zip(&self.0)
    }
    /// The names of the guarded tables, as [`Screen::new`](crate::screen::Screen::new) takes them.
    pub fn tables(&self) -> impl Iterator<Item = (GuardId, &str)> {
        self.iter().map(|(id, guard)| (id, guard.table()))
    }
    /// What looks for the tables that the tools keep beside the guarded ones.
    #[must_use]
    pub fn beside(&self) -> Screen {
        let names = |guard: GuardId, profile: &Profile| {
            let names = profile.beside.iter().cloned();
            names.map(move |name| (guard, name)).collect::<Vec<_>>()
        };
        let all: Vec<_> = self
            .iter()
            .flat_map(|(id, guard)| names(id, &guard.profile))
            .collect();
        Screen::new(all.iter().map(|(id, name)| (*id, name.as_str())))
    }
    /// Those of `set`.
    pub fn of(&self, set: GuardSet) -> impl Iterator<Item = (GuardId, &Guard)> {
        self.iter().filter(move |&(id, _)| set.contains(id))
    }
    /// The guard of an id.
    #[must_use]
    pub fn guard(&self, id: GuardId) -> Option<&Guard> {
        self.0.get(usize::from(id.0))
    }
    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile;

    #[test]
    fn a_set_of_guards() {
        let mut set = GuardSet::EMPTY;
        assert!(set.is_empty());
        for id in [0, 7, 127] {
            set.insert(GuardId(id));
        }
        assert_eq!((set.len(), set.iter().count()), (3, 3));
        assert!(set.contains(GuardId(127)) && !set.contains(GuardId(126)));
        let guards =
            Guards::new(vec![Guard::new(Arc::clone(&profile::builtin()[0])); 128]).unwrap();
        assert_eq!((guards.all().len(), guards.len()), (128, 128));
        assert!(guards.guard(GuardId(127)).is_some());
        let more = vec![Guard::new(Arc::clone(&profile::builtin()[0])); 129];
        assert_eq!(Guards::new(more).unwrap_err(), TooManyGuards);
    }
}
