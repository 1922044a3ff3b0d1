//! What a transaction is compared with when it commits: where the set that it replaces is taken from, and
//! what must be asked of others first.
use std::collections::{BTreeMap, BTreeSet};

use crate::{
    facts::{Known, Ordered, Tables},
    footing::Footing,
    guard::{Guard, GuardSet, Guards},
    profile::Kind,
    question::{History, HistoryKey, Snapshot, Touch, Trace},
};

/// Why a set before is not known, as a stable word.
pub const UNSEEN: &str = "unseen";

/// What must be asked of others before a transaction can be judged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Look {
    /// Nothing: all sets before are known, or need not be.
    Nowhere,
    /// The committed sets of these tables.
    At(Vec<u32>),
}

/// Where the sets that a commit replaces can be taken from.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// What was read by name before.
    pub before: &'a Snapshot,
    /// What others see now, where that was asked.
    pub committed: Option<&'a Snapshot>,
    /// The tables that were there, where the transaction may have taken some away.
    pub tables: &'a Tables,
    /// What was read while nobody else could write, and nobody has since; only that counts of what was replaced,
    /// and where nobody can see what it was. `None`: what was read by name does, as nothing is refused.
    pub locked: Option<&'a Snapshot>,
    /// What the session has seen of them in earlier transactions: for events only.
    pub seen: &'a Snapshot,
    /// Whether the transaction sees what others commit meanwhile.
    pub sees_others: bool,
}

impl Guards {
    /// Which committed sets must be known to judge `after`, where tables of `gone` may be gone.
    ///
    /// What the transaction changed by rows only, others can still read. What it altered, emptied or
    /// took away it has locked: nobody else can tell what it held, but the tables that are there can
    /// be listed.
    #[must_use]
    pub fn look(&self, after: &Snapshot, gone: &Tables) -> Look {
        let mut oids = Vec::new();
        let mut elsewhere = false;
        for (key, history) in after.histories() {
            if self.only_adds(key, history.touch) {
                continue;
            }
            elsewhere = true;
            if !history.touch.altered {
                oids.extend(history.oid());
            }
        }
        let is_gone = |known: &Known| !after.histories.contains_key(&known.key);
        elsewhere |= gone.of_guards(after.asked).any(is_gone);
        if elsewhere {
            Look::At(oids)
        } else {
            Look::Nowhere
        }
    }

    /// The guards whose tables the transaction touched though none of its statements named them.
    #[must_use]
    pub fn hidden(&self, before: &Snapshot, after: &Snapshot) -> GuardSet {
        let hidden = after
            .histories()
            .filter(|(key, history)| !history.touch.is_none() && !before.asked.contains(key.guard));
        hidden.map(|(key, _)| key.guard).collect()
    }

    /// Whether those of them that have a table guard sets of rows.
    #[must_use]
    pub fn are_sets(&self, guards: GuardSet, footing: &Footing) -> bool {
        let there = guards.without(guards.without(footing.guards()));
        let is_set = |guard: &Guard| guard.profile.kind == Kind::Set;
        !there.is_empty() && self.of(there).all(|(_, guard)| is_set(guard))
    }

    /// Whether a history is a set of rows.
    #[must_use]
    pub fn is_set(&self, key: &HistoryKey) -> bool {
        let guard = self.guard(key.guard);
        guard.is_some_and(|guard| guard.profile.kind == Kind::Set)
    }

    /// The tables of `found`, and which changes of their rows are made one by one.
    pub fn ordered<'a>(&'a self, found: &'a Snapshot) -> impl Iterator<Item = (u32, Ordered)> + 'a {
        found.histories().filter_map(|(key, history)| {
            let ordered = if self.is_set(key) {
                Ordered::Removed
            } else {
                Ordered::Any
            };
            Some((history.oid()?, ordered))
        })
    }

    /// Those of them whose rows the transaction has changed so.
    #[must_use]
    pub fn changed(&self, found: &Snapshot) -> BTreeMap<u32, Ordered> {
        let mut there = found.clone();
        there.keep(|key, history| {
            history.touch.removed || history.touch.inserted && !self.is_set(key)
        });
        self.ordered(&there).collect()
    }

    /// Nothing was done, or rows were added to a set, which makes it no smaller.
    #[must_use]
    pub fn only_adds(&self, key: &HistoryKey, touch: Touch) -> bool {
        touch.is_none() || touch.only_inserts() && self.is_set(key)
    }

    /// The sets that the commit replaces, and those that it leaves. What others see now where they can see
    /// it, what was read by name before where they cannot, or where the transaction does not see them, and
    /// [`UNSEEN`] where neither is known. Histories that the transaction did not touch are in none of the two.
    #[must_use]
    pub fn replaced(&self, after: &Snapshot, sources: &Sources<'_>) -> (Snapshot, Snapshot) {
        let Sources {
            before,
            committed,
            tables,
            locked,
            seen,
            sees_others,
        } = *sources;
        let mut base = Snapshot {
            asked: after.asked,
            ..Snapshot::default()
        };
        let mut judged = base.clone();
        let listed = tables.of_guards(after.asked).map(|known| &known.key);
        let keys: BTreeSet<&HistoryKey> = (before.histories.keys())
            .chain(after.histories.keys())
            .chain(committed.into_iter().flat_map(|c| c.histories.keys()))
            .chain(listed.filter(|_| committed.is_none()))
            .filter(|key| after.asked.contains(key.guard))
            .collect();
        for key in keys {
            let found = after.histories.get(key);
            let named = before.histories.get(key);
            if named.is_none() && found.is_some_and(|history| history.touch.is_none()) {
                continue;
            }
            let others = committed.and_then(|committed| committed.histories.get(key));
            let old = match (named, others) {
                // Since it was read the transaction did nothing to it.
                (Some(named), _) if found.is_some_and(|h| h.reading == Err("unchanged")) => {
                    Some(named.clone())
                }
                // It may have held more when it was replaced.
                (Some(named), _) if found.is_none_or(|h| h.touch.altered) => {
                    Some(at_last(key, named, locked))
                }
                // Of what others have added since it neither sees nor removes a row.
                (Some(named), _) if !sees_others => Some(named.clone()),
                (_, Some(others)) if is_seen(others, found) => Some(others.clone()),
                (Some(named), _) if found.is_some_and(|h| self.only_adds(key, h.touch)) => {
                    Some(named.clone())
                }
                (Some(named), _) => Some(at_last(key, named, locked)),
                (None, Some(others)) => Some(unseen(others.trace.clone())),
                // It was there: the transaction changed rows of it only.
                (None, None) if let Some(found) = found.filter(|h| !h.touch.altered) => {
                    let adds = self.only_adds(key, found.touch);
                    let seen = seen.histories.get(key).filter(|_| adds);
                    let seen = seen.and_then(|seen| seen.within(found));
                    seen.or_else(|| found.oid().map(|oid| unseen(dummy(oid))))
                }
                (None, None) => {
                    let known = tables.of_guards(after.asked).find(|k| k.key == *key);
                    let unlisted = found
                        .filter(|_| tables.revision() == 0)
                        .and_then(History::oid);
                    let known = known.map(|known| known.oid).or(unlisted);
                    let known = known.filter(|_| committed.is_none());
                    known.map(|oid| unseen(dummy(oid)))
                }
            };
            base.histories.extend(old.map(|old| (key.clone(), old)));
            judged
                .histories
                .extend(found.map(|found| (key.clone(), found.clone())));
        }
        (base, judged)
    }
}

/// What was read of a history by name, where nobody else could change it since.
fn at_last(key: &HistoryKey, named: &History, locked: Option<&Snapshot>) -> History {
    match locked.map(|locked| locked.histories.get(key)) {
        Some(Some(locked)) => locked.clone(),
        // One that could not be read says why.
        Some(None) if named.reading.is_ok() => unseen(named.trace.clone()),
        Some(None) | None => named.clone(),
    }
}

/// Whether what others see of a table is what the transaction found when it began to change it.
fn is_seen(others: &History, found: Option<&History>) -> bool {
    let same = |found: &History| {
        found.trace.oid == others.trace.oid && !found.touch.altered && !found.touch.is_none()
    };
    others.reading.is_ok() && found.is_some_and(same)
}

fn unseen(trace: Trace) -> History {
    History {
        trace,
        touch: Touch::default(),
        reading: Err(UNSEEN),
    }
}

fn dummy(oid: u32) -> Trace {
    Trace {
        oid: oid.to_string().into_bytes().into(),
        filenode: Box::default(),
        counters: Box::default(),
        xmin: Box::default(),
    }
}
