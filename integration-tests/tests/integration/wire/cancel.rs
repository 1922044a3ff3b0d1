//! A request to cancel reaches the right server session, by the server's own key.

use pgpawl_integration_tests::postgres::{OWNER, Postgres, SUPERUSER};
use pgpawl_integration_tests::wait;
use pgpawl_integration_tests::wire::{Client, Received, brief, message};

use crate::shared;

/// Waits until the server runs this statement.
fn wait_until_running(database: &str, marker: &str) {
    let mut look = Client::session(Postgres::shared().port(), SUPERUSER, database);
    let running = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' \
         AND query LIKE '%{marker}%' AND pid <> pg_backend_pid()"
    );
    wait::until_true("the statement runs", || look.rows(&running) == [["1"]]);
}

#[test]
fn a_running_statement_is_cancelled_and_others_are_not() {
    let database = Postgres::shared().database("cancel");
    let port = shared().port();
    let mut victim = Client::session(port, OWNER, &database);
    let mut bystander = Client::session(port, OWNER, &database);
    victim.send(&message::query(b"SELECT pg_sleep(600) /* victim */"));
    bystander.send(&message::query(b"SELECT pg_sleep(600) /* bystander */"));
    wait_until_running(&database, "victim");
    wait_until_running(&database, "bystander");

    let mut canceller = Client::connect(port);
    canceller.send(&message::cancel(&victim.key));
    assert_eq!(canceller.receive(), Received::Closed);
    let answer: Vec<String> = victim.until_ready().iter().filter_map(brief).collect();
    assert_eq!(answer, ["error 57014", "ready I"]);
    assert_eq!(victim.rows("SELECT 'alive'"), [["alive"]]);

    wait_until_running(&database, "bystander");
    Client::connect(port).send(&message::cancel(&bystander.key));
    let answer: Vec<String> = bystander.until_ready().iter().filter_map(brief).collect();
    assert_eq!(answer, ["error 57014", "ready I"]);
}

#[test]
fn a_wrong_key_cancels_nothing() {
    let database = Postgres::shared().database("cancel_wrong_key");
    let port = shared().port();
    let mut victim = Client::session(port, OWNER, &database);
    victim.send(&message::query(
        b"SELECT 'done' FROM pg_sleep(0.5) /* wrong key */",
    ));
    let mut key = victim.key.clone();
    *key.last_mut().expect("a key") ^= 1;
    let mut canceller = Client::connect(port);
    canceller.send(&message::cancel(&key));
    assert_eq!(canceller.receive(), Received::Closed);
    let answer: Vec<String> = victim.until_ready().iter().filter_map(brief).collect();
    assert_eq!(answer, ["row done", "done SELECT 1", "ready I"]);
}

/// A cancel request while pgpawl itself asks must not leave a lowering behind.
#[test]
fn a_cancelled_commit_commits_nothing_lower() {
    let postgres = Postgres::shared();
    let database = postgres.database("cancel_commit");
    postgres.run(
        &database,
        "CREATE TABLE schema_migrations (version bigint, dirty boolean)",
    );
    postgres.run(&database, "INSERT INTO schema_migrations VALUES (3, false)");
    postgres.run(&database, "ALTER TABLE schema_migrations OWNER TO owner");
    let port = shared().port();
    for _ in 0..20 {
        let mut client = Client::session(port, OWNER, &database);
        client.query("BEGIN");
        client.query("UPDATE schema_migrations SET version = 2");
        client.send(&message::query(b"COMMIT"));
        Client::connect(port).send(&message::cancel(&client.key));
        let answer: Vec<String> = client.until_ready().iter().filter_map(brief).collect();
        assert!(answer[0].starts_with("error"), "{answer:?}");
        assert_eq!(
            postgres.value(&database, "SELECT version FROM schema_migrations"),
            "3"
        );
    }
}
