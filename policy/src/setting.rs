//! The settings that a statement changes.
use crate::{
    hold::{Head, first_word},
    name::Name,
};

/// A setting that a statement changes, by the name that PostgreSQL stores.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Setting {
    /// Up to the end of the transaction.
    Local(String),
    /// For the session.
    Session(String),
}

/// The setting of `SET [LOCAL | SESSION] name = value` or `TO value`; `None` for any other statement, as `SET
/// LOCAL ROLE`.
#[must_use]
pub fn setting(statement: &[u8]) -> Option<Setting> {
    if !first_word(statement).eq_ignore_ascii_case(b"set") {
        return None;
    }
    let head = Head::of(statement);
    let local = head.is(1, "local");
    let at = 1 + usize::from(local || head.is(1, "session"));
    let name = |index: usize| {
        let token = head.tokens.get(index)?;
        let name = Name::of(token, statement);
        String::from_utf8(name.0.into_vec())
            .ok()
            .filter(|name| is_plain(name))
    };
    let is = |index: usize, byte: u8| {
        let token = head.tokens.get(index);
        token.is_some_and(|token| token.is_punctuation(byte) || token.bytes(statement) == [byte])
    };
    let first = name(at)?;
    let (name, next) = if is(at + 1, b'.') {
        (format!("{first}.{}", name(at + 2)?), at + 3)
    } else {
        (first, at + 1)
    };
    let of = if local {
        Setting::Local
    } else {
        Setting::Session
    };
    (is(next, b'=') || head.is(next, "to")).then(|| of(name))
}

/// A setting's name that can stand in a literal under any settings.
fn is_plain(name: &str) -> bool {
    let mut bytes = name.bytes();
    !name.is_empty() && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings() {
        let local = |name: &str| Some(Setting::Local(name.to_owned()));
        let session = |name: &str| Some(Setting::Session(name.to_owned()));
        for (text, expected) in [
            ("SET LOCAL Lock_Timeout = 5", local("lock_timeout")),
            ("-- why\nset local a.b to 'c'", local("a.b")),
            ("SET LOCAL TIME ZONE 'UTC'", None),
            ("SET SESSION work_mem = 1", session("work_mem")),
            ("SET \"b\" TO 1", session("b")),
            ("SET ROLE a", None),
            ("UPDATE a SET b = 1", None),
        ] {
            assert_eq!(setting(text.as_bytes()), expected, "{text}");
        }
    }
}
