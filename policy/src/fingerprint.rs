//! A number for the shape of a text: the same for other literals, white space, comments and case.

use std::fmt;

use crate::lexer::{Lexical, TokenKind, Tokens};

/// What lies behind does not count: a long INSERT is known by its first rows.
pub const FINGERPRINT_TEXT_LEN_MAX: usize = 16 * 1024;

/// The shape of a text; displayed as 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Fingerprint(pub u64);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The shape of the first [`FINGERPRINT_TEXT_LEN_MAX`] bytes of `text`. Not for keeping secrets or
/// for telling friend from foe: anyone can make two texts with the same fingerprint.
#[must_use]
pub fn fingerprint(text: &[u8]) -> u64 {
    let text = text.get(..FINGERPRINT_TEXT_LEN_MAX).unwrap_or(text);
    let mut hash = Fnv::new();
    // What cannot be read to its end ends the shape.
    for token in Tokens::new(text, Lexical::DEFAULT).map_while(Result::ok) {
        match token.kind {
            TokenKind::Text(_) | TokenKind::Param | TokenKind::Number => hash.add(b"?"),
            TokenKind::Word => hash.add_folded(token.bytes(text)),
            TokenKind::Quoted
            | TokenKind::UnicodeQuoted
            | TokenKind::Operator
            | TokenKind::Punctuation(_) => hash.add(token.bytes(text)),
        }
        hash.add(b" ");
    }
    hash.0
}

/// FNV-1a: the same on every machine and in every version, which `DefaultHasher` does not promise.
struct Fnv(u64);

impl Fnv {
    const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn add_folded(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.add(&[byte.to_ascii_lowercase()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Fingerprint, fingerprint};

    #[test]
    fn literals_blanks_comments_and_case_do_not_count() {
        let shape = fingerprint(b"SELECT a FROM t WHERE b = 'x' AND c = $1");
        assert_eq!(
            fingerprint(b"select  A from T/* */where b = $$y$$ -- z\nand c=1.5"),
            shape
        );
    }

    #[test]
    fn names_count() {
        assert_ne!(fingerprint(b"SELECT a"), fingerprint(b"SELECT b"));
        assert_ne!(fingerprint(b"SELECT a b"), fingerprint(b"SELECT ab"));
        assert_ne!(fingerprint(b"SELECT \"A\""), fingerprint(b"SELECT \"a\""));
    }

    #[test]
    fn is_stable_and_bounded() {
        assert_eq!(
            Fingerprint(fingerprint(b"")).to_string(),
            "cbf29ce484222325"
        );
        let long = [b"SELECT 1 ".repeat(4096), b"FROM t".to_vec()].concat();
        assert_eq!(fingerprint(&long), fingerprint(&b"SELECT 1 ".repeat(4096)));
    }
}
