//! What the client sends: relayed in place, but for what needs a gate.

use super::{
    Action, Ending, Side,
    gate::{Cause, Gate},
    names::Class,
    ours::{self, Protocol},
    owed::Owed,
    ready::{Fault, Ready},
    script::Script,
    upkeep::Care,
};
use crate::wire::{
    Violation,
    backend::Status,
    frame::{self, Frame, HEADER_LEN},
    frontend,
};
pub(super) use pgpawl_policy::hold::contains_word;

/// What to do with a frame.
pub(super) enum Look {
    /// It goes to the server; its answer is owed.
    Relay(Option<Owed>),
    /// So many bytes of it are needed to tell.
    Need(usize),
    /// It goes nowhere.
    Drop,
    /// It waits at a gate.
    Gate(Cause),
    /// A statement of ours goes before it.
    Open(Opening),
    /// It ends an implicit transaction of ours: a flight goes in its place.
    Seal,
    /// Something of ours goes in its place.
    Instead(Instead),
    /// It is the last one.
    Terminate,
}

/// What goes before a message.
pub(super) enum Opening {
    /// The BEGIN of an implicit transaction.
    Begin,
    /// The savepoint around all of the client's.
    Outer,
    /// The Parse of the client's unnamed statement, in whose place is one of ours.
    Unnamed,
}

/// What goes in a message's place: a statement that controls the transaction and has a name is kept
/// here.
pub(super) enum Instead {
    /// A Parse of a placeholder, under its name.
    Parse(Box<[u8]>, Class),
    /// The statement itself.
    Execute(Class),
}

impl Ready {
    pub(super) fn step_client(&mut self, window: &[u8]) -> Result<Option<Action>, Fault> {
        if self.client_drop > 0 && !window.is_empty() {
            let len = self.client_drop.min(window.len());
            self.client_drop -= len;
            return Ok(Some(Action::Drop {
                from: Side::Client,
                len,
            }));
        }
        if self.client_rest > 0 {
            return self.relay_rest(window);
        }
        if self.client_drop > 0 {
            return Ok(None);
        }
        if self.gate.is_some() && !self.queue.copying_in {
            self.step_gate(window);
            return Ok(None);
        }
        if self.leaving.is_some() || self.light.is_under_way() {
            return Ok(None);
        }
        if let Some(batch) = self.light_batch(window) {
            self.send_light(batch, window);
            return Ok(None);
        }
        self.walk(window)
    }

    fn relay_rest(&mut self, window: &[u8]) -> Result<Option<Action>, Fault> {
        let len = self.client_rest.min(window.len());
        if len == 0 {
            return Ok(None);
        }
        if self.scanning.is_some() {
            self.scan(window.get(..len).unwrap_or_default())?;
        }
        self.client_rest -= len;
        if self.client_rest == 0 {
            self.scanning = None;
            if let Some(bytes) = self.behind.take() {
                self.send(Side::Server, bytes);
            }
        }
        Ok(Some(Action::Relay {
            from: Side::Client,
            len,
        }))
    }

    /// As many frames as can be relayed in one write.
    fn walk(&mut self, window: &[u8]) -> Result<Option<Action>, Fault> {
        let mut relay = 0;
        let mut ended_copy = false;
        loop {
            if self.gate.is_some() && !self.queue.copying_in {
                // The end of a copy passed: what follows waits for what the copy's statement did.
                break;
            }
            let rest = window.get(relay..).unwrap_or_default();
            let Some(frame) = frame::of_client(rest).map_err(|v| Fault::client(&v))? else {
                self.client_need = HEADER_LEN;
                break;
            };
            if self.queue.len() >= self.limits().owed_max {
                self.flush_once();
                self.client_need = 0;
                break;
            }
            let have = rest.get(..frame.len.min(rest.len())).unwrap_or_default();
            match self.look(frame, have)? {
                Look::Relay(owed) => {
                    ended_copy |= matches!(owed, Some(Owed::CopyEnd));
                    self.note_sent(frame.tag);
                    if let Some(owed) = owed {
                        self.queue.push(owed);
                    }
                    relay += have.len();
                    if have.len() < frame.len {
                        self.client_rest = frame.len - have.len();
                        break;
                    }
                }
                Look::Need(bytes) => {
                    self.client_need = bytes;
                    break;
                }
                // What came before it goes first.
                Look::Drop
                | Look::Gate(_)
                | Look::Terminate
                | Look::Open(_)
                | Look::Seal
                | Look::Instead(_)
                    if relay > 0 =>
                {
                    break;
                }
                Look::Drop => {
                    self.client_drop = frame.len;
                    self.again = true;
                    return Ok(None);
                }
                Look::Open(opening) => {
                    self.send_opening(&opening);
                    self.again = true;
                    return Ok(None);
                }
                Look::Seal => {
                    self.seal_batch(Cause::Sync, frame.len);
                    return Ok(None);
                }
                Look::Instead(instead) => {
                    self.send_instead(instead);
                    self.client_drop = frame.len;
                    self.again = true;
                    return Ok(None);
                }
                Look::Gate(Cause::Execute(class))
                    if self.seals_at_once(&class.kind)
                        && rest
                            .get(frame.len..)
                            .is_some_and(|rest| rest.starts_with(frontend::SYNC)) =>
                {
                    self.seal_batch(Cause::Commit, frame.len + frontend::SYNC.len());
                    return Ok(None);
                }
                Look::Gate(cause) => {
                    self.flush_once();
                    self.gate = Some(Box::new(Gate::new(cause, frame.len)));
                    self.again = true;
                    return Ok(None);
                }
                Look::Terminate => {
                    self.outbox.push_back(Action::Close(Ending::Finished));
                    relay += have.len();
                    break;
                }
            }
        }
        if ended_copy && self.gate.is_some() {
            // The server answers a copy's statement when it is asked to: the client's Sync waits here.
            if self.client_rest > 0 {
                self.behind = Some(frontend::flush());
            } else {
                self.send(Side::Server, frontend::flush());
            }
        }
        Ok((relay > 0).then_some(Action::Relay {
            from: Side::Client,
            len: relay,
        }))
    }

    fn send_opening(&mut self, opening: &Opening) {
        match opening {
            Opening::Begin => self.open(),
            Opening::Outer => self.set_outer(),
            Opening::Unnamed => self.restore_unnamed(),
        }
    }

    fn send_instead(&mut self, instead: Instead) {
        match instead {
            Instead::Parse(name, class) => {
                let text = ours::placeholder(&class.kind);
                self.send(Side::Server, frontend::one_parse(&name, text));
                let change = self.statements.send(&name, class, self.transaction.batch);
                self.queue.push(Owed::Parse(change, None));
                self.transaction.unsynced = true;
            }
            Instead::Execute(class) => self.send_control(&class),
        }
        self.flushed = false;
    }

    /// Makes the server answer what it was sent, so that what is owed comes.
    pub(super) fn flush_once(&mut self) {
        if !self.flushed && !self.queue.is_empty() {
            self.flushed = true;
            self.send(Side::Server, frontend::flush());
        }
    }

    fn note_sent(&mut self, tag: u8) {
        self.flushed = false;
        match tag {
            b'Q' if !self.queue.skipping => self.unnamed.queried(),
            b'P' | b'B' | b'D' | b'E' | b'C' | b'H' => self.transaction.unsynced = true,
            b'S' => self.transaction.synced(),
            _ => {}
        }
    }

    /// Decides on one frame, of which `have` is there; changes nothing unless it is relayed.
    fn look(&mut self, frame: Frame, have: &[u8]) -> Result<Look, Fault> {
        let body = have.get(HEADER_LEN..).unwrap_or_default();
        let whole = have.len() == frame.len;
        if self.queue.copying_in && !matches!(frame.tag, b'd' | b'c' | b'f' | b'S' | b'H' | b'X') {
            return Err(Fault::client(&Violation::Unexpected {
                tag: frame.tag,
                when: "during COPY",
            }));
        }
        match frame.tag {
            b'd' => return Ok(Look::Relay(None)),
            b'c' | b'f' => return Ok(Look::Relay(Some(Owed::CopyEnd))),
            b'F' if !self.covers && !self.transaction.is_wrapped() => {
                return Ok(Look::Relay(Some(Owed::Function)));
            }
            b'p' => {
                let when = "after authentication";
                return Err(Fault::client(&Violation::Unexpected {
                    tag: frame.tag,
                    when,
                }));
            }
            _ => {}
        }
        if self.dropping {
            if !matches!(frame.tag, b'S' | b'X') {
                return Ok(Look::Drop);
            }
            self.dropping = false;
        }
        if self.queue.skipping && !matches!(frame.tag, b'S' | b'X') {
            // The server discards it.
            return Ok(Look::Relay(None));
        }
        if !self.inspected {
            return Ok(Self::look_blindly(frame.tag));
        }
        if !whole && !matches!(frame.tag, b'B') {
            let statement_len_max = self.limits().statement_len_max;
            if frame.len > statement_len_max {
                return self.look_long(frame, body);
            }
            return Ok(Look::Need(frame.len));
        }
        if frame.tag != b'X' {
            self.check_undone()?;
        }
        if let Some(look) = self.look_held(frame.tag) {
            return Ok(look);
        }
        let format = |violation: Violation| Fault::client(&violation);
        match frame.tag {
            b'F' | b'Q' if self.lowers_first() => Ok(Look::Gate(Cause::Upkeep(Care::Lower))),
            b'F' => {
                let script = Script {
                    function: true,
                    ..Script::default()
                };
                Ok(Look::Gate(Cause::Query(script)))
            }
            b'Q' => Ok(self.look_query(frontend::query(body).map_err(format)?)),
            b'P' => self.look_parse(have, frontend::parse(body).map_err(format)?),
            b'B' => self.look_bind(frame, body, whole),
            b'E' => Ok(self.look_execute(frontend::execute(body).map_err(format)?)),
            b'C' => Ok(self.look_close(frontend::target(b'C', body).map_err(format)?)),
            b'D' => Ok(self.look_describe(frontend::target(b'D', body).map_err(format)?)),
            b'S' | b'H' | b'X' if !body.is_empty() => {
                Err(format(Violation::Format { tag: frame.tag }))
            }
            // The server ignores it within a copy.
            b'S' if self.transaction.is_wrapped()
                && self.is_sealed()
                && self.tables().is_some()
                && self.transaction.status != Status::Failed
                && !self.queue.copying_in
                && !self.transaction.may_copy
                && !self.queue.is_in_doubt()
                && !self.queue.controls()
                && !self.queue.skipping =>
            {
                Ok(Look::Seal)
            }
            b'S' if self.transaction.is_wrapped() && !self.queue.copying_in => {
                Ok(Look::Gate(Cause::Sync))
            }
            b'S' => Ok(Look::Relay(Some(Owed::Sync))),
            b'X' => Ok(Look::Terminate),
            _ => Ok(Look::Relay(None)),
        }
    }

    fn look_query(&mut self, text: &[u8]) -> Look {
        if let Some(look) = self.look_database(text, Protocol::Simple) {
            return look;
        }
        let mentioned = self.note_mention(text);
        if self.must_wait_for_others(text) {
            return Look::Gate(Cause::Others);
        }
        self.note_schema(text);
        let concerned =
            self.covers || self.transaction.touch.is_some() || mentioned || self.may_execute(text);
        if concerned {
            Look::Gate(Cause::Query(Script::default()))
        } else {
            self.note_settings_in(text);
            Look::Relay(Some(Owed::Query))
        }
    }

    /// Whether `text` may run a prepared statement that may concern a guarded table.
    fn may_execute(&self, text: &[u8]) -> bool {
        let any = self.executed(b"");
        !any.is_plain() && contains_word(text, b"execute")
    }
}
