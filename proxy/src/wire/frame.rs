//! Where a frame ends: one type byte and a length, read without touching the body.

use super::Violation;

/// Bytes before the body: the type byte and the length.
pub const HEADER_LEN: usize = 5;

/// `PQ_LARGE_MESSAGE_LIMIT` of PostgreSQL: what `MaxAllocSize` lets a message be.
const LARGE_LEN_MAX: u32 = 0x3fff_ffff - 1;
/// `PQ_SMALL_MESSAGE_LIMIT` of PostgreSQL.
const SMALL_LEN_MAX: u32 = 10_000;
/// `PG_MAX_AUTH_TOKEN_LENGTH` of PostgreSQL.
const AUTH_LEN_MAX: u32 = 65_535;

/// A frame's type and its whole length.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Frame {
    /// The type byte.
    pub tag: u8,
    /// The whole frame in bytes, header included.
    pub len: usize,
}

/// The header at the start of `window`; `None` while it is not complete.
fn header(window: &[u8]) -> Option<(u8, u32)> {
    let (&tag, rest) = window.split_first()?;
    let len = rest.first_chunk::<4>()?;
    Some((tag, u32::from_be_bytes(*len)))
}

fn frame(tag: u8, len: u32, len_max: u32) -> Result<Option<Frame>, Violation> {
    match usize::try_from(len) {
        Ok(n) if (4..=len_max).contains(&len) => Ok(Some(Frame { tag, len: n + 1 })),
        _ => Err(Violation::Length { tag, len }),
    }
}

/// The client's frame at the start of `window`; `None` while its header is not complete.
///
/// # Errors
/// What PostgreSQL would end the connection for: an unknown type, an impossible length
/// (`SocketBackend` in postgres.c).
pub fn of_client(window: &[u8]) -> Result<Option<Frame>, Violation> {
    let Some((tag, len)) = header(window) else {
        return match window.first() {
            Some(&tag) if client_len_max(tag).is_none() => Err(Violation::UnknownType(tag)),
            _ => Ok(None),
        };
    };
    match client_len_max(tag) {
        None => Err(Violation::UnknownType(tag)),
        Some(len_max) => frame(tag, len, len_max),
    }
}

const fn client_len_max(tag: u8) -> Option<u32> {
    match tag {
        b'Q' | b'P' | b'B' | b'F' | b'd' => Some(LARGE_LEN_MAX),
        b'p' => Some(AUTH_LEN_MAX),
        b'C' | b'D' | b'E' | b'H' | b'S' | b'X' | b'c' | b'f' => Some(SMALL_LEN_MAX),
        _ => None,
    }
}

/// The server's frame at the start of `window`; `None` while its header is not complete.
///
/// # Errors
/// A type that no server sends, or a length that no frame can have.
pub fn of_server(window: &[u8]) -> Result<Option<Frame>, Violation> {
    let Some((tag, len)) = header(window) else {
        return Ok(None);
    };
    match tag {
        b'1' | b'2' | b'3' | b'A' | b'C' | b'D' | b'E' | b'G' | b'H' | b'I' | b'K' | b'N'
        | b'R' | b'S' | b'T' | b'V' | b'W' | b'Z' | b'c' | b'd' | b'n' | b's' | b't' | b'v' => {
            frame(tag, len, LARGE_LEN_MAX)
        }
        _ => Err(Violation::UnknownType(tag)),
    }
}

/// How much of `window`, the server's, is whole frames of rows and of copied data: of such a frame all that matters is its end.
#[must_use]
pub fn rows(window: &[u8]) -> usize {
    let mut len = 0;
    while let Some(rest) = window.get(len..)
        && let Some((b'D' | b'd', of)) = header(rest)
        && let Ok(Some(row)) = frame(b'D', of, LARGE_LEN_MAX)
        && row.len <= rest.len()
    {
        len += row.len;
    }
    len
}

/// Splits the string at the start of `body` from what follows its NUL.
#[must_use]
pub fn string(body: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = body.iter().position(|&b| b == 0)?;
    let (text, rest) = body.split_at_checked(end)?;
    Some((text, rest.get(1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_its_type_and_length() {
        assert_eq!(
            of_client(b"Q\0\0\0\x06x\0").unwrap(),
            Some(Frame { tag: b'Q', len: 7 })
        );
        assert_eq!(of_client(b"Q\0\0").unwrap(), None);
        assert_eq!(of_client(b"").unwrap(), None);
    }

    #[test]
    fn an_unknown_type_is_known_from_its_first_byte() {
        assert_eq!(of_client(b"\x16"), Err(Violation::UnknownType(0x16)));
    }

    #[test]
    fn impossible_lengths_are_violations() {
        for window in [
            b"Q\0\0\0\x03",
            b"Q\x40\0\0\0",
            b"S\0\0\x27\x11",
            b"p\0\x01\0\0",
        ] {
            assert!(
                matches!(of_client(window), Err(Violation::Length { .. })),
                "{window:?}"
            );
        }
        assert!(of_server(b"D\xff\xff\xff\xff").is_err());
    }

    #[test]
    fn rows_end_before_what_is_none() {
        assert_eq!(rows(b"D\0\0\0\x04d\0\0\0\x05xC\0\0\0\x04"), 11);
        assert_eq!(rows(b"D\0\0\0\x04D\0\0\0\x09cut"), 5);
        assert_eq!(rows(b"D\0\0\0\x04D\0\0\0\x03"), 5);
        assert_eq!(rows(b"Z\0\0\0\x05I"), 0);
    }

    #[test]
    fn a_string_needs_its_end() {
        assert_eq!(string(b"ab\0c"), Some((&b"ab"[..], &b"c"[..])));
        assert_eq!(string(b"ab"), None);
    }
}
