//! The open sessions: how to stop them, and where their cancel requests go.
use crate::session::{Stop, Wake};
use bytes::Bytes;
use dashmap::DashMap;
use std::{
    sync::Arc,
    sync::{
        OnceLock,
        atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering},
    },
    task::Waker,
};

use super::upstream::Target;

/// How the process tells one session to stop: an atomic read per poll, no lock.
#[derive(Debug, Default)]
pub struct Control {
    phase: AtomicU8,
    waker: OnceLock<Waker>,
}

const RUN: u8 = 0;
const DRAIN: u8 = 1;
const NOW: u8 = 2;

impl Control {
    /// What the session has been told to do, if anything. A session is one task, so that its waker
    /// stays the same.
    pub fn heard(&self, waker: &Waker) -> Option<Stop> {
        self.waker.get_or_init(|| waker.clone());
        match self.phase.load(Ordering::SeqCst) {
            RUN => None,
            DRAIN => Some(Stop::Drain),
            _ => Some(Stop::Now),
        }
    }

    fn tell(&self, how: Stop) {
        let phase = match how {
            Stop::Drain => DRAIN,
            Stop::Now => NOW,
        };
        self.phase.fetch_max(phase, Ordering::SeqCst);
        self.wake();
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.get() {
            waker.wake_by_ref();
        }
    }
}

/// All open connections.
#[derive(Debug, Default)]
pub struct Sessions {
    next: AtomicU64,
    controls: DashMap<u64, Arc<Control>>,
    keys: DashMap<Bytes, (u64, Target)>,
    admitted: AtomicUsize,
    phase: AtomicU8,
}

/// One connection's place in the registry; dropping it gives the place back.
#[derive(Debug)]
pub struct Place {
    sessions: Arc<Sessions>,
    id: u64,
    control: Arc<Control>,
    key: Option<Bytes>,
    admitted: bool,
}

impl Sessions {
    /// A place for a new connection.
    #[must_use]
    pub fn enter(self: &Arc<Self>) -> Place {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let control = Arc::<Control>::default();
        self.controls.insert(id, Arc::clone(&control));
        // Whoever enters while the others are told to stop is told too.
        match self.phase.load(Ordering::SeqCst) {
            RUN => {}
            DRAIN => control.tell(Stop::Drain),
            _ => control.tell(Stop::Now),
        }
        Place {
            sessions: Arc::clone(self),
            id,
            control,
            key: None,
            admitted: false,
        }
    }

    /// Connections, those that have not logged in included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.controls.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.controls.is_empty()
    }

    /// Tells all to stop, and all that come.
    pub fn stop(&self, how: Stop) {
        let phase = if how == Stop::Drain { DRAIN } else { NOW };
        self.phase.fetch_max(phase, Ordering::SeqCst);
        for control in &self.controls {
            control.tell(how);
        }
    }

    /// Where the session with this cancel key runs.
    #[must_use]
    pub fn target(&self, key: &[u8]) -> Option<Target> {
        self.keys.get(key).map(|entry| entry.1.clone())
    }
}

impl Place {
    /// How this session is stopped.
    #[must_use]
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// How another session wakes this one.
    #[must_use]
    pub fn wake(&self) -> Wake {
        let control = Arc::clone(&self.control);
        Arc::new(move || control.wake())
    }

    /// The number of this connection, for the log.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Takes one of `sessions_max` seats; false when all are taken.
    #[must_use]
    pub fn admit(&mut self, sessions_max: usize) -> bool {
        let seats = &self.sessions.admitted;
        let taken = seats.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |taken| {
            (taken < sessions_max).then_some(taken + 1)
        });
        self.admitted = taken.is_ok();
        self.admitted
    }

    /// The server gave the session this cancel key.
    pub fn remember_key(&mut self, key: Bytes, target: Target) {
        self.sessions.keys.insert(key.clone(), (self.id, target));
        self.key = Some(key);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(key) = &self.key {
            // Two servers may give the same key: the later session has it then.
            self.sessions
                .keys
                .remove_if(key, |_, (id, _)| *id == self.id);
        }
        self.sessions.controls.remove(&self.id);
        if self.admitted {
            self.sessions.admitted.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_are_limited_and_given_back() {
        let sessions = Arc::<Sessions>::default();
        let mut first = sessions.enter();
        let mut second = sessions.enter();
        assert!(first.admit(1));
        assert!(!second.admit(1));
        drop(first);
        assert!(second.admit(1));
        drop(second);
        assert!(sessions.is_empty());
    }

    #[test]
    fn the_late_are_told_too() {
        let sessions = Arc::<Sessions>::default();
        let early = sessions.enter();
        assert_eq!(early.control().heard(Waker::noop()), None);
        sessions.stop(Stop::Drain);
        assert_eq!(early.control().heard(Waker::noop()), Some(Stop::Drain));
        assert_eq!(
            sessions.enter().control().heard(Waker::noop()),
            Some(Stop::Drain)
        );
        sessions.stop(Stop::Now);
        assert_eq!(early.control().heard(Waker::noop()), Some(Stop::Now));
        sessions.stop(Stop::Drain);
        assert_eq!(early.control().heard(Waker::noop()), Some(Stop::Now));
    }
}
