//! What happens at a gate to a message of the extended protocol: an Execute, the end of a batch.

use super::{
    Action, Side,
    gate::{At, Cause, Gate, Purpose, Settle},
    owed::Owed,
    ready::Ready,
    script,
    transaction::Noted,
    words::no_block,
};
use crate::wire::{backend::Status, frontend};
use pgpawl_policy::{claim::Takes, guard::GuardSet, statement::Kind, verdict::Stage};

impl Ready {
    pub(super) fn drained_execute(&mut self, gate: Box<Gate>) {
        let Cause::Execute(class) = &gate.cause else {
            return;
        };
        let (kind, text) = (class.kind.clone(), class.text.clone().unwrap_or_default());
        let Some(gate) = self.control_held(gate, &kind, &text) else {
            return;
        };
        let Cause::Execute(class) = &gate.cause else {
            return;
        };
        let status = self.transaction.status;
        if status == Status::Failed {
            // It fails, or ends the block.
            if class.is_kept_back() {
                return self.send_execute(gate);
            }
            let kind = Some(Box::new(class.kind.clone()));
            return self.pass_held(gate, Some(Owed::Execute(kind)));
        }
        if matches!(class.kind, Kind::Commit { .. } | Kind::PrepareTransaction) {
            let verify = status == Status::Block && self.must_ask();
            if verify {
                self.ask(gate, Purpose::After(Stage::Transaction));
            } else {
                self.send_execute(gate);
            }
            return;
        }
        let opening = status == Status::Idle;
        let (guards, text) = (class.guards, class.text.clone());
        if let Some(text) = text {
            self.names(Noted::of(&text), guards);
        }
        let guards = self.to_read(guards);
        if opening || !guards.is_empty() {
            self.ask(gate, Purpose::Before { guards, opening });
        } else {
            self.send_execute(gate);
        }
    }

    /// The Execute goes to the server; its answer is waited for where it must be judged, or where it
    /// ends the transaction.
    pub(super) fn send_execute(&mut self, mut gate: Box<Gate>) {
        let Cause::Execute(class) = &gate.cause else {
            return;
        };
        let ends = script::is_control(&class.kind);
        let kind = ends.then(|| Box::new(class.kind.clone()));
        let watched = ends || self.is_judged_early(class.guards);
        if self.transaction.is_wrapped()
            && let Some(bytes) = no_block(&class.kind)
        {
            self.outbox.push_back(Action::Send {
                to: Side::Client,
                bytes,
            });
        }
        if class.is_kept_back() {
            let class = class.clone();
            self.drop_held(&mut gate);
            self.send_control(&class);
            self.send(Side::Server, frontend::flush());
            gate.at = At::Running;
            self.gate = Some(gate);
            return;
        }
        self.relay_held(&mut gate, Some(Owed::Execute(kind)));
        self.transaction.unsynced = true;
        if watched {
            self.behind = Some(frontend::flush());
            gate.at = At::Running;
            self.gate = Some(gate);
        }
    }

    /// The end of a batch whose transaction we wrapped.
    pub(super) fn drained_sync(&mut self, mut gate: Box<Gate>) {
        if self.is_outside() {
            // What its batch had was none of a transaction; the server is in one all the same.
            self.relay_held(&mut gate, Some(Owed::Sync));
            gate.at = At::Running;
            self.gate = Some(gate);
        } else if !self.transaction.is_wrapped() {
            // A BEGIN of the client's, answered in the meantime, made the block its own.
            self.pass_held(gate, Some(Owed::Sync));
        } else if self.queue.skipping || self.transaction.status == Status::Failed {
            self.relay_held(&mut gate, Some(Owed::Sync));
            gate.at = At::Running;
            self.gate = Some(gate);
        } else if self.is_held() && !self.transaction.ran {
            // What was only planned holds locks, which go with it.
            self.settle(gate, Settle::Rollback(None));
        } else {
            self.end_wrapped(gate);
        }
    }

    /// The sets are read before a statement that may concern them is planned.
    pub(super) fn drained_read(&mut self, gate: Box<Gate>, guards: GuardSet) {
        let guards = self.unread(guards);
        if self.transaction.status == Status::Block && !guards.is_empty() {
            let opening = false;
            self.ask(gate, Purpose::Before { guards, opening });
        }
    }

    /// Whether the sets of `guards` are to be read before a statement that begins with `text` is planned in
    /// this transaction.
    pub(super) fn must_read(&mut self, guards: GuardSet, text: &[u8]) -> bool {
        let open = self.transaction.status == Status::Block
            || self.transaction.status == Status::Idle && self.transaction.is_wrapped();
        if !self.covers || !open || self.queue.skipping || self.unread(guards).is_empty() {
            return false;
        }
        self.presume(guards, Takes::of(text));
        !self.unread(guards).is_empty()
    }

    /// The first message of a batch that can run code: the guarded tables must be known by now.
    pub(super) fn drained_watch(&mut self, gate: Box<Gate>) {
        if self.transaction.status == Status::Idle {
            self.ask(gate, Purpose::Tables);
        }
    }
}
