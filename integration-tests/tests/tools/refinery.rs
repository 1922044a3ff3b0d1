//! refinery commits each migration before its record. It has no way down: it is gone by hand.

use pgpawl_integration_tests::matrix::{Hold, Shown, Way};
use pgpawl_integration_tests::tool::Tool;
use pgpawl_integration_tests::{matrix, paths};

use crate::{by_hand, url};

fn refinery(way: Way, port: u16, database: &str) -> Tool {
    let third = "ALTER TABLE customers DROP COLUMN email";
    match way {
        Way::Up { to, .. } => Tool::new(paths::tool("bin/refinery"))
            .args([
                "migrate",
                "-e",
                "DATABASE_URL",
                "-p",
                "flyway",
                "-t",
                &to.to_string(),
            ])
            .within(&paths::of_tests("fixtures"))
            .env("DATABASE_URL", &url("postgres", port, database)),
        Way::Down => {
            let record = "DELETE FROM refinery_schema_history WHERE version = 3";
            by_hand(&[third, record], port, database)
        }
        Way::DownAll => {
            let tables = "DROP TABLE orders, customers";
            by_hand(
                &[third, tables, "DELETE FROM refinery_schema_history"],
                port,
                database,
            )
        }
    }
}

matrix!(
    by_default,
    Journey {
        tool: "refinery",
        oldest_major: 13,
        hold: Hold::Schema,
        config: String::new,
        command: refinery,
        history: "SELECT version, name, checksum FROM refinery_schema_history ORDER BY version",
        own: &["refinery_schema_history"],
        restless: &[],
        shown: Shown::ByExitCode,
    }
);
