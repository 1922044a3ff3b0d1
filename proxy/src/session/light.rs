//! A SELECT in autocommit that most likely writes nothing, under transaction coverage: no BEGIN of ours, and
//! one small statement before its Sync in place of a flight.
//!
//! ```text
//! Parse   of the check, as the unnamed statement, where it is not that already
//! Bind, Describe, Execute             the client's, of a statement that it has named
//! Bind, Execute                       the check: fails if the transaction has an id, and makes it read only
//! Sync
//! ```
//!
//! Nothing is known of the database for it: what has no transaction id has written nothing, nor has it a
//! trigger to fire. No SQL can change the unnamed statement, only Parse, Query and Close, which are all seen.
//!
//! A check that fails takes its transaction back. Up to there the client's messages stay in its window, and
//! the answers in the server's, so that all is done again with a BEGIN: that a SELECT writes nothing is a
//! guess. An answer that is too long to wait for is relayed as it comes; if its check fails, the client is
//! asked to try again (40001), and the statement is not taken for light again.

use super::{
    Action, Side,
    owed::Owed,
    ready::{Fault, Ready},
};
use crate::wire::{
    Violation,
    backend::{self, Status},
    frame::{self, Frame, HEADER_LEN},
    frontend,
};
use bytes::Bytes;
use pgpawl_policy::{
    hold::first_word,
    statement::{Effect, statements},
    verdict::Refusal,
};
use std::collections::HashSet;

/// The most statements of a session that are remembered as light, and as not light.
const NAMES_MAX: usize = 1_024;

/// The longest batch that is kept to be done again.
const BATCH_LEN_MAX: usize = 4 * 1024;

/// The longest answer that waits for its check.
const ANSWER_LEN_MAX: usize = 8 * 1024;

/// Fails, by a division by zero, if the transaction has an id. From here to its end nothing writes.
pub(super) const CHECK: &str = "SELECT /* pgpawl */ 1 OPERATOR(pg_catalog./) \
    CASE WHEN pg_catalog.pg_current_xact_id_if_assigned() IS NULL \
    AND pg_catalog.set_config('transaction_read_only', 'on', true) IS NOT NULL THEN 1 ELSE 0 END";

/// "division by zero": it has one.
const VETO: &str = "22012";
/// "unnamed prepared statement does not exist": it was lost out of sight.
const LOST: &str = "26000";

/// What is known of a session's statements.
#[derive(Debug, Default)]
pub(super) struct Light {
    names: HashSet<Box<[u8]>>,
    /// Names of other statements: a second Parse of one fails, and changes nothing.
    others: HashSet<Box<[u8]>>,
    under_way: Option<Batch>,
}

/// A light batch that is with the server.
#[derive(Debug)]
pub(super) struct Batch {
    /// Its length in the client's window.
    len: usize,
    statement: Box<[u8]>,
    /// The check was parsed before it, and this is not answered yet.
    parses: bool,
    /// Statements that have completed: the client's, the check.
    completed: usize,
    /// Its answers go to the client as they come.
    passes: bool,
}

impl Light {
    pub(super) const fn is_under_way(&self) -> bool {
        self.under_way.is_some()
    }

    /// A Close of the client's is sent.
    pub(super) fn closed(&mut self, name: &[u8]) {
        self.names.remove(name);
        self.others.remove(name);
    }
}

impl Ready {
    /// A Parse of the client's that gives a name is sent.
    pub(super) fn note_parse(&mut self, name: &[u8], text: &[u8]) {
        if !self.covers {
            return;
        }
        let light = self.seems_light(text) && !self.light.others.contains(name);
        let names = if light {
            &mut self.light.names
        } else {
            self.light.names.remove(name);
            &mut self.light.others
        };
        if names.len() < NAMES_MAX {
            names.insert(name.into());
        } else {
            // Any name may be that of another statement by now.
            self.light.names.clear();
        }
    }

    /// Whether a statement most likely writes nothing, and could be run twice if it does.
    fn seems_light(&self, text: &[u8]) -> bool {
        let full = self.light.others.len() >= NAMES_MAX;
        let first = first_word(text);
        let reads = [&b"select"[..], b"with", b"values", b"table"];
        // What a rollback does not undo.
        let lasts = |text: &[u8]| {
            let is = |word: &[u8]| {
                text.windows(word.len())
                    .any(|w| w.eq_ignore_ascii_case(word))
            };
            is(b"advisory") || is(b"nextval") || is(b"setval")
        };
        !full
            && text.len() <= BATCH_LEN_MAX
            && reads.iter().any(|word| first.eq_ignore_ascii_case(word))
            && !lasts(text)
            && self.shared.guarding.screen.mentions(text).is_empty()
            && statements(text, self.reported.lexical())
                .is_ok_and(|list| matches!(list.as_slice(), [one] if one.effect == Effect::Reads))
    }

    /// The light batch that `window` begins with, if it does: one Execute of a named statement, and nothing
    /// else is under way.
    pub(super) fn light_batch(&mut self, window: &[u8]) -> Option<Batch> {
        let quiet = self.covers
            && window.first() == Some(&b'B')
            && !self.light.names.is_empty()
            && self.transaction.status == Status::Idle
            && !self.transaction.unsynced
            && !self.transaction.is_wrapped()
            && !self.is_held()
            && self.shield.is_none()
            && self.stop.is_none()
            && !self.dropping
            && !self.queue.skipping
            && self.queue.is_empty()
            && !self.unnamed.is_long();
        if !quiet || !self.enforces() || self.others_hold() {
            return None;
        }
        let (len, statement) = read_batch(window)?;
        let light = self.light.names.contains(statement) && self.has_tables();
        light.then(|| Batch {
            len,
            statement: statement.into(),
            parses: !self.unnamed.made,
            completed: 0,
            passes: false,
        })
    }

    /// It goes to the server, and stays in the client's window.
    pub(super) fn send_light(&mut self, batch: Batch, window: &[u8]) {
        let len = batch.len - frontend::SYNC.len();
        let messages = window.get(..len).unwrap_or_default();
        let parse = if batch.parses {
            frontend::one_parse(b"", CHECK)
        } else {
            Bytes::new()
        };
        let run = [
            frontend::BIND_UNNAMED,
            frontend::EXECUTE_UNNAMED,
            frontend::SYNC,
        ]
        .concat();
        let bytes = [&parse, messages, &run].concat();
        self.light.under_way = Some(batch);
        self.unnamed.checks();
        self.queue.push(Owed::Ours);
        self.outbox.push_back(Action::Send {
            to: Side::Server,
            bytes: bytes.into(),
        });
    }

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
                    self.unnamed.made = sqlstate != LOST;
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

    fn forget_light(&mut self, batch: &Batch) {
        self.light.names.remove(&batch.statement);
        if self.light.others.len() < NAMES_MAX {
            self.light.others.insert(batch.statement.clone());
        }
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
                batch.heard(frame.tag);
                if frame.tag == b'E' {
                    self.send_refusal(&try_again());
                }
                self.light.under_way = Some(batch);
                return Ok(Some(self.swallow(frame, have)));
            }
            batch.heard(frame.tag);
            self.server_failed = frame.tag == b'E';
            self.unnamed.made &= !(frame.tag == b'E' && batch.parses);
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
            b'1' => self.parses,
            b'2' | b'D' | b'C' => self.completed > 0,
            b'E' => self.completed == 1 && is_veto(body)?.is_some(),
            _ => false,
        })
    }

    fn heard(&mut self, tag: u8) {
        match tag {
            b'1' => self.parses = false,
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

/// The length of a batch of one Execute, by the unnamed portal, and the name of its statement.
fn read_batch(window: &[u8]) -> Option<(usize, &[u8])> {
    let mut at = 0;
    let mut next = |tag: u8| {
        let rest = window.get(at..)?;
        let frame = frame::of_client(rest).ok()??;
        let body = rest.get(HEADER_LEN..frame.len)?;
        if frame.tag != tag {
            return None;
        }
        at += frame.len;
        Some(body)
    };
    let (portal, statement) = frontend::bind(next(b'B')?)?;
    let described = next(b'D').is_none_or(|body| body == b"P\0");
    let executed = frontend::execute(next(b'E')?).ok()?;
    let synced = next(b'S')?.is_empty();
    let one = portal.is_empty() && executed.is_empty() && described && synced;
    (one && at <= BATCH_LEN_MAX).then_some((at, statement))
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
