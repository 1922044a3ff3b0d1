//! Limits on everything that a peer can grow, and on waits.
use super::{Check, raw::Raw};
use crate::session;
use std::time::Duration;

const MIB: usize = 1024 * 1024;
/// A day: longer waits are a mistake in the unit.
pub const TIMEOUT_MS_MAX: usize = 24 * 60 * 60 * 1000;

/// What each session is built with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SessionLimits {
    /// Bytes of a statement's text.
    pub statement_len_max: usize,
    /// Answers that the server may owe.
    pub owed_max: usize,
    /// Prepared statements and portals that a session remembers.
    pub names_max: usize,
    /// Bytes of an answer to our question.
    pub answer_len_max: usize,
    /// How long a commit is held without a word from the client.
    pub hold_max: Duration,
    /// Whether `replication=true` sessions pass, not inspected.
    pub allow_replication: bool,
    /// Whether a client is warned when a lowering passes in log mode.
    pub warn_in_log_mode: bool,
}

impl SessionLimits {
    /// In the session's own words.
    #[must_use]
    pub fn limits(&self) -> session::Limits {
        session::Limits {
            statement_len_max: self.statement_len_max,
            owed_max: self.owed_max,
            names_max: self.names_max,
            answer_len_max: self.answer_len_max,
            hold_ticks_max: ticks(self.hold_max),
        }
    }
}

/// Limits of the process and its waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Open sessions; one more is refused with 53300.
    pub sessions_max: usize,
    /// From a client's connection to its authentication. 60 s is PostgreSQL's
    /// `authentication_timeout`.
    pub login_timeout: Duration,
    /// For a connection to the upstream, all its addresses together.
    pub connect_timeout: Duration,
    /// For running transactions after SIGTERM.
    pub drain_timeout: Duration,
}

/// A time in ticks of the sessions' clock; at least one.
fn ticks(time: Duration) -> u32 {
    let ticks = time.as_millis().div_ceil(u128::from(session::TICK_MS));
    u32::try_from(ticks).unwrap_or(u32::MAX).max(1)
}

impl Check<'_> {
    pub(super) fn session_limits(&mut self, raw: &Raw) -> SessionLimits {
        let limits = &raw.limits;
        // PostgreSQL's own limit of a message is 1 GiB.
        let gib = 1024 * MIB;
        SessionLimits {
            statement_len_max: self.number(
                "limits.statement_len_max",
                limits.statement_len_max,
                64 * MIB,
                8192..=gib,
            ),
            owed_max: self.number("limits.owed_max", limits.owed_max, 65_536, 16..=16_777_216),
            names_max: self.number(
                "limits.names_max",
                limits.names_max,
                16_384,
                16..=16_777_216,
            ),
            answer_len_max: self.number(
                "limits.answer_len_max",
                limits.answer_len_max,
                64 * MIB,
                8192..=gib,
            ),
            hold_max: self.milliseconds("limits.hold_max_ms", limits.hold_max_ms, 5_000),
            allow_replication: raw.allow_replication.unwrap_or(false),
            warn_in_log_mode: raw.warn_in_log_mode.unwrap_or(false),
        }
    }

    pub(super) fn limits(&mut self, raw: &Raw) -> Limits {
        let limits = &raw.limits;
        Limits {
            sessions_max: self.number(
                "limits.sessions_max",
                limits.sessions_max,
                10_000,
                1..=1_000_000,
            ),
            login_timeout: self.milliseconds(
                "limits.login_timeout_ms",
                limits.login_timeout_ms,
                60_000,
            ),
            connect_timeout: self.milliseconds(
                "limits.connect_timeout_ms",
                limits.connect_timeout_ms,
                10_000,
            ),
            drain_timeout: self.milliseconds(
                "limits.drain_timeout_ms",
                limits.drain_timeout_ms,
                30_000,
            ),
        }
    }
}
