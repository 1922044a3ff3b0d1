//! Liquibase: each change set is committed, then its record; between its lock's two transactions.

use pgpawl_integration_tests::matrix::{Hold, Shown, Way};
use pgpawl_integration_tests::postgres::OWNER;
use pgpawl_integration_tests::tool::Tool;
use pgpawl_integration_tests::{matrix, paths};

fn liquibase(way: Way, port: u16, database: &str) -> Tool {
    let (command, count) = match way {
        Way::Up { count, .. } => ("update-count", count),
        Way::Down => ("rollback-count", 1),
        Way::DownAll => ("rollback-count", 3),
    };
    Tool::new(paths::tool(
        "node/node_modules/liquibase/dist/liquibase/liquibase",
    ))
    .args(["--show-banner=false", "--changelog-file=changelog.sql"])
    .args([format!(
        "--url=jdbc:postgresql://127.0.0.1:{port}/{database}"
    )])
    .args([
        format!("--username={OWNER}"),
        command.into(),
        format!("--count={count}"),
    ])
    .within(&paths::of_tests("fixtures/liquibase"))
    .env("JAVA_OPTS", crate::JAVA_STARTS_FAST)
}

matrix!(
    by_default,
    Journey {
        tool: "liquibase",
        oldest_major: 13,
        hold: Hold::Schema,
        config: String::new,
        command: liquibase,
        history: "SELECT id, author, filename, orderexecuted, exectype, md5sum, tag \
                  FROM databasechangelog ORDER BY orderexecuted",
        own: &["databasechangelog", "databasechangeloglock"],
        restless: &["databasechangeloglock"],
        shown: Shown::ByExitCode,
    }
);
