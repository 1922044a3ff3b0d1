//! DROP DATABASE and ALTER DATABASE ... RENAME: they take the histories of another database away.
//!
//! No transaction shows what was in it, so before such a statement pgpawl looks there by a session of its
//! own: as `look_user`, or as the client's user where the server wants no password for it.

use super::{
    Seen,
    client::{Look, contains_word},
    gate::{At, Cause, Gate, Purpose},
    ours::Protocol,
    ready::Ready,
};
use pgpawl_policy::{
    guard::GuardSet,
    hold::first_word,
    question::{History, Reads},
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
    pub(super) fn drained_database(&mut self, gate: Box<Gate>) {
        let Cause::Database(taken) = &gate.cause else {
            return;
        };
        let guards = &self.shared.guarding.guards;
        if taken.database.is_empty() {
            let all = guards.all();
            return self.found_in_database(gate, all, &Unverifiable::Database);
        }
        let text = guards.question(guards.all(), Reads::All);
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
        let answer = seen.rows().map(|rows| guards.answer(all, rows));
        let full = |history: &History| !history.reading.as_ref().is_ok_and(VersionSet::is_empty);
        let (found, why) = match (answer, seen) {
            (Some(Ok(snapshot)), _) => {
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
        self.found_in_database(gate, found, &why);
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
