//! refinery commits each migration before its record. It has no way down: it is gone by hand.

use pgpawl_integration_tests::matrix::{Hold, Shown, Way};
use pgpawl_integration_tests::tool::Tool;
use pgpawl_integration_tests::{matrix, paths};

use crate::{by_hand, url};

const THIRD: [&str; 2] = [
    "ALTER TABLE customers DROP COLUMN email",
    "DELETE FROM refinery_schema_history WHERE version = 3",
];
const SECOND: [&str; 2] = [
    "DROP TABLE orders",
    "DELETE FROM refinery_schema_history WHERE version = 2",
];
const FIRST: [&str; 2] = [
    "DROP TABLE customers",
    "DELETE FROM refinery_schema_history WHERE version = 1",
];

fn refinery(way: Way, port: u16, database: &str) -> Tool {
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
        Way::Down => by_hand(&THIRD, port, database),
        Way::DownAll => by_hand(&[THIRD, SECOND, FIRST].concat(), port, database),
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
