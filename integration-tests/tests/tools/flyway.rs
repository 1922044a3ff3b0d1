//! Flyway: by default a second connection changes the schema and commits before the record's. Its way
//! down is sold apart: here it is gone by hand.

use pgpawl_integration_tests::matrix::{Hold, Shown, Way};
use pgpawl_integration_tests::postgres::OWNER;
use pgpawl_integration_tests::tool::Tool;
use pgpawl_integration_tests::{matrix, paths};

use crate::by_hand;

const THIRD: [&str; 2] = [
    "ALTER TABLE customers DROP COLUMN email",
    "DELETE FROM flyway_schema_history WHERE version = '3'",
];
const SECOND: [&str; 2] = [
    "DROP TABLE orders",
    "DELETE FROM flyway_schema_history WHERE version = '2'",
];
const FIRST: [&str; 2] = [
    "DROP TABLE customers",
    "DELETE FROM flyway_schema_history WHERE version = '1'",
];

fn flyway(transactional_lock: bool, way: Way, port: u16, database: &str) -> Tool {
    match way {
        Way::Up { to, .. } => Tool::new("java")
            .args(crate::JAVA_STARTS_FAST.split(' '))
            .args(["-cp", &format!("{}/*", paths::tool("flyway").display())])
            .args([
                "org.flywaydb.commandline.Main",
                "-locations=filesystem:flyway",
            ])
            .args([format!(
                "-url=jdbc:postgresql://127.0.0.1:{port}/{database}"
            )])
            .args([format!("-user={OWNER}"), format!("-target={to}")])
            .args([format!(
                "-postgresql.transactional.lock={transactional_lock}"
            )])
            .args(["migrate"])
            .within(&paths::of_tests("fixtures")),
        Way::Down => by_hand(&THIRD, port, database),
        Way::DownAll => by_hand(&[THIRD, SECOND, FIRST].concat(), port, database),
    }
}

macro_rules! flyway {
    ($name:ident, $transactional_lock:literal) => {
        matrix!(
            $name,
            Journey {
                tool: "flyway",
                oldest_major: 13,
                hold: Hold::Schema,
                config: String::new,
                command: |way, port, database| flyway($transactional_lock, way, port, database),
                history: "SELECT installed_rank, version, description, type, script, checksum, success \
                          FROM flyway_schema_history ORDER BY installed_rank",
                own: &["flyway_schema_history"],
                restless: &[],
                shown: Shown::ByExitCode,
            }
        );
    };
}

flyway!(by_two_connections, true);
flyway!(by_one_connection, false);
