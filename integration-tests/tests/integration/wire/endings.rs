//! Each side may end in the middle of anything: the other side is told, other sessions never notice.

use std::process::Command;

use pgpawl_integration_tests::pgpawl::Pgpawl;
use pgpawl_integration_tests::port;
use pgpawl_integration_tests::postgres::{OWNER, Postgres, SUPERUSER};
use pgpawl_integration_tests::wait;
use pgpawl_integration_tests::wire::{Client, Received, brief, message};

use crate::shared;

/// Everything up to the end of the connection, in brief.
fn last_words(client: &mut Client) -> Vec<String> {
    let mut words = Vec::new();
    while let Received::Frame(frame) = client.receive() {
        words.extend(brief(&frame));
    }
    words
}

fn pid_of(client: &mut Client) -> String {
    client.rows("SELECT pg_backend_pid()")[0][0].clone()
}

#[test]
fn a_terminated_backend_says_so_and_other_sessions_never_notice() {
    let postgres = Postgres::shared();
    let database = postgres.database("terminated");
    let mut victim = Client::session(shared().port(), OWNER, &database);
    let mut bystander = Client::session(shared().port(), OWNER, &database);
    bystander.query("BEGIN");
    let pid = pid_of(&mut victim);
    postgres.run(&database, &format!("SELECT pg_terminate_backend({pid})"));
    assert_eq!(last_words(&mut victim), ["error 57P01"]);
    assert_eq!(bystander.answer("COMMIT"), ["done COMMIT", "ready I"]);
}

#[test]
fn a_terminated_backend_in_the_middle_of_a_statement() {
    let postgres = Postgres::shared();
    let database = postgres.database("terminated_busy");
    let mut victim = Client::session(shared().port(), OWNER, &database);
    let pid = pid_of(&mut victim);
    victim.send(&message::query(b"SELECT pg_sleep(600)"));
    let busy = format!("SELECT state FROM pg_stat_activity WHERE pid = {pid}");
    wait::until_true("it is busy", || {
        postgres.value(&database, &busy) == "active"
    });
    postgres.run(&database, &format!("SELECT pg_terminate_backend({pid})"));
    assert_eq!(last_words(&mut victim), ["error 57P01"]);
}

/// A backend that is killed takes the whole server through recovery: on a server of its own.
#[test]
fn a_killed_backend_is_a_connection_failure() {
    let postgres = Postgres::start();
    let pgpawl = Pgpawl::before(postgres.port()).start();
    let mut victim = Client::session(pgpawl.port(), SUPERUSER, "postgres");
    let pid = pid_of(&mut victim);
    victim.send(&message::query(b"SELECT pg_sleep(600)"));
    let busy = format!("SELECT state FROM pg_stat_activity WHERE pid = {pid}");
    wait::until_true("it is busy", || {
        postgres.value("postgres", &busy) == "active"
    });
    let killed = Command::new("kill").args(["-KILL", &pid]).status();
    assert!(killed.is_ok_and(|status| status.success()));
    assert_eq!(last_words(&mut victim), ["error 08006"]);
    wait::until_true("the server has recovered", || {
        Client::try_session(pgpawl.port(), SUPERUSER, "postgres").is_ok()
    });
}

#[test]
fn a_server_that_is_not_there_is_said_to_be_so() {
    let pgpawl = Pgpawl::before(port::free()).start();
    let mut client = Client::connect(pgpawl.port());
    client.send(&message::startup(
        message::V3_0,
        &[("user", OWNER), ("database", "x")],
    ));
    assert_eq!(last_words(&mut client), ["error 08006"]);
    assert!(pgpawl.accepts(), "pgpawl stays up");
}

/// Waits until the server has no session in `database`.
fn wait_until_gone(database: &str) {
    let mut look = Client::session(Postgres::shared().port(), SUPERUSER, "postgres");
    let sessions = format!("SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}'");
    wait::until_true("the server's session is gone", || {
        look.rows(&sessions) == [["0"]]
    });
}

/// How a client goes.
type End = fn(Client);

#[test]
fn a_client_that_goes_takes_its_server_session_with_it() {
    let postgres = Postgres::shared();
    let endings: [(&str, End); 6] = [
        ("idle", drop),
        ("terminate", |mut client| client.send(&message::terminate())),
        ("in a transaction", |mut client| drop(client.query("BEGIN"))),
        ("in a statement", |mut client| {
            client.send(&message::query(b"SELECT pg_sleep(2)"));
        }),
        ("half a message", |mut client| {
            client.send(&message::query(b"SELECT 1")[..7]);
        }),
        ("in a COPY", |mut client| {
            client.send(&message::query(
                b"CREATE TABLE t (x int); COPY t FROM STDIN",
            ));
            client.send(&message::tagged(b'd', b"1\n"));
        }),
    ];
    for (what, end) in endings {
        let database = postgres.database(what);
        let bystander = postgres.database("bystander");
        let mut other = Client::session(shared().port(), OWNER, &bystander);
        end(Client::session(shared().port(), OWNER, &database));
        wait_until_gone(&database);
        assert_eq!(other.rows("SELECT 1"), [["1"]], "{what}");
    }
}

/// What was not committed is not committed by a client's end.
#[test]
fn a_client_that_goes_before_its_commit_is_judged_commits_nothing_lower() {
    let postgres = Postgres::shared();
    let database = postgres.database("goes_at_commit");
    postgres.run(
        &database,
        "CREATE TABLE schema_migrations (version bigint, dirty boolean)",
    );
    postgres.run(&database, "INSERT INTO schema_migrations VALUES (3, false)");
    postgres.run(&database, "ALTER TABLE schema_migrations OWNER TO owner");
    for _ in 0..20 {
        let mut client = Client::session(shared().port(), OWNER, &database);
        client.query("BEGIN");
        client.query("UPDATE schema_migrations SET version = 2");
        client.send(&[message::query(b"COMMIT"), message::terminate()].concat());
        drop(client);
        wait_until_gone(&database);
        assert_eq!(
            postgres.value(&database, "SELECT version FROM schema_migrations"),
            "3"
        );
    }
}

#[test]
fn an_impossible_length_within_a_session_is_a_violation() {
    let database = Postgres::shared().database("impossible");
    for (what, bytes) in [
        ("a length below the least", &[b'Q', 0, 0, 0, 3][..]),
        ("a negative length", &[b'Q', 0xff, 0xff, 0xff, 0xff]),
        ("a Sync of a gigabyte", &[b'S', 0x3f, 0xff, 0xff, 0xff]),
        ("no such message", &[b'?', 0, 0, 0, 4]),
    ] {
        let mut client = Client::session(shared().port(), OWNER, &database);
        client.send(bytes);
        assert_eq!(last_words(&mut client), ["error 08P01"], "{what}");
    }
}

/// What PostgreSQL calls malformed is never read as something else: here a whole message hides in another.
#[test]
fn bytes_behind_a_strings_end_are_never_another_message() {
    let postgres = Postgres::shared();
    let database = postgres.database("hidden");
    postgres.run(
        &database,
        "CREATE TABLE schema_migrations (version bigint, dirty boolean)",
    );
    postgres.run(&database, "INSERT INTO schema_migrations VALUES (3, false)");
    postgres.run(&database, "ALTER TABLE schema_migrations OWNER TO owner");
    let mut client = Client::session(shared().port(), OWNER, &database);
    let hidden = message::query(b"DELETE FROM schema_migrations");
    let mut body = b"SELECT 1\0d".to_vec();
    body.extend(
        u32::try_from(hidden.len() + 4)
            .expect("a length")
            .to_be_bytes(),
    );
    client.send(&[message::tagged(b'Q', &body), hidden].concat());
    client.close_sending();
    let words = last_words(&mut client);
    assert!(words.iter().any(|word| word == "error 08P01"), "{words:?}");
    assert_eq!(
        postgres.value(&database, "SELECT version FROM schema_migrations"),
        "3"
    );
}
