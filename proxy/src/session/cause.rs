//! Which message a gate holds, and why a set is read.

use super::{
    database::Taken,
    names::Class,
    ours::{Place, Protocol},
    script::Script,
    upkeep::{Care, Step},
};
use pgpawl_policy::{guard::GuardSet, statement::Kind, verdict::Stage};

/// The message that is held.
#[derive(Debug)]
pub(super) enum Cause {
    /// Only until nothing is owed: then it is looked at again.
    Drain,
    /// A Parse, Bind or Describe that can run code under transaction coverage: the sets are read, then
    /// it is looked at again.
    Watch,
    /// A Parse or Bind of a statement that may concern these guards: it takes locks on their tables, so that
    /// the sets are read before it.
    Read(GuardSet),
    /// A message that is, or comes behind, one that commits by itself: it is taken care of, then looked
    /// at again.
    Upkeep(Care),
    /// A Query or Parse that takes a database away: it is looked at, then looked at again.
    Database(Taken),
    /// A message that is refused whatever the database says, with the reason.
    Refuse(&'static str),
    /// A simple Query.
    Query(Script),
    /// An Execute.
    Execute(Class),
    /// The Sync that ends a transaction that we wrapped.
    Sync,
    /// An Execute of COMMIT with the Sync behind it.
    Commit,
    /// What other sessions of the run hold is committed before it is looked at again.
    Others,
    /// No message: what is held is settled.
    Settle,
    /// What came by a record is asked for, before the client's next message if there is one.
    Tell,
    /// What is held is judged, before the client's next message if there is one.
    Judge,
}

impl Cause {
    pub(super) const fn protocol(&self) -> Protocol {
        match self {
            // These come behind a Query, which ended the client's unnamed statement.
            Self::Query(_) | Self::Judge | Self::Tell => Protocol::Simple,
            Self::Database(taken) => taken.protocol,
            Self::Drain
            | Self::Watch
            | Self::Read(_)
            | Self::Upkeep(_)
            | Self::Refuse(_)
            | Self::Execute(_)
            | Self::Sync
            | Self::Others
            | Self::Settle
            | Self::Commit => Protocol::Extended,
        }
    }

    /// What the message does to the transaction, where it is one statement or its turn has come.
    pub(super) fn kind(&self) -> Option<&Kind> {
        match self {
            Self::Query(script) => script.part().map(|part| &part.kind),
            Self::Execute(class) => Some(&class.kind),
            _ => None,
        }
    }

    /// Whether a Query, or a part of it, was answered by an error.
    pub(super) const fn has_failed(&self) -> bool {
        matches!(self, Self::Query(script) if script.failed)
    }

    /// Whether a COMMIT of ours ends the transaction, and not the client's own message.
    pub(super) fn ends_by_ours(&self) -> bool {
        match self {
            Self::Sync | Self::Commit => true,
            Self::Query(script) => script.part().is_none(),
            _ => false,
        }
    }

    /// Whether it is the client itself that asks for the commit, and gets its CommandComplete.
    pub(super) fn is_the_clients_commit(&self) -> bool {
        match self {
            Self::Commit => true,
            Self::Query(script) => script.part().is_some(),
            Self::Drain
            | Self::Watch
            | Self::Read(_)
            | Self::Database(_)
            | Self::Upkeep(_)
            | Self::Refuse(_)
            | Self::Execute(_)
            | Self::Others
            | Self::Settle
            | Self::Judge
            | Self::Tell
            | Self::Sync => false,
        }
    }
}

/// Why a set is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Purpose {
    /// Before the first statement that may concern these guards, behind our BEGIN where `opening`.
    Before { guards: GuardSet, opening: bool },
    /// After a statement, or before the commit.
    After(Stage),
    /// Not at all: a statement commits inside, and is sent again outside any block if it may.
    Inside,
    /// Which guarded tables are there, in a transaction of its own, before the client's begins.
    Tables,
    /// After a record, in a transaction of its own: for an event.
    Tell(GuardSet),
    /// Not at all: care is taken of a statement that commits by itself.
    Upkeep(Step),
}

impl Purpose {
    /// The same, where a BEGIN of ours is not needed any more.
    pub(super) const fn in_block(self) -> Self {
        match self {
            Self::Before { guards, .. } => Self::Before {
                guards,
                opening: false,
            },
            other => other,
        }
    }

    /// Where in the transaction it is asked.
    pub(super) const fn place(self, sealed: bool) -> Place {
        match self {
            Self::Before { opening: true, .. } => Place::Opening,
            Self::Before { opening: false, .. } | Self::After(Stage::Statement) | Self::Inside => {
                Place::Within
            }
            Self::After(Stage::Transaction) => Place::Ending {
                sealed,
                again: false,
            },
            Self::Tables | Self::Tell(_) => Place::Apart,
            Self::Upkeep(_) => Place::Bare,
        }
    }
}
