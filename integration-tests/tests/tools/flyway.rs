//! Flyway: by default a second connection changes the schema and commits before the record's. Its way
//! down is sold apart: here it is gone by hand.

use std::fs;
use std::path::Path;

use pgpawl_integration_tests::matrix::{Hold, Shown, Way};
use pgpawl_integration_tests::pgpawl::Pgpawl;
use pgpawl_integration_tests::postgres::{OWNER, Postgres};
use pgpawl_integration_tests::tool::Tool;
use pgpawl_integration_tests::{matrix, paths};

use crate::by_hand;

const THIRD: [&str; 2] = [
    "ALTER TABLE customers DROP COLUMN email",
    "DELETE FROM flyway_schema_history WHERE version = '3'",
];
const SECOND: [&str; 2] = [
    "DROP TABLE orders",
    "DELETE FROM flyway_schema_history WHERE version = '2'",
];
const FIRST: [&str; 2] = [
    "DROP TABLE customers",
    "DELETE FROM flyway_schema_history WHERE version = '1'",
];

fn flyway(transactional_lock: bool, way: Way, port: u16, database: &str) -> Tool {
    match way {
        Way::Up { to, .. } => command(&paths::of_tests("fixtures/flyway"), port, database)
            .args([format!("-target={to}")])
            .args([format!(
                "-postgresql.transactional.lock={transactional_lock}"
            )])
            .args(["migrate"]),
        Way::Down => by_hand("flyway_schema_history", &THIRD, port, database),
        Way::DownAll => by_hand(
            "flyway_schema_history",
            &[THIRD, SECOND, FIRST].concat(),
            port,
            database,
        ),
    }
}

/// Flyway with the migrations of a folder.
fn command(migrations: &Path, port: u16, database: &str) -> Tool {
    Tool::new("java")
        .args(crate::JAVA_STARTS_FAST.split(' '))
        .args(["-cp", &format!("{}/*", paths::tool("flyway").display())])
        .args(["org.flywaydb.commandline.Main"])
        .args([format!("-locations=filesystem:{}", migrations.display())])
        .args([format!(
            "-url=jdbc:postgresql://127.0.0.1:{port}/{database}"
        )])
        .args([format!("-user={OWNER}")])
        .within(&paths::of_tests("fixtures"))
}

macro_rules! flyway {
    ($name:ident, $transactional_lock:literal) => {
        matrix!(
            $name,
            Journey {
                tool: "flyway",
                oldest_major: 13,
                hold: Hold::Schema,
                config: String::new,
                command: |way, port, database| flyway($transactional_lock, way, port, database),
                history: "SELECT installed_rank, version, description, type, script, checksum, success \
                          FROM flyway_schema_history ORDER BY installed_rank",
                own: &["flyway_schema_history"],
                restless: &[],
                shown: Shown::ByExitCode,
            }
        );
    };
}

flyway!(by_two_connections, true);
flyway!(by_one_connection, false);

/// A repair takes the row of a failed migration away, and writes the checksum of a changed one. It also marks those
/// as deleted whose files are gone: that is a lowering.
#[test]
fn a_repair_passes_but_for_what_it_deletes() {
    let postgres = Postgres::shared();
    let database = postgres.database("flyway_repair");
    let pgpawl = Pgpawl::before(postgres.port())
        .config(Hold::Schema.line())
        .start();
    let folder = pgpawl.folder().join("flyway");
    fs::create_dir(&folder).expect("a folder");
    for file in fs::read_dir(paths::of_tests("fixtures/flyway")).expect("the fixtures") {
        let file = file.expect("a fixture");
        fs::copy(file.path(), folder.join(file.file_name())).expect("a copy");
    }
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).expect("a migration");
    let flyway = |what: &str| command(&folder, pgpawl.port(), &database).args([what]);
    let history = "SELECT version || CASE WHEN success THEN '' ELSE '!' END \
                   FROM flyway_schema_history ORDER BY installed_rank";
    let rows = || postgres.value(&database, history);

    flyway("migrate").run().succeeded("the way up");
    // What it writes itself where DDL is not transactional.
    postgres.run(
        &database,
        "INSERT INTO flyway_schema_history \
         VALUES (5, '5', 'bad', 'SQL', 'V5__bad.sql', 1, 'owner', now(), 0, false)",
    );
    assert_eq!(rows(), "1 2 3 4 5!");
    let repaired = flyway("repair").run().succeeded("a failed one is repaired");
    assert_eq!(rows(), "1 2 3 4", "{}", repaired.text());

    let second = fs::read_to_string(folder.join("V2__orders.sql")).expect("a migration");
    write("V2__orders.sql", &format!("-- changed\n{second}"));
    assert_ne!(flyway("validate").run().code, Some(0), "another checksum");
    flyway("repair")
        .run()
        .succeeded("a changed one is repaired");
    flyway("validate").run().succeeded("its checksum");
    assert_eq!(rows(), "1 2 3 4");

    fs::remove_file(folder.join("V3__email.sql")).expect("it is gone");
    let deletes = flyway("repair").run();
    assert_ne!(deletes.code, Some(0), "{}", deletes.text());
    assert!(deletes.text().contains("lower"), "{}", deletes.text());
    assert_eq!(rows(), "1 2 3 4");
}
