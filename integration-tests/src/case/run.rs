//! Runs a file of cases along one road, and compares what is answered.

use std::collections::BTreeMap;
use std::time::Duration;

use super::parse::{Case, File, Step, Words};
use crate::pgpawl::Pgpawl;
use crate::postgres::{OWNER, Postgres};
use crate::wire::{Client, Frame, Received, brief, error_fields, full, message};

/// How long the next answer may take before a case is given up.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// In place of an answer that does not come.
const NOTHING: &str = "nothing more";

/// The road that a case takes to the server.
#[derive(Clone, Copy, Debug)]
pub enum Route<'a> {
    /// Straight.
    Direct,
    /// Through pgpawl in mode off.
    Off(&'a Pgpawl),
    /// Through pgpawl in log mode.
    Log(&'a Pgpawl),
    /// Through pgpawl in enforce mode.
    Enforce(&'a Pgpawl),
    /// Through pgpawl in enforce mode, under transaction coverage.
    EveryTransaction(&'a Pgpawl),
}

impl Route<'_> {
    fn port(&self, postgres: &Postgres) -> u16 {
        match self {
            Self::Direct => postgres.port(),
            Self::Off(pgpawl)
            | Self::Log(pgpawl)
            | Self::Enforce(pgpawl)
            | Self::EveryTransaction(pgpawl) => pgpawl.port(),
        }
    }

    fn words<'w>(&self, words: &'w Words) -> &'w str {
        match self {
            Self::Enforce(_) | Self::EveryTransaction(_) => &words.guarded,
            Self::Direct | Self::Off(_) | Self::Log(_) => &words.unguarded,
        }
    }

    /// The verdict that a case of a lowering is told about, with who tells.
    fn tells(&self) -> Option<(&Pgpawl, &'static str)> {
        match self {
            Self::Enforce(pgpawl) | Self::EveryTransaction(pgpawl) => Some((pgpawl, "refuse")),
            Self::Log(pgpawl) => Some((pgpawl, "would-refuse")),
            Self::Direct | Self::Off(_) => None,
        }
    }
}

/// Runs each case directly, which shows that it means what it says (that it *would* lower), and along
/// each of `routes`. What the guard leaves alone must be answered in the same bytes as directly.
pub fn run_file(postgres: &Postgres, text: &str, routes: &[Route<'_>]) {
    let file = File::read(text);
    assert!(!file.cases.is_empty(), "a file without cases");
    let major = postgres.major();
    let template = postgres.database("template");
    postgres.run_all(&template, &file.setup);
    let mut failures = Vec::new();
    for case in file
        .cases
        .iter()
        .filter(|case| case.is_for(major) && is_wanted(case))
    {
        let direct = match run_case(postgres, &template, case, &Route::Direct) {
            Ok(transcript) => transcript,
            Err(why) => {
                failures.push(format!("{} (direct): {why}", case.name));
                continue;
            }
        };
        let covered = |route: &&Route<'_>| match route {
            Route::EveryTransaction(_) => !case.statement_only,
            Route::Enforce(_) | Route::Log(_) => !case.transaction_only,
            Route::Direct | Route::Off(_) => true,
        };
        for route in routes.iter().filter(covered) {
            let guarded = matches!(route, Route::Enforce(_) | Route::EveryTransaction(_));
            let same = !case.is_refused() || !guarded;
            let name = format!("{} ({})", case.name, route_name(route));
            match run_case(postgres, &template, case, route) {
                Err(why) => failures.push(format!("{name}: {why}")),
                Ok(transcript) if same && transcript != direct => {
                    failures.push(format!(
                        "{name}: {}",
                        first_difference(&direct, &transcript)
                    ));
                }
                Ok(_) => {}
            }
        }
    }
    let count = failures.len();
    assert!(
        failures.is_empty(),
        "{count} failures:\n\n{}\n",
        failures.join("\n\n")
    );
}

/// `PGPAWL_TEST_CASE=word cargo test` runs only the cases with that word in their names.
#[expect(
    clippy::disallowed_methods,
    reason = "a filter for the person at the keyboard"
)]
fn is_wanted(case: &Case) -> bool {
    std::env::var("PGPAWL_TEST_CASE").map_or(true, |word| case.name.contains(&word))
}

fn route_name(route: &Route<'_>) -> &'static str {
    match route {
        Route::Direct => "direct",
        Route::Off(_) => "off",
        Route::Log(_) => "log",
        Route::Enforce(_) => "enforce",
        Route::EveryTransaction(_) => "transaction coverage",
    }
}

/// What every session of a case was sent, in full.
type Transcript = Vec<String>;

fn run_case(
    postgres: &Postgres,
    template: &str,
    case: &Case,
    route: &Route<'_>,
) -> Result<Transcript, String> {
    let database = postgres.copy(template, "case");
    let mut run = Run::new(postgres, *route, &database);
    for line in &case.lines {
        run.step(&line.step)
            .map_err(|why| format!("line {}: {why}", line.number))?;
    }
    run.all_usable()?;
    run.events_fit(case)?;
    Ok(run.transcript)
}

struct Run<'a> {
    postgres: &'a Postgres,
    route: Route<'a>,
    database: &'a str,
    sessions: BTreeMap<String, Client>,
    current: String,
    outbox: Vec<u8>,
    last_error: String,
    transcript: Transcript,
}

impl<'a> Run<'a> {
    fn new(postgres: &'a Postgres, route: Route<'a>, database: &'a str) -> Self {
        Self {
            postgres,
            route,
            database,
            sessions: BTreeMap::new(),
            current: "1".into(),
            outbox: Vec::new(),
            last_error: String::new(),
            transcript: Vec::new(),
        }
    }

    fn step(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Setup(sql) => {
                self.postgres.run(self.database, sql);
            }
            Step::Session(name) => self.current.clone_from(name),
            Step::Start(parameters) => self.start(parameters)?,
            Step::Send(bytes) => self.outbox.extend(bytes),
            Step::Answers(words) => self.answers(words)?,
            Step::Check(sql, words) => {
                let found = self.postgres.value(self.database, sql);
                same(self.route.words(words), &found)?;
            }
            Step::Said(text) => {
                if matches!(self.route, Route::Enforce(_))
                    && !self.last_error.contains(text.as_str())
                {
                    return Err(format!("not said: {text}\n  but: {}", self.last_error));
                }
            }
            Step::Reason(word) => {
                if let Some((pgpawl, verdict)) = self.route.tells() {
                    pgpawl.event(&[
                        ("database", self.database),
                        ("verdict", verdict),
                        ("reason", word),
                    ])?;
                }
            }
        }
        Ok(())
    }

    fn start(&mut self, parameters: &[(String, String)]) -> Result<(), String> {
        let database = self.database.to_owned();
        let mut all = vec![("user", OWNER), ("database", &database)];
        for (name, value) in parameters {
            all.retain(|(known, _)| known != name);
            all.push((name, value));
        }
        let port = self.route.port(self.postgres);
        let client = Client::start(port, message::V3_0, &all)?;
        self.sessions.insert(self.current.clone(), client);
        Ok(())
    }

    fn client(&mut self) -> Result<&mut Client, String> {
        if !self.sessions.contains_key(&self.current) {
            self.start(&[])?;
        }
        self.sessions
            .get_mut(&self.current)
            .ok_or_else(|| "no session".into())
    }

    /// Sends what was written, then reads as many answers as are expected; stops at the first that differs.
    fn answers(&mut self, words: &Words) -> Result<(), String> {
        let bytes = std::mem::take(&mut self.outbox);
        self.client()?.send(&bytes);
        let expected = self.route.words(words);
        let mut found: Vec<String> = Vec::new();
        loop {
            let seen = found.join(", ");
            if seen == expected {
                return Ok(());
            }
            if !expected.starts_with(&seen) || found.last().is_some_and(|last| last == NOTHING) {
                return Err(format!(
                    "expected {expected}\n     got {seen}\n  error {}",
                    self.last_error
                ));
            }
            let Some(received) = self.client()?.receive_within(ANSWER_MAX) else {
                found.push(NOTHING.into());
                continue;
            };
            match received {
                Received::Closed => found.push("closed".into()),
                Received::Frame(frame) => {
                    self.note(&frame);
                    found.extend(brief(&frame));
                }
            }
        }
    }

    fn note(&mut self, frame: &Frame) {
        if frame.tag == b'E' {
            let fields = error_fields(frame);
            let texts =
                ['M', 'D', 'H'].map(|letter| fields.get(&letter).cloned().unwrap_or_default());
            self.last_error = texts.join(" / ");
        }
        let text = full(frame).replace(self.database, "DATABASE");
        self.transcript.push(format!("{}: {text}", self.current));
    }

    /// Every session that is still open answers once more, and nothing but that.
    fn all_usable(&mut self) -> Result<(), String> {
        for (name, client) in &mut self.sessions {
            client.send(&message::query(b"ROLLBACK"));
            let rolled_back = read_brief(client);
            if rolled_back == ["closed"] {
                continue;
            }
            client.send(&message::query(b"SELECT 'usable'"));
            let answer = read_brief(client);
            if answer != ["row usable", "done SELECT 1", "ready I"] {
                return Err(format!(
                    "session {name} is not usable: {rolled_back:?}, {answer:?}"
                ));
            }
        }
        Ok(())
    }

    /// A case of a lowering is told about, and no other is.
    fn events_fit(&self, case: &Case) -> Result<(), String> {
        let (Route::Off(pgpawl) | Route::Log(pgpawl) | Route::Enforce(pgpawl)) = self.route else {
            return Ok(());
        };
        if let Some((pgpawl, verdict)) = self.route.tells()
            && case.is_refused()
        {
            return pgpawl
                .event(&[("database", self.database), ("verdict", verdict)])
                .map(drop);
        }
        let told = ["refuse", "would-refuse"]
            .map(|verdict| pgpawl.events_with(&[("database", self.database), ("verdict", verdict)]))
            .concat();
        told.first()
            .map_or(Ok(()), |event| Err(format!("unexpected event: {event}")))
    }
}

/// Up to ReadyForQuery, the end or silence.
fn read_brief(client: &mut Client) -> Vec<String> {
    let mut found = Vec::new();
    loop {
        match client.receive_within(ANSWER_MAX) {
            None => found.push(NOTHING.into()),
            Some(Received::Closed) => found.push("closed".into()),
            Some(Received::Frame(frame)) => {
                found.extend(brief(&frame));
                if frame.tag != b'Z' {
                    continue;
                }
            }
        }
        return found;
    }
}

fn same(expected: &str, found: &str) -> Result<(), String> {
    if expected == found {
        return Ok(());
    }
    Err(format!("expected {expected}\n     got {found}"))
}

fn first_difference(direct: &[String], through: &[String]) -> String {
    let at = direct
        .iter()
        .zip(through)
        .take_while(|(one, other)| one == other)
        .count();
    let line = |lines: &[String]| lines.get(at).cloned().unwrap_or_else(|| "nothing".into());
    format!(
        "not the same bytes\n  direct  {}\n  through {}",
        line(direct),
        line(through)
    )
}
