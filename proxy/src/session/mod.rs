//! One client's life, pure: bytes in, actions out.
//!
//! ```text
//! First ── startup packet ──▶ Connecting ── connected ──▶ Login ── ReadyForQuery ──▶ Ready
//!   └──── cancel request ──▶ (over)            └── failed ──▶ (over)
//! ```
//!
//! `ready` relays; `client` and `prepared` look at the client's frames, `server` at the server's;
//! `owed` is what the server still has to answer, `names` the prepared statements that matter,
//! `transaction` and `reported` what is known of the transaction and the settings. The check: `gate`
//! holds a message, `reading` and `script` say what is in it, `flow` takes it through, `asking` asks
//! and tells, `hear` takes the answers, `ours` has the statements of our own, `present` what is where;
//! `upkeep` takes care of what commits by itself.
#![cfg_attr(
    not(test),
    warn(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic
    )
)]

pub mod action;
mod asked;
mod asking;
mod at;
mod cause;
mod check;
mod claim;
mod client;
mod database;
mod execute;
mod fault;
mod first;
mod flow;
mod gate;
mod hear;
mod hold;
mod inside;
mod known;
mod light;
mod login;
mod long;
mod looking;
mod names;
mod notes;
mod ours;
mod owed;
mod prepared;
mod present;
mod presumed;
mod question;
mod reading;
mod ready;
mod record;
mod reported;
mod runs;
mod savepoints;
mod script;
mod seal;
mod server;
mod settle;
mod sight;
#[cfg(test)]
mod tests;
mod transaction;
mod unjudged;
mod unnamed;
mod upkeep;
mod weigh;
mod words;

pub use action::{Action, Ending, Fate, Looking, Seen, Side, Tale};
use first::First;
use login::Login;
use pgpawl_policy::Guarding;
pub use present::{Present, TICK_MS};
use ready::Ready;
pub use runs::{Runs, Wake};
pub use sight::Sight;
use std::{net::IpAddr, sync::Arc};

/// What a session must know of the configuration.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Largest Query or Parse message that is read whole; beyond it the session ends with an error.
    pub statement_len_max: usize,
    /// Answers that the server may owe; beyond it the client's next message waits.
    pub owed_max: usize,
    /// Prepared statements and portals that a session remembers.
    pub names_max: usize,
    /// Bytes of one answer to our question.
    pub answer_len_max: usize,
    /// Ticks that a commit is held without a word from the client.
    pub hold_ticks_max: u32,
}

/// What all sessions of one configuration share.
#[derive(Debug)]
pub struct Shared {
    /// The judge.
    pub guarding: Guarding,
    /// Limits on everything that a peer can grow.
    pub limits: Limits,
    /// Which guards have a table where.
    pub present: Arc<Present>,
    /// The sessions of each client, in each database.
    pub runs: Arc<Runs>,
    /// Where pgpawl's own sessions can look.
    pub sight: Sight,
    /// Whether `replication=true` sessions are let through, not inspected.
    pub allow_replication: bool,
    /// Whether the client gets a WARNING when a lowering passes in log mode.
    pub warn_in_log_mode: bool,
}

/// One client's life.
pub struct Session {
    phase: Phase,
    wake: Wake,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.phase.fmt(to)
    }
}

#[derive(Debug)]
enum Phase {
    First(Box<First>),
    Login(Box<Login>),
    Ready(Box<Ready>),
    /// Over: says so for ever.
    Over(Ending),
}

impl Session {
    /// A session whose client has just connected; its first bytes are the startup packet's.
    #[must_use]
    pub fn new(shared: Arc<Shared>, client: Option<IpAddr>) -> Self {
        Self {
            phase: Phase::First(Box::new(First::new(shared, client))),
            wake: Arc::new(|| {}),
        }
    }

    /// How another session has this one stepped.
    #[must_use]
    pub fn woken_by(self, wake: Wake) -> Self {
        Self { wake, ..self }
    }

    /// The next thing to do, given the bytes received from each side and not yet consumed.
    ///
    /// The shell passes an empty window for a side whose bytes could not be relayed now, because
    /// earlier bytes to the other side are still unsent. It calls `step` until it answers `Wait` or
    /// `Close`; after `Close` every answer is `Close`.
    pub fn step(&mut self, client: &[u8], server: &[u8]) -> Action {
        let action = match &mut self.phase {
            Phase::First(first) => first.step(client),
            Phase::Login(login) => match login.step(client, server) {
                login::Stepped::Do(action) => action,
                login::Stepped::Open(mut ready) => {
                    ready.enter(Arc::clone(&self.wake));
                    self.phase = Phase::Ready(ready);
                    return self.step(client, server);
                }
            },
            Phase::Ready(ready) => ready.step(client, server),
            Phase::Over(ending) => Action::Close(ending.clone()),
        };
        if let Action::Close(ending) = &action {
            self.phase = Phase::Over(ending.clone());
        }
        action
    }

    /// The upstream is connected.
    pub fn connected(&mut self) {
        if let Phase::First(first) = &mut self.phase
            && let Some(login) = first.connected()
        {
            self.phase = Phase::Login(Box::new(login));
        }
    }

    /// The upstream could not be reached; `why` goes into the client's error.
    pub fn connect_failed(&mut self, why: &str) {
        if let Phase::First(first) = &mut self.phase {
            first.connect_failed(why);
        }
    }

    /// The answer to an [`Action::Look`].
    pub fn looked(&mut self, seen: &Seen) {
        if let Phase::Ready(ready) = &mut self.phase {
            ready.looked(seen);
        }
    }

    /// `side` will send no more bytes than its window holds.
    pub fn ended(&mut self, side: Side) {
        match &mut self.phase {
            Phase::First(first) => first.ended(),
            Phase::Login(login) => login.ended(side),
            Phase::Ready(ready) => ready.ended(side),
            Phase::Over(_) => {}
        }
    }

    /// pgpawl stops: end at the next moment when no transaction is open, or at once.
    pub fn stop(&mut self, how: Stop) {
        match &mut self.phase {
            Phase::First(first) => first.stop(),
            Phase::Login(login) => login.stop(),
            Phase::Ready(ready) => ready.stop(how),
            Phase::Over(_) => {}
        }
    }

    /// Bytes of the server's answers that are kept back.
    #[cfg(test)]
    fn held_len(&self) -> usize {
        match &self.phase {
            Phase::Ready(ready) => ready.gate.as_ref().map_or(0, |gate| gate.held.len()),
            Phase::First(_) | Phase::Login(_) | Phase::Over(_) => 0,
        }
    }

    /// [`TICK_MS`] have passed: to be told while [`Self::is_holding`].
    pub fn tick(&mut self) {
        if let Phase::Ready(ready) = &mut self.phase {
            ready.tick();
        }
    }

    /// A commit is held, so that time matters.
    #[must_use]
    pub fn is_holding(&self) -> bool {
        match &self.phase {
            Phase::Ready(ready) => ready.is_holding(),
            Phase::First(_) | Phase::Login(_) | Phase::Over(_) => false,
        }
    }

    /// Between transactions, with nothing owed: it has given back what it does not need while it waits, and
    /// the shell may give the buffers back.
    pub fn rests(&mut self) -> bool {
        match &mut self.phase {
            Phase::Ready(ready) => ready.rests(),
            Phase::First(_) | Phase::Login(_) | Phase::Over(_) => false,
        }
    }
}

/// How to stop.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    /// At the end of the running transaction.
    Drain,
    /// Now.
    Now,
}
