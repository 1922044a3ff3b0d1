//! How a question goes to the server: by statements that were prepared once in the session, so that they are
//! not planned anew each time.
//!
//! Code of the client's can DEALLOCATE them, and PREPARE others of their names by SQL, but it cannot Parse:
//! only we do, for no Parse or Close of the client's that has such a name passes. So a batch begins with a
//! statement that fails unless Parses made them (`asked::PREPARED`), and is then asked in full; but for the one that
//! makes them itself.

use super::{
    Side, Tale,
    asked::{Asked, By},
    gate::{Asking, At, Cause, Gate, Purpose},
    known::Known,
    ours::Place,
    owed::Owed,
    ready::{Fault, Ready},
    record::Recording,
    script::{self, is_control},
};
use crate::wire::{
    backend::{self, Status},
    frame::Frame,
};
use bytes::Bytes;
use pgpawl_policy::{
    facts::{Ordered, locks},
    guard::Guards,
    question::{Reads, Snapshot},
    verdict::{Stage, Unverifiable},
};
use std::collections::BTreeMap;

/// Whether the session has the statements that questions execute.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Statement {
    /// Not yet, or not any more.
    Missing,
    /// By the question under way.
    New,
    Made,
    /// A name is taken, or the server knows ours by others: questions are asked in full.
    Impossible,
}

/// "invalid input syntax" for a number: they are not ours.
const NOT_OURS: &str = "22P02";
/// "prepared statement ... does not exist".
const MISSING: &str = "26000";
/// "canceling statement due to user request".
const CANCELLED: &str = "57014";
/// "prepared statement ... already exists".
const TAKEN: &str = "42P05";

impl Ready {
    /// Reads version sets, in the transaction that is open or that our BEGIN opens.
    pub(super) fn ask(&mut self, gate: Box<Gate>, purpose: Purpose) {
        let place = purpose.place(self.seals(&gate.cause));
        self.ask_at(gate, purpose, place);
    }

    /// The same, from the savepoint of a flight that was vetoed.
    pub(super) fn ask_again(&mut self, gate: Box<Gate>, purpose: Purpose) {
        let sealed = self.seals(&gate.cause);
        let place = Place::Ending {
            sealed,
            again: true,
        };
        self.ask_at(gate, purpose, place);
    }

    /// Whether the message at hand is all of a transaction within what is held that will be asked about: most likely
    /// the record.
    pub(super) fn may_ask_ahead(&self, gate: &Gate) -> bool {
        let Cause::Query(script) = &gate.cause else {
            return false;
        };
        let ends_inside = |text: &Bytes| script::may_commit_inside(text);
        self.is_held()
            && self.transaction.is_wrapped()
            && !self.transaction.to_verify().is_empty()
            && script.is_whole()
            && !script.copies
            && script.part().is_some_and(|part| !is_control(&part.kind))
            && !script.text.as_ref().is_none_or(ends_inside)
    }

    /// The flight with the record, or the question before the commit, goes out right behind the message; if that fails, so does it.
    pub(super) fn ask_ahead(&mut self, gate: &mut Gate) {
        let (bytes, at) = if let Some(bytes) = self.record(gate) {
            (bytes, At::Recording(Recording::default()))
        } else {
            let purpose = Purpose::After(Stage::Transaction);
            let place = purpose.place(self.seals(&gate.cause));
            let bytes = self.question(gate, purpose, place);
            (bytes, At::Asking(Asking::new(purpose, place)))
        };
        self.queue.push(Owed::Ours);
        self.send(Side::Server, bytes);
        gate.ahead = Some(at);
        self.tell(Tale::EvaluationBegan);
    }

    pub(super) fn ask_at(&mut self, gate: Box<Gate>, purpose: Purpose, place: Place) {
        let bytes = self.question(&gate, purpose, place);
        self.ask_by(gate, purpose, place, bytes);
    }

    fn question(&mut self, gate: &Gate, purpose: Purpose, place: Place) -> Bytes {
        let protocol = gate.cause.protocol();
        let guards = self.guards_of(purpose);
        if guards.is_empty() {
            return protocol.begin(self.is_held());
        }
        if purpose == Purpose::Tables {
            self.shared.present.claim(&self.who.database);
        }
        let by = self.question_by(gate);
        let nothing = Snapshot::default();
        let before = (self.transaction.touch.as_ref()).map_or(&nothing, |touch| &touch.before);
        let reads = match purpose {
            Purpose::Tables => Reads::Only(&[]),
            Purpose::After(_) => Reads::Changed(before),
            Purpose::Before { .. } | Purpose::Inside | Purpose::Tell(_) | Purpose::Upkeep(_) => {
                Reads::All
            }
        };
        let question = match by {
            By::Text => self.shared.guarding.guards.question(guards, reads),
            By::Statement | By::NewStatement(_) => Guards::execution(guards, reads),
        };
        let mut locked = gate.locked.clone();
        self.named_tables(&mut locked);
        let asked = Asked {
            question,
            by,
            locks: locks(&locked),
            may_hold: self.may_hold(),
            held: self.is_held(),
            savepoints: self.savepoints(),
        };
        protocol.question(&asked, place)
    }

    fn question_by(&mut self, gate: &Gate) -> By {
        match self.statement {
            _ if gate.in_full || self.simple_only => By::Text,
            Statement::Impossible => By::Text,
            Statement::Made => By::Statement,
            Statement::Missing | Statement::New => {
                self.statement = Statement::New;
                By::NewStatement(self.shared.guarding.guards.statement())
            }
        }
    }

    /// A question was answered.
    pub(super) fn have_statements(&mut self) {
        if self.statement == Statement::New {
            self.statement = Statement::Made;
        }
    }

    /// A question of ours goes to the server.
    pub(super) fn ask_by(&mut self, gate: Box<Gate>, purpose: Purpose, place: Place, bytes: Bytes) {
        self.send_ours(gate, bytes, At::Asking(Asking::new(purpose, place)));
        self.tell(Tale::EvaluationBegan);
    }

    /// Whether a question failed because our statements are not there, not ours, or cannot be.
    pub(super) fn is_gone(&mut self, asking: &Asking, why: &Unverifiable) -> bool {
        let sqlstate = match why {
            Unverifiable::QuestionFailed { sqlstate, .. } => sqlstate.as_str(),
            _ => "",
        };
        let checked = asking.place.savepoint();
        let made = asking.place.settings();
        let (gone, now) = match (self.statement, sqlstate) {
            (Statement::Made, NOT_OURS) if asking.completed == checked => {
                (true, Statement::Missing)
            }
            (Statement::Made, MISSING) if asking.completed > checked => (true, Statement::Missing),
            (Statement::New, MISSING) if asking.completed >= made => (true, Statement::Impossible),
            (Statement::New, TAKEN) if asking.completed == made => (true, Statement::Impossible),
            (Statement::New, _) if asking.completed < made => (false, Statement::Missing),
            (Statement::New, _) => (false, Statement::Made),
            (same, _) => (false, same),
        };
        self.statement = now;
        gone
    }

    /// Back to the savepoint of what failed; `None`: to ask then.
    pub(super) fn recover(&mut self, gate: Box<Gate>, purpose: Purpose, why: Option<Unverifiable>) {
        let bytes = gate.cause.protocol().recover();
        self.send_ours(gate, bytes, At::Recovering(purpose, why));
    }

    pub(super) fn recovered(
        &mut self,
        gate: Box<Gate>,
        purpose: Purpose,
        why: Option<Unverifiable>,
        status: Status,
    ) {
        self.transaction.reported(status);
        // The client has nothing under way: what it cancelled was over.
        let cancelled = |why: &Unverifiable| matches!(why, Unverifiable::QuestionFailed { sqlstate, .. } if sqlstate == CANCELLED);
        let why = why.filter(|why| !(matches!(gate.cause, Cause::Judge) && cancelled(why)));
        if let Some(why) = why {
            self.unverified(gate, purpose, &why);
        } else {
            self.ask(gate, purpose.in_block());
        }
    }

    /// Rows of tables were changed whose writers' locks are not taken yet: it is asked again behind them.
    pub(super) fn must_lock(&self, gate: &mut Gate, asking: &Asking, after: &Snapshot) -> bool {
        if asking.purpose != Purpose::After(Stage::Transaction) || !gate.locked.is_empty() {
            return false;
        }
        gate.locked = self.shared.guarding.guards.changed(after);
        let mut named = BTreeMap::new();
        self.named_tables(&mut named);
        gate.locked.retain(|oid, _| !named.contains_key(oid));
        !gate.locked.is_empty()
    }

    /// The tables that statements of the transaction may have named, whose sets were read before.
    fn named_tables(&self, locked: &mut BTreeMap<u32, Ordered>) {
        let guards = &self.shared.guarding.guards;
        let before = (self.transaction.touch.as_ref()).map(|touch| &touch.before);
        for (oid, ordered) in before.into_iter().flat_map(|before| guards.ordered(before)) {
            let known = locked.entry(oid).or_insert(ordered);
            *known = ordered.max(*known);
        }
    }
}

/// A row of what a question is answered by.
pub(super) fn hear_row(
    asking: &mut Asking,
    frame: Frame,
    body: &[u8],
    answer_len_max: usize,
) -> Result<(), Fault> {
    let place = asking.place;
    if asking.completed == place.settings() {
        let row = backend::data_row(body).map_err(|v| Fault::server(&v))?;
        asking.known = Known::of(&row).map_err(|v| Fault::server(&v))?;
        if asking.known.runs_cursor && matches!(place, Place::Ending { .. }) {
            asking.failed.get_or_insert(Unverifiable::HoldableCursor);
        }
        return Ok(());
    }
    if asking.completed != place.rows() || asking.failed.is_some() {
        return Ok(());
    }
    asking.answer_len = asking.answer_len.saturating_add(frame.len);
    if asking.answer_len > answer_len_max {
        asking.failed = Some(Unverifiable::LimitReached("answer_len_max"));
        asking.rows.clear();
        return Ok(());
    }
    asking
        .rows
        .push(backend::data_row(body).map_err(|v| Fault::server(&v))?);
    Ok(())
}
