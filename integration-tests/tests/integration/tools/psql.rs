//! psql with scripts: by `-f` statement by statement, by `-c` as one Query.

use pgpawl_integration_tests::paths;
use pgpawl_integration_tests::postgres::{OWNER, Postgres};
use pgpawl_integration_tests::tool::Tool;

use super::journey::{before, journey};

const CONFIG: fn() -> String = String::new;

const VERSIONS: &str = "SELECT version FROM schema_migrations ORDER BY version";
const RECORDED: [&str; 3] = ["1 2", "1 2 3", "1 2"];
const DATA: &str = "SELECT email FROM customers";

fn psql(arguments: &[&str], port: u16, database: &str) -> Tool {
    Tool::new(paths::system_postgres().join("psql"))
        .args(["--no-psqlrc", "--quiet", "-v", "ON_ERROR_STOP=1"])
        .args(arguments.iter().copied())
        .within(&paths::of_tests("fixtures/psql"))
        .connecting(port, OWNER, database)
}

journey!(
    by_file,
    Journey {
        tool: "rails",
        oldest_major: 13,
        up: |port, database| psql(&["-f", "1.up.sql", "-f", "2.up.sql"], port, database),
        up_again: |port, database| psql(&["-f", "3.up.sql"], port, database),
        nothing_to_do: |port, database| psql(&["-f", "noop.sql"], port, database),
        down: |port, database| psql(&["-f", "3.down.sql"], port, database),
        versions: VERSIONS,
        recorded: RECORDED,
        data: DATA,
    }
);

journey!(
    by_one_query,
    Journey {
        tool: "rails",
        oldest_major: 13,
        up: |port, database| psql(&["-f", "1.up.sql", "-f", "2.up.sql"], port, database),
        up_again: |port, database| psql(
            &["-c", include_str!("../../../fixtures/psql/3.up.sql")],
            port,
            database
        ),
        nothing_to_do: |port, database| psql(
            &["-c", include_str!("../../../fixtures/psql/noop.sql")],
            port,
            database
        ),
        down: |port, database| psql(
            &["-c", include_str!("../../../fixtures/psql/3.down.sql")],
            port,
            database
        ),
        versions: VERSIONS,
        recorded: RECORDED,
        data: DATA,
    }
);

journey!(
    in_a_single_transaction,
    Journey {
        tool: "rails",
        oldest_major: 13,
        up: |port, database| psql(&["-f", "1.up.sql", "-f", "2.up.sql"], port, database),
        up_again: |port, database| psql(&["-f", "3.up.sql"], port, database),
        nothing_to_do: |port, database| psql(&["-1", "-f", "noop.sql"], port, database),
        down: |port, database| {
            let column = "ALTER TABLE customers DROP COLUMN email";
            psql(
                &[
                    "-1",
                    "-c",
                    column,
                    "-c",
                    "DELETE FROM schema_migrations WHERE version = '3'",
                ],
                port,
                database,
            )
        },
        versions: VERSIONS,
        recorded: RECORDED,
        data: DATA,
    }
);

/// Without `ON_ERROR_STOP` psql goes on and exits 0, as it does after any error; the rows hold all the same.
#[test]
fn goes_on_after_a_refusal_without_on_error_stop() {
    let postgres = Postgres::shared();
    let database = postgres.database("psql_goes_on");
    psql(
        &["-f", "1.up.sql", "-f", "2.up.sql", "-f", "3.up.sql"],
        postgres.port(),
        &database,
    )
    .run()
    .succeeded("up");
    let pgpawl = before(CONFIG, "enforce");
    let down = ["-v", "ON_ERROR_STOP=0", "-f", "3.down.sql"];
    let outcome = psql(&down, pgpawl.port(), &database)
        .run()
        .succeeded("down");
    assert!(outcome.stderr.contains("lower"), "{}", outcome.text());
    assert_eq!(postgres.value(&database, VERSIONS), RECORDED[1]);
    assert_eq!(postgres.value(&database, DATA), "ada@example.org");
}
