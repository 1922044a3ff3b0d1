//! What the server sends: relayed in place, and matched with what it owes.

use super::{
    Action, Side,
    gate::{Cause, Gate, Settle},
    names::Change,
    owed::{Owed, Resync},
    ready::{Fault, Ready},
};
use crate::wire::{
    Violation,
    backend::{self, Status},
    frame::{self, Frame, HEADER_LEN},
    frontend,
};

/// What to do with a frame that is not ours.
enum Heard {
    Relay,
    /// So many bytes of it are needed.
    Need(usize),
}

/// The largest body that is read whole in passing: ParameterStatus, CommandComplete.
pub(super) const SMALL_LEN_MAX: usize = 64 * 1024;

impl Ready {
    pub(super) fn step_server(&mut self, window: &[u8]) -> Result<Option<Action>, Fault> {
        if self.server_drop > 0 && !window.is_empty() {
            let len = self.server_drop.min(window.len());
            self.server_drop -= len;
            return Ok(Some(Action::Drop {
                from: Side::Server,
                len,
            }));
        }
        if self.server_rest > 0 && !window.is_empty() {
            let len = self.server_rest.min(window.len());
            self.server_rest -= len;
            return Ok(Some(Action::Relay {
                from: Side::Server,
                len,
            }));
        }
        if self.queue.head_resync().is_some() {
            let Some(frame) = self.frame(window)? else {
                return Ok(None);
            };
            let have = window
                .get(..frame.len.min(window.len()))
                .unwrap_or_default();
            return self.hear_resync(frame, have);
        }
        if self.light.is_under_way() {
            return self.hear_light(window);
        }
        let listens = self.gate_listens();
        if listens || self.queue.is_ours_next() {
            let Some(frame) = self.frame(window)? else {
                return Ok(None);
            };
            let have = window
                .get(..frame.len.min(window.len()))
                .unwrap_or_default();
            if self.hear_quiet(frame) {
                return Ok(Some(self.swallow(frame, have)));
            }
            if listens {
                return self.gate_hears(frame, have);
            }
        }
        self.pass(window)
    }

    fn frame(&mut self, window: &[u8]) -> Result<Option<Frame>, Fault> {
        let frame = frame::of_server(window).map_err(|v| Fault::server(&v))?;
        if frame.is_none() {
            self.server_need = HEADER_LEN;
        }
        Ok(frame)
    }

    /// As many frames as can be relayed in one write.
    fn pass(&mut self, window: &[u8]) -> Result<Option<Action>, Fault> {
        let mut relay = 0;
        loop {
            let rows = frame::rows(window.get(relay..).unwrap_or_default());
            if rows > 0 {
                self.server_failed = false;
                relay += rows;
            }
            let rest = window.get(relay..).unwrap_or_default();
            let Some(frame) = self.frame(rest)? else {
                break;
            };
            let have = rest.get(..frame.len.min(rest.len())).unwrap_or_default();
            if frame.tag == b'N' && self.transaction.is_wrapped() {
                if relay > 0 {
                    break;
                }
                if have.len() < frame.len && frame.len <= SMALL_LEN_MAX {
                    self.server_need = frame.len;
                    break;
                }
                if self.is_our_begins_fault(have.get(HEADER_LEN..).unwrap_or_default()) {
                    return Ok(Some(Action::Drop {
                        from: Side::Server,
                        len: frame.len,
                    }));
                }
            }
            match self.hear(frame, have)? {
                Heard::Need(bytes) => {
                    self.server_need = bytes;
                    break;
                }
                Heard::Relay => {
                    relay += have.len();
                    if have.len() < frame.len {
                        self.server_rest = frame.len - have.len();
                        break;
                    }
                }
            }
            // Its answer may have been the last that a gate waited for.
            let resyncs = self.queue.head_resync().is_some();
            let ours = self.queue.is_ours_next();
            if resyncs || ours || self.gate.is_some() && self.queue.is_empty() {
                break;
            }
        }
        Ok((relay > 0).then_some(Action::Relay {
            from: Side::Server,
            len: relay,
        }))
    }

    fn hear(&mut self, frame: Frame, have: &[u8]) -> Result<Heard, Fault> {
        let whole = have.len() == frame.len;
        let reads_body = match frame.tag {
            b'Z' | b'S' => true,
            b'C' => {
                matches!(self.queue.head(), Some(Owed::Execute(_)))
                    || self.transaction.must_see_tags()
                    || self.cleared.can_be_lost()
            }
            _ => false,
        };
        if reads_body && !whole {
            return if frame.len > SMALL_LEN_MAX {
                Err(Fault::server(&Violation::Format { tag: frame.tag }))
            } else {
                Ok(Heard::Need(frame.len))
            };
        }
        self.answered(frame.tag, have.get(HEADER_LEN..).unwrap_or_default())?;
        Ok(Heard::Relay)
    }

    /// Follows one frame of the server's that answers the client: what is owed, names, transaction.
    pub(super) fn answered(&mut self, tag: u8, body: &[u8]) -> Result<(), Fault> {
        self.server_failed = tag == b'E';
        if tag == b'C' {
            self.transaction.completed(body);
            self.cleared.completed(body);
        }
        let unexpected = || {
            Fault::server(&Violation::Unexpected {
                tag,
                when: "which answers nothing that was asked",
            })
        };
        match tag {
            b'S' => {
                let (name, value) =
                    backend::parameter_status(body).map_err(|v| Fault::server(&v))?;
                self.reported.note(&mut self.who, name, value);
                self.cover();
            }
            b'G' => {
                self.queue.copy_in();
                if self.queue.copying_in
                    && self.gate.as_ref().is_some_and(|gate| gate.is_draining())
                {
                    // What waits stands within the copy: it is looked at again.
                    self.gate = None;
                    self.again = true;
                }
            }
            b'1' | b'2' | b'3' => match (tag, self.queue.pop()) {
                (b'1', Some(Owed::Parse(change, unnamed))) => {
                    if unnamed.is_some() {
                        let open = self.queue.newest_unnamed().is_some();
                        self.unnamed.answered(unnamed, open);
                    }
                    self.named(change);
                }
                (b'2', Some(Owed::Bind(change))) | (b'3', Some(Owed::Close(change))) => {
                    self.named(change);
                }
                _ => return Err(unexpected()),
            },
            b'T' | b'n' if matches!(self.queue.head(), Some(Owed::Describe)) => {
                self.queue.pop();
            }
            b'C' | b'I' | b's' if matches!(self.queue.head(), Some(Owed::Execute(_))) => {
                if let Some(Owed::Execute(kind)) = self.queue.pop()
                    && tag == b'C'
                {
                    self.transaction.executed(kind.as_deref(), body);
                }
            }
            b'C' | b'I' | b's' if self.queue.is_empty() => return Err(unexpected()),
            b'E' if self.queue.is_in_doubt() && matches!(self.queue.head(), Some(Owed::Query)) => {
                let when = "within a COPY that failed";
                return Err(Fault::client(&Violation::Unexpected { tag: b'S', when }));
            }
            b'E' => self.errored(),
            b'Z' => {
                let status = backend::ready(body).map_err(|v| Fault::server(&v))?;
                self.readied(status).ok_or_else(unexpected)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn named(&mut self, change: Option<Box<Change>>) {
        if let Some(change) = change {
            let of_statement = change.is_of_statement();
            let table = if of_statement {
                &mut self.statements
            } else {
                &mut self.portals
            };
            table.done(*change);
        }
    }

    /// An error of a Query, a FunctionCall or a commit at Sync is followed by ReadyForQuery, and one
    /// that answers nothing ends the session: only one within a batch is followed here.
    fn errored(&mut self) {
        if self.queue.is_in_doubt() {
            return self.resync();
        }
        let within = matches!(
            self.queue.head(),
            Some(
                Owed::Parse(..)
                    | Owed::Bind(_)
                    | Owed::Close(_)
                    | Owed::Describe
                    | Owed::Execute(_)
                    | Owed::Quiet { .. }
            )
        );
        if within {
            self.transaction.failed();
            let mut changes = Vec::new();
            let fails_itself = matches!(self.queue.head(), Some(Owed::Parse(_, Some(_))));
            let unnamed = &mut self.unnamed;
            let mut ours = false;
            self.queue.fail(|owed| match owed {
                Owed::Quiet { .. } => ours = true,
                Owed::Parse(change, parsed) => {
                    unnamed.dropped(parsed.as_ref());
                    changes.extend(change);
                }
                Owed::Bind(Some(change)) | Owed::Close(Some(change)) => changes.push(change),
                _ => {}
            });
            for change in changes {
                let table = if change.is_of_statement() {
                    &mut self.statements
                } else {
                    &mut self.portals
                };
                table.failed(&change);
            }
            let open = self.queue.newest_unnamed().is_some();
            if ours {
                self.unnamed.skipped();
            } else if fails_itself {
                // A Parse that fails ends the one before.
                self.unnamed.answered(None, open);
            }
            if !open {
                self.unnamed.stays();
            }
        }
    }

    /// A statement that copies failed, and it cannot be told whether the server came to a Sync that was
    /// sent into the copy: whether it skips what follows or runs it. Everything waits until it has said.
    fn resync(&mut self) {
        self.transaction.failed();
        let unnamed = &mut self.unnamed;
        self.queue.fail(|owed| {
            if let Owed::Parse(_, parsed) = owed {
                unnamed.dropped(parsed.as_ref());
            }
        });
        self.unnamed.skipped();
        let synced = !self.queue.skipping;
        self.queue.skipping = false;
        self.queue.push(Owed::Resync(Resync {
            synced,
            ..Resync::default()
        }));
        self.send(Side::Server, frontend::resync());
        self.gate = Some(Box::new(Gate::new(Cause::Drain, 0)));
    }

    /// A frame of the answer to a resynchronisation.
    pub(super) fn hear_resync(
        &mut self,
        frame: Frame,
        have: &[u8],
    ) -> Result<Option<Action>, Fault> {
        let read_whole = matches!(frame.tag, b'3' | b'Z');
        if read_whole && have.len() < frame.len {
            if frame.len > SMALL_LEN_MAX {
                return Err(Fault::server(&Violation::Format { tag: frame.tag }));
            }
            self.server_need = frame.len;
            return Ok(None);
        }
        let Some(resync) = self.queue.head_resync() else {
            return Ok(None);
        };
        let drop = Action::Drop {
            from: Side::Server,
            len: frame.len,
        };
        match frame.tag {
            b'3' => resync.closed = true,
            b'Z' if !resync.closed => resync.readies += 1,
            b'Z' => {
                let Resync {
                    readies, synced, ..
                } = *resync;
                let body = have.get(HEADER_LEN..).unwrap_or_default();
                let status = backend::ready(body).map_err(|v| Fault::server(&v))?;
                self.queue.pop();
                self.transaction.reported(status);
                self.resynced(readies.saturating_sub(1), synced);
            }
            _ => return Ok(Some(self.relay(frame, have))),
        }
        Ok(Some(drop))
    }

    /// `real` of the Syncs within the failed copy reached the server: each gets its ReadyForQuery. If
    /// none did, the server would have skipped to the client's next Sync.
    fn resynced(&mut self, real: usize, synced: bool) {
        self.dropping = real == 0 && !synced;
        if real > 0 && self.transaction.is_wrapped() && self.transaction.status == Status::Failed {
            let mut gate = Box::new(Gate::new(Cause::Sync, 0));
            gate.consumed = true;
            return self.settle(gate, Settle::Rollback(None));
        }
        for _ in 0..real {
            self.send(
                Side::Client,
                backend::ready_for_query(self.transaction.status),
            );
        }
    }

    /// ReadyForQuery; `None`: nothing explains it.
    fn readied(&mut self, status: Status) -> Option<()> {
        match self.queue.head() {
            Some(Owed::Query) => {
                self.queue.pop();
                let open = self.queue.newest_unnamed().is_some();
                self.unnamed.answered(None, open);
            }
            Some(Owed::Function | Owed::Sync) => {
                self.queue.pop();
            }
            _ => return None,
        }
        self.transaction.reported(status);
        self.ends_for_the_client();
        if status == Status::Idle && self.queue.is_empty() && !self.portals.is_empty() {
            self.portals.clear();
        }
        Some(())
    }
}
