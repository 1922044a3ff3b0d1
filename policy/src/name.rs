//! The names of prepared statements, as PostgreSQL stores them.

use crate::lexer::{Token, TokenKind};

/// PostgreSQL cuts longer names (`NAMEDATALEN - 1`).
pub const NAME_LEN_MAX: usize = 63;

/// The name of a prepared statement as PostgreSQL stores it: folded unless quoted.
///
/// Empty stands for *any* name: those whose stored form depends on the server's encoding or locale
/// (not ASCII, longer than 63 bytes, `U&"..."`) are not matched exactly. SQL has no empty name.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Name(pub Box<[u8]>);

impl Name {
    /// Whether it may be any name.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.0.is_empty()
    }

    /// Any name.
    #[must_use]
    pub fn any() -> Self {
        Self(Box::default())
    }

    /// Whether both may be the same.
    #[must_use]
    pub fn may_be(&self, other: &Self) -> bool {
        self.is_any() || other.is_any() || self == other
    }

    /// What `token` names.
    #[must_use]
    pub fn of(token: &Token, text: &[u8]) -> Self {
        let bytes = token.bytes(text);
        let stored = match token.kind {
            TokenKind::Word => bytes.to_ascii_lowercase(),
            TokenKind::Quoted => unquoted(bytes),
            TokenKind::UnicodeQuoted
            | TokenKind::Text(_)
            | TokenKind::Param
            | TokenKind::Number
            | TokenKind::Operator
            | TokenKind::Punctuation(_) => return Self::any(),
        };
        if stored.is_ascii() && stored.len() <= NAME_LEN_MAX {
            Self(stored.into_boxed_slice())
        } else {
            Self::any()
        }
    }
}

/// The inside of `"..."`, with `""` as one quote.
pub(crate) fn unquoted(bytes: &[u8]) -> Vec<u8> {
    let inside = bytes
        .strip_prefix(b"\"")
        .and_then(|rest| rest.strip_suffix(b"\""))
        .unwrap_or(bytes);
    let mut name = Vec::with_capacity(inside.len());
    let mut rest = inside.iter();
    while let Some(&byte) = rest.next() {
        name.push(byte);
        if byte == b'"' {
            rest.next();
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::Name;
    use crate::lexer::{Lexical, Tokens};

    fn named(text: &str) -> Option<Name> {
        let token = Tokens::new(text.as_bytes(), Lexical::DEFAULT)
            .next()?
            .ok()?;
        Some(Name::of(&token, text.as_bytes()))
    }

    #[test]
    fn names_are_as_stored() {
        let name = |stored: &str| Some(Name(stored.as_bytes().into()));
        assert_eq!(named("Ab$1"), name("ab$1"));
        assert_eq!(named("\"A\"\"b\""), name("A\"b"));
        assert_eq!(named(&"a".repeat(63)), name(&"a".repeat(63)));
        assert_eq!(named(&"a".repeat(64)), Some(Name::any()));
        assert_eq!(named("\"ä\""), Some(Name::any()));
        assert_eq!(named("U&\"a\""), Some(Name::any()));
    }

    #[test]
    fn any_may_be_all() {
        let a = Name(b"a".as_slice().into());
        assert!(a.may_be(&Name::any()) && Name::any().may_be(&a) && a.may_be(&a));
        assert!(!a.may_be(&Name(b"b".as_slice().into())));
    }
}
