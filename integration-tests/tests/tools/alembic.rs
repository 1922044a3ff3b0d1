//! Alembic where it commits the schema before the record: with autocommit blocks in the revisions, and
//! with an engine that commits each statement.

use pgpawl_integration_tests::matrix::{Hold, Shown, Way};
use pgpawl_integration_tests::tool::Tool;
use pgpawl_integration_tests::{matrix, paths};

use crate::url;

/// The order of a folder's revisions.
fn order(folder: &str) -> String {
    let revisions = paths::of_tests("fixtures/alembic").join(folder);
    format!("[tool.alembic]\nrevisions = \"{}\"\n", revisions.display())
}

/// The revisions of a folder are called by its first letter and a number.
fn alembic(folder: &str, driver: &str, way: Way, port: u16, database: &str) -> Tool {
    let command = match way {
        Way::Up { to, .. } => ["upgrade".into(), format!("{}{to}", &folder[..1])],
        Way::Down => ["downgrade".into(), "-1".into()],
        Way::DownAll => ["downgrade".into(), "base".into()],
    };
    Tool::new(paths::tool("venv/bin/alembic"))
        .args(["--config".into(), format!("{folder}.ini")])
        .args(command)
        .within(&paths::of_tests("fixtures/alembic"))
        .env(
            "DATABASE_URL",
            &url(&format!("postgresql+{driver}"), port, database),
        )
}

macro_rules! alembic {
    ($name:ident, $folder:literal, $command:expr) => {
        matrix!(
            $name,
            Journey {
                tool: "alembic",
                oldest_major: 13,
                hold: Hold::Schema,
                config: || order($folder),
                command: $command,
                history: "SELECT version_num FROM alembic_version",
                own: &["alembic_version"],
                restless: &[],
                shown: Shown::ByExitCode,
            }
        );
    };
}

macro_rules! by {
    ($blocks:ident, $autocommit:ident, $driver:literal) => {
        alembic!($blocks, "blocks", |way, port, database| {
            alembic("blocks", $driver, way, port, database)
        });
        alembic!($autocommit, "autocommit", |way, port, database| {
            alembic("autocommit", $driver, way, port, database).env("ISOLATION", "AUTOCOMMIT")
        });
    };
}

by!(blocks_by_psycopg2, autocommit_by_psycopg2, "psycopg2");
by!(blocks_by_psycopg3, autocommit_by_psycopg3, "psycopg");
by!(blocks_by_asyncpg, autocommit_by_asyncpg, "asyncpg");
