//! What happens at a gate, for each kind of held message: a Query in its parts, an Execute, a Sync.

use super::{
    Action, Side,
    client::contains_word,
    gate::{At, Cause, Gate, Leave, Next, Purpose, Settle, Then, Told},
    ours,
    owed::Owed,
    ready::Ready,
    runs::Order,
    savepoints::OUR_SAVEPOINT,
    script::{self, Part, is_control},
    transaction::Noted,
    words::{is_chain, no_block, refusal},
};
use crate::wire::{backend::Status, frontend};
use bytes::Bytes;
use pgpawl_policy::{
    guard::GuardSet,
    profile::Judge,
    statement::Kind,
    upkeep::upkeep,
    verdict::{Stage, Unverifiable},
};

impl Ready {
    /// Nothing is owed: now the settings that decide where a token ends are known for sure.
    pub(super) fn drained_query(&mut self, mut gate: Box<Gate>, text: &[u8]) {
        let function = matches!(&gate.cause, Cause::Query(script) if script.function);
        let read = if function {
            Ok(self.function())
        } else {
            self.read(text)
        };
        let parts = match read {
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
        // Behind a change of a history it does not wait: if that is a lowering, what others hold goes with it.
        let changes = |part: &Part| !part.guards.is_empty();
        if !parts.iter().any(changes)
            && self.transaction.to_verify().is_empty()
            && self.does_something_else(text)
        {
            return self.wait_for_others(gate, Order::Commit, Next::Look);
        }
        if self.is_outside() && upkeep(text).is_some() {
            return self.commit_held(gate, "statement", Then::Look);
        }
        if let Some(care) = self.care_for(text).filter(|_| !function) {
            return self.take_care(gate, &care);
        }
        if self.takes_our_name(text, &parts) {
            return self.fail(gate, Told::Refusal(refusal(OUR_SAVEPOINT)));
        }
        if parts.is_empty() {
            let Cause::Query(script) = &gate.cause else {
                return;
            };
            let owed = script.owed();
            return self.pass_held(gate, Some(owed));
        }
        let may_commit_inside = parts.first().is_some_and(|part| {
            script::may_commit_inside(text.get(part.range.clone()).unwrap_or_default())
        });
        let ends = parts.first().is_some_and(|part| {
            matches!(part.kind, Kind::Commit { .. } | Kind::PrepareTransaction)
        });
        let several = parts.len() > 1 || may_commit_inside || self.covers && ends || self.is_held();
        let named = parts.iter().any(|part| !part.guards.is_empty());
        if let Cause::Query(script) = &mut gate.cause {
            script.noted = named.then(|| Noted::of(text));
            script.copies = contains_word(text, b"copy");
            script.parts = parts;
            script.read_by = self.reported.clone();
            script.text = several.then(|| Bytes::copy_from_slice(text));
        }
        if several {
            self.drop_held(&mut gate);
        }
        self.run_part(gate);
    }

    pub(super) fn note(&mut self, text: &[u8]) {
        self.transaction.touch.get_or_insert_default().noted = Noted::of(text);
    }

    /// The guards of a part whose sets were not read yet in this transaction.
    pub(super) fn unread(&self, guards: GuardSet) -> GuardSet {
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
        if script.next > 0 && script.read_by != self.reported {
            // Code changed the settings by which what is left was divided: whatever the mode, it is
            // not what the client sent any more.
            let guards = self.transaction.to_verify();
            let why = Unverifiable::SettingsChanged;
            let judgement = self.shared.guarding.unverifiable(&self.who, guards, &why);
            self.told(judgement);
            let refusal = refusal(
                "a function changed client_encoding or standard_conforming_strings \
                within a text of several statements",
            );
            return self.refuse(
                gate,
                Purpose::Before {
                    guards,
                    opening: false,
                },
                refusal,
            );
        }
        if self.is_outside() && part.manner.first {
            return self.commit_held(gate, "statement", Then::Part);
        }
        let (kind, manner, settings) = (part.kind.clone(), part.manner, part.settings.clone());
        let text = if self.is_held() {
            script.text_of(part)
        } else {
            Vec::new()
        };
        self.note_manner(manner);
        for setting in &settings {
            self.note_setting(setting);
        }
        let Some(gate) = self.control_held(gate, &kind, &text) else {
            return;
        };
        let Cause::Query(script) = &gate.cause else {
            return;
        };
        let Some(part) = script.part() else {
            return;
        };
        let held = self.is_held();
        let status = self.transaction.status;
        let ends = matches!(part.kind, Kind::Commit { .. } | Kind::PrepareTransaction);
        let needs_block =
            matches!(part.kind, Kind::Savepoint | Kind::Release) || is_chain(&part.kind);
        if needs_block && self.transaction.is_wrapped() {
            return self.settle(gate, Settle::Unwrap);
        }
        if ends && status == Status::Block && self.is_sealed() && !is_chain(&part.kind) {
            let text = script.text_of(part);
            if self.transaction.is_wrapped()
                && let Some(bytes) = no_block(&part.kind)
            {
                self.send(Side::Client, bytes);
            }
            return self.seal(gate, &text);
        }
        if ends && status == Status::Block && self.must_ask() {
            return self.ask_or_hold(gate);
        }
        let opening = status == Status::Idle
            && !script::is_control(&part.kind)
            && (!script.is_whole() || !part.guards.is_empty() || self.covers && part.runs || held);
        let guards = part.guards;
        if let Some(noted) = script.noted.as_ref().filter(|_| !guards.is_empty()) {
            let noted = noted.clone();
            self.names(noted, guards);
        }
        let guards = self.to_read(guards);
        if (opening || part.kind == Kind::Begin) && self.lists_first() {
            return self.ask(gate, Purpose::Tables);
        }
        if opening
            && self.covers
            && !held
            && part.guards.is_empty()
            && script.is_whole()
            && !self.has_tables()
        {
            return self.send_part(gate);
        }
        if opening && self.covers && guards.is_empty() && !part.first {
            self.open();
            return self.send_part(gate);
        }
        if status != Status::Failed && (opening || !guards.is_empty()) {
            self.ask(gate, Purpose::Before { guards, opening });
        } else {
            self.send_part(gate);
        }
    }

    /// Whether an answer to these guards' statements is judged before the client gets it.
    pub(super) fn is_judged_early(&self, guards: GuardSet) -> bool {
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
        let Some(part) = script.part() else {
            // It could not be read, and may pass all the same.
            let owed = script.owed();
            return self.pass_held(gate, Some(owed));
        };
        let outer = part.kind == Kind::Savepoint && self.needs_outer();
        if outer {
            self.queue.push(Owed::Ours);
            self.send(Side::Server, gate.cause.protocol().outer());
            self.transaction.outer = true;
        }
        if self.transaction.is_wrapped()
            && let Some(bytes) = no_block(&part.kind)
        {
            self.outbox.push_back(Action::Send {
                to: Side::Client,
                bytes,
            });
        }
        if script.text.is_some() {
            let bytes = frontend::raw_query(&script.text_of(part)).unwrap_or_else(frontend::flush);
            self.queue.push(Owed::Query);
            self.send(Side::Server, bytes);
            if self.may_ask_ahead(&gate) {
                self.ask_ahead(&mut gate);
            }
        } else {
            let watched = outer
                || self.transaction.is_wrapped()
                || is_chain(&part.kind)
                || self.is_judged_early(part.guards);
            if !watched {
                let owed = script.owed();
                return self.pass_held(gate, Some(owed));
            }
            let owed = script.owed();
            let ahead = script.is_whole() && self.is_sealed() && self.transaction.is_wrapped();
            let ahead = ahead && !script.copies && !is_control(&part.kind);
            self.relay_held(&mut gate, Some(owed));
            if ahead {
                self.seal_ahead(&mut gate);
            }
        }
        gate.at = if outer { At::Outer } else { At::Running };
        self.gate = Some(gate);
    }

    /// A part was answered up to its ReadyForQuery.
    pub(super) fn part_done(&mut self, mut gate: Box<Gate>) {
        let status = self.transaction.status;
        let Cause::Query(script) = &mut gate.cause else {
            return;
        };
        if script.commits_inside && status == Status::Failed {
            script.commits_inside = false;
            script.failed = false;
            return self.unverified(gate, Purpose::Inside, &Unverifiable::CommitsInside);
        }
        if let Some(at) = gate.ahead.take() {
            gate.at = at;
            if let Cause::Query(script) = &mut gate.cause {
                script.next += 1;
            }
            self.gate = Some(gate);
            return;
        }
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
            self.transaction.chained();
        }
        let judged_at_end = last && self.transaction.is_wrapped();
        if self.is_judged_early(guards) && !judged_at_end {
            self.ask(gate, Purpose::After(Stage::Statement));
        } else {
            self.next_part(gate);
        }
    }

    pub(super) fn next_part(&mut self, mut gate: Box<Gate>) {
        gate.claim = None;
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
        if self.transaction.is_wrapped() {
            self.end_wrapped(gate);
        } else {
            self.finish(gate);
        }
    }

    /// A transaction that we wrapped is checked and committed.
    pub(super) fn end_wrapped(&mut self, gate: Box<Gate>) {
        if self.may_glance(&gate) {
            self.glance(gate);
        } else if self.is_sealed() {
            self.seal(gate, ours::COMMIT.as_bytes());
        } else if self.must_ask() {
            self.ask_or_hold(gate);
        } else {
            self.settle(gate, Settle::Commit(Leave::NothingAsked));
        }
    }

    /// Whether there is anything to ask for before a commit.
    pub(super) fn must_ask(&self) -> bool {
        self.covers || !self.transaction.to_verify().is_empty()
    }
}
