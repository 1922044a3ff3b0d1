//! What a statement does to the transaction or to prepared statements, told from its words.

use crate::lexer::{Token, TokenKind};
use crate::name::Name;

/// What a statement does to the transaction or to prepared statements.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kind {
    /// BEGIN, START TRANSACTION.
    Begin,
    /// COMMIT, END.
    Commit {
        /// AND CHAIN.
        chain: bool,
    },
    /// ROLLBACK, ABORT.
    Rollback {
        /// AND CHAIN.
        chain: bool,
    },
    /// SAVEPOINT.
    Savepoint,
    /// RELEASE or ROLLBACK TO a savepoint.
    Release,
    /// PREPARE TRANSACTION: a commit for our purposes.
    PrepareTransaction,
    /// PREPARE name AS ...
    Prepare(Name),
    /// EXECUTE name, also within EXPLAIN ANALYZE or CREATE TABLE AS.
    Execute(Name),
    /// DEALLOCATE name.
    Deallocate(Name),
    /// DEALLOCATE ALL, DISCARD ALL.
    DeallocateAll,
    /// A statement that cannot run in a transaction block (VACUUM, CREATE INDEX CONCURRENTLY,
    /// CREATE DATABASE, COMMIT PREPARED, ALTER SYSTEM ...).
    Alone,
    /// Any other.
    Other,
}

/// The words that decide come within this many tokens, except those that [`KindReader`] looks for
/// in the rest (`CONCURRENTLY` of REINDEX and DETACH, `AS EXECUTE`).
const HEAD_LEN_MAX: usize = 8;

/// `DETACH PARTITION schema.name CONCURRENTLY`.
const TAIL_LEN_MAX: usize = 6;

/// Reads one statement, token by token, in constant space.
#[derive(Debug)]
pub(crate) struct KindReader<'a> {
    text: &'a [u8],
    head: Vec<Token>,
    depth: usize,
    executes: Executes,
    /// The last tokens outside parentheses, the newest last, and whether one was a comma.
    tail: Vec<Token>,
    listed: bool,
    /// How many tokens are outside parentheses.
    outside: usize,
    /// What the first word says of those behind it.
    length: Length,
    /// What REINDEX does alone: all of a DATABASE, a SCHEMA or the SYSTEM, or CONCURRENTLY.
    reindexes_alone: bool,
}

/// How much of a statement its kind hangs on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Length {
    FirstWord,
    Head,
    All,
}

/// Whether an `EXECUTE name` can follow. After the first word that leads to none it cannot, so that no
/// alias of that name, and no EXECUTE in a body, makes a statement look like one.
#[derive(Debug)]
enum Executes {
    /// Nothing was read.
    Start,
    /// EXPLAIN and its options.
    Explain,
    /// CREATE and what may stand before TABLE.
    Create,
    /// CREATE TABLE, before its AS.
    Table,
    /// CREATE TABLE ... AS.
    As,
    NameFollows,
    Named(Name),
    No,
}

impl<'a> KindReader<'a> {
    pub(crate) const fn new(text: &'a [u8]) -> Self {
        Self {
            text,
            head: Vec::new(),
            depth: 0,
            executes: Executes::Start,
            tail: Vec::new(),
            listed: false,
            outside: 0,
            length: Length::All,
            reindexes_alone: false,
        }
    }

    /// Whether tokens that follow cannot change [`KindReader::kind`].
    pub(crate) const fn is_decided(&self) -> bool {
        match self.length {
            Length::FirstWord => true,
            Length::Head => self.head.len() >= HEAD_LEN_MAX,
            Length::All => false,
        }
    }

    /// Statements of [`Length::All`] may have their word far behind the first.
    fn length_of(&self, first: &Token) -> Length {
        const ALL: [&str; 5] = ["create", "explain", "alter", "reindex", "cluster"];
        const HEAD: [&str; 14] = [
            "begin",
            "start",
            "commit",
            "end",
            "rollback",
            "abort",
            "savepoint",
            "release",
            "prepare",
            "execute",
            "deallocate",
            "discard",
            "vacuum",
            "drop",
        ];
        let is = |word: &&str| first.is_word(self.text, word);
        if ALL.iter().any(is) {
            Length::All
        } else if HEAD.iter().any(is) {
            Length::Head
        } else {
            Length::FirstWord
        }
    }

    pub(crate) fn push(&mut self, token: &Token) {
        if self.head.is_empty() {
            self.length = self.length_of(token);
            self.push_execute(token);
        } else if self.length == Length::All {
            self.push_long(token);
        }
        match token.kind {
            TokenKind::Punctuation(b'(') => self.depth += 1,
            TokenKind::Punctuation(b')') => self.depth = self.depth.saturating_sub(1),
            _ if self.depth == 0 => self.outside += 1,
            _ => {}
        }
        if self.head.len() < HEAD_LEN_MAX {
            self.head.push(token.clone());
        }
        if self.depth == 0 {
            self.listed |= token.kind == TokenKind::Punctuation(b',');
            if self.tail.len() == TAIL_LEN_MAX {
                self.tail.remove(0);
            }
            self.tail.push(token.clone());
        }
    }

    /// `DETACH PARTITION name CONCURRENTLY`, which is the only action and ends the statement. Any
    /// looser reading takes a column or type of such a name for it.
    fn detaches_concurrently(&self) -> bool {
        let word = |at: Option<&Token>, word: &str| at.is_some_and(|t| t.is_word(self.text, word));
        let (mut tail, listed) = (self.tail.as_slice(), self.listed);
        let Some((last, before)) = tail.split_last() else {
            return false;
        };
        tail = match before {
            [before @ .., _, dot, _] if dot.kind == TokenKind::Punctuation(b'.') => before,
            [before @ .., _] => before,
            [] => return false,
        };
        let [.., detach, partition] = tail else {
            return false;
        };
        !listed
            && last.is_word(self.text, "concurrently")
            && word(Some(partition), "partition")
            && word(Some(detach), "detach")
    }

    fn push_long(&mut self, token: &Token) {
        self.push_execute(token);
        if token.kind != TokenKind::Word {
            return;
        }
        // REINDEX [(options)] object [CONCURRENTLY] name: further behind it is a name.
        let is = |words: &[&str]| words.iter().any(|word| token.is_word(self.text, word));
        self.reindexes_alone |= match (self.depth, self.outside) {
            (0, 1) => is(&["database", "system", "schema"]),
            (0, 2) | (1.., 1) => is(&["concurrently"]),
            _ => false,
        };
    }

    /// `EXPLAIN [(options)] [ANALYZE] [VERBOSE] EXECUTE name`, `[EXPLAIN ...] CREATE [TEMP] TABLE ... AS
    /// EXECUTE name`.
    fn push_execute(&mut self, token: &Token) {
        let is = |words: &[&str]| words.iter().any(|word| token.is_word(self.text, word));
        let parenthesis =
            self.depth > 0 || token.is_punctuation(b'(') || token.is_punctuation(b')');
        let next = match self.executes {
            Executes::NameFollows => Executes::Named(Name::of(token, self.text)),
            Executes::Explain | Executes::Table if parenthesis => return,
            Executes::Start if is(&["explain"]) => Executes::Explain,
            Executes::Explain if is(&["analyze", "analyse", "verbose"]) => return,
            Executes::Explain | Executes::As if is(&["execute"]) => Executes::NameFollows,
            Executes::Start | Executes::Explain if is(&["create"]) => Executes::Create,
            Executes::Create if is(&["global", "local", "temp", "temporary", "unlogged"]) => return,
            Executes::Create if is(&["table"]) => Executes::Table,
            Executes::Table if is(&["as"]) => Executes::As,
            Executes::Table | Executes::Named(_) => return,
            Executes::Start
            | Executes::Explain
            | Executes::Create
            | Executes::As
            | Executes::No => Executes::No,
        };
        self.executes = next;
    }

    /// Whether the `index`th token is `word`.
    fn is(&self, index: usize, word: &str) -> bool {
        self.head
            .get(index)
            .is_some_and(|token| token.is_word(self.text, word))
    }

    fn is_any(&self, index: usize, words: &[&str]) -> bool {
        words.iter().any(|word| self.is(index, word))
    }

    fn name(&self, index: usize) -> Name {
        self.head
            .get(index)
            .map_or_else(Name::any, |token| Name::of(token, self.text))
    }

    /// What was read so far.
    pub(crate) fn kind(&self) -> Kind {
        if let Executes::Named(name) = &self.executes {
            return Kind::Execute(name.clone());
        }
        let Some(first) = self.head.first() else {
            return Kind::Other;
        };
        let mut verb = first.bytes(self.text).to_ascii_lowercase();
        if first.kind != TokenKind::Word {
            verb.clear();
        }
        match verb.as_slice() {
            b"begin" => Kind::Begin,
            b"start" if self.is(1, "transaction") => Kind::Begin,
            b"commit" | b"rollback" if self.is(1, "prepared") => Kind::Alone,
            b"commit" | b"end" => Kind::Commit {
                chain: self.chains(),
            },
            b"rollback" | b"abort" => self.rollback(),
            b"savepoint" => Kind::Savepoint,
            b"release" => Kind::Release,
            b"prepare" => self.prepare(),
            b"execute" => Kind::Execute(self.name(1)),
            b"deallocate" => self.deallocate(),
            b"discard" if self.is(1, "all") => Kind::DeallocateAll,
            _ if self.is_alone() => Kind::Alone,
            _ => Kind::Other,
        }
    }

    /// The index after `COMMIT [WORK | TRANSACTION]`.
    fn after_work(&self) -> usize {
        1 + usize::from(self.is_any(1, &["work", "transaction"]))
    }

    fn chains(&self) -> bool {
        let at = self.after_work();
        self.is(at, "and") && self.is(at + 1, "chain")
    }

    fn rollback(&self) -> Kind {
        if self.is(self.after_work(), "to") {
            Kind::Release
        } else {
            Kind::Rollback {
                chain: self.chains(),
            }
        }
    }

    /// `PREPARE transaction AS ...` is a statement of that name.
    fn prepare(&self) -> Kind {
        let names_statement = self.is(2, "as")
            || self
                .head
                .get(2)
                .is_some_and(|token| token.is_punctuation(b'('));
        if self.is(1, "transaction") && !names_statement {
            Kind::PrepareTransaction
        } else {
            Kind::Prepare(self.name(1))
        }
    }

    /// `DEALLOCATE prepare` is a statement of that name.
    fn deallocate(&self) -> Kind {
        let at = 1 + usize::from(self.is(1, "prepare") && self.head.len() > 2);
        if self.is(at, "all") {
            Kind::DeallocateAll
        } else {
            Kind::Deallocate(self.name(at))
        }
    }

    /// What PostgreSQL refuses in a transaction block.
    fn is_alone(&self) -> bool {
        const OBJECTS: [&str; 3] = ["database", "tablespace", "subscription"];
        if self.is(0, "vacuum") {
            return true;
        }
        if self.is(0, "create") {
            // CREATE INDEX [name] ON: only the word right behind INDEX counts, not a column.
            let at = 2 + usize::from(self.is(1, "unique"));
            let concurrently = self.is(at - 1, "index") && self.is(at, "concurrently");
            return self.is_any(1, &OBJECTS) || concurrently;
        }
        if self.is(0, "drop") {
            return self.is_any(1, &OBJECTS) || self.is(1, "index") && self.is(2, "concurrently");
        }
        if self.is(0, "alter") {
            return self.is_any(1, &["system", "subscription"])
                || self.is(1, "database") && self.is(3, "set") && self.is(4, "tablespace")
                || self.is(1, "table") && self.detaches_concurrently();
        }
        if self.is(0, "reindex") {
            return self.reindexes_alone;
        }
        // CLUSTER of all tables: nothing but the options.
        self.is(0, "cluster") && self.outside == 1 + usize::from(self.is(1, "verbose"))
    }
}
