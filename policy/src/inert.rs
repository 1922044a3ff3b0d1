//! Statements that run no code of anybody's and change no table: what transaction coverage need not
//! watch.

use crate::lexer::{Lexical, Tokens};

/// First words of statements that only set, show or lock something.
const INERT: [&str; 9] = [
    "show",
    "reset",
    "discard",
    "deallocate",
    "listen",
    "unlisten",
    "lock",
    "close",
    "checkpoint",
];

/// Whether `statement`, the text of one statement, can run no function, trigger or rule, and write
/// no row. `SET` is, but `SET CONSTRAINTS`: that fires deferred triggers.
#[must_use]
pub fn is_inert(statement: &[u8]) -> bool {
    let mut tokens = Tokens::new(statement, Lexical::DEFAULT);
    let mut next = || tokens.next().and_then(Result::ok);
    let Some(first) = next() else { return false };
    if first.is_word(statement, "set") {
        return next().is_some_and(|second| !second.is_word(statement, "constraints"));
    }
    INERT.iter().any(|word| first.is_word(statement, word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_runs_no_code_is_inert() {
        for text in [
            "SET x = 1",
            "set local search_path to a",
            "SHOW x",
            "/* a */ LOCK TABLE t",
        ] {
            assert!(is_inert(text.as_bytes()), "{text}");
        }
        for text in [
            "SELECT 1",
            "SET CONSTRAINTS ALL IMMEDIATE",
            "FETCH c",
            "EXPLAIN SELECT f()",
            "",
            "set",
        ] {
            assert!(!is_inert(text.as_bytes()), "{text}");
        }
    }
}
