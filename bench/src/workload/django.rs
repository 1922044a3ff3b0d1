//! A real migration whose commits are held: Django upgrades an empty database by 50 revisions.
//!
//! All but the first add a foreign key, whose index Django makes at the end: then it records a revision
//! only after its COMMIT.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use pgpawl_integration_tests::tool;

use super::{Driven, Site, upgraded};
use crate::program;
use crate::server::{self, Server};

/// Its database, made anew for each run.
const DATABASE: &str = "django";

/// Revisions in a row.
const REVISIONS: u32 = 50;

const SETTINGS: &str = "\
import os

SECRET_KEY = 'not secret'
INSTALLED_APPS = ['goods']
USE_TZ = True
DATABASES = {
    'default': {
        'ENGINE': 'django.db.backends.postgresql',
        'HOST': '127.0.0.1',
        'PORT': os.environ['PGPORT'],
        'USER': os.environ['PGUSER'],
        'NAME': os.environ['PGDATABASE'],
        'OPTIONS': {'sslmode': 'disable'},
    }
}
";

/// Django in a virtual environment of the tools.
pub fn program() -> Option<PathBuf> {
    program::of_tools("venv/bin/django-admin")
}

/// An empty database.
pub fn set_back(server: &Server) {
    server.recreate(DATABASE, "template1", &[]);
}

/// The whole upgrade, the start of Python included.
///
/// # Errors
/// When Django fails.
pub fn upgrade(site: &Site) -> io::Result<Driven> {
    let program = program().ok_or_else(|| io::Error::other("Django is not installed"))?;
    let folder = tempfile::tempdir()?;
    write_project(folder.path())?;
    let mut command = Command::new(program);
    tool::clean_environment(&mut command);
    command
        .args(["migrate", "--verbosity=0"])
        .env("PGPORT", site.port.to_string())
        .env("PGUSER", server::USER)
        .env("PGDATABASE", DATABASE)
        .env("DJANGO_SETTINGS_MODULE", "settings")
        .env("PYTHONPATH", folder.path())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(folder.path());
    upgraded(&mut command, REVISIONS)
}

fn write_project(folder: &Path) -> io::Result<()> {
    let app = folder.join("goods");
    let migrations = app.join("migrations");
    fs::create_dir_all(&migrations)?;
    fs::write(folder.join("settings.py"), SETTINGS)?;
    fs::write(app.join("__init__.py"), "")?;
    fs::write(migrations.join("__init__.py"), "")?;
    for number in 1..=REVISIONS {
        let file = migrations.join(format!("{}.py", name(number)));
        fs::write(file, revision(number))?;
    }
    Ok(())
}

fn name(number: u32) -> String {
    format!("r{number:04}")
}

/// An odd one creates a model, the even one behind it adds a field to that.
fn revision(number: u32) -> String {
    let dependencies = match number {
        1 => String::new(),
        _ => format!("('goods', '{}')", name(number - 1)),
    };
    let key = |to: u32| {
        format!("models.ForeignKey('goods.M{to}', models.CASCADE, null=True, related_name='+')")
    };
    let operation = match number {
        1 => "CreateModel('M1', [('id', models.IntegerField(primary_key=True))])".to_owned(),
        number if number % 2 == 0 => format!("AddField('M{}', 'other', {})", number - 1, key(1)),
        number => format!(
            "CreateModel('M{number}', [('id', models.IntegerField(primary_key=True)), ('before', {})])",
            key(number - 2)
        ),
    };
    format!(
        "from django.db import migrations, models\n\n\n\
         class Migration(migrations.Migration):\n    dependencies = [{dependencies}]\n    \
         operations = [migrations.{operation}]\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revisions_follow_each_other() {
        assert!(revision(1).contains("dependencies = []\n"));
        assert!(revision(50).contains("dependencies = [('goods', 'r0049')]\n"));
    }

    #[test]
    fn models_and_fields_take_turns() {
        assert!(revision(2).contains("AddField('M1', 'other', models.ForeignKey('goods.M1'"));
        assert!(revision(3).contains("CreateModel('M3'"));
        assert!(revision(3).contains("('before', models.ForeignKey('goods.M1'"));
    }
}
