//! DROP DATABASE and ALTER DATABASE ... RENAME: they take the histories of another database away.
//!
//! No transaction shows what was in it, so before such a statement pgpawl looks there by a session of its
//! own: as `look_user`, or as the client's user where the server wants no password for it.

use super::{
    Seen,
    client::{Look, contains_word},
    gate::{Asking, At, Cause, Gate, Purpose},
    names::Class,
    ours::Protocol,
    ready::Ready,
    script::may_be_several,
};
use crate::wire::backend::Status;
use pgpawl_policy::{
    answer::number,
    facts,
    guard::GuardSet,
    hold::first_word,
    question::{History, Reads, Row},
    rule::Who,
    statement::statements,
    upkeep::taken_database,
    verdict::{Unverifiable, Verdict},
    version::VersionSet,
};
use std::collections::BTreeSet;

/// The most databases that a transaction may rename.
const RENAMED_MAX: usize = 16;

/// What was looked at, and may be taken away.
#[derive(Debug, Default)]
pub(super) struct Cleared {
    /// The text of the message that comes next.
    text: Option<Box<[u8]>>,
    /// Databases that this transaction may rename.
    databases: BTreeSet<u32>,
}

impl Cleared {
    /// The client was told of a transaction's end.
    pub(super) fn end(&mut self) {
        self.databases.clear();
    }

    /// Whether the tag of a CommandComplete must be known.
    pub(super) fn can_be_lost(&self) -> bool {
        !self.databases.is_empty()
    }

    /// A CommandComplete with `tag` came. After a ROLLBACK TO, what was renamed has its name again, and can
    /// get a history.
    pub(super) fn completed(&mut self, tag: &[u8]) {
        if tag.starts_with(b"ROLLBACK\0") {
            self.databases.clear();
        }
    }
}

/// A statement that takes a database away.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) protocol: Protocol,
    /// Empty: a name that cannot be told.
    database: String,
    text: Box<[u8]>,
}

impl Ready {
    /// A Query, Parse, Bind or Execute of what takes a database away is looked at first.
    pub(super) fn look_database(&mut self, text: &[u8], protocol: Protocol) -> Option<Look> {
        if !may_take(text) || !self.enforces() {
            return None;
        }
        if self.cleared.text.take().as_deref() == Some(text) {
            return None;
        }
        let list = statements(text, self.reported.lexical()).ok()?;
        let taken = |range| text.get(range).and_then(taken_database);
        let name = list.into_iter().find_map(|one| taken(one.range))?;
        Some(Look::Gate(Cause::Database(Taken {
            protocol,
            database: String::from_utf8_lossy(&name.0).into_owned(),
            text: text.into(),
        })))
    }

    /// The same, when a statement that was prepared is bound or executed: the database may have got a history.
    pub(super) fn look_taking(&mut self, class: &Class) -> Option<Look> {
        self.look_database(class.text.as_deref()?, Protocol::Extended)
    }

    /// The client is told that it is in no transaction.
    pub(super) fn ends_for_the_client(&mut self) {
        if self.transaction.status == Status::Idle && !self.is_held() {
            self.cleared.end();
        }
    }

    /// Nothing is owed: what is in the database that would go?
    pub(super) fn drained_database(&mut self, gate: Box<Gate>) {
        let Cause::Database(taken) = &gate.cause else {
            return;
        };
        let guards = &self.shared.guarding.guards;
        if taken.database.is_empty() {
            let all = guards.all();
            return self.found_in_database(gate, all, &Unverifiable::Database);
        }
        let question = guards.question(guards.all(), Reads::All);
        // The last row tells which database it is.
        let text = format!("{question}; SELECT {}", facts::DATABASE);
        let database = taken.database.clone();
        self.look_beside(gate, database, text, At::Database);
    }

    /// The answer of a session of pgpawl's own in that database. Where it saw nothing, what the sessions of
    /// this process have seen there is known, and nothing else can be told.
    pub(super) fn looked_in_database(&mut self, gate: Box<Gate>, seen: &Seen) {
        let Cause::Database(taken) = &gate.cause else {
            return;
        };
        let guards = &self.shared.guarding.guards;
        let all = guards.all();
        let rows = seen.rows().and_then(<[Row]>::split_last);
        let answer = rows.map(|(_, rows)| guards.answer(all, rows));
        let oid = rows.and_then(|(row, _)| oid(row));
        let full = |history: &History| !history.reading.as_ref().is_ok_and(VersionSet::is_empty);
        let (found, why) = match (answer, seen) {
            (Some(Ok(snapshot)), _) if oid.is_some() => {
                let full = snapshot.histories().filter(|(_, history)| full(history));
                (
                    full.map(|(key, _)| key.guard).collect(),
                    Unverifiable::Database,
                )
            }
            (_, Seen::NoDatabase) => (GuardSet::EMPTY, Unverifiable::Database),
            _ if self.covers => (all, Unverifiable::DatabaseUnseen),
            _ => {
                let known = self
                    .shared
                    .present
                    .tables(&taken.database)
                    .unwrap_or_default();
                let there = known.of_guards(all).map(|known| known.key.guard);
                (there.collect(), Unverifiable::Database)
            }
        };
        if let Some(oid) = oid.filter(|_| self.cleared.databases.len() < RENAMED_MAX) {
            self.cleared.databases.insert(oid);
        }
        self.found_in_database(gate, found, &why);
    }

    /// Whether a database was renamed into which nobody looked: by code, or by a second statement of a text.
    pub(super) fn renames_unseen(&self, asking: &Asking) -> bool {
        self.covers
            && self.enforces()
            && !asking.known.renamed.is_empty()
            && !asking.known.renamed.is_subset(&self.cleared.databases)
    }

    fn found_in_database(&mut self, gate: Box<Gate>, found: GuardSet, why: &Unverifiable) {
        let Cause::Database(taken) = &gate.cause else {
            return;
        };
        self.again = true;
        if !found.is_empty() {
            let who = Who {
                database: taken.database.clone(),
                ..self.who.clone()
            };
            let judgement = self.shared.guarding.unverifiable(&who, found, why);
            let purpose = Purpose::Inside;
            if let Verdict::Refuse(refusal) = self.told_at(purpose, judgement) {
                return self.refuse(gate, purpose, refusal);
            }
        }
        // It is looked at again, and passes.
        if let Cause::Database(taken) = gate.cause {
            self.cleared.text = Some(taken.text);
        }
    }
}

fn oid(row: &Row) -> Option<u32> {
    number(row.first()?.as_deref())
}

/// Whether a statement of `text` may begin with DROP DATABASE or ALTER DATABASE: nearly all begin otherwise.
pub(super) fn may_take(text: &[u8]) -> bool {
    let first = first_word(text);
    let takes = [&b"drop"[..], b"alter"]
        .iter()
        .any(|word| first.eq_ignore_ascii_case(word));
    (takes || may_be_several(text)) && contains_word(text, b"database")
}
