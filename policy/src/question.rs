//! How to ask the server for the version sets: one SELECT over the catalogs that also reads the
//! tables which it finds.
//!
//! It runs in the client's session and transaction, where the client chose the `search_path`, the
//! role, the encoding and much else. So every name is qualified, operators and types too; the text
//! is ASCII without a backslash; nothing is read that the role may not read or that row security
//! would filter; only plain tables with built-in column types are read, so that no code of the
//! client runs; and what was read comes back as hexadecimal digits of the server's own bytes.
//!
//! The tables are read by `query_to_xml`, which runs a text by SPI, read-only and with the
//! statement's own snapshot: what is found and what is read belong together.
use std::fmt::Write as _;

pub use crate::answer::BadAnswer;
use crate::facts::HELD;
use crate::guard::{Guard, GuardId, GuardSet, Guards};
use crate::profile::{Kind, Profile, Source};
pub use crate::snapshot::{History, HistoryKey, Snapshot, Touch, Trace};
use crate::version::VERSIONS_MAX;

/// One row of the answer: its columns as text, `None` for NULL.
pub type Row = Vec<Option<Vec<u8>>>;

/// The longest version or scope that is read, in bytes.
pub const VERSION_LEN_MAX: usize = 1024;

/// Which of the tables that it finds a question reads.
#[derive(Clone, Copy, Debug)]
pub enum Reads<'a> {
    /// All.
    All,
    /// Those that the running transaction may have changed since this was read in it.
    Changed(&'a Snapshot),
    /// Those of these oids, as others see them.
    Only(&'a [u32]),
}

/// Stands for the table in a template; no name or expression can contain it by accident.
const TABLE: &str = "@pgpawl:table@";

/// Bytes of a text as hexadecimal digits. The collation must not be the column's: one that is not
/// deterministic makes `replace` fail.
fn hex(text: &str) -> String {
    format!(
        "pg_catalog.encode(pg_catalog.decode(pg_catalog.replace({text}::pg_catalog.text COLLATE pg_catalog.\"C\", \
         pg_catalog.chr(92), pg_catalog.repeat(pg_catalog.chr(92), 2)), 'escape'), 'hex')"
    )
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A quoted column of the row `t`.
#[must_use]
pub(crate) fn column(name: &str) -> String {
    format!("t.\"{}\"", name.replace('"', "\"\""))
}

/// The rows `s, v, a, o` (scope, version, applied, order) that a profile sees in its table.
fn rows(profile: &Profile) -> String {
    match &profile.source {
        Source::Query(query) => {
            let (names, applied) = match profile.kind {
                Kind::Journal => ("s, v, a", "u.a"),
                Kind::Number | Kind::Set | Kind::Heads => ("s, v", "NULL"),
            };
            // The line break ends a comment that the query may end with.
            format!(
                "SELECT u.s::pg_catalog.text AS s, u.v::pg_catalog.text AS v, \
                 {applied}::pg_catalog.bool AS a, pg_catalog.row_number() OVER () AS o \
                 FROM ({query}\n) u({names})"
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
            format!(
                "SELECT ({})::pg_catalog.text AS s, ({version})::pg_catalog.text AS v, \
                 ({})::pg_catalog.bool AS a, {order} AS o FROM {TABLE} t WHERE ({})",
                scope.as_deref().unwrap_or("''"),
                applied.as_deref().unwrap_or("NULL"),
                filter.as_deref().unwrap_or("true"),
            )
        }
    }
}

/// The text that reads a table: one value `v`, `scope:version:applied` with commas between, or a
/// word after an exclamation mark.
#[must_use]
pub(crate) fn template(profile: &Profile) -> String {
    let limit = VERSIONS_MAX + 1;
    let rows = rows(profile);
    // A removal is the last word among rows that the order does not tell apart.
    let order = match profile.kind {
        Kind::Journal => " ORDER BY q.o, q.a DESC",
        Kind::Number | Kind::Set | Kind::Heads => "",
    };
    let long = |text: &str| {
        format!("pg_catalog.octet_length({text}) OPERATOR(pg_catalog.>) {VERSION_LEN_MAX}")
    };
    let scope = hex("COALESCE(q.s, '')");
    let version = hex("q.v");
    format!(
        "SELECT CASE WHEN pg_catalog.bool_or({} OR COALESCE({}, false)) THEN '!version_too_long' \
         ELSE pg_catalog.string_agg({scope} OPERATOR(pg_catalog.||) ':' OPERATOR(pg_catalog.||) {version} \
         OPERATOR(pg_catalog.||) CASE WHEN q.a THEN ':t' WHEN NOT q.a THEN ':f' ELSE ':n' END, ','{order}) END AS v \
         FROM (SELECT q.s, q.v, q.a, q.o FROM ({rows}) q WHERE q.v IS NOT NULL{order} LIMIT {limit}) q",
        long("q.v"),
        long("q.s"),
    )
}

fn names(names: &[String]) -> String {
    let list: Vec<_> = names.iter().map(|name| literal(name)).collect();
    format!("ARRAY[{}]::pg_catalog.name[]", list.join(", "))
}

/// Whether table `c` has no column for some (`missing`) or any of the names in an array.
fn columns(array: &str, negation: &str, inner: &str) -> String {
    format!(
        "NOT EXISTS (SELECT 1 FROM pg_catalog.unnest({array}) w(n) WHERE {negation} EXISTS (\
         SELECT 1 FROM pg_catalog.pg_attribute a WHERE a.attrelid OPERATOR(pg_catalog.=) c.oid \
         AND a.attname OPERATOR(pg_catalog.=) w.n AND a.attnum OPERATOR(pg_catalog.>) 0 \
         AND NOT a.attisdropped{inner}))"
    )
}

/// Why table `c` need not be read, before any reason why it must not; empty if it is to be read.
///
/// What the transaction did not touch, others may have locked, and two sessions that wait for each
/// other's tables deadlock. Without `track_counts`, which a superuser can switch off for a while, a
/// trace proves nothing.
fn skips(reads: Reads<'_>) -> String {
    match reads {
        Reads::All => String::new(),
        Reads::Only(oids) => {
            let oids: Vec<String> = oids.iter().map(u32::to_string).collect();
            format!(
                "WHEN NOT c.oid OPERATOR(pg_catalog.=) ANY ('{{{}}}'::pg_catalog.oid[]) THEN 'untouched' ",
                oids.join(",")
            )
        }
        Reads::Changed(before) => {
            let traces = traces(before);
            let known: Vec<String> = before
                .histories
                .values()
                .filter_map(|history| plain(&history.trace.oid))
                .collect();
            format!(
                "WHEN pg_catalog.current_setting('track_counts') OPERATOR(pg_catalog.=) 'on' AND NOT EXISTS (\
                 SELECT 1 FROM pg_catalog.pg_roles o WHERE o.rolname OPERATOR(pg_catalog.=) SESSION_USER AND o.rolsuper) AND \
                 pg_catalog.concat_ws(':', c.oid, COALESCE(f.node::pg_catalog.text, ''), f.counters, f.xmin) \
                 OPERATOR(pg_catalog.=) ANY (ARRAY[{}]::pg_catalog.text[]) THEN 'unchanged' \
                 WHEN f.touch OPERATOR(pg_catalog.=) '' AND NOT c.oid OPERATOR(pg_catalog.=) \
                 ANY ('{{{}}}'::pg_catalog.oid[]) THEN 'untouched' ",
                traces.join(", "),
                known.join(",")
            )
        }
    }
}

/// What a server sends for an oid, counters or row versions; none if it is anything else.
fn plain(bytes: &[u8]) -> Option<String> {
    bytes
        .iter()
        .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f' | b'@' | b'/'))
        .then(|| String::from_utf8_lossy(bytes).into_owned())
}

/// The traces of a snapshot, as the question writes them.
fn traces(before: &Snapshot) -> Vec<String> {
    before
        .histories
        .values()
        .map(|history| &history.trace)
        .filter_map(|t| {
            let parts = [&t.oid, &t.filenode, &t.counters, &t.xmin];
            let all: Option<Vec<String>> = parts.into_iter().map(|part| plain(part)).collect();
            all.map(|all| literal(&all.join(":")))
        })
        .collect()
}

/// Why table `c` must not be read; NULL if it may. The first that applies.
fn reason(reads: Reads<'_>) -> String {
    let builtin = columns(
        "g.need",
        "",
        " AND a.atttypid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid",
    );
    format!(
        "CASE {TEMPORARY}{}WHEN EXISTS (SELECT 1 FROM pg_catalog.pg_inherits h WHERE h.inhparent OPERATOR(pg_catalog.=) c.oid) \
         THEN 'has_children' \
         WHEN NOT ({builtin}) THEN 'column_type' \
         WHEN NOT (pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND pg_catalog.has_table_privilege(c.oid, 'SELECT')) \
         THEN 'no_privilege' \
         WHEN pg_catalog.row_security_active(c.oid) THEN 'row_security' END",
        skips(reads)
    )
}

fn value(id: GuardId, guard: &Guard) -> String {
    let profile = &guard.profile;
    let schema = guard.schema.as_deref().map(literal);
    format!(
        "({}, {}::pg_catalog.name, {}::pg_catalog.name, {}, {}, {}::pg_catalog.text)",
        id.0,
        literal(&profile.table),
        schema.as_deref().unwrap_or("NULL"),
        names(&profile.columns),
        names(&profile.without),
        literal(&template(profile)),
    )
}

impl Guards {
    /// The text of a simple Query or Parse that reads the histories of `wanted`. It returns one row for
    /// each, which [`Guards::answer`] understands.
    #[must_use]
    pub fn question(&self, wanted: GuardSet, reads: Reads<'_>) -> String {
        let values: Vec<_> = self.of(wanted).map(|(id, g)| value(id, g)).collect();
        if values.is_empty() {
            return "/* pgpawl */ SELECT 1 WHERE false".to_owned();
        }
        let mut text = format!(
            "/* pgpawl */ SELECT g.i, {}, {}, c.oid, f.node, f.counters, f.xmin, pg_catalog.concat(f.touch, CASE WHEN c.relhassubclass THEN 'c' END), r.reason, \
             CASE WHEN r.reason IS NULL THEN pg_catalog.query_to_xml(pg_catalog.replace(g.q, '{TABLE}', \
             pg_catalog.format('%I.%I', n.nspname, c.relname)), true, true, '')::pg_catalog.text END",
            hex("n.nspname"),
            hex("c.relname"),
        );
        let _ = write!(
            text,
            " FROM (VALUES {}) g(i, t, s, need, ban, q) \
             JOIN pg_catalog.pg_class c ON c.relname OPERATOR(pg_catalog.=) g.t \
             JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace \
             CROSS JOIN LATERAL ({}) f \
             CROSS JOIN LATERAL (SELECT {} AS reason) r \
             WHERE (c.relkind OPERATOR(pg_catalog.=) 'r'::pg_catalog.\"char\" \
             OR c.relkind OPERATOR(pg_catalog.=) 'p'::pg_catalog.\"char\") \
             AND c.relpersistence OPERATOR(pg_catalog.<>) 't'::pg_catalog.\"char\" \
             AND (g.s IS NULL OR n.nspname OPERATOR(pg_catalog.=) g.s) AND {} AND {}",
            values.join(", "),
            FOOTPRINT.replace("@held@", HELD),
            reason(reads),
            columns("g.need", "NOT", ""),
            columns("g.ban", "", ""),
        );
        text
    }
}

/// The trace of table `c`: its file, the rows that the transaction changed, its catalog rows; and what
/// the transaction did to it. A row version is the transaction's own, or of a later one, when it is no
/// older than the transaction's own id; rows of a child table count as its parents'. Counters of earlier
/// transactions of the session linger, so they count where the transaction holds the lock that whoever
/// changes rows takes, and keeps to its end or to a ROLLBACK TO that undoes the change.
const FOOTPRINT: &str = "SELECT pg_catalog.pg_relation_filenode(c.oid) AS node, \
    CASE WHEN m.i OPERATOR(pg_catalog.+) m.r OPERATOR(pg_catalog.=) 0 THEN '0' ELSE \
    pg_catalog.concat(m.i OPERATOR(pg_catalog.+) m.r, '@', \
    pg_catalog.encode(pg_catalog.timestamptz_send(pg_catalog.now()), 'hex')) END AS counters, \
    pg_catalog.concat(c.xmin, '/', d.xmins) AS xmin, \
    pg_catalog.concat(CASE WHEN m.w AND m.i OPERATOR(pg_catalog.>) 0 THEN 'i' END, \
    CASE WHEN m.w AND m.r OPERATOR(pg_catalog.>) 0 THEN 'r' END, \
    CASE WHEN pg_catalog.age(c.xmin) OPERATOR(pg_catalog.<=) 0 THEN 'k' END, \
    CASE WHEN LEAST(pg_catalog.age(n.xmin), d.age) OPERATOR(pg_catalog.<=) 0 THEN 'a' END) AS touch \
    FROM (SELECT pg_catalog.sum(pg_catalog.pg_stat_get_xact_tuples_inserted(k.o)) AS i, \
    pg_catalog.sum(pg_catalog.pg_stat_get_xact_tuples_updated(k.o) \
    OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_xact_tuples_deleted(k.o)) AS r, \
    pg_catalog.bool_or(k.o OPERATOR(pg_catalog.=) ANY (@held@)) AS w \
    FROM (WITH RECURSIVE k(o) AS (SELECT c.oid UNION SELECT h.inhrelid FROM pg_catalog.pg_inherits h, k \
    WHERE h.inhparent OPERATOR(pg_catalog.=) k.o) SELECT k.o FROM k) k) m, \
    (SELECT pg_catalog.min(pg_catalog.age(a.xmin)) AS age, \
    pg_catalog.string_agg(a.xmin::pg_catalog.text, '/' ORDER BY a.attnum) AS xmins \
    FROM pg_catalog.pg_attribute a WHERE a.attrelid OPERATOR(pg_catalog.=) c.oid \
    AND a.attnum OPERATOR(pg_catalog.>) 0) d";

/// Whether table `c`, or a column that is read of it, goes with a temporary schema: it depends on it by
/// whatever objects, or what is a part of it does (the expression of a generated column). Only a transaction that adds a dependency can make it so, also of a table that it
/// leaves alone otherwise, so this comes first.
const TEMPORARY: &str = "WHEN pg_catalog.pg_stat_get_xact_tuples_inserted(2608) OPERATOR(pg_catalog.<>) 0 AND EXISTS (\
    WITH RECURSIVE n(s) AS (SELECT 0 UNION ALL SELECT a.attnum::pg_catalog.int4 \
    FROM pg_catalog.pg_attribute a WHERE a.attrelid OPERATOR(pg_catalog.=) c.oid \
    AND a.attname OPERATOR(pg_catalog.=) ANY (g.need)), \
    k(c, o, s) AS (SELECT 1259::pg_catalog.oid, c.oid, n.s FROM n \
    UNION SELECT d.classid, d.objid, d.objsubid FROM pg_catalog.pg_depend d, n \
    WHERE d.refclassid OPERATOR(pg_catalog.=) 1259::pg_catalog.oid AND d.refobjid OPERATOR(pg_catalog.=) c.oid \
    AND d.refobjsubid OPERATOR(pg_catalog.=) n.s AND d.deptype OPERATOR(pg_catalog.=) 'i'::pg_catalog.\"char\" \
    UNION SELECT d.refclassid, d.refobjid, d.refobjsubid FROM pg_catalog.pg_depend d, k \
    WHERE d.classid OPERATOR(pg_catalog.=) k.c AND d.objid OPERATOR(pg_catalog.=) k.o \
    AND d.objsubid OPERATOR(pg_catalog.=) k.s) \
    SELECT 1 FROM k WHERE k.c OPERATOR(pg_catalog.=) 2615::pg_catalog.oid \
    AND (k.o OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema() \
    OR pg_catalog.pg_is_other_temp_schema(k.o))) THEN 'temporary' ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_means_the_same_to_every_session() {
        let guards = Guards::builtin();
        let text = guards.question(guards.all(), Reads::All);
        assert!(text.starts_with("/* pgpawl */ SELECT "));
        assert!(
            text.bytes()
                .all(|b| (b' '..=b'~').contains(&b) && b != b'\\')
        );
        // An operator, function or type that the search_path could supply. The literals of the
        // templates are part of the text.
        for bare in [
            " = ",
            " <> ",
            "||'",
            " IN (",
            " LIKE ",
            "NULLIF",
            "DISTINCT FROM",
        ] {
            assert!(!text.contains(bare), "{bare}");
        }
        for (at, _) in text.match_indices("::") {
            let after = &text[at + 2..];
            let literal = after.starts_with("%s'") || after.starts_with("%s''");
            assert!(
                literal || after.starts_with("pg_catalog."),
                "{}",
                &after[..20]
            );
        }
        assert!(!text.contains(';'));
    }

    #[test]
    fn only_what_is_wanted_is_asked() {
        let guards = Guards::builtin();
        let one: GuardSet = guards.iter().take(1).map(|(id, _)| id).collect();
        let text = guards.question(one, Reads::All);
        assert!(text.contains("'alembic_version'") && !text.contains("django"));
        assert_eq!(
            guards.question(GuardSet::EMPTY, Reads::All),
            "/* pgpawl */ SELECT 1 WHERE false"
        );
    }

    #[test]
    fn names_are_quoted() {
        assert_eq!(column("a\"b'c"), "t.\"a\"\"b'c\"");
        assert_eq!(literal("o'clock"), "'o''clock'");
    }
}
