//! What the server answers while a gate is open: ours is swallowed, theirs is relayed or held.

use super::{
    Action, Side,
    gate::{At, Cause, Chained, Gate, Leave, Purpose, Settle},
    ours::{Place, Protocol},
    owed::Owed,
    question::hear_row,
    ready::{Fault, Ready},
    server::SMALL_LEN_MAX,
};
use crate::wire::{
    Violation, backend,
    frame::{Frame, HEADER_LEN},
};
use bytes::Bytes;
use pgpawl_policy::verdict::{Stage, Unverifiable};

/// "there is already a transaction in progress": the client's BEGIN inside ours.
const ALREADY_IN_BLOCK: &str = "25001";
/// The most ParameterStatus and notifications that wait behind a CommandComplete; more pass it.
const BEHIND_LEN_MAX: usize = 64 * 1024;
/// "invalid transaction termination": code that commits, in a block.
const ENDS_INSIDE: &str = "2D000";

impl Ready {
    /// Whether an open gate takes what the server sends.
    pub(super) fn gate_listens(&mut self) -> bool {
        let Some(gate) = &self.gate else {
            return false;
        };
        match gate.at {
            At::Draining | At::Awaiting(_) => false,
            // What was sent before the flight is answered first.
            At::Sealing(_) => self.queue.is_ours_next(),
            _ => true,
        }
    }

    /// One frame of the server's, of which `have` is there.
    pub(super) fn gate_hears(
        &mut self,
        frame: Frame,
        have: &[u8],
    ) -> Result<Option<Action>, Fault> {
        let whole = have.len() == frame.len;
        let Some(mut gate) = self.gate.take() else {
            return Ok(None);
        };
        let ours = !matches!(gate.at, At::Running);
        let frame_len_max = self.limits().answer_len_max.max(SMALL_LEN_MAX);
        let read_whole = match frame.tag {
            b'Z' | b'S' | b'E' | b'C' | b'I' | b's' => true,
            // One that is longer is not for us.
            b'N' | b'A' => frame.len <= frame_len_max,
            b'D' => ours && frame.len <= self.limits().answer_len_max,
            _ => false,
        };
        if read_whole && !whole {
            if frame.len > frame_len_max {
                return Err(Fault::server(&Violation::Format { tag: frame.tag }));
            }
            self.server_need = frame.len;
            self.gate = Some(gate);
            return Ok(None);
        }
        let body = have.get(HEADER_LEN..).unwrap_or_default();
        match frame.tag {
            b'A' | b'S' => {
                if frame.tag == b'S' {
                    self.answered(b'S', body)?;
                }
                if matches!(&gate.at, At::Asking(asking) if asking.place == Place::Bare)
                    && let Some(action) = self.swallow_ours(frame, have)
                {
                    self.gate = Some(gate);
                    return Ok(Some(action));
                }
                let waits = whole && !gate.held.is_empty() && gate.behind.len() < BEHIND_LEN_MAX;
                if waits {
                    gate.behind.extend_from_slice(have);
                }
                self.gate = Some(gate);
                let swallowed = waits.then(|| self.swallow(frame, have));
                return Ok(Some(swallowed.unwrap_or_else(|| self.relay(frame, have))));
            }
            b'E' if backend::error(body)
                .map_err(|v| Fault::server(&v))?
                .is_fatal() =>
            {
                // The session ends: the server's own words are the last.
                self.server_failed = true;
                self.gate = Some(gate);
                return Ok(Some(self.relay(frame, have)));
            }
            _ => {}
        }
        if let At::Sealing(_) = &gate.at
            && let At::Sealing(sealing) = std::mem::replace(&mut gate.at, At::Running)
        {
            return self.hear_sealing(gate, sealing, frame, have);
        }
        if ours {
            self.hear_ours(gate, frame, have)
        } else {
            self.hear_theirs(gate, frame, have)
        }
    }

    pub(super) fn relay(&mut self, frame: Frame, have: &[u8]) -> Action {
        self.server_rest = frame.len - have.len();
        Action::Relay {
            from: Side::Server,
            len: have.len(),
        }
    }

    pub(super) fn swallow(&mut self, frame: Frame, have: &[u8]) -> Action {
        self.server_drop = frame.len - have.len();
        Action::Drop {
            from: Side::Server,
            len: have.len(),
        }
    }

    /// An answer to a batch of ours.
    fn hear_ours(
        &mut self,
        mut gate: Box<Gate>,
        frame: Frame,
        have: &[u8],
    ) -> Result<Option<Action>, Fault> {
        let body = have.get(HEADER_LEN..).unwrap_or_default();
        match frame.tag {
            b'Z' => {
                let status = backend::ready(body).map_err(|v| Fault::server(&v))?;
                self.queue.pop();
                let at = std::mem::replace(&mut gate.at, At::Running);
                match at {
                    At::Asking(asking) => self.asked(gate, asking, status),
                    At::Claiming(purpose, claim) => self.claimed(gate, purpose, claim, status),
                    At::Recovering(purpose, why) => self.recovered(gate, purpose, why, status),
                    At::Settling(settle, error) => self.settled(gate, settle, error, status),
                    At::Failing(told) => {
                        self.transaction.reported(status);
                        self.send_told(told);
                        self.finish(gate);
                    }
                    At::Unlisting => {
                        self.transaction.reported(status);
                        self.go_on(gate, Purpose::Tables, Leave::NothingAsked);
                    }
                    At::Glancing => self.glanced(gate, status),
                    At::Forgetting(sealing, then) => self.sealed_or_not(gate, sealing, then),
                    At::Holding(judged, error) => self.held(gate, judged, error, status),
                    At::Recording(recording) => self.recorded(gate, recording, status),
                    At::HoldingAtOnce(isolation) => self.held_at_once(gate, isolation, status),
                    At::Controlling(control, tag) => self.controlled(gate, control, tag, status),
                    At::Closing(purpose, leave) => self.closed(gate, purpose, leave, status),
                    At::Chaining(chained) => self.chained(gate, chained, status),
                    At::Outer => {
                        self.transaction.reported(status);
                        self.gate = Some(gate);
                    }
                    At::Committing(then, error) => self.committed_held(gate, then, error.as_ref()),
                    At::Probing(waits) => self.probed(gate, waits, status),
                    At::Draining
                    | At::Running
                    | At::Sealing(_)
                    | At::Awaiting(_)
                    | At::Database
                    | At::Looking(_) => {}
                }
            }
            b'E' => self.our_error(gate, have)?,
            b'D' => {
                match &mut gate.at {
                    At::Asking(asking) => {
                        let answer_len_max = self.limits().answer_len_max;
                        hear_row(asking, frame, body, answer_len_max)?;
                    }
                    At::Claiming(_, claim) => claim.hear_row(body)?,
                    At::HoldingAtOnce(isolation) => {
                        let row = backend::data_row(body).map_err(|v| Fault::server(&v))?;
                        isolation.is_usual =
                            matches!(row.as_slice(), [Some(one)] if one == b"read committed");
                    }
                    At::Probing(waits) => {
                        let row = backend::data_row(body).map_err(|v| Fault::server(&v))?;
                        *waits |= matches!(row.as_slice(), [Some(one)] if one == b"t");
                    }
                    _ => {}
                }
                self.gate = Some(gate);
            }
            b'C' => {
                match &mut gate.at {
                    At::Asking(asking) => asking.completed += 1,
                    At::Claiming(_, claim) => claim.completed += 1,
                    At::Recording(recording) => recording.completed += 1,
                    At::Chaining(chained) => chained.committed = true,
                    At::Settling(Settle::Commit(_), _) if matches!(gate.cause, Cause::Commit) => {
                        gate.held.clear();
                        gate.held.extend_from_slice(have);
                    }
                    _ => {}
                }
                self.gate = Some(gate);
            }
            _ => self.gate = Some(gate),
        }
        Ok(Some(self.swallow(frame, have)))
    }

    fn our_error(&mut self, mut gate: Box<Gate>, have: &[u8]) -> Result<(), Fault> {
        let body = have.get(HEADER_LEN..).unwrap_or_default();
        let extended = gate.cause.protocol() == Protocol::Extended;
        match std::mem::replace(&mut gate.at, At::Running) {
            At::Failing(told) if extended => {
                self.queue.fail(|_| ());
                self.transaction.failed();
                self.send_told(told);
                self.drop_held(&mut gate);
                self.transaction.unsynced = true;
                self.again = true;
                return Ok(());
            }
            At::Asking(mut asking) => {
                if matches!(asking.place, Place::Ending { .. }) && asking.completed == 0 {
                    asking.commit_failed = Some(Bytes::copy_from_slice(have));
                } else {
                    let error = backend::error(body).map_err(|v| Fault::server(&v))?;
                    asking.failed = Some(Unverifiable::QuestionFailed {
                        sqlstate: error.sqlstate,
                        message: error.message,
                    });
                }
                gate.at = At::Asking(asking);
            }
            At::Claiming(purpose, mut claim) => {
                claim.failed = Some(Bytes::copy_from_slice(have));
                gate.at = At::Claiming(purpose, claim);
            }
            At::Settling(settle, _) => {
                gate.at = At::Settling(settle, Some(Bytes::copy_from_slice(have)));
            }
            At::Chaining(chained) => {
                gate.at = At::Chaining(Chained {
                    error: Some(Bytes::copy_from_slice(have)),
                    ..chained
                });
            }
            At::Holding(judged, _) => {
                gate.at = At::Holding(judged, Some(Bytes::copy_from_slice(have)));
            }
            At::Recording(mut recording) => {
                recording.error = Some(Bytes::copy_from_slice(have));
                gate.at = At::Recording(recording);
            }
            At::HoldingAtOnce(mut isolation) => {
                isolation.error = Some(Bytes::copy_from_slice(have));
                gate.at = At::HoldingAtOnce(isolation);
            }
            At::Committing(then, _) => {
                gate.at = At::Committing(then, Some(Bytes::copy_from_slice(have)));
            }
            at => gate.at = at,
        }
        self.gate = Some(gate);
        Ok(())
    }

    /// An answer to the client's message, or to a part of it.
    fn hear_theirs(
        &mut self,
        mut gate: Box<Gate>,
        frame: Frame,
        have: &[u8],
    ) -> Result<Option<Action>, Fault> {
        let body = have.get(HEADER_LEN..).unwrap_or_default();
        let terminal = matches!(frame.tag, b'C' | b'I' | b's');
        let query = matches!(gate.cause, Cause::Query(_));
        if frame.tag == b'Z' {
            self.answered(b'Z', body)?;
            self.theirs_ready(gate);
            return Ok(Some(self.swallow(frame, have)));
        }
        if frame.tag == b'N' && self.is_our_begins_fault(body) {
            self.gate = Some(gate);
            return Ok(Some(self.swallow(frame, have)));
        }
        if let (b'E', Cause::Query(script)) = (frame.tag, &mut gate.cause)
            && script.is_whole()
            && script.text.is_some()
            && gate.ahead.is_none()
            && self.transaction.is_wrapped()
            && backend::error(body).is_ok_and(|error| error.sqlstate == ENDS_INSIDE)
        {
            script.commits_inside = true;
            script.fail();
            self.gate = Some(gate);
            return Ok(Some(self.swallow(frame, have)));
        }
        if !gate.held.is_empty() {
            // What was held was not the last: it goes first.
            self.release(&mut gate);
            self.gate = Some(gate);
            return Ok(None);
        }
        let of_execute = terminal && matches!(self.queue.head(), Some(Owed::Execute(_)));
        self.answered(frame.tag, body)?;
        match (&mut gate.cause, frame.tag) {
            (Cause::Query(script), b'E') => script.fail(),
            (Cause::Execute(_), b'E') => {
                // The batch failed; the client's Sync, with its wrapped transaction, comes.
                self.again = true;
                return Ok(Some(self.relay(frame, have)));
            }
            (Cause::Execute(class), _) if of_execute => {
                if super::script::is_control(&class.kind) {
                    self.again = true;
                    return Ok(Some(self.relay(frame, have)));
                }
                gate.held.extend_from_slice(have);
                let action = self.swallow(frame, have);
                self.ask(gate, Purpose::After(Stage::Statement));
                return Ok(Some(action));
            }
            _ if terminal && query => {
                gate.held.extend_from_slice(have);
                self.gate = Some(gate);
                return Ok(Some(self.swallow(frame, have)));
            }
            _ => {}
        }
        self.gate = Some(gate);
        Ok(Some(self.relay(frame, have)))
    }

    /// The client's message came to its ReadyForQuery.
    fn theirs_ready(&mut self, gate: Box<Gate>) {
        match gate.cause {
            Cause::Query(_) => self.part_done(gate),
            Cause::Sync if self.transaction.is_wrapped() => {
                self.settle(gate, super::gate::Settle::Rollback(None));
            }
            _ => self.finish(gate),
        }
    }

    /// The warning that a BEGIN of the client's gets because ours was there first.
    pub(super) fn is_our_begins_fault(&self, body: &[u8]) -> bool {
        self.transaction.is_wrapped()
            && backend::error(body).is_ok_and(|notice| notice.sqlstate == ALREADY_IN_BLOCK)
    }
}
