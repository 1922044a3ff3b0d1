//! sqlalchemy-migrate, as OpenStack's services used it: each statement is a transaction of its own.

use pgpawl_integration_tests::matrix::{Hold, Shown, Way};
use pgpawl_integration_tests::tool::Tool;
use pgpawl_integration_tests::{matrix, paths};

use crate::url;

fn db_sync(way: Way, port: u16, database: &str) -> Tool {
    let version = match way {
        Way::Up { to, .. } => to,
        Way::Down => 2,
        Way::DownAll => 0,
    };
    Tool::new(paths::tool("venv-more/bin/python"))
        .args([
            "db_sync.py".into(),
            url("postgresql", port, database),
            version.to_string(),
        ])
        .within(&paths::of_tests("fixtures/sqlalchemy-migrate"))
}

matrix!(
    by_default,
    Journey {
        tool: "sqlalchemy-migrate",
        oldest_major: 13,
        hold: Hold::Schema,
        config: String::new,
        command: db_sync,
        history: "SELECT * FROM migrate_version",
        own: &["migrate_version"],
        restless: &[],
        shown: Shown::ByExitCode,
    }
);
