//! Laravel commits each migration before its record, up and down.

use pgpawl_integration_tests::matrix::{Hold, Shown, Way};
use pgpawl_integration_tests::postgres::OWNER;
use pgpawl_integration_tests::tool::Tool;
use pgpawl_integration_tests::{matrix, paths};

fn artisan(way: Way, port: u16, database: &str) -> Tool {
    let (release, command): (u8, &[&str]) = match way {
        Way::Up { to, .. } => (to, &["migrate"]),
        Way::Down => (3, &["migrate:rollback", "--step=1"]),
        Way::DownAll => (3, &["migrate:reset"]),
    };
    Tool::new("php")
        .args(["artisan.php"])
        .args(command.iter().copied())
        .within(&paths::of_tests("fixtures/laravel"))
        .env("RELEASE", &release.to_string())
        .connecting(port, OWNER, database)
}

matrix!(
    by_default,
    Journey {
        tool: "laravel",
        oldest_major: 13,
        hold: Hold::Schema,
        config: String::new,
        command: artisan,
        history: "SELECT id, migration, batch FROM migrations ORDER BY id",
        // With its sequence.
        own: &["migrations*"],
        restless: &[],
        shown: Shown::ByExitCode,
    }
);
