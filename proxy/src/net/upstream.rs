//! Connections to PostgreSQL.
use super::socket::Socket;
use crate::config::Address;
use bytes::Bytes;
use std::{
    fmt, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UnixStream, lookup_host},
    time::timeout,
};

/// Where one session's server is, exactly: of a name with several addresses, the one that answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    /// An IP address and port.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
    /// What the configuration names.
    Configured(Address),
}

/// Why PostgreSQL could not be reached.
#[derive(Debug, thiserror::Error)]
pub enum Unreachable {
    /// The name has no address.
    #[error("the name of {address} cannot be resolved: {source}")]
    Name {
        /// As configured.
        address: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// No address answered.
    #[error("cannot connect to {address}: {source}")]
    Refused {
        /// As configured.
        address: String,
        /// What the last of them said.
        source: io::Error,
    },
    /// Too slow.
    #[error("no answer from {address} within {} ms", limit.as_millis())]
    Slow {
        /// As configured.
        address: String,
        /// The limit.
        limit: Duration,
    },
}

impl Unreachable {
    /// The label of the metric.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Name { .. } => "name",
            Self::Refused { .. } => "connect",
            Self::Slow { .. } => "timeout",
        }
    }
}

/// Connects to any address of `upstream`, in the resolver's order, within `limit` for all of them.
///
/// # Errors
/// Why none answered.
pub async fn connect(upstream: &Address, limit: Duration) -> Result<Socket, Unreachable> {
    timeout(limit, any(upstream)).await.unwrap_or_else(|_| {
        Err(Unreachable::Slow {
            address: upstream.to_string(),
            limit,
        })
    })
}

async fn any(upstream: &Address) -> Result<Socket, Unreachable> {
    let refused = |source| Unreachable::Refused {
        address: upstream.to_string(),
        source,
    };
    let (host, port) = match upstream {
        Address::Unix(path) => return unix(path).await.map_err(refused),
        Address::Tcp { host, port } => (host.as_str(), *port),
    };
    let addresses = lookup_host((host, port))
        .await
        .map_err(|source| Unreachable::Name {
            address: upstream.to_string(),
            source,
        })?;
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        match TcpStream::connect(address).await.and_then(Socket::tcp) {
            Ok(socket) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(refused(last))
}

async fn unix(path: &Path) -> io::Result<Socket> {
    // PostgreSQL's clients name the folder of the socket; its file then has the usual name.
    let path = if path.is_dir() {
        path.join(".s.PGSQL.5432")
    } else {
        path.to_owned()
    };
    UnixStream::connect(path).await.map(Socket::Unix)
}

impl Target {
    /// Where `socket` is connected to.
    #[must_use]
    pub fn of(socket: &Socket, configured: &Address) -> Self {
        match (socket.peer(), configured) {
            (Some(address), _) => Self::Tcp(address),
            (None, Address::Unix(path)) => Self::Unix(path.clone()),
            (None, Address::Tcp { .. }) => Self::Configured(configured.clone()),
        }
    }

    async fn connect(&self) -> io::Result<Socket> {
        match self {
            Self::Tcp(address) => TcpStream::connect(address).await.and_then(Socket::tcp),
            Self::Unix(path) => unix(path).await,
            Self::Configured(address) => any(address).await.map_err(io::Error::other),
        }
    }

    /// Hands a CancelRequest on and waits until the server has acted on it, which it shows by
    /// closing the connection.
    ///
    /// # Errors
    /// When the server cannot be reached within `limit`.
    pub async fn cancel(&self, packet: &Bytes, limit: Duration) -> io::Result<()> {
        let hand_on = async {
            let mut socket = self.connect().await?;
            socket.write_all(packet).await?;
            let mut byte = [0];
            // Whatever comes, the request has been read.
            let _ = socket.read(&mut byte).await;
            Ok(())
        };
        timeout(limit, hand_on)
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(to, "{address}"),
            Self::Unix(path) => write!(to, "{}", path.display()),
            Self::Configured(address) => write!(to, "{address}"),
        }
    }
}
