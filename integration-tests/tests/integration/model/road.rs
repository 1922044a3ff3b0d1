//! One road to the server, with its database: the sessions that go along it, and a superuser beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use pgpawl_integration_tests::postgres::{OWNER, Postgres, SUPERUSER};
use pgpawl_integration_tests::wait;
use pgpawl_integration_tests::wire::{Client, message};

use super::alphabet::{Program, Protocol, Statement, Step};
use super::answer::{Answer, Look};
use super::strategy::SESSIONS;
use super::text::{COPIED, COPY_IN, TRANSACTION_ID};

const SETUP: &str = include_str!("setup.sql");
/// How long pgpawl may rely on a list of the guarded tables, and a little more (`TABLES_AGE_MAX_MS`).
const LISTED_AFTER: Duration = Duration::from_millis(250);

const RESET: &str = include_str!("reset.sql");
const OBSERVER: &str = include_str!("observer.sql");

/// How long a session waits for another one's lock; nothing that only costs time.
const SETTINGS: [&str; 3] = [
    "lock_timeout = '100ms'",
    "log_statement = 'none'",
    "jit = off",
];

/// What asks within the session itself.
const LOOK: &str = "SELECT observer.look()";

/// How long the server may take to be in the state that was told.
const STATE_MAX: Duration = Duration::from_secs(2);

/// A road; it is used for one program after another.
#[derive(Debug)]
pub struct Road {
    database: String,
    port: u16,
    superuser: Client,
    sessions: [Option<Session>; SESSIONS],
    /// Whether the sessions look by themselves.
    looks: bool,
    /// Whether commits may be held on it.
    pub holds: bool,
    /// Whether pgpawl can look at what is committed.
    sees: bool,
    left: Left,
    fresh_schema: String,
}

/// What the last program may have left behind.
#[derive(Clone, Copy, Debug)]
enum Left {
    /// Other rows.
    Rows,
    /// Other tables, or a prepared transaction.
    Schema,
    /// It broke an invariant: anything.
    Ruins,
}

#[derive(Debug)]
struct Session {
    client: Client,
    database: String,
    process: String,
    used: bool,
    /// The settings that it was told, by their names.
    told: BTreeMap<String, String>,
    /// The texts of its statements that are kept.
    kept: BTreeSet<String>,
}

impl Road {
    /// A new database, reached by `port`.
    pub fn new(name: &str, port: u16, looks: bool, holds: bool, sees: bool) -> Self {
        let server = Postgres::shared();
        let database = server.database(name);
        let set = |setting: &str| format!("ALTER DATABASE {database} SET {setting}");
        let settings = SETTINGS.map(set);
        server.run_all(&database, &settings);
        server.run(&database, OBSERVER);
        let mut superuser = Client::session(server.port(), SUPERUSER, &database);
        superuser.rows("SET lock_timeout = '10ms'");
        Self {
            database,
            port,
            superuser,
            sessions: [const { None }; SESSIONS],
            looks,
            holds,
            sees,
            left: Left::Ruins,
            fresh_schema: String::new(),
        }
    }

    /// Makes the world that every program starts from.
    ///
    /// # Errors
    /// A session is not as it should be after the last program.
    pub fn reset(&mut self) -> Result<(), String> {
        match std::mem::replace(&mut self.left, Left::Ruins) {
            Left::Ruins => {
                self.end_sessions();
                self.roll_back_prepared();
                self.make();
            }
            Left::Schema => {
                self.clean_sessions()?;
                self.roll_back_prepared();
                if self.schema() != self.fresh_schema {
                    self.make();
                }
            }
            Left::Rows => self.clean_sessions()?,
        }
        self.superuser.rows(RESET);
        for session in &mut self.sessions {
            session.get_or_insert_with(|| Session::start(self.port, &self.database));
        }
        Ok(())
    }

    /// The program is over, and all was as it should be.
    pub fn keep(&mut self, program: &Program) {
        let spoils = |one: Statement| one.is_ddl() || one.is_two_phase();
        let spoiled = program.statements().any(spoils);
        self.left = if spoiled { Left::Schema } else { Left::Rows };
        if !self.sees && program.statements().any(Statement::is_hidden) {
            // Counters of earlier transactions look like the next one's, and nobody can be asked.
            self.end_sessions();
        }
    }

    fn make(&mut self) {
        self.superuser.rows(SETUP);
        self.superuser.rows("RESET ROLE");
        self.fresh_schema = self.schema();
        if !self.looks {
            // These tables come by a road that pgpawl does not see: it knows them by then.
            wait::within(LISTED_AFTER, || None::<()>);
        }
    }

    /// Which tables, views and columns there are.
    fn schema(&mut self) -> String {
        self.superuser
            .rows("SELECT observer.schema()")
            .concat()
            .concat()
    }

    /// Ends all sessions by force.
    pub fn end_sessions(&mut self) {
        self.sessions = [const { None }; SESSIONS];
        let others = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}' AND pid <> pg_backend_pid() AND backend_type = 'client backend'",
            self.database
        );
        let superuser = &mut self.superuser;
        wait::until_true("all sessions have ended", || {
            superuser.rows(&others).is_empty()
        });
    }

    fn roll_back_prepared(&mut self) {
        let prepared = format!(
            "SELECT gid FROM pg_prepared_xacts WHERE database = '{}'",
            self.database
        );
        for row in self.superuser.rows(&prepared) {
            self.superuser
                .rows(&format!("ROLLBACK PREPARED '{}'", row.concat()));
        }
    }

    /// Every used session is as new; each answers just what it is asked.
    fn clean_sessions(&mut self) -> Result<(), String> {
        for session in self.sessions.iter_mut().flatten() {
            if !std::mem::take(&mut session.used) {
                continue;
            }
            for command in ["ROLLBACK", "DISCARD ALL"] {
                let answer = session.ask(&message::query(command.as_bytes()));
                if answer.lines != [format!("done {command}"), "ready I".into()] {
                    return Err(format!("a session is not usable afterwards: {answer:?}"));
                }
            }
            session.kept.clear();
        }
        Ok(())
    }

    /// Ends what is open, so that everything that was committed can be read. Whether what a session held was
    /// undone, and the session with it.
    pub fn roll_back(&mut self) -> bool {
        let mut undone = false;
        for session in self.sessions.iter_mut().flatten() {
            if session.used {
                undone |= session.ask(&message::query(b"ROLLBACK")).is_undone();
            }
        }
        self.roll_back_prepared();
        undone
    }

    /// Sends a step and reads its answer.
    pub fn step(&mut self, step: &Step) -> Answer {
        let texts = self.texts(step);
        let session = self.sessions[step.session]
            .as_mut()
            .expect("a reset before every program");
        let mut answer = session.send(step.protocol, &texts);
        let lines = answer.lines.iter_mut();
        lines.for_each(|line| *line = line.replace(&self.database, "DATABASE"));
        answer
    }

    fn texts(&self, step: &Step) -> Vec<String> {
        let mut texts = Vec::new();
        for statement in &step.statements {
            let looks = self.looks && statement.may_change_a_history();
            for text in statement.texts() {
                texts.push(text);
                if looks && step.protocol != Protocol::Simple {
                    texts.push(LOOK.into());
                }
            }
            if looks && step.protocol == Protocol::Simple {
                texts.push(LOOK.into());
            }
        }
        texts
    }

    /// The committed versions as they are now, after a look at what the server says of the session:
    /// `told` is the status that it was told.
    pub fn look(&mut self, session: usize, told: char) -> Result<Look, String> {
        let process = self.sessions[session]
            .as_ref()
            .map_or("0", |session| &session.process);
        let query =
            format!("SELECT observer.look(), (SELECT state FROM pg_stat_get_activity({process}))");
        let expected = match told {
            'I' if self.holds => ["idle", "idle in transaction"],
            'I' => ["idle"; 2],
            'T' => ["idle in transaction"; 2],
            'E' => ["idle in transaction (aborted)"; 2],
            other => return Err(format!("the session is lost: {other}")),
        };
        let superuser = &mut self.superuser;
        let mut last = Vec::new();
        let found = wait::within(STATE_MAX, || {
            last = superuser.rows(&query).concat();
            let state = last.get(1).map(String::as_str);
            state
                .is_some_and(|state| expected.contains(&state))
                .then_some(())
        });
        match found {
            Some(()) => Ok(Look::parse(last[0].trim_start_matches("look:"))),
            None => Err(format!(
                "the client was told {told}, but the server is {:?}",
                last.get(1)
            )),
        }
    }

    /// The committed versions, whatever the sessions do.
    pub fn look_alone(&mut self) -> Look {
        let found = self
            .superuser
            .rows("SELECT observer.look()")
            .concat()
            .concat();
        Look::parse(found.trim_start_matches("look:"))
    }

    /// Waits until nothing is held; all sessions were rolled back.
    pub fn settle(&mut self) {
        let held = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                    AND state LIKE 'idle in transaction%'";
        let superuser = &mut self.superuser;
        wait::until_true("nothing is held", || superuser.rows(held).concat() == ["0"]);
    }

    /// Everything that is committed.
    pub fn contents(&mut self) -> String {
        self.superuser
            .rows("SET LOCAL lock_timeout = '10s'; SELECT observer.contents()")
            .concat()
            .concat()
    }
}

impl Session {
    fn start(port: u16, database: &str) -> Self {
        let mut client = Client::connect(port);
        let parameters = [("user", OWNER), ("database", database)];
        client.send(&message::startup(message::V3_0, &parameters));
        let told = Answer::read(&mut client).settings;
        let process = client.rows("SELECT pg_backend_pid()").concat().concat();
        Self {
            client,
            database: database.to_owned(),
            process,
            used: false,
            told,
            kept: BTreeSet::new(),
        }
    }

    /// Sends these texts, as one batch but for the Parses of those that are kept.
    fn send(&mut self, protocol: Protocol, texts: &[String]) -> Answer {
        if protocol == Protocol::Simple {
            let query = message::query(self.own(&texts.join("; ")).as_bytes());
            let rows = texts.iter().flat_map(|text| rows(text));
            return self.ask(&query.into_iter().chain(rows).collect::<Vec<u8>>());
        }
        let mut before = Vec::new();
        for text in texts {
            if protocol == Protocol::Kept && text != LOOK && !self.kept.contains(text) {
                let parse = message::parse(&kept(text), self.own(text).as_bytes());
                let made = self.ask(&[parse, message::sync()].concat());
                if made.errors.is_empty() {
                    self.kept.insert(text.clone());
                }
                before.push(made);
            }
        }
        let batch = (texts.iter()).flat_map(|text| self.extended(protocol, text));
        let batch: Vec<u8> = batch.chain(message::sync()).collect();
        let answer = self.ask(&batch);
        before.into_iter().rfold(answer, Answer::after)
    }

    /// A text with a name of its own in it for a prepared transaction.
    fn own(&self, text: &str) -> String {
        text.replace(TRANSACTION_ID, &self.database)
    }

    /// The messages that run a text.
    fn extended(&self, protocol: Protocol, text: &str) -> Vec<u8> {
        let name = match protocol {
            _ if text == LOOK => String::new(),
            Protocol::Simple | Protocol::Unnamed => String::new(),
            Protocol::Named => "s".to_owned(),
            Protocol::Kept => kept(text),
        };
        let mut bytes = Vec::new();
        if protocol == Protocol::Named && !name.is_empty() {
            bytes.extend(message::named(b'C', b'S', &name));
        }
        if protocol != Protocol::Kept || name.is_empty() {
            bytes.extend(message::parse(&name, self.own(text).as_bytes()));
        }
        bytes.extend(message::bind("", &name, &[]));
        if !name.is_empty() {
            bytes.extend(message::named(b'D', b'P', ""));
        }
        bytes.extend(message::execute("", 0));
        bytes.extend(rows(text));
        bytes
    }

    /// Sends messages that are answered by one ReadyForQuery. The answer's settings are all that were
    /// ever told.
    fn ask(&mut self, bytes: &[u8]) -> Answer {
        self.used = true;
        self.client.send(bytes);
        let mut answer = Answer::read(&mut self.client);
        self.told.append(&mut answer.settings);
        answer.settings.clone_from(&self.told);
        answer
    }
}

/// The name of the statement of this text that is kept.
fn kept(text: &str) -> String {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    format!("kept_{:016x}", hasher.finish())
}

/// What a text wants from the client when it runs.
fn rows(text: &str) -> Vec<u8> {
    if text == COPY_IN {
        [message::tagged(b'd', COPIED), message::tagged(b'c', b"")].concat()
    } else {
        Vec::new()
    }
}
