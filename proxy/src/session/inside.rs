//! The client's transactions within what is held: each is a savepoint of the server's one.

use super::{
    Side,
    gate::{At, Cause, Gate, Purpose, Told},
    hold::{Held, lost},
    ours::{self, Protocol},
    ready::Ready,
    script::is_control,
    words::no_block,
};
use crate::wire::backend::{self, Status};
use pgpawl_policy::{
    hold::{Savepoint, first_word, savepoint},
    name::Name,
    statement::Kind,
    verdict::{Refusal, Stage},
};

/// The most savepoints of the client's transaction that are remembered.
const SAVEPOINTS_MAX: usize = 1_024;

impl Ready {
    /// A held message that controls the transaction, where something is held; it comes back if it goes the
    /// usual way.
    pub(super) fn control_held(
        &mut self,
        mut gate: Box<Gate>,
        kind: &Kind,
        text: &[u8],
    ) -> Option<Box<Gate>> {
        if !self.is_held() {
            return Some(gate);
        }
        let outside = self.is_outside();
        let wrapped = self.transaction.is_wrapped();
        let failed = self.transaction.status == Status::Failed;
        // In a Query that has no block of the client's, what needs one fails: the server says so.
        let blockless = wrapped && gate.cause.protocol() == Protocol::Simple;
        match kind {
            Kind::Begin if outside => self.control(gate, ours::Control::Begin, begin_tag(text)),
            Kind::Begin if wrapped => {
                if let Some(touch) = &mut self.transaction.touch {
                    touch.wrapped = false;
                }
                self.answer_control(gate, begin_tag(text), false);
            }
            Kind::Commit { .. } if outside => self.answer_control(gate, "COMMIT", true),
            Kind::Rollback { .. } if outside => self.answer_control(gate, "ROLLBACK", true),
            Kind::Savepoint | Kind::Release | Kind::Rollback { chain: true } if blockless => {
                return Some(gate);
            }
            Kind::Rollback { chain: true } | Kind::Commit { chain: true }
                if failed || !is_commit(kind) =>
            {
                self.control(gate, ours::Control::Again, "ROLLBACK");
            }
            Kind::Rollback { .. } => self.control(gate, ours::Control::Rollback, "ROLLBACK"),
            Kind::Commit { .. } if failed => {
                self.control(gate, ours::Control::Rollback, "ROLLBACK");
            }
            Kind::Savepoint | Kind::Release if !outside => {
                let Err(refusal) = self.note_savepoint(text) else {
                    return Some(gate);
                };
                self.discard(&mut gate);
                self.fail(gate, Told::Refusal(refusal));
            }
            _ => return Some(gate),
        }
        None
    }

    fn control(&mut self, gate: Box<Gate>, control: ours::Control, tag: &'static str) {
        let bytes = gate.cause.protocol().control(control);
        self.send_ours(gate, bytes, At::Controlling(control, tag));
    }

    /// The server did what stands for the client's BEGIN or ROLLBACK.
    pub(super) fn controlled(
        &mut self,
        gate: Box<Gate>,
        control: ours::Control,
        tag: &'static str,
        status: Status,
    ) {
        let outside = self.transaction.is_wrapped();
        if status != Status::Block {
            let refusal = lost();
            return self.undo(gate, Told::Refusal(refusal), true);
        }
        if let Some(held) = &mut self.transaction.held {
            held.inside = control != ours::Control::Rollback;
            held.savepoints.clear();
        }
        self.transaction.touch = None;
        self.transaction.reported(status);
        self.answer_control(gate, tag, outside);
    }

    /// The client's statement is answered in the server's place.
    pub(super) fn answer_control(&mut self, mut gate: Box<Gate>, tag: &str, outside: bool) {
        let complete = backend::command_complete(tag);
        let asked = gate.cause.kind().cloned();
        if let Some(kind) = asked.filter(|kind| outside && is_control(kind))
            && let Some(warning) = no_block(&kind)
        {
            self.send(Side::Client, warning);
        }
        match &gate.cause {
            Cause::Query(script) if script.part().is_some() => {
                gate.held.extend_from_slice(&complete);
                self.next_part(gate);
            }
            Cause::Execute(_) => {
                self.send(Side::Client, complete);
                self.drop_held(&mut gate);
                self.transaction.unsynced = true;
                self.again = true;
            }
            _ => self.finish(gate),
        }
    }

    /// Whether an implicit transaction of the client's within what is held is expected to have written nothing.
    pub(super) fn may_glance(&self, gate: &Gate) -> bool {
        const READING: [&[u8]; 4] = [b"select", b"show", b"table", b"values"];
        let Cause::Query(script) = &gate.cause else {
            return false;
        };
        let reads = script.text.as_ref().is_some_and(|text| {
            let first = first_word(text);
            READING.iter().any(|word| first.eq_ignore_ascii_case(word))
        });
        let quiet = |held: &Held| held.inside && held.must.is_none() && !held.doomed;
        let transaction = &self.transaction;
        reads
            && transaction.held.as_deref().is_some_and(quiet)
            && transaction.to_verify().is_empty()
            && transaction.locals.as_ref().is_some_and(Vec::is_empty)
            && !transaction.manner.alters
            && !transaction.manner.ends
    }

    /// Ends it, if its savepoint has no transaction id: then it has written nothing, and nothing that it did is
    /// to be looked at.
    pub(super) fn glance(&mut self, gate: Box<Gate>) {
        let bytes = gate.cause.protocol().glance();
        self.send_ours(gate, bytes, At::Glancing);
    }

    /// It was answered. One that has written is asked about; where there is no way back to that, the question
    /// fails, and its client is told.
    pub(super) fn glanced(&mut self, gate: Box<Gate>, status: Status) {
        if status == Status::Failed {
            self.transaction.reported(status);
            self.recover(gate, Purpose::After(Stage::Transaction), None);
        } else {
            self.held(gate, true, None, status);
        }
    }

    /// Follows the client's savepoints: one of an earlier transaction is still there on the server, and
    /// must not be found.
    fn note_savepoint(&mut self, text: &[u8]) -> Result<(), Refusal> {
        let failed = self.transaction.status == Status::Failed;
        let Some(held) = &mut self.transaction.held else {
            return Ok(());
        };
        let known = &mut held.savepoints;
        let place = |known: &[Name], name: &Name| known.iter().rposition(|one| one == name);
        match savepoint(text) {
            // The server says that the transaction is aborted.
            Savepoint::Set(_) | Savepoint::Release(_) if failed => {}
            Savepoint::Set(name) => {
                let full = known.len() >= SAVEPOINTS_MAX;
                if full || name.is_any() || name.0.starts_with(b"_pgpawl") {
                    return Err(refused("0A000", &name, "cannot be set here"));
                }
                known.push(name);
            }
            Savepoint::Release(name) => match place(known, &name) {
                Some(at) => known.truncate(at),
                None => return Err(missing(&name)),
            },
            Savepoint::Back(name) => match place(known, &name) {
                Some(at) => known.truncate(at + 1),
                None => return Err(missing(&name)),
            },
        }
        Ok(())
    }
}

/// How the server answers what begins a transaction.
fn begin_tag(text: &[u8]) -> &'static str {
    if first_word(text).eq_ignore_ascii_case(b"start") {
        "START TRANSACTION"
    } else {
        "BEGIN"
    }
}

const fn is_commit(kind: &Kind) -> bool {
    matches!(kind, Kind::Commit { .. })
}

fn missing(name: &Name) -> Refusal {
    refused("3B001", name, "does not exist")
}

fn refused(sqlstate: &'static str, name: &Name, what: &str) -> Refusal {
    let name = String::from_utf8_lossy(&name.0);
    Refusal {
        sqlstate,
        message: format!("savepoint \"{name}\" {what}"),
        detail: None,
        hint: None,
    }
}
