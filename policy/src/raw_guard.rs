//! A guard as the configuration says it, and what is wrong with it.
use std::sync::Arc;

use serde::Deserialize;

use crate::{
    guard::{Guard, Unknown},
    profile::{self, Judge, Kind, Mistake, Profile, RawProfile, check_name, is_sql},
    question::column,
};

/// A guard as the configuration says it: a built-in tool, perhaps with another table or pinned to a
/// schema; or a tool of the user's own, with a `kind` and either a `column` or a `query`.
#[derive(Clone, Default, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawGuard {
    /// A built-in tool, or a name of its own.
    pub tool: String,
    /// The table; a built-in tool has a default.
    pub table: Option<String>,
    /// The only schema that counts; any when left out.
    pub schema: Option<String>,
    /// Own: what the rows mean.
    pub kind: Option<Kind>,
    /// Own: the column of the version.
    pub column: Option<String>,
    /// Own: the column that divides the rows into histories.
    pub scope_column: Option<String>,
    /// Own: a query of the columns scope, version and, for a journal, applied, in journal order.
    /// It must qualify every name, operators too, or it means what the client's `search_path` says.
    pub query: Option<String>,
    /// Own: when a lowering is certain.
    pub judge: Option<Judge>,
    /// What happens to a step of unknown direction.
    #[serde(default)]
    pub unknown: Unknown,
    /// Heads: the directory of Alembic's revision files, for the shell to read.
    pub revisions_dir: Option<String>,
}

impl TryFrom<RawGuard> for Guard {
    type Error = Vec<Mistake>;

    /// The graph is the shell's to add.
    fn try_from(raw: RawGuard) -> Result<Self, Vec<Mistake>> {
        let mut mistakes = Vec::new();
        if let Some(schema) = &raw.schema {
            check_name("schema", schema, &mut mistakes);
        }
        let (schema, unknown) = (raw.schema.clone(), raw.unknown);
        let has_dir = raw.revisions_dir.is_some();
        let profile = match profile::builtin_of(&raw.tool) {
            Some(builtin) => Some(renamed(builtin, &raw, &mut mistakes)),
            None => own(raw, &mut mistakes),
        };
        let heads = profile.as_ref().is_some_and(|p| p.kind == Kind::Heads);
        if has_dir && !heads && profile.is_some() {
            mistakes.push(Mistake::Misplaced {
                field: "revisions_dir",
                why: "only heads have an order in files",
            });
        }
        match profile {
            Some(profile) if mistakes.is_empty() => Ok(Self {
                profile,
                schema,
                unknown,
                graph: None,
            }),
            _ => Err(mistakes),
        }
    }
}

/// A built-in profile, perhaps of another table.
fn renamed(builtin: &Arc<Profile>, raw: &RawGuard, mistakes: &mut Vec<Mistake>) -> Arc<Profile> {
    for (field, said) in [
        ("kind", raw.kind.is_some()),
        ("column", raw.column.is_some()),
        ("scope_column", raw.scope_column.is_some()),
        ("query", raw.query.is_some()),
        ("judge", raw.judge.is_some()),
    ] {
        if said {
            let why = "the tool is built in; give a tool of your own another name";
            mistakes.push(Mistake::Misplaced { field, why });
        }
    }
    let mut profile = Arc::clone(builtin);
    if let Some(table) = &raw.table {
        check_name("table", table, mistakes);
        Arc::make_mut(&mut profile).table.clone_from(table);
    }
    profile
}

/// A profile of the user's own.
fn own(raw: RawGuard, mistakes: &mut Vec<Mistake>) -> Option<Arc<Profile>> {
    let why = "the tool is not built in";
    let mut columns = Vec::new();
    for (field, column) in [("column", &raw.column), ("scope_column", &raw.scope_column)] {
        if let Some(column) = column {
            check_name(field, column, mistakes);
            columns.push(column.clone());
        }
    }
    if raw.column.is_some() == raw.query.is_some() {
        let why = "the tool is not built in: either column or query says how to read it";
        mistakes.push(Mistake::Missing {
            field: "column",
            why,
        });
    }
    if raw.query.is_some() && raw.scope_column.is_some() {
        let (field, why) = ("scope_column", "a query says it itself");
        mistakes.push(Mistake::Misplaced { field, why });
    }
    if raw.kind == Some(Kind::Journal) && raw.query.is_none() {
        let why = "only a query can tell which rows of a journal add a version";
        mistakes.push(Mistake::Missing {
            field: "query",
            why,
        });
    }
    if raw.table.is_none() {
        mistakes.push(Mistake::Missing {
            field: "table",
            why,
        });
    }
    if raw.kind.is_none() {
        mistakes.push(Mistake::Missing { field: "kind", why });
    }
    if raw.query.as_deref().is_some_and(|query| !is_sql(query)) {
        mistakes.push(Mistake::BadSql { field: "query" });
    }
    if let Some(table) = &raw.table {
        check_name("table", table, mistakes);
    }
    if raw.tool.trim().is_empty() {
        let why = "a guard has a name";
        mistakes.push(Mistake::Missing { field: "tool", why });
    }
    let (table, kind) = (raw.table?, raw.kind?);
    if !mistakes.is_empty() {
        return None;
    }
    let profile = Profile::try_from(RawProfile {
        tool: raw.tool,
        table,
        kind,
        columns,
        without: Vec::new(),
        beside: Vec::new(),
        scope: raw.scope_column.as_deref().map(column),
        version: raw.column.as_deref().map(column),
        order: None,
        applied: None,
        filter: None,
        query: raw.query,
        judge: raw.judge.unwrap_or_default(),
        notes: String::new(),
    });
    profile
        .map(Arc::new)
        .map_err(|more| mistakes.extend(more))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(toml: &str) -> Result<Guard, Vec<String>> {
        let raw: RawGuard = toml::from_str(toml).map_err(|e| vec![e.message().to_owned()])?;
        Guard::try_from(raw).map_err(|all| all.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn guards_of_the_configuration() {
        let rails = guard("tool='rails'\ntable='my_migrations'\nschema='app'").unwrap();
        assert_eq!(
            (rails.table(), rails.schema.as_deref()),
            ("my_migrations", Some("app"))
        );
        let own = "tool='mine'\ntable='v'\nkind='number'\n";
        assert!(guard(&format!("{own}column='n'\nscope_column='p\"q'")).is_ok());
        assert!(guard(&format!("{own}query='SELECT NULL, 1'")).is_ok());
        let alembic = guard("tool='alembic'\nrevisions_dir='versions'\nunknown='refuse'").unwrap();
        assert_eq!(alembic.unknown, Unknown::Refuse);
    }

    #[test]
    fn all_mistakes_are_told() {
        for (toml, count) in [
            ("tool='rails'\nkind='set'\ncolumn='x'\nschema=''", 3),
            ("tool='mine'", 3),
            ("tool='mine'\ntable='caf\u{e9}'\nkind='set'\ncolumn='a'", 1),
            (
                "tool='mine'\ntable='t'\nkind='set'\ncolumn='a'\nquery='SELECT 1'",
                1,
            ),
            ("tool='mine'\ntable='t'\nkind='journal'\ncolumn='a'", 1),
            (
                "tool='mine'\ntable='t'\nkind='set'\ncolumn='a\\'\nrevisions_dir='x'",
                1,
            ),
            ("tool='rails'\nrevisions_dir='x'", 1),
            ("tool='rails'\nfoo='x'", 1),
        ] {
            let mistakes = guard(toml).unwrap_err();
            assert_eq!(mistakes.len(), count, "{toml}: {mistakes:?}");
        }
    }
}
