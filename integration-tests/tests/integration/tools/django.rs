//! Django by both drivers. It commits the reverting DDL first and records it afterwards: the commit is
//! held, and a refusal leaves everything as it was.

use pgpawl_integration_tests::paths;
use pgpawl_integration_tests::postgres::OWNER;
use pgpawl_integration_tests::tool::Tool;

use super::journey::journey;

const CONFIG: fn() -> String = String::new;

const VERSIONS: &str = "SELECT name FROM django_migrations WHERE app = 'shop' ORDER BY id";
const RECORDED: [&str; 3] = [
    "0001_initial 0002_order",
    "0001_initial 0002_order 0003_email",
    "0001_initial 0002_order",
];
const DATA: &str = "SELECT email FROM shop_customer";

fn migrate(driver: &str, to: &[&str], port: u16, database: &str) -> Tool {
    Tool::new(paths::tool("venv/bin/python"))
        .args(["manage.py", "migrate", "--no-color"])
        .args(to.iter().copied())
        .within(&paths::of_tests("fixtures/django"))
        .env("DRIVER", driver)
        .connecting(port, OWNER, database)
}

macro_rules! by {
    ($name:ident, $driver:literal) => {
        journey!(
            $name,
            Journey {
                tool: "django",
                oldest_major: 14,
                up: |port, database| migrate($driver, &["shop", "0002"], port, database),
                up_again: |port, database| migrate($driver, &[], port, database),
                nothing_to_do: |port, database| migrate($driver, &[], port, database),
                down: |port, database| migrate($driver, &["shop", "0002"], port, database),
                versions: VERSIONS,
                recorded: RECORDED,
                data: DATA,
                left: Left::Everything,
            }
        );
    };
}

by!(psycopg2, "psycopg2");
by!(psycopg3, "psycopg3");
