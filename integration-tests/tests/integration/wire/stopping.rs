//! SIGTERM drains, SIGINT stops.

use pgpawl_integration_tests::pgpawl::Pgpawl;
use pgpawl_integration_tests::postgres::{OWNER, Postgres};
use pgpawl_integration_tests::wait;
use pgpawl_integration_tests::wire::{Client, Received, brief};

fn last_word(client: &mut Client) -> String {
    let mut word = String::new();
    while let Received::Frame(frame) = client.receive() {
        word = brief(&frame).unwrap_or_default();
    }
    word
}

#[test]
fn sigterm_lets_the_running_transaction_finish_and_nobody_new_in() {
    let postgres = Postgres::shared();
    let database = postgres.database("drain");
    let mut pgpawl = Pgpawl::before(postgres.port()).start();
    let mut idle = Client::session(pgpawl.port(), OWNER, &database);
    let mut busy = Client::session(pgpawl.port(), OWNER, &database);
    busy.query("BEGIN");
    busy.query("CREATE TABLE finished (id int)");

    pgpawl.signal("TERM");
    assert_eq!(last_word(&mut idle), "error 57P01");
    wait::until_true("new connections are refused", || {
        Client::try_session(pgpawl.port(), OWNER, &database).is_err()
    });
    assert_eq!(
        busy.answer("INSERT INTO finished VALUES (1)"),
        ["done INSERT 0 1", "ready T"]
    );
    assert_eq!(busy.answer("COMMIT"), ["done COMMIT", "ready I"]);
    assert_eq!(last_word(&mut busy), "error 57P01");
    assert!(pgpawl.wait_for_end().success());
    assert_eq!(
        postgres.value(&database, "SELECT count(*) FROM finished"),
        "1"
    );
}

#[test]
fn sigterm_waits_only_so_long() {
    let postgres = Postgres::shared();
    let database = postgres.database("drain_limit");
    let mut pgpawl = Pgpawl::before(postgres.port())
        .config("[limits]\ndrain_timeout_ms = 200\n")
        .start();
    let mut busy = Client::session(pgpawl.port(), OWNER, &database);
    busy.query("BEGIN");
    pgpawl.signal("TERM");
    assert_eq!(last_word(&mut busy), "error 57P01");
    pgpawl.wait_for_end();
}

#[test]
fn sigint_stops_at_once() {
    let postgres = Postgres::shared();
    let database = postgres.database("stop");
    let mut pgpawl = Pgpawl::before(postgres.port()).start();
    let mut busy = Client::session(pgpawl.port(), OWNER, &database);
    busy.query("BEGIN");
    busy.query("CREATE TABLE unfinished (id int)");
    pgpawl.signal("INT");
    assert_eq!(last_word(&mut busy), "error 57P01");
    pgpawl.wait_for_end();
    let gone = "SELECT to_regclass('unfinished') IS NULL";
    assert_eq!(postgres.value(&database, gone), "t");
}
