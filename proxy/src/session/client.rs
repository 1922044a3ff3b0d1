//! What the client sends: relayed in place, but for what needs a gate.

use super::{
    Action, Ending, Side,
    gate::{Cause, Gate},
    names::{Class, Lookup, Table},
    owed::Owed,
    ready::{Fault, Ready},
    script::{self, Script},
};
use crate::wire::{
    Violation,
    frame::{self, Frame, HEADER_LEN},
    frontend,
};
use pgpawl_policy::{
    guard::GuardSet,
    statement::{self, Kind, Lexical, Name},
};

/// What to do with a frame.
enum Look {
    /// It goes to the server; its answer is owed.
    Relay(Option<Owed>),
    /// So many bytes of it are needed to tell.
    Need(usize),
    /// It waits at a gate.
    Gate(Cause),
    /// It is the last one.
    Terminate,
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
            return Ok(self.relay_rest(window));
        }
        if self.client_drop > 0 {
            return Ok(None);
        }
        if self.gate.is_some() && !self.queue.copying_in {
            self.step_gate(window);
            return Ok(None);
        }
        self.walk(window)
    }

    fn relay_rest(&mut self, window: &[u8]) -> Option<Action> {
        let len = self.client_rest.min(window.len());
        if len == 0 {
            return None;
        }
        self.client_rest -= len;
        if self.client_rest == 0
            && let Some(bytes) = self.behind.take()
        {
            self.send(Side::Server, bytes);
        }
        Some(Action::Relay {
            from: Side::Client,
            len,
        })
    }

    /// As many frames as can be relayed in one write.
    fn walk(&mut self, window: &[u8]) -> Result<Option<Action>, Fault> {
        let mut relay = 0;
        loop {
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
                Look::Gate(_) | Look::Terminate if relay > 0 => break,
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
        Ok((relay > 0).then_some(Action::Relay {
            from: Side::Client,
            len: relay,
        }))
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
            b'F' => return Ok(Look::Relay(Some(Owed::Function))),
            b'p' => {
                let when = "after authentication";
                return Err(Fault::client(&Violation::Unexpected {
                    tag: frame.tag,
                    when,
                }));
            }
            _ => {}
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
                return Err(Fault::limit("statement_len_max", statement_len_max));
            }
            return Ok(Look::Need(frame.len));
        }
        let format = |violation: Violation| Fault::client(&violation);
        match frame.tag {
            b'Q' => Ok(self.look_query(frontend::query(body).map_err(format)?)),
            b'P' => self.look_parse(frontend::parse(body).map_err(format)?),
            b'B' => self.look_bind(frame, body, whole),
            b'E' => Ok(self.look_execute(frontend::execute(body).map_err(format)?)),
            b'C' => Ok(self.look_close(frontend::target(b'C', body).map_err(format)?)),
            b'D' => {
                frontend::target(b'D', body).map_err(format)?;
                Ok(Look::Relay(Some(Owed::Describe)))
            }
            b'S' | b'H' | b'X' if !body.is_empty() => {
                Err(format(Violation::Format { tag: frame.tag }))
            }
            b'S' if self.transaction.is_wrapped() => Ok(Look::Gate(Cause::Sync)),
            b'S' => Ok(Look::Relay(Some(Owed::Sync))),
            b'X' => Ok(Look::Terminate),
            _ => Ok(Look::Relay(None)),
        }
    }

    /// A session that is not inspected: only what is owed is followed.
    fn look_blindly(tag: u8) -> Look {
        Look::Relay(match tag {
            b'Q' => Some(Owed::Query),
            b'P' => Some(Owed::Parse(None)),
            b'B' => Some(Owed::Bind(None)),
            b'E' => Some(Owed::Execute(None)),
            b'C' => Some(Owed::Close(None)),
            b'D' => Some(Owed::Describe),
            b'S' => Some(Owed::Sync),
            b'X' => return Look::Terminate,
            _ => None,
        })
    }

    fn look_query(&self, text: &[u8]) -> Look {
        let concerned = self.transaction.touch.is_some()
            || !self.shared.guarding.screen.mentions(text).is_empty()
            || self.may_execute(text);
        if concerned {
            Look::Gate(Cause::Query(Script::default()))
        } else {
            Look::Relay(Some(Owed::Query))
        }
    }

    /// Whether `text` may run a prepared statement that may concern a guarded table.
    fn may_execute(&self, text: &[u8]) -> bool {
        let prepared = self.statements.guards().union(self.prepared_unseen);
        !prepared.is_empty() && contains_word(text, b"execute")
    }

    fn look_parse(&mut self, (name, text): (&[u8], &[u8])) -> Result<Look, Fault> {
        let Some(class) = self.classify(text) else {
            return Ok(Look::Gate(Cause::Drain));
        };
        if !class.is_plain() {
            if !Table::is_exact(name) {
                return Ok(Look::Gate(Cause::Refuse(
                    "a statement that may concern a guarded table must have a name of ASCII characters",
                )));
            }
            let names_max = self.limits().names_max;
            if self.statements.len() >= names_max {
                return Err(Fault::limit("names_max", names_max));
            }
        }
        let change = self.statements.send(name, class, self.transaction.batch);
        Ok(Look::Relay(Some(Owed::Parse(change))))
    }

    /// What the statement of a Parse means; `None`: to be asked again when nothing is owed, because
    /// it depends on settings that what is under way may change.
    fn classify(&mut self, text: &[u8]) -> Option<Class> {
        let kind = statement::first_kind(text);
        if self.shared.guarding.screen.mentions(text).is_empty() {
            return Some(Class {
                kind,
                ..Class::PLAIN
            });
        }
        if !self.queue.is_empty() && Lexical::matter_for(text) {
            return None;
        }
        let guarding = &self.shared.guarding;
        let class = match statement::statements(text, self.reported.lexical()).as_deref() {
            Ok([one]) => script::concern(&guarding.screen, text, one, |_| GuardSet::EMPTY),
            Ok([]) => Class::PLAIN,
            // The server refuses several statements in one Parse; what is odd is checked.
            Ok(_) | Err(_) => Class {
                guards: guarding.screen.mentions(text),
                kind,
                text: None,
            },
        };
        self.note_hidden_prepare(text, &class);
        Some(class)
    }

    /// Code that names a guarded table and may PREPARE: what it prepares can be executed by any name.
    pub(super) fn note_hidden_prepare(&mut self, text: &[u8], class: &Class) {
        if !class.guards.is_empty()
            && !matches!(class.kind, Kind::Prepare(_))
            && contains_word(text, b"prepare")
        {
            self.prepared_unseen = self.prepared_unseen.union(class.guards);
        }
    }

    fn look_bind(&mut self, frame: Frame, body: &[u8], whole: bool) -> Result<Look, Fault> {
        if self.statements.is_empty() && self.portals.is_empty() {
            return Ok(Look::Relay(Some(Owed::Bind(None))));
        }
        let Some((portal, statement)) = frontend::bind(body) else {
            let needed = self.limits().statement_len_max.min(frame.len);
            return if whole || body.len() >= needed {
                Err(Fault::client(&Violation::Format { tag: b'B' }))
            } else {
                Ok(Look::Need(frame.len.min(body.len() * 2 + 64)))
            };
        };
        let batch = self.transaction.batch;
        let class = match self.statements.lookup(statement, batch) {
            Lookup::Is(class) => class.clone(),
            Lookup::Ambiguous => return Ok(Look::Gate(Cause::Drain)),
        };
        if !class.is_plain() {
            let names_max = self.limits().names_max;
            if self.portals.len() >= names_max {
                return Err(Fault::limit("names_max", names_max));
            }
            if !Table::is_exact(portal) {
                return Ok(Look::Gate(Cause::Refuse(
                    "a portal that may concern a guarded table must have a name of ASCII characters",
                )));
            }
        }
        let change = self.portals.send(portal, class, batch);
        Ok(Look::Relay(Some(Owed::Bind(change))))
    }

    fn look_execute(&mut self, portal: &[u8]) -> Look {
        if self.portals.is_empty() {
            return Look::Relay(Some(Owed::Execute(None)));
        }
        let mut class = match self.portals.lookup(portal, self.transaction.batch) {
            Lookup::Is(class) => class.clone(),
            Lookup::Ambiguous => return Look::Gate(Cause::Drain),
        };
        match &class.kind {
            Kind::Prepare(name) => {
                let (name, guards) = (name.clone(), class.guards);
                self.prepared(&name, guards);
                return Look::Relay(Some(Owed::Execute(None)));
            }
            Kind::Execute(name) => class.guards = self.executed(&name.0.clone()),
            Kind::Commit { .. } | Kind::PrepareTransaction if self.transaction.touch.is_some() => {
                return Look::Gate(Cause::Execute(class));
            }
            _ => {}
        }
        if !class.guards.is_empty() {
            return Look::Gate(Cause::Execute(class));
        }
        let kind = (!class.is_plain()).then(|| Box::new(class.kind));
        Look::Relay(Some(Owed::Execute(kind)))
    }

    /// A PREPARE of `name` is sent.
    pub(super) fn prepared(&mut self, name: &Name, guards: GuardSet) {
        if name.is_any() {
            self.prepared_unseen = self.prepared_unseen.union(guards);
        } else {
            self.statements.add(&name.0, guards);
        }
    }

    /// The guards that EXECUTE of `name` may concern; an empty name stands for any.
    pub(super) fn executed(&self, name: &[u8]) -> GuardSet {
        let known = if name.is_empty() {
            self.statements.guards()
        } else {
            match self.statements.lookup(name, self.transaction.batch) {
                Lookup::Is(class) => class.guards,
                Lookup::Ambiguous => self.statements.guards(),
            }
        };
        known.union(self.prepared_unseen)
    }

    fn look_close(&mut self, (kind, name): (u8, &[u8])) -> Look {
        let batch = self.transaction.batch;
        let table = if kind == b'S' {
            &mut self.statements
        } else {
            &mut self.portals
        };
        Look::Relay(Some(Owed::Close(table.send(name, Class::PLAIN, batch))))
    }
}

/// Whether `word`, in lower case, occurs in `text` in any case.
pub(super) fn contains_word(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len())
        .any(|window| window.eq_ignore_ascii_case(word))
}
