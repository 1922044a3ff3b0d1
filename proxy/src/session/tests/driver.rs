//! Drives a session: gives it what client and server send, in pieces, and does what it says.

use super::{
    super::{Action, Ending, Fate, Seen, Session, Shared, Side, Tale},
    Model,
};
use std::sync::Arc;

/// What happens next, when all that came before is answered.
#[derive(Clone)]
pub enum Step {
    /// The client sends bytes.
    Send(Vec<u8>),
    /// Time passes, in the shell's ticks.
    Ticks(u32),
    /// Another session begins to wait for a lock of the running transaction, if there is one.
    Wait,
    /// The client's connection ends.
    Leave,
}

impl std::fmt::Debug for Step {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Send(bytes) => write!(to, "Send({})", bytes.escape_ascii()),
            Self::Ticks(ticks) => write!(to, "Ticks({ticks})"),
            Self::Wait => to.write_str("Wait"),
            Self::Leave => to.write_str("Leave"),
        }
    }
}

impl Step {
    pub fn send(bytes: &[u8]) -> Self {
        Self::Send(bytes.to_vec())
    }
}

/// Everything that a run showed.
pub struct Run {
    /// What the client received after authentication.
    pub client: Vec<u8>,
    /// What the server received after authentication.
    pub server: Vec<u8>,
    pub model: Model,
    pub ending: Option<Ending>,
    /// A commit is held.
    pub holds: bool,
    pub refused: usize,
    /// What became of commits that were held, and why.
    pub fates: Vec<(Fate, &'static str)>,
    /// The most bytes of answers that the session kept back at a time.
    pub held_max: usize,
}

/// How the streams are cut: the sizes of the pieces, used in turn.
pub struct Cuts<'a> {
    pub sizes: &'a [usize],
    pub next: usize,
}

impl Cuts<'_> {
    pub fn piece(&mut self, left: usize) -> usize {
        let size = self
            .sizes
            .get(self.next % self.sizes.len().max(1))
            .copied()
            .unwrap_or(left);
        self.next += 1;
        size.clamp(1, left)
    }
}

pub struct Driver<'a> {
    shared: Arc<Shared>,
    session: Session,
    pub model: Model,
    cuts: Cuts<'a>,
    to_client: Vec<u8>,
    to_server: Vec<u8>,
    pub client: Vec<u8>,
    pub server: Vec<u8>,
    refused: usize,
    fates: Vec<(Fate, &'static str)>,
    greeted: usize,
    held_max: usize,
}

impl<'a> Driver<'a> {
    pub fn new(shared: Arc<Shared>, model: Model, sizes: &'a [usize]) -> Self {
        shared.present.forget();
        Self {
            session: Session::new(Arc::clone(&shared), None),
            shared,
            model,
            cuts: Cuts { sizes, next: 0 },
            to_client: Vec::new(),
            to_server: Vec::new(),
            client: Vec::new(),
            server: Vec::new(),
            refused: 0,
            fates: Vec::new(),
            greeted: 0,
            held_max: 0,
        }
    }

    pub fn run(mut self, steps: &[Step]) -> Run {
        self.client
            .extend_from_slice(b"\0\0\0\x10\0\x03\0\0user\0u\0\0");
        let mut ending = self.settle(&[]);
        for step in steps {
            if ending.is_some() {
                break;
            }
            ending = self.take(step);
        }
        let client = self.to_client.split_off(self.greeted);
        Run {
            client,
            server: self.to_server,
            model: self.model,
            ending,
            holds: self.session.is_holding(),
            refused: self.refused,
            fates: self.fates,
            held_max: self.held_max,
        }
    }

    fn take(&mut self, step: &Step) -> Option<Ending> {
        match step {
            Step::Send(bytes) => self.settle(bytes),
            Step::Ticks(ticks) => (0..*ticks).find_map(|_| {
                self.shared.present.tick();
                if self.session.is_holding() {
                    self.session.tick();
                }
                self.settle(&[])
            }),
            Step::Wait => {
                self.model.waited_for = self.model.status() != 'I';
                None
            }
            Step::Leave => {
                self.session.ended(Side::Client);
                let ending = self.settle(&[]).expect("the client is gone");
                self.model.end();
                let again = self.session.step(&self.client, &self.server);
                assert!(matches!(again, Action::Close(latched) if latched == ending));
                Some(ending)
            }
        }
    }

    /// Steps until all of `unsent` is sent, and nothing moves any more; or to the end.
    fn settle(&mut self, mut unsent: &[u8]) -> Option<Ending> {
        loop {
            match self.step() {
                Some(Ok(())) => {}
                Some(Err(ending)) => return Some(ending),
                None if !self.model.output.is_empty() => {
                    let piece = self.cuts.piece(self.model.output.len());
                    self.server.extend(self.model.output.drain(..piece));
                }
                None if !unsent.is_empty() => {
                    let piece = self.cuts.piece(unsent.len());
                    self.client.extend_from_slice(&unsent[..piece]);
                    unsent = &unsent[piece..];
                }
                None => return None,
            }
        }
    }

    /// One action; `None`: the session waits.
    pub fn step(&mut self) -> Option<Result<(), Ending>> {
        self.held_max = self.held_max.max(self.session.held_len());
        match self.session.step(&self.client, &self.server) {
            Action::Relay {
                from: Side::Client,
                len,
            } => {
                assert!(len > 0 && len <= self.client.len());
                let bytes: Vec<u8> = self.client.drain(..len).collect();
                self.send_server(&bytes);
            }
            Action::Relay {
                from: Side::Server,
                len,
            } => {
                assert!(len > 0 && len <= self.server.len());
                self.to_client.extend(self.server.drain(..len));
            }
            Action::Drop {
                from: Side::Client,
                len,
            } => drop(self.client.drain(..len)),
            Action::Drop {
                from: Side::Server,
                len,
            } => drop(self.server.drain(..len)),
            Action::Send {
                to: Side::Client,
                bytes,
            } => self.to_client.extend_from_slice(&bytes),
            Action::Send {
                to: Side::Server,
                bytes,
            } => self.send_server(&bytes),
            Action::Look(looking) => {
                let rows = self.model.look(&looking.text);
                self.session.looked(&rows.map_or(Seen::Nothing, Seen::Rows));
            }
            Action::Connect => self.session.connected(),
            Action::Tell(tale) => match *tale {
                Tale::Opened { .. } => self.greeted = self.to_client.len(),
                Tale::Judged { findings, .. } => {
                    self.refused += findings.iter().filter(|f| f.refused).count();
                }
                Tale::Hold { fate, why, .. } => self.fates.push((fate, why)),
                Tale::EvaluationBegan | Tale::EvaluationEnded => {}
            },
            Action::Record(_) | Action::Cancel { .. } | Action::Dismiss => {}
            Action::Close(ending) => return Some(Err(ending)),
            Action::Wait { .. } => return None,
        }
        Some(Ok(()))
    }

    fn send_server(&mut self, bytes: &[u8]) {
        if self.to_server.is_empty() && self.greeted == 0 && self.model.output.is_empty() {
            // The startup packet, perhaps in pieces.
            self.model.greeted(bytes);
            return;
        }
        self.to_server.extend_from_slice(bytes);
        self.model.feed(bytes);
    }
}
