//! Where pgpawl cannot look at what is committed: what it locks, and what passes behind the lock.

use pgpawl_integration_tests::postgres::{OWNER, Postgres, SUPERUSER};
use pgpawl_integration_tests::wire::Client;

use crate::rules::{Scene, pgpawl};

/// Until a look has shown that pgpawl can see what is committed, whoever may take rows from a history locks
/// its table before it is read: others wait. Who adds to a set of them takes nothing.
#[test]
fn a_history_that_cannot_be_looked_at_is_locked() {
    let postgres = Postgres::shared();
    let database = postgres.database("locked");
    for text in [
        "CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)",
        "CREATE TABLE schema_migrations (version varchar PRIMARY KEY)",
        "INSERT INTO alembic_version VALUES ('a')",
        "GRANT ALL ON alembic_version, schema_migrations TO owner",
    ] {
        postgres.run(&database, text);
    }
    let locks = "SELECT COALESCE(string_agg(c.relname || ' ' || l.mode, ', '), '') FROM pg_locks l \
        JOIN pg_database d ON d.oid = l.database AND d.datname = current_database() \
        JOIN pg_class c ON c.oid = l.relation WHERE l.mode = 'ShareRowExclusiveLock'";
    let step = |client: &mut Client, locked: &str| {
        client.answer("BEGIN");
        client.answer("INSERT INTO schema_migrations SELECT count(*) + 1 FROM schema_migrations");
        assert_eq!(postgres.value(&database, locks), "");
        client.answer("UPDATE alembic_version SET version_num = version_num || 'a'");
        assert_eq!(postgres.value(&database, locks), locked);
        assert_eq!(client.answer("COMMIT"), ["done COMMIT", "ready I"]);
    };
    let alembic = "alembic_version ShareRowExclusiveLock";
    for (look_user, locked) in [("nobody_of_this_name", alembic), (SUPERUSER, "")] {
        let setup = pgpawl().mode("enforce");
        let pgpawl = setup.args(&["--look-user", look_user]).start();
        let mut client = Client::session(pgpawl.port(), OWNER, &database);
        step(&mut client, alembic);
        step(&mut client, locked);
        client.end();
    }
}

/// Where nobody can look, a transaction that has added to a set may still change rows of it, as Atlas does;
/// what it added itself counts as there.
#[test]
fn rows_are_added_and_then_changed_where_nobody_can_look() {
    let look_user = ["--look-user", "nobody_of_this_name"];
    let pgpawl = pgpawl().mode("enforce").args(&look_user).start();
    let scene = Scene::new("added", "schema_migrations");
    let mut client = Client::session(pgpawl.port(), OWNER, &scene.database);
    for (change, status, commit) in [
        (
            "UPDATE schema_migrations SET version = version",
            "ready T",
            "done COMMIT",
        ),
        (
            "TRUNCATE schema_migrations; INSERT INTO schema_migrations SELECT generate_series(1, 5)",
            "ready T",
            "done COMMIT",
        ),
        (
            "DELETE FROM schema_migrations WHERE version = '1'",
            "ready E",
            "done ROLLBACK",
        ),
    ] {
        client.answer("BEGIN");
        client.answer("INSERT INTO schema_migrations SELECT count(*) + 1 FROM schema_migrations");
        let changed = client.answer(change);
        assert_eq!(changed.last().map(String::as_str), Some(status), "{change}");
        assert_eq!(client.answer("COMMIT"), [commit, "ready I"], "{change}");
    }
    client.end();
}

/// Code that changes a history in a transaction that keeps its snapshot is compared with what that sees: what
/// another has added since is not its doing, what it takes itself is.
#[test]
fn a_transaction_that_keeps_its_snapshot_answers_for_what_it_sees() {
    let pgpawl = pgpawl().mode("enforce").start();
    let scene = Scene::new("kept", "schema_migrations");
    let postgres = Postgres::shared();
    for (name, change) in [
        (
            "same",
            "UPDATE public.schema_migrations SET version = version",
        ),
        (
            "less",
            "DELETE FROM public.schema_migrations WHERE version = ''2''",
        ),
    ] {
        let function = format!("CREATE FUNCTION {name}() RETURNS void LANGUAGE sql AS '{change}'");
        postgres.run(&scene.database, &function);
    }
    let mut client = Client::session(pgpawl.port(), OWNER, &scene.database);
    let mut other = Client::session(pgpawl.port(), OWNER, &scene.database);
    for (level, code, commit) in [
        ("REPEATABLE READ", "same", "done COMMIT"),
        ("REPEATABLE READ", "less", "error 42501"),
        ("SERIALIZABLE", "same", "done COMMIT"),
        ("READ COMMITTED", "same", "done COMMIT"),
    ] {
        client.answer(&format!("BEGIN ISOLATION LEVEL {level}"));
        client.answer("SELECT 1");
        other.answer("INSERT INTO schema_migrations SELECT count(*) + 1 FROM schema_migrations");
        client.answer(&format!("SELECT {code}()"));
        assert_eq!(
            client.answer("COMMIT"),
            [commit, "ready I"],
            "{level}: {code}"
        );
    }
    let count = "SELECT count(*) FROM schema_migrations";
    assert_eq!(postgres.value(&scene.database, count), "6");
}
