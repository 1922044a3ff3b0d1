//! A case on its way along one road: its sessions, and who watches the committed set beside them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use pgpawl_integration_tests::case::{Case, Line, Step};
use pgpawl_integration_tests::postgres::{OWNER, Postgres, SUPERUSER};
use pgpawl_integration_tests::wait;
use pgpawl_integration_tests::wire::{Client, Received, brief, error_fields, message};

use super::Road;

/// How long a session may be silent before its next message is sent: it waits for another's lock.
const SILENCE: Duration = Duration::from_millis(400);

/// How long the end of a case may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How a session answers that is in no transaction and owes nothing.
const USABLE: [&str; 3] = ["row usable", "done SELECT 1", "ready I"];

/// The versions of the table that everybody attacks.
const LOOK: &str = "SELECT version::text FROM public.schema_migrations";

/// What came of a case along one road.
#[derive(Debug)]
pub struct Outcome {
    /// Versions that were committed and are gone, or checks that say so.
    pub lost: Vec<String>,
    /// What sessions are not usable afterwards.
    pub unusable: Vec<String>,
    /// Everything that was answered.
    pub transcript: Vec<String>,
}

struct Attack<'a> {
    road: Road,
    database: &'a str,
    sessions: BTreeMap<String, Session>,
    current: String,
    observer: Client,
    committed: BTreeSet<String>,
    lost: BTreeSet<String>,
    transcript: Vec<String>,
    /// What is sent in one write; none where every message is sent as it comes.
    outbox: Option<Vec<u8>>,
}

struct Session {
    client: Client,
    /// ReadyForQuery that the server owes.
    owed: usize,
    closed: bool,
}

impl Session {
    fn of(road: Road, name: &str, user: &str, database: &str) -> Self {
        Self {
            client: Client::session(road.port(name), user, database),
            owed: 0,
            closed: false,
        }
    }
}

impl<'a> Attack<'a> {
    fn new(road: Road, database: &'a str) -> Self {
        let mut observer = Client::session(Postgres::shared().port(), SUPERUSER, database);
        observer.query("SET lock_timeout = '50ms'");
        let mut attack = Self {
            road,
            database,
            sessions: BTreeMap::new(),
            current: "1".into(),
            observer,
            committed: BTreeSet::new(),
            lost: BTreeSet::new(),
            transcript: Vec::new(),
            outbox: None,
        };
        attack.look();
        assert!(!attack.committed.is_empty(), "nothing to lose");
        attack
    }

    /// The committed set as it is now; none while somebody locks the table.
    fn look(&mut self) -> bool {
        let frames = self.observer.query(LOOK);
        let error = frames.iter().find(|frame| frame.tag == b'E');
        let sqlstate = error.map(|error| error_fields(error).remove(&'C').unwrap_or_default());
        let now: BTreeSet<String> = match sqlstate.as_deref() {
            Some("55P03") => return false,
            // No such table, no such column.
            Some("42P01" | "42703") => BTreeSet::new(),
            Some(other) => panic!("the observer fails: {other}"),
            None => frames
                .iter()
                .filter(|frame| frame.tag == b'D')
                .filter_map(brief)
                .collect(),
        };
        self.lost.extend(self.committed.difference(&now).cloned());
        self.committed = now;
        true
    }

    fn session(&mut self) -> &mut Session {
        let (road, database) = (self.road, self.database);
        self.sessions
            .entry(self.current.clone())
            .or_insert_with_key(|name| Session::of(road, name, OWNER, database))
    }

    /// The current session is another role's.
    fn start(&mut self, parameters: &[(String, String)]) {
        let user = parameters.iter().find(|(name, _)| name == "user");
        let (_, user) = user.expect("a user");
        let session = Session::of(self.road, &self.current, user, self.database);
        self.sessions.insert(self.current.clone(), session);
    }

    fn send(&mut self, bytes: &[u8]) {
        let session = self.session();
        if session.closed {
            return;
        }
        session.client.send(bytes);
        match bytes.first() {
            Some(b'Q' | b'S' | b'F') => session.owed += 1,
            Some(b'H' | b'c' | b'f') => {}
            _ => return,
        }
        self.read(SILENCE);
        self.look();
    }

    /// Reads what the current session is answered, until it is owed nothing or silent.
    fn read(&mut self, silence: Duration) {
        let name = self.current.clone();
        let session = self.session();
        let mut said = Vec::new();
        loop {
            let flushed = session.owed == 0;
            let limit = if flushed {
                Duration::from_millis(60)
            } else {
                silence
            };
            match session.client.receive_within(limit) {
                None => break,
                Some(Received::Closed) => {
                    session.closed = true;
                    said.push("closed".to_owned());
                    break;
                }
                Some(Received::Frame(frame)) => {
                    if frame.tag == b'E' {
                        let text = error_fields(&frame).remove(&'M').unwrap_or_default();
                        said.push(format!("({text})"));
                    }
                    said.extend(brief(&frame));
                    if said.ends_with(&USABLE.map(str::to_owned)) {
                        session.owed = 0;
                    }
                    if frame.tag == b'Z' {
                        session.owed = session.owed.saturating_sub(1);
                    }
                    if frame.tag == b'G' || frame.tag == b'Z' && session.owed == 0 {
                        break;
                    }
                }
            }
        }
        if !said.is_empty() {
            self.transcript.push(format!("{name}: {}", said.join(", ")));
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Session(word) if word == "end" => {
                if let Some(session) = self.sessions.remove(&self.current) {
                    session.client.end();
                }
                // The server cleans up behind the connection.
                wait::within(SILENCE, || None::<()>);
                self.look();
            }
            Step::Session(name) => {
                self.current.clone_from(name);
                if self.sessions.contains_key(name) {
                    self.read(SILENCE);
                    self.look();
                }
            }
            Step::Start(parameters) => self.start(parameters),
            Step::Send(bytes) => match &mut self.outbox {
                Some(outbox) => outbox.extend(bytes),
                None => self.send(bytes),
            },
            Step::Answers(_) => {
                let bytes = std::mem::take(self.outbox.get_or_insert_default());
                let session = self.session();
                session.client.send(&bytes);
                session.owed = usize::MAX;
                self.read(SILENCE);
                self.look();
            }
            Step::Check(sql, words) => {
                // What is held is committed behind the connections.
                self.sessions.clear();
                wait::within(SILENCE, || None::<()>);
                let mut owner = Session::of(Road::Direct, "", OWNER, self.database);
                let found = owner.client.answer(sql);
                if !found.contains(&format!("row {}", words.guarded)) {
                    self.lost.insert(format!("{sql}: {found:?}"));
                }
            }
            other => panic!("not for an evasion: {other:?}"),
        }
    }

    fn finish(mut self) -> Outcome {
        let names: Vec<String> = self.sessions.keys().cloned().collect();
        let mut unusable = Vec::new();
        for name in names {
            self.current.clone_from(&name);
            self.read(SILENCE);
            let session = self.session();
            if session.closed {
                unusable.push(format!("{name} is closed"));
                continue;
            }
            let mut bytes = message::sync();
            bytes.extend(message::query(b"ROLLBACK"));
            bytes.extend(message::query(b"SELECT 'usable'"));
            session.owed = session.owed.saturating_add(3);
            session.client.send(&bytes);
            self.read(PATIENCE);
            let last = self.transcript.last().cloned().unwrap_or_default();
            if !last.ends_with(&USABLE.join(", ")) {
                unusable.push(format!("{name}: {last}"));
            }
        }
        for session in std::mem::take(&mut self.sessions).into_values() {
            if !session.closed {
                session.client.end();
            }
        }
        wait::until_true("the set can be read", || self.look());
        Outcome {
            lost: self.lost.into_iter().collect(),
            unusable,
            transcript: self.transcript,
        }
    }
}

/// Runs a case along a road, on a database like `template`.
pub fn run(road: Road, template: &str, case: &Case) -> Outcome {
    let database = Postgres::shared().copy(template, "evasion");
    let mut attack = Attack::new(road, &database);
    let waits = |line: &Line| matches!(line.step, Step::Answers(_));
    attack.outbox = case.lines.iter().any(waits).then(Vec::new);
    for line in &case.lines {
        attack.step(&line.step);
    }
    attack.finish()
}
