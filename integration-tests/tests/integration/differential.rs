//! The same script, directly and through pgpawl: what its client sees is equal, in every mode.

use pgpawl_integration_tests::paths;
use pgpawl_integration_tests::pgpawl::Pgpawl;
use pgpawl_integration_tests::postgres::{Postgres, SUPERUSER};
use pgpawl_integration_tests::tool::{Outcome, Tool};

const MODES: [&[&str]; 4] = [
    &["--mode", "enforce", "--coverage", "statement"],
    &["--mode", "enforce", "--coverage", "transaction"],
    &["--mode", "log"],
    &["--mode", "off"],
];

/// Runs a script directly and through pgpawl in each mode, and compares what it printed.
fn compare(stem: &str, script: fn(u16, &str) -> Tool) {
    let postgres = Postgres::shared();
    let run = |port| {
        let database = postgres.database(stem);
        let Outcome {
            code,
            stdout,
            stderr,
        } = script(port, &database).run();
        assert_eq!(code, Some(0), "{stdout}\n{stderr}");
        let normal = |text: &str| {
            normalised(
                &text
                    .replace(&database, "DATABASE")
                    // Only where a port stands: a SQLSTATE can be the same digits.
                    .replace(&format!("port {port}"), "port PORT")
                    .replace(&format!("port={port}"), "port=PORT")
                    .replace(&format!(":{port}"), ":PORT")
                    .replace(&format!("\"{port}\""), "\"PORT\"")
                    .replace(&format!(" {port} "), " PORT "),
            )
        };
        (normal(&stdout), normal(&stderr))
    };
    let direct = run(postgres.port());
    assert!(
        direct.0.len() > 10,
        "a script that says little: {:?}",
        direct.0
    );
    for mode in MODES {
        let pgpawl = Pgpawl::before(postgres.port()).args(mode).start();
        let through = run(pgpawl.port());
        assert_same(&direct.0, &through.0, mode);
        assert_same(&direct.1, &through.1, mode);
    }
}

/// Process ids and object ids are the server's choice: `PID 4711`, `lo_import 16404`.
fn normalised(text: &str) -> Vec<String> {
    let numbered = ["PID ", "lo_import "];
    let lines = text.lines().map(|line| {
        let start = numbered
            .iter()
            .find_map(|word| Some(line.find(word)? + word.len()));
        start.map_or_else(|| line.to_owned(), |start| format!("{}N", &line[..start]))
    });
    lines.collect()
}

fn assert_same(direct: &[String], through: &[String], mode: &[&str]) {
    let at = direct
        .iter()
        .zip(through)
        .take_while(|(one, other)| one == other)
        .count();
    let line = |lines: &[String]| lines.get(at).cloned().unwrap_or_else(|| "(the end)".into());
    assert!(
        direct == through,
        "{mode:?}: line {}\n direct  {}\n through {}",
        at + 1,
        line(direct),
        line(through)
    );
}

fn python(script: &str, port: u16, database: &str) -> Tool {
    Tool::new(paths::tool("venv/bin/python"))
        .args([script])
        .within(&paths::of_tests("scripts"))
        .connecting(port, SUPERUSER, database)
}

#[test]
fn psql() {
    compare("psql", |port, database| {
        Tool::new(paths::system_postgres().join("psql"))
            .args(["--no-psqlrc", "--echo-all", "-f", "psql.sql"])
            .within(&paths::of_tests("scripts"))
            .connecting(port, SUPERUSER, database)
    });
}

#[test]
fn libpq_pipelines() {
    compare("pipeline", |port, database| {
        python("pipeline.py", port, database)
    });
}

#[test]
fn psycopg_3() {
    compare("psycopg3", |port, database| {
        python("psycopg3.py", port, database)
    });
}

#[test]
fn asyncpg() {
    compare("asyncpg", |port, database| {
        python("asyncpg_run.py", port, database)
    });
}
