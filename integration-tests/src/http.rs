//! GET over HTTP/1.1, for `/metrics` and `/healthz`.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};

use crate::wait;

/// An answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Answer {
    /// 200 and so on.
    pub status: u16,
    /// Head and body as they came.
    pub text: String,
}

/// GETs `path`; none when nobody answers.
#[must_use]
pub fn get(port: u16, path: &str) -> Option<Answer> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    stream.set_read_timeout(Some(wait::PATIENCE)).ok()?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )
    .ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let status = text.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, text })
}
