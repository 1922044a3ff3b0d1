//! DROP DATABASE and ALTER DATABASE ... RENAME: they take the histories of another database away.
//!
//! No transaction shows what was in it. Before such a statement pgpawl looks there by a session of its
//! own; without one it knows what its sessions have seen there.

use super::{
    Action,
    client::{Look, contains_word},
    gate::{At, Cause, Gate, Purpose},
    ours::Protocol,
    ready::Ready,
};
use pgpawl_policy::{
    guard::GuardSet,
    hold::first_word,
    question::{Reads, Row, Snapshot},
    rule::Who,
    statement::statements,
    upkeep::taken_database,
    verdict::{Unverifiable, Verdict},
    version::VersionSet,
};

/// A statement that takes a database away.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) protocol: Protocol,
    /// Empty: a name that cannot be told.
    database: String,
    text: Box<[u8]>,
}

impl Ready {
    /// A Query or Parse that takes a database away is looked at first.
    pub(super) fn look_database(&self, text: &[u8], protocol: Protocol) -> Option<Look> {
        if !may_take(text) || self.cleared.as_deref() == Some(text) || !self.enforces() {
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

    /// Nothing is owed: what is in the database that would go?
    pub(super) fn drained_database(&mut self, mut gate: Box<Gate>) {
        let Cause::Database(taken) = &gate.cause else {
            return;
        };
        let guards = &self.shared.guarding.guards;
        if self.shared.looks && !taken.database.is_empty() {
            let text = guards.question(guards.all(), Reads::All);
            let database = taken.database.clone();
            self.outbox.push_back(Action::Look { database, text });
            gate.at = At::Database;
            self.gate = Some(gate);
            return;
        }
        let known = self.shared.present.tables(&taken.database);
        let found = known.map(|tables| {
            let all = tables.of_guards(guards.all());
            all.map(|known| known.key.guard).collect()
        });
        let unknown = if taken.database.is_empty() {
            guards.all()
        } else {
            GuardSet::EMPTY
        };
        self.found_in_database(gate, found.unwrap_or(unknown));
    }

    /// The answer of a session of pgpawl's own in that database; `None`: it does not exist, or may not be
    /// looked at.
    pub(super) fn looked_in_database(&mut self, gate: Box<Gate>, rows: Option<&[Row]>) {
        let guards = &self.shared.guarding.guards;
        let all = guards.all();
        let found: Option<Snapshot> = rows.and_then(|rows| guards.answer(all, rows).ok());
        let held = |snapshot: Snapshot| -> GuardSet {
            let histories = snapshot.histories();
            let full = histories
                .filter(|(_, history)| !history.reading.as_ref().is_ok_and(VersionSet::is_empty));
            full.map(|(key, _)| key.guard).collect()
        };
        let found = found.map_or(GuardSet::EMPTY, held);
        self.found_in_database(gate, found);
    }

    fn found_in_database(&mut self, gate: Box<Gate>, found: GuardSet) {
        let Cause::Database(taken) = &gate.cause else {
            return;
        };
        self.again = true;
        if !found.is_empty() {
            let who = Who {
                database: taken.database.clone(),
                ..self.who.clone()
            };
            let why = Unverifiable::Database;
            let judgement = self.shared.guarding.unverifiable(&who, found, &why);
            let purpose = Purpose::Inside;
            if let Verdict::Refuse(refusal) = self.told_at(purpose, judgement) {
                return self.refuse(gate, purpose, refusal);
            }
        }
        // It is looked at again, and passes.
        if let Cause::Database(taken) = gate.cause {
            self.cleared = Some(taken.text);
        }
    }
}

/// Whether a statement of `text` may begin with DROP DATABASE or ALTER DATABASE: nearly all begin otherwise.
fn may_take(text: &[u8]) -> bool {
    let first = first_word(text);
    let takes = [&b"drop"[..], b"alter"]
        .iter()
        .any(|word| first.eq_ignore_ascii_case(word));
    (takes || text.contains(&b';')) && contains_word(text, b"database")
}
