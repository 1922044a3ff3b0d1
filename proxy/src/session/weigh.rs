//! The answer to a light batch. It waits for its check, up to a length, and goes to the client, or nowhere.

use super::{
    Action, Side,
    light::Batch,
    ready::{Fault, Ready},
};
use crate::wire::{
    Violation, backend,
    frame::{self, Frame, HEADER_LEN},
};
use pgpawl_policy::verdict::Refusal;

/// The longest answer that waits for its check.
const ANSWER_LEN_MAX: usize = 8 * 1024;

/// "division by zero": it has one.
const VETO: &str = "22012";
/// "unnamed prepared statement does not exist": it was lost out of sight.
const LOST: &str = "26000";

impl Ready {
    /// The answer to a light batch.
    pub(super) fn hear_light(&mut self, window: &[u8]) -> Result<Option<Action>, Fault> {
        let Some(mut batch) = self.light.under_way.take() else {
            return Ok(None);
        };
        if !batch.passes {
            match outcome(window, batch.completed)? {
                Outcome::Vetoed(len, sqlstate) => {
                    self.queue.pop();
                    self.forget_light(&batch);
                    self.light_parsed(&mut batch, false);
                    if sqlstate == LOST {
                        self.unnamed.made = None;
                    }
                    self.again = true;
                    return Ok(Some(Action::Drop {
                        from: Side::Server,
                        len,
                    }));
                }
                Outcome::Open if window.len() < ANSWER_LEN_MAX => {
                    self.server_need = window.len() + 1;
                    self.light.under_way = Some(batch);
                    return Ok(None);
                }
                Outcome::Open => self.forget_light(&batch),
                Outcome::Passed => {}
            }
            batch.passes = true;
        }
        self.pass_light(batch, window)
    }

    /// As many frames as can be relayed in one write.
    fn pass_light(&mut self, mut batch: Batch, window: &[u8]) -> Result<Option<Action>, Fault> {
        let mut relay = 0;
        let mut over = false;
        while let Some(frame) = frame::of_server(window.get(relay..).unwrap_or_default())
            .map_err(|v| Fault::server(&v))?
        {
            let rest = window.get(relay..).unwrap_or_default();
            let have = rest.get(..frame.len.min(rest.len())).unwrap_or_default();
            let whole = have.len() == frame.len;
            if matches!(frame.tag, b'Z' | b'S' | b'E') && !whole {
                if frame.len > self.limits().answer_len_max {
                    return Err(Fault::server(&Violation::Format { tag: frame.tag }));
                }
                self.server_need = relay + frame.len;
                break;
            }
            let body = have.get(HEADER_LEN..).unwrap_or_default();
            let ours = batch.is_ours(frame, body)?;
            if ours && relay > 0 {
                break;
            }
            if ours {
                if frame.tag == b'D' && whole && !self.unnamed.is_direct {
                    self.unnamed.is_direct = self.is_of_the_login(body)?;
                    self.unnamed.checks(batch.number);
                }
                batch.heard(frame.tag);
                if frame.tag == b'E' {
                    self.send_refusal(&try_again());
                }
                self.light.under_way = Some(batch);
                return Ok(Some(self.swallow(frame, have)));
            }
            if frame.tag == b'1' {
                self.light_parsed(&mut batch, true);
            } else if frame.tag == b'E' && self.light_parsed(&mut batch, false) {
                // Its Parse has failed, which takes the one before away.
                self.unnamed.closed();
            }
            batch.heard(frame.tag);
            self.server_failed = frame.tag == b'E';
            if frame.tag == b'E' && batch.parses {
                self.unnamed.made = None;
            }
            relay += have.len();
            match frame.tag {
                b'G' => {
                    let when = "in answer to a SELECT";
                    return Err(Fault::server(&Violation::Unexpected { tag: b'G', when }));
                }
                b'S' => self.answered(b'S', body)?,
                b'Z' => {
                    let status = backend::ready(body).map_err(|v| Fault::server(&v))?;
                    self.queue.pop();
                    self.transaction.synced();
                    self.transaction.reported(status);
                    self.client_drop = batch.len;
                    self.again = true;
                    over = true;
                    break;
                }
                _ => {}
            }
            if !whole {
                self.server_rest = frame.len - have.len();
                break;
            }
        }
        if !over {
            if relay == 0 && self.server_need <= 1 {
                self.server_need = HEADER_LEN;
            }
            self.light.under_way = Some(batch);
        }
        Ok((relay > 0).then_some(Action::Relay {
            from: Side::Server,
            len: relay,
        }))
    }
}

impl Batch {
    /// Whether a frame of the answer is to the check.
    fn is_ours(&self, frame: Frame, body: &[u8]) -> Result<bool, Fault> {
        Ok(match frame.tag {
            b'1' | b'2' | b'3' if self.ahead > 0 => true,
            b'2' | b'D' | b'C' => self.completed > 0,
            b'E' => self.completed == 1 && is_veto(body)?.is_some(),
            _ => false,
        })
    }

    fn heard(&mut self, tag: u8) {
        match tag {
            b'1' | b'2' | b'3' if self.ahead > 0 => {
                self.parses = false;
                self.ahead -= 1;
            }
            b'C' | b'I' | b's' => self.completed += 1,
            _ => {}
        }
    }
}

/// How a light batch went, as far as its answer is there.
enum Outcome {
    Open,
    /// It goes to the client.
    Passed,
    /// The check failed: the answer's length, and with what.
    Vetoed(usize, &'static str),
}

fn outcome(window: &[u8], mut completed: usize) -> Result<Outcome, Fault> {
    let mut at = 0;
    let mut veto = None;
    while let Some(frame) =
        frame::of_server(window.get(at..).unwrap_or_default()).map_err(|v| Fault::server(&v))?
    {
        let Some(have) = window.get(at..at + frame.len) else {
            break;
        };
        let body = have.get(HEADER_LEN..).unwrap_or_default();
        at += frame.len;
        match frame.tag {
            b'C' | b'I' | b's' => completed += 1,
            b'E' if completed == 1 => veto = is_veto(body)?,
            b'E' if backend::error(body)
                .map_err(|v| Fault::server(&v))?
                .is_fatal() =>
            {
                return Ok(Outcome::Passed);
            }
            b'Z' => return Ok(veto.map_or(Outcome::Passed, |why| Outcome::Vetoed(at, why))),
            _ => {}
        }
    }
    Ok(Outcome::Open)
}

fn is_veto(error: &[u8]) -> Result<Option<&'static str>, Fault> {
    let error = backend::error(error).map_err(|v| Fault::server(&v))?;
    Ok([VETO, LOST].into_iter().find(|one| error.sqlstate == *one))
}

fn try_again() -> Refusal {
    Refusal {
        sqlstate: "40001",
        message: "pgpawl: a SELECT has written, and what it wrote is rolled back; try it again"
            .to_owned(),
        detail: None,
        hint: None,
    }
}
