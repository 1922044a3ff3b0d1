//! What a question found: the histories of guarded tables, and what the transaction did to them.
use std::collections::{BTreeMap, BTreeSet};

use crate::answer::number;
use crate::guard::{GuardId, GuardSet};
use crate::version::VersionSet;

/// Which version history: a guard's table in one schema. Names are bytes in the database's encoding.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct HistoryKey {
    /// The guard.
    pub guard: GuardId,
    /// The schema.
    pub schema: Box<[u8]>,
    /// The table.
    pub table: Box<[u8]>,
}

/// What tells whether the running transaction touched a table, without reading it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trace {
    /// The table's oid.
    pub oid: Box<[u8]>,
    /// Its file: TRUNCATE and rewrites change it.
    pub filenode: Box<[u8]>,
    /// Rows inserted, and rows updated and deleted, by the transaction, or by earlier ones of the session
    /// that have not been flushed. Unless all are 0 the transaction's start is part of it: between two
    /// transactions a flush could make room for as many new changes.
    pub counters: Box<[u8]>,
    /// The row versions in `pg_class` and `pg_attribute`: DDL changes them.
    pub xmin: Box<[u8]>,
}

impl Trace {
    /// The rows inserted, and the rows updated and deleted.
    pub(crate) fn rows(&self) -> [&[u8]; 2] {
        let mut parts = self.counters.split(|byte| matches!(byte, b'/' | b'@'));
        [(); 2].map(|()| parts.next().unwrap_or(b"0"))
    }
}

/// What the running transaction surely did not do to a table, where a flag is not set. The counters
/// behind them can hold earlier transactions of the session: a flag that is set means a look.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Touch {
    /// It inserted rows.
    pub inserted: bool,
    /// It updated or deleted rows.
    pub removed: bool,
    /// It changed what the table is: its rows in the catalogs.
    pub altered: bool,
    /// It changed the table's row in `pg_class`, which may be no more than a GRANT.
    pub class: bool,
    /// The table has, or had, children, whose rows count as its own.
    pub children: bool,
}

impl Touch {
    /// Nothing was done.
    #[must_use]
    pub const fn is_none(self) -> bool {
        !self.inserted && !self.removed && !self.altered && !self.class
    }
    /// Rows were added, and nothing else was done.
    #[must_use]
    pub const fn only_inserts(self) -> bool {
        !self.removed && !self.altered && !self.class
    }
}

/// One history as the server has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct History {
    /// Whether it was touched.
    pub trace: Trace,
    /// By what.
    pub touch: Touch,
    /// The applied versions, or why they could not be read, as a stable word.
    pub reading: Result<VersionSet, &'static str>,
}

impl History {
    /// The table's oid.
    pub(crate) fn oid(&self) -> Option<u32> {
        number(Some(&self.trace.oid))
    }

    /// What of the set is in that of `later`, if both are sets of one table.
    pub(crate) fn within(&self, later: &Self) -> Option<Self> {
        let (reading, later_reading) = (self.reading.as_ref().ok()?, later.reading.as_ref().ok()?);
        let reading = reading.within(later_reading)?;
        (self.trace.oid == later.trace.oid).then(|| Self {
            reading: Ok(reading),
            ..self.clone()
        })
    }
}

/// Why a table was not read that goes with the session, as a stable word.
pub(crate) const TEMPORARY: &str = "temporary";

/// The histories that one question found.
#[derive(Clone, Default, Debug)]
pub struct Snapshot {
    pub(crate) asked: GuardSet,
    pub(crate) histories: BTreeMap<HistoryKey, History>,
}

impl Snapshot {
    /// Nothing was found of what was asked for.
    #[must_use]
    pub fn of(asked: GuardSet) -> Self {
        Self {
            asked,
            ..Self::default()
        }
    }

    /// Adds what another question found; where both asked for a guard, `self` keeps its own.
    pub fn merge(&mut self, other: Self) {
        let mine = self.asked;
        let new = other.histories.into_iter();
        self.histories
            .extend(new.filter(|(key, _)| !mine.contains(key.guard)));
        self.asked = self.asked.union(other.asked);
    }
    /// Adds those of `keys` that `other` has read; `self` keeps its own.
    pub fn add(&mut self, other: &Self, keys: &BTreeSet<HistoryKey>) {
        for (key, history) in &other.histories {
            if keys.contains(key) && history.reading.is_ok() {
                (self.histories.entry(key.clone())).or_insert_with(|| history.clone());
            }
        }
    }
    /// The histories of tables of these oids.
    #[must_use]
    pub fn of_oids(&self, oids: &BTreeSet<u32>) -> BTreeSet<HistoryKey> {
        let is_one = |history: &History| history.oid().is_some_and(|oid| oids.contains(&oid));
        let all = self.histories.iter().filter(|(_, history)| is_one(history));
        all.map(|(key, _)| key.clone()).collect()
    }
    /// The oids of those of `keys` that others can read: the transaction did not alter them.
    #[must_use]
    pub fn readable(&self, keys: &BTreeSet<HistoryKey>) -> Vec<u32> {
        let wanted = self.histories.iter().filter(|(key, _)| keys.contains(key));
        let readable = wanted.filter(|(_, history)| !history.touch.altered);
        readable.filter_map(|(_, history)| history.oid()).collect()
    }
    /// Those of `oids` whose sets were not read.
    pub fn unread(&self, oids: &[u32]) -> impl Iterator<Item = u32> {
        let is_read = |history: &&History| history.reading.is_ok();
        let read: BTreeSet<u32> = (self.histories.values().filter(is_read))
            .filter_map(History::oid)
            .collect();
        oids.iter().copied().filter(move |oid| !read.contains(oid))
    }
    /// Only those that are `good`.
    pub fn keep(&mut self, good: impl Fn(&HistoryKey, &History) -> bool) {
        self.histories.retain(|key, history| good(key, history));
    }
    /// Which histories were found.
    #[must_use]
    pub fn keys(&self) -> BTreeSet<HistoryKey> {
        self.histories.keys().cloned().collect()
    }
    /// What of its sets is in those of `later`.
    #[must_use]
    pub fn within(&self, later: &Self) -> Self {
        let both = later.histories().filter_map(|(key, history)| {
            let within = self.histories.get(key)?.within(history)?;
            Some((key.clone(), within))
        });
        Self {
            asked: later.asked,
            histories: both.collect(),
        }
    }
    /// Whether it has the history.
    #[must_use]
    pub fn has(&self, key: &HistoryKey) -> bool {
        self.histories.contains_key(key)
    }
    /// The transaction surely changed no catalog: what looks altered is another's doing.
    #[must_use]
    pub fn unaltered(mut self) -> Self {
        for history in self.histories.values_mut() {
            history.touch.altered = false;
            history.touch.class = false;
        }
        self
    }
    /// What was found later, as far as it was read then.
    pub fn renew(&mut self, later: &Self) {
        let known = |key: &HistoryKey, history: &History| {
            let now = later.histories.get(key);
            !later.asked.contains(key.guard)
                || now.is_some_and(|now| now.trace.oid == history.trace.oid)
        };
        self.histories.retain(|key, history| known(key, history));
        let read = later
            .histories()
            .filter(|(_, history)| history.reading.is_ok());
        self.histories
            .extend(read.map(|(key, history)| (key.clone(), history.clone())));
        self.asked = self.asked.union(later.asked);
    }
    /// The same, where `before` was found earlier in the transaction: what its counters had then is an earlier
    /// transaction's, or was looked at.
    #[must_use]
    pub fn since(mut self, before: &Self) -> Self {
        for (key, history) in &mut self.histories {
            let Some(before) = before.histories.get(key) else {
                continue;
            };
            if before.trace.oid == history.trace.oid && !history.touch.children {
                let (now, then) = (history.trace.rows(), before.trace.rows());
                history.touch.inserted &= now[0] != then[0];
                history.touch.removed &= now[1] != then[1];
            }
        }
        self
    }
    /// The oids of the tables that were found.
    #[must_use]
    pub fn oids(&self) -> BTreeSet<u32> {
        self.histories.values().filter_map(History::oid).collect()
    }
    /// The guards whose tables were looked for.
    #[must_use]
    pub const fn asked(&self) -> GuardSet {
        self.asked
    }
    /// The guards of tables that the transaction made to depend on something temporary.
    #[must_use]
    pub fn temporary(&self) -> GuardSet {
        let temporary = |history: &History| history.reading == Err(TEMPORARY);
        let found = self.histories.iter().filter(|(_, h)| temporary(h));
        found.map(|(key, _)| key.guard).collect()
    }
    /// The guards whose tables were found.
    #[must_use]
    pub fn found(&self) -> GuardSet {
        self.histories.keys().map(|key| key.guard).collect()
    }
    /// The histories that were found.
    pub fn histories(&self) -> impl Iterator<Item = (&HistoryKey, &History)> {
        self.histories.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(counters: &str, touch: Touch) -> Snapshot {
        let key = HistoryKey {
            guard: GuardId(0),
            schema: Box::default(),
            table: Box::default(),
        };
        let trace = Trace {
            oid: b"1".as_slice().into(),
            filenode: Box::default(),
            counters: counters.as_bytes().into(),
            xmin: Box::default(),
        };
        let reading = Err(TEMPORARY);
        let history = History {
            trace,
            touch,
            reading,
        };
        Snapshot {
            asked: GuardSet::EMPTY,
            histories: [(key, history)].into(),
        }
    }

    #[test]
    fn counters_of_earlier_transactions_are_no_touch() {
        let both = Touch {
            inserted: true,
            removed: true,
            ..Touch::default()
        };
        for (then, now, inserted, removed) in [
            ("0", "1/0@00", true, false),
            ("0", "0/2@00", false, true),
            ("1/2@00", "1/2@00", false, false),
            ("1/2@00", "2/2@00", true, false),
            ("1/2@00", "1/3@00", false, true),
        ] {
            let since = found(now, both).since(&found(then, Touch::default()));
            let touch = since.histories.values().next().map(|history| history.touch);
            let touch = touch.map(|touch| (touch.inserted, touch.removed));
            assert_eq!(touch, Some((inserted, removed)), "{then} {now}");
        }
    }
}
