//! What happens at a gate, for each kind of held message: a Query in its parts, an Execute, a Sync.

use super::{
    Side,
    gate::{At, Cause, Gate, Leave, Purpose, Settle},
    names::Class,
    owed::Owed,
    ready::Ready,
    script::{self, PARTS_MAX, Part, Script},
};
use crate::wire::{backend::Status, frontend};
use bytes::Bytes;
use pgpawl_policy::{
    guard::GuardSet,
    profile::Judge,
    statement::{self, Kind, Odd},
    verdict::{Stage, Unverifiable},
};

impl Ready {
    /// Nothing is owed: now the settings that decide where a token ends are known for sure.
    pub(super) fn drained_query(&mut self, mut gate: Box<Gate>, text: &[u8]) {
        let parts = match self.read(text) {
            Ok(parts) => parts,
            Err(why) => {
                let guards = self.transaction.to_verify();
                self.note(text);
                return self.unverified(
                    gate,
                    Purpose::Before {
                        guards,
                        opening: false,
                    },
                    &why,
                );
            }
        };
        if parts.is_empty() {
            return self.pass_held(gate, Some(Owed::Query));
        }
        let several = parts.len() > 1;
        if parts.iter().any(|part| !part.guards.is_empty()) {
            self.note(text);
        }
        if let Cause::Query(script) = &mut gate.cause {
            script.parts = parts;
            script.text = several.then(|| Bytes::copy_from_slice(text));
        }
        if several {
            self.drop_held(&mut gate);
        }
        self.run_part(gate);
    }

    fn note(&mut self, text: &[u8]) {
        self.transaction.touch.get_or_insert_default().note(text);
    }

    /// The parts of a Query that must be checked; none: it passes as it is.
    fn read(&mut self, text: &[u8]) -> Result<Vec<Part>, Unverifiable> {
        let touched = self.transaction.touch.is_some();
        let statements = match statement::statements(text, self.reported.lexical()) {
            Ok(statements) => statements,
            Err(odd) => return self.read_odd(text, odd),
        };
        let shared = self.shared.clone();
        let mut classes = Vec::with_capacity(statements.len());
        for statement in statements {
            let mut class = script::concern(&shared.guarding.screen, text, &statement, |name| {
                self.executed(name)
            });
            self.note_hidden_prepare(text, &class);
            if let Kind::Prepare(name) = &class.kind {
                self.prepared(&name.clone(), class.guards);
                class = Class::PLAIN;
            }
            classes.push((statement.range, class));
        }
        let controls = classes
            .iter()
            .any(|(_, class)| script::is_control(&class.kind));
        let concerned = classes.iter().any(|(_, class)| !class.guards.is_empty());
        let checked = concerned || touched && controls || self.transaction.is_wrapped();
        if !checked {
            return Ok(Vec::new());
        }
        let mut parts = script::parts(classes);
        if parts.is_empty() {
            // Even an empty Query ends a transaction that the client believes to be implicit.
            parts.push(Part {
                range: 0..text.len(),
                kind: Kind::Other,
                guards: GuardSet::EMPTY,
            });
        }
        if parts.len() > PARTS_MAX {
            return Err(Unverifiable::LimitReached("parts_max"));
        }
        Ok(parts)
    }

    /// A text whose statements cannot be told apart is one part, unless it may end the transaction.
    fn read_odd(&mut self, text: &[u8], odd: Odd) -> Result<Vec<Part>, Unverifiable> {
        let guards = self
            .shared
            .guarding
            .screen
            .mentions(text)
            .union(self.executed(b""));
        if guards.is_empty() && self.transaction.touch.is_none() {
            return Ok(Vec::new());
        }
        let ends = [&b"commit"[..], b"end", b"prepare", b"rollback", b"abort"];
        if ends
            .iter()
            .any(|word| super::client::contains_word(text, word))
        {
            return Err(Unverifiable::Boundaries(odd));
        }
        Ok(vec![Part {
            range: 0..text.len(),
            kind: Kind::Other,
            guards,
        }])
    }

    /// The guards of a part whose sets were not read yet in this transaction.
    fn unread(&self, guards: GuardSet) -> GuardSet {
        self.transaction
            .touch
            .as_ref()
            .map_or(guards, |touch| guards.without(touch.asked))
    }

    pub(super) fn run_part(&mut self, gate: Box<Gate>) {
        let Cause::Query(script) = &gate.cause else {
            return;
        };
        let Some(part) = script.part() else {
            return self.end_script(gate);
        };
        let status = self.transaction.status;
        let ends = matches!(part.kind, Kind::Commit { .. } | Kind::PrepareTransaction);
        if ends && status == Status::Block && !self.transaction.to_verify().is_empty() {
            return self.ask(gate, Purpose::After(Stage::Transaction));
        }
        if part.kind == Kind::Savepoint && self.transaction.is_wrapped() {
            return self.settle(gate, Settle::Unwrap);
        }
        let opening = status == Status::Idle
            && !script::is_control(&part.kind)
            && (!script.is_whole() || !part.guards.is_empty());
        let guards = self.unread(part.guards);
        if status != Status::Failed && (opening || !guards.is_empty()) {
            self.ask(gate, Purpose::Before { guards, opening });
        } else {
            self.send_part(gate);
        }
    }

    /// Whether an answer to these guards' statements is judged before the client gets it.
    fn is_judged_early(&self, guards: GuardSet) -> bool {
        self.transaction.status == Status::Block
            && self
                .shared
                .guarding
                .guards
                .of(guards)
                .any(|(_, guard)| guard.profile.judge == Judge::Statement)
    }

    pub(super) fn send_part(&mut self, mut gate: Box<Gate>) {
        let Cause::Query(script) = &gate.cause else {
            return;
        };
        let Some(part) = script.part() else { return };
        if let Some(_text) = &script.text {
            let bytes = frontend::raw_query(&script.text_of(part)).unwrap_or_else(frontend::flush);
            self.queue.push(Owed::Query);
            self.send(Side::Server, bytes);
        } else {
            let watched = self.transaction.is_wrapped()
                || is_chain(&part.kind)
                || self.is_judged_early(part.guards);
            if !watched {
                return self.pass_held(gate, Some(Owed::Query));
            }
            self.relay_held(&mut gate, Some(Owed::Query));
        }
        gate.at = At::Running;
        self.gate = Some(gate);
    }

    /// A part was answered up to its ReadyForQuery.
    pub(super) fn part_done(&mut self, mut gate: Box<Gate>) {
        let status = self.transaction.status;
        let Cause::Query(script) = &mut gate.cause else {
            return;
        };
        if script.failed {
            if self.transaction.is_wrapped() && status == Status::Failed {
                self.settle(gate, Settle::Rollback(None));
            } else {
                self.finish(gate);
            }
            return;
        }
        let Some(part) = script.part() else {
            return self.finish(gate);
        };
        let last = script.next + 1 == script.parts.len();
        let guards = part.guards;
        if part.kind == Kind::Begin
            && let Some(touch) = &mut self.transaction.touch
        {
            touch.wrapped = false;
        }
        if is_chain(&part.kind) && status == Status::Block {
            // A new transaction, of which nothing is known.
            self.transaction.touch = None;
        }
        let judged_at_end = last && self.transaction.is_wrapped();
        if self.is_judged_early(guards) && !judged_at_end {
            self.ask(gate, Purpose::After(Stage::Statement));
        } else {
            self.next_part(gate);
        }
    }

    pub(super) fn next_part(&mut self, mut gate: Box<Gate>) {
        let mut more = false;
        if let Cause::Query(script) = &mut gate.cause {
            script.next += 1;
            more = script.part().is_some();
        }
        if more {
            self.release(&mut gate);
        }
        self.run_part(gate);
    }

    /// All parts ran: a transaction that we wrapped around them is checked and committed.
    fn end_script(&mut self, gate: Box<Gate>) {
        if !self.transaction.is_wrapped() {
            self.finish(gate);
        } else if self.transaction.to_verify().is_empty() {
            self.settle(gate, Settle::Commit(Leave::NothingAsked));
        } else {
            self.ask(gate, Purpose::After(Stage::Transaction));
        }
    }

    pub(super) fn drained_execute(&mut self, gate: Box<Gate>) {
        let Cause::Execute(class) = &gate.cause else {
            return;
        };
        let status = self.transaction.status;
        if status == Status::Failed {
            return self.pass_held(gate, Some(Owed::Execute(None)));
        }
        if script::is_control(&class.kind) {
            let verify = status == Status::Block && !self.transaction.to_verify().is_empty();
            if verify {
                self.ask(gate, Purpose::After(Stage::Transaction));
            } else {
                self.send_execute(gate);
            }
            return;
        }
        let opening = status == Status::Idle;
        let guards = self.unread(class.guards);
        let text = class.text.clone();
        if let Some(text) = text {
            self.note(&text);
        }
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
        if !self.transaction.is_wrapped() {
            // A BEGIN of the client's, answered in the meantime, made the block its own.
            self.pass_held(gate, Some(Owed::Sync));
        } else if self.queue.skipping || self.transaction.status == Status::Failed {
            self.relay_held(&mut gate, Some(Owed::Sync));
            gate.at = At::Running;
            self.gate = Some(gate);
        } else if self.transaction.to_verify().is_empty() {
            self.settle(gate, Settle::Commit(Leave::NothingAsked));
        } else {
            self.ask(gate, Purpose::After(Stage::Transaction));
        }
    }
}

/// Ends a transaction and begins another.
const fn is_chain(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::Commit { chain: true } | Kind::Rollback { chain: true }
    )
}

impl Script {
    /// Whether an error answered one of its parts.
    pub(super) fn fail(&mut self) {
        self.failed = true;
    }
}
