//! Gathers what was said: defaults, then the file, then the environment, then flags.
use super::{
    file,
    mistake::{Mistake, Mistakes, Origin, Origins},
    nearest::nearest,
    raw::Raw,
};
use serde::Deserialize;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Where to look for what was said.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The configuration file, if one is named.
    pub file: Option<PathBuf>,
    /// The variables of the environment.
    pub env: Vec<(String, String)>,
    /// Keys with the values of their flags: `("limits.sessions_max", "100")`.
    pub flags: Vec<(&'static str, String)>,
}

/// What was said, and where.
#[derive(Debug)]
pub struct Said {
    /// The values.
    pub raw: Raw,
    /// Their places.
    pub origins: Origins,
    /// Relative paths begin here.
    pub base: PathBuf,
    /// What is not wrong but probably not meant.
    pub warnings: Vec<String>,
}

/// What begins a variable of ours.
const ENV_PREFIX: &str = "PGPAWL_";

/// Variables that are not keys of the configuration.
const ENV_OTHERS: [&str; 2] = ["PGPAWL_CONFIG", "PGPAWL_PG_BIN"];

impl Sources {
    /// Reads all sources.
    ///
    /// # Errors
    /// All mistakes of form: unknown keys, wrong types. `partial` has what was right.
    pub fn gather(&self) -> (Said, Vec<Mistake>) {
        let mut mistakes = Vec::new();
        let mut origins = Origins::default();
        let mut warnings = Vec::new();
        let mut table = toml::Table::new();
        if let Some(path) = &self.file {
            table = read_file(path, &mut origins, &mut mistakes);
        }
        for (name, value) in &self.env {
            one_variable(name, value, &mut table, &mut origins).unwrap_or_else(
                |wrong| match wrong {
                    Wrong::Mistake(mistake) => mistakes.push(mistake),
                    Wrong::Warning(warning) => warnings.push(warning),
                },
            );
        }
        for (key, value) in &self.flags {
            let origin = Origin::Flag(key.replace('_', "-"));
            match file::one_key(key, value) {
                Ok(one) => merge(&mut table, one),
                Err(said) => mistakes.push(Mistake {
                    origin: Some(origin.clone()),
                    text: file::explained(&said),
                }),
            }
            origins.insert((*key).to_owned(), origin);
        }
        let raw = Raw::deserialize(table).unwrap_or_else(|error| {
            mistakes.push(Mistake {
                origin: None,
                text: file::explained(error.message()),
            });
            Raw::default()
        });
        let base = self
            .file
            .as_deref()
            .and_then(Path::parent)
            .unwrap_or(Path::new(""));
        (
            Said {
                raw,
                origins,
                base: base.to_owned(),
                warnings,
            },
            mistakes,
        )
    }
}

fn one_variable(
    name: &str,
    value: &str,
    table: &mut toml::Table,
    origins: &mut Origins,
) -> Result<(), Wrong> {
    let Some(rest) = name.strip_prefix(ENV_PREFIX) else {
        return Ok(());
    };
    if ENV_OTHERS.contains(&name) {
        return Ok(());
    }
    let word = rest.to_ascii_lowercase();
    let key = match word.strip_prefix("limits_") {
        Some(limit) => format!("limits.{limit}"),
        None => word,
    };
    let origin = Origin::Env(name.to_owned());
    match file::one_key(&key, value) {
        Ok(one) => {
            merge(table, one);
            origins.insert(key, origin);
            Ok(())
        }
        // Kubernetes sets PGPAWL_PORT and its like for a service of this name, so an unknown
        // variable cannot be a mistake.
        Err(said) if file::is_unknown_key(&said) => match meant(&said) {
            Some(meant) => Err(Wrong::Warning(format!(
                "the variable {name} is unknown; did you mean {ENV_PREFIX}{}?",
                meant.to_ascii_uppercase()
            ))),
            None => Ok(()),
        },
        Err(said) => Err(Wrong::Mistake(Mistake {
            origin: Some(origin),
            text: file::explained(&said),
        })),
    }
}

enum Wrong {
    Mistake(Mistake),
    Warning(String),
}

fn meant(said: &str) -> Option<String> {
    let mut words = said.split('`').skip(1).step_by(2);
    let word = words.next()?;
    nearest(word, words).map(str::to_owned)
}

fn read_file(path: &Path, origins: &mut Origins, mistakes: &mut Vec<Mistake>) -> toml::Table {
    match fs::read_to_string(path) {
        Ok(text) => file::read(path, &text, origins, mistakes),
        Err(error) => {
            mistakes.push(Mistake {
                origin: None,
                text: format!("cannot read {}: {error}", path.display()),
            });
            toml::Table::new()
        }
    }
}

fn merge(into: &mut toml::Table, from: toml::Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(toml::Value::Table(inner)), toml::Value::Table(more)) => merge(inner, more),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

impl Said {
    /// A mistake about the value of `key`.
    #[must_use]
    pub fn mistake(&self, key: &str, text: &str) -> Mistake {
        Mistake {
            origin: self.origins.of(key),
            text: format!("`{key}`: {text}"),
        }
    }

    /// `path` as it is meant: relative to the configuration file.
    #[must_use]
    pub fn path(&self, path: &Path) -> PathBuf {
        self.base.join(path)
    }
}

impl From<Vec<Mistake>> for Mistakes {
    fn from(mistakes: Vec<Mistake>) -> Self {
        Self(mistakes)
    }
}
