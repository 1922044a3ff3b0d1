//! The check of a transaction's end, and how it goes to the server.
//!
//! To plan it is most of what it costs. So the server keeps it as the unnamed statement, which no SQL can execute
//! or change, only Parse, Query and Close, which are all seen; and statements of ours around it have a
//! name then, which is closed before and behind: code must not find a COMMIT by it. Only in a session that has a
//! process of the server's for itself: a pooler's next process has another's unnamed statement.

use super::{
    gate::{At, Gate},
    ours::{self, Protocol},
    owed::Owed,
    ready::{Fault, Ready},
    seal::Sealing,
};
use crate::wire::{
    backend,
    frontend::{self, End},
};
use bytes::Bytes;
use pgpawl_policy::{answer::number, facts::Tables};

/// The check's text for a list of tables, as long as the list is the same.
#[derive(Debug, Default)]
pub(super) struct Check {
    revision: u64,
    text: String,
    /// Texts have different numbers, from 1.
    number: u64,
}

/// Where the parameter's value goes in the check's text.
const UNTIL: &str = "@until@";

/// The value with which the check passes only what has written nothing.
pub(super) const NOTHING_WRITTEN: &[u8] = b"0";

/// The number of the check of light batches, which has no parameter.
pub(super) const LIGHT: u64 = 0;

impl Check {
    /// It is another one from here on.
    pub(super) fn forget(&mut self) {
        self.text.clear();
    }

    /// The text, with this in the parameter's place.
    fn with(&self, until: &str) -> String {
        self.text.replace(UNTIL, until)
    }

    /// The text of a Parse.
    fn parameterised(&self) -> String {
        self.with("$1")
    }
}

impl Ready {
    /// Makes the check for these tables.
    pub(super) fn renew_check(&mut self, tables: &Tables) {
        if self.check.revision != tables.revision() || self.check.text.is_empty() {
            self.check = Check {
                revision: tables.revision(),
                text: tables.check(self.watched, UNTIL),
                number: self.check.number + 1,
            };
        }
    }

    /// The flight, with `end` as its last statement, and what will be owed for it; `None`: the tables
    /// are not known.
    pub(super) fn flight(&mut self, protocol: Protocol, end: &[u8]) -> Option<(Bytes, Sealing)> {
        let tables = self.tables()?;
        self.renew_check(&tables);
        let closing = if self.enforces() {
            ours::closing(self.savepoints())
        } else {
            &[]
        };
        let kept =
            (protocol == Protocol::Extended && self.unnamed.is_direct).then_some(self.check.number);
        let bytes = if kept.is_some() {
            let parse = (self.unnamed.made != kept).then(|| self.check.parameterised());
            if parse.is_some() {
                self.unnamed.skipped();
            }
            ours::seal_kept(parse.as_deref(), &tables.until(), closing, end)
        } else {
            ours::seal(protocol, &self.check.with(&tables.until()), closing, end)
        };
        self.queue.push(Owed::Sealed);
        self.tell(super::Tale::EvaluationBegan);
        Some((bytes, Sealing::new(closing.len(), kept)))
    }

    /// The flight that ends a wrapped Query goes out right behind it.
    pub(super) fn seal_ahead(&mut self, gate: &mut Gate) {
        if let Some((bytes, sealing)) = self.flight(gate.cause.protocol(), ours::COMMIT.as_bytes())
        {
            self.behind = Some(bytes);
            gate.ahead = Some(At::Sealing(sealing));
        }
    }

    /// An implicit transaction begins, before the first message of it that can run code.
    pub(super) fn open(&mut self) {
        self.transaction.touch.get_or_insert_default().wrapped = true;
        let begin = ours::begin(self.is_held());
        let (bytes, answers) = if self.unnamed.is_direct {
            ours::once(begin)
        } else {
            frontend::at_the_edge(&[begin.as_bytes()], End::Nothing)
        };
        self.send_quiet(bytes, answers, true);
    }

    /// Whether the check's row names the server's process that the login told.
    pub(super) fn is_of_the_login(&self, row: &[u8]) -> Result<bool, Fault> {
        let row = backend::data_row(row).map_err(|v| Fault::server(&v))?;
        let process = number(row.get(1).and_then(Option::as_deref));
        Ok(process.is_some() && process == self.backend)
    }
}
