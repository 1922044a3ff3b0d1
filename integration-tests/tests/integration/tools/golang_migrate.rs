//! golang-migrate by both of its drivers: it records first, so a refusal keeps its DDL from being sent.

use pgpawl_integration_tests::paths;
use pgpawl_integration_tests::postgres::OWNER;
use pgpawl_integration_tests::tool::Tool;

use super::journey::journey;

const CONFIG: fn() -> String = String::new;

const VERSIONS: &str = "SELECT version, dirty FROM schema_migrations";
const RECORDED: [&str; 3] = ["2|f", "3|f", "2|f"];
const DATA: &str = "SELECT email FROM customers";

fn migrate(scheme: &str, command: &[&str], port: u16, database: &str) -> Tool {
    Tool::new(paths::tool("bin/migrate"))
        .args(["-path", "fixtures/golang-migrate", "-database"])
        .args([format!(
            "{scheme}://{OWNER}@127.0.0.1:{port}/{database}?sslmode=disable"
        )])
        .args(command.iter().copied())
        .within(&paths::of_tests("."))
}

macro_rules! by {
    ($name:ident, $scheme:literal) => {
        journey!(
            $name,
            Journey {
                tool: "golang-migrate",
                oldest_major: 13,
                up: |port, database| migrate($scheme, &["up", "2"], port, database),
                up_again: |port, database| migrate($scheme, &["up"], port, database),
                nothing_to_do: |port, database| migrate($scheme, &["up"], port, database),
                down: |port, database| migrate($scheme, &["down", "1"], port, database),
                versions: VERSIONS,
                recorded: RECORDED,
                data: DATA,
            }
        );
    };
}

by!(pq, "postgres");
by!(pgx5, "pgx5");
