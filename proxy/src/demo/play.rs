//! What the demo plays: a real migration tool's project, or a recording.
use super::postgres::{DATABASE, Postgres};
use crate::error::Error;
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// A tool with a project of three migrations.
#[derive(Debug)]
pub struct Play {
    /// The tool, in a sentence.
    pub about: &'static str,
    /// What the refusal does not undo.
    pub caveat: &'static str,
    /// pgpawl's configuration, if the tool needs one.
    pub config: Option<PathBuf>,
    /// What shows where the schema is.
    pub rows: &'static str,
    /// What a user types to go up.
    pub up: Step,
    /// What a user types to go one step down.
    pub down: Step,
}

/// One command of a play.
#[derive(Debug)]
pub struct Step {
    /// As a user would type it.
    pub shown: String,
    /// How it is run.
    pub command: Command,
}

/// The best play for what is installed on this machine.
///
/// # Errors
/// When its files cannot be written.
pub fn choose(postgres: &Postgres, port: u16, recorded: bool) -> Result<Play, Error> {
    let folder = postgres.folder().join("project");
    let installed = |name: &str| if recorded { None } else { program(name) };
    let play = if let Some(alembic) = installed("alembic") {
        alembic_play(&folder, &alembic, port)
    } else if let Some(migrate) = installed("migrate") {
        golang_migrate_play(&folder, &migrate, port)
    } else if let Some(django) = installed("django-admin") {
        django_play(&folder, &django, port)
    } else {
        recorded_play(postgres, &folder, port)
    };
    play.map_err(|error| Error::Demo(format!("the project cannot be written: {error}")))
}

/// Where a program is: on the PATH, or where this repository's tests install it.
fn program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let here = env::current_dir().unwrap_or_default();
    let own = here
        .ancestors()
        .flat_map(|folder| [folder.join(".tools/venv/bin"), folder.join(".tools/bin")]);
    env::split_paths(&path)
        .chain(own)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

fn write_all(folder: &Path, files: &[(&str, &str)]) -> std::io::Result<()> {
    for (name, text) in files {
        let path = folder.join(name);
        if let Some(above) = path.parent() {
            fs::create_dir_all(above)?;
        }
        fs::write(path, text)?;
    }
    Ok(())
}

fn step(folder: &Path, program: &Path, arguments: &[&str], env: &[(&str, &str)]) -> Step {
    let name = program.file_name().unwrap_or_default().to_string_lossy();
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(folder)
        .envs(env.iter().copied());
    Step {
        shown: format!("{name} {}", arguments.join(" ")),
        command,
    }
}

fn alembic_play(folder: &Path, alembic: &Path, port: u16) -> std::io::Result<Play> {
    write_all(
        folder,
        &[
            (
                "pgpawl.toml",
                "[tool.alembic]\nrevisions = \"migrations/versions\"\n",
            ),
            ("alembic.ini", include_str!("alembic/alembic.ini")),
            ("migrations/env.py", include_str!("alembic/env.py")),
            (
                "migrations/versions/1_goods.py",
                include_str!("alembic/1_goods.py"),
            ),
            (
                "migrations/versions/2_price.py",
                include_str!("alembic/2_price.py"),
            ),
            (
                "migrations/versions/3_stock.py",
                include_str!("alembic/3_stock.py"),
            ),
        ],
    )?;
    let port = port.to_string();
    let env = [("DEMO_PORT", port.as_str()), ("DEMO_DATABASE", DATABASE)];
    Ok(Play {
        about: "Alembic, the real one, with a project of three revisions",
        caveat: "",
        // Revision ids tell no order, and one run goes up all three in one transaction.
        config: Some(folder.join("pgpawl.toml")),
        rows: "SELECT version_num FROM alembic_version",
        up: step(folder, alembic, &["upgrade", "head"], &env),
        down: step(folder, alembic, &["downgrade", "-1"], &env),
    })
}

fn golang_migrate_play(folder: &Path, migrate: &Path, port: u16) -> std::io::Result<Play> {
    write_all(
        folder,
        &[
            (
                "1_goods.up.sql",
                "CREATE TABLE goods (id bigint PRIMARY KEY, name text);\n",
            ),
            ("1_goods.down.sql", "DROP TABLE goods;\n"),
            (
                "2_price.up.sql",
                "ALTER TABLE goods ADD COLUMN price numeric;\n",
            ),
            ("2_price.down.sql", "ALTER TABLE goods DROP COLUMN price;\n"),
            (
                "3_stock.up.sql",
                "CREATE TABLE stock (good bigint, amount int);\n",
            ),
            ("3_stock.down.sql", "DROP TABLE stock;\n"),
        ],
    )?;
    let url = format!("postgres://postgres@127.0.0.1:{port}/{DATABASE}?sslmode=disable");
    let migrate = |arguments: &[&str]| {
        let arguments = [&["-path", ".", "-database", &url], arguments].concat();
        step(folder, migrate, &arguments, &[])
    };
    Ok(Play {
        about: "golang-migrate, the real one, with three migrations",
        caveat: "",
        config: None,
        rows: "SELECT version, dirty FROM schema_migrations",
        up: migrate(&["up"]),
        down: migrate(&["down", "1"]),
    })
}

fn django_play(folder: &Path, django: &Path, port: u16) -> std::io::Result<Play> {
    write_all(
        folder,
        &[
            ("settings.py", include_str!("django/settings.py")),
            ("shop/__init__.py", ""),
            ("shop/migrations/__init__.py", ""),
            (
                "shop/migrations/0001_goods.py",
                include_str!("django/0001_goods.py"),
            ),
            (
                "shop/migrations/0002_price.py",
                include_str!("django/0002_price.py"),
            ),
        ],
    )?;
    let port = port.to_string();
    let env = [
        ("DEMO_PORT", port.as_str()),
        ("DEMO_DATABASE", DATABASE),
        ("DJANGO_SETTINGS_MODULE", "settings"),
        ("PYTHONPATH", "."),
    ];
    Ok(Play {
        about: "Django, the real one, with an app of two migrations",
        caveat: "Django commits its DDL before it changes the record, so the column is gone although the\n\
                 record is kept: that order is not held back yet.\n",
        config: None,
        rows: "SELECT app, name FROM django_migrations ORDER BY id",
        up: step(folder, django, &["migrate"], &env),
        down: step(folder, django, &["migrate", "shop", "0001"], &env),
    })
}

fn recorded_play(postgres: &Postgres, folder: &Path, port: u16) -> std::io::Result<Play> {
    write_all(
        folder,
        &[
            ("rails-up.sql", include_str!("rails/up.sql")),
            ("rails-down.sql", include_str!("rails/down.sql")),
        ],
    )?;
    let replay = |file: &str| {
        let mut command = postgres.psql(port);
        command
            .args(["-q", "-v", "ON_ERROR_STOP=1", "-f"])
            .arg(folder.join(file));
        Step {
            shown: format!("psql -v ON_ERROR_STOP=1 -f {file}"),
            command,
        }
    };
    Ok(Play {
        about: "no migration tool was found, so these are statements recorded from Rails \
                (Active Record 6.1: db:migrate, db:rollback), sent by psql",
        caveat: "",
        config: None,
        rows: "SELECT version FROM schema_migrations ORDER BY version",
        up: replay("rails-up.sql"),
        down: replay("rails-down.sql"),
    })
}
