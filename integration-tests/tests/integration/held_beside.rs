//! What stands beside a run that is held: an application under load, and a tool that Ctrl-C ends.

use std::fs;
use std::path::Path;
use std::time::Duration;

use pgpawl_integration_tests::pgpawl::Pgpawl;
use pgpawl_integration_tests::postgres::{OWNER, Postgres, SUPERUSER};
use pgpawl_integration_tests::tool::{Outcome, Running, Tool};
use pgpawl_integration_tests::wire::Client;
use pgpawl_integration_tests::{paths, snapshot, wait};

use crate::matrix::migrate;
use crate::shared;

/// Of the role that is no member of the run: it may do what the owner may.
const APPLICATION: &str = "application";

/// `hold_max_ms` as it is without configuration: longer nobody waits.
const HOLD_MAX: Duration = Duration::from_secs(5);

/// Transactions of the application between two migrations.
const BETWEEN: usize = 50;

/// A version table beside pgbench's tables.
const VERSIONS: [&str; 2] = [
    "CREATE TABLE schema_migrations (version varchar PRIMARY KEY)",
    "ALTER TABLE schema_migrations OWNER TO owner",
];

fn pgbench(port: u16, user: &str, database: &str) -> Tool {
    Tool::new(paths::system_postgres().join("pgbench")).connecting(port, user, database)
}

/// Columns are added to the table that the application writes, one after another. Each is held until the
/// application is in its way, and recorded then.
fn migrate_under_load(load: &mut Running, pgpawl: &Pgpawl, direct: &mut Client, database: &str) {
    let settled = || pgpawl.metric("pgpawl_holds_total", &["fate=\"held-committed\""]);
    let mut session = Client::session(pgpawl.port(), OWNER, database);
    session.rows("SELECT version FROM schema_migrations");
    for number in 100.. {
        let before = (settled(), transactions(direct));
        session.rows(&format!(
            "ALTER TABLE pgbench_accounts ADD COLUMN c{number} integer"
        ));
        wait::until_true("the application needs what is held", || {
            settled() > before.0 || load.has_ended()
        });
        session.rows(&format!(
            "INSERT INTO schema_migrations VALUES ('{number}')"
        ));
        wait::until_true("the application goes on", || {
            transactions(direct) > before.1 + BETWEEN || load.has_ended()
        });
        if load.has_ended() {
            break;
        }
    }
    session.end();
    assert!(settled() > 2.0, "what is held is in the application's way");
}

fn transactions(direct: &mut Client) -> usize {
    let rows = direct.rows("SELECT count(*) FROM pgbench_history");
    rows[0][0].parse().expect("a number")
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

fn assert_undisturbed(user: &str) {
    let postgres = Postgres::start();
    let role = format!("CREATE ROLE {APPLICATION} LOGIN IN ROLE {OWNER}");
    postgres.run("postgres", &role);
    let database = postgres.database("beside");
    pgbench(postgres.port(), OWNER, &database)
        .args(["--initialize", "--quiet"])
        .run()
        .succeeded("pgbench's tables");
    postgres.run_all(&database, &VERSIONS);
    let pgpawl = Pgpawl::before(postgres.port()).start();

    let logs = tempfile::tempdir().expect("a folder");
    let mut load = pgbench(pgpawl.port(), user, &database)
        .args(["--no-vacuum", "--client=4", "--time=4", "--log"])
        .within(logs.path())
        .start();
    let mut direct = Client::session(postgres.port(), SUPERUSER, &database);
    migrate_under_load(&mut load, &pgpawl, &mut direct, &database);

    let outcome = load.outcome().succeeded("pgbench");
    assert!(!outcome.text().contains("ERROR"), "{}", outcome.text());
    assert!(!postgres.log().contains("deadlock"), "{}", postgres.log());
    let slowest = slowest(logs.path());
    assert!(slowest < HOLD_MAX, "{slowest:?}");
    let columns = "SELECT count(*) FROM pg_attribute WHERE attrelid = 'pgbench_accounts'::regclass \
         AND attname ~ '^c\\d+$' AND NOT attisdropped";
    let records = "SELECT count(*) FROM schema_migrations";
    assert_eq!(
        postgres.value(&database, columns),
        postgres.value(&database, records),
        "what is recorded is there"
    );
    let holds = pgpawl.get("/metrics").text;
    let holds = holds
        .lines()
        .filter(|line| line.contains("pgpawl_holds_total{"));
    eprintln!(
        "{user}: slowest {slowest:?} {:#?} {}",
        holds.collect::<Vec<_>>(),
        outcome.text()
    );
}

/// pgpawl sees that it waits.
#[test]
fn an_application_by_another_role_is_not_disturbed() {
    assert_undisturbed(APPLICATION);
}

/// To pgpawl it is a part of the run.
#[test]
fn an_application_by_the_same_role_is_not_disturbed() {
    assert_undisturbed(OWNER);
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
        if !snapshot::is_possible() {
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
    for driver in ["psycopg2", "psycopg3"] {
        let place = Place {
            app: "nonatomic",
            driver,
            locked: "nonatomic_customer",
        };
        place.leaves_what_it_does_directly(Some(1));
    }
}
