//! The end of a transaction that names no guarded table, under transaction coverage: the check and the
//! COMMIT go to the server in one flight, and the check vetoes what may have touched one all the same.
//!
//! ```text
//! SET CONSTRAINTS ALL IMMEDIATE   what the commit would run is run before the check
//! RELEASE SAVEPOINT               where the client has set savepoints (`savepoints`)
//! SET TRANSACTION READ ONLY       nothing writes from here on (where a lowering is refused)
//! SAVEPOINT                       the way back from a veto
//! the check                       fails unless the transaction touched nothing
//! COMMIT                          not reached after an error: that ends a Query, and skips to Sync
//! ```
//!
//! An implicit transaction is run in a BEGIN of ours that goes out before its first message, so that it
//! has a way back too. No answer is waited for on the way.

use super::{
    Side,
    client::{Look, Opening},
    gate::{At, Cause, Gate, Purpose, Settle, Told},
    names::Class,
    ours::{self, Protocol},
    owed::Owed,
    ready::{Fault, Ready},
};
use crate::wire::{
    backend::{self, Status},
    frame::{Frame, HEADER_LEN},
    frontend::{self, End},
};
use bytes::Bytes;
use pgpawl_policy::{
    facts::Tables,
    rule::Decision,
    statement::Kind,
    verdict::{Stage, Unverifiable},
};
use std::sync::Arc;

/// A flight under way.
#[derive(Debug)]
pub(super) struct Sealing {
    /// Statements of it that have completed.
    completed: usize,
    /// Statements that make the transaction read only on the way.
    closing: usize,
    /// The check failed.
    vetoed: bool,
    /// Another statement did.
    failed: bool,
    /// The check is kept by the server, and has this number: the statements around it had a name.
    kept: Option<u64>,
    /// What the client is told in place of success.
    told: Option<Told>,
}

impl Sealing {
    pub(super) const fn new(closing: usize, kept: Option<u64>) -> Self {
        Self {
            completed: 0,
            closing,
            vetoed: false,
            failed: false,
            kept,
            told: None,
        }
    }

    const fn savepoint(&self) -> usize {
        1 + self.closing
    }

    const fn check(&self) -> usize {
        self.savepoint() + 1
    }
}

impl Ready {
    /// Whether this transaction's end is checked by facts alone: no statement of it named a guard.
    pub(super) fn is_sealed(&self) -> bool {
        self.covers && self.transaction.to_verify().is_empty() && !self.may_hold()
    }

    /// The guarded tables of this session's database; `None`: not known.
    pub(super) fn tables(&self) -> Option<Arc<Tables>> {
        self.shared.present.tables(&self.who.database)
    }

    /// Whether the guarded tables must be listed before a transaction begins here.
    pub(super) fn lists_first(&self) -> bool {
        self.covers
            && !self.transaction.unlisted
            && !self.is_held()
            && !self.transaction.unsynced
            && self.transaction.status == Status::Idle
            && self.shared.present.is_stale(&self.who.database)
    }

    /// Whether a lowering of any guard is refused here at all.
    pub(super) const fn enforces(&self) -> bool {
        self.enforced
    }

    /// Whether the rules decide so about any guard.
    pub(super) fn decides(&self, so: impl Fn(&Decision) -> bool) -> bool {
        let guarding = &self.shared.guarding;
        guarding
            .guards
            .of(self.watched)
            .any(|(_, guard)| so(&guarding.rules.decide(&self.who, Some(guard.tool()))))
    }

    /// Messages of ours go out within a batch of the client's; `begins`: they open its block.
    pub(super) fn send_quiet(&mut self, bytes: Bytes, answers: usize, begins: bool) {
        self.queue.push(Owed::Quiet { answers, begins });
        self.send(Side::Server, bytes);
        self.flushed = false;
        self.transaction.unsynced = true;
    }

    /// Ends the transaction of a gate's message by a flight, or by a look where nothing is known yet.
    pub(super) fn seal(&mut self, mut gate: Box<Gate>, end: &[u8]) {
        match self.flight(gate.cause.protocol(), end) {
            Some((bytes, sealing)) => {
                self.send(Side::Server, bytes);
                gate.at = At::Sealing(sealing);
                self.gate = Some(gate);
            }
            None => self.ask(gate, Purpose::After(Stage::Transaction)),
        }
    }

    /// Whether a message of this kind is the first of an implicit transaction that has to be run in a
    /// BEGIN of ours.
    pub(super) fn must_open(&self, kind: &Kind) -> bool {
        if self.is_held() {
            // Whatever can fail stands behind a savepoint.
            return self.is_outside();
        }
        let runs = matches!(kind, Kind::Other | Kind::Execute(_) | Kind::Prepare(_));
        let ends = self.queue.ends();
        self.covers
            && runs
            && (ends || self.transaction.status == Status::Idle && !self.transaction.is_wrapped())
            && !self.queue.has_begun()
            && (self.lists_first() || self.has_tables())
    }

    /// Whether a guarded table may be in the database, as of the last list: where none is, an implicit
    /// transaction is left as it is.
    pub(super) fn has_tables(&self) -> bool {
        let none = |tables: Arc<Tables>| tables.of_guards(self.watched).next().is_none();
        self.transaction.unlisted || !self.tables().is_some_and(none)
    }

    /// What to do with the first message of an implicit transaction.
    pub(super) fn look_opening(&self) -> Look {
        if self.queue.controls() {
            Look::Gate(Cause::Drain)
        } else if self.lists_first() {
            Look::Gate(Cause::Watch)
        } else {
            Look::Open(Opening::Begin)
        }
    }

    /// A statement that controls the transaction was given a name: code could run it by that name, out
    /// of our sight, so the server never had it. It is sent when the client asks for it.
    pub(super) fn send_control(&mut self, class: &Class) {
        let text = class.text.as_deref().unwrap_or_default();
        // A BEGIN may be found by code: it changes nothing.
        let (bytes, answers, behind) = if class.kind == Kind::Begin && self.unnamed.is_direct {
            ours::once_for_the_client(text)
        } else {
            let (bytes, answers) = frontend::extended(&[text], End::Nothing);
            (bytes, answers, frontend::FRAMES_BEHIND)
        };
        let before = Owed::Quiet {
            answers: answers - behind - 1,
            begins: false,
        };
        self.queue.push(before);
        self.queue
            .push(Owed::Execute(Some(Box::new(class.kind.clone()))));
        self.queue.push(Owed::Quiet {
            answers: behind,
            begins: false,
        });
        self.send(Side::Server, bytes);
        self.flushed = false;
        self.transaction.unsynced = true;
    }

    /// The answers of a batch that goes on, or of an implicit transaction's BEGIN: nobody's business.
    pub(super) fn hear_quiet(&mut self, frame: Frame) -> bool {
        let Some(Owed::Quiet { answers, begins }) = self.queue.head_mut() else {
            return false;
        };
        if !matches!(frame.tag, b'1' | b'2' | b'3' | b'C' | b'D' | b'T' | b'n') {
            return false;
        }
        *answers = answers.saturating_sub(1);
        let (over, begins) = (*answers == 0, *begins);
        if over {
            self.queue.pop();
            if begins {
                self.transaction.began();
                self.transaction.reported(Status::Block);
            }
        }
        true
    }

    /// A frame of the flight's answer.
    pub(super) fn hear_sealing(
        &mut self,
        mut gate: Box<Gate>,
        mut sealing: Sealing,
        frame: Frame,
        have: &[u8],
    ) -> Result<Option<super::Action>, Fault> {
        let body = have.get(HEADER_LEN..).unwrap_or_default();
        let failed = gate.cause.has_failed();
        match frame.tag {
            b'Z' => {
                let status = backend::ready(body).map_err(|v| Fault::server(&v))?;
                self.queue.pop();
                self.sealed(gate, sealing, status);
                return Ok(Some(self.swallow(frame, have)));
            }
            b'E' if failed => {}
            b'E' => sealing.fails(have),
            b'D' if sealing.completed == sealing.check() && have.len() == frame.len => {
                self.unnamed.is_direct = self.is_of_the_login(body)?;
            }
            b'C' => {
                let ends = sealing.completed > sealing.check();
                sealing.completed += 1;
                if ends && gate.cause.is_the_clients_commit() {
                    gate.at = At::Sealing(sealing);
                    self.gate = Some(gate);
                    return Ok(Some(self.relay(frame, have)));
                }
            }
            // What triggers and the commit itself say is the client's.
            b'N' if !failed => {
                gate.at = At::Sealing(sealing);
                self.gate = Some(gate);
                return Ok(Some(self.relay(frame, have)));
            }
            _ => {}
        }
        gate.at = At::Sealing(sealing);
        self.gate = Some(gate);
        Ok(Some(self.swallow(frame, have)))
    }

    /// The flight is over.
    fn sealed(&mut self, gate: Box<Gate>, sealing: Sealing, status: Status) {
        self.tell(super::Tale::EvaluationEnded);
        if sealing.kept.is_some() {
            self.unnamed.made = sealing.kept.filter(|_| sealing.completed > sealing.check());
        }
        if sealing.kept.is_some() && sealing.failed {
            // What failed may still have our name.
            let bytes = ours::forget_once();
            return self.send_ours(gate, bytes, At::Forgetting(sealing, status));
        }
        self.sealed_or_not(gate, sealing, status);
    }

    /// No statement of ours has a name.
    pub(super) fn sealed_or_not(&mut self, mut gate: Box<Gate>, sealing: Sealing, status: Status) {
        let done = sealing.completed > sealing.check() + 1;
        let failed = gate.cause.has_failed();
        if sealing.vetoed && status == Status::Failed {
            self.transaction.outer = false;
            self.transaction.reported(status);
            return self.ask_again(gate, Purpose::After(Stage::Transaction));
        }
        self.transaction.reported(status);
        // What came before it in the batch failed: the server skipped all of the flight.
        let skipped = sealing.completed == 0 && sealing.told.is_none();
        let own = matches!(gate.cause, Cause::Commit) && !self.transaction.is_wrapped();
        if status == Status::Failed && !(skipped && own) {
            self.discard(&mut gate);
            return self.settle(gate, Settle::Rollback(sealing.told));
        }
        if done {
            return self.sealed_well(gate);
        }
        // Nothing was committed, and the block is gone; or it is the client's own, and failed before its
        // COMMIT; or there was none, for what came before our BEGIN failed.
        self.discard(&mut gate);
        let told = sealing.told.filter(|_| !failed);
        match told {
            Some(told) => self.send_told(told),
            None if !failed && !skipped => {
                let why = Unverifiable::EndedInside;
                let guards = self.watched;
                let judgement = self.shared.guarding.unverifiable(&self.who, guards, &why);
                self.told(judgement);
                self.send_refusal(&super::words::refusal(
                    "a statement ended the transaction by code that was prepared before",
                ));
            }
            None => {}
        }
        self.finish(gate);
    }

    fn sealed_well(&mut self, gate: Box<Gate>) {
        match &gate.cause {
            Cause::Query(script) if script.part().is_some() => self.part_done(gate),
            _ => self.finish(gate),
        }
    }

    /// Whether the flight of an Execute of COMMIT can go out at once, with the Sync behind it.
    pub(super) fn seals_at_once(&self, kind: &Kind) -> bool {
        *kind == (Kind::Commit { chain: false })
            && self.is_sealed()
            && self.transaction.status == Status::Block
            && !self.transaction.is_wrapped()
            && !self.queue.controls()
            && !self.transaction.may_copy
            && !self.queue.is_in_doubt()
            && self.tables().is_some()
    }

    /// The client's Sync that ends a batch, or its Execute of COMMIT with the Sync behind it, is
    /// answered by a flight of ours.
    pub(super) fn seal_batch(&mut self, cause: Cause, frame_len: usize) {
        let mut gate = Box::new(Gate::new(cause, frame_len));
        self.again = true;
        let Some((bytes, sealing)) = self.flight(Protocol::Extended, ours::COMMIT.as_bytes())
        else {
            // Nothing is known of the database yet: in turn.
            self.flush_once();
            self.gate = Some(gate);
            return;
        };
        self.send(Side::Server, bytes);
        gate.at = At::Sealing(sealing);
        self.drop_held(&mut gate);
        self.gate = Some(gate);
    }

    /// What was sent before is answered, and the tables could not be listed: a question in place of a
    /// flight.
    pub(super) fn drained_commit(&mut self, mut gate: Box<Gate>) {
        self.drop_held(&mut gate);
        match self.transaction.status {
            Status::Block => self.ask(gate, Purpose::After(Stage::Transaction)),
            // It failed meanwhile: a COMMIT ends it.
            Status::Failed | Status::Idle => self.settle(gate, Settle::Rollback(None)),
        }
    }
}

impl Sealing {
    /// A statement of the flight failed.
    fn fails(&mut self, error: &[u8]) {
        if self.completed == self.check() {
            self.vetoed = true;
            return;
        }
        self.failed = true;
        if self.completed == 0 || self.completed > self.check() {
            // What the client's own commit would have failed with.
            self.told = Some(Told::Error(Bytes::copy_from_slice(error)));
        }
    }
}
