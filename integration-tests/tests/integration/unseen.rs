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
