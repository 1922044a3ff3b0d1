//! What is wrong with a configuration, all of it at once, each with its place.
use std::{collections::BTreeMap, fmt, path::PathBuf};

/// Where a value was said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    /// In the file, at a line counted from 1.
    File {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
    },
    /// In a variable of the environment.
    Env(String),
    /// In a flag.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line } => write!(to, "{}:{line}", path.display()),
            Self::Env(name) => write!(to, "{name}"),
            Self::Flag(name) => write!(to, "--{name}"),
        }
    }
}

/// Where each value was said, by its path: `limits.sessions_max`, `rule[0].mode`.
#[derive(Clone, Debug, Default)]
pub struct Origins(BTreeMap<String, Origin>);

impl Origins {
    /// The last word counts.
    pub fn insert(&mut self, key: String, origin: Origin) {
        self.0.insert(key, origin);
    }

    /// Where `key` was said, or else the nearest thing around it.
    #[must_use]
    pub fn of(&self, key: &str) -> Option<Origin> {
        let mut key = key;
        loop {
            if let Some(origin) = self.0.get(key) {
                return Some(origin.clone());
            }
            key = key.get(..key.rfind(['.', '['])?)?;
        }
    }
}

/// One mistake.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mistake {
    /// Where; none when it was said nowhere.
    pub origin: Option<Origin>,
    /// What is wrong and what would be right.
    pub text: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Some(origin) => write!(to, "{origin}: {}", self.text),
            None => write!(to, "{}", self.text),
        }
    }
}

/// All mistakes of a configuration; at least one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mistakes(pub Vec<Mistake>);

impl Mistakes {
    /// One mistake without a place.
    #[must_use]
    pub fn one(text: String) -> Self {
        Self(vec![Mistake { origin: None, text }])
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [only] => write!(to, "the configuration is wrong: {only}"),
            all => {
                write!(to, "the configuration has {} mistakes:", all.len())?;
                all.iter()
                    .try_for_each(|mistake| write!(to, "\n  {mistake}"))
            }
        }
    }
}

impl std::error::Error for Mistakes {}
