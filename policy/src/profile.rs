//! How a tool's version table is read. The built-in profiles are data: `profiles.toml`.
use std::sync::{Arc, LazyLock};

use serde::Deserialize;

/// What the rows of a version table mean.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// One number per scope: every version up to it is applied.
    Number,
    /// Each row is an applied version.
    Set,
    /// Rows are events: the last word on each version counts.
    Journal,
    /// The rows are heads of a graph: they and all their ancestors are applied.
    Heads,
}

impl Kind {
    /// The word of the configuration.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Set => "set",
            Self::Journal => "journal",
            Self::Heads => "heads",
        }
    }
}

/// When a lowering is certain.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Judge {
    /// After the statement: no legitimate step of the tool is ever lower within a transaction.
    Statement,
    /// Only before the commit.
    #[default]
    Transaction,
}

/// A profile as its TOML says it. Expressions are over a row of the table under the alias `t`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawProfile {
    /// The tool's name.
    pub tool: String,
    /// The table's default name.
    pub table: String,
    /// What its rows mean.
    pub kind: Kind,
    /// Columns that it must have; only these may be read.
    #[serde(default)]
    pub columns: Vec<String>,
    /// Columns that it must not have.
    #[serde(default)]
    pub without: Vec<String>,
    /// Divides the rows into histories of their own.
    pub scope: Option<String>,
    /// The version of a row; NULL says nothing.
    pub version: Option<String>,
    /// Journal: what orders the rows, an integer.
    pub order: Option<String>,
    /// Journal: true adds the version, false takes it away, NULL says nothing.
    /// Number: false means that the step to this number is not finished (dirty).
    pub applied: Option<String>,
    /// Which rows count.
    #[serde(rename = "where")]
    pub filter: Option<String>,
    /// In place of the expressions: a query of the columns scope, version and, for a journal, applied.
    pub query: Option<String>,
    /// Tables that the tool keeps beside it, for locks and logs.
    #[serde(default)]
    pub beside: Vec<String>,
    /// When a lowering is certain.
    #[serde(default)]
    pub judge: Judge,
    /// For people.
    #[serde(default)]
    pub notes: String,
}

/// How a table is read; every name and expression has been checked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Profile {
    /// The tool's name.
    pub tool: String,
    /// The table's name.
    pub table: String,
    /// What its rows mean.
    pub kind: Kind,
    /// Columns that it must have.
    pub columns: Vec<String>,
    /// Columns that it must not have.
    pub without: Vec<String>,
    /// Tables that the tool keeps beside it.
    pub beside: Vec<String>,
    /// When a lowering is certain.
    pub judge: Judge,
    /// For people.
    pub notes: String,
    pub(crate) source: Source,
}

impl Profile {
    /// The text that reads a table, for people who want to know what is asked.
    #[must_use]
    pub fn query(&self) -> String {
        crate::reading::template(self)
    }
}

/// Where the versions come from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Source {
    /// Expressions over a row `t` of the table.
    Columns {
        scope: Option<String>,
        version: String,
        order: Option<String>,
        applied: Option<String>,
        filter: Option<String>,
    },
    /// A whole query.
    Query(String),
}

/// What is wrong with a profile or a guard of the configuration.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Mistake {
    /// PostgreSQL cuts names at 63 bytes, and the lexical screen looks for ASCII.
    #[error("{field} {name:?}: a name has 1 to 63 ASCII characters, without NUL and backslash")]
    BadName {
        /// The field.
        field: &'static str,
        /// What it said.
        name: String,
    },
    /// It becomes part of a literal in the question.
    #[error("{field}: SQL must be ASCII, without NUL and backslash, and not empty")]
    BadSql {
        /// The field.
        field: &'static str,
    },
    /// A field that this kind of guard needs.
    #[error("{field} is missing: {why}")]
    Missing {
        /// The field.
        field: &'static str,
        /// Why it is needed.
        why: &'static str,
    },
    /// A field that this kind of guard cannot have.
    #[error("{field} does not belong here: {why}")]
    Misplaced {
        /// The field.
        field: &'static str,
        /// Why not.
        why: &'static str,
    },
}

/// The longest name of PostgreSQL, NAMEDATALEN - 1.
pub const NAME_LEN_MAX: usize = 63;

fn is_name(name: &str) -> bool {
    (1..=NAME_LEN_MAX).contains(&name.len()) && is_sql(name)
}

/// Whether it can stand in a literal of the question.
pub(crate) fn is_sql(text: &str) -> bool {
    !text.trim().is_empty() && text.bytes().all(|b| b.is_ascii() && b != 0 && b != b'\\')
}

/// Adds a mistake unless `name` is a name that can be guarded.
pub(crate) fn check_name(field: &'static str, name: &str, mistakes: &mut Vec<Mistake>) {
    if !is_name(name) {
        mistakes.push(Mistake::BadName {
            field,
            name: name.to_owned(),
        });
    }
}

impl TryFrom<RawProfile> for Profile {
    type Error = Vec<Mistake>;

    fn try_from(raw: RawProfile) -> Result<Self, Vec<Mistake>> {
        let mut mistakes = Vec::new();
        check_name("table", &raw.table, &mut mistakes);
        for column in &raw.columns {
            check_name("columns", column, &mut mistakes);
        }
        for column in &raw.without {
            check_name("without", column, &mut mistakes);
        }
        for table in &raw.beside {
            check_name("beside", table, &mut mistakes);
        }
        if raw.tool.trim().is_empty() {
            mistakes.push(Mistake::Missing {
                field: "tool",
                why: "a guard has a name",
            });
        }
        for (field, sql) in [
            ("scope", &raw.scope),
            ("version", &raw.version),
            ("order", &raw.order),
            ("applied", &raw.applied),
            ("where", &raw.filter),
            ("query", &raw.query),
        ] {
            if sql.as_deref().is_some_and(|sql| !is_sql(sql)) {
                mistakes.push(Mistake::BadSql { field });
            }
        }
        let source = source(&raw, &mut mistakes);
        match source {
            Some(source) if mistakes.is_empty() => Ok(Self {
                tool: raw.tool,
                table: raw.table,
                kind: raw.kind,
                columns: raw.columns,
                without: raw.without,
                beside: raw.beside,
                judge: raw.judge,
                notes: raw.notes,
                source,
            }),
            _ => Err(mistakes),
        }
    }
}

fn source(raw: &RawProfile, mistakes: &mut Vec<Mistake>) -> Option<Source> {
    if let Some(query) = &raw.query {
        let why = "a query says it itself";
        for (field, sql) in [
            ("scope", &raw.scope),
            ("version", &raw.version),
            ("order", &raw.order),
            ("applied", &raw.applied),
            ("where", &raw.filter),
        ] {
            if sql.is_some() {
                mistakes.push(Mistake::Misplaced { field, why });
            }
        }
        return Some(Source::Query(query.clone()));
    }
    let Some(version) = raw.version.clone() else {
        mistakes.push(Mistake::Missing {
            field: "version",
            why: "an expression, or a query in its place",
        });
        return None;
    };
    let journal = raw.kind == Kind::Journal;
    if journal && raw.order.is_none() {
        let why = "a journal has an order";
        mistakes.push(Mistake::Missing {
            field: "order",
            why,
        });
    }
    if !journal && raw.order.is_some() {
        let why = "only a journal has an order";
        mistakes.push(Mistake::Misplaced {
            field: "order",
            why,
        });
    }
    if matches!(raw.kind, Kind::Set | Kind::Heads) && raw.applied.is_some() {
        let why = "use where";
        mistakes.push(Mistake::Misplaced {
            field: "applied",
            why,
        });
    }
    Some(Source::Columns {
        scope: raw.scope.clone(),
        version,
        order: raw.order.clone(),
        applied: raw.applied.clone(),
        filter: raw.filter.clone(),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawProfiles {
    profile: Vec<RawProfile>,
}

fn parsed(toml: &str) -> Result<Vec<Arc<Profile>>, String> {
    let raw: RawProfiles = toml::from_str(toml).map_err(|e| e.to_string())?;
    let profile = |raw: RawProfile| {
        let name = raw.tool.clone();
        Profile::try_from(raw)
            .map(Arc::new)
            .map_err(|mistakes| format!("{name}: {mistakes:?}"))
    };
    raw.profile.into_iter().map(profile).collect()
}

/// The built-in profiles, in the order of `profiles.toml`.
#[must_use]
pub fn builtin() -> &'static [Arc<Profile>] {
    // The file is part of the program; the test `builtin_profiles_are_sound` keeps it readable.
    static BUILTIN: LazyLock<Vec<Arc<Profile>>> =
        LazyLock::new(|| parsed(include_str!("profiles.toml")).unwrap_or_default());
    &BUILTIN
}

/// The built-in profile of a tool.
#[must_use]
pub fn builtin_of(tool: &str) -> Option<&'static Arc<Profile>> {
    builtin().iter().find(|profile| profile.tool == tool)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builtin_profiles_are_sound() {
        let profiles = parsed(include_str!("profiles.toml")).unwrap();
        assert!(profiles.len() >= 6 && profiles.len() <= crate::guard::GUARDS_MAX);
        for p in &profiles {
            assert!(!p.columns.is_empty(), "{}: nothing identifies it", p.tool);
            assert!(!p.notes.is_empty(), "{}", p.tool);
        }
    }

    #[test]
    fn all_mistakes_are_told() {
        let raw: RawProfile = toml::from_str(
            "tool = ' '\ntable = 'a\\b'\nkind = 'set'\norder = 'x'\napplied = 'caf\u{e9}'",
        )
        .unwrap();
        let mistakes = Profile::try_from(raw).unwrap_err();
        assert_eq!(mistakes.len(), 4, "{mistakes:?}");
        let raw: RawProfile = toml::from_str(
            "tool = 'x'\ntable = 'a'\nkind = 'set'\nquery = 'SELECT 1, 2'\nversion = 't.x'",
        )
        .unwrap();
        assert!(Profile::try_from(raw).is_err());
    }
}
