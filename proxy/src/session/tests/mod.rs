//! The session against a model server: its invariants over random programs and random cuts, and
//! transcripts.

mod answer;
mod invariants;
mod model;
mod recordings;
mod transcripts;

use super::{Action, Ending, Limits, Session, Shared, Side, Tale};
use model::Model;
use pgpawl_policy::{
    Guarding, Guards,
    observed::Observed,
    rule::{Coverage, RawRule, Rules},
    screen::Screen,
};
use std::sync::{Arc, LazyLock};

/// The index of the guard `rails` among the built-in ones.
fn rails() -> usize {
    SHARED
        .guarding
        .guards
        .iter()
        .position(|(_, guard)| guard.tool() == "rails")
        .unwrap()
}

/// One for all runs: what is guarded here learns nothing.
static SHARED: LazyLock<Arc<Shared>> = LazyLock::new(|| shared(Coverage::Statement));
/// The same under transaction coverage.
static COVERING: LazyLock<Arc<Shared>> = LazyLock::new(|| shared(Coverage::Transaction));

fn shared(coverage: Coverage) -> Arc<Shared> {
    let rule = RawRule {
        coverage: Some(coverage),
        ..RawRule::default()
    };
    let guards = Guards::builtin();
    let screen = Screen::new(guards.iter().map(|(id, guard)| (id, guard.table())));
    Arc::new(Shared {
        guarding: Guarding {
            beside: guards.beside(),
            guards,
            rules: Rules::try_from(vec![rule]).unwrap(),
            observed: Arc::new(Observed::default()),
            screen,
            origin: "model:5432".into(),
        },
        limits: Limits {
            statement_len_max: 1 << 20,
            owed_max: 64,
            names_max: 16,
            answer_len_max: 1 << 20,
            hold_ticks_max: 50,
        },
        present: Arc::default(),
        runs: Arc::default(),
        looks: true,
        allow_replication: false,
        warn_in_log_mode: false,
    })
}

/// A message of the client's.
fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(body.len() + 4).unwrap();
    [&[tag][..], &len.to_be_bytes(), body].concat()
}

fn query(text: &str) -> Vec<u8> {
    message(b'Q', &[text.as_bytes(), b"\0"].concat())
}

fn parse(name: &str, text: &str) -> Vec<u8> {
    message(b'P', format!("{name}\0{text}\0\0\0").as_bytes())
}

fn bind(portal: &str, statement: &str) -> Vec<u8> {
    message(
        b'B',
        format!("{portal}\0{statement}\0\0\0\0\0\0\0").as_bytes(),
    )
}

fn execute(portal: &str) -> Vec<u8> {
    message(b'E', format!("{portal}\0\0\0\0\0").as_bytes())
}

fn sync() -> Vec<u8> {
    message(b'S', b"")
}

/// Everything that a run showed.
struct Run {
    /// What the client received after authentication.
    client: Vec<u8>,
    /// What the server received after authentication.
    server: Vec<u8>,
    model: Model,
    ending: Option<Ending>,
    refused: usize,
    /// The most bytes of answers that the session kept back at a time.
    held_max: usize,
}

/// How the streams are cut: the sizes of the pieces, used in turn.
struct Cuts<'a> {
    sizes: &'a [usize],
    next: usize,
}

impl Cuts<'_> {
    fn piece(&mut self, left: usize) -> usize {
        let size = self
            .sizes
            .get(self.next % self.sizes.len().max(1))
            .copied()
            .unwrap_or(left);
        self.next += 1;
        size.clamp(1, left)
    }
}

/// Drives a session between a client that sends `program` at once and a model server.
fn run(model: Model, program: &[u8], sizes: &[usize]) -> Run {
    Driver::new(&SHARED, model, sizes).run(program)
}

/// The same under transaction coverage.
fn run_covering(model: Model, program: &[u8], sizes: &[usize]) -> Run {
    Driver::new(&COVERING, model, sizes).run(program)
}

struct Driver<'a> {
    session: Session,
    model: Model,
    cuts: Cuts<'a>,
    to_client: Vec<u8>,
    to_server: Vec<u8>,
    client: Vec<u8>,
    server: Vec<u8>,
    refused: usize,
    greeted: usize,
    held_max: usize,
}

impl<'a> Driver<'a> {
    fn new(shared: &Arc<Shared>, model: Model, sizes: &'a [usize]) -> Self {
        Self {
            session: Session::new(shared.clone(), None),
            model,
            cuts: Cuts { sizes, next: 0 },
            to_client: Vec::new(),
            to_server: Vec::new(),
            client: Vec::new(),
            server: Vec::new(),
            refused: 0,
            greeted: 0,
            held_max: 0,
        }
    }

    fn run(mut self, program: &[u8]) -> Run {
        let startup = b"\0\0\0\x11\0\x03\0\0user\0u\0\0";
        self.client
            .extend_from_slice(&u32::try_from(startup.len()).unwrap().to_be_bytes());
        self.client.extend_from_slice(&startup[4..]);
        let mut unsent = program;
        let mut ending = None;
        loop {
            match self.step() {
                Some(Ok(())) => {}
                Some(Err(end)) => {
                    ending = Some(end);
                    break;
                }
                None => {
                    if !self.model.output.is_empty() {
                        let piece = self.cuts.piece(self.model.output.len());
                        self.server.extend(self.model.output.drain(..piece));
                    } else if !unsent.is_empty() {
                        let piece = self.cuts.piece(unsent.len());
                        self.client.extend_from_slice(&unsent[..piece]);
                        unsent = &unsent[piece..];
                    } else {
                        break;
                    }
                }
            }
        }
        let client = self.to_client.split_off(self.greeted);
        Run {
            client,
            server: self.to_server,
            model: self.model,
            ending,
            refused: self.refused,
            held_max: self.held_max,
        }
    }

    /// One action; `None`: the session waits.
    fn step(&mut self) -> Option<Result<(), Ending>> {
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
            Action::Look { text, .. } => {
                let rows = self.model.look(&text);
                self.session.looked(rows.as_deref());
            }
            Action::Connect => self.session.connected(),
            Action::Tell(tale) => match *tale {
                Tale::Opened { .. } => self.greeted = self.to_client.len(),
                Tale::Judged { findings, .. } => {
                    self.refused += findings.iter().filter(|f| f.refused).count();
                }
                Tale::EvaluationBegan | Tale::EvaluationEnded | Tale::Hold { .. } => {}
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

/// The frames of a stream as lines: type and what identifies it.
fn lines(mut stream: &[u8]) -> Vec<String> {
    let mut lines = Vec::new();
    while let [tag, a, b, c, d, rest @ ..] = stream {
        let len = usize::try_from(u32::from_be_bytes([*a, *b, *c, *d])).unwrap() - 4;
        let body = &rest[..len];
        stream = &rest[len..];
        let text = |bytes: &[u8]| {
            let parts = bytes
                .split(|b| *b == 0)
                .map(|s| String::from_utf8_lossy(s).into_owned());
            parts.collect::<Vec<_>>()
        };
        lines.push(match tag {
            b'Z' => format!("ReadyForQuery {}", char::from(body[0])),
            b'C' => format!("CommandComplete {}", text(body)[0]),
            b'E' | b'N' => {
                let fields = text(body);
                let code = fields
                    .iter()
                    .find_map(|f| f.strip_prefix('C'))
                    .unwrap_or("?");
                format!(
                    "{} {code}",
                    if *tag == b'E' {
                        "ErrorResponse"
                    } else {
                        "NoticeResponse"
                    }
                )
            }
            other => format!("{}", char::from(*other)),
        });
    }
    assert!(stream.is_empty(), "a frame is cut off");
    lines
}
