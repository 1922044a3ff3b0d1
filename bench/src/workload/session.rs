//! The socket of our own drivers: whole batches out, answers walked by their headers only.
//!
//! The harness's client takes every message apart, which would cost more than what is measured.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use pgpawl_integration_tests::wire::{Client, message};

use crate::server;

/// As much as is read at once.
const BUFFER_LEN: usize = 256 * 1024;

/// Tag and length.
const HEADER_LEN: usize = 5;

/// An open session.
#[derive(Debug)]
pub struct Session {
    client: Client,
    buffer: Vec<u8>,
    walk: Walk,
}

impl Session {
    /// A session of the measured role.
    ///
    /// # Errors
    /// The server's words.
    pub fn open(port: u16, database: &str) -> io::Result<Self> {
        Ok(Self {
            client: client(port, database)?,
            buffer: vec![0; BUFFER_LEN],
            walk: Walk::default(),
        })
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// When the other side is gone.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream().write_all(bytes)
    }

    /// Sends a simple query.
    ///
    /// # Errors
    /// When the other side is gone.
    pub fn query(&mut self, sql: &str) -> io::Result<()> {
        self.send(&message::query(sql.as_bytes()))
    }

    /// Reads until a message with this tag has come, and returns how many bytes came.
    ///
    /// # Errors
    /// When an ErrorResponse came meanwhile, or the end.
    pub fn read_until(&mut self, tag: u8) -> io::Result<usize> {
        let mut total = 0;
        loop {
            let count = self.client.stream().read(&mut self.buffer)?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            total += count;
            let found = self.walk.feed(&self.buffer[..count], tag);
            if self.walk.errors > 0 {
                let words = String::from_utf8_lossy(&self.buffer[..count.min(300)]).into_owned();
                return Err(io::Error::other(words.replace('\0', " ")));
            }
            if found > 0 {
                return Ok(total);
            }
        }
    }

    fn stream(&mut self) -> &mut TcpStream {
        self.client.stream()
    }
}

/// A client of the harness, its failure as an error.
///
/// # Errors
/// The server's words.
pub fn client(port: u16, database: &str) -> io::Result<Client> {
    Client::try_session(port, server::USER, database).map_err(io::Error::other)
}

/// Where in a stream of messages we are.
#[derive(Clone, Default, Debug)]
struct Walk {
    header: Vec<u8>,
    body_left: usize,
    errors: usize,
}

impl Walk {
    /// Goes on by `bytes`; returns how many messages with this tag have ended.
    fn feed(&mut self, mut bytes: &[u8], tag: u8) -> usize {
        let mut found = 0;
        while !bytes.is_empty() {
            if self.header.len() < HEADER_LEN {
                let taken = bytes.len().min(HEADER_LEN - self.header.len());
                self.header.extend_from_slice(&bytes[..taken]);
                bytes = &bytes[taken..];
                let Some(length) = self.header[1..].first_chunk::<4>() else {
                    continue;
                };
                let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
                self.body_left = length.saturating_sub(4);
            }
            let skipped = self.body_left.min(bytes.len());
            bytes = &bytes[skipped..];
            self.body_left -= skipped;
            if self.body_left == 0 {
                found += usize::from(self.header[0] == tag);
                self.errors += usize::from(self.header[0] == b'E');
                self.header.clear();
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_found_however_they_are_cut() {
        let stream = [
            message::tagged(b'D', &[b'Z'; 300]),
            message::tagged(b'n', &[]),
            message::tagged(b'Z', b"I"),
            message::tagged(b'Z', b"T"),
        ]
        .concat();
        for len in 1..stream.len() {
            let mut walk = Walk::default();
            let found: usize = stream.chunks(len).map(|piece| walk.feed(piece, b'Z')).sum();
            assert_eq!((found, walk.errors), (2, 0), "pieces of {len}");
            assert!(walk.header.is_empty());
        }
    }

    #[test]
    fn an_error_is_seen() {
        let mut walk = Walk::default();
        walk.feed(&message::tagged(b'E', b"SERROR\0\0"), b'Z');
        assert_eq!(walk.errors, 1);
    }
}
