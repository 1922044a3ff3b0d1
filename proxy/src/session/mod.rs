//! One client's life, pure: bytes in, actions out.
pub mod action;

pub use action::{Action, Ending, Side, Tale};
use pgpawl_policy::guard::GuardSet;
use std::{net::IpAddr, sync::Arc};

/// What a session must know of the configuration.
#[derive(Debug)]
pub struct Limits {
    /// Largest Query or Parse text that is read whole; beyond it the statement is refused.
    pub statement_len_max: usize,
    /// Answers that the server may owe; beyond it the client's next message waits.
    pub owed_max: usize,
    /// Prepared statements and portals that a session remembers.
    pub names_max: usize,
    /// Bytes of one answer to our question.
    pub answer_len_max: usize,
}

/// What all sessions of one configuration share.
#[derive(Debug)]
pub struct Shared {
    // guarding: pgpawl_policy::Guarding
    /// Limits on everything that a peer can grow.
    pub limits: Limits,
    /// Whether `replication=true` sessions are let through, not inspected.
    pub allow_replication: bool,
    /// Whether the client gets a WARNING when a lowering passes in log mode.
    pub warn_in_log_mode: bool,
}

/// One client's life.
#[derive(Debug)]
pub struct Session {
    shared: Arc<Shared>,
    client: Option<IpAddr>,
}

impl Session {
    /// A session whose client has just connected; its first bytes are the startup packet's.
    #[must_use]
    pub fn new(shared: Arc<Shared>, client: Option<IpAddr>) -> Self {
        Self { shared, client }
    }

    /// The next thing to do, given the bytes received from each side and not yet consumed.
    ///
    /// The shell passes an empty window for a side whose bytes could not be relayed now, because
    /// earlier bytes to the other side are still unsent. It calls `step` until it answers `Wait` or
    /// `Close`.
    pub fn step(&mut self, client: &[u8], server: &[u8]) -> Action {
        let _ = (client, server, &self.shared, self.client, GuardSet::EMPTY);
        todo!()
    }

    /// The upstream is connected.
    pub fn connected(&mut self) {
        todo!()
    }

    /// The upstream could not be reached; `why` goes into the client's error.
    pub fn connect_failed(&mut self, why: &str) {
        let _ = why;
        todo!()
    }

    /// `side` will send no more bytes than its window holds.
    pub fn ended(&mut self, side: Side) {
        let _ = side;
        todo!()
    }

    /// pgpawl stops: end at the next moment when no transaction is open (`drain`), or at once.
    pub fn stop(&mut self, how: Stop) {
        let _ = how;
        todo!()
    }

    /// Between transactions, with nothing owed: the shell may give the buffers back.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        todo!()
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
