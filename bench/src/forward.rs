//! The floor: bytes from one socket to the other, with epoll, in one thread, through one buffer.
//!
//! No proxy in user space does less: no framing, no timers, no memory per connection. It is no part
//! of pgpawl, and exists to be measured beside it.

use std::io::{self, ErrorKind, Read, Write};
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::os::fd::OwnedFd;

use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

/// As much as a socket of the loopback hands over at once.
const BUFFER_LEN: usize = 64 * 1024;

/// Events that are taken at a time.
const EVENTS_MAX: usize = 256;

/// The listener among the events; sockets have twice their pair's index, plus their side.
const LISTENER: u64 = u64::MAX;

/// One end of a pair: a socket, what it could not take yet, and what epoll watches it for.
struct End {
    socket: TcpStream,
    unsent: Vec<u8>,
    ended: bool,
    watched: EventFlags,
}

struct Forwarder {
    epoll: OwnedFd,
    upstream: u16,
    pairs: Vec<Option<[End; 2]>>,
    buffer: Vec<u8>,
}

/// Forwards from a port of 127.0.0.1 to another, until it is killed.
///
/// # Errors
/// When the port is taken.
pub fn run(listen: u16, upstream: u16) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, listen))?;
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(
        &epoll,
        &listener,
        EventData::new_u64(LISTENER),
        EventFlags::IN,
    )?;
    let mut forwarder = Forwarder {
        epoll,
        upstream,
        pairs: Vec::new(),
        buffer: vec![0; BUFFER_LEN],
    };
    let mut room = [MaybeUninit::uninit(); EVENTS_MAX];
    loop {
        let (events, _) = match epoll::wait(&forwarder.epoll, &mut room[..], None) {
            Err(rustix::io::Errno::INTR) => continue,
            other => other?,
        };
        // A socket of a pair that was closed within this batch may have got its index anew: at worst
        // its read finds nothing.
        for event in events.iter() {
            match event.data.u64() {
                LISTENER => forwarder.accept(&listener)?,
                key => forwarder.serve(key, event.flags),
            }
        }
    }
}

impl Forwarder {
    fn accept(&mut self, listener: &TcpListener) -> io::Result<()> {
        let (client, _) = listener.accept()?;
        let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, self.upstream)) else {
            return Ok(());
        };
        let index = self.pairs.iter().position(Option::is_none);
        let index = index.unwrap_or_else(|| {
            self.pairs.push(None);
            self.pairs.len() - 1
        });
        for (side, socket) in [&client, &server].into_iter().enumerate() {
            socket.set_nodelay(true)?;
            socket.set_nonblocking(true)?;
            let data = EventData::new_u64(key_of(index, side));
            epoll::add(&self.epoll, socket, data, EventFlags::IN)?;
        }
        self.pairs[index] = Some([client, server].map(|socket| End {
            socket,
            unsent: Vec::new(),
            ended: false,
            watched: EventFlags::IN,
        }));
        Ok(())
    }

    /// Moves what one event says can be moved; a pair that failed or has ended is dropped.
    fn serve(&mut self, key: u64, flags: EventFlags) {
        let Ok(index) = usize::try_from(key / 2) else {
            return;
        };
        let Some(Some(pair)) = self.pairs.get_mut(index) else {
            return;
        };
        let [client, server] = pair;
        let (here, there) = if key.is_multiple_of(2) {
            (client, server)
        } else {
            (server, client)
        };
        let moved = move_bytes(flags, here, there, &mut self.buffer).and_then(|()| {
            watch(&self.epoll, key, here, there)?;
            watch(&self.epoll, key ^ 1, there, here)
        });
        let over = [&*here, &*there]
            .iter()
            .all(|end| end.ended && end.unsent.is_empty());
        if moved.is_err() || over {
            self.pairs[index] = None;
        }
    }
}

fn key_of(index: usize, side: usize) -> u64 {
    u64::try_from(2 * index + side).unwrap_or(LISTENER)
}

fn move_bytes(
    flags: EventFlags,
    here: &mut End,
    there: &mut End,
    buffer: &mut [u8],
) -> io::Result<()> {
    if flags.contains(EventFlags::OUT) {
        flush(here)?;
    }
    if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
        copy(here, there, buffer)?;
    }
    Ok(())
}

/// Reads once from `here` and writes to `there`; what does not fit stays with `there`.
fn copy(here: &mut End, there: &mut End, buffer: &mut [u8]) -> io::Result<()> {
    if here.ended {
        return Err(ErrorKind::NotConnected.into());
    }
    if !there.unsent.is_empty() {
        return Ok(());
    }
    let count = match here.socket.read(buffer) {
        Err(why) if why.kind() == ErrorKind::WouldBlock => return Ok(()),
        other => other?,
    };
    if count == 0 {
        here.ended = true;
        return there.socket.shutdown(Shutdown::Write);
    }
    let sent = match there.socket.write(&buffer[..count]) {
        Err(why) if why.kind() == ErrorKind::WouldBlock => 0,
        other => other?,
    };
    there.unsent.extend_from_slice(&buffer[sent..count]);
    Ok(())
}

/// Has epoll watch `here` for what can be done with it next; nothing is asked of it while nothing changes.
fn watch(epoll: &OwnedFd, key: u64, here: &mut End, there: &End) -> io::Result<()> {
    let mut wanted = EventFlags::empty();
    wanted.set(EventFlags::IN, !here.ended && there.unsent.is_empty());
    wanted.set(EventFlags::OUT, !here.unsent.is_empty());
    if wanted != here.watched {
        epoll::modify(epoll, &here.socket, EventData::new_u64(key), wanted)?;
        here.watched = wanted;
    }
    Ok(())
}

/// Sends what was left.
fn flush(end: &mut End) -> io::Result<()> {
    let sent = match end.socket.write(&end.unsent) {
        Err(why) if why.kind() == ErrorKind::WouldBlock => 0,
        other => other?,
    };
    end.unsent.drain(..sent);
    Ok(())
}
