//! The sets that a commit replaces, where this session cannot know them: another session of pgpawl's own
//! is asked, which sees what is committed.

use super::{
    Action, Looking, Seen,
    gate::{Asking, At, Found, Gate, Leave, Purpose},
    hold::Facts,
    ready::Ready,
};
use crate::wire::backend::Status;
use pgpawl_policy::{
    base::{Look, Sources},
    facts::Tables,
    footing::Footing,
    guard::GuardSet,
    question::{Reads, Snapshot},
    rule::{Opaque, Who},
    verdict::Unverifiable,
};
use std::sync::Arc;

impl Ready {
    /// All guarded tables were looked for at `now_ms`, in a transaction that has changed none.
    pub(super) fn learn(&mut self, found: &Snapshot, now_ms: u64) {
        if now_ms == 0 {
            // The server did not say what time it is.
            return;
        }
        let tables = Tables::of(found, now_ms);
        self.shared.present.learn(&self.who.database, tables);
    }

    /// The guarded tables could not be listed: the transaction is checked by a question at its end.
    pub(super) fn unlisted(&mut self, gate: Box<Gate>, status: Status) {
        if status == Status::Idle {
            return self.go_on(gate, Purpose::Tables, Leave::NothingAsked);
        }
        let rollback = gate.cause.protocol().rollback(false);
        self.send_ours(gate, rollback, At::Unlisting);
    }

    /// Before a commit: what the transaction touched is compared with what is committed.
    pub(super) fn compare(&mut self, mut gate: Box<Gate>, asking: &Asking, after: Snapshot) {
        if self.must_lock(&mut gate, asking, &after) {
            return self.ask(gate, asking.purpose);
        }
        let nothing = Snapshot::default();
        let after = match &self.transaction.touch {
            Some(touch) => after.since(&touch.before),
            None => after,
        };
        let known = self.tables();
        let unlisted = asking.known.altered && known.is_none();
        let known = known.unwrap_or_default();
        let (after, gone) = if asking.known.altered {
            let after = known.altered(after);
            self.transaction.altered |= !known.lists(&after);
            (after, known)
        } else {
            // An old snapshot shows what there was.
            if asking.known.sees_others {
                self.learn(&after, asking.known.now_ms);
            }
            (after.unaltered(), Arc::default())
        };
        gate.facts = Facts::of(asking, &after);
        if self.may_hold() {
            let catalogs = asking.known.catalogs.as_deref();
            gate.footing = catalogs
                .and_then(|it| Footing::of(it, &after, asking.known.now_ms))
                .map(Box::new);
        }
        let touch = self.transaction.touch.as_ref();
        let before = touch.map_or(&nothing, |touch| &touch.before);
        let shared = Arc::clone(&self.shared);
        let guards = &shared.guarding.guards;
        let refused: GuardSet = (guards.of(guards.hidden(before, &after)))
            .filter(|(_, guard)| {
                let decision = shared.guarding.rules.decide(&self.who, Some(guard.tool()));
                decision.opaque == Opaque::Refuse
            })
            .map(|(id, _)| id)
            .collect();
        if !refused.is_empty() {
            let why = Unverifiable::Opaque;
            let judgement = shared.guarding.unverifiable(&self.who, refused, &why);
            return self.decide(gate, asking.purpose, judgement);
        }
        let temporary = after.temporary();
        if !temporary.is_empty() {
            let why = Unverifiable::Temporary;
            let judgement = (shared.guarding).unverifiable(&self.who, temporary, &why);
            return self.decide(gate, asking.purpose, judgement);
        }
        let look = match guards.look(&after, &gone) {
            Look::Nowhere if unlisted => Look::At(Vec::new()),
            Look::At(oids) if let Some(touch) = touch => Look::At(touch.locked.readable(oids)),
            look => look,
        };
        let found = Found {
            purpose: asking.purpose,
            sees_others: asking.known.sees_others,
            visible: asking.known.visible.clone(),
            after,
            gone,
            unlisted,
            oids: Vec::new(),
        };
        match look {
            Look::At(oids) => self.look_at(gate, Found { oids, ..found }),
            Look::Nowhere => self.looked_at(gate, found, None),
        }
    }

    /// Before a statement: what do others see of these tables?
    pub(super) fn look_before(
        &mut self,
        gate: Box<Gate>,
        purpose: Purpose,
        asked: GuardSet,
        oids: Vec<u32>,
    ) {
        let found = Found {
            purpose,
            sees_others: false,
            visible: None,
            after: Snapshot::of(asked),
            gone: Arc::default(),
            unlisted: false,
            oids,
        };
        self.look_at(gate, found);
    }

    fn look_at(&mut self, gate: Box<Gate>, found: Found) {
        let guards = &self.shared.guarding.guards;
        let reads = match &found.visible {
            Some(visible) => Reads::Seen(&found.oids, visible),
            None => Reads::Only(&found.oids),
        };
        let text = guards.question(found.after.asked(), reads);
        let database = self.who.database.clone();
        self.look_beside(gate, database, text, At::Looking(found));
    }

    /// Asks in a session of pgpawl's own, and waits there for what it sees.
    pub(super) fn look_beside(
        &mut self,
        mut gate: Box<Gate>,
        database: String,
        text: String,
        at: At,
    ) {
        self.outbox.push_back(Action::Look(Box::new(Looking {
            database,
            text,
            user: self.who.user.clone(),
        })));
        gate.at = at;
        self.gate = Some(gate);
    }

    /// The other session's answer came.
    pub(super) fn looked(&mut self, seen: &Seen) {
        let Some(mut gate) = self.gate.take() else {
            return;
        };
        let found = match std::mem::replace(&mut gate.at, At::Running) {
            At::Looking(found) => found,
            At::Database => return self.looked_in_database(gate, seen),
            at => {
                gate.at = at;
                self.gate = Some(gate);
                return;
            }
        };
        let guards = &self.shared.guarding.guards;
        let rows = seen.rows();
        let committed = rows.and_then(|rows| guards.answer(found.after.asked(), rows).ok());
        let Who { database, user, .. } = &self.who;
        match &committed {
            Some(committed) => {
                let missed = committed.unread(&found.oids);
                self.shared.sight.saw(database, user, missed);
            }
            None => self.shared.sight.saw_nothing(database, user),
        }
        self.again = true;
        self.looked_at(gate, found, committed.as_ref());
    }

    fn looked_at(&mut self, gate: Box<Gate>, found: Found, committed: Option<&Snapshot>) {
        let Found {
            purpose,
            sees_others,
            after,
            gone,
            unlisted,
            ..
        } = found;
        if unlisted && committed.is_none() {
            return self.unverified(gate, purpose, &Unverifiable::Unlisted);
        }
        let Purpose::After(stage) = purpose else {
            return self.looked_before(gate, purpose, committed);
        };
        let nothing = Snapshot::default();
        let touch = self.transaction.touch.as_ref();
        let locked = touch.map_or(&nothing, |touch| &touch.locked.sets);
        let shared = Arc::clone(&self.shared);
        let guarding = &shared.guarding;
        let sources = Sources {
            before: touch.map_or(&nothing, |touch| &touch.before),
            committed,
            tables: &gone,
            locked: self.enforces().then_some(locked),
            seen: &self.seen.sets,
            sees_others,
        };
        let (base, judged) = guarding.guards.replaced(&after, &sources);
        self.have_seen(&after);
        let judgement = guarding.judge(&self.who, stage, &base, &judged);
        self.decide(gate, purpose, judgement);
    }
}
