//! A real migration: Alembic upgrades an empty database by 50 revisions.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use pgpawl_integration_tests::tool;

use super::{Driven, Site, upgraded};
use crate::program;
use crate::server::{self, Server};

/// Its database, made anew for each run.
const DATABASE: &str = "alembic";

/// Revisions in a row.
const REVISIONS: u32 = 50;

const INI: &str = "[alembic]\nscript_location = %(here)s\n";

const ENV: &str = "\
import os
from alembic import context
from sqlalchemy import create_engine

with create_engine(os.environ['DATABASE_URL']).connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
";

/// Alembic in a virtual environment of the tools.
pub fn program() -> Option<PathBuf> {
    program::of_tools("venv/bin/alembic")
}

/// An empty database.
pub fn set_back(server: &Server) {
    server.recreate(DATABASE, "template1", &[]);
}

/// The whole upgrade, the start of Python included.
///
/// # Errors
/// When Alembic fails.
pub fn upgrade(site: &Site) -> io::Result<Driven> {
    let program = program().ok_or_else(|| io::Error::other("Alembic is not installed"))?;
    let folder = tempfile::tempdir()?;
    write_revisions(folder.path())?;
    let url = format!(
        "postgresql+psycopg2://{}@127.0.0.1:{}/{DATABASE}?sslmode=disable",
        server::USER,
        site.port
    );
    let mut command = Command::new(program);
    tool::clean_environment(&mut command);
    command
        .args(["upgrade", "head"])
        .env("DATABASE_URL", url)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(folder.path());
    upgraded(&mut command, REVISIONS)
}

fn write_revisions(folder: &Path) -> io::Result<()> {
    let versions = folder.join("versions");
    fs::create_dir(&versions)?;
    fs::write(folder.join("alembic.ini"), INI)?;
    fs::write(folder.join("env.py"), ENV)?;
    for number in 1..=REVISIONS {
        fs::write(versions.join(format!("r{number}.py")), revision(number))?;
    }
    Ok(())
}

fn revision(number: u32) -> String {
    let down = match number {
        1 => "None".to_owned(),
        number => format!("'r{}'", number - 1),
    };
    format!(
        "import sqlalchemy as sa\nfrom alembic import op\n\n\
         revision = 'r{number}'\ndown_revision = {down}\n\n\n\
         def upgrade():\n    op.create_table('t{number}', sa.Column('id', sa.Integer, primary_key=True))\n\n\n\
         def downgrade():\n    op.drop_table('t{number}')\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revisions_follow_each_other() {
        assert!(revision(1).contains("down_revision = None\n"));
        assert!(revision(50).contains("down_revision = 'r49'\n"));
    }
}
