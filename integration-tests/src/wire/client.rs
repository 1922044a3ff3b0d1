//! The connection of a raw client.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::time::Duration;

use super::frame::Frame;
use super::{message, show};
use crate::wait;

/// What came from the server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Received {
    /// A whole message.
    Frame(Frame),
    /// The end of the connection.
    Closed,
}

/// A connection to a server, or to pgpawl.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    inbox: Vec<u8>,
    /// The body of BackendKeyData: process id and secret key.
    pub key: Vec<u8>,
}

impl Client {
    /// A connection without any start-up.
    #[must_use]
    pub fn connect(port: u16) -> Self {
        Self::try_connect(port).expect("a connection")
    }

    fn try_connect(port: u16) -> std::io::Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(wait::PATIENCE))?;
        stream.set_write_timeout(Some(wait::PATIENCE))?;
        Ok(Self {
            stream,
            inbox: Vec::new(),
            key: Vec::new(),
        })
    }

    /// A session that is ready for queries.
    #[must_use]
    pub fn session(port: u16, user: &str, database: &str) -> Self {
        Self::try_session(port, user, database).unwrap_or_else(|why| panic!("no session: {why}"))
    }

    /// A session that is ready for queries, or the server's words why not.
    ///
    /// # Errors
    /// The server's message, or that nobody listens.
    pub fn try_session(port: u16, user: &str, database: &str) -> Result<Self, String> {
        Self::start(
            port,
            message::V3_0,
            &[("user", user), ("database", database)],
        )
    }

    /// A session with start-up parameters.
    ///
    /// # Errors
    /// The server's message, or that nobody listens.
    pub fn start(port: u16, version: u32, parameters: &[(&str, &str)]) -> Result<Self, String> {
        let mut client = Self::try_connect(port).map_err(|why| why.to_string())?;
        client.send(&message::startup(version, parameters));
        client.wait_for_ready()?;
        Ok(client)
    }

    /// Reads up to the first ReadyForQuery.
    ///
    /// # Errors
    /// The server's message, or that it closed.
    pub fn wait_for_ready(&mut self) -> Result<Vec<Frame>, String> {
        let mut frames = Vec::new();
        loop {
            match self.receive() {
                Received::Closed => return Err("closed".into()),
                Received::Frame(frame) => match frame.tag {
                    b'E' => return Err(error_text(&frame)),
                    b'K' => self.key.clone_from(&frame.body),
                    b'Z' => {
                        frames.push(frame);
                        return Ok(frames);
                    }
                    _ => frames.push(frame),
                },
            }
        }
    }

    /// Sends bytes. That the other side has closed is seen when its answer is read.
    pub fn send(&mut self, bytes: &[u8]) {
        if let Err(why) = self.stream.write_all(bytes) {
            let gone = [ErrorKind::BrokenPipe, ErrorKind::ConnectionReset];
            assert!(gone.contains(&why.kind()), "cannot send: {why}");
        }
    }

    /// The next message. Waits for it.
    pub fn receive(&mut self) -> Received {
        loop {
            if let Some(frame) = Frame::take(&mut self.inbox) {
                return Received::Frame(frame);
            }
            if self.fill() == 0 {
                return Received::Closed;
            }
        }
    }

    /// The next message, if there is one within `limit`.
    pub fn receive_within(&mut self, limit: Duration) -> Option<Received> {
        self.stream.set_nonblocking(true).expect("a socket option");
        let received = wait::within(limit, || {
            if let Some(frame) = Frame::take(&mut self.inbox) {
                return Some(Received::Frame(frame));
            }
            (self.fill_now()? == 0).then_some(Received::Closed)
        });
        self.stream.set_nonblocking(false).expect("a socket option");
        received
    }

    /// The next message, or none after silence. Unlike [`Self::receive_within`] it does not poll: for those
    /// who wait thousands of times.
    pub fn receive_unless_silent(&mut self, limit: Duration) -> Option<Received> {
        self.stream
            .set_read_timeout(Some(limit))
            .expect("a socket option");
        let mut chunk = [0; 16_384];
        let received = loop {
            if let Some(frame) = Frame::take(&mut self.inbox) {
                break Some(Received::Frame(frame));
            }
            match self.stream.read(&mut chunk) {
                Ok(0) => break Some(Received::Closed),
                Ok(count) => self.inbox.extend_from_slice(&chunk[..count]),
                Err(why) if matches!(why.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    break None;
                }
                Err(_) => break Some(Received::Closed),
            }
        };
        self.stream
            .set_read_timeout(Some(wait::PATIENCE))
            .expect("a socket option");
        received
    }

    /// One byte, as it answers a request for encryption.
    pub fn receive_byte(&mut self) -> u8 {
        while self.inbox.is_empty() {
            assert!(self.fill() > 0, "closed in place of a byte");
        }
        self.inbox.remove(0)
    }

    /// Waits for bytes; 0 for the end of the connection.
    fn fill(&mut self) -> usize {
        let mut chunk = [0; 16_384];
        match self.stream.read(&mut chunk) {
            Ok(count) => {
                self.inbox.extend_from_slice(&chunk[..count]);
                count
            }
            Err(why) if why.kind() == ErrorKind::ConnectionReset => 0,
            Err(why) => panic!("no answer: {why}; unread: {}", self.inbox.escape_ascii()),
        }
    }

    /// Reads what is there; none when there is nothing yet.
    fn fill_now(&mut self) -> Option<usize> {
        let mut chunk = [0; 16_384];
        match self.stream.read(&mut chunk) {
            Ok(count) => {
                self.inbox.extend_from_slice(&chunk[..count]);
                (count == 0).then_some(0)
            }
            Err(why) if why.kind() == ErrorKind::WouldBlock => None,
            Err(_) => Some(0),
        }
    }

    /// Sends a simple query and reads up to ReadyForQuery.
    pub fn query(&mut self, sql: &str) -> Vec<Frame> {
        self.send(&message::query(sql.as_bytes()));
        self.until_ready()
    }

    /// Reads up to ReadyForQuery, errors included.
    pub fn until_ready(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        loop {
            match self.receive() {
                Received::Closed => panic!("closed after {frames:?}"),
                Received::Frame(frame) => {
                    let ready = frame.tag == b'Z';
                    frames.push(frame);
                    if ready {
                        return frames;
                    }
                }
            }
        }
    }

    /// A simple query's answer in brief words.
    pub fn answer(&mut self, sql: &str) -> Vec<String> {
        self.send(&message::query(sql.as_bytes()));
        self.answered()
    }

    /// What was sent before is answered, up to ReadyForQuery, in brief words.
    pub fn answered(&mut self) -> Vec<String> {
        self.until_ready().iter().filter_map(show::brief).collect()
    }

    /// The rows of a query; an error fails the test.
    pub fn rows(&mut self, sql: &str) -> Vec<Vec<String>> {
        let frames = self.query(sql);
        if let Some(error) = frames.iter().find(|frame| frame.tag == b'E') {
            panic!("{sql}: {}", error_text(error));
        }
        frames
            .iter()
            .filter(|frame| frame.tag == b'D')
            .map(show::row)
            .collect()
    }

    /// Terminates the session and waits for the server to close it.
    pub fn end(mut self) {
        self.send(&message::terminate());
        while self.receive() != Received::Closed {}
    }

    /// Says that nothing more will be sent.
    pub fn close_sending(&mut self) {
        // Already closed by the other side: as good.
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// The stream itself, for gigabytes.
    pub fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }
}

/// SQLSTATE and message of an ErrorResponse.
fn error_text(frame: &Frame) -> String {
    let fields = show::error_fields(frame);
    let field = |letter| fields.get(&letter).map_or("", String::as_str);
    format!("{} {}", field('C'), field('M'))
}
