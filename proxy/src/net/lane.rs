//! One direction of a session: what was received from its source, and what its destination has
//! not yet taken.
//!
//! ```text
//!            inbound                                  own
//!  ┌───────────────┬──────────────────────┐   ┌──────────────────┐
//!  │   relaying    │        window        │   │  bytes of ours   │
//!  └───────────────┴──────────────────────┘   └──────────────────┘
//!    to the          for the session            to the destination,
//!    destination                                behind `relaying`
//! ```
//!
//! Relayed bytes are written straight from the buffer that they were read into, all that one step
//! allows in one write.
use bytes::{Buf, BytesMut};
use std::{
    cell::RefCell,
    future::Future,
    io::{self, IoSlice},
    pin::{Pin, pin},
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncReadExt, AsyncWrite};

use super::socket::Socket;

/// Bytes that a window usually holds: PostgreSQL writes to its socket in pieces of 8 KiB.
pub const WINDOW_LEN: usize = 8 * 1024;

/// Room while a source sends more than that at a time: fewer reads and writes for a COPY.
const BULK_LEN: usize = 64 * 1024;

/// Empty buffers that a thread keeps for the next session that reads: as many as are in use at once, for most
/// sessions of a busy thread wait for their peers.
const SPARE_MAX: usize = 8;

thread_local! {
    static SPARE: RefCell<Vec<BytesMut>> = const { RefCell::new(Vec::new()) };
}

/// One direction of a session.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own; no two exclude each other"
)]
pub struct Lane {
    inbound: BytesMut,
    relaying: usize,
    own: BytesMut,
    /// The destination refused the last write for now.
    blocked: bool,
    /// The source gives no more.
    ended: bool,
    /// The destination takes no more.
    deaf: bool,
    /// What the buffer was made for, however much of it was read from; 0: there is none.
    room: usize,
    /// The last read filled a usual window.
    bulk: bool,
    /// The source had nothing, and wakes the task when it has.
    armed: bool,
}

impl Lane {
    /// What the session may look at: nothing while the destination has not taken what is before.
    #[must_use]
    pub fn window(&self) -> &[u8] {
        if self.blocked {
            return &[];
        }
        self.inbound.get(self.relaying..).unwrap_or_default()
    }

    /// Passes the first `len` bytes of the window on.
    pub fn relay(&mut self, len: usize) {
        let len = len.min(self.window().len());
        if self.own.is_empty() {
            self.relaying += len;
        } else {
            // Bytes of ours go before these, and a short copy is cheaper than another write.
            self.fold();
            self.own
                .extend_from_slice(self.inbound.get(..len).unwrap_or_default());
            self.inbound.advance(len);
        }
    }

    /// Passes the first `len` bytes of the window to nobody.
    pub fn skip(&mut self, len: usize) {
        let len = len.min(self.window().len());
        self.fold();
        self.inbound.advance(len);
    }

    /// Appends bytes of ours.
    pub fn send(&mut self, bytes: &[u8]) {
        if !self.deaf {
            self.own.extend_from_slice(bytes);
        }
    }

    /// Moves what is being relayed before the bytes of ours, so that the window begins the buffer.
    fn fold(&mut self) {
        if self.relaying == 0 {
            return;
        }
        let mut folded = BytesMut::with_capacity(self.relaying + self.own.len());
        folded.extend_from_slice(self.inbound.get(..self.relaying).unwrap_or_default());
        folded.extend_from_slice(&self.own);
        self.inbound.advance(self.relaying);
        self.relaying = 0;
        self.own = folded;
    }

    /// Whether the destination has not taken everything.
    #[must_use]
    pub fn has_unsent(&self) -> bool {
        self.relaying > 0 || !self.own.is_empty()
    }

    /// Whether the destination refused the last write for now.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        self.blocked
    }

    /// Whether the source has ended.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.ended
    }

    /// The source gives no more.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// The destination takes no more: what is sent to it is thrown away from now on.
    pub fn deafen(&mut self) {
        self.deaf = true;
        self.drop_unsent();
    }

    fn drop_unsent(&mut self) {
        self.inbound.advance(self.relaying);
        self.relaying = 0;
        self.own = BytesMut::new();
        self.blocked = false;
    }

    /// Writes what is unsent; pending while the destination does not take all of it.
    ///
    /// # Errors
    /// When the destination is gone; what was unsent is thrown away then.
    pub fn poll_flush(&mut self, to: &mut Socket, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.deaf {
            self.drop_unsent();
        }
        while self.has_unsent() {
            let relaying = self.inbound.get(..self.relaying).unwrap_or_default();
            let both = [IoSlice::new(relaying), IoSlice::new(&self.own)];
            let written = match relaying {
                [] => Pin::new(&mut *to).poll_write(cx, &self.own),
                relaying if self.own.is_empty() => Pin::new(&mut *to).poll_write(cx, relaying),
                _ => Pin::new(&mut *to).poll_write_vectored(cx, &both),
            };
            match written {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(len)) => self.written(len),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    self.blocked = true;
                    return Poll::Pending;
                }
            }
        }
        self.blocked = false;
        if self.own.capacity() > WINDOW_LEN {
            self.own = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }

    fn written(&mut self, len: usize) {
        let relayed = len.min(self.relaying);
        self.inbound.advance(relayed);
        self.relaying -= relayed;
        self.own.advance(len - relayed);
    }

    /// Reads towards a window of `want` bytes: ready with how many came, 0 at the end; pending when
    /// nothing is there or nothing is wanted.
    ///
    /// # Errors
    /// When the source is gone.
    pub fn poll_fill(
        &mut self,
        from: &mut Socket,
        want: usize,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if self.armed || self.ended || self.blocked || want <= self.window().len() {
            return Poll::Pending;
        }
        let read = self.poll_read(from, want, cx);
        self.armed = read.is_pending();
        read
    }

    fn poll_read(
        &mut self,
        from: &mut Socket,
        want: usize,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        ready!(from.poll_read_ready(cx))?;
        self.make_room(want);
        // The future has no state of its own, so that a new one each time loses nothing.
        let len = ready!(pin!(from.read_buf(&mut self.inbound)).poll(cx))?;
        self.bulk = len >= WINDOW_LEN;
        Poll::Ready(Ok(len))
    }

    /// The task was woken: the source may be what woke it.
    pub fn woken(&mut self) {
        self.armed = false;
    }

    /// Room grows with what has arrived, not with what a peer says will arrive.
    fn make_room(&mut self, want: usize) {
        let len = self.inbound.len();
        let usual = if self.bulk { BULK_LEN } else { WINDOW_LEN };
        let target = want.min(len.saturating_mul(2)).max(usual);
        let has_shrunk = len == 0 && target < self.room;
        if self.room == 0 || has_shrunk {
            self.room = 0;
            self.inbound = SPARE.with_borrow_mut(Vec::pop).unwrap_or_default();
        }
        self.room = self.room.max(target);
        self.inbound.reserve(target.saturating_sub(len));
    }

    /// Gives the buffers back if they are empty.
    pub fn give_back(&mut self) {
        if !self.inbound.is_empty() || !self.own.is_empty() {
            return;
        }
        let inbound = std::mem::take(&mut self.inbound);
        self.bulk = false;
        if std::mem::take(&mut self.room) == WINDOW_LEN {
            SPARE.with_borrow_mut(|spare| {
                if spare.len() < SPARE_MAX {
                    spare.push(inbound);
                }
            });
        }
        if self.own.capacity() > 0 {
            self.own = BytesMut::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime;
    use std::{future::poll_fn, task::Waker};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::UnixStream,
    };

    /// A source and a destination, each with the peer's end.
    fn sockets() -> ((Socket, UnixStream), (Socket, UnixStream)) {
        let pair = || {
            let (ours, theirs) = UnixStream::pair().unwrap();
            (Socket::Unix(ours), theirs)
        };
        (pair(), pair())
    }

    async fn fill(lane: &mut Lane, from: &mut Socket, want: usize) -> usize {
        let filled = poll_fn(|cx| {
            lane.woken();
            lane.poll_fill(from, want, cx)
        });
        filled.await.unwrap()
    }

    #[test]
    fn the_order_of_actions_is_the_order_of_bytes() {
        runtime::block_on(async {
            let ((mut source, mut sender), (mut destination, mut receiver)) = sockets();
            let mut lane = Lane::default();
            sender.write_all(b"one two drop three").await.unwrap();
            fill(&mut lane, &mut source, 1).await;
            lane.relay(4);
            lane.send(b"ours ");
            lane.relay(4);
            lane.skip(5);
            lane.send(b"again ");
            lane.relay(100);
            assert_eq!(lane.window(), b"");
            poll_fn(|cx| lane.poll_flush(&mut destination, cx))
                .await
                .unwrap();
            let mut got = [0; 24];
            receiver.read_exact(&mut got).await.unwrap();
            assert_eq!(&got, b"one ours two again three");
            assert!(!lane.has_unsent());
        })
        .unwrap();
    }

    #[test]
    fn a_blocked_destination_hides_the_window_until_it_takes_all() {
        runtime::block_on(async {
            let ((mut source, mut sender), (mut destination, mut receiver)) = sockets();
            let mut lane = Lane::default();
            lane.send(&vec![b'x'; 4 << 20]);
            sender.write_all(b"next").await.unwrap();
            fill(&mut lane, &mut source, 1).await;
            let mut cx = Context::from_waker(Waker::noop());
            assert!(lane.poll_flush(&mut destination, &mut cx).is_pending());
            assert!(lane.is_blocked());
            assert_eq!(lane.window(), b"");
            assert!(lane.poll_fill(&mut source, 1, &mut cx).is_pending());
            let read = runtime::task(async move {
                let mut all = vec![0; 4 << 20];
                receiver.read_exact(&mut all).await.map(|_| receiver)
            });
            poll_fn(|cx| lane.poll_flush(&mut destination, cx))
                .await
                .unwrap();
            assert_eq!(lane.window(), b"next");
            drop(read.await.unwrap().unwrap());
        })
        .unwrap();
    }

    #[test]
    fn room_grows_with_what_arrives() {
        runtime::block_on(async {
            let ((mut source, mut sender), _) = sockets();
            let mut lane = Lane::default();
            let want = 64 << 20;
            sender.write_all(b"Q\x04\0\0\0").await.unwrap();
            fill(&mut lane, &mut source, want).await;
            assert!(lane.inbound.capacity() <= 2 * WINDOW_LEN);
            lane.skip(5);
            lane.give_back();
            assert_eq!(lane.inbound.capacity(), 0);
        })
        .unwrap();
    }

    #[test]
    fn the_deaf_get_nothing_and_block_nothing() {
        runtime::block_on(async {
            let (_, (mut destination, receiver)) = sockets();
            let mut lane = Lane::default();
            lane.send(b"lost");
            drop(receiver);
            let written = poll_fn(|cx| lane.poll_flush(&mut destination, cx)).await;
            assert!(written.is_err());
            lane.deafen();
            lane.send(b"lost too");
            assert!(!lane.has_unsent());
        })
        .unwrap();
    }
}
