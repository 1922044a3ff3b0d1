//! Django's part of the matrix: atomic migrations and others by both drivers, several apps whose
//! migrations depend on each other, and a migration of data alone.

use pgpawl_integration_tests::matrix;
use pgpawl_integration_tests::matrix::{Hold, Shown, Way};
use pgpawl_integration_tests::paths;
use pgpawl_integration_tests::pgpawl::Pgpawl;
use pgpawl_integration_tests::postgres::{OWNER, Postgres};
use pgpawl_integration_tests::tool::Tool;

/// The oldest PostgreSQL that Django supports.
pub const OLDEST_MAJOR: u32 = 14;

pub fn migrate(apps: &str, driver: &str, to: &[&str], port: u16, database: &str) -> Tool {
    Tool::new(paths::tool("venv/bin/python"))
        .args(["manage.py", "migrate", "--no-color"])
        .args(to.iter().copied())
        .within(&paths::of_tests("fixtures/django"))
        .env("APPS", apps)
        .env("DRIVER", driver)
        .connecting(port, OWNER, database)
}

/// The way in an app whose migrations are numbered.
fn numbered(app: &str, driver: &str, way: Way, port: u16, database: &str) -> Tool {
    let to = match way {
        Way::Up { to, .. } => format!("000{to}"),
        Way::Down => "0002".into(),
        Way::DownAll => "zero".into(),
    };
    migrate(app, driver, &[app, &to], port, database)
}

/// The way in two apps that depend on each other: all the way down goes through both.
fn between_apps(driver: &str, way: Way, port: u16, database: &str) -> Tool {
    let to: &[&str] = match way {
        Way::Up { to: 1, .. } | Way::Down => &["people", "0001"],
        Way::Up { to: 2, .. } => &["sales", "0001"],
        Way::Up { to: 3, .. } => &["people", "0002"],
        Way::Up { .. } => &[],
        Way::DownAll => &["people", "zero"],
    };
    migrate("people sales", driver, to, port, database)
}

macro_rules! django {
    ($name:ident, $hold:expr, $command:expr) => {
        matrix!(
            $name,
            Journey {
                tool: "django",
                oldest_major: OLDEST_MAJOR,
                hold: $hold,
                config: String::new,
                command: $command,
                history: "SELECT id, app, name FROM django_migrations ORDER BY id",
                own: &["django_migrations"],
                restless: &[],
                shown: Shown::ByExitCode,
            }
        );
    };
}

django!(atomic_by_psycopg2, Hold::Schema, |way, port, database| {
    numbered("trade", "psycopg2", way, port, database)
});
django!(atomic_by_psycopg3, Hold::Schema, |way, port, database| {
    numbered("trade", "psycopg3", way, port, database)
});
django!(
    not_atomic_by_psycopg2,
    Hold::Schema,
    |way, port, database| { numbered("nonatomic", "psycopg2", way, port, database) }
);
django!(
    not_atomic_by_psycopg3,
    Hold::Schema,
    |way, port, database| { numbered("nonatomic", "psycopg3", way, port, database) }
);
django!(
    several_apps_by_psycopg2,
    Hold::Schema,
    |way, port, database| { between_apps("psycopg2", way, port, database) }
);
django!(
    several_apps_by_psycopg3,
    Hold::Schema,
    |way, port, database| { between_apps("psycopg3", way, port, database) }
);
django!(data_by_psycopg2, Hold::Writes, |way, port, database| {
    numbered("ledger", "psycopg2", way, port, database)
});
django!(data_by_psycopg3, Hold::Writes, |way, port, database| {
    numbered("ledger", "psycopg3", way, port, database)
});

#[test]
fn two_at_once() {
    atomic_by_psycopg2::JOURNEY.two_at_once();
    not_atomic_by_psycopg3::JOURNEY.two_at_once();
}

/// The squashed version's arrival adds a row; to prune the rows that it replaces takes an operator's rule.
#[test]
fn a_squash_arrives_and_is_pruned_by_a_rule() {
    let postgres = Postgres::shared();
    if postgres.major() < OLDEST_MAJOR {
        return;
    }
    let database = postgres.database("django_squash");
    let rule = "[[rule]]\napplication_name = \"pruning\"\nmode = \"log\"\n";
    let pgpawl = Pgpawl::before(postgres.port())
        .config(&[Hold::Schema.line(), rule].concat())
        .start();
    let catalog = |release: &str, options: &[&str]| {
        migrate("catalog", "psycopg3", options, pgpawl.port(), &database).env("CATALOG", release)
    };
    let names = "SELECT name FROM django_migrations ORDER BY id";

    catalog("before", &[]).run().succeeded("before the squash");
    catalog("squashed", &[])
        .run()
        .succeeded("the squash arrives");
    let all = "0001_book 0002_title 0001_squashed";
    assert_eq!(postgres.value(&database, names), all);

    let prune = catalog("pruned", &["catalog", "--prune"]);
    let refused = prune.run();
    assert_eq!(refused.code, Some(1), "{}", refused.text());
    assert!(refused.text().contains("lower"), "{}", refused.text());
    assert_eq!(postgres.value(&database, names), all);

    prune
        .env("PGAPPNAME", "pruning")
        .run()
        .succeeded("pruned by a rule");
    assert_eq!(postgres.value(&database, names), "0001_squashed");
    let _ = pgpawl.wait_for_event(&[("database", &database), ("verdict", "would-refuse")]);
}
