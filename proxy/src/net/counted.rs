//! A session as the metrics count it.
use super::world::World;
use std::sync::Arc;

/// It is starting, then open; dropped, it is neither.
#[derive(Debug)]
pub struct Counted {
    world: Arc<World>,
    open: bool,
}

impl Counted {
    /// A session that has not logged in.
    #[must_use]
    pub fn starting(world: &Arc<World>) -> Self {
        world.metrics.sessions_starting.inc();
        Self {
            world: Arc::clone(world),
            open: false,
        }
    }

    /// It has.
    pub fn open(&mut self) {
        if !self.open {
            self.open = true;
            self.world.metrics.sessions_starting.dec();
            self.world.metrics.sessions_open.inc();
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if self.open {
            self.world.metrics.sessions_open.dec();
        } else {
            self.world.metrics.sessions_starting.dec();
        }
    }
}
