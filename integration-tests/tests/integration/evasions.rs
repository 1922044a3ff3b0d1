//! Ways round the guard, by the cases of `cases/evasions/*.case`: each is run directly, where it must
//! lower the committed set, and through pgpawl under `coverage = "transaction"`, where it must not.
//!
//! A case is written as in `case`, but nobody waits for exact answers: every message is sent as soon as
//! it comes, and what its session is answered up to ReadyForQuery (or a COPY, or silence) is thrown away.
//! The committed set of `public.schema_migrations` is looked at by a direct session after every message,
//! so that a version that appears in the middle and is gone at the end counts too.
//!
//! - `check sql => guarded ~ direct` is asked as the owner when all sessions are over, at the end: for what the
//!   set of that one table does not show.
//! - A session whose name begins with `twin` goes through a second pgpawl before the same server.
//! - `session end` ends the current session.
//! - Where a case has a `=> wait`, nothing else in it waits: all messages before it go in one write.
//! - `(harmless)` in a name: the case does not lower directly, either. `(ends the session)`: it may.
//!
//! What is in `cases/evasions/known_gaps` must *still* get through: whoever closes one takes it off.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use std::time::Duration;

use pgpawl_integration_tests::case::{Case, File, Line, Step};
use pgpawl_integration_tests::pgpawl::Pgpawl;
use pgpawl_integration_tests::postgres::{OWNER, Postgres, SUPERUSER};
use pgpawl_integration_tests::wait;
use pgpawl_integration_tests::wire::{Client, Received, brief, error_fields, message};

/// How long a session may be silent before its next message is sent: it waits for another's lock.
const SILENCE: Duration = Duration::from_millis(400);

/// How long the end of a case may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How a session answers that is in no transaction and owes nothing.
const USABLE: [&str; 3] = ["row usable", "done SELECT 1", "ready I"];

/// The versions of the table that everybody attacks.
const LOOK: &str = "SELECT version::text FROM public.schema_migrations";

const KNOWN_GAPS: &str = include_str!("../../cases/evasions/known_gaps");

fn enforcing() -> Pgpawl {
    Pgpawl::before(Postgres::shared().port())
        .args(&["--mode", "enforce", "--coverage", "transaction"])
        .start()
}

static PGPAWL: LazyLock<Pgpawl> = LazyLock::new(enforcing);
/// One that is not let in to look for itself.
static BLIND: LazyLock<Pgpawl> = LazyLock::new(|| {
    Pgpawl::before(Postgres::shared().port())
        .args(&["--mode", "enforce", "--coverage", "transaction"])
        .args(&["--look-user", "nobody_of_this_name"])
        .start()
});
static TWIN: LazyLock<Pgpawl> = LazyLock::new(enforcing);

/// Which road a case takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Road {
    Direct,
    Guarded,
    Blind,
}

impl Road {
    fn port(self, session: &str) -> u16 {
        match self {
            Self::Direct => Postgres::shared().port(),
            Self::Guarded if session.starts_with("twin") => TWIN.port(),
            Self::Guarded => PGPAWL.port(),
            Self::Blind => BLIND.port(),
        }
    }
}

/// What came of a case along one road.
#[derive(Debug)]
struct Outcome {
    /// Versions that were committed and are gone, or checks that say so.
    lost: Vec<String>,
    /// What sessions are not usable afterwards.
    unusable: Vec<String>,
    /// Everything that was answered.
    transcript: Vec<String>,
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

fn run(road: Road, template: &str, case: &Case) -> Outcome {
    let database = Postgres::shared().copy(template, "evasion");
    let mut attack = Attack::new(road, &database);
    let waits = |line: &Line| matches!(line.step, Step::Answers(_));
    attack.outbox = case.lines.iter().any(waits).then(Vec::new);
    for line in &case.lines {
        attack.step(&line.step);
    }
    attack.finish()
}

/// The reason why a case of a file still gets through.
fn known_gap(file: &str, case: &str) -> Option<&'static str> {
    // A case's name begins with a word, then a colon and what it shows.
    let stem = case.split(':').next().unwrap_or(case);
    let wanted = format!("{file}/{stem}");
    KNOWN_GAPS.lines().find_map(|line| {
        let (name, reason) = line.split_once(" - ")?;
        (name.trim() == wanted).then(|| reason.trim())
    })
}

/// What is wrong with a case, if anything.
fn verdict(file: &str, case: &Case, template: &str) -> Option<String> {
    let direct = run(Road::Direct, template, case);
    let harmless = case.name.contains("(harmless)");
    if direct.lost.is_empty() != harmless {
        let said = direct.transcript.join("\n  ");
        let what = if harmless { "lowers" } else { "does not lower" };
        return Some(format!("{what} directly:\n  {said}"));
    }
    // Where it is a matter of what pgpawl can see of others, it is also run where that is nothing.
    let roads: &[Road] = match file {
        "concurrency" | "racy" => &[Road::Guarded, Road::Blind],
        _ => &[Road::Guarded],
    };
    roads.iter().find_map(|&road| {
        let why = verdict_on(road, file, case, template)?;
        Some(format!("{road:?}: {why}"))
    })
}

/// What is wrong with a case on a guarded road.
fn verdict_on(road: Road, file: &str, case: &Case, template: &str) -> Option<String> {
    let guarded = run(road, template, case);
    let said = guarded.transcript.join("\n  ");
    let gap = known_gap(file, &case.name);
    let ends = case.name.contains("(ends the session)");
    match (guarded.lost.is_empty(), gap) {
        (true, Some(reason)) => Some(format!(
            "no longer gets through: take it off known_gaps ({reason})\n  {said}"
        )),
        (false, None) => Some(format!("GETS THROUGH: {:?} lost\n  {said}", guarded.lost)),
        _ if !guarded.unusable.is_empty() && gap.is_none() && !ends => Some(format!(
            "not usable afterwards: {:?}\n  {said}",
            guarded.unusable
        )),
        _ => None,
    }
}

#[expect(clippy::disallowed_methods, reason = "as in `case`")]
fn is_wanted(case: &Case) -> bool {
    std::env::var("PGPAWL_TEST_CASE").map_or(true, |word| case.name.contains(&word))
}

fn check(name: &str, text: &str) {
    let postgres = Postgres::shared();
    let file = File::read(text);
    let template = postgres.database("evasions");
    postgres.run_all(&template, &file.setup);
    let major = postgres.major();
    let mut failures = Vec::new();
    for case in &file.cases {
        if !case.is_for(major) || !is_wanted(case) {
            continue;
        }
        if let Some(why) = verdict(name, case, &template) {
            failures.push(format!("{name}/{}: {why}", case.name));
        }
    }
    let count = failures.len();
    assert!(
        failures.is_empty(),
        "{count} of {}:\n\n{}\n",
        file.cases.len(),
        failures.join("\n\n")
    );
}

macro_rules! evasions {
    ($($(#[$attribute:meta])* $name:ident)*) => {
        $(#[test]
        $(#[$attribute])*
        fn $name() {
            let setup = include_str!("../../cases/evasions/setup");
            let cases = include_str!(concat!("../../cases/evasions/", stringify!($name), ".case"));
            check(stringify!($name), &format!("{setup}\n{cases}"));
        })*
    };
}

evasions! {
    code
    concurrency
    containers
    identifiers
    protocol
    racy
    sessions
    tables
}
