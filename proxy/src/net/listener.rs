//! Where clients come in.
use super::worker::Client;
use crate::{config::Address, error::Error};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::{
    fs, io,
    net::{SocketAddr, ToSocketAddrs},
    os::unix::fs::FileTypeExt,
    path::{Path, PathBuf},
};
use tokio::net::{TcpListener, UnixListener, UnixStream};

/// Clients that may wait to be accepted: a deployment's whole pool reconnects at once.
const BACKLOG: i32 = 1024;

/// A bound socket.
#[derive(Debug)]
pub enum Listener {
    /// On a network.
    Tcp(TcpListener),
    /// On this machine; the file goes when the listener does.
    Unix(UnixListener, PathBuf),
}

impl Listener {
    /// Binds `address`.
    ///
    /// # Errors
    /// When it is in use, not ours, or not allowed.
    pub async fn bind(address: &Address, what: &'static str) -> Result<Self, Error> {
        let bound = match address {
            Address::Tcp { host, port } => tcp(host, *port),
            Address::Unix(path) => unix(path).await,
        };
        bound.map_err(|source| Error::Listen {
            what,
            address: address.to_string(),
            source,
        })
    }

    /// The address that was bound, its port chosen if it was 0.
    #[must_use]
    pub fn address(&self) -> String {
        match self {
            Self::Tcp(listener) => listener
                .local_addr()
                .map(|address| address.to_string())
                .unwrap_or_default(),
            Self::Unix(_, path) => path.display().to_string(),
        }
    }

    /// The next client.
    ///
    /// # Errors
    /// Mostly when files or memory are short.
    pub async fn accept(&self) -> io::Result<Client> {
        match self {
            Self::Tcp(listener) => listener.accept().await?.0.into_std().map(Client::Tcp),
            Self::Unix(listener, _) => listener.accept().await?.0.into_std().map(Client::Unix),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Self::Unix(_, path) = self {
            // It may be gone already.
            let _ = fs::remove_file(path);
        }
    }
}

fn tcp(host: &str, port: u16) -> io::Result<Listener> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in (host, port).to_socket_addrs()? {
        match tcp_on(address) {
            Ok(listener) => return Ok(Listener::Tcp(listener)),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn tcp_on(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    // A restart must not wait for the last connections of the old process to be forgotten.
    socket.set_reuse_address(true)?;
    if address.ip().is_unspecified() && address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::from(address))?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

async fn unix(path: &Path) -> io::Result<Listener> {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    if is_socket {
        if UnixStream::connect(path).await.is_ok() {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        // Left by a process that was killed.
        fs::remove_file(path)?;
    }
    UnixListener::bind(path).map(|listener| Listener::Unix(listener, path.to_owned()))
}
