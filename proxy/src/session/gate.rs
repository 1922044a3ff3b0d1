//! The gate: one held message of the client's, and what is asked and sent until it is settled.
//!
//! ```text
//! Draining ── nothing owed ──▶ Asking(before) ──▶ Running ──▶ Asking(after) ──▶ Settling ─▶ relay
//!    │                            │ failed            │ error        │ lowered       ▲
//!    └─ concerns nothing: relay   ▼                   └──────────────┼───────────────┤
//!                              Recovering ── refused ────────────────┴──▶ Failing ───┘
//! ```
//!
//! The transaction that is asked in is always an explicit block: the client's, or one of ours
//! around what the client believes to be implicit ("wrapped"). So a question that fails can be
//! rolled back to its savepoint, and what the client sees is put together from the server's answers.

use super::{
    Side,
    claim::Claim,
    hold::Facts,
    owed::Owed,
    ready::Ready,
    runs::Order,
    words::{is_chain, refusal},
};
use crate::wire::{
    backend::{self, Status},
    frame::HEADER_LEN,
};
use bytes::{Bytes, BytesMut};
use pgpawl_policy::{facts::Ordered, footing::Footing, verdict::Stage};
use std::collections::BTreeMap;

pub(super) use super::{
    at::{Asking, At, Chained, Found, Leave, Next, Settle, Then, Told},
    cause::{Cause, Purpose},
};

#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct Gate {
    pub(super) cause: Cause,
    pub(super) at: At,
    /// The held message's length in the client's window.
    pub(super) frame_len: usize,
    /// It was relayed or dropped.
    pub(super) consumed: bool,
    /// Answers that wait for the verdict: at most one CommandComplete.
    pub(super) held: BytesMut,
    /// ParameterStatus and notifications that came behind it, and keep their place.
    pub(super) behind: BytesMut,
    /// The flight that ends the transaction, or the question before its end, was sent right behind the client's message.
    pub(super) ahead: Option<At>,
    /// What the question before the commit found.
    pub(super) facts: Facts,
    /// The same, for the record of what is held.
    pub(super) footing: Option<Box<Footing>>,
    /// What comes before our COMMIT, to make the transaction read only.
    pub(super) closing: &'static [&'static str],
    /// It is read only by now, by us.
    pub(super) closed: bool,
    /// It was writable before.
    pub(super) writable: bool,
    /// Its questions do not execute the prepared statement.
    pub(super) in_full: bool,
    /// What was locked before the sets are read that its message replaces.
    pub(super) claim: Option<Claim>,
    /// Tables that no statement named, whose writers' locks are taken.
    pub(super) locked: BTreeMap<u32, Ordered>,
}

impl Gate {
    pub(super) fn new(cause: Cause, frame_len: usize) -> Self {
        Self {
            cause,
            at: At::Draining,
            frame_len,
            consumed: false,
            held: BytesMut::new(),
            behind: BytesMut::new(),
            ahead: None,
            facts: Facts::default(),
            footing: None,
            closing: &[],
            closed: false,
            writable: true,
            in_full: false,
            claim: None,
            locked: BTreeMap::new(),
        }
    }

    /// Nothing has been asked or sent yet.
    pub(super) const fn is_draining(&self) -> bool {
        matches!(self.at, At::Draining)
    }
}

impl Ready {
    /// The gate's turn: only a drained queue moves it without a word from the server.
    pub(super) fn step_gate(&mut self, window: &[u8]) {
        if !self.queue.is_empty() || self.server_rest > 0 {
            return;
        }
        let others_hold = self.others_hold();
        let ready = |gate: &mut Box<Gate>| match gate.at {
            At::Draining => true,
            At::Awaiting(_) => !others_hold,
            _ => false,
        };
        let Some(mut gate) = self.gate.take_if(ready) else {
            return;
        };
        if let At::Awaiting(next) = std::mem::replace(&mut gate.at, At::Draining) {
            return self.others_settled(gate, next);
        }
        // Only a text is read here; what else is held may be longer than any limit, and is relayed or
        // dropped as it comes.
        let frame = window.get(..gate.frame_len);
        if matches!(gate.cause, Cause::Query(_)) && frame.is_none() {
            self.client_need = gate.frame_len;
            self.gate = Some(gate);
            return;
        }
        self.again = true;
        match &gate.cause {
            Cause::Settle if self.is_outside() => self.commit_held(gate, "statement", Then::Look),
            Cause::Judge if self.must_judge() => {
                self.ask(gate, Purpose::After(Stage::Transaction));
            }
            Cause::Tell if let Some(guards) = self.must_tell_record() => {
                self.ask(gate, Purpose::Tell(guards));
            }
            Cause::Drain | Cause::Settle | Cause::Judge | Cause::Tell => {}
            Cause::Others => self.wait_for_others(gate, Order::Commit, Next::Look),
            // The server discards it.
            Cause::Watch if self.queue.skipping => {}
            Cause::Watch => self.drained_watch(gate),
            Cause::Database(_) => self.drained_database(gate),
            Cause::Read(guards) => {
                let guards = *guards;
                self.drained_read(gate, guards);
            }
            Cause::Upkeep(_) if self.queue.skipping || !self.is_apart() => {}
            Cause::Upkeep(care) => {
                let care = care.clone();
                self.take_care(gate, &care);
            }
            _ if self.queue.skipping && !matches!(gate.cause, Cause::Sync) => {
                self.pass_held(gate, None);
            }
            Cause::Refuse(why) => {
                let told = Told::Refusal(refusal(why));
                self.fail(gate, told);
            }
            Cause::Query(_) => {
                let text = frame
                    .and_then(|frame| frame.get(HEADER_LEN..gate.frame_len - 1))
                    .unwrap_or_default();
                self.drained_query(gate, text);
            }
            Cause::Execute(_) => self.drained_execute(gate),
            Cause::Sync => self.drained_sync(gate),
            Cause::Commit => self.drained_commit(gate),
        }
    }

    /// The held message goes to the server and the gate is over.
    pub(super) fn pass_held(&mut self, gate: Box<Gate>, owed: Option<Owed>) {
        let mut gate = gate;
        self.relay_held(&mut gate, owed);
    }

    /// The held message goes to the server.
    pub(super) fn relay_held(&mut self, gate: &mut Gate, owed: Option<Owed>) {
        gate.consumed = true;
        self.client_rest = gate.frame_len;
        self.flushed = false;
        if matches!(gate.cause, Cause::Query(_)) && !self.queue.skipping {
            self.unnamed.queried();
        }
        if matches!(owed, Some(Owed::Sync)) {
            self.transaction.synced();
        }
        if let Some(owed) = owed {
            self.queue.push(owed);
        }
    }

    /// What follows when the answer to a question stands in nobody's way.
    pub(super) fn go_on(&mut self, gate: Box<Gate>, purpose: Purpose, leave: Leave) {
        if purpose != Purpose::After(Stage::Transaction) {
            return self.proceed(gate, purpose, leave);
        }
        if gate.facts.found && self.others_hold() {
            return self.wait_for_others(gate, Order::Commit, Next::Commit(purpose, leave));
        }
        if self.may_hold() {
            return self.hold_or_commit(gate, purpose, leave);
        }
        self.proceed(gate, purpose, leave);
    }

    /// The same, where nothing is held for it.
    pub(super) fn proceed(&mut self, gate: Box<Gate>, purpose: Purpose, leave: Leave) {
        self.note_recorded(&gate, purpose);
        if gate.closed && gate.cause.kind().is_some_and(is_chain) {
            return self.chain(gate);
        }
        match (&gate.cause, purpose) {
            (Cause::Query(_), Purpose::Tables) => self.run_part(gate),
            (Cause::Query(_), Purpose::Before { .. }) => self.send_part(gate),
            (Cause::Query(script), Purpose::Upkeep(_)) => {
                let owed = script.owed();
                self.pass_held(gate, Some(owed));
            }
            (Cause::Query(_), Purpose::Inside) => self.settle(gate, Settle::Unwrap),
            (Cause::Query(_), Purpose::After(Stage::Statement)) => self.next_part(gate),
            (Cause::Query(script), Purpose::After(Stage::Transaction))
                if script.part().is_some() =>
            {
                self.send_part(gate);
            }
            (Cause::Execute(_), Purpose::Before { .. } | Purpose::After(Stage::Transaction)) => {
                self.send_execute(gate);
            }
            (
                Cause::Execute(_),
                Purpose::After(Stage::Statement)
                | Purpose::Inside
                | Purpose::Tables
                | Purpose::Upkeep(_),
            ) => {
                let mut gate = gate;
                self.release(&mut gate);
            }
            (Cause::Query(_) | Cause::Sync | Cause::Commit, Purpose::After(Stage::Transaction)) => {
                self.settle(gate, Settle::Commit(leave));
            }
            // Looked at again.
            (
                Cause::Sync
                | Cause::Commit
                | Cause::Drain
                | Cause::Watch
                | Cause::Read(_)
                | Cause::Database(_)
                | Cause::Upkeep(_)
                | Cause::Others
                | Cause::Settle
                | Cause::Judge
                | Cause::Tell
                | Cause::Refuse(_),
                _,
            )
            | (_, Purpose::Tell(_)) => {
                self.again = true;
            }
        }
    }

    /// Makes the server fail.
    pub(super) fn fail(&mut self, mut gate: Box<Gate>, told: Told) {
        let protocol = gate.cause.protocol();
        self.queue.push(Owed::Refused);
        self.send(Side::Server, protocol.fail());
        gate.at = At::Failing(told);
        self.gate = Some(gate);
    }

    /// A batch of ours goes to the server, and the gate waits there for what answers it.
    pub(super) fn send_ours(&mut self, mut gate: Box<Gate>, bytes: Bytes, at: At) {
        self.queue.push(Owed::Ours);
        self.send(Side::Server, bytes);
        gate.at = at;
        self.gate = Some(gate);
    }

    /// Ends the transaction.
    pub(super) fn settle(&mut self, gate: Box<Gate>, settle: Settle) {
        let protocol = gate.cause.protocol();
        let bytes = match settle {
            Settle::Commit(_) => protocol.commit(gate.closing),
            Settle::Rollback(_) | Settle::Unwrap => protocol.rollback(self.is_held()),
            Settle::Undo(_, failing) => protocol.undo(failing),
            Settle::Undone(failing) => protocol.undo_unasked(failing),
        };
        self.send_ours(gate, bytes, At::Settling(settle, None));
    }

    /// The transaction is ended.
    pub(super) fn settled(
        &mut self,
        mut gate: Box<Gate>,
        settle: Settle,
        error: Option<Bytes>,
        status: Status,
    ) {
        match (&settle, &mut self.transaction.held) {
            (Settle::Undo(..) | Settle::Undone(_), held) => *held = None,
            (_, Some(held)) => held.inside = false,
            (_, None) => {}
        }
        self.transaction.reported(status);
        if let Some(error) = error.filter(|_| !matches!(settle, Settle::Undone(_))) {
            self.discard(&mut gate);
            self.send(Side::Client, error);
        }
        match (settle, &gate.cause) {
            (Settle::Undo(told, true), _) => self.fail(gate, told),
            (Settle::Undone(_), _) | (Settle::Rollback(None), Cause::Settle) => self.again = true,
            (Settle::Rollback(Some(told)) | Settle::Undo(told, _), Cause::Execute(_)) => {
                self.fail(gate, told);
            }
            (Settle::Rollback(Some(told)) | Settle::Undo(told, _), _) => {
                self.send_told(told);
                self.finish(gate);
            }
            (Settle::Unwrap, _) if self.is_held() => {
                self.commit_held(gate, "statement", Then::Part);
            }
            (Settle::Unwrap, _) => self.send_part(gate),
            (Settle::Commit(_) | Settle::Rollback(None), _) => self.finish(gate),
        }
    }

    pub(super) fn send_told(&mut self, told: Told) {
        match told {
            Told::Refusal(refusal) => self.send_refusal(&refusal),
            Told::Error(bytes) => self.send(Side::Client, bytes),
        }
    }

    /// Gives the client what was held back.
    pub(super) fn release(&mut self, gate: &mut Gate) {
        for kept in [&mut gate.held, &mut gate.behind] {
            if !kept.is_empty() {
                let bytes = kept.split().freeze();
                self.send(Side::Client, bytes);
            }
        }
    }

    /// The client never gets the CommandComplete that was held back.
    pub(super) fn discard(&mut self, gate: &mut Gate) {
        gate.held.clear();
        self.release(gate);
    }

    /// The held message is answered to its end: what is held, and the status as it is now.
    pub(super) fn finish(&mut self, mut gate: Box<Gate>) {
        self.release(&mut gate);
        self.drop_held(&mut gate);
        if matches!(gate.cause, Cause::Sync | Cause::Commit | Cause::Query(_)) {
            self.transaction.synced();
        }
        let status = self.transaction.status;
        self.ends_for_the_client();
        self.send(Side::Client, backend::ready_for_query(status));
        self.again = true;
    }

    /// The held message never goes to the server.
    pub(super) fn drop_held(&mut self, gate: &mut Gate) {
        if !gate.consumed {
            gate.consumed = true;
            self.client_drop = gate.frame_len;
            if matches!(&gate.cause, Cause::Query(script) if !script.function) {
                self.unnamed.ended();
            }
        }
    }
}
