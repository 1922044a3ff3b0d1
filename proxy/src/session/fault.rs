//! Why a session must end, whoever is to blame.

use super::Ending;
use crate::wire::Violation;

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
