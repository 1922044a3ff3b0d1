//! Who gets which mode and coverage: first match wins, as in pg_hba.conf.
use std::net::IpAddr;

/// Whose session it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Who {
    /// The database of the startup packet.
    pub database: String,
    /// The user of the startup packet.
    pub user: String,
    /// The `application_name` that the server last reported, or that the startup packet asked for.
    pub application_name: String,
    /// The client's address; none over a Unix socket.
    pub client: Option<IpAddr>,
}

/// What pgpawl does with a lowering.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Refuses it.
    Enforce,
    /// Lets it pass and says so.
    Log,
    /// Does not look.
    Off,
}

/// Which transactions are checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Coverage {
    /// Those with a statement that may concern a guarded table.
    Statement,
    /// All that wrote anything.
    Transaction,
}
