//! Time for a session that holds a commit: all others need none.
use crate::{
    runtime,
    session::{Session, TICK_MS},
};
use std::{future::Future, pin::Pin, task::Context, time::Duration};
use tokio::time::Sleep;

/// The session's clock.
#[derive(Debug, Default)]
pub struct Clock(Option<Pin<Box<Sleep>>>);

impl Clock {
    /// While `session` holds a commit, time passes for it; true when it did.
    pub fn ticked(&mut self, session: &mut Session, cx: &mut Context<'_>) -> bool {
        if !session.is_holding() {
            self.0 = None;
            return false;
        }
        let tick = Duration::from_millis(TICK_MS);
        let sleep = self.0.get_or_insert_with(|| runtime::timer(tick));
        if sleep.as_mut().poll(cx).is_pending() {
            return false;
        }
        self.0 = None;
        session.tick();
        true
    }
}
