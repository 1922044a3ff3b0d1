//! Authentication, relayed as it is, until the server is ready for a query.

use super::{
    Action, Ending, Shared, Side, Tale,
    ready::{Fault, Ready},
    reported::Reported,
};
use crate::wire::{
    Violation, backend,
    frame::{self, HEADER_LEN},
    startup::Replication,
};
use bytes::Bytes;
use pgpawl_policy::rule::Who;
use std::{collections::VecDeque, sync::Arc};

/// The largest message that is read whole here: a cancel key has at most 256 bytes, a setting's value
/// some more.
const SMALL_LEN_MAX: usize = 64 * 1024;

/// What a step of the login leads to.
#[derive(Debug)]
pub(super) enum Stepped {
    Do(Action),
    /// The server is ready for a query.
    Open(Box<Ready>),
}

#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct Login {
    shared: Arc<Shared>,
    who: Who,
    inspected: bool,
    replication: Replication,
    reported: Reported,
    cancel_key: Option<Bytes>,
    /// Bytes of the frame at each window's head that are still to be relayed: at first the startup
    /// packet.
    client_rest: usize,
    server_rest: usize,
    server_failed: bool,
    opened: bool,
    over: Option<Fault>,
    outbox: VecDeque<Action>,
    client_ended: bool,
    server_ended: bool,
}

impl Login {
    pub(super) fn new(
        shared: Arc<Shared>,
        who: Who,
        startup_len: usize,
        replication: Replication,
    ) -> Self {
        let inspected =
            replication != Replication::Physical && shared.guarding.rules.inspects(&who);
        Self {
            shared,
            who,
            inspected,
            replication,
            reported: Reported::default(),
            cancel_key: None,
            client_rest: startup_len,
            server_rest: 0,
            server_failed: false,
            opened: false,
            over: None,
            outbox: VecDeque::new(),
            client_ended: false,
            server_ended: false,
        }
    }

    pub(super) fn step(&mut self, client: &[u8], server: &[u8]) -> Stepped {
        if let Some(action) = self.outbox.pop_front() {
            return Stepped::Do(action);
        }
        if let Some(fault) = self.over.take() {
            return Stepped::Do(self.end(fault));
        }
        let (mut client_need, mut server_need) = (1, 1);
        let stepped = match self.step_server(server, &mut server_need) {
            Ok(None) if self.opened => return self.open(),
            Ok(None) => self.step_client(client, &mut client_need),
            other => other,
        };
        Stepped::Do(match stepped {
            Ok(Some(action)) => action,
            Err(fault) => self.end(fault),
            Ok(None) if self.server_ended && server.len() < server_need => self.server_gone(),
            Ok(None) if self.client_ended && client.len() < client_need => {
                Action::Close(Ending::ClientGone)
            }
            Ok(None) => Action::Wait {
                client: client_need,
                server: server_need,
            },
        })
    }

    fn open(&mut self) -> Stepped {
        let mut ready = Box::new(Ready::new(
            self.shared.clone(),
            self.who.clone(),
            self.inspected,
            self.reported.clone(),
        ));
        // The server takes no extended protocol there, so its statements are checked by their text.
        ready.simple_only = self.replication == Replication::Database;
        ready.cover();
        ready.backend = self.cancel_key.as_deref().and_then(backend::process);
        for side in [
            (Side::Client, self.client_ended),
            (Side::Server, self.server_ended),
        ] {
            if side.1 {
                ready.ended(side.0);
            }
        }
        ready.tell(Tale::Opened {
            who: self.who.clone(),
            inspected: self.inspected,
            cancel_key: self.cancel_key.take(),
        });
        Stepped::Open(ready)
    }

    /// Relays what the server says, and reads its settings and the key in passing.
    fn step_server(&mut self, window: &[u8], need: &mut usize) -> Result<Option<Action>, Fault> {
        if self.server_rest > 0 && !window.is_empty() {
            let len = self.server_rest.min(window.len());
            self.server_rest -= len;
            return Ok(Some(Action::Relay {
                from: Side::Server,
                len,
            }));
        }
        if self.opened || self.server_rest > 0 {
            return Ok(None);
        }
        let frame = frame::of_server(window).map_err(|v| Fault::server(&v))?;
        let Some(frame) = frame else {
            *need = HEADER_LEN;
            return Ok(None);
        };
        let have = window
            .get(..frame.len.min(window.len()))
            .unwrap_or_default();
        let reads_body = matches!(frame.tag, b'S' | b'K' | b'Z');
        if reads_body && have.len() < frame.len {
            if frame.len > SMALL_LEN_MAX {
                return Err(Fault::server(&Violation::Format { tag: frame.tag }));
            }
            *need = frame.len;
            return Ok(None);
        }
        let body = have.get(HEADER_LEN..).unwrap_or_default();
        self.server_failed = frame.tag == b'E';
        match frame.tag {
            b'S' => {
                let (name, value) =
                    backend::parameter_status(body).map_err(|v| Fault::server(&v))?;
                self.reported.note(&mut self.who, name, value);
            }
            b'K' => self.cancel_key = Some(Bytes::copy_from_slice(body)),
            b'Z' => {
                backend::ready(body).map_err(|v| Fault::server(&v))?;
                self.opened = true;
            }
            b'R' | b'N' | b'E' | b'v' => {}
            tag => {
                let when = "during authentication";
                return Err(Fault::server(&Violation::Unexpected { tag, when }));
            }
        }
        self.server_rest = frame.len - have.len();
        Ok(Some(Action::Relay {
            from: Side::Server,
            len: have.len(),
        }))
    }

    /// Only answers to authentication requests pass; what is sent ahead waits for the first
    /// ReadyForQuery, so that it is looked at.
    fn step_client(&mut self, window: &[u8], need: &mut usize) -> Result<Option<Action>, Fault> {
        if self.client_rest > 0 && !window.is_empty() {
            let len = self.client_rest.min(window.len());
            self.client_rest -= len;
            return Ok(Some(Action::Relay {
                from: Side::Client,
                len,
            }));
        }
        if self.client_rest > 0 {
            return Ok(None);
        }
        let frame = frame::of_client(window).map_err(|v| Fault::client(&v))?;
        match frame {
            None => *need = HEADER_LEN,
            Some(frame) if frame.tag == b'p' => {
                let len = frame.len.min(window.len());
                self.client_rest = frame.len - len;
                return Ok(Some(Action::Relay {
                    from: Side::Client,
                    len,
                }));
            }
            Some(frame) if frame.tag == b'X' => return Ok(Some(Action::Close(Ending::ClientGone))),
            Some(_) => *need = 0,
        }
        Ok(None)
    }

    fn server_gone(&mut self) -> Action {
        if self.server_failed {
            return Action::Close(Ending::ServerGone);
        }
        self.end(Fault {
            ending: Ending::ServerGone,
            sqlstate: "08006",
            message: "pgpawl: the server closed the connection during authentication".to_owned(),
        })
    }

    fn end(&mut self, fault: Fault) -> Action {
        if self.server_rest > 0 {
            return Action::Close(fault.ending);
        }
        self.outbox.push_back(Action::Close(fault.ending));
        Action::Send {
            to: Side::Client,
            bytes: backend::fatal(fault.sqlstate, fault.message),
        }
    }

    pub(super) fn ended(&mut self, side: Side) {
        match side {
            Side::Client => self.client_ended = true,
            Side::Server => self.server_ended = true,
        }
    }

    pub(super) fn stop(&mut self) {
        self.over = Some(Fault {
            ending: Ending::Stopped,
            sqlstate: "57P01",
            message: "terminating connection due to administrator command (pgpawl stops)"
                .to_owned(),
        });
    }
}
