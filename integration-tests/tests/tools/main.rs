//! The matrix of the tools that `make test-tools` installs: those that commit a change of the schema
//! before its record, or by another connection, and those that can be told to.
//!
//! `cargo test --package pgpawl-integration-tests --test tools knex` runs the ways of one.

mod alembic;
mod beside;
mod dbmate;
mod flyway;
mod knex;
mod laravel;
mod liquibase;
mod node_pg_migrate;
mod rails;
mod refinery;
mod sequelize;
mod sqitch;
mod sqlalchemy_migrate;
mod sqlx;
mod yoyo;

use pgpawl_integration_tests::paths;
use pgpawl_integration_tests::postgres::OWNER;
use pgpawl_integration_tests::tool::Tool;

/// A virtual machine that lives for seconds: no second compiler, no second thread to collect.
const JAVA_STARTS_FAST: &str = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC";

/// Where to connect, for tools that are told by a URL.
fn url(scheme: &str, port: u16, database: &str) -> String {
    format!("{scheme}://{OWNER}@127.0.0.1:{port}/{database}")
}

/// The way down of a tool that has none: by hand, each statement a transaction of its own.
fn by_hand(statements: &[&str], port: u16, database: &str) -> Tool {
    Tool::new(paths::system_postgres().join("psql"))
        .args(["--no-psqlrc", "--quiet", "-v", "ON_ERROR_STOP=1"])
        .args(statements.iter().flat_map(|sql| ["-c", sql]))
        .connecting(port, OWNER, database)
}
