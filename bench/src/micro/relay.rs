//! A session between windows: what each side sends is given at once, and must be relayed untouched.

use std::sync::Arc;

use pgpawl::session::{Action, Session, Shared, Side};
use pgpawl_integration_tests::wire::message::{self, Parameter};

/// `AuthenticationOk`, then ReadyForQuery outside of a transaction.
const AUTHENTICATED: [u8; 15] = *b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I";

/// An open session, and the messages of an exchange.
pub struct Relay {
    session: Session,
    request: Vec<u8>,
    answer: Vec<u8>,
}

/// A Query.
pub fn query(text: &[u8]) -> Vec<u8> {
    message::query(text)
}

impl Relay {
    /// After authentication.
    pub fn open(shared: Arc<Shared>) -> Self {
        let mut relay = Self {
            session: Session::new(shared, None),
            request: Vec::new(),
            answer: done(b""),
        };
        let parameters = [("user", "bench"), ("database", "bench")];
        let startup = message::startup(message::V3_0, &parameters);
        relay.exchange(&startup, &AUTHENTICATED);
        relay
    }

    /// A Query and its answer.
    pub fn simple(&mut self, text: &str) {
        let request = query(text.as_bytes());
        let answer = std::mem::take(&mut self.answer);
        self.exchange(&request, &answer);
        self.answer = answer;
    }

    /// Parses the statement that [`Relay::prepared`] executes.
    pub fn prepare(&mut self, text: &str) {
        let request = [message::parse("s", text.as_bytes()), message::sync()].concat();
        let answer = [message::tagged(b'1', b""), ready()].concat();
        self.exchange(&request, &answer);
        let parameter = Parameter::Text(b"12345".to_vec());
        self.request = [
            message::bind("", "s", &[parameter]),
            message::execute("", 0),
            message::sync(),
        ]
        .concat();
        self.answer = done(&message::tagged(b'2', b""));
    }

    /// Bind, Execute, Sync and their answers.
    pub fn prepared(&mut self) {
        let request = std::mem::take(&mut self.request);
        let answer = std::mem::take(&mut self.answer);
        self.exchange(&request, &answer);
        (self.request, self.answer) = (request, answer);
    }

    /// One side's bytes, then the other's. All must be relayed.
    fn exchange(&mut self, request: &[u8], answer: &[u8]) {
        self.step_until_taken(request, &[]);
        self.step_until_taken(&[], answer);
    }

    fn step_until_taken<'a>(&mut self, mut client: &'a [u8], mut server: &'a [u8]) {
        loop {
            match self.session.step(client, server) {
                Action::Relay { from, len } => {
                    let window = match from {
                        Side::Client => &mut client,
                        Side::Server => &mut server,
                    };
                    *window = window.get(len..).unwrap_or_default();
                }
                Action::Connect => self.session.connected(),
                Action::Tell(_) | Action::Record(_) => (),
                Action::Wait { .. } => break,
                other => panic!("not untouched: {other:?}"),
            }
        }
        assert!(
            client.is_empty() && server.is_empty(),
            "not all was relayed"
        );
    }
}

/// A row of one column and the end of its statement, after `first`.
fn done(first: &[u8]) -> Vec<u8> {
    let row = message::tagged(b'D', b"\0\x01\0\0\0\x01\x37");
    let end = message::tagged(b'C', b"SELECT 1\0");
    [first, &row, &end, &ready()].concat()
}

fn ready() -> Vec<u8> {
    message::tagged(b'Z', b"I")
}
