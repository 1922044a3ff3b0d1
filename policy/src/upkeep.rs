//! Statements that keep a database in order, commit by themselves and run code of the table's owner on
//! the way: index expressions and predicates. No check comes before their commits.
//!
//! VACUUM, REINDEX and CLUSTER work in a read-only transaction, where that code can write nothing.
//! CREATE INDEX CONCURRENTLY does not, so what its text can call is looked up first.
use std::{collections::BTreeSet, fmt::Write as _};

use crate::{
    lexer::{Lexical, Odd, Token, TokenKind, Tokens},
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

/// What the expressions of an index can call, as far as its text shows.
#[derive(Debug, Default)]
struct Calls {
    /// A name that cannot be told.
    any: bool,
    names: BTreeSet<String>,
    operators: BTreeSet<String>,
    /// There is an expression or a predicate, which may have casts that no text shows.
    expressions: bool,
    /// `GiST` calls what the owner of a range type supplied.
    gist: bool,
}

/// The operators that stand behind words.
const SPELLED: [(&str, &[&str]); 9] = [
    ("in", &["=", "<>"]),
    ("like", &["~~", "!~~"]),
    ("ilike", &["~~*", "!~~*"]),
    ("similar", &["~", "!~"]),
    ("between", &["<", ">", "<=", ">="]),
    ("symmetric", &["<", ">", "<=", ">="]),
    ("distinct", &["="]),
    ("nullif", &["="]),
    ("case", &["="]),
];

impl Calls {
    fn of(text: &[u8], lexical: Lexical) -> Result<Self, Odd> {
        let tokens: Vec<Token> = Tokens::new(text, lexical).collect::<Result<_, _>>()?;
        let mut calls = Self::default();
        let opening = tokens.iter().position(|token| token.is_punctuation(b'('));
        let opening = opening.unwrap_or(tokens.len());
        let (head, rest) = tokens.split_at(opening);
        calls.gist = head.iter().any(|token| is_name(token, text, "gist"));
        let mut depth = 0_usize;
        // WITH (fillfactor = 70) has no expressions.
        let mut options = false;
        let mut before: Option<&Token> = None;
        for (at, token) in rest.iter().enumerate() {
            let after = rest.get(at + 1);
            match token.kind {
                TokenKind::Punctuation(b'(') => {
                    options |=
                        depth == 0 && before.is_some_and(|token| token.is_word(text, "with"));
                    depth += 1;
                    calls.expressions |= depth > 1;
                }
                TokenKind::Punctuation(b')') => {
                    depth = depth.saturating_sub(1);
                    options &= depth > 0;
                }
                _ if options => {}
                TokenKind::Operator => {
                    calls.expressions = true;
                    let operator = String::from_utf8_lossy(token.bytes(text)).into_owned();
                    calls.operators.insert(if operator == "!=" {
                        "<>".to_owned()
                    } else {
                        operator
                    });
                }
                TokenKind::Word | TokenKind::Quoted | TokenKind::UnicodeQuoted => {
                    calls.word(text, before, token, after);
                }
                TokenKind::Text(_)
                | TokenKind::Param
                | TokenKind::Number
                | TokenKind::Punctuation(_) => {}
            }
            before = Some(token);
        }
        Ok(calls)
    }

    /// A word calls something where a parenthesis or a constant follows it, or a dot, `::`, AS or
    /// RETURNING is before it; otherwise it is a column, an operator class or a keyword.
    fn word(&mut self, text: &[u8], before: Option<&Token>, token: &Token, after: Option<&Token>) {
        self.expressions |= token.is_word(text, "where");
        for (word, operators) in SPELLED {
            if token.is_word(text, word) {
                self.operators
                    .extend(operators.iter().map(|name| (*name).to_owned()));
            }
        }
        let led = before.is_some_and(|token| {
            token.is_punctuation(b'.')
                || token.is_word(text, "as")
                || token.is_word(text, "returning")
                || token.bytes(text) == b"::"
        });
        let called = after.is_some_and(|token| {
            token.is_punctuation(b'(') || matches!(token.kind, TokenKind::Text(_))
        });
        if !led && !called {
            return;
        }
        let name = Name::of(token, text);
        self.any |= name.is_any();
        self.names
            .insert(String::from_utf8_lossy(&name.0).into_owned());
    }
}

fn is_name(token: &Token, text: &[u8], word: &str) -> bool {
    let name = Name::of(token, text);
    token.kind == TokenKind::UnicodeQuoted || *name.0 == *word.as_bytes()
}

/// The first oid of what was created after `initdb`.
const FIRST_OID: &str = "16384::pg_catalog.oid";

/// The text that asks whether building the index of `text`, a CREATE INDEX CONCURRENTLY, may run code
/// that a role other than a superuser can change: it returns no row if not. `None`: it runs none,
/// whatever is in the database.
///
/// Whoever makes an operator class is a superuser; functions, operators, casts, domains and the
/// functions of range types are anybody's.
///
/// # Errors
/// [`Odd`] where the text cannot be read.
pub fn question(text: &[u8], lexical: Lexical) -> Result<Option<String>, Odd> {
    let calls = Calls::of(text, lexical)?;
    if !calls.expressions && !calls.gist {
        return Ok(None);
    }
    if calls.any {
        return Ok(Some("SELECT /* pgpawl */ 1".to_owned()));
    }
    let (names, operators) = (array(&calls.names), array(&calls.operators));
    let mut owners = format!(
        "SELECT p.proowner AS o FROM pg_catalog.pg_proc p WHERE p.proname OPERATOR(pg_catalog.=) ANY ({names}) \
         AND p.oid OPERATOR(pg_catalog.>=) {FIRST_OID} \
         UNION ALL SELECT p.proowner FROM pg_catalog.pg_operator x \
         JOIN pg_catalog.pg_proc p ON p.oid OPERATOR(pg_catalog.=) x.oprcode \
         WHERE x.oprname OPERATOR(pg_catalog.=) ANY ({operators}) AND x.oid OPERATOR(pg_catalog.>=) {FIRST_OID} \
         UNION ALL SELECT p.proowner FROM pg_catalog.pg_cast x \
         JOIN pg_catalog.pg_proc p ON p.oid OPERATOR(pg_catalog.=) x.castfunc \
         WHERE x.oid OPERATOR(pg_catalog.>=) {FIRST_OID} \
         UNION ALL SELECT t.typowner FROM pg_catalog.pg_type t WHERE t.typname OPERATOR(pg_catalog.=) ANY ({names}) \
         AND t.typtype OPERATOR(pg_catalog.=) ANY ('{{d,r,m}}'::pg_catalog.\"char\"[]) AND t.oid OPERATOR(pg_catalog.>=) {FIRST_OID}"
    );
    if calls.gist {
        let _ = write!(
            owners,
            " UNION ALL SELECT p.proowner FROM pg_catalog.pg_range x JOIN pg_catalog.pg_proc p \
             ON p.oid OPERATOR(pg_catalog.=) x.rngsubdiff OR p.oid OPERATOR(pg_catalog.=) x.rngcanonical"
        );
    }
    Ok(Some(format!(
        "SELECT /* pgpawl */ 1 FROM ({owners}) c JOIN pg_catalog.pg_roles r ON r.oid OPERATOR(pg_catalog.=) c.o \
         WHERE NOT r.rolsuper LIMIT 1"
    )))
}

fn array(names: &BTreeSet<String>) -> String {
    let list: Vec<String> = names
        .iter()
        .map(|name| format!("'{}'", name.replace('\'', "''")))
        .collect();
    format!("ARRAY[{}]::pg_catalog.name[]", list.join(", "))
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

    fn asked(text: &str) -> Option<String> {
        question(text.as_bytes(), Lexical::DEFAULT).unwrap()
    }

    #[test]
    fn columns_call_nothing() {
        for text in [
            "CREATE INDEX CONCURRENTLY i ON s.t (a, \"B\" DESC NULLS LAST) INCLUDE (c) WITH (fillfactor = 70)",
            "CREATE INDEX CONCURRENTLY ON t USING gin (a gin_trgm_ops)",
        ] {
            assert_eq!(asked(text), None, "{text}");
        }
    }

    #[test]
    fn what_can_be_called_is_asked_for() {
        let text = "CREATE INDEX CONCURRENTLY i ON t (lower(a), (b || 'x'::d), s.f(c)) WHERE x NOT LIKE 'a' AND (t).g";
        let question = asked(text).unwrap();
        for part in ["'lower'", "'d'", "'f'", "'g'", "'||'", "'~~'", "'!~~'"] {
            assert!(question.contains(part), "{part}: {question}");
        }
        assert!(question.is_ascii() && !question.contains('\\') && !question.contains(';'));
        let gist = asked("CREATE INDEX CONCURRENTLY i ON t USING GIST (a)").unwrap();
        assert!(gist.contains("pg_range"));
        let hidden = asked("CREATE INDEX CONCURRENTLY i ON t (U&\"f\"(a))").unwrap();
        assert_eq!(hidden, "SELECT /* pgpawl */ 1");
    }
}
