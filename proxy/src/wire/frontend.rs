//! Bodies of client messages that must be understood, and the messages that we send to a server.

use super::{
    Violation,
    frame::{self, HEADER_LEN, string},
};
use bytes::{Bytes, BytesMut};
use pgwire::messages::{
    Message,
    extendedquery::{Bind, Close, Execute, Flush, Sync},
    terminate::Terminate,
};

/// The text of a Query's body.
///
/// # Errors
/// A string without an end, bytes after its end.
pub fn query(body: &[u8]) -> Result<&[u8], Violation> {
    match string(body) {
        Some((text, [])) => Ok(text),
        _ => Err(Violation::Format { tag: b'Q' }),
    }
}

/// The statement name and the text of a Parse's body.
///
/// # Errors
/// A string without an end, or parameter types that do not fill the rest exactly.
pub fn parse(body: &[u8]) -> Result<(&[u8], &[u8]), Violation> {
    let bad = Violation::Format { tag: b'P' };
    let Some((name, rest)) = string(body) else {
        return Err(bad);
    };
    let Some((text, rest)) = string(rest) else {
        return Err(bad);
    };
    let Some((count, types)) = rest.split_first_chunk::<2>() else {
        return Err(bad);
    };
    if types.len() == usize::from(u16::from_be_bytes(*count)) * 4 {
        Ok((name, text))
    } else {
        Err(bad)
    }
}

/// The portal and statement names at the start of a Bind's body; `None` while they are not there yet.
#[must_use]
pub fn bind(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let (portal, rest) = string(body)?;
    let (statement, _) = string(rest)?;
    Some((portal, statement))
}

/// The portal of an Execute's body.
///
/// # Errors
/// A string without an end, or not exactly four bytes after it.
pub fn execute(body: &[u8]) -> Result<&[u8], Violation> {
    match string(body) {
        Some((portal, rest)) if rest.len() == 4 => Ok(portal),
        _ => Err(Violation::Format { tag: b'E' }),
    }
}

/// What a Close or Describe names: `S` or `P`, and the name.
///
/// # Errors
/// Neither of them, a string without an end, bytes after its end.
pub fn target(tag: u8, body: &[u8]) -> Result<(u8, &[u8]), Violation> {
    match body.split_first() {
        Some((kind @ (b'S' | b'P'), rest)) => match string(rest) {
            Some((name, [])) => Ok((*kind, name)),
            _ => Err(Violation::Format { tag }),
        },
        _ => Err(Violation::Format { tag }),
    }
}

/// The name of our portal, and of a statement that is nobody's.
pub const OURS: &str = "_pgpawl";

/// Appends `message`; its length is bounded by the callers, so that encoding cannot fail.
fn put(buffer: &mut BytesMut, message: &impl Message) {
    let before = buffer.len();
    if message.encode(buffer).is_err() {
        buffer.truncate(before);
    }
}

/// A batch of our statements as one simple Query.
#[must_use]
pub fn simple(statements: &[&[u8]]) -> Bytes {
    raw_query(&statements.join(&b"; "[..])).unwrap_or_default()
}

/// A batch of our statements, each as the unnamed statement, which no SQL can execute, and by a portal of
/// our own. Also how many frames answer it, but for ReadyForQuery and rows.
#[must_use]
pub fn extended(statements: &[&[u8]], end: End) -> (Bytes, usize) {
    let mut buffer = BytesMut::new();
    let ours = || Some(OURS.to_owned());
    for text in statements {
        put_parse(&mut buffer, b"", text);
        put(&mut buffer, &Close::new(b'P', ours()));
        put(
            &mut buffer,
            &Bind::new(ours(), None, Vec::new(), Vec::new(), Vec::new()),
        );
        put(&mut buffer, &Execute::new(ours(), 0));
        put(&mut buffer, &Close::new(b'P', ours()));
    }
    put_end(&mut buffer, end);
    (buffer.freeze(), statements.len() * FRAMES)
}

fn put_end(buffer: &mut BytesMut, end: End) {
    match end {
        End::Sync => put(buffer, &Sync::new()),
        End::Flush => put(buffer, &Flush::new()),
        End::Nothing => {}
    }
}

/// The same where the client has no use for its unnamed portal: before the first statement of a transaction, and
/// behind the last.
#[must_use]
pub fn at_the_edge(statements: &[&[u8]], end: End) -> (Bytes, usize) {
    let mut messages = Messages::default();
    for text in statements {
        messages.run(b"", text);
    }
    put_end(&mut messages.buffer, end);
    messages.done()
}

/// Messages of ours, one behind the other.
#[derive(Debug, Default)]
pub struct Messages {
    buffer: BytesMut,
    answers: usize,
}

impl Messages {
    /// A Close of a statement.
    pub fn close(&mut self, name: &[u8]) {
        put_parts(&mut self.buffer, b'C', &[b"S", name, b"\0"]);
        self.answers += 1;
    }

    /// A Close of a portal.
    pub fn close_portal(&mut self, name: &[u8]) {
        put_parts(&mut self.buffer, b'C', &[b"P", name, b"\0"]);
        self.answers += 1;
    }

    /// A Parse.
    pub fn parse(&mut self, name: &[u8], text: &[u8]) {
        put_parse(&mut self.buffer, name, text);
        self.answers += 1;
    }

    /// A Bind to a portal with parameters as text, and its Execute.
    pub fn execute(&mut self, portal: &[u8], name: &[u8], parameters: &[&[u8]]) {
        let count = u16::try_from(parameters.len()).unwrap_or_default();
        let mut values = Vec::new();
        for value in parameters {
            let len = u32::try_from(value.len()).unwrap_or_default();
            values.extend_from_slice(&len.to_be_bytes());
            values.extend_from_slice(value);
        }
        let count = count.to_be_bytes();
        let names: [&[u8]; 4] = [portal, b"\0", name, b"\0"];
        let parts: [&[u8]; 5] = [&names.concat(), b"\0\0", &count, &values, b"\0\0"];
        put_parts(&mut self.buffer, b'B', &parts);
        put_parts(&mut self.buffer, b'E', &[portal, b"\0\0\0\0\0"]);
        self.answers += 2;
    }

    /// A statement without parameters, under this name.
    pub fn run(&mut self, name: &[u8], text: &[u8]) {
        self.parse(name, text);
        self.execute(b"", name, &[]);
    }

    /// A Sync.
    pub fn sync(&mut self) {
        self.buffer.extend_from_slice(SYNC);
    }

    /// The bytes, and how many frames answer them, but for ReadyForQuery and rows.
    #[must_use]
    pub fn done(self) -> (Bytes, usize) {
        (self.buffer.freeze(), self.answers)
    }
}

/// Whether messages of ours begin with a Parse of the unnamed statement.
#[must_use]
pub fn takes_unnamed(bytes: &[u8]) -> bool {
    matches!(bytes, [b'P', _, _, _, _, 0, ..])
}

/// What answers one statement: ParseComplete, two of Close, BindComplete, CommandComplete.
const FRAMES: usize = 5;

/// How many of them come behind its CommandComplete.
pub const FRAMES_BEHIND: usize = 1;

/// A Parse of raw bytes, which need not be UTF-8.
fn put_parse(buffer: &mut BytesMut, name: &[u8], text: &[u8]) {
    put_parts(buffer, b'P', &[name, b"\0", text, b"\0\0\0"]);
}

/// What answers [`as_query`] before its rows: CloseComplete, ParseComplete, BindComplete.
pub const BEFORE_ROWS: usize = 3;

/// What runs a text as a Query does: a Close, a Parse, a Bind to the unnamed portal, a Describe and an Execute of
/// a statement of this name.
#[must_use]
pub fn as_query(name: &[u8], text: &[u8]) -> Bytes {
    let mut buffer = BytesMut::new();
    put_parts(&mut buffer, b'C', &[b"S", name, b"\0"]);
    put_parse(&mut buffer, name, text);
    put_parts(&mut buffer, b'B', &[b"\0", name, b"\0\0\0\0\0\0\0"]);
    buffer.extend_from_slice(b"D\0\0\0\x06P\0");
    buffer.extend_from_slice(EXECUTE_UNNAMED);
    buffer.freeze()
}

/// What answers [`under_name`] before what answers its messages: CloseComplete.
pub const BEFORE_PARSED: usize = 1;

/// These messages, a Parse and a Bind of the unnamed statement and the unnamed portal and others that name neither
/// statement nor portal, with a statement of this name in its place, which is closed before.
#[must_use]
pub fn under_name(name: &[u8], messages: &[u8]) -> Bytes {
    let mut buffer = BytesMut::new();
    put_parts(&mut buffer, b'C', &[b"S", name, b"\0"]);
    let mut rest = messages;
    while let Ok(Some(frame)) = frame::of_client(rest) {
        let Some((message, behind)) = rest.split_at_checked(frame.len) else {
            break;
        };
        let body = message.get(HEADER_LEN..).unwrap_or_default();
        match frame.tag {
            b'P' => put_parts(&mut buffer, b'P', &[name, body]),
            b'B' => {
                let behind = body.get(1..).unwrap_or_default();
                put_parts(&mut buffer, b'B', &[b"\0", name, behind]);
            }
            _ => buffer.extend_from_slice(message),
        }
        rest = behind;
    }
    buffer.freeze()
}

/// A message whose body is these parts.
fn put_parts(buffer: &mut BytesMut, tag: u8, parts: &[&[u8]]) {
    let len: usize = parts.iter().map(|part| part.len()).sum();
    let Ok(len) = u32::try_from(4 + len) else {
        return;
    };
    buffer.extend_from_slice(&[tag]);
    buffer.extend_from_slice(&len.to_be_bytes());
    for part in parts {
        buffer.extend_from_slice(part);
    }
}

/// An Execute of the unnamed portal, to its end.
pub const EXECUTE_UNNAMED: &[u8] = b"E\0\0\0\x09\0\0\0\0\0";

/// A Sync.
pub const SYNC: &[u8] = b"S\0\0\0\x04";

/// A Close of the unnamed statement.
#[must_use]
pub fn close_unnamed() -> Bytes {
    Bytes::from_static(b"C\0\0\0\x06S\0")
}

/// A Parse.
#[must_use]
pub fn one_parse(name: &[u8], text: &str) -> Bytes {
    let mut messages = Messages::default();
    messages.parse(name, text.as_bytes());
    messages.done().0
}

/// Parses of statements that last, by name and text.
#[must_use]
pub fn parses(statements: &[(&str, String)]) -> Bytes {
    let mut messages = Messages::default();
    for (name, text) in statements {
        messages.parse(name.as_bytes(), text.as_bytes());
    }
    messages.done().0
}

/// How a batch of the extended protocol ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// ReadyForQuery follows.
    Sync,
    /// The server goes on.
    Flush,
    /// The server goes on, and answers when it is asked to.
    Nothing,
}

/// A Flush.
#[must_use]
pub fn flush() -> Bytes {
    let mut buffer = BytesMut::new();
    put(&mut buffer, &Flush::new());
    buffer.freeze()
}

/// A Sync, a Close of a name that is nobody's, a Sync: however many ReadyForQuery come before the
/// CloseComplete, the server is known to listen after the one behind it.
#[must_use]
pub fn resync() -> Bytes {
    let mut buffer = BytesMut::new();
    put(&mut buffer, &Sync::new());
    put(&mut buffer, &Close::new(b'S', Some(OURS.to_owned())));
    put(&mut buffer, &Sync::new());
    buffer.freeze()
}

/// A Terminate.
#[must_use]
pub fn terminate() -> Bytes {
    let mut buffer = BytesMut::new();
    put(&mut buffer, &Terminate::new());
    buffer.freeze()
}

/// A Query of raw bytes, which need not be UTF-8.
#[must_use]
pub fn raw_query(text: &[u8]) -> Option<Bytes> {
    let len = u32::try_from(text.len().checked_add(5)?).ok()?;
    let mut frame = Vec::with_capacity(text.len() + 6);
    frame.push(b'Q');
    frame.extend_from_slice(&len.to_be_bytes());
    frame.extend_from_slice(text);
    frame.push(0);
    Some(Bytes::from(frame))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_a_string_is_a_violation() {
        assert_eq!(query(b"SELECT 1\0").unwrap(), b"SELECT 1");
        assert!(query(b"SELECT 1\0d\0\0\0\x20").is_err());
        assert!(query(b"SELECT 1").is_err());
        assert!(parse(b"s\0SELECT $1\0\0\x01\0\0\0\x19").is_ok());
        assert!(parse(b"s\0SELECT $1\0\0\x01\0\0\0").is_err());
        assert!(parse(b"s\0SELECT $1").is_err());
        assert!(execute(b"p\0\0\0\0\0").is_ok());
        assert!(execute(b"p\0\0\0\0\0\0").is_err());
        assert!(target(b'C', b"Sx\0").is_ok());
        assert!(target(b'C', b"Xx\0").is_err());
        assert!(target(b'C', b"Sx\0y").is_err());
    }

    #[test]
    fn golden_bytes_of_our_own_messages() {
        assert_eq!(simple(&[b"A", b"B"]).as_ref(), b"Q\0\0\0\x09A; B\0");
        assert_eq!(raw_query(b"\xff").unwrap().as_ref(), b"Q\0\0\0\x06\xff\0");
        assert_eq!(terminate().as_ref(), b"X\0\0\0\x04");
        assert_eq!(flush().as_ref(), b"H\0\0\0\x04");
        let queried: &[u8] = b"C\0\0\0\x07Sq\0P\0\0\0\x0aq\0A\0\0\0B\0\0\0\x0d\0q\0\0\0\0\0\0\0\
            D\0\0\0\x06P\0E\0\0\0\x09\0\0\0\0\0";
        assert_eq!(as_query(b"q", b"A").as_ref(), queried);
        let unnamed = b"P\0\0\0\x0d\0A\0\0\x01\0\0\0\x19B\0\0\0\x0c\0\0\0\0\0\0\0\0D\0\0\0\x06P\0";
        let named: &[u8] =
            b"C\0\0\0\x07Sq\0P\0\0\0\x0eq\0A\0\0\x01\0\0\0\x19B\0\0\0\x0d\0q\0\0\0\0\0\0\0\
            D\0\0\0\x06P\0";
        assert_eq!(under_name(b"q", unnamed).as_ref(), named);
        let (batch, _) = extended(&[b"A"], End::Sync);
        assert!(batch.ends_with(b"S\0\0\0\x04"));
        assert!(batch.starts_with(b"P\0\0\0\x09\0A\0\0\0C\0\0\0\x0dP_pgpawl\0B"));
        assert!(takes_unnamed(&batch) && !takes_unnamed(&one_parse(b"s", "A")));
    }
}
