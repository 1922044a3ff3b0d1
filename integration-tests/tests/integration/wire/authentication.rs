//! Authentication is relayed as it is, by libpq's own implementation of each method.

use pgpawl_integration_tests::paths;
use pgpawl_integration_tests::postgres::{OWNER, PASSWORD, Postgres};
use pgpawl_integration_tests::tool::{Outcome, Tool};

use crate::shared;

fn whoami(port: u16, user: &str, password: &str, database: &str) -> Outcome {
    Tool::new(paths::system_postgres().join("psql"))
        .args([
            "--no-psqlrc",
            "--tuples-only",
            "--no-align",
            "-c",
            "SELECT current_user",
        ])
        .connecting(port, user, database)
        .env("PGPASSWORD", password)
        .run()
}

#[test]
fn every_method_lets_the_right_password_in() {
    let database = Postgres::shared().database("passwords");
    for user in [OWNER, "by_password", "by_md5", "by_scram"] {
        let outcome = whoami(shared().port(), user, PASSWORD, &database).succeeded(user);
        assert_eq!(outcome.stdout.trim(), user);
    }
}

#[test]
fn a_wrong_password_gets_the_servers_own_words() {
    let postgres = Postgres::shared();
    let database = postgres.database("wrong_passwords");
    for user in ["by_password", "by_md5", "by_scram"] {
        let direct = whoami(postgres.port(), user, "wrong", &database);
        let through = whoami(shared().port(), user, "wrong", &database);
        assert_eq!(through.code, Some(2), "{user}");
        let with_ports = through
            .stderr
            .replace(&shared().port().to_string(), &postgres.port().to_string());
        assert_eq!(with_ports, direct.stderr, "{user}");
    }
}

#[test]
fn a_client_that_requires_channel_binding_refuses_a_connection_without_tls() {
    let database = Postgres::shared().database("channel_binding");
    let outcome = Tool::new(paths::system_postgres().join("psql"))
        .args(["--no-psqlrc", "-c", "SELECT 1"])
        .connecting(shared().port(), "by_scram", &database)
        .env("PGPASSWORD", PASSWORD)
        .env("PGCHANNELBINDING", "require")
        .run();
    assert_eq!(outcome.code, Some(2), "{}", outcome.text());
    assert!(
        outcome.stderr.contains("channel binding"),
        "{}",
        outcome.text()
    );
}
