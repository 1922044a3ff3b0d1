//! DROP DATABASE and ALTER DATABASE ... RENAME: a database with a history keeps its name.

use pgpawl_integration_tests::postgres::{Postgres, SUPERUSER};
use pgpawl_integration_tests::wire::{Client, message};

use crate::rules::pgpawl;

const REFUSED: [&str; 2] = ["error 42501", "ready I"];

/// DROP DATABASE and RENAME are looked at from within the database: as `look_user`, or as the client's user.
#[test]
fn a_database_with_a_history_is_not_dropped_or_renamed() {
    for look in [&["--look-user", SUPERUSER][..], &[]] {
        let postgres = Postgres::shared();
        let pgpawl = pgpawl().mode("enforce").args(look).start();
        let home = postgres.database("home");
        let [full, bare] = ["full", "bare"].map(|stem| postgres.database(stem));
        let table = "CREATE TABLE schema_migrations (version text PRIMARY KEY)";
        postgres.run(&full, table);
        postgres.run(&full, "INSERT INTO schema_migrations VALUES ('1')");
        let mut client = Client::session(pgpawl.port(), SUPERUSER, &home);
        for text in [
            format!("DROP DATABASE {full}"),
            format!("/* x */ drop database if exists \"{full}\" WITH (FORCE)"),
            format!("ALTER DATABASE {full} RENAME TO away"),
            format!("SELECT 1; ALTER DATABASE {full} RENAME TO away"),
        ] {
            assert_eq!(client.answer(&text), REFUSED, "{look:?}: {text}");
        }
        pgpawl.wait_for_event(&[("database", &home), ("reason", "database")]);
        assert!(is_there(&full));
        let renamed = format!("{bare}_renamed");
        let rename = format!("ALTER DATABASE {bare} RENAME TO {renamed}");
        assert_eq!(client.answer(&rename), ["done ALTER DATABASE", "ready I"]);
        let drop = format!("DROP DATABASE {renamed}");
        assert_eq!(client.answer(&drop), ["done DROP DATABASE", "ready I"]);
        let gone = format!("DROP DATABASE IF EXISTS {renamed}");
        let skipped = ["notice 00000", "done DROP DATABASE", "ready I"];
        assert_eq!(client.answer(&gone), skipped);
        client.end();
    }
}

/// Nor by code, by the second statement of a text, or by one that was prepared when it had no history.
#[test]
fn a_database_is_not_renamed_out_of_sight() {
    let postgres = Postgres::shared();
    let pgpawl = pgpawl().mode("enforce").start();
    let [home, full, bare] = ["home", "full", "bare"].map(|stem| postgres.database(stem));
    let mut client = Client::session(pgpawl.port(), SUPERUSER, &home);
    let away = |database: &str| format!("ALTER DATABASE {database} RENAME TO {database}_away");
    // A guarded table here has transactions checked at all.
    postgres.run(&home, "CREATE TABLE schema_migrations (version text)");
    for text in [format!("DROP DATABASE {full}"), away(&full)] {
        client.send(&message::parse(&text[..4], text.as_bytes()));
    }
    client.send(&message::sync());
    assert_eq!(client.answered(), ["parsed", "parsed", "ready I"]);
    postgres.run(&full, "CREATE TABLE schema_migrations (version text)");
    postgres.run(&full, "INSERT INTO schema_migrations VALUES ('1')");
    for name in ["DROP", "ALTE"] {
        client.send(&message::bind("", name, &[]));
        client.send(&message::execute("", 0));
        client.send(&message::sync());
        assert_eq!(client.answered(), ["error 42501", "ready I"], "{name}");
        pgpawl.wait_for_event(&[("database", &home), ("reason", "database")]);
    }
    for text in [
        format!("DO $$ BEGIN EXECUTE '{}'; END $$", away(&full)),
        format!("{}; {}", away(&bare), away(&full)),
    ] {
        let answer = client.answer(&text);
        let errors = answer.iter().filter(|line| line.starts_with("error"));
        assert_eq!(errors.collect::<Vec<_>>(), ["error 42501"], "{text}");
        pgpawl.wait_for_event(&[("database", &home), ("reason", "database_hidden")]);
        assert!(is_there(&full) && is_there(&bare), "{text}");
    }
    // What was undone does not count, what was not does.
    let undone = ["BEGIN", "SAVEPOINT a", &away(&bare), "ROLLBACK TO a"];
    for text in undone {
        assert!(client.answer(text).contains(&"ready T".to_owned()));
    }
    let by_code = format!("DO $$ BEGIN EXECUTE '{}'; END $$", away(&bare));
    assert_eq!(client.answer(&by_code), ["done DO", "ready T"]);
    assert_eq!(client.answer("COMMIT"), ["error 42501", "ready I"]);
    assert!(is_there(&bare));
    for text in ["BEGIN", &away(&bare), "SELECT 1"] {
        assert!(client.answer(text).contains(&"ready T".to_owned()));
    }
    assert_eq!(client.answer("COMMIT"), ["done COMMIT", "ready I"]);
    assert!(!is_there(&bare));
    let grant = format!("GRANT CONNECT ON DATABASE {full} TO PUBLIC");
    assert_eq!(client.answer(&grant), ["done GRANT", "ready I"]);
    client.end();
}

/// What cannot be looked at is not taken away, whatever its owner did to keep others out; trusted roles
/// have a rule of their own.
#[test]
fn a_database_that_cannot_be_looked_at_is_not_dropped() {
    let postgres = Postgres::shared();
    let home = postgres.database("home");
    let closed = postgres.database("closed");
    postgres.run(
        "postgres",
        &format!("ALTER DATABASE {closed} ALLOW_CONNECTIONS false"),
    );
    let drop = format!("DROP DATABASE {closed}");
    let enforcing = pgpawl().mode("enforce");
    for setup in [
        enforcing.clone(),
        enforcing.args(&["--look-user", "by_scram"]),
    ] {
        let pgpawl = setup.start();
        let mut client = Client::session(pgpawl.port(), SUPERUSER, &home);
        assert_eq!(client.answer(&drop), REFUSED);
        pgpawl.wait_for_event(&[("database", &home), ("reason", "database_unseen")]);
        client.end();
    }
    assert!(is_there(&closed));
    let trusting = pgpawl()
        .mode("enforce")
        .args(&["--coverage", "statement"])
        .start();
    let mut client = Client::session(trusting.port(), SUPERUSER, &home);
    assert_eq!(client.answer(&drop), ["done DROP DATABASE", "ready I"]);
    client.end();
}

fn is_there(database: &str) -> bool {
    let there = format!("SELECT count(*) FROM pg_database WHERE datname = '{database}'");
    Postgres::shared().value("postgres", &there) == "1"
}
