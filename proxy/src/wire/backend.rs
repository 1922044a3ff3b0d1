//! Bodies of server messages that must be understood, and the messages that we send to a client.

use super::{Violation, frame::string};
use bytes::{Bytes, BytesMut};
use pgpawl_policy::{question::Row, verdict::Refusal};
use pgwire::messages::{
    Message,
    response::{CommandComplete, ErrorResponse, NoticeResponse, ReadyForQuery, TransactionStatus},
};

/// The transaction status that ReadyForQuery reports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// Not in a transaction block.
    Idle,
    /// In a transaction block.
    Block,
    /// In a failed transaction block.
    Failed,
}

/// The status of a ReadyForQuery's body.
///
/// # Errors
/// Not exactly one of the three bytes.
pub fn ready(body: &[u8]) -> Result<Status, Violation> {
    match body {
        b"I" => Ok(Status::Idle),
        b"T" => Ok(Status::Block),
        b"E" => Ok(Status::Failed),
        _ => Err(Violation::Format { tag: b'Z' }),
    }
}

/// The server's process, of a BackendKeyData's body.
#[must_use]
pub fn process(body: &[u8]) -> Option<u32> {
    let bytes = body.get(..4)?.try_into().ok()?;
    Some(u32::from_be_bytes(bytes))
}

/// The columns of a DataRow's body.
///
/// # Errors
/// Columns that do not fill the body exactly.
pub fn data_row(body: &[u8]) -> Result<Row, Violation> {
    let bad = || Violation::Format { tag: b'D' };
    let (count, mut rest) = body.split_first_chunk::<2>().ok_or_else(bad)?;
    let mut row = Row::new();
    for _ in 0..u16::from_be_bytes(*count) {
        let (len, after) = rest.split_first_chunk::<4>().ok_or_else(bad)?;
        rest = after;
        if i32::from_be_bytes(*len) == -1 {
            row.push(None);
            continue;
        }
        let len = usize::try_from(u32::from_be_bytes(*len)).map_err(|_| bad())?;
        let (column, after) = rest.split_at_checked(len).ok_or_else(bad)?;
        row.push(Some(column.to_vec()));
        rest = after;
    }
    if rest.is_empty() { Ok(row) } else { Err(bad()) }
}

/// The name and value of a ParameterStatus's body.
///
/// # Errors
/// Not exactly two strings.
pub fn parameter_status(body: &[u8]) -> Result<(&[u8], &[u8]), Violation> {
    let bad = Violation::Format { tag: b'S' };
    let Some((name, rest)) = string(body) else {
        return Err(bad);
    };
    match string(rest) {
        Some((value, [])) => Ok((name, value)),
        _ => Err(bad),
    }
}

/// The fields of an ErrorResponse or NoticeResponse that we act on.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct ServerError {
    /// `V`, or `S` from servers before 9.6: ERROR, FATAL, PANIC, WARNING, ...
    pub severity: String,
    /// `C`.
    pub sqlstate: String,
    /// `M`.
    pub message: String,
}

impl ServerError {
    /// Whether the server ends the session after it.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        matches!(self.severity.as_str(), "FATAL" | "PANIC")
    }
}

/// The fields of an ErrorResponse's or NoticeResponse's body.
///
/// # Errors
/// A field without an end, or no terminator.
pub fn error(mut body: &[u8]) -> Result<ServerError, Violation> {
    let bad = || Violation::Format { tag: b'E' };
    let mut found = ServerError::default();
    loop {
        let (&field, rest) = body.split_first().ok_or_else(bad)?;
        if field == 0 {
            return if rest.is_empty() {
                Ok(found)
            } else {
                Err(bad())
            };
        }
        let (value, rest) = string(rest).ok_or_else(bad)?;
        body = rest;
        let text = || String::from_utf8_lossy(value).into_owned();
        match field {
            b'V' => found.severity = text(),
            b'S' if found.severity.is_empty() => found.severity = text(),
            b'C' => found.sqlstate = text(),
            b'M' => found.message = text(),
            _ => {}
        }
    }
}

/// The longest text of one field of an error of ours: the message stays far below PostgreSQL's limit
/// for small messages.
const FIELD_LEN_MAX: usize = 4_096;

fn field(code: u8, text: &str) -> (u8, String) {
    let mut end = FIELD_LEN_MAX.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    // A NUL would end the field.
    (code, text.get(..end).unwrap_or_default().replace('\0', "?"))
}

fn fields(severity: &str, refusal: &Refusal) -> Vec<(u8, String)> {
    let mut fields = vec![
        field(b'S', severity),
        field(b'V', severity),
        field(b'C', refusal.sqlstate),
        field(b'M', &refusal.message),
    ];
    fields.extend(refusal.detail.as_ref().map(|text| field(b'D', text)));
    fields.extend(refusal.hint.as_ref().map(|text| field(b'H', text)));
    fields
}

fn encoded(message: &impl Message) -> Bytes {
    let mut buffer = BytesMut::new();
    if message.encode(&mut buffer).is_err() {
        buffer.clear();
    }
    buffer.freeze()
}

/// An ErrorResponse of severity ERROR.
#[must_use]
pub fn refused(refusal: &Refusal) -> Bytes {
    encoded(&ErrorResponse::new(fields("ERROR", refusal)))
}

/// An ErrorResponse of severity FATAL, which ends a session.
#[must_use]
pub fn fatal(sqlstate: &'static str, message: String) -> Bytes {
    let refusal = Refusal {
        sqlstate,
        message,
        detail: None,
        hint: None,
    };
    encoded(&ErrorResponse::new(fields("FATAL", &refusal)))
}

/// A NoticeResponse of severity WARNING.
#[must_use]
pub fn warning(refusal: &Refusal) -> Bytes {
    encoded(&NoticeResponse::new(fields("WARNING", refusal)))
}

/// A CommandComplete.
#[must_use]
pub fn command_complete(tag: &str) -> Bytes {
    encoded(&CommandComplete::new(tag.to_owned()))
}

/// A ReadyForQuery.
#[must_use]
pub fn ready_for_query(status: Status) -> Bytes {
    encoded(&ReadyForQuery::new(match status {
        Status::Idle => TransactionStatus::Idle,
        Status::Block => TransactionStatus::Transaction,
        Status::Failed => TransactionStatus::Error,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_fills_its_frame() {
        assert_eq!(
            data_row(b"\0\x02\0\0\0\x01x\xff\xff\xff\xff").unwrap(),
            vec![Some(b"x".to_vec()), None]
        );
        assert!(data_row(b"\0\x01\0\0\0\x02x").is_err());
        assert!(data_row(b"\0\x01\0\0\0\x01xy").is_err());
        assert!(data_row(b"").is_err());
    }

    #[test]
    fn an_error_is_read_and_written() {
        let refusal = Refusal {
            sqlstate: "42501",
            message: "m\0".into(),
            detail: Some("d".into()),
            hint: None,
        };
        let frame = refused(&refusal);
        assert_eq!(
            frame.as_ref(),
            b"E\0\0\0\x21SERROR\0VERROR\0C42501\0Mm?\0Dd\0\0"
        );
        let read = error(frame.get(5..).unwrap()).unwrap();
        assert_eq!(
            (read.sqlstate.as_str(), read.message.as_str()),
            ("42501", "m?")
        );
        assert!(!read.is_fatal());
        assert!(error(b"Mx\0").is_err());
    }

    #[test]
    fn long_texts_are_cut_at_a_character() {
        let text = "é".repeat(FIELD_LEN_MAX);
        let (_, cut) = field(b'M', &text);
        assert!(cut.len() <= FIELD_LEN_MAX && cut.chars().all(|c| c == 'é'));
    }
}
