//! yoyo, by both drivers: one connection changes the schema, another one has the lock and records.

use pgpawl_integration_tests::matrix::{Hold, Shown, Way};
use pgpawl_integration_tests::tool::Tool;
use pgpawl_integration_tests::{matrix, paths};

use crate::url;

const NAMES: [&str; 4] = ["1_customers", "2_orders", "3_email", "4_notes"];

fn yoyo(scheme: &str, way: Way, port: u16, database: &str) -> Tool {
    let command: &[&str] = match way {
        // Its lock stays after any COMMIT that fails: this is what its own message tells to do.
        Way::Up { count: 0, .. } => &["break-lock"],
        Way::Up { to, .. } => &["apply", "--revision", NAMES[usize::from(to) - 1]],
        Way::Down => &["rollback", "--revision", "3_email"],
        Way::DownAll => &["rollback", "--all"],
    };
    Tool::new(paths::tool("venv-more/bin/yoyo"))
        .args(command.iter().copied())
        .args(["--batch", "--no-config-file"])
        .args(["--database", &url(scheme, port, database), "yoyo"])
        .within(&paths::of_tests("fixtures"))
}

macro_rules! yoyo {
    ($name:ident, $scheme:literal) => {
        matrix!(
            $name,
            Journey {
                tool: "yoyo",
                oldest_major: 13,
                hold: Hold::Schema,
                config: String::new,
                command: |way, port, database| yoyo($scheme, way, port, database),
                history: "SELECT migration_hash, migration_id FROM _yoyo_migration ORDER BY migration_id",
                own: &["_yoyo_migration", "_yoyo_log", "_yoyo_version", "yoyo_lock"],
                restless: &["_yoyo_log", "yoyo_lock"],
                shown: Shown::ByExitCode,
            }
        );
    };
}

yoyo!(by_psycopg2, "postgresql");
yoyo!(by_psycopg3, "postgresql+psycopg");
