//! Prepared statements and portals that matter: those that may concern a guarded table, and those
//! that move the transaction. All others are not remembered.

use super::script::is_control;
use pgpawl_policy::{guard::GuardSet, hold::Manner, setting::Setting, statement::Kind};
use std::{collections::HashMap, sync::Arc};

/// PostgreSQL keeps this much of a name (`NAMEDATALEN` less its NUL).
const NAME_LEN_MAX: usize = 63;

/// What executing a statement or portal means for the guard.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Class {
    /// The guards that it may concern.
    pub(super) guards: GuardSet,
    /// What it does to the transaction.
    pub(super) kind: Kind,
    /// The start of its text, for events, where it concerns a guard.
    pub(super) text: Option<Arc<[u8]>>,
    /// It may copy rows from the client.
    pub(super) copies: bool,
    /// It controls the transaction, has a name, and its text is kept here instead of at the server.
    pub(super) kept_back: bool,
    /// What it means for a hold.
    pub(super) manner: Manner,
    /// What it sets.
    pub(super) setting: Option<Box<Setting>>,
}

impl Class {
    pub(super) const PLAIN: Self = Self {
        guards: GuardSet::EMPTY,
        kind: Kind::Other,
        text: None,
        copies: false,
        kept_back: false,
        manner: Manner::NOTHING,
        setting: None,
    };

    /// The server never had its text: pgpawl sends it when it is executed.
    pub(super) fn is_kept_back(&self) -> bool {
        self.kept_back
    }

    /// Nothing that the guard must know when it is executed.
    pub(super) fn is_plain(&self) -> bool {
        self.guards.is_empty()
            && self.kind == Kind::Other
            && !self.copies
            && self.text.is_none()
            && self.manner == Manner::NOTHING
            && self.setting.is_none()
    }
}

/// A change to a table of names, which counts when the server has confirmed it.
#[derive(Debug)]
pub(super) struct Change {
    key: Box<[u8]>,
    class: Class,
    of: Of,
}

/// Which of the two tables.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Of {
    Statements,
    Portals,
}

impl Change {
    pub(super) fn is_of_statement(&self) -> bool {
        self.of == Of::Statements
    }
}

#[derive(Debug)]
struct Record {
    /// The guards of every SQL-level PREPARE of this name: whether one succeeded is not followed.
    prepared: GuardSet,
    /// As the server has confirmed.
    known: Class,
    /// Changes sent and not yet answered.
    pending: usize,
    /// The last of them, and the batch it was sent in.
    latest: Class,
    batch: u64,
}

/// Names of one kind: statements or portals.
#[derive(Debug)]
pub(super) struct Table {
    of: Of,
    records: HashMap<Box<[u8]>, Record>,
}

/// What a name stands for.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Lookup {
    /// This.
    Is(Class),
    /// It depends on answers that are still owed: ask again when none is.
    Ambiguous,
}

/// Two names with the same first 63 bytes are the same to the server.
fn key(name: &[u8]) -> &[u8] {
    name.get(..NAME_LEN_MAX).unwrap_or(name)
}

impl Table {
    pub(super) fn new(of: Of) -> Self {
        Self {
            of,
            records: HashMap::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether a name can be told apart whatever `client_encoding` does to it.
    pub(super) fn is_exact(name: &[u8]) -> bool {
        key(name).is_ascii()
    }

    /// What `name` stands for in a message that is sent in `batch` (a batch ends at Sync: within one,
    /// a later message is only executed when all earlier ones succeeded).
    pub(super) fn lookup(&self, name: &[u8], batch: u64) -> Lookup {
        let Some(record) = self.records.get(key(name)) else {
            return Lookup::Is(Class::PLAIN);
        };
        let class = match record.pending {
            0 => &record.known,
            _ if record.batch == batch => &record.latest,
            _ => return Lookup::Ambiguous,
        };
        Lookup::Is(Class {
            guards: class.guards.union(record.prepared),
            ..class.clone()
        })
    }

    /// A message that gives `name` a new meaning is sent. Only what must be remembered makes a change.
    pub(super) fn send(&mut self, name: &[u8], class: Class, batch: u64) -> Option<Box<Change>> {
        let key = key(name);
        if class.is_plain() && !self.records.contains_key(key) {
            return None;
        }
        let record = self.records.entry(key.into()).or_insert_with(|| Record {
            prepared: GuardSet::EMPTY,
            known: Class::PLAIN,
            pending: 0,
            latest: Class::PLAIN,
            batch,
        });
        record.pending += 1;
        record.latest = class.clone();
        record.batch = batch;
        Some(Box::new(Change {
            key: key.into(),
            class,
            of: self.of,
        }))
    }

    /// The server confirmed it.
    pub(super) fn done(&mut self, change: Change) {
        let Change { key, class, .. } = change;
        if let Some(record) = self.records.get_mut(&key) {
            record.known = class;
            Self::settle(record);
            self.forget_plain(&key);
        }
    }

    /// The server failed it, or skipped it.
    pub(super) fn failed(&mut self, change: &Change) {
        if let Some(record) = self.records.get_mut(&change.key) {
            Self::settle(record);
            self.forget_plain(&change.key);
        }
    }

    fn settle(record: &mut Record) {
        record.pending = record.pending.saturating_sub(1);
    }

    fn forget_plain(&mut self, key: &[u8]) {
        if self
            .records
            .get(key)
            .is_some_and(|r| r.pending == 0 && r.known.is_plain() && r.prepared.is_empty())
        {
            self.records.remove(key);
        }
    }

    /// A PREPARE was sent, whose success is not followed: the name may stand for this from now on.
    pub(super) fn add(&mut self, name: &[u8], guards: GuardSet) {
        if guards.is_empty() {
            return;
        }
        let record = self
            .records
            .entry(key(name).into())
            .or_insert_with(|| Record {
                prepared: GuardSet::EMPTY,
                known: Class::PLAIN,
                pending: 0,
                latest: Class::PLAIN,
                batch: 0,
            });
        record.prepared = record.prepared.union(guards);
    }

    /// What any name may be: all guards, and a control statement if there is one.
    pub(super) fn any(&self) -> Class {
        let classes = self.records.values().flat_map(|r| [&r.known, &r.latest]);
        let kind = classes
            .map(|class| &class.kind)
            .find(|kind| is_control(kind));
        let kind = kind.cloned().unwrap_or(Kind::Other);
        Class {
            guards: self.guards(),
            kind,
            ..Class::PLAIN
        }
    }

    /// All guards that any name may concern.
    pub(super) fn guards(&self) -> GuardSet {
        self.records.values().fold(GuardSet::EMPTY, |all, r| {
            all.union(r.known.guards)
                .union(r.latest.guards)
                .union(r.prepared)
        })
    }

    /// The transaction ended: its portals are gone.
    pub(super) fn clear(&mut self) {
        self.records.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit() -> Class {
        Class {
            guards: GuardSet::EMPTY,
            kind: Kind::Commit { chain: false },
            ..Class::PLAIN
        }
    }

    #[test]
    fn a_skipped_parse_does_not_clear_a_name() {
        let mut table = Table::new(Of::Statements);
        let first = table.send(b"s", commit(), 1).unwrap();
        table.done(*first);
        let second = table.send(b"s", Class::PLAIN, 2).unwrap();
        assert_eq!(table.lookup(b"s", 2), Lookup::Is(Class::PLAIN));
        assert_eq!(table.lookup(b"s", 3), Lookup::Ambiguous);
        table.failed(&second);
        assert_eq!(table.lookup(b"s", 3), Lookup::Is(commit()));
    }

    #[test]
    fn names_are_the_same_when_their_first_63_bytes_are() {
        let mut table = Table::new(Of::Statements);
        let long = [b'a'; 64];
        let change = table.send(&long, commit(), 1).unwrap();
        table.done(*change);
        assert_eq!(table.lookup(&[b'a'; 70], 9), Lookup::Is(commit()));
        assert_eq!(table.lookup(&[b'a'; 62], 9), Lookup::Is(Class::PLAIN));
    }

    #[test]
    fn a_close_that_is_under_way_does_not_forget_what_is_prepared_behind_it() {
        let mut guards = GuardSet::EMPTY;
        guards.insert(pgpawl_policy::Guards::builtin().iter().next().unwrap().0);
        let mut table = Table::new(Of::Statements);
        let parsed = table
            .send(
                b"s",
                Class {
                    guards,
                    ..Class::PLAIN
                },
                1,
            )
            .unwrap();
        table.done(*parsed);
        let closed = table.send(b"s", Class::PLAIN, 2).unwrap();
        table.add(b"s", guards);
        table.done(*closed);
        assert_eq!(
            table.lookup(b"s", 3),
            Lookup::Is(Class {
                guards,
                ..Class::PLAIN
            })
        );
    }

    #[test]
    fn plain_names_are_not_remembered() {
        let mut table = Table::new(Of::Statements);
        assert!(table.send(b"s", Class::PLAIN, 1).is_none());
        let change = table.send(b"s", commit(), 1).unwrap();
        table.done(*change);
        let change = table.send(b"s", Class::PLAIN, 1).unwrap();
        table.done(*change);
        assert!(table.is_empty());
    }
}
