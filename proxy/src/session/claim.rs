//! A statement that replaces a whole table waits for the lock that it needs, and takes away what others
//! committed meanwhile. So where a text shows such a statement the lock is taken before the set is read; and
//! where pgpawl cannot look at what is committed, before any that may take rows from a history.
//!
//! ```text
//! Asking(before) ── it may take what was found ──▶ Claiming ──▶ Asking(before) ─▶ Looking ─▶ Running
//! ```
//!
//! What the server says was locked, and was read then, is [`Locked`]: what a commit that replaces the table
//! is compared with. Nothing hangs on the text but whether a lock is worth the while.

use super::{
    gate::{Asking, At, Cause, Gate, Leave, Purpose, Told},
    ours::Savepoints,
    ready::{Fault, Ready},
    transaction::{Noted, Touch},
};
use crate::wire::{
    backend::{self, Status},
    frame::HEADER_LEN,
};
use bytes::Bytes;
use pgpawl_policy::{
    answer::number,
    claim::{Strength, Takes, is_replacement, lock, meant},
    guard::GuardSet,
    question::{HistoryKey, Snapshot},
    rule::Who,
};
use std::collections::{BTreeMap, BTreeSet};

/// "canceling statement due to ..." a user's request or a timeout of the client's.
const CANCELED: &str = "57014";
/// "canceling statement due to lock timeout", "deadlock detected".
const NOT_LOCKED: [&str; 2] = ["55P03", "40P01"];

/// The lock of one held message.
#[derive(Debug)]
pub(super) struct Claim {
    strength: Strength,
    /// What the transaction had not touched before it.
    untouched: BTreeSet<HistoryKey>,
    /// What it had taken nothing from: what is read behind the lock is at least what is committed.
    whole: BTreeSet<HistoryKey>,
    /// The tables that were found.
    found: BTreeSet<u32>,
    /// Those of them that are locked.
    locked: BTreeSet<u32>,
    /// Statements of the batch that have completed.
    pub(super) completed: usize,
    pub(super) failed: Option<Bytes>,
}

impl Claim {
    /// A row of what tells which tables are locked.
    pub(super) fn hear_row(&mut self, body: &[u8]) -> Result<(), Fault> {
        let row = backend::data_row(body).map_err(|v| Fault::server(&v))?;
        let oid = number(row.first().and_then(Option::as_deref));
        let oid = oid.filter(|oid| self.found.contains(oid));
        self.locked.extend(oid);
        Ok(())
    }
}

/// The sets that were read while nobody else could write them, and nobody has since.
#[derive(Debug, Default)]
pub(super) struct Locked {
    pub(super) sets: Snapshot,
    /// Those whose lock goes with a savepoint of the client's.
    within: BTreeSet<HistoryKey>,
    /// The tables that nobody else can read, either.
    alone: BTreeSet<u32>,
}

impl Locked {
    fn add(&mut self, found: &Snapshot, keys: &BTreeSet<HistoryKey>, within: bool) {
        if within {
            let new = keys.iter().filter(|key| !self.sets.has(key));
            self.within.extend(new.cloned());
        }
        self.sets.add(found, keys);
    }

    /// Those of `oids` that others can read.
    pub(super) fn readable(&self, mut oids: Vec<u32>) -> Vec<u32> {
        oids.retain(|oid| !self.alone.contains(oid));
        oids
    }

    /// A ROLLBACK TO, of whatever savepoint, gives back what was locked behind it.
    pub(super) fn rolled_back(&mut self) {
        let lost = std::mem::take(&mut self.within);
        let oids = self.sets.readable(&lost);
        self.alone.retain(|oid| !oids.contains(oid));
        self.sets.keep(|key, _| !lost.contains(key));
    }

    /// Whether a ROLLBACK TO means anything here.
    pub(super) fn can_be_lost(&self) -> bool {
        !self.within.is_empty()
    }
}

impl Ready {
    /// Those of `guards`, which the statement at hand names, whose sets must be read before it.
    pub(super) fn to_read(&self, guards: GuardSet) -> GuardSet {
        let Some(touch) = &self.transaction.touch else {
            return guards;
        };
        let unlocked: GuardSet = (self.to_lock(touch, &touch.before).values().flatten())
            .map(|key| key.guard)
            .filter(|guard| guards.contains(*guard))
            .collect();
        self.unread(guards).union(unlocked.without(touch.blind))
    }

    /// The tables of `found` that are to be locked before the statement at hand, by name: those that it may
    /// replace, and those from which it may take rows that nobody can see afterwards.
    fn to_lock<'a>(
        &self,
        touch: &Touch,
        found: &'a Snapshot,
    ) -> BTreeMap<String, Vec<&'a HistoryKey>> {
        let guards = &self.shared.guarding.guards;
        let Noted { text, takes, .. } = &touch.noted;
        let needed =
            *takes == Takes::Tables || self.covers && !touch.keeps_snapshot && !self.sees(found);
        let mut names = if needed && self.enforces() {
            meant(found, text, *takes)
        } else {
            BTreeMap::new()
        };
        for keys in names.values_mut() {
            let lost = |key: &&HistoryKey| guards.may_lose(key, *takes);
            keys.retain(|key| lost(key) && !touch.locked.sets.has(key));
        }
        names.retain(|_, keys| !keys.is_empty());
        names
    }

    /// The sets of `guards` were read before a statement.
    pub(super) fn have_read(
        &mut self,
        gate: Box<Gate>,
        asking: &Asking,
        guards: GuardSet,
        found: Snapshot,
    ) {
        let touch = self.transaction.touch.get_or_insert_default();
        touch.keeps_snapshot = !asking.known.sees_others;
        let hidden = self.covers && asking.known.written;
        let found = found.since(&touch.before);
        let found = if hidden {
            self.tables().unwrap_or_default().altered(found)
        } else {
            found
        };
        let mut untouched = found.clone();
        if hidden {
            // What was changed out of sight before it was read is no set before. Behind a lock the counters
            // of earlier transactions look like this one's.
            let claimed = gate.claim.as_ref().map(|claim| &claim.untouched);
            untouched.keep(|key, history| {
                history.touch.is_none() || claimed.is_some_and(|keys| keys.contains(key))
            });
        }
        if let Some((claim, bytes)) = self.claim(&gate, asking, &found, &untouched) {
            let at = At::Claiming(asking.purpose.in_block(), claim);
            return self.send_ours(gate, bytes, at);
        }
        let has_savepoints = self.has_savepoints();
        let touch = self.transaction.touch.get_or_insert_default();
        let mut others = Vec::new();
        if let Some(claim) = &gate.claim {
            let locked = found.of_oids(&claim.locked);
            let (seen, unseen): (BTreeSet<_>, BTreeSet<_>) = locked
                .into_iter()
                .filter(|key| !touch.locked.sets.has(key))
                .partition(|key| asking.known.sees_others && claim.whole.contains(key));
            touch.locked.add(&found, &seen, has_savepoints);
            if claim.strength == Strength::All {
                touch.locked.alone.extend(&claim.locked);
            }
            others = found.readable(&unseen);
        }
        touch.before.merge(untouched);
        self.have_seen(&found);
        let touch = self.transaction.touch.get_or_insert_default();
        touch.asked = touch.asked.union(guards);
        if others.is_empty() {
            self.go_on(gate, asking.purpose, Leave::NothingAsked);
        } else {
            self.look_before(gate, asking.purpose, guards, others);
        }
    }

    /// What locks the tables that the statement at hand may replace; none if there are none, or it has been
    /// tried.
    fn claim(
        &self,
        gate: &Gate,
        asking: &Asking,
        found: &Snapshot,
        untouched: &Snapshot,
    ) -> Option<(Claim, Bytes)> {
        let (None, Cause::Query(_) | Cause::Execute(_)) = (&gate.claim, &gate.cause) else {
            return None;
        };
        let touch = self.transaction.touch.as_ref()?;
        let names = self.to_lock(touch, found);
        let whole = self.whole(found, untouched);
        // Where others must be asked what they see, they must be let in.
        let alone = asking.known.sees_others
            && is_replacement(&touch.noted.text)
            && names.values().flatten().all(|key| whole.contains(*key));
        let strength = if alone {
            Strength::All
        } else {
            Strength::Writers
        };
        let claim = Claim {
            strength,
            untouched: untouched.keys(),
            whole,
            found: found.oids(),
            locked: BTreeSet::new(),
            completed: 0,
            failed: None,
        };
        (!names.is_empty()).then(|| {
            let protocol = gate.cause.protocol();
            (claim, protocol.claim(&lock(names.keys(), strength)))
        })
    }

    /// What of `found` the transaction has taken nothing from. Rows that it has added to a set itself make what is
    /// read larger than what is committed, which refuses more than must be: only where others cannot be asked.
    fn whole(&self, found: &Snapshot, untouched: &Snapshot) -> BTreeSet<HistoryKey> {
        let mut whole = untouched.keys();
        if !self.sees(found) {
            let guards = &self.shared.guarding.guards;
            let added =
                (found.histories()).filter(|(key, history)| guards.only_adds(key, history.touch));
            whole.extend(added.map(|(key, _)| key.clone()));
        }
        whole
    }

    /// Whether others can be asked what the tables of `found` hold, as far as is known.
    fn sees(&self, found: &Snapshot) -> bool {
        let Who { database, user, .. } = &self.who;
        let oids = found.oids().into_iter();
        self.shared.sight.sees(database, user, oids)
    }

    /// A claim was answered up to its ReadyForQuery. One that failed, because the role may not lock the
    /// table or it is gone, leaves what is read next unlocked. Where the client's statement would have failed
    /// like it, or be refused for want of the lock, the client is told so; within what is held it fails by itself,
    /// and nothing else does.
    pub(super) fn claimed(
        &mut self,
        mut gate: Box<Gate>,
        purpose: Purpose,
        mut claim: Claim,
        status: Status,
    ) {
        self.transaction.reported(status);
        let Some(error) = claim.failed.take() else {
            gate.claim = Some(claim);
            return self.ask(gate, purpose);
        };
        let sqlstate = backend::error(error.get(HEADER_LEN..).unwrap_or_default())
            .map(|error| error.sqlstate)
            .unwrap_or_default();
        let sqlstate = sqlstate.as_str();
        let touch = self.transaction.touch.as_ref();
        let takes = touch.is_some_and(|touch| touch.noted.takes >= Takes::Rows);
        let is_its_own = claim.strength == Strength::All || takes;
        let told = sqlstate == CANCELED || is_its_own && NOT_LOCKED.contains(&sqlstate);
        let told = told && !self.is_held();
        if told || claim.completed == 0 {
            return self.turn_down(gate, purpose, Told::Error(error));
        }
        claim.locked.clear();
        gate.claim = Some(claim);
        self.recover(gate, purpose, None);
    }

    /// What others see of tables that this transaction has locked: it holds on to an older snapshot, or
    /// has changed them already.
    pub(super) fn looked_before(
        &mut self,
        gate: Box<Gate>,
        purpose: Purpose,
        seen: Option<&Snapshot>,
    ) {
        let has_savepoints = self.has_savepoints();
        if let (Some(seen), Some(touch), Some(claim)) =
            (seen, &mut self.transaction.touch, &gate.claim)
        {
            let keys = seen.of_oids(&claim.locked);
            touch.locked.add(seen, &keys, has_savepoints);
        }
        self.go_on(gate, purpose, Leave::NothingAsked);
    }

    /// Whether the client may have set a savepoint in its transaction.
    fn has_savepoints(&self) -> bool {
        match self.savepoints() {
            Savepoints::None => !self.covers,
            Savepoints::Outer => true,
            Savepoints::Held => {
                let held = self.transaction.held.as_ref();
                held.is_none_or(|held| !held.savepoints.is_empty())
            }
        }
    }
}
