//! Alembic by its three drivers, with its order from the revision files, and from what was seen.

use pgpawl_integration_tests::paths;
use pgpawl_integration_tests::pgpawl::Pgpawl;
use pgpawl_integration_tests::postgres::{OWNER, Postgres};
use pgpawl_integration_tests::tool::Tool;

use super::journey::journey;

/// The order comes from the revision files.
const CONFIG: fn() -> String = || {
    let versions = paths::of_tests("fixtures/alembic/versions");
    format!("[tool.alembic]\nrevisions = \"{}\"\n", versions.display())
};

const VERSIONS: &str = "SELECT version_num FROM alembic_version";
const RECORDED: [&str; 3] = ["r2", "r3", "r2"];
const DATA: &str = "SELECT email FROM customers";

fn alembic(driver: &str, command: &[&str], port: u16, database: &str) -> Tool {
    Tool::new(paths::tool("venv/bin/alembic"))
        .args(command)
        .within(&paths::of_tests("fixtures/alembic"))
        .env(
            "DATABASE_URL",
            &format!("postgresql+{driver}://{OWNER}@127.0.0.1:{port}/{database}"),
        )
}

macro_rules! by {
    ($name:ident, $driver:literal) => {
        journey!(
            $name,
            Journey {
                tool: "alembic",
                oldest_major: 13,
                up: |port, database| alembic($driver, &["upgrade", "r2"], port, database),
                up_again: |port, database| alembic($driver, &["upgrade", "head"], port, database),
                nothing_to_do: |port, database| alembic(
                    $driver,
                    &["upgrade", "head"],
                    port,
                    database
                ),
                down: |port, database| alembic($driver, &["downgrade", "-1"], port, database),
                versions: VERSIONS,
                recorded: RECORDED,
                data: DATA,
            }
        );
    };
}

by!(psycopg2, "psycopg2");
by!(psycopg3, "psycopg");
by!(asyncpg, "asyncpg");

/// Without revision files: a step to something never seen passes as unknown, a step back is refused,
/// also after a restart.
#[test]
fn learns_its_order_from_what_passed_and_keeps_it_over_a_restart() {
    let postgres = Postgres::shared();
    let database = postgres.database("alembic_learned");
    let state = tempfile::tempdir().expect("a folder");
    let config = format!(
        "state_file = \"{}\"\n",
        state.path().join("state").display()
    );
    let start = || {
        Pgpawl::before(postgres.port())
            .config(&config)
            .mode("enforce")
            .start()
    };
    let run = |pgpawl: &Pgpawl, command: &[&str]| {
        alembic("psycopg2", command, pgpawl.port(), &database).run()
    };
    let version = || postgres.value(&database, VERSIONS);

    let first = start();
    run(&first, &["upgrade", "r2"]).succeeded("the first steps");
    run(&first, &["upgrade", "r3"]).succeeded("a step to something never seen");
    first.wait_for_event(&[("database", &database), ("event", "unknown")]);
    let down = run(&first, &["downgrade", "r2"]);
    assert_ne!(down.code, Some(0), "{}", down.text());
    assert_eq!(version(), "r3");
    drop(first);

    let second = start();
    let down = run(&second, &["downgrade", "r2"]);
    assert_ne!(down.code, Some(0), "{}", down.text());
    assert!(down.text().contains("lower"), "{}", down.text());
    assert_eq!(version(), "r3");
}

/// What was never seen is refused where the configuration says so.
#[test]
fn refuses_the_unknown_where_told_to() {
    let postgres = Postgres::shared();
    let database = postgres.database("alembic_unknown");
    alembic("psycopg2", &["upgrade", "r2"], postgres.port(), &database)
        .run()
        .succeeded("up, directly");
    let config = "state_file = \"off\"\nunknown = \"refuse\"\n";
    let pgpawl = Pgpawl::before(postgres.port())
        .config(config)
        .mode("enforce")
        .start();
    let up = alembic("psycopg2", &["upgrade", "r3"], pgpawl.port(), &database).run();
    assert_ne!(up.code, Some(0), "{}", up.text());
    assert_eq!(postgres.value(&database, VERSIONS), "r2");
    pgpawl.wait_for_event(&[
        ("database", &database),
        ("event", "unknown"),
        ("verdict", "refuse"),
    ]);
}
