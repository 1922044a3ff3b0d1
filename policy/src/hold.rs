//! What a statement means for a transaction whose COMMIT may be held, by its first words.
//!
//! A migration run that commits its DDL before it records it is held in one transaction of the
//! server's until the record says which way it went. A statement can stand in the way of that: it
//! cannot run in a transaction block, or it means something else in a longer one.
use serde::Deserialize;

use crate::{
    kind::Kind,
    lexer::{Lexical, Token, Tokens},
    name::Name,
    setting::setting,
};

/// Which commits of a migration run are held.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hold {
    /// None.
    Off,
    /// Those of transactions that changed the schema.
    #[default]
    Schema,
    /// Those of transactions that wrote anything.
    Writes,
}

/// What a statement does to a transaction that may be held.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Manner {
    /// It may change the schema; temporary objects are no part of it.
    pub alters: bool,
    /// Outside a block of the client's it cannot run in what is held, or not with the same meaning: what
    /// is held is committed before it.
    pub first: bool,
    /// Within a block of the client's: the block is committed at its end, not held.
    pub ends: bool,
    /// It is about nothing but the session and its transaction.
    pub plain: bool,
    /// All that it is meant to do stands in its text, and nothing of it is to be told with its answer.
    pub shows: bool,
}

impl Manner {
    /// Of no statement.
    pub const NOTHING: Self = Self {
        alters: false,
        first: false,
        ends: false,
        plain: false,
        shows: true,
    };

    /// What two statements of one text do together.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self {
            alters: self.alters || other.alters,
            first: self.first || other.first,
            ends: self.ends || other.ends,
            plain: self.plain && other.plain,
            shows: self.shows && other.shows,
        }
    }
}

/// First words of statements that change the schema.
const ALTERS: [&str; 13] = [
    "create", "alter", "drop", "comment", "grant", "revoke", "reassign", "security", "import",
    "refresh", "do", "call", "execute",
];

/// First words of statements whose effect is told by their text.
const SHOWS: [&str; 7] = ["comment", "grant", "revoke", "set", "show", "reset", "lock"];

/// What CREATE, ALTER and DROP do to one of these, and without CASCADE: nothing is taken that the text does not name.
const SHOWN: [&str; 6] = ["table", "index", "sequence", "view", "function", "trigger"];

/// Words in a text that make the longer transaction show: locks that go with the transaction,
/// settings and messages that come with its end.
const LASTING: [&[u8]; 4] = [
    b"_xact_lock",
    b"set_config",
    b"pg_notify",
    b"pg_export_snapshot",
];

/// The most tokens at the start of a statement that are looked at.
const HEAD_LEN_MAX: usize = 16;

/// The manner of `statement`, the text of one statement of `kind`.
#[must_use]
pub fn manner(statement: &[u8], kind: &Kind) -> Manner {
    let head = Head::of(statement);
    let lasting = || LASTING.iter().any(|word| contains_word(statement, word));
    match kind {
        Kind::Begin => Manner {
            first: !head.begins_plainly(),
            plain: true,
            ..Manner::NOTHING
        },
        Kind::Commit { chain: false } | Kind::Rollback { chain: false } | Kind::Deallocate(_) => {
            Manner {
                plain: true,
                ..Manner::NOTHING
            }
        }
        Kind::Savepoint
        | Kind::Release
        | Kind::Commit { chain: true }
        | Kind::Rollback { chain: true } => Manner {
            first: true,
            plain: true,
            ..Manner::NOTHING
        },
        Kind::Alone | Kind::PrepareTransaction => Manner {
            first: true,
            ends: true,
            ..Manner::NOTHING
        },
        Kind::DeallocateAll => Manner {
            first: head.is(0, "discard"),
            plain: !head.is(0, "discard"),
            ..Manner::NOTHING
        },
        Kind::Prepare(_) => Manner::NOTHING,
        Kind::Execute(_) | Kind::Other => {
            let set = head.is(0, "set");
            let session = set || head.is_any(0, &["show", "reset"]);
            let characterises = set && head.is_any(1, &["transaction", "session"]);
            let tells = head.is_any(0, &["listen", "notify", "unlisten"]);
            let local = set && head.is(1, "local") && setting(statement).is_none();
            let lasts = head.is(0, "declare") || head.is_new_value() || local;
            let temporary = head.is_temporary();
            Manner {
                alters: !temporary && ALTERS.iter().any(|word| head.is(0, word)),
                first: tells || characterises || head.is(0, "call") || head.commits(statement),
                ends: tells
                    || lasts
                    || characterises
                    || temporary && contains_word(statement, b"commit")
                    || !session && lasting(),
                plain: session && !characterises,
                shows: head.shows(statement),
            }
        }
    }
}

/// The first token of a statement.
#[must_use]
pub fn first_word(statement: &[u8]) -> &[u8] {
    let first = Tokens::new(statement, Lexical::DEFAULT).next();
    let range = first.and_then(Result::ok).map(|token| token.range);
    range
        .and_then(|range| statement.get(range))
        .unwrap_or_default()
}

/// What a savepoint statement does to which name; an empty name stands for any.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Savepoint {
    /// SAVEPOINT name.
    Set(Name),
    /// RELEASE name.
    Release(Name),
    /// ROLLBACK TO name.
    Back(Name),
}

/// Reads a statement of [`Kind::Savepoint`] or [`Kind::Release`].
#[must_use]
pub fn savepoint(statement: &[u8]) -> Savepoint {
    let head = Head::of(statement);
    let name = |at: usize| {
        let at = at + usize::from(head.is(at, "savepoint") && head.tokens.len() > at + 1);
        head.tokens
            .get(at)
            .map_or_else(Name::any, |token| Name::of(token, statement))
    };
    if head.is(0, "savepoint") {
        return Savepoint::Set(name(1));
    }
    if head.is(0, "release") {
        return Savepoint::Release(name(1));
    }
    let to = (0..head.tokens.len()).find(|&at| head.is(at, "to"));
    Savepoint::Back(name(to.map_or(1, |to| to + 1)))
}

/// The first tokens of a statement.
pub(crate) struct Head<'a> {
    text: &'a [u8],
    pub(crate) tokens: Vec<Token>,
}

impl<'a> Head<'a> {
    pub(crate) fn of(text: &'a [u8]) -> Self {
        let tokens = Tokens::new(text, Lexical::DEFAULT);
        Self {
            text,
            tokens: tokens.map_while(Result::ok).take(HEAD_LEN_MAX).collect(),
        }
    }

    pub(crate) fn is(&self, index: usize, word: &str) -> bool {
        let token = self.tokens.get(index);
        token.is_some_and(|token| token.is_word(self.text, word))
    }

    fn is_any(&self, index: usize, words: &[&str]) -> bool {
        words.iter().any(|word| self.is(index, word))
    }

    /// BEGIN with nothing but what a transaction is anyway: READ WRITE, READ COMMITTED.
    fn begins_plainly(&self) -> bool {
        const USUAL: [&str; 10] = [
            "begin",
            "start",
            "work",
            "transaction",
            "read",
            "write",
            "isolation",
            "level",
            "committed",
            "only",
        ];
        let mut words = self
            .tokens
            .iter()
            .filter(|token| !token.is_punctuation(b','));
        let usual = words.all(|token| {
            token.is_punctuation(b';') || USUAL.iter().any(|w| token.is_word(self.text, w))
        });
        usual && !(0..self.tokens.len()).any(|at| self.is(at, "only"))
    }

    /// CREATE TEMPORARY ...
    fn is_temporary(&self) -> bool {
        let at = 1 + usize::from(self.is_any(1, &["global", "local"]));
        self.is(0, "create") && self.is_any(at, &["temp", "temporary"])
    }

    /// All that it is meant to do stands in its text.
    fn shows(&self, statement: &[u8]) -> bool {
        let behind = |words: &[&str]| 1 + usize::from(self.is_any(1, words));
        let kind = if self.is(0, "create") && self.is(1, "or") {
            3
        } else {
            behind(&["unique"])
        };
        self.is_any(0, &SHOWS)
            || self.is_any(0, &["create", "alter", "drop"])
                && self.is_any(kind, &SHOWN)
                && !contains_word(statement, b"cascade")
    }

    /// ALTER TYPE ... ADD VALUE: the value cannot be used before the commit.
    fn is_new_value(&self) -> bool {
        self.is(0, "alter") && self.is(1, "type") && (2..8).any(|at| self.is(at, "add"))
    }

    /// A DO that may commit inside.
    fn commits(&self, statement: &[u8]) -> bool {
        self.is(0, "do")
            && [&b"commit"[..], b"rollback", b"call"]
                .iter()
                .any(|word| contains_word(statement, word))
    }
}

/// Whether `word`, in lower case, occurs in `text` in any case.
#[must_use]
pub fn contains_word(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len())
        .any(|window| window.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statement::first_kind;

    fn of(text: &str) -> Manner {
        manner(text.as_bytes(), &first_kind(text.as_bytes()))
    }

    #[test]
    fn what_changes_the_schema() {
        for text in [
            "CREATE TABLE a()",
            "/* x */ alter table a",
            "DO $$ $$",
            "drop index i",
        ] {
            assert!(of(text).alters, "{text}");
        }
        for text in [
            "CREATE TEMP TABLE a()",
            "create local temporary view v",
            "INSERT INTO a",
        ] {
            assert!(!of(text).alters, "{text}");
        }
    }

    #[test]
    fn what_shows_all_that_it_does() {
        for text in [
            "CREATE TABLE a()",
            "create unique index on a (b)",
            "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS ''",
            "ALTER TABLE a ADD b int",
            "DROP INDEX i",
            "COMMENT ON TABLE a IS 'b'",
            "SET x = 1",
            "BEGIN",
        ] {
            assert!(of(text).shows, "{text}");
        }
        for text in [
            "DROP TABLE a CASCADE",
            "DROP TYPE t",
            "DROP EXTENSION x",
            "ALTER SCHEMA a RENAME TO b",
            "CREATE EXTENSION x",
            "DO $$ $$",
            "SELECT f()",
            "INSERT INTO a DEFAULT VALUES",
        ] {
            assert!(!of(text).shows, "{text}");
        }
    }

    #[test]
    fn what_is_committed_before_it() {
        for text in [
            "CREATE INDEX CONCURRENTLY ON a (b)",
            "VACUUM",
            "BEGIN ISOLATION LEVEL SERIALIZABLE",
            "BEGIN READ ONLY",
            "LISTEN x",
            "CALL p()",
            "DO $$ BEGIN COMMIT; END $$",
            "DISCARD ALL",
            "SET TRANSACTION READ ONLY",
        ] {
            assert!(of(text).first, "{text}");
        }
        for text in [
            "BEGIN",
            "BEGIN;",
            "START TRANSACTION READ WRITE, ISOLATION LEVEL READ COMMITTED",
            "DO $$ BEGIN EXECUTE 'x'; END $$",
            "SET x = 1",
            "DEALLOCATE ALL",
            "SELECT 1",
        ] {
            assert!(!of(text).first, "{text}");
        }
    }

    #[test]
    fn what_lasts_to_the_end() {
        for text in [
            "ALTER TYPE t ADD VALUE 'x'",
            "CREATE TEMP TABLE a (b int) ON COMMIT DROP",
            "SELECT pg_advisory_xact_lock(1)",
            "SET LOCAL ROLE x",
            "NOTIFY x",
        ] {
            assert!(of(text).ends, "{text}");
        }
        for text in [
            "SET LOCAL lock_timeout = '5s'",
            "ALTER TABLE a ADD b int",
            "SET x TO 1",
        ] {
            assert!(!of(text).ends, "{text}");
        }
    }

    #[test]
    fn savepoints() {
        let name = |text: &str| Name(text.as_bytes().into());
        for (text, expected) in [
            ("SAVEPOINT \"sp_1\"", Savepoint::Set(name("sp_1"))),
            ("RELEASE a", Savepoint::Release(name("a"))),
            ("release savepoint A;", Savepoint::Release(name("a"))),
            ("ROLLBACK WORK TO SAVEPOINT a", Savepoint::Back(name("a"))),
            ("ROLLBACK TO a", Savepoint::Back(name("a"))),
        ] {
            assert_eq!(savepoint(text.as_bytes()), expected, "{text}");
        }
    }
}
