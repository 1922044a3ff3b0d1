//! What can go wrong before and around the sessions, and the exit code of each (sysexits.h).
use crate::config::Mistakes;
use std::{io, path::PathBuf};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration, the environment or the flags are wrong.
    #[error("{0}")]
    Config(#[from] Mistakes),
    /// The address cannot be listened on.
    #[error(
        "cannot listen on {address} for {what}: {source}{}",
        listen_advice(source)
    )]
    Listen {
        /// Clients or metrics.
        what: &'static str,
        /// The address, as configured.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// `require_upstream` is set and the upstream does not answer.
    #[error(
        "the upstream {address} cannot be reached: {source}; start PostgreSQL first, correct `upstream`, or leave out `require_upstream` to start anyway"
    )]
    Upstream {
        /// The address, as configured.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// A file that pgpawl writes cannot be used.
    #[error("{what} {}: {source}; correct `{key}` in the configuration", path.display())]
    File {
        /// What the file is for.
        what: &'static str,
        /// The configuration key that names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file that was named on the command line cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Input {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system refused a thread, an event queue or a signal handler.
    #[error("{what}: {source}")]
    System {
        /// What was wanted.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The demo cannot go on.
    #[error("the demo stops: {0}")]
    Demo(String),
    /// The output cannot be written.
    #[error("cannot write the output: {0}")]
    Output(io::Error),
}

impl Error {
    /// The process's exit code, as in sysexits.h.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Config(_) => USAGE,
            Self::Input { .. } => NO_INPUT,
            Self::Upstream { .. } | Self::Demo(_) => UNAVAILABLE,
            Self::Listen { source, .. } => match source.kind() {
                io::ErrorKind::AddrInUse => UNAVAILABLE,
                io::ErrorKind::PermissionDenied => NO_PERMISSION,
                _ => OS_ERROR,
            },
            Self::System { .. } => OS_ERROR,
            Self::File { .. } | Self::Output(_) => IO_ERROR,
        }
    }
}

/// `EX_USAGE`: the command line or the configuration is wrong.
pub const USAGE: u8 = 64;
/// `EX_NOINPUT`: an input file cannot be read.
pub const NO_INPUT: u8 = 66;
/// `EX_UNAVAILABLE`: something that pgpawl needs is not there.
pub const UNAVAILABLE: u8 = 69;
/// `EX_OSERR`: the system gives no thread, no socket.
pub const OS_ERROR: u8 = 71;
/// `EX_IOERR`: a file cannot be read or written.
pub const IO_ERROR: u8 = 74;
/// `EX_NOPERM`: not allowed to.
pub const NO_PERMISSION: u8 = 77;

fn listen_advice(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::AddrInUse => {
            "; another process listens there (`ss -ltnp` shows which): stop it or choose another address"
        }
        io::ErrorKind::AddrNotAvailable => "; this machine does not have that address",
        io::ErrorKind::PermissionDenied => {
            "; ports below 1024 need a privilege: choose a higher one"
        }
        _ => "",
    }
}
