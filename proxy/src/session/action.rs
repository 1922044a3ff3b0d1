//! What the session wants done: the contract between the pure session and the shell.
use bytes::Bytes;
use pgpawl_policy::{
    question::Row,
    rule::Who,
    verdict::{Finding, Observation},
};

/// One of the two peers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// The migration tool or application.
    Client,
    /// PostgreSQL.
    Server,
}

/// One thing to do. The shell obeys in order; for one destination the order of `Relay` and `Send`
/// is the order of the bytes.
#[derive(Debug)]
pub enum Action {
    /// Pass the first `len` bytes of `from`'s window to the other side unchanged, and consume them.
    Relay {
        /// Whose window.
        from: Side,
        /// How many bytes; never 0, never more than the window holds.
        len: usize,
    },
    /// Consume the first `len` bytes of `from`'s window and pass them to nobody.
    Drop {
        /// Whose window.
        from: Side,
        /// How many bytes; never 0, never more than the window holds.
        len: usize,
    },
    /// Send bytes of our own.
    Send {
        /// To whom.
        to: Side,
        /// At most some KiB, but for a statement that is sent in parts.
        bytes: Bytes,
    },
    /// Connect to the upstream, then call [`super::Session::connected`] or
    /// [`super::Session::connect_failed`]. Asked once, after the startup packet.
    Connect,
    /// A cancel request: open a connection to the upstream, send it `packet`, close both.
    Cancel {
        /// The whole CancelRequest, as received.
        packet: Bytes,
    },
    /// Ask in a session of pgpawl's own; then call [`super::Session::looked`].
    Look(Box<Looking>),
    /// The client has left, and the session goes on without it: end its connection.
    Dismiss,
    /// Make the observation durable before the next action is taken.
    Record(Box<Observation>),
    /// Tell the world.
    Tell(Box<Tale>),
    /// Nothing can be done until more arrives. For each side: how many bytes its window must hold
    /// before another step can make progress. What is already more than the window's usual size
    /// needs a larger buffer; 0: nothing from this side can make progress now.
    Wait {
        /// Bytes wanted in the client's window.
        client: usize,
        /// Bytes wanted in the server's window.
        server: usize,
    },
    /// Flush what was sent, then close both connections. Nothing follows.
    Close(Ending),
}

/// What is asked in a session of pgpawl's own.
#[derive(Debug)]
pub struct Looking {
    /// The database.
    pub database: String,
    /// The question, one SELECT.
    pub text: String,
    /// As whom, without a password, where the operator named no role for it.
    pub user: String,
}

/// What pgpawl's own session saw.
#[derive(Debug)]
pub enum Seen {
    /// The answer.
    Rows(Vec<Row>),
    /// There is no such database.
    NoDatabase,
    /// It could not look.
    Nothing,
}

impl Seen {
    /// The answer, if there is one.
    #[must_use]
    pub fn rows(&self) -> Option<&[Row]> {
        match self {
            Self::Rows(rows) => Some(rows),
            Self::NoDatabase | Self::Nothing => None,
        }
    }
}

/// Something worth an event line, a log line or a metric.
#[derive(Debug)]
pub enum Tale {
    /// Authentication succeeded: the session is open.
    Opened {
        /// Whose it is.
        who: Who,
        /// Whether its statements are inspected.
        inspected: bool,
        /// Process id and secret key of the server's BackendKeyData, as received, if there was one.
        cancel_key: Option<Bytes>,
    },
    /// A judgement was made.
    Judged {
        /// Whose session.
        who: Who,
        /// What changed.
        findings: Vec<Finding>,
        /// A fingerprint of the statement that was judged, sixteen hexadecimal digits.
        fingerprint: String,
        /// The start of the statement, for the log.
        statement: String,
        /// This run changed the schema in transactions that are committed and were not recorded.
        unrecorded: bool,
    },
    /// A commit was held, or what was held is settled.
    Hold {
        /// Whose session.
        who: Who,
        /// What became of it.
        fate: Fate,
        /// Why, as a stable word.
        why: &'static str,
    },
    /// The question to the server begins: the shell may start a stop-watch.
    EvaluationBegan,
    /// The question was answered.
    EvaluationEnded,
}

/// What became of a commit that pgpawl answered before the server did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It is held.
    Held,
    /// It was committed without a record.
    Committed,
    /// It was rolled back.
    RolledBack,
    /// The server could not commit it.
    Lost,
}

/// Why a session ended: whose fault it was, if anyone's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ending {
    /// The client said Terminate, or closed between messages with nothing owed.
    Finished,
    /// The client's connection ended in the middle of something.
    ClientGone,
    /// The server's connection ended while the client was still there.
    ServerGone,
    /// The client broke the protocol.
    ClientViolation(String),
    /// The server broke the protocol.
    ServerViolation(String),
    /// The upstream could not be reached.
    ConnectFailed(String),
    /// The session was refused by configuration (replication).
    NotAllowed(String),
    /// What it held was rolled back, because another session of its run was refused.
    Undone,
    /// pgpawl is stopping.
    Stopped,
    /// A cancel request was handed on.
    Cancelled,
}
