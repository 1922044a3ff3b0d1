//! What a program is made of: steps of sessions, and the statements that they send.

use std::fmt;

use super::text::shown;

/// A guarded table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum History {
    /// `public.schema_migrations` of Rails: a set of rows, judged after each statement.
    Rails,
    /// `tool.schema_migrations` of golang-migrate: one number, judged at the end.
    Golang,
    /// `public.__diesel_schema_migrations`: a set of rows, judged at the end.
    Diesel,
}

impl History {
    /// All of them, as the observer names them.
    pub const ALL: [Self; 3] = [Self::Rails, Self::Golang, Self::Diesel];

    /// Whether its profile judges after each statement within a block: what would be made good before
    /// the end is refused, too.
    pub fn is_judged_early(self) -> bool {
        self == Self::Rails
    }
}

/// What is done to a guarded table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// The next version.
    Raise,
    /// The next version, whose step has not ended; for a set the same as `Raise`.
    RaiseDirty,
    /// The step has ended; for a set the same as `Touch`.
    Clean,
    /// Every row is written as it was.
    Touch,
    /// Empties the table, then writes all versions up to this one.
    Refill(u8),
    /// Renames the table away and back.
    Flip,
    /// Drops the table and makes it again with its rows.
    Remake,
    /// A column more.
    AddColumn,
    /// The newest version goes.
    Lower,
    /// A version in the middle becomes another one.
    Alter,
    /// DELETE of all rows.
    Empty,
    /// TRUNCATE.
    Truncate,
    /// Renames the table away.
    RenameAway,
    /// Renames it back.
    RenameBack,
    /// Moves it to another schema.
    Move,
    /// Drops it.
    Drop,
}

/// How a change comes to the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum By {
    /// By a text that names the table.
    Plain,
    /// The same with quotes and escapes.
    Quoted,
    /// Through a view.
    View,
    /// By a function that is given the text in hexadecimal digits.
    Function,
    /// By a trigger on another table.
    Trigger,
    /// By a deferred constraint trigger.
    LateTrigger,
    /// By a rule on another table.
    Rule,
    /// By a DO block that puts the text together.
    Do,
    /// By a SELECT from a view that calls a function: it seems to write nothing.
    Selected,
    /// By a WITH in a SELECT.
    With,
    /// By PREPARE and EXECUTE.
    Prepare,
    /// By EXPLAIN ANALYZE of a function.
    Explain,
    /// By a cursor WITH HOLD, which runs at COMMIT.
    Hold,
}

/// Statements that have nothing to do with versions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Other {
    InsertNote,
    DuplicateNote,
    OrphanChild,
    Child,
    UpdateNotes,
    SelectNotes,
    SelectVersions(History),
    Series,
    DivideByZero,
    Unknown,
    Nextval,
    TemporaryTable,
    InsertTemporary,
    CreateTable,
    DropTable,
    SetName,
    ResetName,
    SetLocal,
    Show,
    SetPath,
    ResetPath,
    ConstraintsImmediate,
    ConstraintsDeferred,
    DeclareCursor,
    FetchCursor,
    CopyIn,
    CopyOut,
    EmptyText,
}

/// Transaction control.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Control {
    Begin,
    BeginRepeatableRead,
    BeginSerializable,
    BeginReadOnly,
    Commit,
    Rollback,
    CommitAndChain,
    RollbackAndChain,
    Savepoint(Point),
    RollbackTo(Point),
    Release(Point),
    PrepareTransaction,
    CommitPrepared,
    RollbackPrepared,
}

/// The name of a savepoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Point {
    A,
    B,
}

/// One unit of a program: one SQL statement, or a few that belong together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Statement {
    /// Something happens to a guarded table.
    Change(History, Change, By),
    /// Something else.
    Other(Other),
    /// A transaction begins, ends or goes back.
    Control(Control),
}

impl Statement {
    /// Whether a guarded table can be another one afterwards, as its own transaction sees it.
    pub fn may_change_a_history(self) -> bool {
        match self {
            Self::Change(..) | Self::Other(Other::ConstraintsImmediate) => true,
            Self::Other(_) | Self::Control(_) => false,
        }
    }

    /// Whether the change comes only with the COMMIT.
    pub fn is_late(self) -> bool {
        matches!(self, Self::Change(_, _, By::LateTrigger | By::Hold))
    }

    /// Whether no text shows it.
    pub fn is_hidden(self) -> bool {
        matches!(self, Self::Change(_, _, by) if by != By::Plain)
    }

    /// Whether a transaction can outlive its session.
    pub fn is_two_phase(self) -> bool {
        self == Self::Control(Control::PrepareTransaction)
    }

    /// Whether a guarded table is another one afterwards, or its rows are gone for every snapshot.
    pub fn replaces(self) -> bool {
        let emptied = |change| matches!(change, Change::Refill(_) | Change::Truncate);
        self.is_ddl() || matches!(self, Self::Change(_, change, _) if emptied(change))
    }

    /// Whether more than rows and sequences can be another afterwards.
    pub fn is_ddl(self) -> bool {
        match self {
            Self::Change(_, change, _) => matches!(
                change,
                Change::Flip
                    | Change::Remake
                    | Change::AddColumn
                    | Change::RenameAway
                    | Change::RenameBack
                    | Change::Move
                    | Change::Drop
            ),
            Self::Other(other) => other == Other::CreateTable,
            Self::Control(_) => false,
        }
    }
}

/// How a step's statements are sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    /// One Query for all.
    Simple,
    /// Parse, Bind, Execute of the unnamed statement for each, and one Sync.
    Unnamed,
    /// The same with a named statement, which is closed before; rows are described.
    Named,
    /// With a named statement for each text, made in a batch of its own and kept.
    Kept,
}

/// What one session sends in one write.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// Which session.
    pub session: usize,
    /// How.
    pub protocol: Protocol,
    /// What.
    pub statements: Vec<Statement>,
}

/// The steps of all sessions, one after another: each waits for its answer.
#[derive(Clone, PartialEq, Eq)]
pub struct Program(pub Vec<Step>);

impl Program {
    /// Every statement of it.
    pub fn statements(&self) -> impl Iterator<Item = Statement> {
        self.0
            .iter()
            .flat_map(|step| step.statements.iter().copied())
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let texts: Vec<String> = self
            .statements
            .iter()
            .flat_map(|one| one.texts())
            .map(|text| shown(&text))
            .collect();
        write!(
            f,
            "{} {:?}: {}",
            self.session,
            self.protocol,
            texts.join("; ")
        )
    }
}

/// One step on a line; what shrinks prints this.
impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|step| write!(f, "\n  {step}"))
    }
}
