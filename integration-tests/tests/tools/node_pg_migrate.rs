//! node-pg-migrate with `noTransaction()` in its migrations.

use pgpawl_integration_tests::matrix::{Hold, Shown, Way};
use pgpawl_integration_tests::tool::Tool;
use pgpawl_integration_tests::{matrix, paths};

use crate::url;

fn node_pg_migrate(way: Way, port: u16, database: &str) -> Tool {
    let (command, count) = match way {
        Way::Up { count, .. } => ("up", count),
        Way::Down => ("down", 1),
        Way::DownAll => ("down", 3),
    };
    Tool::new(paths::tool("node/node_modules/.bin/node-pg-migrate"))
        .args([
            "--migrations-dir",
            "node-pg-migrate",
            command,
            &count.to_string(),
        ])
        .within(&paths::of_tests("fixtures"))
        .env("DATABASE_URL", &url("postgres", port, database))
}

matrix!(
    without_transactions,
    Journey {
        tool: "node-pg-migrate",
        oldest_major: 13,
        hold: Hold::Schema,
        config: String::new,
        command: node_pg_migrate,
        history: "SELECT id, name FROM pgmigrations ORDER BY id",
        // With its sequence.
        own: &["pgmigrations*"],
        restless: &[],
        shown: Shown::ByExitCode,
    }
);
