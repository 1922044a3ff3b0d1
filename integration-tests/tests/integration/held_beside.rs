//! What stands beside a run that is held: an application under load, and a tool that Ctrl-C ends.

use std::fs;
use std::path::Path;
use std::time::Duration;

use pgpawl_integration_tests::postgres::{OWNER, Postgres, SUPERUSER};
use pgpawl_integration_tests::tool::{Outcome, Running, Tool};
use pgpawl_integration_tests::wire::{Client, message};
use pgpawl_integration_tests::{paths, snapshot, wait};

use crate::matrix::{OLDEST_MAJOR, migrate};
use crate::shared;

/// A role that is no member of the owner's run.
const OTHER: &str = "other";

/// `hold_max_ms` as it is without configuration: longer nobody waits.
const HOLD_MAX: Duration = Duration::from_secs(5);

/// Transactions of the application between two migrations.
const BETWEEN: usize = 20;

/// A version table beside pgbench's tables.
const SETUP: [&str; 3] = [
    "CREATE TABLE schema_migrations (version varchar PRIMARY KEY)",
    "ALTER TABLE schema_migrations OWNER TO owner",
    "GRANT ALL ON ALL TABLES IN SCHEMA public TO other",
];

fn pgbench(port: u16, user: &str, database: &str) -> Tool {
    Tool::new(paths::system_postgres().join("pgbench")).connecting(port, user, database)
}

/// An application beside a run.
struct Beside {
    user: &'static str,
    protocol: &'static str,
    /// What the run does again and again; each has a column `step...`.
    change: fn(u32) -> String,
    /// Why that is committed before its record, as the metric's label begins; any reason when empty.
    reason: &'static str,
}

/// Changes of the schema, one after another, until the application has ended. Each is held until that
/// is in its way, and recorded then.
fn migrate_under_load(beside: &Beside, load: &mut Running, database: &str) {
    let labels = [
        format!("database=\"{database}\""),
        format!("fate=\"held-committed\",reason={}", beside.reason),
    ];
    let labels = labels.each_ref().map(String::as_str);
    let settled = || shared().metric("pgpawl_holds_total", &labels);
    let transactions = || {
        let transactions =
            Postgres::shared().value(database, "SELECT count(*) FROM pgbench_history");
        transactions.parse::<usize>().expect("a number")
    };
    let mut session = Client::session(shared().port(), OWNER, database);
    session.rows("SELECT version FROM schema_migrations");
    for number in 100.. {
        let (settled_before, transactions_before) = (settled(), transactions());
        session.rows(&(beside.change)(number));
        wait::until_true("the application needs what is held", || {
            settled() > settled_before || load.has_ended()
        });
        let record = format!("INSERT INTO schema_migrations VALUES ('{number}')");
        session.rows(&record);
        wait::until_true("the application goes on", || {
            transactions() > transactions_before + BETWEEN || load.has_ended()
        });
        if load.has_ended() {
            break;
        }
    }
    session.end();
    assert!(settled() > 0.0, "nothing held was in the way");
}

/// The longest transaction of pgbench's logs, whose third column is its time in microseconds.
fn slowest(folder: &Path) -> Duration {
    let files = fs::read_dir(folder).expect("pgbench's folder");
    let texts = files.map(|file| fs::read_to_string(file.expect("a log").path()).expect("text"));
    let times = texts.flat_map(|text| {
        let time = |line: &str| line.split(' ').nth(2)?.parse::<u64>().ok();
        text.lines().filter_map(time).collect::<Vec<_>>()
    });
    Duration::from_micros(times.max().expect("transactions"))
}

impl Beside {
    fn is_undisturbed(&self) {
        let postgres = Postgres::shared();
        let database = postgres.database("beside");
        pgbench(postgres.port(), OWNER, &database)
            .args(["--initialize", "--quiet"])
            .run()
            .succeeded("pgbench's tables");
        postgres.run_all(&database, &SETUP);

        let logs = tempfile::tempdir().expect("a folder");
        let mut load = pgbench(shared().port(), self.user, &database)
            .args([
                "--no-vacuum",
                "--client=4",
                "--time=4",
                "--log",
                "--protocol",
            ])
            .args([self.protocol])
            .within(logs.path())
            .start();
        migrate_under_load(self, &mut load, &database);

        // A failed transaction would end its client, and the exit code were another.
        let said = load.outcome().succeeded("pgbench").text();
        assert!(!said.contains("ERROR"), "{said}");
        let slowest = slowest(logs.path());
        assert!(slowest < HOLD_MAX, "{slowest:?}: {said}");
        let deadlock = format!(" {database} ERROR:  deadlock detected");
        assert!(!postgres.log().contains(&deadlock), "{deadlock}");
        let columns = "SELECT count(*) FROM pg_attribute WHERE attname ~ '^step[0-9]+$'";
        let records = "SELECT count(*) FROM schema_migrations";
        let [columns, records] = [columns, records].map(|sql| postgres.value(&database, sql));
        assert_eq!(columns, records, "what is recorded is there");
    }
}

fn alter_what_is_in_use(number: u32) -> String {
    format!("ALTER TABLE pgbench_accounts ADD COLUMN step{number} integer")
}

fn create_what_is_in_no_ones_way(number: u32) -> String {
    format!("CREATE TABLE more{number} (step{number} integer)")
}

/// pgpawl sees that the application waits for locks.
#[test]
fn an_application_by_another_role() {
    let beside = Beside {
        user: OTHER,
        protocol: "simple",
        change: alter_what_is_in_use,
        reason: "\"lock\"",
    };
    beside.is_undisturbed();
}

/// A part of the run, whose statements may also have reached the server before the change is held.
#[test]
fn an_application_by_the_same_role() {
    let beside = Beside {
        user: OWNER,
        protocol: "extended",
        change: alter_what_is_in_use,
        reason: "",
    };
    beside.is_undisturbed();
}

/// A part of the run, which waits for nothing: its next statement is about something else.
#[test]
fn an_application_in_the_run() {
    let beside = Beside {
        user: OWNER,
        protocol: "prepared",
        change: create_what_is_in_no_ones_way,
        reason: "\"run\"",
    };
    beside.is_undisturbed();
}

/// What an interrupted migration leaves.
struct Left {
    interrupted: Outcome,
    rest: String,
    history: String,
    /// The same command afterwards.
    again: Outcome,
}

/// Where Ctrl-C strikes: the second migration of `app`, while it waits for a lock on `locked`.
struct Place {
    app: &'static str,
    driver: &'static str,
    locked: &'static str,
}

impl Place {
    fn strike(&self, port: u16) -> Left {
        let postgres = Postgres::shared();
        let database = postgres.database("interrupted");
        let to = |version| migrate(self.app, self.driver, &[self.app, version], port, &database);
        to("0001").run().succeeded("the first migration");

        let mut holder = Client::session(postgres.port(), SUPERUSER, &database);
        holder.rows("BEGIN");
        // Who reads is not in its way, who writes is.
        holder.rows(&format!("LOCK TABLE {} IN SHARE MODE", self.locked));
        let running = to("0002").start();
        let waiting = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}' AND wait_event_type = 'Lock'"
        );
        let waits = || postgres.value("postgres", &waiting) != "0";
        wait::until_true("the migration waits", waits);
        running.interrupt();
        if self.driver == "psycopg3" {
            // It cancels its statement; psycopg 2 sees the signal when the statement has ended.
            wait::until_true("the migration no longer waits", || !waits());
        }
        holder.rows("COMMIT");
        holder.end();
        let interrupted = running.outcome();
        assert_ne!(interrupted.code, Some(0), "{}", interrupted.text());

        let sessions =
            format!("SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}'");
        wait::until_true("all sessions end", || {
            postgres.value("postgres", &sessions) == "0"
        });
        let history = postgres.value(
            &database,
            "SELECT string_agg(name, ' ' ORDER BY id) FROM django_migrations",
        );
        Left {
            interrupted,
            rest: snapshot::without_rows_of(&database, &["django_migrations"]),
            history,
            again: to("0002").run(),
        }
    }

    /// Through pgpawl it leaves what it leaves directly: half of a migration, too, where that is what
    /// the tool was told. Whether it can be run again says `again`.
    fn leaves_what_it_does_directly(&self, again: Option<i32>) {
        if Postgres::shared().major() < OLDEST_MAJOR || !snapshot::is_possible() {
            return;
        }
        let direct = self.strike(Postgres::shared().port());
        let guarded = self.strike(shared().port());
        let said = guarded.interrupted.text();
        assert_eq!(guarded.interrupted.code, direct.interrupted.code, "{said}");
        assert_eq!(guarded.history, direct.history, "{said}");
        snapshot::assert_same("what Ctrl-C leaves", &guarded.rest, &direct.rest);
        assert_eq!(direct.again.code, again, "{}", direct.again.text());
        assert_eq!(guarded.again.code, again, "{}", guarded.again.text());
    }
}

/// In the middle of its transaction, which is rolled back.
#[test]
fn ctrl_c_within_a_transaction() {
    for driver in ["psycopg2", "psycopg3"] {
        let place = Place {
            app: "trade",
            driver,
            locked: "trade_customer",
        };
        place.leaves_what_it_does_directly(Some(0));
    }
}

/// Between its COMMIT, which is held, and its record.
#[test]
fn ctrl_c_before_the_record() {
    for (driver, again) in [("psycopg2", Some(0)), ("psycopg3", Some(1))] {
        let place = Place {
            app: "trade",
            driver,
            locked: "django_migrations",
        };
        place.leaves_what_it_does_directly(again);
    }
}

/// Behind statements of its own transactions, which are held.
#[test]
fn ctrl_c_without_a_transaction() {
    let place = Place {
        app: "nonatomic",
        driver: "psycopg3",
        locked: "nonatomic_customer",
    };
    place.leaves_what_it_does_directly(Some(1));
}

/// A database with a version table of the owner's, and two sessions of one run in it.
fn two_sessions(stem: &str) -> (String, [Client; 2]) {
    let postgres = Postgres::shared();
    let database = postgres.database(stem);
    postgres.run(&database, SETUP[0]);
    postgres.run(&database, SETUP[1]);
    postgres.run(&database, "GRANT CREATE ON SCHEMA public TO owner");
    let sessions = [(); 2].map(|()| Client::session(shared().port(), OWNER, &database));
    (database, sessions)
}

/// A session that is in the middle of a statement commits what it holds behind it, and another session of the run
/// waits for that: it was told that the table is there.
#[test]
fn another_session_finds_what_a_busy_one_was_told() {
    let postgres = Postgres::shared();
    let (database, [mut busy, mut other]) = two_sessions("busy");
    let mut holder = Client::session(postgres.port(), SUPERUSER, &database);
    busy.rows("SELECT version FROM schema_migrations");
    for number in 0..5 {
        busy.rows(&format!("CREATE TABLE t{number} (id int)"));
        holder.rows("SELECT pg_advisory_lock(1)");
        busy.send(&message::query(b"SELECT pg_advisory_lock_shared(1)"));
        let active = format!(
            "SELECT count(*) FROM pg_stat_activity \
             WHERE datname = '{database}' AND wait_event = 'advisory'"
        );
        wait::until_true("it is busy", || postgres.value("postgres", &active) == "1");
        let insert = format!("INSERT INTO t{number} VALUES (1)");
        other.send(&message::query(insert.as_bytes()));
        holder.rows("SELECT pg_advisory_unlock(1)");
        assert_eq!(
            other.answered(),
            ["done INSERT 0 1", "ready I"],
            "t{number}"
        );
        busy.until_ready();
        busy.rows("SELECT pg_advisory_unlock_shared(1)");
    }
}

/// So does one whose text has also read a version table.
#[test]
fn a_text_of_several_statements_finds_what_another_session_was_told() {
    let (_, [mut first, mut other]) = two_sessions("several");
    first.rows("SELECT version FROM schema_migrations");
    first.rows("CREATE TABLE t (id int)");
    let text = "SELECT count(*) FROM schema_migrations; INSERT INTO t VALUES (1)";
    let answer = other.answer(text);
    assert!(answer.contains(&"done INSERT 0 1".to_owned()), "{answer:?}");
    first.end();
    other.end();
}
