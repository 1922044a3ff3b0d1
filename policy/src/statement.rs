//! What the statements in a text are: exact boundaries, kinds, whether one can write.
use std::ops::Range;

/// The settings of the session that change where a token ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lexical {
    /// The server's report of `standard_conforming_strings`.
    pub standard_conforming_strings: bool,
    /// Whether no byte of a multi-byte character of `client_encoding` can be ASCII
    /// (false for SJIS, BIG5, GBK, GB18030, UHC, JOHAB, SHIFT_JIS_2004).
    pub ascii_safe: bool,
}

impl Lexical {
    /// From the values that the server reported by ParameterStatus.
    #[must_use]
    pub fn reported(client_encoding: &[u8], standard_conforming_strings: &[u8]) -> Self {
        let _ = (client_encoding, standard_conforming_strings);
        todo!()
    }
}

/// One statement of a text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Statement {
    /// Its bytes in the text, from its first token to the end of its last; without the semicolon.
    pub range: Range<usize>,
    /// What it does to the transaction or to the session's prepared statements.
    pub kind: Kind,
    /// Whether it can, by what its own text says, change what a table holds or is.
    pub effect: Effect,
}

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
    /// SAVEPOINT, RELEASE, ROLLBACK TO.
    Savepoint,
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

/// Whether a statement can, by its own text, change a guarded table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Provably not.
    Reads,
    /// It may.
    Writes,
}

/// The name of a prepared statement as PostgreSQL stores it: folded unless quoted, cut to 63 bytes.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Name(pub Box<[u8]>);

/// Why the boundaries of a text cannot be known.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Odd {
    /// A literal, quoted identifier or comment has no end: the server refuses the whole text.
    #[error("a literal, a quoted identifier or a comment has no end")]
    Unterminated,
    /// Bytes above 0x7f under a client_encoding whose characters have ASCII bytes.
    #[error("the client_encoding has characters with ASCII bytes in them")]
    UnsafeEncoding,
}

/// Splits `text` (a Query's or Parse's string, without its NUL) into statements, with PostgreSQL's
/// exact token boundaries. Empty statements are left out.
///
/// # Errors
/// [`Odd`] where the boundaries cannot be known.
pub fn statements(text: &[u8], lexical: Lexical) -> Result<Vec<Statement>, Odd> {
    let _ = (text, lexical);
    todo!()
}

/// What the first (of a Parse: the only) statement does to the transaction, from its first words.
/// Takes time in proportion to leading white space and comments only.
#[must_use]
pub fn first_kind(text: &[u8]) -> Kind {
    let _ = text;
    todo!()
}
