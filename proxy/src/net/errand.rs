//! What a session's task does between its polls, and how it ends.
use crate::session::{Ending, Looking};
use bytes::Bytes;
use pgpawl_policy::verdict::Observation;

/// How a session ended.
#[derive(Debug)]
pub enum Outcome {
    /// As the session decided.
    Ended(Ending),
    /// All seats are taken.
    TooMany,
    /// The client did not log in in time.
    LoginTimeout,
    /// Neither side can go on: a mistake in pgpawl.
    Stuck,
}

/// What takes more than a poll.
pub enum Errand {
    Connect,
    Cancel(Bytes),
    Dismiss,
    Record(Observation),
    Look(Looking),
    Close(Outcome),
}
