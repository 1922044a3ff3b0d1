//! The text that reads a version table, for the question to run.
use crate::{
    profile::{Kind, Profile, Source},
    question::{VERSION_LEN_MAX, hex},
    version::VERSIONS_MAX,
    visible::Visible,
};

/// Stands for the table in a template; no name or expression can contain it by accident.
pub(crate) const TABLE: &str = "@pgpawl:table@";
/// Stands for the rows of a profile in the text that reads a table.
pub(crate) const ROWS: &str = "@pgpawl:rows@";

/// The rows `s, v, a, o` (scope, version, applied, order) that a profile sees in its table, in order if it has one. A
/// removal is the last word among rows that the order does not tell apart.
pub(crate) fn rows(profile: &Profile, visible: Option<&Visible>) -> String {
    let text = match &profile.source {
        Source::Query(query) => {
            let (names, applied) = match profile.kind {
                Kind::Journal => ("s, v, a", "u.a"),
                Kind::Number | Kind::Set | Kind::Heads => ("s, v", "NULL"),
            };
            // The line break ends a comment that the query may end with.
            format!(
                "SELECT q.s, q.v, q.a, q.o FROM (SELECT u.s::pg_catalog.text AS s, u.v::pg_catalog.text AS v, \
                 {applied}::pg_catalog.bool AS a, pg_catalog.row_number() OVER () AS o \
                 FROM ({query}\n) u({names})) q WHERE q.v IS NOT NULL"
            )
        }
        Source::Columns {
            scope,
            version,
            order,
            applied,
            filter,
        } => {
            let order = order.as_ref().map_or_else(
                || "0".to_owned(),
                |order| {
                    let text = format!("({order})::pg_catalog.text COLLATE pg_catalog.\"C\"");
                    format!(
                        "CASE WHEN {text} OPERATOR(pg_catalog.~) '^-?[0-9]{{1,30}}$' \
                         THEN (({order})::pg_catalog.text)::pg_catalog.numeric END"
                    )
                },
            );
            let visible = visible.filter(|_| profile.kind == Kind::Set);
            format!(
                "SELECT ({})::pg_catalog.text AS s, ({version})::pg_catalog.text AS v, \
                 ({})::pg_catalog.bool AS a, {order} AS o FROM {TABLE} t \
                 WHERE ({}) AND {} AND ({version})::pg_catalog.text IS NOT NULL",
                scope.as_deref().unwrap_or("''"),
                applied.as_deref().unwrap_or("NULL"),
                filter.as_deref().unwrap_or("true"),
                visible.map_or("true", Visible::condition),
            )
        }
    };
    let order = if is_ordered(profile) { ORDER } else { "" };
    format!("{text}{order} LIMIT {}", VERSIONS_MAX + 1)
}

/// Whether the order of the rows means anything.
pub(crate) const fn is_ordered(profile: &Profile) -> bool {
    match &profile.source {
        Source::Query(_) => true,
        Source::Columns { order, applied, .. } => order.is_some() || applied.is_some(),
    }
}

/// The text that reads a table: one value `v`, `scope:version:applied` with commas between, or a
/// word after an exclamation mark.
#[must_use]
pub(crate) fn template(profile: &Profile) -> String {
    reading(is_ordered(profile)).replace(ROWS, &rows(profile, None))
}

/// The order of rows.
const ORDER: &str = " ORDER BY o, a DESC";

/// The same, for any profile: what is not `ordered` is planned for less.
pub(crate) fn reading(ordered: bool) -> String {
    format!(
        "SELECT CASE WHEN pg_catalog.max(GREATEST(pg_catalog.octet_length(q.s), pg_catalog.octet_length(q.v))) \
         OPERATOR(pg_catalog.>) {VERSION_LEN_MAX} THEN '!version_too_long' \
         ELSE pg_catalog.string_agg(pg_catalog.concat({}, ':', {}, ':', q.a), ','{}) END AS v FROM ({ROWS}) q",
        hex("q.s"),
        hex("q.v"),
        if ordered { ORDER } else { "" },
    )
}
