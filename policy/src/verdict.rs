//! What follows from two version sets and a mode.
use crate::{question::HistoryKey, refusal::refusal, rule::Mode};

/// Leave to relay a COMMIT or the end of a statement. Only a judgement makes one.
#[derive(Debug)]
#[must_use = "leave that is not used should not have been asked for"]
pub struct Allowed(());

/// What the client is told in place of what it asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// Five characters: 42501 for a lowering.
    pub sqlstate: &'static str,
    /// Names database, table, tool, from and to.
    pub message: String,
    /// The versions that would go.
    pub detail: Option<String>,
    /// The way out.
    pub hint: Option<String>,
}

/// May it pass?
#[derive(Debug)]
pub enum Verdict {
    /// It may.
    Allow(Allowed),
    /// It may not.
    Refuse(Refusal),
}

/// How the set after relates to the set before.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Change {
    /// The same set.
    Same,
    /// A proper superset.
    Raised,
    /// Not a superset.
    Lowered,
    /// The order is not known.
    Unknown,
    /// The history could not be read.
    Unverifiable,
}

/// When a judgement is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// After one statement, the transaction goes on: only profiles with `judge = "statement"` refuse.
    Statement,
    /// Before the commit.
    Transaction,
}

/// Why something could not be verified.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Unverifiable {
    /// The server answered our question with an error: SQLSTATE and message.
    QuestionFailed {
        /// The server's SQLSTATE.
        sqlstate: String,
        /// The server's message.
        message: String,
    },
    /// The answer had another shape than the question asked for.
    BadAnswer,
    /// The text may end the transaction at a place that cannot be known.
    Boundaries(crate::statement::Odd),
    /// A part of a text changed the settings by which the rest was read.
    SettingsChanged,
    /// A statement that may change a guarded table and cannot run in a transaction block.
    Alone,
    /// A statement that commits by itself and may run code of the table's owner, which can be changed.
    OwnersCode,
    /// The transaction makes code that an index calls which another session builds CONCURRENTLY.
    IndexBuild,
    /// A guarded table depends on something temporary, and goes with it when the session ends.
    Temporary,
    /// The catalogs were changed, and which guarded tables there were is not known.
    Unlisted,
    /// It commits by itself, and the server's process is not the session's own: a pooler stands between.
    Pooled,
    /// A DO or CALL that commits inside, which it cannot in the block that pgpawl checks it in.
    CommitsInside,
    /// A guarded table was changed by no statement that names it.
    Opaque,
    /// Code ended the transaction before it could be checked; what came after was rolled back.
    EndedInside,
    /// A cursor WITH HOLD of this transaction: its query runs at COMMIT, after any check.
    HoldableCursor,
    /// A database with version tables would be dropped, or renamed.
    Database,
    /// The same, and what is in it cannot be seen.
    DatabaseUnseen,
    /// A database was renamed, and not by a statement of its own.
    DatabaseHidden,
    /// More statements, tables or versions than the limit of that name.
    LimitReached(&'static str),
}

/// One history that changed, or could not be read.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Which; none when no table could be told.
    pub key: Option<HistoryKey>,
    /// The tool's name, from its profile.
    pub tool: String,
    /// How it changed.
    pub change: Change,
    /// A stable word for metrics: `lowered`, `table_gone`, `no_privilege`, `row_security`, ...
    pub reason: &'static str,
    /// The mode that decided.
    pub mode: Mode,
    /// Whether this finding refuses.
    pub refused: bool,
    /// The newest version before, for people; `None` for an empty set.
    pub from: Option<String>,
    /// The newest version after.
    pub to: Option<String>,
    /// Versions that are gone.
    pub gone: Vec<String>,
    /// Versions that came.
    pub came: Vec<String>,
    /// The SQLSTATE if this finding refuses.
    pub sqlstate: &'static str,
    /// What happened, where the versions do not tell it.
    pub why: Option<String>,
}

/// What to remember about a step, so that a later step back is known: an opaque line for the journal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Observation {
    /// One JSON object with its checksum, without the newline.
    pub line: String,
}

impl Judgement {
    /// The verdict that follows: one finding that refuses is enough.
    pub(crate) fn of(
        database: &str,
        findings: Vec<Finding>,
        observations: Vec<Observation>,
    ) -> Self {
        let refused = || findings.iter().filter(|finding| finding.refused);
        // A lowering explains more than what could not be read.
        let worst = refused()
            .find(|finding| finding.change == Change::Lowered)
            .or_else(|| refused().next());
        let (verdict, observations) = match worst {
            Some(finding) => (Verdict::Refuse(refusal(database, finding)), Vec::new()),
            None => (Verdict::Allow(Allowed(())), observations),
        };
        Self {
            verdict,
            findings,
            observations,
        }
    }
}

/// A verdict with everything that is worth telling.
#[derive(Debug)]
pub struct Judgement {
    /// May it pass?
    pub verdict: Verdict,
    /// One for each history that did not stay the same.
    pub findings: Vec<Finding>,
    /// To be made durable before the commit is relayed.
    pub observations: Vec<Observation>,
}
