//! The end of a session's connections: what was sent arrives before they close.
use super::{lane::Lane, socket::Socket};
use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWrite},
    time::timeout,
};

/// The longest wait for a peer to take what was sent to it before its connection is closed.
const FLUSH_MAX: Duration = Duration::from_secs(5);
/// The longest wait for a peer to close after it was sent an error.
const LINGER_MAX: Duration = Duration::from_secs(1);

/// Writes what is unsent to the client and, if there is one, to the server; each with the lane that
/// leads to it. A peer that takes nothing has its time, and no more.
pub async fn flush(client: (&mut Socket, &mut Lane), mut server: Option<(&mut Socket, &mut Lane)>) {
    let both = poll_fn(|cx| {
        let to_client = poll_one(client.0, client.1, cx);
        let to_server = match &mut server {
            Some((socket, lane)) => poll_one(socket, lane, cx),
            None => Poll::Ready(()),
        };
        if to_client.is_ready() {
            to_server
        } else {
            Poll::Pending
        }
    });
    // What is still unsent then is lost with the connection.
    let _ = timeout(FLUSH_MAX, both).await;
}

fn poll_one(to: &mut Socket, lane: &mut Lane, cx: &mut Context<'_>) -> Poll<()> {
    lane.poll_flush(to, cx).map(|flushed| {
        if flushed.is_err() {
            lane.deafen();
        }
    })
}

/// Shuts the sending half down, so that the peer reads what was sent before it reads the end.
pub async fn shut_down(socket: &mut Socket) {
    // The peer may be gone already; there is nothing left to do for it.
    let _ = poll_fn(|cx| Pin::new(&mut *socket).poll_shutdown(cx)).await;
}

/// Reads until the peer closes, keeping nothing: to close with its bytes unread would reset the
/// connection, and the peer would lose the error that it was sent.
pub async fn linger(socket: &mut Socket) {
    let to_the_end = async {
        let mut unwanted = [0; 1024];
        while matches!(socket.read(&mut unwanted).await, Ok(1..)) {}
    };
    // A peer that does not close loses its connection.
    let _ = timeout(LINGER_MAX, to_the_end).await;
}
