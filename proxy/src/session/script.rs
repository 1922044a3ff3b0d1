//! A simple Query as the parts that are sent one by one: split only at transaction control, and only
//! where a part of it must be checked.

use super::{names::Class, transaction::STATEMENT_LEN_MAX};
use bytes::Bytes;
use pgpawl_policy::{
    guard::GuardSet,
    screen::Screen,
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
    pub(super) guards: GuardSet,
}

/// A Query on its way.
#[derive(Debug, Default)]
pub(super) struct Script {
    pub(super) parts: Vec<Part>,
    pub(super) next: usize,
    /// The whole text, when it is sent in parts.
    pub(super) text: Option<Bytes>,
    /// A part was answered by an error.
    pub(super) failed: bool,
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
    )
}

/// What running `statement` may concern; `executes` says what a prepared statement of a name does.
pub(super) fn concern(
    screen: &Screen,
    text: &[u8],
    statement: &Statement,
    executes: impl FnOnce(&[u8]) -> GuardSet,
) -> Class {
    let guards = match (&statement.kind, statement.effect) {
        (Kind::Execute(name), _) => executes(&name.0),
        (_, Effect::Reads) | (Kind::Alone, _) => GuardSet::EMPTY,
        _ => screen.mentions(text.get(statement.range.clone()).unwrap_or_default()),
    };
    let text = (!guards.is_empty()).then(|| text.get(..STATEMENT_LEN_MAX).unwrap_or(text).into());
    Class {
        guards,
        kind: statement.kind.clone(),
        text,
    }
}

/// Groups the statements of a text, each with what it may concern.
pub(super) fn parts(statements: Vec<(Range<usize>, Class)>) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for (range, class) in statements {
        match parts.last_mut() {
            Some(last) if !is_control(&last.kind) && !is_control(&class.kind) => {
                last.range.end = range.end;
                last.guards = last.guards.union(class.guards);
            }
            _ => parts.push(Part {
                range,
                kind: class.kind,
                guards: class.guards,
            }),
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

    pub(super) fn part(&self) -> Option<&Part> {
        self.parts.get(self.next)
    }

    pub(super) fn is_whole(&self) -> bool {
        self.parts.len() == 1
    }
}
