//! A simple Query as the parts that are sent one by one: split only at transaction control, and only
//! where a part of it must be checked.

use super::{
    names::Class,
    owed::Owed,
    reported::Reported,
    transaction::{Noted, STATEMENT_LEN_MAX},
};
use bytes::Bytes;
use pgpawl_policy::{
    guard::GuardSet,
    hold::Manner,
    screen::Screen,
    setting::Setting,
    statement::{Effect, Kind, Statement},
};
use std::ops::Range;

/// The most parts of one Query: transaction control that often is no migration.
pub(super) const PARTS_MAX: usize = 256;

/// A text up to this size is padded, so that the positions in the server's errors are right.
const PADDED_LEN_MAX: usize = 1 << 20;

/// Consecutive statements without transaction control, or one statement of transaction control.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) range: Range<usize>,
    pub(super) kind: Kind,
    /// The guards that its text may concern.
    pub(super) guards: GuardSet,
    /// It can run code that its text does not show.
    pub(super) runs: bool,
    /// It must come before any question: SET TRANSACTION.
    pub(super) first: bool,
    /// What it means for a hold.
    pub(super) manner: Manner,
    /// What it sets.
    pub(super) settings: Vec<Setting>,
}

/// A Query on its way, or a FunctionCall.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct Script {
    pub(super) parts: Vec<Part>,
    pub(super) next: usize,
    /// The whole text, when it is sent in parts.
    pub(super) text: Option<Bytes>,
    /// What is told of it, where it may concern a guard.
    pub(super) noted: Option<Noted>,
    /// The settings by which the text was divided.
    pub(super) read_by: Reported,
    /// A part was answered by an error.
    pub(super) failed: bool,
    /// It failed because it ends a transaction inside.
    pub(super) commits_inside: bool,
    /// It is a FunctionCall.
    pub(super) function: bool,
    /// It may copy rows from the client.
    pub(super) copies: bool,
}

/// Whether a statement's place in a transaction matters: a part of its own.
pub(super) const fn is_control(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::Begin
            | Kind::Commit { .. }
            | Kind::Rollback { .. }
            | Kind::PrepareTransaction
            | Kind::Savepoint
            | Kind::Release
    )
}

/// What running `statement` may concern; `executes` says what a prepared statement of a name does: it
/// may be a COMMIT, which Parse prepares and EXECUTE runs.
pub(super) fn concern(
    screen: &Screen,
    text: &[u8],
    statement: &Statement,
    executes: impl FnOnce(&[u8]) -> Class,
) -> Class {
    if let Kind::Execute(name) = &statement.kind {
        let class = executes(&name.0);
        let kind = if is_control(&class.kind) {
            class.kind
        } else {
            statement.kind.clone()
        };
        return Class { kind, ..class };
    }
    let guards = match (&statement.kind, statement.effect) {
        // CLUSTER gives a table another file, with the same rows.
        (_, Effect::Reads) if !rewrites(text.get(statement.range.clone()).unwrap_or_default()) => {
            GuardSet::EMPTY
        }
        (Kind::Alone, _) => GuardSet::EMPTY,
        _ => screen.mentions(text.get(statement.range.clone()).unwrap_or_default()),
    };
    let text = (!guards.is_empty()).then(|| text.get(..STATEMENT_LEN_MAX).unwrap_or(text).into());
    Class {
        guards,
        kind: statement.kind.clone(),
        text,
        copies: false,
        kept_back: false,
        manner: Manner::NOTHING,
        setting: None,
    }
}

/// Whether a statement gives a table another file and leaves its rows.
fn rewrites(statement: &[u8]) -> bool {
    statement
        .get(..7)
        .is_some_and(|word| word.eq_ignore_ascii_case(b"cluster"))
}

/// Whether there may be another statement behind the first.
pub(super) fn may_be_several(text: &[u8]) -> bool {
    let text = text.trim_ascii_end();
    text.strip_suffix(b";").unwrap_or(text).contains(&b';')
}

/// Whether a statement that begins with `text` may commit inside: its text is kept, to be sent again.
pub(super) fn may_commit_inside(text: &[u8]) -> bool {
    let text = text.trim_ascii_start();
    [&b"do"[..], b"call"].iter().any(|word| {
        text.get(..word.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(word))
    })
}

/// Whether a statement sets what a transaction is, which it can only before its first query.
pub(super) fn sets_transaction(text: &[u8]) -> bool {
    let mut words = text
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty());
    let mut next = |word: &str| {
        words
            .next()
            .is_some_and(|w| w.eq_ignore_ascii_case(word.as_bytes()))
    };
    next("set") && next("transaction")
}

/// Groups the statements of a text, each with what it may concern.
pub(super) fn parts(statements: Vec<Part>) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for part in statements {
        match parts.last_mut() {
            Some(last)
                if !is_control(&last.kind)
                    && !is_control(&part.kind)
                    && last.first == part.first =>
            {
                last.range.end = part.range.end;
                last.guards = last.guards.union(part.guards);
                last.runs |= part.runs;
                last.manner = last.manner.union(part.manner);
                last.settings.extend(part.settings);
            }
            _ => parts.push(part),
        }
    }
    parts
}

impl Script {
    /// The text of the next part, with as many spaces before it as characters came before.
    pub(super) fn text_of(&self, part: &Part) -> Vec<u8> {
        let Some(text) = &self.text else {
            return Vec::new();
        };
        let body = text.get(part.range.clone()).unwrap_or_default();
        let before = text.get(..part.range.start).unwrap_or_default();
        let padding = if text.len() <= PADDED_LEN_MAX {
            before
                .iter()
                .filter(|&&b| !(0x80..0xc0).contains(&b))
                .count()
        } else {
            0
        };
        let mut padded = vec![b' '; padding];
        padded.extend_from_slice(body);
        padded
    }

    /// What the server owes for it.
    pub(super) const fn owed(&self) -> Owed {
        if self.function {
            Owed::Function
        } else {
            Owed::Query
        }
    }

    pub(super) fn part(&self) -> Option<&Part> {
        self.parts.get(self.next)
    }

    pub(super) fn is_whole(&self) -> bool {
        self.parts.len() == 1
    }
}
