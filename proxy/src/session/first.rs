//! Before the server: the startup packet, an encryption request, or a cancel request.

use super::{Action, Ending, Shared, Side, login::Login, ready::Fault};
use crate::wire::{
    Violation, backend,
    startup::{self, Parameters, Replication},
};
use bytes::Bytes;
use pgpawl_policy::rule::Who;
use std::{collections::VecDeque, net::IpAddr, sync::Arc};

/// SSLRequest and GSSENCRequest may each come once.
const ENCRYPTION_REQUESTS_MAX: usize = 2;

#[derive(Debug)]
pub(super) struct First {
    shared: Arc<Shared>,
    client: Option<IpAddr>,
    requests: usize,
    /// The startup packet's parameters and length, while the shell connects.
    asked: Option<(Parameters, usize)>,
    outbox: VecDeque<Action>,
    over: Option<Ending>,
}

impl First {
    pub(super) fn new(shared: Arc<Shared>, client: Option<IpAddr>) -> Self {
        Self {
            shared,
            client,
            requests: 0,
            asked: None,
            outbox: VecDeque::new(),
            over: None,
        }
    }

    pub(super) fn step(&mut self, client: &[u8]) -> Action {
        if let Some(action) = self.outbox.pop_front() {
            return action;
        }
        if let Some(ending) = self.over.clone() {
            return Action::Close(ending);
        }
        if self.asked.is_some() {
            return Action::Wait {
                client: 0,
                server: 0,
            };
        }
        match startup::first(client) {
            Ok(Err(needed)) => {
                return Action::Wait {
                    client: needed,
                    server: 0,
                };
            }
            Ok(Ok((first, len))) => self.take(first, len, client),
            Err(violation) => self.end(Fault::client(&violation)),
        }
        self.step(client)
    }

    fn take(&mut self, first: startup::First, len: usize, client: &[u8]) {
        match first {
            startup::First::Encryption(name) if client.len() > len => {
                self.end(Fault::client(&Violation::ClearText(name)));
            }
            startup::First::Encryption(_) if self.requests >= ENCRYPTION_REQUESTS_MAX => {
                let violation = Violation::Startup("encryption was asked for more than once");
                self.end(Fault::client(&violation));
            }
            startup::First::Encryption(_) => {
                self.requests += 1;
                self.outbox.push_back(Action::Drop {
                    from: Side::Client,
                    len,
                });
                self.outbox.push_back(Action::Send {
                    to: Side::Client,
                    bytes: Bytes::from_static(b"N"),
                });
            }
            startup::First::Cancel => {
                let packet = Bytes::copy_from_slice(client.get(..len).unwrap_or_default());
                self.outbox.push_back(Action::Drop {
                    from: Side::Client,
                    len,
                });
                self.outbox.push_back(Action::Cancel { packet });
                self.over = Some(Ending::Cancelled);
            }
            startup::First::Startup(parameters) => {
                if parameters.replication == Replication::Physical && !self.shared.allow_replication
                {
                    let message = "pgpawl: replication connections are not allowed here; \
                        connect to the server directly, or set allow_replication";
                    return self.end(Fault {
                        ending: Ending::NotAllowed("replication".to_owned()),
                        sqlstate: "28000",
                        message: message.to_owned(),
                    });
                }
                self.asked = Some((parameters, len));
                self.outbox.push_back(Action::Connect);
            }
        }
    }

    fn end(&mut self, fault: Fault) {
        let bytes = backend::fatal(fault.sqlstate, fault.message);
        self.outbox.push_back(Action::Send {
            to: Side::Client,
            bytes,
        });
        self.over = Some(fault.ending);
    }

    pub(super) fn connected(&mut self) -> Option<Login> {
        let (parameters, startup_len) = self.asked.take()?;
        let who = Who {
            database: parameters.database,
            user: parameters.user,
            application_name: parameters.application_name,
            client: self.client,
        };
        let replication = parameters.replication;
        Some(Login::new(
            self.shared.clone(),
            who,
            startup_len,
            replication,
        ))
    }

    pub(super) fn connect_failed(&mut self, why: &str) {
        self.asked = None;
        self.end(Fault {
            ending: Ending::ConnectFailed(why.to_owned()),
            sqlstate: "08006",
            message: format!("pgpawl: could not connect to the server: {why}"),
        });
    }

    pub(super) fn ended(&mut self) {
        self.outbox.clear();
        self.over.get_or_insert(Ending::ClientGone);
    }

    pub(super) fn stop(&mut self) {
        if self.over.is_none() {
            self.end(Fault {
                ending: Ending::Stopped,
                sqlstate: "57P01",
                message: "terminating connection due to administrator command (pgpawl stops)"
                    .to_owned(),
            });
        }
    }
}
