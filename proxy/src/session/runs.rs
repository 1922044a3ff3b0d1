//! Migration runs: the sessions of one client in one database, of which one has named a guarded table.
//!
//! A tool may change the schema on one connection and record it on another. What the first one's
//! session holds is settled when the second one's record says which way it went, so sessions of a run
//! give each other orders. They talk through this table, and wake each other by the shell's means.

use pgpawl_policy::rule::Who;
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

/// Wakes a session, so that it is stepped again.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// Whose sessions are one client's.
type Key = (String, String, Option<IpAddr>);

/// What becomes of what another session of the run holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Order {
    Commit,
    Rollback,
}

/// All runs of the process.
#[derive(Default)]
pub struct Runs {
    runs: Mutex<HashMap<Key, Arc<Run>>>,
}

impl std::fmt::Debug for Runs {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.debug_struct("Runs").finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Run {
    /// Sessions that hold something and are waited for.
    holding: AtomicUsize,
    /// Sessions that have named a guarded table.
    members: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    next: u64,
    chairs: HashMap<u64, Chair>,
    /// Something that was to be committed is lost.
    lost: bool,
    /// Changes of the schema were committed that no record of a version has followed.
    unrecorded: bool,
}

struct Chair {
    wake: Wake,
    holds: bool,
    order: Option<Order>,
}

/// One session's seat in its run; dropping it gives the seat back.
pub(super) struct Seat {
    runs: Arc<Runs>,
    run: Arc<Run>,
    key: Key,
    id: u64,
    member: bool,
    holds: bool,
}

impl std::fmt::Debug for Seat {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.debug_struct("Seat")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Runs {
    /// A seat for a session of `who`.
    pub(super) fn enter(self: &Arc<Self>, who: &Who, wake: Wake) -> Seat {
        let key = (who.database.clone(), who.user.clone(), who.client);
        let mut runs = self.runs.lock().unwrap_or_else(PoisonError::into_inner);
        let run = Arc::clone(runs.entry(key.clone()).or_default());
        let mut state = run.state();
        let id = state.next;
        state.next += 1;
        let chair = Chair {
            wake,
            holds: false,
            order: None,
        };
        state.chairs.insert(id, chair);
        drop(state);
        Seat {
            runs: Arc::clone(self),
            run,
            key,
            id,
            member: false,
            holds: false,
        }
    }
}

impl Run {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// This session named a guarded table.
    pub(super) fn join(&mut self) {
        if !self.member {
            self.member = true;
            self.run.members.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Whether a session of the run that named a guarded table is open.
    pub(super) fn is_run(&self) -> bool {
        self.member || self.run.members.load(Ordering::SeqCst) > 0
    }

    /// Whether such a session is open besides this one.
    pub(super) fn others_run(&self) -> bool {
        self.run.members.load(Ordering::SeqCst) > usize::from(self.member)
    }

    /// This session holds something.
    pub(super) fn hold(&mut self) {
        if !std::mem::replace(&mut self.holds, true) {
            self.run.holding.fetch_add(1, Ordering::SeqCst);
        }
        if let Some(chair) = self.run.state().chairs.get_mut(&self.id) {
            chair.holds = true;
        }
    }

    /// Whether others may wait for what this session holds.
    pub(super) const fn holds(&self) -> bool {
        self.holds
    }

    /// What this session held is settled, or is none of the run's business any more. `lost`: others
    /// relied on it, and it is gone.
    pub(super) fn release(&mut self, lost: bool) {
        if !std::mem::replace(&mut self.holds, false) {
            return;
        }
        self.run.holding.fetch_sub(1, Ordering::SeqCst);
        let mut state = self.run.state();
        state.lost |= lost;
        if let Some(chair) = state.chairs.get_mut(&self.id) {
            chair.holds = false;
            chair.order = None;
        }
        wake_all(&state);
    }

    /// Whether another session of the run holds something.
    pub(super) fn others_hold(&self) -> bool {
        self.run.holding.load(Ordering::SeqCst) > usize::from(self.holds)
    }

    /// Tells the other sessions of the run what becomes of what they hold.
    pub(super) fn order(&self, order: Order) {
        let mut state = self.run.state();
        state.lost = false;
        for (id, chair) in &mut state.chairs {
            if *id != self.id && chair.holds {
                chair.order = Some(order);
            }
        }
        wake_all(&state);
    }

    /// What this session was told to do with what it holds.
    pub(super) fn ordered(&self) -> Option<Order> {
        if !self.holds {
            return None;
        }
        let state = self.run.state();
        state.chairs.get(&self.id).and_then(|chair| chair.order)
    }

    /// Whether something that others were to commit is lost.
    pub(super) fn is_lost(&self) -> bool {
        self.run.state().lost
    }

    /// The schema was changed, and it is committed; or a record came.
    pub(super) fn unrecorded(&self, unrecorded: bool) {
        self.run.state().unrecorded = unrecorded;
    }

    pub(super) fn is_unrecorded(&self) -> bool {
        self.run.state().unrecorded
    }
}

/// Nobody's lock is taken by a wake: it only schedules a task.
fn wake_all(state: &State) {
    for chair in state.chairs.values() {
        (chair.wake)();
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.release(true);
        if self.member {
            self.run.members.fetch_sub(1, Ordering::SeqCst);
        }
        let mut runs = self
            .runs
            .runs
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut state = self.run.state();
        state.chairs.remove(&self.id);
        // Who lingers for the run's sake looks whether it goes on.
        wake_all(&state);
        if state.chairs.is_empty() {
            runs.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who() -> Who {
        Who {
            database: "a".into(),
            user: "b".into(),
            application_name: String::new(),
            client: None,
        }
    }

    #[test]
    fn one_orders_and_the_other_settles() {
        let runs = Arc::<Runs>::default();
        let woken = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&woken);
        let wake: Wake = Arc::new(move || {
            counter.fetch_add(1, Ordering::SeqCst);
        });
        let mut first = runs.enter(&who(), Arc::clone(&wake));
        let mut second = runs.enter(&who(), wake);
        assert!(!second.is_run());
        first.join();
        assert!(second.is_run() && second.others_run() && !first.others_run());
        second.hold();
        assert!(first.others_hold() && !second.others_hold());
        assert_eq!(second.ordered(), None);
        first.order(Order::Rollback);
        assert_eq!(second.ordered(), Some(Order::Rollback));
        assert!(woken.load(Ordering::SeqCst) > 0);
        second.release(false);
        assert!(!first.others_hold() && !first.is_lost() && second.ordered().is_none());
    }

    #[test]
    fn what_goes_with_a_session_is_lost() {
        let runs = Arc::<Runs>::default();
        let first = runs.enter(&who(), Arc::new(|| {}));
        let mut second = runs.enter(&who(), Arc::new(|| {}));
        second.hold();
        first.order(Order::Commit);
        drop(second);
        assert!(!first.others_hold() && first.is_lost());
        drop(first);
        assert!(runs.runs.lock().unwrap().is_empty(), "nobody is left");
    }
}
