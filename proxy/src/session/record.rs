//! The record of what is held, where it only adds rows to a set: it goes to the server with all that commits it, in one
//! flight, behind a check that nothing else was done since what is held was asked about.
//!
//! ```text
//! client               server
//! INSERT INTO ...      SAVEPOINT _pgpawl_held; INSERT INTO ...; SET CONSTRAINTS ALL IMMEDIATE; SAVEPOINT _pgpawl
//!                      the check                       fails unless everything but added rows is as it was
//!                      RELEASE SAVEPOINT _pgpawl_held; SET TRANSACTION READ ONLY; COMMIT
//!   (answered)         BEGIN; the question; ROLLBACK   what an event tells of it
//! ```
//!
//! A check that fails leads to the question, as that of any flight does.

use super::{
    gate::{Gate, Purpose, Settle, Told},
    ours::{self, Savepoints},
    ready::Ready,
    transaction::Noted,
};
use crate::wire::backend::Status;
use bytes::Bytes;
use pgpawl_policy::{
    guard::GuardSet,
    question::Snapshot,
    verdict::{Stage, Unverifiable},
};

/// A flight with a record.
#[derive(Debug, Default)]
pub(super) struct Recording {
    /// Statements of it that have completed.
    pub(super) completed: usize,
    /// What the one behind them was answered by.
    pub(super) error: Option<Bytes>,
}

impl Recording {
    /// How many statements complete before the check.
    const CHECK: usize = 2;
    /// How many there are: the last is the COMMIT.
    const ALL: usize = 6;
}

/// A record that is committed, and that no event has told of yet.
#[derive(Debug)]
pub(super) struct Recorded {
    pub(super) guards: GuardSet,
    noted: Noted,
}

impl Ready {
    /// The flight that ends the transaction, if the statement at hand most likely is the record and adds rows to sets
    /// only.
    pub(super) fn record(&self, gate: &Gate) -> Option<Bytes> {
        let held = self.transaction.held.as_deref()?;
        let footing = held.footing.as_deref()?;
        let touch = self.transaction.touch.as_deref()?;
        // What was read before its statement is not known to be added to.
        let presumed = touch.before.histories().next().is_none() && touch.blind.is_empty();
        let usual = held.has_room() && !self.transaction.manner.ends && !self.others_hold();
        let guards = &self.shared.guarding.guards;
        if !presumed || !usual || !guards.are_sets(touch.asked, footing) {
            return None;
        }
        let closing = ours::closing(Savepoints::Held);
        Some((gate.cause.protocol()).record(&footing.check(touch.asked), closing))
    }

    /// The flight is over.
    pub(super) fn recorded(&mut self, mut gate: Box<Gate>, recording: Recording, status: Status) {
        self.tell(super::Tale::EvaluationEnded);
        if gate.cause.has_failed() {
            self.transaction.reported(status);
            return self.settle(gate, Settle::Rollback(None));
        }
        match (recording.completed, recording.error, status) {
            (Recording::ALL, None, Status::Idle) => self.record_committed(gate),
            (Recording::CHECK, Some(_), Status::Failed) => {
                self.transaction.reported(status);
                self.ask_again(gate, Purpose::After(Stage::Transaction));
            }
            (0, Some(error), Status::Failed) => {
                self.transaction.reported(status);
                self.commit_failed(gate, error);
            }
            (_, error, Status::Idle) => {
                // All of it is gone, the record, too.
                self.transaction.reported(status);
                self.discard(&mut gate);
                self.send_told(Told::Error(error.unwrap_or_default()));
                self.finish(gate);
            }
            (_, error, _) => self.undo(gate, Told::Error(error.unwrap_or_default()), false),
        }
    }

    fn record_committed(&mut self, gate: Box<Gate>) {
        let touch = self.transaction.touch.take().unwrap_or_default();
        self.seen.record = Some(Box::new(Recorded {
            guards: touch.asked,
            noted: touch.noted,
        }));
        if let Some(seat) = &mut self.seat {
            seat.unrecorded(false);
        }
        self.transaction.held = None;
        self.transaction.reported(Status::Idle);
        self.finish(gate);
    }

    /// A record is to be told before the client goes on.
    pub(super) fn must_tell_record(&self) -> Option<GuardSet> {
        let idle = self.transaction.status == Status::Idle && !self.transaction.unsynced;
        let record = self.seen.record.as_ref().filter(|_| idle);
        record.map(|record| record.guards)
    }

    /// What has come by the record. A set that cannot be read any more has no event here: it is refused, and told, when
    /// it is named next.
    pub(super) fn tell_record(&mut self, mut after: Snapshot) {
        self.again = true;
        let Some(record) = self.seen.record.take() else {
            return;
        };
        after.keep(|_, history| history.reading.is_ok());
        let before = self.seen.sets.within(&after);
        let shared = self.shared.clone();
        let judgement = shared
            .guarding
            .judge(&self.who, Stage::Transaction, &before, &after);
        self.transaction.touch.get_or_insert_default().noted = record.noted;
        self.told(judgement);
        self.transaction.touch = None;
        self.have_seen(&after);
    }

    /// It could not be asked; `gone`: for want of our statements, so it is asked once more.
    pub(super) fn record_untold(&mut self, gone: bool, why: &Unverifiable) {
        if !gone {
            self.seen.record = None;
            tracing::warn!(?why, "a version was raised, to which one could not be read");
        }
    }
}
