//! Stands in for PostgreSQL where thousands of sessions or gigabytes are wanted: it authenticates
//! everybody, answers every message, and costs next to nothing.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::wire::message;

/// How long the server sleeps when nobody sent anything.
const PAUSE: Duration = Duration::from_millis(1);

/// A server on a port of 127.0.0.1. One thread serves all sessions; it ends when this is dropped.
#[derive(Debug)]
pub struct FakeServer {
    port: u16,
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl FakeServer {
    /// Starts it.
    #[must_use]
    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("its address").port();
        listener.set_nonblocking(true).expect("a socket option");
        let stop = Arc::new(AtomicBool::new(false));
        let stopping = Arc::clone(&stop);
        let thread = thread::spawn(move || serve(&listener, &stopping));
        Self {
            port,
            stop,
            thread: Some(thread),
        }
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for FakeServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It may have panicked: then a test has failed already.
            let _ = thread.join();
        }
    }
}

fn serve(listener: &TcpListener, stop: &AtomicBool) {
    let mut sessions: Vec<Session> = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let mut busy = false;
        while let Ok((stream, _)) = listener.accept() {
            stream.set_nonblocking(true).expect("a socket option");
            sessions.push(Session {
                stream,
                inbox: Vec::new(),
                started: false,
            });
            busy = true;
        }
        sessions.retain_mut(|session| match session.turn() {
            Turn::Idle => true,
            Turn::Busy => {
                busy = true;
                true
            }
            Turn::Over => false,
        });
        if !busy {
            #[expect(clippy::disallowed_methods, reason = "a poll loop must rest")]
            thread::sleep(PAUSE);
        }
    }
}

enum Turn {
    Idle,
    Busy,
    Over,
}

struct Session {
    stream: TcpStream,
    inbox: Vec<u8>,
    started: bool,
}

impl Session {
    fn turn(&mut self) -> Turn {
        let mut chunk = [0; 4096];
        match self.stream.read(&mut chunk) {
            Ok(0) => return Turn::Over,
            Ok(count) => self.inbox.extend_from_slice(&chunk[..count]),
            Err(why) if why.kind() == ErrorKind::WouldBlock => return Turn::Idle,
            Err(_) => return Turn::Over,
        }
        let mut answers = Vec::new();
        while let Some(answer) = self.take() {
            answers.extend(answer);
        }
        // Answers are shorter than a socket's buffer.
        if self.stream.write_all(&answers).is_err() {
            return Turn::Over;
        }
        Turn::Busy
    }

    /// The answer to the first whole message.
    fn take(&mut self) -> Option<Vec<u8>> {
        let start = usize::from(self.started);
        let length = self.inbox.get(start..)?.first_chunk::<4>()?;
        let end = start + usize::try_from(u32::from_be_bytes(*length)).expect("a length");
        if self.inbox.len() < end {
            return None;
        }
        let tag = self.inbox[0];
        self.inbox.drain(..end);
        if !self.started {
            self.started = true;
            return Some(greeting());
        }
        Some(match tag {
            b'Q' => [message::tagged(b'C', b"SELECT 0\0"), ready()].concat(),
            b'S' => ready(),
            _ => Vec::new(),
        })
    }
}

/// What a session is told after its start-up packet.
fn greeting() -> Vec<u8> {
    let settings = [
        ("server_version", "15.18"),
        ("server_encoding", "UTF8"),
        ("client_encoding", "UTF8"),
        ("standard_conforming_strings", "on"),
        ("application_name", ""),
    ];
    let mut bytes = message::tagged(b'R', &[0; 4]);
    for (name, value) in settings {
        let body = [
            message::zero_ended(name.as_bytes()),
            message::zero_ended(value.as_bytes()),
        ]
        .concat();
        bytes.extend(message::tagged(b'S', &body));
    }
    bytes.extend(message::tagged(b'K', &[0, 0, 0, 1, 0, 0, 0, 2]));
    bytes.extend(ready());
    bytes
}

fn ready() -> Vec<u8> {
    message::tagged(b'Z', b"I")
}
