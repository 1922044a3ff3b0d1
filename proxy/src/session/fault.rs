//! Why a session must end, whoever is to blame, and how it does.

use super::{Action, Ending, Side, ready::Ready};
use crate::wire::{Violation, backend, frontend};

/// Why a session must end, and what its client is told first.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) ending: Ending,
    pub(super) sqlstate: &'static str,
    pub(super) message: String,
}

impl Fault {
    /// The client broke the protocol.
    pub(super) fn client(violation: &Violation) -> Self {
        let message = violation.to_string();
        Self {
            ending: Ending::ClientViolation(message.clone()),
            sqlstate: "08P01",
            message,
        }
    }

    /// The server broke the protocol.
    pub(super) fn server(violation: &Violation) -> Self {
        let why = violation.to_string();
        let message = format!("pgpawl: the server broke the protocol: {why}");
        Self {
            ending: Ending::ServerViolation(why),
            sqlstate: "08P01",
            message,
        }
    }

    /// A limit of ours was reached by what the client sent.
    pub(super) fn limit(name: &'static str, max: usize) -> Self {
        Self {
            ending: Ending::ClientViolation(format!("{name} reached")),
            sqlstate: "54000",
            message: format!(
                "pgpawl: {name} = {max} reached; raise it in [limits] if this is legitimate"
            ),
        }
    }
}

impl Ready {
    pub(super) fn stopped(&mut self) -> Action {
        self.end(Fault {
            ending: Ending::Stopped,
            sqlstate: "57P01",
            message: "terminating connection due to administrator command (pgpawl stops)"
                .to_owned(),
        })
    }

    pub(super) fn server_gone(&mut self) -> Action {
        if self.server_failed && self.server_rest == 0 {
            self.outbox.push_back(Action::Close(Ending::ServerGone));
            return self
                .outbox
                .pop_front()
                .unwrap_or(Action::Close(Ending::ServerGone));
        }
        self.end(Fault {
            ending: Ending::ServerGone,
            sqlstate: "08006",
            message: "pgpawl: the server closed the connection unexpectedly".to_owned(),
        })
    }

    /// The last words to the client, if no frame of the server's is cut by them, and the end.
    pub(super) fn end(&mut self, fault: Fault) -> Action {
        if self.server_rest == 0 {
            self.outbox.push_back(Action::Send {
                to: Side::Client,
                bytes: backend::fatal(fault.sqlstate, fault.message),
            });
        }
        self.close_politely(fault.ending)
    }

    /// A Terminate, if no frame of the client's is cut by it, and the end.
    pub(super) fn close_politely(&mut self, ending: Ending) -> Action {
        if self.client_rest == 0 && !self.server_ended {
            self.outbox.push_back(Action::Send {
                to: Side::Server,
                bytes: frontend::terminate(),
            });
        }
        self.outbox.push_back(Action::Close(ending));
        self.outbox
            .pop_front()
            .unwrap_or(Action::Close(Ending::Finished))
    }
}
