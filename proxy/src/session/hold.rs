//! Held commits: a migration run that changes the schema first and records it afterwards.
//!
//! The client is answered as after a COMMIT, but the server's transaction stays open until the record
//! says which way it went. Until then each transaction of the client's is a savepoint in it:
//!
//! ```text
//! client               server
//! BEGIN                BEGIN
//! ALTER TABLE ...      ALTER TABLE ...
//! COMMIT               (changed the schema, recorded nothing: answered, held)
//! BEGIN                SAVEPOINT _pgpawl_held
//! DELETE FROM ...      DELETE FROM ...
//! COMMIT               the question: raised → COMMIT; lowered → ROLLBACK, refused;
//!                      neither → RELEASE SAVEPOINT _pgpawl_held, still held
//! ```
//!
//! `Transaction::status` is what the client is told; [`Held`] knows what the server's is.

use super::{
    Tale,
    action::Fate,
    gate::{Asking, At, Cause, Gate, Leave, Purpose, Settle, Then, Told},
    ours::{self, Savepoints},
    ready::Ready,
    runs::Seat,
    words::is_chain,
};
use crate::wire::backend::Status;
use bytes::Bytes;
use pgpawl_policy::{
    footing::Footing,
    hold::Hold,
    name::Name,
    question::Snapshot,
    rule::Mode,
    statement::Kind,
    verdict::{Refusal, Stage},
};

/// The most transactions of the client's that are held in one of the server's: each may take locks,
/// of which the server has a limited number.
const TRANSACTIONS_MAX: usize = 1_000;

/// What the client believes to be committed, and the server holds open.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct Held {
    /// A transaction of the client's is open in it, behind our savepoint.
    pub(super) inside: bool,
    /// Transactions of the client's in it.
    pub(super) transactions: usize,
    /// The last of them was not asked about yet.
    pub(super) unjudged: bool,
    /// What was found when the last of them was asked about.
    pub(super) footing: Option<Box<Footing>>,
    /// Savepoints that the client set in its open transaction.
    pub(super) savepoints: Vec<Name>,
    /// Why it is committed at the next end of a transaction, whatever that is.
    pub(super) must: Option<&'static str>,
    /// Another session of the run was refused: it is rolled back as soon as that can be.
    pub(super) doomed: bool,
    /// Ticks without a word from the client.
    pub(super) silence: u32,
    /// Ticks since another session of the run wants it settled.
    pub(super) ordered: u32,
    /// Someone waits for its locks, or nobody does; unknown between two probes.
    pub(super) probed: bool,
}

/// What the last question before a commit found, besides the sets.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct Facts {
    /// The transaction changed the catalogs.
    pub(super) altered: bool,
    /// It wrote anything.
    pub(super) written: bool,
    /// It touched a guarded table.
    pub(super) touched: bool,
    /// A history is not what it was.
    pub(super) found: bool,
    /// Its kind of transaction can be held.
    pub(super) holdable: bool,
}

impl Held {
    /// Whether another transaction can be held in it.
    pub(super) const fn has_room(&self) -> bool {
        self.transactions < TRANSACTIONS_MAX && self.must.is_none() && !self.doomed
    }
}

impl Facts {
    pub(super) fn of(asking: &Asking, after: &Snapshot) -> Self {
        Self {
            altered: asking.known.altered || asking.known.reshaped,
            written: asking.known.written,
            touched: after.histories().any(|(_, found)| !found.touch.is_none()),
            found: false,
            holdable: asking.known.holdable,
        }
    }
}

impl Ready {
    pub(super) const fn is_held(&self) -> bool {
        self.transaction.held.is_some()
    }

    /// The client is between two transactions, and what it believes to be committed is held.
    pub(super) fn is_outside(&self) -> bool {
        self.is_held() && self.transaction.status == Status::Idle && !self.transaction.is_wrapped()
    }

    pub(super) fn in_run(&self) -> bool {
        self.seat.as_ref().is_some_and(Seat::is_run)
    }

    /// Which commits of this session are held: none where no lowering is refused.
    pub(super) fn holds(&self) -> Hold {
        let guarding = &self.shared.guarding;
        let mut hold = Hold::Off;
        for (_, guard) in guarding.guards.of(self.watched) {
            let decision = guarding.rules.decide(&self.who, Some(guard.tool()));
            if decision.mode == Mode::Enforce && decision.hold != Hold::Off && hold != Hold::Writes
            {
                hold = decision.hold;
            }
        }
        hold
    }

    /// Whether the end of this transaction may be held, or is the end of one within what is held.
    pub(super) fn may_hold(&self) -> bool {
        let changes = self.transaction.manner.alters || self.hold == Hold::Writes;
        self.is_held() || self.hold != Hold::Off && changes && self.in_run()
    }

    /// Why a transaction is committed and not held; none: it is held.
    pub(super) fn why_not(&self, gate: &Gate) -> Option<&'static str> {
        let facts = gate.facts;
        let judging = matches!(gate.cause, Cause::Judge);
        let kind = gate.cause.kind();
        let ends = kind.is_some_and(|kind| is_chain(kind) || *kind == Kind::PrepareTransaction);
        let changed = match self.hold {
            Hold::Off => false,
            Hold::Schema => facts.altered && (self.transaction.manner.alters || judging),
            Hold::Writes => facts.written,
        };
        let held = self.transaction.held.as_ref();
        let full = held.is_some_and(|held| !judging && held.transactions >= TRANSACTIONS_MAX);
        let must = held.and_then(|held| held.must);
        let first = held.is_none_or(|held| judging && held.transactions == 1);
        [
            (facts.found, "recorded"),
            (facts.touched, "version_table"),
            (ends || self.transaction.manner.ends, "statement"),
            (self.transaction.locals.is_none(), "settings"),
            (!facts.holdable, "isolation"),
            (first && !changed, "unchanged"),
            (full, "transactions_max"),
        ]
        .into_iter()
        .find_map(|(is, why)| is.then_some(why))
        .or(must)
    }

    /// The transaction may stand: it is held, or committed with all that is held.
    pub(super) fn hold_or_commit(&mut self, gate: Box<Gate>, purpose: Purpose, leave: Leave) {
        if self
            .transaction
            .held
            .as_ref()
            .is_some_and(|held| held.doomed)
        {
            return self.refuse(gate, purpose, lost());
        }
        if matches!(gate.cause, Cause::Judge) {
            return self.judged(gate);
        }
        match self.why_not(&gate) {
            None => self.hold(gate, true),
            Some(why) => {
                if self.is_held() && why != "recorded" {
                    self.tell_fate(Fate::Committed, why);
                }
                self.seal_and_commit(gate, purpose, leave);
            }
        }
    }

    /// From here to the commit nothing writes.
    fn seal_and_commit(&mut self, mut gate: Box<Gate>, purpose: Purpose, leave: Leave) {
        let chains = gate.cause.kind().is_some_and(is_chain);
        let closing = ours::closing(self.savepoints());
        if gate.cause.ends_by_ours() && !chains {
            gate.closing = closing;
            return self.commit_all(gate, purpose, leave);
        }
        let bytes = gate.cause.protocol().close(closing);
        self.send_ours(gate, bytes, At::Closing(purpose, leave));
    }

    /// It is read only.
    pub(super) fn closed(
        &mut self,
        mut gate: Box<Gate>,
        purpose: Purpose,
        leave: Leave,
        status: Status,
    ) {
        gate.closed = status == Status::Block;
        self.transaction.outer = false;
        self.commit_all(gate, purpose, leave);
    }

    /// The commit that goes to the server commits what is held, too.
    pub(super) fn commit_all(&mut self, gate: Box<Gate>, purpose: Purpose, leave: Leave) {
        self.transaction.held = None;
        self.proceed(gate, purpose, leave);
    }

    /// A commit goes to the server: whether the run's changes of the schema are recorded.
    pub(super) fn note_recorded(&mut self, gate: &Gate, purpose: Purpose) {
        if purpose != Purpose::After(Stage::Transaction) {
            return;
        }
        let altered = gate.facts.altered && self.transaction.manner.alters;
        if let Some(seat) = &mut self.seat
            && seat.is_run()
        {
            if gate.facts.found {
                seat.unrecorded(false);
            } else if altered {
                seat.unrecorded(true);
            }
        }
    }

    /// The client is told that its transaction is committed; `judged`: it was asked about.
    pub(super) fn hold(&mut self, gate: Box<Gate>, judged: bool) {
        let savepoints = self.savepoints();
        let locals = self.transaction.locals.as_deref().unwrap_or_default();
        if savepoints == Savepoints::None && locals.is_empty() {
            return self.held(gate, judged, None, Status::Block);
        }
        let bytes = gate.cause.protocol().hold(savepoints, locals);
        self.send_ours(gate, bytes, At::Holding(judged, None));
    }

    /// The server holds it.
    pub(super) fn held(
        &mut self,
        mut gate: Box<Gate>,
        judged: bool,
        error: Option<Bytes>,
        status: Status,
    ) {
        if let Some(error) = error.or((status != Status::Block).then(Bytes::new)) {
            return self.undo(gate, Told::Error(error), false);
        }
        let outside = self.transaction.is_wrapped();
        let first = self.transaction.held.is_none();
        let held = self.transaction.held.get_or_insert_default();
        held.inside = false;
        held.transactions += 1;
        held.unjudged = !judged;
        held.footing = gate.footing.take();
        held.savepoints.clear();
        self.transaction.outer = false;
        self.transaction.reported(status);
        if let Some(seat) = &mut self.seat {
            seat.hold();
        }
        if first && judged {
            self.tell_fate(Fate::Held, "schema");
        }
        self.answer_control(gate, "COMMIT", outside);
    }

    /// Everything that is held is rolled back, with the open transaction, and the client is told why.
    /// `failing`: it is in a block of its own, which is left failed.
    pub(super) fn undo(&mut self, gate: Box<Gate>, told: Told, failing: bool) {
        self.tell_fate(Fate::RolledBack, "refused");
        self.settle(gate, Settle::Undo(told, failing));
    }

    /// What is held is committed before anything else is done.
    pub(super) fn commit_held(&mut self, gate: Box<Gate>, why: &'static str, then: Then) {
        let held = self.transaction.held.as_ref();
        if held.is_some_and(|held| held.doomed) {
            return self.unheld(gate, "run");
        }
        self.tell_fate(Fate::Committed, why);
        self.commit_untold(gate, then);
    }

    /// The same without a word.
    pub(super) fn commit_untold(&mut self, gate: Box<Gate>, then: Then) {
        if self
            .transaction
            .held
            .as_ref()
            .is_some_and(|held| held.unjudged)
        {
            return self.unheld(gate, "unjudged");
        }
        let bytes = gate
            .cause
            .protocol()
            .commit(ours::closing(Savepoints::None));
        self.send_ours(gate, bytes, At::Committing(then, None));
    }

    /// What was held is committed; or, with an error, it is lost, and the client was told otherwise.
    pub(super) fn committed_held(&mut self, gate: Box<Gate>, then: Then, error: Option<&Bytes>) {
        self.transaction.held = None;
        self.transaction.reported(Status::Idle);
        let lost = error.is_some();
        let facts = gate.facts;
        let judging = matches!(gate.cause, Cause::Judge);
        if let Some(seat) = &mut self.seat {
            if !judging || facts.found || facts.altered {
                seat.unrecorded(!lost && !facts.found);
            }
            seat.release(lost);
        }
        if lost {
            return self.end_lost();
        }
        self.transaction.altered = true;
        self.again = true;
        match then {
            Then::Look => {}
            Then::Part => self.run_part(gate),
        }
    }

    pub(super) fn tell_fate(&mut self, fate: Fate, why: &'static str) {
        let who = self.who.clone();
        self.tell(Tale::Hold { who, fate, why });
    }
}

/// What the client was told to be committed is gone.
pub(super) fn lost() -> Refusal {
    Refusal {
        sqlstate: "40000",
        message:
            "pgpawl: what this migration changed before could not be committed, and is rolled back"
                .to_owned(),
        detail: None,
        hint: Some(
            "The schema and its version are as before the migration: run it again.".to_owned(),
        ),
    }
}
