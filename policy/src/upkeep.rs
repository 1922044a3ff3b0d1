//! Statements that keep a database in order, commit by themselves and run code of the table's owner on
//! the way: index expressions and predicates. No check comes before their commits.
//!
//! VACUUM, REINDEX and CLUSTER work in a read-only transaction, where that code can write nothing.
//! CREATE INDEX CONCURRENTLY does not, so what its text can call is looked up first (`called`).
use crate::{
    lexer::{Lexical, Tokens},
    name::Name,
};

/// What makes such a statement harmless.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Upkeep {
    /// It works in a read-only transaction.
    ReadOnly,
    /// CREATE INDEX CONCURRENTLY: it does not.
    Build,
}

/// Which of them the first statement of `text` is, if any.
#[must_use]
pub fn upkeep(text: &[u8]) -> Option<Upkeep> {
    let mut tokens = Tokens::new(text, Lexical::DEFAULT)
        .map_while(Result::ok)
        .skip_while(|token| token.is_punctuation(b';'));
    let first = tokens.next()?;
    if ["vacuum", "reindex", "cluster"]
        .iter()
        .any(|word| first.is_word(text, word))
    {
        return Some(Upkeep::ReadOnly);
    }
    let mut words = tokens.filter(|token| !token.is_word(text, "unique"));
    let mut next = |word: &str| words.next().is_some_and(|token| token.is_word(text, word));
    (first.is_word(text, "create") && next("index") && next("concurrently"))
        .then_some(Upkeep::Build)
}

/// The database that `statement` drops or renames; [`Name::any`] where its name cannot be told.
#[must_use]
pub fn taken_database(statement: &[u8]) -> Option<Name> {
    let mut tokens = Tokens::new(statement, Lexical::DEFAULT).map_while(Result::ok);
    let first = tokens.next()?;
    let (drops, alters) = (
        first.is_word(statement, "drop"),
        first.is_word(statement, "alter"),
    );
    if !(drops || alters) || !tokens.next()?.is_word(statement, "database") {
        return None;
    }
    let mut name = tokens.next()?;
    if drops && name.is_word(statement, "if") {
        // IF EXISTS
        name = tokens.nth(1)?;
    }
    let renames = alters && tokens.next()?.is_word(statement, "rename");
    (drops || renames).then(|| Name::of(&name, statement))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keeps_a_database_in_order() {
        for text in [
            "VACUUM",
            "; vacuum (analyze) t",
            "/* a */ REINDEX TABLE t",
            "CLUSTER",
        ] {
            assert_eq!(upkeep(text.as_bytes()), Some(Upkeep::ReadOnly), "{text}");
        }
        for text in [
            "CREATE INDEX CONCURRENTLY i ON t (a)",
            "create unique index concurrently on t (a)",
        ] {
            assert_eq!(upkeep(text.as_bytes()), Some(Upkeep::Build), "{text}");
        }
        for text in [
            "",
            "\"vacuum\"",
            "CREATE INDEX i ON t (a)",
            "ANALYZE t",
            "CREATE TABLE vacuum ()",
        ] {
            assert_eq!(upkeep(text.as_bytes()), None, "{text}");
        }
    }
}
