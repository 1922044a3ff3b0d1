//! Sequelize: every statement is a transaction of its own, up and down.

use pgpawl_integration_tests::matrix::{Hold, Shown, Way};
use pgpawl_integration_tests::tool::Tool;
use pgpawl_integration_tests::{matrix, paths};

use crate::url;

const NAMES: [&str; 4] = ["1_customers.js", "2_orders.js", "3_email.js", "4_notes.js"];

fn sequelize(way: Way, port: u16, database: &str) -> Tool {
    let command: &[&str] = match way {
        Way::Up { to, .. } => &["db:migrate", "--to", NAMES[usize::from(to) - 1]],
        Way::Down => &["db:migrate:undo"],
        Way::DownAll => &["db:migrate:undo:all"],
    };
    Tool::new(paths::tool("node/node_modules/.bin/sequelize"))
        .args(command.iter().copied())
        .args(["--migrations-path", "migrations"])
        .args(["--url", &url("postgres", port, database)])
        .within(&paths::of_tests("fixtures/sequelize"))
        // Its command line looks for them from the working folder.
        .env(
            "NODE_PATH",
            &paths::tool("node/node_modules").display().to_string(),
        )
}

matrix!(
    by_default,
    Journey {
        tool: "sequelize",
        oldest_major: 13,
        hold: Hold::Schema,
        config: String::new,
        command: sequelize,
        history: "SELECT name FROM \"SequelizeMeta\" ORDER BY name",
        own: &["\"SequelizeMeta\""],
        restless: &[],
        shown: Shown::ByExitCode,
    }
);
