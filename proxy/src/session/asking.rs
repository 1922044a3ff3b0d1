//! A gate's questions: what is asked, what the answer means, and what is told of it.

use super::{
    Action, Side, Tale,
    gate::{Asking, Cause, Gate, Leave, Next, Purpose, Settle, Told},
    hold::Facts,
    ours::Place,
    ready::Ready,
    runs::Order,
    words::is_chain,
};
use crate::wire::backend::{self, Status};
use pgpawl_policy::{
    guard::GuardSet,
    question::Snapshot,
    rule::Mode,
    verdict::{Change, Finding, Judgement, Refusal, Stage, Unverifiable, Verdict},
};

/// The most things told of one transaction's statements that are remembered, not to be told twice.
const TOLD_MAX: usize = 64;

impl Ready {
    /// The batch of a question came to its ReadyForQuery.
    pub(super) fn asked(&mut self, mut gate: Box<Gate>, mut asking: Asking, status: Status) {
        self.tell(Tale::EvaluationEnded);
        let opening = matches!(asking.purpose, Purpose::Before { opening: true, .. });
        if opening && asking.completed > 0 {
            self.transaction.began();
        }
        self.transaction.reported(status);
        if let Purpose::Upkeep(step) = asking.purpose {
            return self.cared(gate, step, &asking);
        }
        if gate.cause.has_failed() {
            // What it was sent behind failed.
            return self.settle(gate, Settle::Rollback(None));
        }
        if !gate.closed {
            gate.writable = asking.known.writable;
        }
        if matches!(asking.place, Place::Ending { sealed: true, .. }) && asking.failed.is_none() {
            gate.closed = true;
            self.transaction.outer = false;
        }
        let guards = self.guards_of(asking.purpose);
        if opening && asking.completed > 0 {
            self.transaction.touch.get_or_insert_default().wrapped = true;
        }
        if let Some(error) = asking.commit_failed {
            return self.commit_failed(gate, error);
        }
        if let Some(why) = asking.failed.take() {
            let gone = self.is_gone(&asking, &why);
            match asking.purpose {
                // Without our statements it is asked again.
                Purpose::Tables => self.transaction.unlisted = !gone,
                Purpose::Tell(_) => self.record_untold(gone, &why),
                _ => {}
            }
            if asking.place == Place::Apart {
                return self.unlisted(gate, status);
            }
            if status == Status::Failed && asking.completed >= asking.place.savepoint() {
                gate.in_full |= gone;
                self.recover(gate, asking.purpose, (!gone).then_some(why));
            } else {
                self.unverified(gate, asking.purpose, &why);
            }
            return;
        }
        if guards.is_empty() {
            return self.go_on(gate, asking.purpose, Leave::NothingAsked);
        }
        self.have_statements();
        if asking.purpose == Purpose::After(Stage::Transaction) {
            if asking.known.called && self.covers && self.enforces() {
                return self.unverified(gate, asking.purpose, &Unverifiable::IndexBuild);
            }
            if self.renames_unseen(&asking) {
                return self.unverified(gate, asking.purpose, &Unverifiable::DatabaseHidden);
            }
        }
        match self.shared.guarding.guards.answer(guards, &asking.rows) {
            Ok(snapshot) => self.judge(gate, &asking, snapshot),
            Err(_) => self.unverified(gate, asking.purpose, &Unverifiable::BadAnswer),
        }
    }

    /// Whether nothing may write between our look and the commit: where a lowering is refused at all.
    /// AND CHAIN would hand the mode on to the next transaction, so it is ours then.
    pub(super) fn seals(&self, cause: &Cause) -> bool {
        let chains = cause.kind().is_some_and(is_chain);
        (self.covers || !chains) && self.enforces() && !self.may_hold()
    }

    /// Whether a transaction is compared with what is committed, whatever its statements named.
    pub(super) const fn compares(&self) -> bool {
        self.covers && !self.lent
    }

    pub(super) fn guards_of(&self, purpose: Purpose) -> GuardSet {
        match purpose {
            Purpose::Before { guards, .. } | Purpose::Tell(guards) => guards,
            Purpose::Tables => self.shared.guarding.guards.all(),
            Purpose::Upkeep(_) => self.watched,
            Purpose::After(Stage::Transaction) if self.compares() => self.watched,
            Purpose::After(Stage::Transaction) if self.transaction.to_verify().is_empty() => {
                self.watched
            }
            Purpose::After(_) | Purpose::Inside => self.transaction.to_verify(),
        }
    }

    fn judge(&mut self, gate: Box<Gate>, asking: &Asking, snapshot: Snapshot) {
        let purpose = asking.purpose;
        match purpose {
            Purpose::Tables => {
                self.learn(&snapshot, asking.known.now_ms);
                self.transaction.unlisted = self.shared.present.is_stale(&self.who.database);
                self.go_on(gate, purpose, Leave::NothingAsked);
            }
            Purpose::Tell(_) => self.tell_record(snapshot),
            Purpose::After(Stage::Transaction) if self.compares() => {
                self.compare(gate, asking, snapshot);
            }
            Purpose::Before { guards, .. } => self.have_read(gate, asking, guards, snapshot),
            Purpose::Inside | Purpose::Upkeep(_) => {
                self.go_on(gate, purpose, Leave::NothingAsked);
            }
            Purpose::After(stage) => {
                let mut gate = gate;
                gate.facts = Facts::of(asking, &snapshot);
                let Some(touch) = &self.transaction.touch else {
                    return self.go_on(gate, purpose, Leave::NothingAsked);
                };
                if self.transaction.to_verify().is_empty() {
                    return self.go_on(gate, purpose, Leave::NothingAsked);
                }
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

    pub(super) fn decide(&mut self, mut gate: Box<Gate>, purpose: Purpose, judgement: Judgement) {
        gate.facts.found = !judgement.findings.is_empty();
        match self.told_at(purpose, judgement) {
            Verdict::Allow(allowed) => self.go_on(gate, purpose, Leave::Judged(allowed)),
            Verdict::Refuse(refusal) => self.refuse(gate, purpose, refusal),
        }
    }

    /// The client gets `refusal` in place of what it asked for; the server is made to fail where it
    /// would have run, so that its transaction is what the client is told.
    pub(super) fn refuse(&mut self, gate: Box<Gate>, purpose: Purpose, refusal: Refusal) {
        if self.others_hold() {
            return self.wait_for_others(gate, Order::Rollback, Next::Refuse(purpose, refusal));
        }
        self.turn_down(gate, purpose, Told::Refusal(refusal));
    }

    /// The same, whatever the client is told.
    pub(super) fn turn_down(&mut self, mut gate: Box<Gate>, purpose: Purpose, told: Told) {
        self.discard(&mut gate);
        if matches!(gate.cause, Cause::Judge) {
            return self.unheld(gate, "refused");
        }
        let ends = purpose == Purpose::After(Stage::Transaction);
        if self.is_held() {
            let own = self.transaction.status != Status::Idle && !self.transaction.is_wrapped();
            return self.undo(gate, told, own && !ends);
        }
        match &gate.cause {
            Cause::Query(_) | Cause::Sync | Cause::Execute(_) | Cause::Commit
                if ends && self.transaction.status != Status::Idle =>
            {
                self.settle(gate, Settle::Rollback(Some(told)));
            }
            Cause::Query(_) => match self.transaction.status {
                Status::Block | Status::Failed if self.transaction.is_wrapped() => {
                    self.settle(gate, Settle::Rollback(Some(told)));
                }
                Status::Block => self.fail(gate, told),
                Status::Failed | Status::Idle => {
                    self.send_told(told);
                    self.finish(gate);
                }
            },
            Cause::Commit => {
                self.send_told(told);
                self.finish(gate);
            }
            _ => self.fail(gate, told),
        }
    }

    /// Records and tells what a judgement that decides nothing here found.
    pub(super) fn told(&mut self, judgement: Judgement) {
        self.told_at(Purpose::After(Stage::Transaction), judgement);
    }

    pub(super) fn told_at(&mut self, purpose: Purpose, judgement: Judgement) -> Verdict {
        let Judgement {
            verdict,
            findings,
            observations,
        } = judgement;
        self.outbox
            .extend(observations.into_iter().map(Box::new).map(Action::Record));
        let findings = self.untold(purpose, findings);
        if !findings.is_empty() {
            self.warn(&findings);
            let (statement, fingerprint) = match &self.transaction.touch {
                Some(touch) => (touch.noted.start(), touch.noted.fingerprint),
                None => (&b""[..], 0),
            };
            let tale = Tale::Judged {
                who: self.who.clone(),
                findings,
                fingerprint: format!("{fingerprint:016x}"),
                statement: String::from_utf8_lossy(statement).into_owned(),
                unrecorded: self
                    .seat
                    .as_ref()
                    .is_some_and(super::runs::Seat::is_unrecorded),
            };
            self.tell(tale);
        }
        verdict
    }

    /// What is news. After a statement, only what enforce mode refuses there: whether the rest stands
    /// is told when the transaction is judged, and then what was told of its statements is not again.
    fn untold(&mut self, purpose: Purpose, findings: Vec<Finding>) -> Vec<Finding> {
        let Some(touch) = &mut self.transaction.touch else {
            return findings;
        };
        let early = purpose == Purpose::After(Stage::Statement);
        let counts = |finding: &Finding| match finding.change {
            Change::Lowered | Change::Unverifiable => true,
            Change::Same | Change::Raised | Change::Unknown => finding.refused || !early,
        };
        let mut news = Vec::new();
        for finding in findings.into_iter().filter(counts) {
            let what = (finding.key.clone(), finding.gone.clone());
            if finding.refused || !touch.told.contains(&what) {
                if early && touch.told.len() < TOLD_MAX {
                    touch.told.push(what);
                }
                news.push(finding);
            }
        }
        news
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
}
