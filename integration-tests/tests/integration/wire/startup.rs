//! Before and at start-up: requests for encryption, garbage, protocol versions, replication.

use pgpawl_integration_tests::pgpawl::Pgpawl;
use pgpawl_integration_tests::postgres::{OWNER, Postgres, SUPERUSER};
use pgpawl_integration_tests::wire::{Client, Received, error_fields, message};

use crate::shared;

/// The SQLSTATE of the ErrorResponse that comes before the connection is closed; none if it is just closed.
fn refused_with(client: &mut Client) -> Option<String> {
    let mut sqlstate = None;
    loop {
        match client.receive() {
            Received::Closed => return sqlstate,
            Received::Frame(frame) if frame.tag == b'E' => {
                sqlstate = error_fields(&frame).remove(&'C');
            }
            Received::Frame(frame) => panic!("an answer to what must be refused: {frame:?}"),
        }
    }
}

fn startup(database: &str) -> Vec<u8> {
    message::startup(message::V3_0, &[("user", OWNER), ("database", database)])
}

#[test]
fn requests_for_encryption_are_answered_no_and_the_session_goes_on() {
    let database = Postgres::shared().database("encryption");
    let mut client = Client::connect(shared().port());
    for request in [message::GSSENC_REQUEST, message::SSL_REQUEST] {
        client.send(&message::request(request));
        assert_eq!(client.receive_byte(), b'N');
    }
    client.send(&startup(&database));
    client.wait_for_ready().expect("a session");
    assert_eq!(client.rows("SELECT 1"), [["1"]]);
}

/// Bytes that came in the clear behind a request for encryption could be an attacker's.
#[test]
fn bytes_in_the_clear_behind_a_request_for_encryption_are_a_violation() {
    let database = Postgres::shared().database("in_the_clear");
    for request in [message::SSL_REQUEST, message::GSSENC_REQUEST] {
        let mut client = Client::connect(shared().port());
        client.send(
            &[
                message::request(request),
                startup(&database),
                message::query(b"SELECT 1"),
            ]
            .concat(),
        );
        match client.receive_within(pgpawl_integration_tests::wait::PATIENCE) {
            None => panic!("no answer"),
            Some(Received::Closed) => {}
            Some(Received::Frame(frame)) => {
                assert_eq!(
                    error_fields(&frame).get(&'C').map(String::as_str),
                    Some("08P01"),
                    "{frame:?}"
                );
                assert_eq!(client.receive(), Received::Closed);
            }
        }
    }
}

#[test]
fn what_is_no_startup_packet_is_refused() {
    let too_long = [0x7f, 0xff, 0xff, 0xff, 0, 3, 0, 0];
    let cases: [(&str, &[u8]); 5] = [
        (
            "an HTTP request",
            b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        ),
        ("an impossible length", &too_long),
        ("a length below the least", &[0, 0, 0, 3, 0, 3, 0, 0]),
        (
            "a packet without its end",
            &[0, 0, 0, 13, 0, 3, 0, 0, b'u', b's', b'e', b'r', b'x'],
        ),
        ("a packet without a user", &[0, 0, 0, 9, 0, 3, 0, 0, 0]),
    ];
    for (what, bytes) in cases {
        let mut client = Client::connect(shared().port());
        client.send(bytes);
        let sqlstate = refused_with(&mut client);
        let expected = [None, Some("08P01"), Some("28000")];
        assert!(
            expected.contains(&sqlstate.as_deref()),
            "{what}: {sqlstate:?}"
        );
    }
}

#[test]
fn half_a_startup_packet_and_the_end_harms_nobody() {
    let database = Postgres::shared().database("half");
    let whole = startup(&database);
    for length in [0, 1, 4, 8, whole.len() - 1] {
        let mut client = Client::connect(shared().port());
        client.send(&whole[..length]);
        client.close_sending();
        assert_eq!(refused_with(&mut client), None, "after {length} bytes");
    }
    let mut client = Client::session(shared().port(), OWNER, &database);
    assert_eq!(client.rows("SELECT 1"), [["1"]]);
}

#[test]
fn a_startup_packet_may_come_byte_by_byte() {
    let database = Postgres::shared().database("byte_by_byte");
    let mut client = Client::connect(shared().port());
    let mut bytes = startup(&database);
    bytes.extend(message::query(b"SELECT 'slow'"));
    for byte in bytes {
        client.send(&[byte]);
    }
    client.wait_for_ready().expect("a session");
    let answer: Vec<String> = client
        .until_ready()
        .iter()
        .filter_map(pgpawl_integration_tests::wire::brief)
        .collect();
    assert_eq!(answer, ["row slow", "done SELECT 1", "ready I"]);
}

/// Servers before 18 negotiate down to 3.0; from 18 on keys are longer.
#[test]
fn protocol_3_2_is_relayed() {
    let postgres = Postgres::shared();
    let database = postgres.database("protocol");
    let parameters = [("user", OWNER), ("database", database.as_str())];
    let key_length = |port| {
        let mut client = Client::start(port, message::V3_2, &parameters).expect("a session");
        assert_eq!(client.rows("SELECT 1"), [["1"]]);
        client.key.len()
    };
    let direct = key_length(postgres.port());
    assert_eq!(key_length(shared().port()), direct);
    assert_eq!(direct > 8, postgres.major() >= 18);
}

/// `_pq_.` options are for the server to refuse.
#[test]
fn unknown_protocol_options_are_negotiated_as_directly() {
    let postgres = Postgres::shared();
    let database = postgres.database("options");
    let parameters = [
        ("user", OWNER),
        ("database", database.as_str()),
        ("_pq_.nothing", "1"),
    ];
    let answer = |port| {
        let mut client = Client::connect(port);
        client.send(&message::startup(message::V3_0, &parameters));
        let frames = client.wait_for_ready().expect("a session");
        let negotiated = frames.into_iter().filter(|frame| frame.tag == b'v');
        negotiated.collect::<Vec<_>>()
    };
    let direct = answer(postgres.port());
    assert_eq!(direct.len(), 1);
    assert_eq!(answer(shared().port()), direct);
}

#[test]
fn the_servers_refusals_at_startup_are_relayed() {
    let postgres = Postgres::shared();
    let database = postgres.database("refusals");
    for (user, database) in [
        ("nobody_at_all", database.as_str()),
        (OWNER, "no_such_database"),
    ] {
        let direct = Client::try_session(postgres.port(), user, database).expect_err("no session");
        let through = Client::try_session(shared().port(), user, database).expect_err("no session");
        assert_eq!(through, direct);
    }
}

fn replicating(port: u16, database: &str, value: &str) -> Result<Client, String> {
    let parameters = [
        ("user", SUPERUSER),
        ("database", database),
        ("replication", value),
    ];
    Client::start(port, message::V3_0, &parameters)
}

#[test]
fn replication_is_refused_in_every_spelling() {
    let database = Postgres::shared().database("replication");
    for value in ["true", "on", "yes", "1", "TRUE", "t"] {
        replicating(Postgres::shared().port(), &database, value).expect("directly it works");
        let refusal = replicating(shared().port(), &database, value).expect_err(value);
        assert!(refusal.contains("replication"), "{value}: {refusal}");
    }
    for value in ["false", "off", "0", "no"] {
        let mut client = replicating(shared().port(), &database, value).expect(value);
        assert_eq!(client.rows("SELECT 1"), [["1"]]);
    }
}

#[test]
fn replication_passes_where_it_is_allowed_and_is_counted() {
    let postgres = Postgres::shared();
    let database = postgres.database("replication_allowed");
    let pgpawl = Pgpawl::before(postgres.port())
        .config("allow_replication = true\n")
        .start();
    let mut client = replicating(pgpawl.port(), &database, "true").expect("a session");
    let direct = replicating(postgres.port(), &database, "true")
        .expect("a session")
        .rows("IDENTIFY_SYSTEM");
    assert_eq!(client.rows("IDENTIFY_SYSTEM")[0][0], direct[0][0]);
    assert!((pgpawl.metric("pgpawl_sessions_not_inspected_total", &[]) - 1.0).abs() < f64::EPSILON);
}

#[test]
fn replication_to_a_database_is_inspected_like_any_other_session() {
    let postgres = Postgres::shared();
    let database = postgres.database("replication_database");
    postgres.run(
        &database,
        "CREATE TABLE schema_migrations (version bigint, dirty boolean)",
    );
    postgres.run(&database, "INSERT INTO schema_migrations VALUES (3, false)");
    let mut client = replicating(shared().port(), &database, "database").expect("a session");
    assert_eq!(client.rows("IDENTIFY_SYSTEM")[0][3], database);
    assert_eq!(
        client.answer("DELETE FROM schema_migrations"),
        ["error 42501", "ready I"]
    );
    assert_eq!(
        postgres.value(&database, "SELECT version FROM schema_migrations"),
        "3"
    );
}
