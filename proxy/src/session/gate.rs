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
    Action, Side, Tale,
    names::Class,
    ours::{self, Protocol},
    owed::Owed,
    ready::Ready,
    script::Script,
};
use crate::wire::{
    backend::{self, Status},
    frame::HEADER_LEN,
};
use bytes::{Bytes, BytesMut};
use pgpawl_policy::{
    guard::GuardSet,
    question::{Row, Snapshot},
    rule::Mode,
    verdict::{Allowed, Change, Finding, Judgement, Refusal, Stage, Unverifiable, Verdict},
};

/// The message that is held.
#[derive(Debug)]
pub(super) enum Cause {
    /// Only until nothing is owed: then it is looked at again.
    Drain,
    /// A message that is refused whatever the database says, with the reason.
    Refuse(&'static str),
    /// A simple Query.
    Query(Script),
    /// An Execute.
    Execute(Class),
    /// The Sync that ends a transaction that we wrapped.
    Sync,
}

impl Cause {
    pub(super) const fn protocol(&self) -> Protocol {
        match self {
            Self::Query(_) => Protocol::Simple,
            Self::Drain | Self::Refuse(_) | Self::Execute(_) | Self::Sync => Protocol::Extended,
        }
    }
}

/// Why a set is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Purpose {
    /// Before the first statement that may concern these guards, behind our BEGIN where `opening`.
    Before { guards: GuardSet, opening: bool },
    /// After a statement, or before the commit.
    After(Stage),
}

/// A question under way.
#[derive(Debug)]
pub(super) struct Asking {
    pub(super) purpose: Purpose,
    /// Statements of the batch that have completed.
    pub(super) completed: usize,
    pub(super) rows: Vec<Row>,
    pub(super) answer_len: usize,
    pub(super) failed: Option<Unverifiable>,
}

/// Leave to commit: by a verdict, or because no guard's set was ever in question.
#[derive(Debug)]
pub(super) enum Leave {
    Judged(Allowed),
    NothingAsked,
}

/// How a transaction is ended by us.
#[derive(Debug)]
pub(super) enum Settle {
    Commit(#[expect(dead_code, reason = "no COMMIT of ours without leave")] Leave),
    Rollback(Option<Refusal>),
    /// The client believes in no block, and the next part needs one: the server shall say so.
    Unwrap,
}

/// Where the gate is.
#[derive(Debug)]
pub(super) enum At {
    Draining,
    Asking(Asking),
    /// Back to the savepoint of a question that failed.
    Recovering(Purpose, Unverifiable),
    /// The client's message, or a part of it, is with the server.
    Running,
    /// Our COMMIT or ROLLBACK is with the server; the error that it was answered by, if any.
    Settling(Settle, Option<Bytes>),
    /// A statement of ours makes the server fail; then the client is told the refusal.
    Failing(Refusal),
}

#[derive(Debug)]
pub(super) struct Gate {
    pub(super) cause: Cause,
    pub(super) at: At,
    /// The held message's length in the client's window.
    pub(super) frame_len: usize,
    /// It was relayed or dropped.
    pub(super) consumed: bool,
    /// Answers that wait for the verdict: at most one CommandComplete.
    pub(super) held: BytesMut,
}

impl Gate {
    pub(super) fn new(cause: Cause, frame_len: usize) -> Self {
        Self {
            cause,
            at: At::Draining,
            frame_len,
            consumed: false,
            held: BytesMut::new(),
        }
    }
}

impl Ready {
    /// The gate's turn: only a drained queue moves it without a word from the server.
    pub(super) fn step_gate(&mut self, window: &[u8]) {
        if !self.queue.is_empty() || self.server_rest > 0 {
            return;
        }
        let Some(gate) = self.gate.take_if(|gate| matches!(gate.at, At::Draining)) else {
            return;
        };
        let Some(frame) = window.get(..gate.frame_len) else {
            self.client_need = gate.frame_len;
            self.gate = Some(gate);
            return;
        };
        self.again = true;
        match &gate.cause {
            Cause::Drain => {}
            _ if self.queue.skipping && !matches!(gate.cause, Cause::Sync) => {
                self.pass_held(gate, None);
            }
            Cause::Refuse(why) => {
                let message = format!("pgpawl: {why}");
                self.fail(
                    gate,
                    Refusal {
                        sqlstate: "0A000",
                        message,
                        detail: None,
                        hint: None,
                    },
                );
            }
            Cause::Query(_) => {
                let text = frame
                    .get(HEADER_LEN..gate.frame_len - 1)
                    .unwrap_or_default();
                self.drained_query(gate, text);
            }
            Cause::Execute(_) => self.drained_execute(gate),
            Cause::Sync => self.drained_sync(gate),
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
        if matches!(owed, Some(Owed::Sync)) {
            self.transaction.synced();
        }
        if let Some(owed) = owed {
            self.queue.push(owed);
        }
    }

    /// Reads version sets, in the transaction that is open or that our BEGIN opens.
    pub(super) fn ask(&mut self, mut gate: Box<Gate>, purpose: Purpose) {
        let protocol = gate.cause.protocol();
        let opening = matches!(purpose, Purpose::Before { opening: true, .. });
        let guards = self.guards_of(purpose);
        let bytes = if guards.is_empty() {
            protocol.begin()
        } else {
            let nothing = Snapshot::default();
            let before = match (purpose, &self.transaction.touch) {
                (Purpose::After(_), Some(touch)) => &touch.before,
                _ => &nothing,
            };
            protocol.question(
                &self.shared.guarding.guards.question(guards, before),
                opening,
            )
        };
        self.queue.push(Owed::Ours);
        self.send(Side::Server, bytes);
        self.tell(Tale::EvaluationBegan);
        gate.at = At::Asking(Asking {
            purpose,
            completed: 0,
            rows: Vec::new(),
            answer_len: 0,
            failed: None,
        });
        self.gate = Some(gate);
    }

    /// The batch of a question came to its ReadyForQuery.
    pub(super) fn asked(&mut self, gate: Box<Gate>, asking: Asking, status: Status) {
        self.tell(Tale::EvaluationEnded);
        self.transaction.reported(status);
        let opening = matches!(asking.purpose, Purpose::Before { opening: true, .. });
        let guards = self.guards_of(asking.purpose);
        if opening && asking.completed > 0 {
            self.transaction.touch.get_or_insert_default().wrapped = true;
        }
        if let Some(why) = asking.failed {
            if status == Status::Failed && asking.completed >= ours::places(opening).savepoint {
                self.recover(gate, asking.purpose, why);
            } else {
                self.unverified(gate, asking.purpose, &why);
            }
            return;
        }
        if guards.is_empty() {
            return self.go_on(gate, asking.purpose, Leave::NothingAsked);
        }
        match self.shared.guarding.guards.answer(guards, &asking.rows) {
            Ok(snapshot) => self.judge(gate, asking.purpose, snapshot),
            Err(_) => self.unverified(gate, asking.purpose, &Unverifiable::BadAnswer),
        }
    }

    fn guards_of(&self, purpose: Purpose) -> GuardSet {
        match purpose {
            Purpose::Before { guards, .. } => guards,
            Purpose::After(_) => self.transaction.to_verify(),
        }
    }

    fn recover(&mut self, mut gate: Box<Gate>, purpose: Purpose, why: Unverifiable) {
        self.queue.push(Owed::Ours);
        let bytes = gate.cause.protocol().recover();
        self.send(Side::Server, bytes);
        gate.at = At::Recovering(purpose, why);
        self.gate = Some(gate);
    }

    fn judge(&mut self, gate: Box<Gate>, purpose: Purpose, snapshot: Snapshot) {
        match purpose {
            Purpose::Before { guards, .. } => {
                let touch = self.transaction.touch.get_or_insert_default();
                touch.before.merge(snapshot);
                touch.asked = touch.asked.union(guards);
                self.go_on(gate, purpose, Leave::NothingAsked);
            }
            Purpose::After(stage) => {
                let Some(touch) = &self.transaction.touch else {
                    return self.go_on(gate, purpose, Leave::NothingAsked);
                };
                let shared = self.shared.clone();
                let judgement = shared
                    .guarding
                    .judge(&self.who, stage, &touch.before, &snapshot);
                self.decide(gate, purpose, judgement);
            }
        }
    }

    /// A set could not be read.
    pub(super) fn unverified(&mut self, gate: Box<Gate>, purpose: Purpose, why: &Unverifiable) {
        let guards = self.guards_of(purpose);
        let judgement = self.shared.guarding.unverifiable(&self.who, guards, why);
        if matches!(judgement.verdict, Verdict::Allow(_)) {
            let touch = self.transaction.touch.get_or_insert_default();
            touch.asked = touch.asked.union(guards);
            touch.blind = touch.blind.union(guards);
        }
        self.decide(gate, purpose, judgement);
    }

    fn decide(&mut self, gate: Box<Gate>, purpose: Purpose, judgement: Judgement) {
        let Judgement {
            verdict,
            findings,
            observations,
        } = judgement;
        self.outbox
            .extend(observations.into_iter().map(Action::Record));
        // A statement that may stand is told of when its transaction is judged.
        let passing =
            purpose == Purpose::After(Stage::Statement) && matches!(verdict, Verdict::Allow(_));
        if !findings.is_empty() && !passing {
            self.warn(&findings);
            let (statement, fingerprint) = match &self.transaction.touch {
                Some(touch) => (touch.statement.as_slice(), touch.fingerprint),
                None => (&b""[..], 0),
            };
            let tale = Tale::Judged {
                who: self.who.clone(),
                findings,
                fingerprint: format!("{fingerprint:016x}"),
                statement: String::from_utf8_lossy(statement).into_owned(),
            };
            self.tell(tale);
        }
        match verdict {
            Verdict::Allow(allowed) => self.go_on(gate, purpose, Leave::Judged(allowed)),
            Verdict::Refuse(refusal) => self.refuse(gate, purpose, refusal),
        }
    }

    /// In log mode the client may be told what enforce mode would have said.
    fn warn(&mut self, findings: &[Finding]) {
        if !self.shared.warn_in_log_mode {
            return;
        }
        for finding in findings {
            if finding.refused || finding.mode != Mode::Log || finding.change != Change::Lowered {
                continue;
            }
            let show =
                |version: &Option<String>| version.clone().unwrap_or_else(|| "none".to_owned());
            let refusal = Refusal {
                sqlstate: "01000",
                message: format!(
                    "pgpawl: would refuse to lower the schema version of \"{}\" ({}) from {} to {}",
                    self.who.database,
                    finding.tool,
                    show(&finding.from),
                    show(&finding.to)
                ),
                detail: None,
                hint: None,
            };
            let bytes = backend::warning(&self.in_its_encoding(&refusal));
            self.send(Side::Client, bytes);
        }
    }

    /// What follows when the answer to a question stands in nobody's way.
    fn go_on(&mut self, gate: Box<Gate>, purpose: Purpose, leave: Leave) {
        match (&gate.cause, purpose) {
            (Cause::Query(_), Purpose::Before { .. }) => self.send_part(gate),
            (Cause::Query(_), Purpose::After(Stage::Statement)) => self.next_part(gate),
            (Cause::Query(script), Purpose::After(Stage::Transaction))
                if script.part().is_some() =>
            {
                self.send_part(gate);
            }
            (Cause::Execute(_), Purpose::Before { .. } | Purpose::After(Stage::Transaction)) => {
                self.send_execute(gate);
            }
            (Cause::Execute(_), Purpose::After(Stage::Statement)) => {
                let mut gate = gate;
                self.release(&mut gate);
            }
            (Cause::Query(_) | Cause::Sync, Purpose::After(Stage::Transaction)) => {
                self.settle(gate, Settle::Commit(leave));
            }
            (Cause::Sync | Cause::Drain | Cause::Refuse(_), _) => {}
        }
    }

    /// The client gets `refusal` in place of what it asked for; the server is made to fail where it
    /// would have run, so that its transaction is what the client is told.
    fn refuse(&mut self, mut gate: Box<Gate>, purpose: Purpose, refusal: Refusal) {
        gate.held.clear();
        let ends = purpose == Purpose::After(Stage::Transaction);
        match &gate.cause {
            Cause::Query(_) | Cause::Sync | Cause::Execute(_)
                if ends && self.transaction.status != Status::Idle =>
            {
                self.settle(gate, Settle::Rollback(Some(refusal)));
            }
            Cause::Query(_) => match self.transaction.status {
                Status::Block | Status::Failed if self.transaction.is_wrapped() => {
                    self.settle(gate, Settle::Rollback(Some(refusal)));
                }
                Status::Block => self.fail(gate, refusal),
                Status::Failed | Status::Idle => {
                    self.send_refusal(&refusal);
                    self.finish(gate);
                }
            },
            Cause::Sync | Cause::Execute(_) | Cause::Drain | Cause::Refuse(_) => {
                self.fail(gate, refusal);
            }
        }
    }

    /// Makes the server fail.
    pub(super) fn fail(&mut self, mut gate: Box<Gate>, refusal: Refusal) {
        let protocol = gate.cause.protocol();
        self.queue.push(Owed::Refused);
        self.send(Side::Server, protocol.fail());
        gate.at = At::Failing(refusal);
        self.gate = Some(gate);
    }

    /// Ends the transaction.
    pub(super) fn settle(&mut self, mut gate: Box<Gate>, settle: Settle) {
        let protocol = gate.cause.protocol();
        self.queue.push(Owed::Ours);
        let bytes = match settle {
            Settle::Commit(_) => protocol.commit(),
            Settle::Rollback(_) | Settle::Unwrap => protocol.rollback(),
        };
        self.send(Side::Server, bytes);
        gate.at = At::Settling(settle, None);
        self.gate = Some(gate);
    }

    /// The transaction is ended.
    pub(super) fn settled(
        &mut self,
        mut gate: Box<Gate>,
        settle: Settle,
        error: Option<Bytes>,
        status: Status,
    ) {
        self.transaction.reported(status);
        if let Some(error) = error {
            gate.held.clear();
            self.send(Side::Client, error);
        }
        match (settle, &gate.cause) {
            (Settle::Rollback(Some(refusal)), Cause::Execute(_)) => self.fail(gate, refusal),
            (Settle::Rollback(Some(refusal)), _) => {
                self.send_refusal(&refusal);
                self.finish(gate);
            }
            (Settle::Unwrap, _) => self.send_part(gate),
            (Settle::Commit(_) | Settle::Rollback(None), _) => self.finish(gate),
        }
    }

    /// Gives the client what was held back.
    pub(super) fn release(&mut self, gate: &mut Gate) {
        if !gate.held.is_empty() {
            let bytes = gate.held.split().freeze();
            self.send(Side::Client, bytes);
        }
    }

    /// The held message is answered to its end: what is held, and the status as it is now.
    pub(super) fn finish(&mut self, mut gate: Box<Gate>) {
        self.release(&mut gate);
        self.drop_held(&mut gate);
        if matches!(gate.cause, Cause::Sync) {
            self.transaction.synced();
        }
        let status = self.transaction.status;
        self.send(Side::Client, backend::ready_for_query(status));
        self.again = true;
    }

    /// The held message never goes to the server.
    pub(super) fn drop_held(&mut self, gate: &mut Gate) {
        if !gate.consumed {
            gate.consumed = true;
            self.client_drop = gate.frame_len;
        }
    }
}
