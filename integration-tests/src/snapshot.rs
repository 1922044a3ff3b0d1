//! What a database holds, as `pg_dump` writes it: byte for byte comparable.

use crate::paths;
use crate::postgres::{Postgres, SUPERUSER};
use crate::tool::Tool;

/// Some versions of `pg_dump` print these with a random word.
const RANDOM: [&str; 2] = ["\\restrict ", "\\unrestrict "];

/// The whole database, schema and rows, without `tables`.
#[must_use]
pub fn without(database: &str, tables: &[&str]) -> String {
    dump(database, "--exclude-table", tables)
}

/// The whole database, but of `tables` the schema only.
#[must_use]
pub fn without_rows_of(database: &str, tables: &[&str]) -> String {
    dump(database, "--exclude-table-data", tables)
}

/// Whether `pg_dump` can read the shared server: it must not be older than it.
#[must_use]
pub fn is_possible() -> bool {
    let version = Tool::new(pg_dump()).args(["--version"]).run();
    // pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)
    let number = version.stdout.split(' ').nth(2).unwrap_or_default();
    let major = number.split(['.', '\n']).next().unwrap_or_default();
    major.parse::<u32>().expect("the version of pg_dump") >= Postgres::shared().major()
}

fn dump(database: &str, exclude: &str, tables: &[&str]) -> String {
    let dumped = Tool::new(pg_dump())
        .args(tables.iter().map(|table| format!("{exclude}={table}")))
        .connecting(Postgres::shared().port(), SUPERUSER, database)
        .run()
        .succeeded("pg_dump");
    let steady = |line: &&str| !RANDOM.iter().any(|word| line.starts_with(word));
    dumped.stdout.split_inclusive('\n').filter(steady).collect()
}

fn pg_dump() -> std::path::PathBuf {
    paths::system_postgres().join("pg_dump")
}

/// Fails unless both are the same, with the lines that only one of them has.
pub fn assert_same(what: &str, found: &str, expected: &str) {
    let only = |one: &str, other: &str, mark: &str| -> Vec<String> {
        let lines = one
            .lines()
            .filter(|line| !other.lines().any(|same| same == *line));
        lines.map(|line| format!("{mark} {line}")).collect()
    };
    if found != expected {
        let (gone, came) = (only(expected, found, "-"), only(found, expected, "+"));
        panic!("{what}:\n{}\n", [gone, came].concat().join("\n"));
    }
}
