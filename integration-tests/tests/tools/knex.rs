//! knex: its way down commits each migration before it deletes the record; without a transaction so
//! does its way up. Its lock is a row, taken in a transaction of its own.

use pgpawl_integration_tests::matrix::{Hold, Shown, Way};
use pgpawl_integration_tests::postgres::OWNER;
use pgpawl_integration_tests::tool::Tool;
use pgpawl_integration_tests::{matrix, paths};

fn knex(way: Way, port: u16, database: &str) -> Tool {
    let (release, command): (u8, &[&str]) = match way {
        Way::Up { to, .. } => (to, &["migrate:latest"]),
        Way::Down => (3, &["migrate:down"]),
        Way::DownAll => (3, &["migrate:rollback", "--all"]),
    };
    let modules = paths::tool("node/node_modules");
    Tool::new(modules.join(".bin/knex"))
        .args(["--knexfile", "knexfile.js"])
        .args(command.iter().copied())
        .within(&paths::of_tests("fixtures/knex"))
        .env("NODE_PATH", &modules.display().to_string())
        .env("RELEASE", &release.to_string())
        .connecting(port, OWNER, database)
}

macro_rules! knex {
    ($name:ident, $command:expr) => {
        matrix!(
            $name,
            Journey {
                tool: "knex",
                oldest_major: 13,
                hold: Hold::Schema,
                config: String::new,
                command: $command,
                history: "SELECT id, name, batch FROM knex_migrations ORDER BY id",
                // With their sequences.
                own: &["knex_migrations*"],
                restless: &["knex_migrations_lock"],
                shown: Shown::ByExitCode,
            }
        );
    };
}

knex!(by_default, knex);
knex!(without_transactions, |way, port, database| {
    knex(way, port, database).env("NOTX", "1")
});
