//! The client's savepoints, under transaction coverage: one of ours is around them all.
//!
//! The end of a savepoint makes a transaction as writable as it was when the savepoint was set, and a COMMIT
//! ends all that are open. So what makes a transaction read only before its commit must stand outside of
//! them: ours is set before the client's first one, and released first (`ours::closing`).

use super::{
    gate::{At, Cause, Chained, Gate, Told},
    ours::{self, Savepoints},
    ready::Ready,
    script::Part,
};
use crate::wire::{
    backend::Status,
    frontend::{self, End},
};
use pgpawl_policy::{
    hold::{Savepoint, savepoint},
    statement::Kind,
};

/// Why a SAVEPOINT is refused.
pub(super) const OUR_SAVEPOINT: &str =
    "the name of a savepoint must be of ASCII characters, and not begin with _pgpawl";

impl Ready {
    /// Whether ours must be set before a savepoint of the client's.
    pub(super) fn needs_outer(&self) -> bool {
        let transaction = &self.transaction;
        let open = transaction.status == Status::Block
            || transaction.status == Status::Idle && transaction.is_wrapped();
        self.covers && !self.is_held() && !transaction.outer && open
    }

    /// Sets it, within a batch of the client's.
    pub(super) fn set_outer(&mut self) {
        let (bytes, answers) = frontend::extended(&[ours::OUTER.as_bytes()], End::Nothing);
        self.send_quiet(bytes, answers, false);
        self.transaction.outer = true;
    }

    /// Which of ours is set.
    pub(super) fn savepoints(&self) -> Savepoints {
        match &self.transaction.held {
            Some(held) if held.inside => Savepoints::Held,
            None if self.transaction.outer => Savepoints::Outer,
            _ => Savepoints::None,
        }
    }

    /// Whether a part of a Query sets a savepoint that could be taken for ours.
    pub(super) fn takes_our_name(&self, text: &[u8], parts: &[Part]) -> bool {
        let shown = |part: &Part| text.get(part.range.clone()).unwrap_or_default();
        parts
            .iter()
            .any(|part| self.is_taken(&part.kind, shown(part)))
    }

    /// Whether a statement sets a savepoint that could be taken for ours, where ours decides anything.
    pub(super) fn is_taken(&self, kind: &Kind, text: &[u8]) -> bool {
        self.covers && *kind == Kind::Savepoint && self.enforces() && is_ours(text)
    }

    /// A COMMIT AND CHAIN of a transaction that was made read only: the next one is not.
    pub(super) fn chain(&mut self, gate: Box<Gate>) {
        let bytes = gate.cause.protocol().chain(gate.writable);
        self.send_ours(gate, bytes, At::Chaining(Chained::default()));
    }

    /// It was answered.
    pub(super) fn chained(&mut self, mut gate: Box<Gate>, chained: Chained, status: Status) {
        let outside = self.transaction.is_wrapped();
        if chained.committed {
            self.transaction.chained();
        }
        self.transaction.reported(status);
        let Some(error) = chained.error else {
            return self.answer_control(gate, "COMMIT", outside);
        };
        self.discard(&mut gate);
        let told = Told::Error(error);
        if matches!(gate.cause, Cause::Execute(_)) {
            return self.fail(gate, told);
        }
        self.send_told(told);
        self.finish(gate);
    }
}

/// Whether the name of `statement`, of [`Kind::Savepoint`], may be that of one of ours.
fn is_ours(statement: &[u8]) -> bool {
    match savepoint(statement) {
        Savepoint::Set(name) => name.is_any() || name.0.starts_with(b"_pgpawl"),
        Savepoint::Release(_) | Savepoint::Back(_) => true,
    }
}
