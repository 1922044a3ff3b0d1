//! What the expressions of an index that is built CONCURRENTLY can call. Nothing checks what that code does
//! before it is committed, so all of it must be a superuser's, from before the server reads the names up to
//! the moment when it has.
//!
//! ```text
//! who builds the index                          who makes code and commits
//! pg_advisory_lock_shared of each name          pg_advisory_xact_lock_shared of the commit
//! pg_advisory_lock_shared of the building       pg_try_advisory_xact_lock of the building: if not,
//! pg_advisory_lock of the commit, and unlock    a name of it is locked by another: refused
//! is there such code of another's? refused      COMMIT
//! CREATE INDEX CONCURRENTLY
//! ```
//!
//! Either the builder waits until the maker has committed, and finds what it made, or the maker finds the
//! names locked. Nobody waits for a lock that a builder has, so none of this can be part of a deadlock; a maker that
//! queues behind a waiting builder is let past by the server. The lock of the building only tells makers, who give it
//! back with their question's savepoint, whether to look at all: to list locks costs as much as the rest of what is asked with it.
use std::collections::BTreeSet;

use crate::{
    facts,
    lexer::{Lexical, Odd, Token, TokenKind, Tokens},
    name::Name,
    question::{literal, xml},
};

/// The most names that are locked for one index; one that calls more counts as calling anything.
pub const NAMES_MAX: usize = 64;

/// The advisory locks of names are this and the name's hash.
const LOCKS: u32 = 0x7067_7077;

/// What an index can call, as far as its text shows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Called {
    /// Nothing but built-in code, whatever is in the database.
    Nothing,
    /// A name that cannot be told.
    Anything,
    /// What has one of these names.
    These(Names),
}

/// Names of functions and types, of operators, and what stands for all casts or all range types: each with a
/// letter before it that says what it names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Names(BTreeSet<String>);

impl Called {
    /// What the index of `text`, a CREATE INDEX CONCURRENTLY, calls.
    ///
    /// Whoever makes an operator class is a superuser; functions, operators, casts, domains and the
    /// functions of range types are anybody's.
    ///
    /// # Errors
    /// [`Odd`] where the text cannot be read.
    pub fn of(text: &[u8], lexical: Lexical) -> Result<Self, Odd> {
        let calls = Calls::of(text, lexical)?;
        let mut names = calls.names;
        if calls.expressions {
            // A cast may be called that no text shows.
            names.insert(CAST.to_owned());
        }
        if calls.gist {
            // GiST calls what the owner of a range type supplied.
            names.insert(RANGE.to_owned());
        }
        Ok(if !calls.expressions && !calls.gist {
            Self::Nothing
        } else if calls.any || names.len() > NAMES_MAX {
            Self::Anything
        } else {
            Self::These(Names(names))
        })
    }
}

/// The letters.
const FUNCTION: &str = "f";
const OPERATOR: &str = "o";
const CAST: &str = "c";
const RANGE: &str = "r";

impl Names {
    fn array(&self) -> String {
        let list: Vec<String> = self.0.iter().map(|name| literal(name)).collect();
        format!("ARRAY[{}]::pg_catalog.text[]", list.join(", "))
    }

    /// Locks them for the session, and waits for who makes code and is about to commit. It returns no row, and
    /// locks nothing, in another process of the server's than `backend`.
    #[must_use]
    pub fn lock(&self, backend: u32) -> String {
        let (commit, building) = (facts::MAKERS, facts::BUILDERS);
        format!(
            "SELECT /* pgpawl */ CASE WHEN (SELECT pg_catalog.count(pg_catalog.pg_advisory_lock_shared({LOCKS}, \
             pg_catalog.hashtext(n.n))) FROM pg_catalog.unnest({}) n(n)) IS NOT NULL THEN \
             CASE WHEN pg_catalog.pg_advisory_lock_shared({building})::pg_catalog.text IS NOT NULL THEN \
             CASE WHEN pg_catalog.pg_advisory_lock({commit})::pg_catalog.text IS NOT NULL \
             THEN pg_catalog.pg_advisory_unlock({commit}) END END END \
             WHERE pg_catalog.pg_backend_pid() OPERATOR(pg_catalog.=) {backend}",
            self.array()
        )
    }

    /// Gives them back.
    #[must_use]
    pub fn unlock(&self) -> String {
        format!(
            "SELECT /* pgpawl */ pg_catalog.pg_advisory_unlock_shared({LOCKS}, pg_catalog.hashtext(n.n)) \
             FROM pg_catalog.unnest({}) n(n) UNION ALL SELECT pg_catalog.pg_advisory_unlock_shared({})",
            self.array(),
            facts::BUILDERS
        )
    }

    /// The text that asks whether code of one of these names is anybody's but a superuser's: it returns no
    /// row if not.
    #[must_use]
    pub fn question(&self) -> String {
        format!(
            "SELECT /* pgpawl */ 1 FROM ({}) c WHERE c.n OPERATOR(pg_catalog.=) ANY ({}) LIMIT 1",
            code(),
            self.array()
        )
    }
}

/// An expression: whether the running transaction may make code that an index calls which another session is
/// about to build. It sees what that session does not. It takes a lock, which a ROLLBACK TO gives back. `altered`: the
/// value of [`facts::altered`].
#[must_use]
pub fn is_called(altered: &str) -> String {
    let locks = format!(
        "FROM pg_catalog.pg_lock_status() l WHERE l.locktype OPERATOR(pg_catalog.=) 'advisory' \
         AND l.classid OPERATOR(pg_catalog.=) {LOCKS}::pg_catalog.oid AND l.objsubid OPERATOR(pg_catalog.=) 2 \
         AND l.database OPERATOR(pg_catalog.=) {}",
        facts::DATABASE
    );
    let called = literal(&format!(
        "SELECT 1 FROM ({}) c WHERE pg_catalog.hashtext(c.n)::pg_catalog.int8 OPERATOR(pg_catalog.&) 4294967295 \
         OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT l.objid::pg_catalog.int8 {locks})) LIMIT 1",
        code()
    ));
    format!(
        "CASE WHEN NOT {altered} THEN false WHEN pg_catalog.pg_try_advisory_xact_lock({}) THEN false \
         ELSE {} OPERATOR(pg_catalog.<>) '' END",
        facts::BUILDERS,
        xml(&called)
    )
}

/// The names `n` of code that a role other than a superuser can change.
fn code() -> String {
    const FIRST_OID: &str = "16384::pg_catalog.oid";
    format!(
        "SELECT k.n FROM (\
         SELECT pg_catalog.concat('{FUNCTION}', p.proname) AS n, p.proowner AS o FROM pg_catalog.pg_proc p \
         WHERE p.oid OPERATOR(pg_catalog.>=) {FIRST_OID} \
         UNION ALL SELECT pg_catalog.concat('{OPERATOR}', x.oprname), p.proowner FROM pg_catalog.pg_operator x \
         JOIN pg_catalog.pg_proc p ON p.oid OPERATOR(pg_catalog.=) x.oprcode WHERE x.oid OPERATOR(pg_catalog.>=) {FIRST_OID} \
         UNION ALL SELECT '{CAST}', p.proowner FROM pg_catalog.pg_cast x \
         JOIN pg_catalog.pg_proc p ON p.oid OPERATOR(pg_catalog.=) x.castfunc WHERE x.oid OPERATOR(pg_catalog.>=) {FIRST_OID} \
         UNION ALL SELECT pg_catalog.concat('{FUNCTION}', t.typname), t.typowner FROM pg_catalog.pg_type t \
         WHERE t.typtype OPERATOR(pg_catalog.=) ANY ('{{d,r,m}}'::pg_catalog.\"char\"[]) \
         AND t.oid OPERATOR(pg_catalog.>=) {FIRST_OID} \
         UNION ALL SELECT '{RANGE}', p.proowner FROM pg_catalog.pg_range x JOIN pg_catalog.pg_proc p \
         ON p.oid OPERATOR(pg_catalog.=) x.rngsubdiff OR p.oid OPERATOR(pg_catalog.=) x.rngcanonical) k \
         JOIN pg_catalog.pg_roles r ON r.oid OPERATOR(pg_catalog.=) k.o WHERE NOT r.rolsuper"
    )
}

/// What a text calls, as it is read.
#[derive(Debug, Default)]
struct Calls {
    /// A name that cannot be told.
    any: bool,
    names: BTreeSet<String>,
    /// There is an expression or a predicate.
    expressions: bool,
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
                    calls.operator(if operator == "!=" { "<>" } else { &operator });
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
                for operator in operators {
                    self.operator(operator);
                }
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
        let name = String::from_utf8_lossy(&name.0);
        self.names.insert(format!("{FUNCTION}{name}"));
    }

    fn operator(&mut self, name: &str) {
        self.names.insert(format!("{OPERATOR}{name}"));
    }
}

fn is_name(token: &Token, text: &[u8], word: &str) -> bool {
    let name = Name::of(token, text);
    token.kind == TokenKind::UnicodeQuoted || *name.0 == *word.as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn called(text: &str) -> Called {
        Called::of(text.as_bytes(), Lexical::DEFAULT).unwrap()
    }

    #[test]
    fn columns_call_nothing() {
        for text in [
            "CREATE INDEX CONCURRENTLY i ON s.t (a, \"B\" DESC NULLS LAST) INCLUDE (c) WITH (fillfactor = 70)",
            "CREATE INDEX CONCURRENTLY ON t USING gin (a gin_trgm_ops)",
        ] {
            assert_eq!(called(text), Called::Nothing, "{text}");
        }
    }

    #[test]
    fn what_can_be_called_is_asked_for() {
        let text = "CREATE INDEX CONCURRENTLY i ON t (lower(a), (b || 'x'::d), s.f(c)) WHERE x NOT LIKE 'a' AND (t).g";
        let Called::These(names) = called(text) else {
            panic!("it can be told")
        };
        let all: Vec<&str> = names.0.iter().map(String::as_str).collect();
        assert_eq!(
            all,
            [
                "c", "fand", "fd", "ff", "fg", "flike", "flower", "o!~~", "o::", "o||", "o~~"
            ]
        );
        for text in [
            names.lock(1),
            names.unlock(),
            names.question(),
            is_called("true"),
        ] {
            assert!(text.is_ascii() && !text.contains('\\') && !text.contains(';'));
        }
        let Called::These(names) = called("CREATE INDEX CONCURRENTLY i ON t USING GIST (a)") else {
            panic!("it can be told")
        };
        assert_eq!(names.0.into_iter().collect::<Vec<_>>(), ["r"]);
    }

    #[test]
    fn what_cannot_be_told_may_be_anything() {
        let many: Vec<String> = (0..NAMES_MAX).map(|n| format!("f{n}(a)")).collect();
        for expression in ["U&\"f\"(a)", "\"\u{e4}\"(a)", &many.join(", ")] {
            let text = format!("CREATE INDEX CONCURRENTLY i ON t (({expression}))");
            assert_eq!(called(&text), Called::Anything, "{text}");
        }
    }
}
