//! sqlx with `-- no-transaction`: a file is one Query of several statements, the record comes after it.

use pgpawl_integration_tests::matrix::{Hold, Shown, Way};
use pgpawl_integration_tests::tool::Tool;
use pgpawl_integration_tests::{matrix, paths};

use crate::url;

fn sqlx(way: Way, port: u16, database: &str) -> Tool {
    let (command, version) = match way {
        Way::Up { to, .. } => ("run", to),
        Way::Down => ("revert", 2),
        Way::DownAll => ("revert", 0),
    };
    Tool::new(paths::tool("bin/sqlx"))
        .args(["migrate", command, "--target-version", &version.to_string()])
        .args([
            "--source",
            "sqlx",
            "--database-url",
            &url("postgres", port, database),
        ])
        .within(&paths::of_tests("fixtures"))
}

matrix!(
    without_transactions,
    Journey {
        tool: "sqlx",
        oldest_major: 13,
        hold: Hold::Schema,
        config: String::new,
        command: sqlx,
        history: "SELECT version, description, success, checksum FROM _sqlx_migrations ORDER BY version",
        own: &["_sqlx_migrations"],
        restless: &[],
        shown: Shown::ByExitCode,
    }
);
