//! Rails, with a transaction around each migration and with `disable_ddl_transaction!`. Its advisory
//! lock is on a connection of its own.

use pgpawl_integration_tests::matrix::{Hold, Shown, Way};
use pgpawl_integration_tests::postgres::OWNER;
use pgpawl_integration_tests::tool::Tool;
use pgpawl_integration_tests::{matrix, paths};

fn migrate(ddl_transaction: &str, way: Way, port: u16, database: &str) -> Tool {
    let command = match way {
        Way::Up { to, .. } => vec!["db:migrate".into(), format!("VERSION={to}")],
        Way::Down => vec!["db:rollback".into()],
        Way::DownAll => vec!["db:migrate".into(), "VERSION=0".into()],
    };
    rake(ddl_transaction, port, database).args(command)
}

/// The third version down and up again, by one command.
pub fn redo(ddl_transaction: &str, port: u16, database: &str) -> Tool {
    rake(ddl_transaction, port, database).args(["db:migrate:redo", "VERSION=3"])
}

fn rake(ddl_transaction: &str, port: u16, database: &str) -> Tool {
    Tool::new("rake")
        .within(&paths::of_tests("fixtures/rails"))
        .env("DDL_TRANSACTION", ddl_transaction)
        .connecting(port, OWNER, database)
}

macro_rules! rails {
    ($name:ident, $ddl_transaction:literal) => {
        matrix!(
            $name,
            Journey {
                tool: "rails",
                oldest_major: 13,
                hold: Hold::Schema,
                config: String::new,
                command: |way, port, database| migrate($ddl_transaction, way, port, database),
                history: "SELECT version FROM schema_migrations ORDER BY version",
                own: &["schema_migrations", "ar_internal_metadata"],
                restless: &[],
                shown: Shown::ByExitCode,
            }
        );
    };
}

rails!(by_default, "on");
rails!(without_ddl_transactions, "off");
