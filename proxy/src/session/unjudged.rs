//! A commit that is held before it is judged: the client goes on while the server is asked.
//!
//! ```text
//! client               server
//! COMMIT               SET CONSTRAINTS ALL IMMEDIATE; SHOW transaction_isolation
//!   (answered, held)   the question; SET CONSTRAINTS ALL DEFERRED
//! ```
//!
//! Only where all that the transaction does stands in its statements, which named no guarded table and may
//! change the schema: most likely it will be held, and nothing is said too early, for what is held can be
//! rolled back at any time. If the answer is another, what is held is committed, or rolled back, at once. No message
//! of the client's is looked at before that, and nothing is committed.

use super::{
    action::Fate,
    gate::{At, Cause, Gate, Purpose, Settle, Then},
    hold::Held,
    ready::Ready,
};
use crate::wire::backend::Status;
use bytes::Bytes;
use pgpawl_policy::{statement::Kind, verdict::Stage};

impl Ready {
    /// The transaction of a gate ends: it is asked about, before or after the client is answered.
    pub(super) fn ask_or_hold(&mut self, gate: Box<Gate>) {
        if self.may_hold_at_once(&gate) {
            let bytes = gate.cause.protocol().hold_at_once();
            self.send_ours(gate, bytes, At::HoldingAtOnce(Isolation::default()));
        } else {
            self.ask(gate, Purpose::After(Stage::Transaction));
        }
    }

    fn may_hold_at_once(&self, gate: &Gate) -> bool {
        let Cause::Query(script) = &gate.cause else {
            return false;
        };
        let ends = script.part().is_none_or(|part| {
            part.kind == (Kind::Commit { chain: false }) && script.next + 1 == script.parts.len()
        });
        let transaction = &self.transaction;
        let manner = transaction.manner;
        ends && !script.failed
            && self.may_hold()
            && manner.alters
            && manner.shows
            && !manner.ends
            && transaction.to_verify().is_empty()
            && transaction.locals.is_some()
            && transaction.held.as_deref().is_none_or(Held::has_room)
    }

    /// What the COMMIT would run has run.
    pub(super) fn held_at_once(&mut self, gate: Box<Gate>, isolation: Isolation, status: Status) {
        if let Some(error) = isolation.error {
            self.transaction.reported(status);
            return self.commit_failed(gate, error);
        }
        if !isolation.is_usual {
            // Its COMMIT could fail.
            return self.ask(gate, Purpose::After(Stage::Transaction));
        }
        self.hold(gate, false);
    }

    /// Something is held that must be asked about before anything else is done.
    pub(super) fn must_judge(&self) -> bool {
        let held = self.transaction.held.as_deref();
        held.is_some_and(|held| held.unjudged) && self.is_outside()
    }

    /// It may stand: it is held from now on, or committed.
    pub(super) fn judged(&mut self, mut gate: Box<Gate>) {
        let why = self.why_not(&gate);
        let Some(held) = &mut self.transaction.held else {
            return;
        };
        held.unjudged = false;
        held.footing = gate.footing.take();
        let first = held.transactions == 1;
        match why {
            None => {
                if first {
                    self.tell_fate(Fate::Held, "schema");
                }
                self.again = true;
            }
            Some(why) if first || why == "recorded" => self.commit_untold(gate, Then::Look),
            Some(why) => self.commit_held(gate, why, Then::Look),
        }
    }

    /// It may not: the client was told that it is committed, and must not go on.
    pub(super) fn unheld(&mut self, gate: Box<Gate>, why: &'static str) {
        self.tell_fate(Fate::RolledBack, why);
        self.undone = true;
        let inside = !self.is_outside();
        self.settle(gate, Settle::Undone(inside));
    }
}

/// What the server said of a transaction whose commit is to be held at once.
#[derive(Debug, Default)]
pub(super) struct Isolation {
    /// It is READ COMMITTED.
    pub(super) is_usual: bool,
    /// The commit would have failed, with this ErrorResponse.
    pub(super) error: Option<Bytes>,
}
