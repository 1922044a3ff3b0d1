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
    Action, Ending, Side, Tale,
    action::Fate,
    client::Look,
    gate::{Asking, At, Cause, Gate, Leave, Next, Purpose, Settle, Then, Told},
    ours,
    owed::Owed,
    ready::Ready,
    runs::{Order, Seat},
    script::is_control,
    words::{is_chain, no_block},
};
use crate::wire::backend::{self, Status};
use bytes::Bytes;
use pgpawl_policy::{
    hold::{Hold, Manner, Savepoint, first_word, local_setting, manner, savepoint, session_setting},
    name::Name,
    question::Snapshot,
    rule::Mode,
    statement::Kind,
    verdict::{Refusal, Stage},
};

/// The most transactions of the client's that are held in one of the server's: each may take locks,
/// of which the server has a limited number.
const TRANSACTIONS_MAX: usize = 1_000;

/// The most savepoints of the client's transaction that are remembered.
const SAVEPOINTS_MAX: usize = 1_024;

/// The most settings that are followed.
const SETTINGS_MAX: usize = 64;

/// What the client believes to be committed, and the server holds open.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// A transaction of the client's is open in it, behind our savepoint.
    pub(super) inside: bool,
    /// Transactions of the client's in it.
    transactions: usize,
    /// Savepoints that the client set in its open transaction.
    savepoints: Vec<Name>,
    /// Why it is committed at the next end of a transaction, whatever that is.
    pub(super) must: Option<&'static str>,
    /// Ticks without a word from the client.
    pub(super) silence: u32,
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

impl Facts {
    pub(super) fn of(asking: &Asking, after: &Snapshot) -> Self {
        Self {
            altered: asking.altered,
            written: asking.written,
            touched: after.histories().any(|(_, found)| !found.touch.is_none()),
            found: false,
            holdable: asking.holdable,
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
            if decision.mode == Mode::Enforce && decision.hold != Hold::Off && hold != Hold::Writes {
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

    /// A statement of this manner is sent. A run's transaction that may change the schema is covered
    /// whatever the rules say of others.
    pub(super) fn note_manner(&mut self, manner: Manner) {
        self.transaction.manner = self.transaction.manner.union(manner);
        self.lend(manner.alters);
    }

    /// Why a transaction is committed and not held; none: it is held.
    fn why_not(&self, gate: &Gate) -> Option<&'static str> {
        let facts = gate.facts;
        let kind = gate.kind();
        let ends = kind.is_some_and(|kind| is_chain(kind) || *kind == Kind::PrepareTransaction);
        let changed = match self.hold {
            Hold::Off => false,
            Hold::Schema => facts.altered && self.transaction.manner.alters,
            Hold::Writes => facts.written,
        };
        let held = self.transaction.held.as_ref();
        let full = held.is_some_and(|held| held.transactions >= TRANSACTIONS_MAX);
        let must = held.and_then(|held| held.must);
        [
            (facts.found, "recorded"),
            (facts.touched, "version_table"),
            (ends || self.transaction.manner.ends, "statement"),
            (self.transaction.locals.is_none(), "settings"),
            (!facts.holdable, "isolation"),
            (held.is_none() && !changed, "unchanged"),
            (full, "transactions_max"),
        ]
        .into_iter()
        .find_map(|(is, why)| is.then_some(why))
        .or(must)
    }

    /// The transaction may stand: it is held, or committed with all that is held.
    pub(super) fn hold_or_commit(&mut self, gate: Box<Gate>, purpose: Purpose, leave: Leave) {
        match self.why_not(&gate) {
            None => self.hold(gate),
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
        if gate.kind().is_some_and(is_chain) {
            return self.commit_all(gate, purpose, leave);
        }
        self.queue.push(Owed::Ours);
        let bytes = gate.cause.protocol().read_only();
        self.send(Side::Server, bytes);
        gate.at = At::Closing(purpose, leave);
        self.gate = Some(gate);
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

    /// The client is told that its transaction is committed.
    fn hold(&mut self, mut gate: Box<Gate>) {
        let held = self.transaction.held.as_ref();
        let inside = held.is_some_and(|held| held.inside);
        let locals = self.transaction.locals.as_deref().unwrap_or_default();
        let bytes = gate.cause.protocol().hold(inside, locals);
        self.queue.push(Owed::Ours);
        self.send(Side::Server, bytes);
        gate.at = At::Holding(None);
        self.gate = Some(gate);
    }

    /// The server holds it.
    pub(super) fn held(&mut self, gate: Box<Gate>, error: Option<Bytes>, status: Status) {
        if let Some(error) = error.or((status != Status::Block).then(Bytes::new)) {
            return self.undo(gate, Told::Error(error), false);
        }
        let outside = self.transaction.is_wrapped();
        let first = self.transaction.held.is_none();
        let held = self.transaction.held.get_or_insert_default();
        held.inside = false;
        held.transactions += 1;
        held.savepoints.clear();
        self.transaction.reported(status);
        if let Some(seat) = &mut self.seat {
            seat.hold();
        }
        if first {
            self.tell_fate(Fate::Held, "schema");
        }
        self.answer_control(gate, "COMMIT", outside);
    }

    /// Everything that is held is rolled back, with the open transaction, and the client is told why.
    /// `failing`: it is in a block of its own, which is left failed.
    pub(super) fn undo(&mut self, mut gate: Box<Gate>, told: Told, failing: bool) {
        self.tell_fate(Fate::RolledBack, "refused");
        self.queue.push(Owed::Ours);
        let bytes = gate.cause.protocol().undo(failing);
        self.send(Side::Server, bytes);
        gate.at = At::Settling(Settle::Undo(told, failing), None);
        self.gate = Some(gate);
    }

    /// What is held is committed before anything else is done.
    pub(super) fn commit_held(&mut self, mut gate: Box<Gate>, why: &'static str, then: Then) {
        self.tell_fate(Fate::Committed, why);
        self.queue.push(Owed::Ours);
        let bytes = gate.cause.protocol().commit_held();
        self.send(Side::Server, bytes);
        gate.at = At::Committing(then, None);
        self.gate = Some(gate);
    }

    /// What was held is committed; or, with an error, it is lost, and the client was told otherwise.
    pub(super) fn committed_held(&mut self, gate: Box<Gate>, then: Then, error: Option<&Bytes>) {
        self.transaction.held = None;
        self.transaction.reported(Status::Idle);
        let lost = error.is_some();
        if let Some(seat) = &mut self.seat {
            seat.unrecorded(!lost);
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

    /// A held message that controls the transaction, where something is held; it comes back if it goes the
    /// usual way.
    pub(super) fn control_held(
        &mut self,
        mut gate: Box<Gate>,
        kind: &Kind,
        text: &[u8],
    ) -> Option<Box<Gate>> {
        if !self.is_held() {
            return Some(gate);
        }
        let outside = self.is_outside();
        let wrapped = self.transaction.is_wrapped();
        let failed = self.transaction.status == Status::Failed;
        match kind {
            Kind::Begin if outside => self.control(gate, ours::Control::Begin, begin_tag(text)),
            Kind::Begin if wrapped => {
                if let Some(touch) = &mut self.transaction.touch {
                    touch.wrapped = false;
                }
                self.answer_control(gate, begin_tag(text), false);
            }
            Kind::Commit { .. } if outside => self.answer_control(gate, "COMMIT", true),
            Kind::Rollback { .. } if outside => self.answer_control(gate, "ROLLBACK", true),
            Kind::Rollback { chain: true } | Kind::Commit { chain: true } if failed || !is_commit(kind) => {
                self.control(gate, ours::Control::Again, "ROLLBACK");
            }
            Kind::Rollback { .. } => self.control(gate, ours::Control::Rollback, "ROLLBACK"),
            Kind::Commit { .. } if failed => {
                self.control(gate, ours::Control::Rollback, "ROLLBACK");
            }
            Kind::Savepoint if !outside && !wrapped => {
                let Err(refusal) = self.note_savepoint(text) else {
                    return Some(gate);
                };
                self.discard(&mut gate);
                self.fail(gate, Told::Refusal(refusal));
            }
            _ => return Some(gate),
        }
        None
    }

    fn control(&mut self, mut gate: Box<Gate>, control: ours::Control, tag: &'static str) {
        self.queue.push(Owed::Ours);
        let bytes = gate.cause.protocol().control(control);
        self.send(Side::Server, bytes);
        gate.at = At::Controlling(control, tag);
        self.gate = Some(gate);
    }

    /// The server did what stands for the client's BEGIN or ROLLBACK.
    pub(super) fn controlled(
        &mut self,
        gate: Box<Gate>,
        control: ours::Control,
        tag: &'static str,
        status: Status,
    ) {
        let outside = self.transaction.is_wrapped();
        if status != Status::Block {
            let refusal = lost();
            return self.undo(gate, Told::Refusal(refusal), true);
        }
        if let Some(held) = &mut self.transaction.held {
            held.inside = control != ours::Control::Rollback;
            held.savepoints.clear();
        }
        self.transaction.touch = None;
        self.transaction.reported(status);
        self.answer_control(gate, tag, outside);
    }

    /// The client's statement is answered in the server's place.
    pub(super) fn answer_control(&mut self, mut gate: Box<Gate>, tag: &str, outside: bool) {
        let complete = backend::command_complete(tag);
        let asked = gate.kind().cloned();
        if let Some(kind) = asked.filter(|kind| outside && is_control(kind))
            && let Some(warning) = no_block(&kind)
        {
            self.send(Side::Client, warning);
        }
        match &gate.cause {
            Cause::Query(script) if script.part().is_some() => {
                gate.held.extend_from_slice(&complete);
                self.next_part(gate);
            }
            Cause::Execute(_) => {
                self.send(Side::Client, complete);
                self.drop_held(&mut gate);
                self.transaction.unsynced = true;
                self.again = true;
            }
            _ => self.finish(gate),
        }
    }

    /// A savepoint of an earlier transaction is one that the client cannot know.
    fn note_savepoint(&mut self, text: &[u8]) -> Result<(), Refusal> {
        let Some(held) = &mut self.transaction.held else {
            return Ok(());
        };
        let (name, known) = match savepoint(text) {
            Savepoint::Set(name) => {
                let full = held.savepoints.len() >= SAVEPOINTS_MAX;
                if full || name.0.starts_with(b"_pgpawl") {
                    return Err(refused("0A000", &name, "cannot be set here"));
                }
                held.savepoints.push(name);
                return Ok(());
            }
            Savepoint::Back(name) => {
                let known = held.savepoints.iter().any(|known| known.may_be(&name));
                (name, known)
            }
        };
        if known {
            Ok(())
        } else {
            Err(refused("3B001", &name, "does not exist"))
        }
    }

    pub(super) fn tell_fate(&mut self, fate: Fate, why: &'static str) {
        let who = self.who.clone();
        self.tell(Tale::Hold { who, fate, why });
    }

    /// What the client's next message means where something is held.
    pub(super) fn look_held(&mut self, tag: u8) -> Option<Look> {
        self.spoke();
        match tag {
            b'X' if self.is_held() => {
                self.leaving = Some(Ending::Finished);
                self.outbox.push_back(Action::Dismiss);
                Some(Look::Drop)
            }
            // The server would say that it is in a block.
            b'S' if self.is_outside() => Some(Look::Gate(Cause::Sync)),
            _ => None,
        }
    }

    /// Whether `text` may name a guarded table: that begins a migration run.
    pub(super) fn note_mention(&mut self, text: &[u8]) -> bool {
        let mentioned = !self.shared.guarding.screen.mentions(text).is_empty();
        if let Some(seat) = self.seat.as_mut().filter(|_| mentioned) {
            seat.join();
        }
        mentioned
    }

    /// A run that is not covered is, from a statement on that may change the schema.
    pub(super) fn note_schema(&mut self, text: &[u8]) {
        if self.covers || self.hold == Hold::Off || !self.in_run() {
            return;
        }
        let lexical = self.reported.lexical();
        let alters = pgpawl_policy::statement::statements(text, lexical).map_or(true, |list| {
            list.iter().any(|statement| {
                let text = text.get(statement.range.clone()).unwrap_or_default();
                manner(text, &statement.kind).alters
            })
        });
        self.lend(alters || self.hold == Hold::Writes);
    }

    /// The session is covered up to the end of its transaction.
    pub(super) fn lend(&mut self, alters: bool) {
        let able = self.inspected && !self.simple_only && self.hold != Hold::Off;
        if alters && able && !self.covers && self.in_run() {
            self.lent = true;
            self.covers = true;
        }
    }

    /// What a statement of the extended protocol means for a hold.
    pub(super) fn manner_of(&self, text: &[u8], kind: &Kind) -> Manner {
        if self.hold == Hold::Off || !(self.in_run() || *kind == Kind::Begin) {
            return Manner::NOTHING;
        }
        let beside = &self.shared.guarding.beside;
        let manner = manner(text, kind);
        Manner {
            plain: manner.plain || !beside.mentions(text).is_empty(),
            ..manner
        }
    }

    /// A setting of the session is changed, or one of the transaction.
    pub(super) fn note_setting(&mut self, text: &[u8]) {
        let start = text.trim_ascii_start().get(..3);
        if !start.is_some_and(|word| word.eq_ignore_ascii_case(b"set")) {
            return;
        }
        if let Some(name) = local_setting(text) {
            let known = self.settings.as_ref().is_some_and(|names| !names.contains(&name));
            match &mut self.transaction.locals {
                Some(locals) if known && locals.len() < SETTINGS_MAX => locals.push(name),
                locals => *locals = None,
            }
        } else if let Some(name) = session_setting(text) {
            match &mut self.settings {
                Some(names) if names.len() < SETTINGS_MAX => {
                    names.insert(name);
                }
                names => *names = None,
            }
        }
    }

    /// Other sessions of the run settle what they hold first.
    pub(super) fn wait_for_others(&mut self, mut gate: Box<Gate>, order: Order, next: Next) {
        if let Some(seat) = &self.seat {
            seat.order(order);
        }
        self.again = true;
        gate.at = At::Awaiting(next);
        self.gate = Some(gate);
    }

    pub(super) fn others_hold(&self) -> bool {
        self.seat.as_ref().is_some_and(Seat::others_hold)
    }

    /// Another session of the run holds something, and this statement is about something else.
    pub(super) fn must_wait_for_others(&self, text: &[u8]) -> bool {
        let guarding = &self.shared.guarding;
        self.others_hold()
            && guarding.screen.mentions(text).is_empty()
            && guarding.beside.mentions(text).is_empty()
            && {
                let kind = pgpawl_policy::statement::first_kind(text);
                !pgpawl_policy::hold::manner(text, &kind).plain
            }
    }

    /// The others have settled.
    pub(super) fn others_settled(&mut self, gate: Box<Gate>, next: Next) {
        self.again = true;
        let is_lost = self.seat.as_ref().is_some_and(Seat::is_lost);
        match next {
            Next::Look => {}
            Next::Commit(purpose, _) if is_lost => self.refuse(gate, purpose, lost()),
            Next::Commit(purpose, leave) => self.go_on(gate, purpose, leave),
            Next::Refuse(purpose, refusal) => self.refuse(gate, purpose, refusal),
        }
    }
}

/// How the server answers what begins a transaction.
fn begin_tag(text: &[u8]) -> &'static str {
    if first_word(text).eq_ignore_ascii_case(b"start") {
        "START TRANSACTION"
    } else {
        "BEGIN"
    }
}

const fn is_commit(kind: &Kind) -> bool {
    matches!(kind, Kind::Commit { .. })
}

impl Gate {
    /// What its message does to the transaction, where it is one statement.
    pub(super) fn kind(&self) -> Option<&Kind> {
        match &self.cause {
            Cause::Query(script) => script.part().map(|part| &part.kind),
            Cause::Execute(class) => Some(&class.kind),
            _ => None,
        }
    }
}

fn refused(sqlstate: &'static str, name: &Name, what: &str) -> Refusal {
    let name = String::from_utf8_lossy(&name.0);
    Refusal {
        sqlstate,
        message: format!("savepoint \"{name}\" {what}"),
        detail: None,
        hint: None,
    }
}

/// What the client was told to be committed is gone.
pub(super) fn lost() -> Refusal {
    Refusal {
        sqlstate: "40000",
        message: "pgpawl: what this migration changed before could not be committed, and is rolled back"
            .to_owned(),
        detail: None,
        hint: Some("The schema and its version are as before the migration: run it again.".to_owned()),
    }
}
