//! sqitch: each script is run by a psql of its own, between the record's LOCK TABLE and its INSERT or
//! DELETE on the first connection.

use pgpawl_integration_tests::matrix::{Hold, Shown, Way};
use pgpawl_integration_tests::tool::Tool;
use pgpawl_integration_tests::{matrix, paths};

use crate::url;

const NAMES: [&str; 4] = ["customers", "orders", "email", "notes"];

fn sqitch(options: &[&str], way: Way, port: u16, database: &str) -> Tool {
    let command: &[&str] = match way {
        Way::Up { to, .. } => &["deploy", "--to", NAMES[usize::from(to) - 1]],
        Way::Down => &["revert", "-y", "--to", "orders"],
        Way::DownAll => &["revert", "-y"],
    };
    let options = if matches!(way, Way::Up { .. }) {
        options
    } else {
        &[]
    };
    run(command, port, database).args(options.iter().copied())
}

/// The third version down and up again, by one command.
pub fn rebase(port: u16, database: &str) -> Tool {
    let command = ["rebase", "-y", "--onto", "orders", "--upto", "email"];
    run(&command, port, database)
}

fn run(command: &[&str], port: u16, database: &str) -> Tool {
    Tool::new("sqitch")
        .args(command.iter().copied())
        .args(["--target", &url("db:pg", port, database)])
        .within(&paths::of_tests("fixtures/sqitch"))
        .env("SQITCH_FULLNAME", "Ada")
        .env("SQITCH_EMAIL", "ada@example.org")
        .env("TZ", "UTC")
}

macro_rules! sqitch {
    ($name:ident, $options:expr) => {
        matrix!(
            $name,
            Journey {
                tool: "sqitch",
                oldest_major: 13,
                hold: Hold::Schema,
                config: String::new,
                command: |way, port, database| sqitch($options, way, port, database),
                history: "SELECT change_id, script_hash, change FROM sqitch.changes ORDER BY planned_at",
                own: &["sqitch.*"],
                restless: &["sqitch.events"],
                shown: Shown::ByExitCode,
            }
        );
    };
}

sqitch!(without_verify, &[]);
sqitch!(with_verify, &["--verify"]);
