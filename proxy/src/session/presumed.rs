//! Rows that are added to a set take nothing from it, whatever it holds. So its set need not be read before
//! a statement that only adds: where the server says at the end that nothing else was done, an event tells
//! what this session has seen last, and nothing depends on that.

use super::{ready::Ready, record::Recorded, transaction::Noted};
use crate::wire::backend::Status;
use pgpawl_policy::{claim::Takes, guard::GuardSet, question::Snapshot};

/// What a session has read in earlier transactions.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The sets, as they were last.
    pub(super) sets: Snapshot,
    /// The guards of tables whose rows a statement may have changed.
    changed: GuardSet,
    /// A record that no event has told of yet.
    pub(super) record: Option<Box<Recorded>>,
}

impl Ready {
    /// The session has read sets.
    pub(super) fn have_seen(&mut self, found: &Snapshot) {
        if self.compares() {
            self.seen.sets.renew(found);
        }
    }

    /// The statement at hand, which names `guards`, is `noted`.
    pub(super) fn names(&mut self, noted: Noted, guards: GuardSet) {
        let takes = noted.takes;
        self.transaction.touch.get_or_insert_default().noted = noted;
        self.presume(guards, takes);
    }

    /// A statement is next that names `guards` and `takes` so much. If it only adds rows, to sets that were seen,
    /// they count as read. Not where this session has changed rows before, which the server may count as this
    /// transaction's, nor in a block of the client's, whose next statement may be judged at once.
    pub(super) fn presume(&mut self, guards: GuardSet, takes: Takes) {
        if takes >= Takes::Rows {
            self.seen.changed = self.seen.changed.union(guards);
        }
        let unread = self.unread(guards);
        let adds = takes == Takes::Nothing && unread.without(self.seen.changed) == unread;
        let alone = self.transaction.status == Status::Idle;
        if !adds || !alone || unread.is_empty() || !self.compares() {
            return;
        }
        let all = &self.shared.guarding.guards;
        let (mut some, mut sets) = (false, true);
        for (key, _) in self.seen.sets.histories() {
            if unread.contains(key.guard) {
                some = true;
                sets &= all.is_set(key);
            }
        }
        if !some || !sets || !unread.without(self.seen.sets.asked()).is_empty() {
            return;
        }
        let touch = self.transaction.touch.get_or_insert_default();
        touch.before.merge(Snapshot::of(unread));
        touch.asked = touch.asked.union(unread);
    }
}
