//! Any text has tokens and statements in order and inside it, or is odd; both take no more memory than
//! the text has bytes.

use pgpawl_policy::{
    inert::is_inert,
    lexer::{Lexical, Odd, Tokens},
    statement::{Kind, first_kind, statements},
};

/// Holds for any text.
pub fn hold(text: &[u8]) {
    for standard_conforming_strings in [true, false] {
        let lexical = Lexical {
            standard_conforming_strings,
            ..Lexical::DEFAULT
        };
        let odd = hold_tokens(text, lexical);
        let found = statements(text, lexical);
        assert_eq!(found.as_ref().err(), odd.as_ref());
        let mut end = 0;
        for statement in found.iter().flatten() {
            assert!(end <= statement.range.start && statement.range.start < statement.range.end);
            end = statement.range.end;
            hold_kind(&statement.kind);
        }
        assert!(end <= text.len());
    }
    hold_kind(&first_kind(text));
    let _ = is_inert(text);
}

/// Tokens come in order, each with a byte at least, and what is between is blank.
fn hold_tokens(text: &[u8], lexical: Lexical) -> Option<Odd> {
    let mut end = 0;
    for token in Tokens::new(text, lexical) {
        let token = match token {
            Ok(token) => token,
            Err(odd) => return Some(odd),
        };
        assert!(end <= token.range.start && token.range.start < token.range.end);
        assert!(token.range.end <= text.len());
        end = token.range.end;
    }
    None
}

/// A name is never longer than PostgreSQL's.
fn hold_kind(kind: &Kind) {
    if let Kind::Prepare(name) | Kind::Execute(name) | Kind::Deallocate(name) = kind {
        assert!(name.0.len() < 64);
    }
}
