//! dbmate with `transaction:false`: a file is one Query of several statements, the record comes after it.

use pgpawl_integration_tests::matrix::{Hold, Shown, Way};
use pgpawl_integration_tests::tool::Tool;
use pgpawl_integration_tests::{matrix, paths};

use crate::url;

/// A release has the folders of its versions. It goes down by one version in a run.
fn dbmate(way: Way, port: u16, database: &str) -> Tool {
    let (release, command) = match way {
        Way::Up { to, .. } => (to, "migrate"),
        Way::Down | Way::DownAll => (3, "rollback"),
    };
    Tool::new(paths::tool(
        "node/node_modules/@dbmate/linux-x64/bin/dbmate",
    ))
    .args(["--no-dump-schema", "--url"])
    .args([format!(
        "{}?sslmode=disable",
        url("postgres", port, database)
    )])
    .args((1..=release).flat_map(|version| ["-d".into(), version.to_string()]))
    .args([command])
    .within(&paths::of_tests("fixtures/dbmate"))
}

matrix!(
    without_transactions,
    Journey {
        // Its table is that of Rails.
        tool: "rails",
        oldest_major: 13,
        hold: Hold::Schema,
        config: String::new,
        command: dbmate,
        history: "SELECT version FROM schema_migrations ORDER BY version",
        own: &["schema_migrations"],
        restless: &[],
        shown: Shown::ByExitCode,
    }
);
