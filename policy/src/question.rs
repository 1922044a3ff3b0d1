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
//! statement's own snapshot: what is found and what is read belong together. Planning is most of what a
//! question costs, so whatever is seldom needed is such a text, too.

pub use crate::answer::BadAnswer;
use crate::footprint::{ALTERED, CLASS, COUNTERS, FILENODE, XMIN, facts, temporary};
use crate::guard::{Guard, GuardId, GuardSet, Guards};
use crate::reading::{ROWS, TABLE, is_ordered, reading, rows};
pub use crate::snapshot::{History, HistoryKey, Snapshot, Touch, Trace};
use crate::visible::Visible;

/// One row of the answer: its columns as text, `None` for NULL.
pub type Row = Vec<Option<Vec<u8>>>;

/// The longest version or scope that is read, in bytes.
pub const VERSION_LEN_MAX: usize = 1024;

/// The name of the server's statement that all questions execute.
pub const STATEMENT: &str = "_pgpawl_question";

/// Which of the tables that it finds a question reads.
#[derive(Clone, Copy, Debug)]
pub enum Reads<'a> {
    /// All.
    All,
    /// Those that the running transaction may have changed since this was read in it.
    Changed(&'a Snapshot),
    /// Those of these oids, as others see them.
    Only(&'a [u32]),
    /// The same, and of sets only what another transaction sees of it.
    Seen(&'a [u32], &'a Visible),
}

/// Stands between the names of a list.
const AND: &str = "@pgpawl:and@";

/// Bytes of a text as hexadecimal digits, for [`unhex`](crate::answer::unhex). The collation must not be the column's: one that is not
/// deterministic makes `replace` fail.
#[must_use]
pub fn hex(text: &str) -> String {
    format!(
        "pg_catalog.encode(pg_catalog.decode(pg_catalog.replace({text}::pg_catalog.text COLLATE pg_catalog.\"C\", \
         pg_catalog.chr(92), pg_catalog.repeat(pg_catalog.chr(92), 2)), 'escape'), 'hex')"
    )
}

pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A quoted column of the row `t`.
#[must_use]
pub(crate) fn column(name: &str) -> String {
    format!("t.\"{}\"", name.replace('"', "\"\""))
}

/// What the rows of a text of SQL are as XML, each in a `row`; nothing if there are none. Unlike the question
/// itself it is only planned where it is needed.
pub(crate) fn xml(text: &str) -> String {
    format!("pg_catalog.query_to_xml({text}, true, true, '')::pg_catalog.text")
}

/// What a question asks for, as arrays or NULL in its text: its parameters, or their values.
struct Terms {
    /// The guards.
    wanted: String,
    /// The tables that are read; NULL: any.
    only: String,
    /// The traces of those that are not, if they still have them.
    traces: String,
    /// Those whose touch alone does not show that they are unchanged.
    known: String,
}

impl Terms {
    fn parameters() -> Self {
        let term = |number: usize| format!("${number}");
        Self {
            wanted: term(1),
            only: term(2),
            traces: term(3),
            known: term(4),
        }
    }

    fn of(wanted: GuardSet, reads: Reads<'_>) -> Self {
        let null = || "NULL".to_owned();
        let (only, traces, known) = match reads {
            Reads::All => (null(), null(), null()),
            Reads::Only(oids) | Reads::Seen(oids, _) => {
                (array(oids.iter().map(u32::to_string)), null(), null())
            }
            Reads::Changed(before) => {
                let histories = || before.histories.values();
                let known = histories().filter_map(|history| plain(&history.trace.oid));
                let traces = histories().filter_map(|history| trace(&history.trace));
                (null(), array(traces), array(known))
            }
        };
        let wanted = array(wanted.iter().map(|guard| guard.0.to_string()));
        Self {
            wanted,
            only,
            traces,
            known,
        }
    }

    fn in_order(&self) -> [&str; 4] {
        [&self.wanted, &self.only, &self.traces, &self.known].map(String::as_str)
    }

    /// Why table `c` need not be read, before any reason why it must not.
    ///
    /// What the transaction did not touch, others may have locked, and two sessions that wait for each
    /// other's tables deadlock. Without `track_counts`, which a superuser can switch off for a while, a
    /// trace proves nothing.
    fn skips(&self) -> String {
        let [_, only, traces, known] = self.in_order();
        format!(
            "WHEN NOT c.oid OPERATOR(pg_catalog.=) ANY ({only}::pg_catalog.oid[]) THEN 'untouched' \
             WHEN pg_catalog.current_setting('track_counts') OPERATOR(pg_catalog.=) 'on' \
             AND NOT pg_catalog.pg_has_role(SESSION_USER, 10::pg_catalog.oid, 'MEMBER') AND \
             pg_catalog.concat_ws(':', c.oid, COALESCE({FILENODE}::pg_catalog.text, ''), {COUNTERS}, {XMIN}) \
             OPERATOR(pg_catalog.=) ANY ({traces}::pg_catalog.text[]) THEN 'unchanged' \
             WHEN NOT d.w AND NOT {CLASS} AND NOT {ALTERED} AND NOT c.oid OPERATOR(pg_catalog.=) \
             ANY ({known}::pg_catalog.oid[]) THEN 'untouched' "
        )
    }
}

/// An array of plain values.
pub(crate) fn array(values: impl Iterator<Item = String>) -> String {
    let all: Vec<String> = values.collect();
    format!("'{{{}}}'", all.join(","))
}

/// What a server sends for an oid, counters or row versions; none if it is anything else.
fn plain(bytes: &[u8]) -> Option<String> {
    bytes
        .iter()
        .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f' | b'@' | b'/'))
        .then(|| String::from_utf8_lossy(bytes).into_owned())
}

/// A trace, as the question writes it.
fn trace(trace: &Trace) -> Option<String> {
    let parts = [&trace.oid, &trace.filenode, &trace.counters, &trace.xmin];
    let all: Option<Vec<String>> = parts.into_iter().map(|part| plain(part)).collect();
    all.map(|all| all.join(":"))
}

/// The rows of table `c`, or, as a word, why they are not read. The first that applies.
fn found(terms: &Terms) -> String {
    let read = xml(&format!(
        "pg_catalog.replace(pg_catalog.replace(CASE WHEN g.o THEN {} ELSE {} END, '{ROWS}', g.q), '{TABLE}', \
         pg_catalog.format('%I.%I', n.nspname, c.relname))",
        literal(&reading(true)),
        literal(&reading(false)),
    ));
    format!(
        "CASE WHEN {} THEN 'temporary' {}WHEN c.relhassubclass THEN 'has_children' \
         WHEN d.odd THEN 'column_type' \
         WHEN NOT (pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND pg_catalog.has_table_privilege(c.oid, 'SELECT')) \
         THEN 'no_privilege' \
         WHEN pg_catalog.row_security_active(c.oid) THEN 'row_security' ELSE {read} END",
        temporary(),
        terms.skips()
    )
}

/// The guards `g` of table `c`, each with what its profile says. Arrays, of which only the names are looked through:
/// rows of values are initialised each time, one by one.
fn guards_of_table(guards: &[(GuardId, &Guard)], visible: Option<&Visible>) -> String {
    let each = |one: &dyn Fn(&Guard) -> String, kind: &str| {
        let all: Vec<String> = guards.iter().map(|(_, guard)| one(guard)).collect();
        format!("(ARRAY[{}]::pg_catalog.{kind}[])[k.k]", all.join(", "))
    };
    let ids = guards.iter().map(|(id, _)| id.0.to_string());
    let schema =
        |guard: &Guard| (guard.schema.as_deref()).map_or_else(|| "NULL".to_owned(), literal);
    let names = |one: &dyn Fn(&Guard) -> String| {
        let texts = each(one, "text");
        format!("pg_catalog.string_to_array({texts}, '{AND}')::pg_catalog.name[]")
    };
    format!(
        "SELECT ({}::pg_catalog.int4[])[k.k] AS i, {} AS s, {} AS need, {} AS ban, {} AS o, {} AS q \
         FROM pg_catalog.unnest({}) WITH ORDINALITY k(t, k) \
         WHERE k.t OPERATOR(pg_catalog.=) c.relname OFFSET 0",
        array(ids),
        each(&schema, "name"),
        names(&|guard| literal(&guard.profile.columns.join(AND))),
        names(&|guard| literal(&guard.profile.without.join(AND))),
        each(&|guard| is_ordered(&guard.profile).to_string(), "bool"),
        each(&|guard| literal(&rows(&guard.profile, visible)), "text"),
        tables(guards),
    )
}

/// The names of their tables.
fn tables(guards: &[(GuardId, &Guard)]) -> String {
    let all = guards
        .iter()
        .map(|(_, guard)| literal(&guard.profile.table));
    let all: Vec<String> = all.collect();
    format!("ARRAY[{}]::pg_catalog.name[]", all.join(", "))
}

impl Guards {
    /// The text of a simple Query or Parse that reads the histories of `wanted`. It returns one row for
    /// each, which [`Guards::answer`] understands.
    #[must_use]
    pub fn question(&self, wanted: GuardSet, reads: Reads<'_>) -> String {
        let visible = match reads {
            Reads::Seen(_, visible) => Some(visible),
            Reads::All | Reads::Changed(_) | Reads::Only(_) => None,
        };
        self.text(wanted, &Terms::of(wanted, reads), visible)
    }

    /// The text of a Parse that gives all questions [a name](STATEMENT): it is planned once.
    #[must_use]
    pub fn statement(&self) -> String {
        self.text(self.all(), &Terms::parameters(), None)
    }

    /// Executes it.
    #[must_use]
    pub fn execution(wanted: GuardSet, reads: Reads<'_>) -> String {
        let terms = Terms::of(wanted, reads);
        let terms = terms.in_order().join(", ");
        format!("EXECUTE /* pgpawl */ {STATEMENT}({terms})")
    }

    fn text(&self, guards: GuardSet, terms: &Terms, visible: Option<&Visible>) -> String {
        let guards: Vec<_> = self.of(guards).collect();
        if guards.is_empty() {
            return "/* pgpawl */ SELECT 1 WHERE false".to_owned();
        }
        format!(
            "/* pgpawl */ SELECT g.i, {}, {}, c.oid, {FILENODE}, {COUNTERS}, {XMIN}, \
             pg_catalog.concat(CASE WHEN d.w AND d.i OPERATOR(pg_catalog.>) 0 THEN 'i' END, \
             CASE WHEN d.w AND d.r OPERATOR(pg_catalog.>) 0 THEN 'r' END, CASE WHEN {CLASS} THEN 'k' END, \
             CASE WHEN {ALTERED} THEN 'a' END, CASE WHEN c.relhassubclass THEN 'c' END), {} \
             FROM pg_catalog.pg_class c \
             JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace \
             CROSS JOIN LATERAL ({}) g CROSS JOIN LATERAL ({}) d \
             WHERE c.relname OPERATOR(pg_catalog.=) ANY ({}) \
             AND (c.relkind OPERATOR(pg_catalog.=) 'r'::pg_catalog.\"char\" \
             OR c.relkind OPERATOR(pg_catalog.=) 'p'::pg_catalog.\"char\") \
             AND c.relpersistence OPERATOR(pg_catalog.<>) 't'::pg_catalog.\"char\" \
             AND (g.s IS NULL OR n.nspname OPERATOR(pg_catalog.=) g.s) \
             AND g.i OPERATOR(pg_catalog.=) ANY ({}::pg_catalog.int4[]) \
             AND g.need OPERATOR(pg_catalog.<@) d.names AND NOT g.ban OPERATOR(pg_catalog.&&) d.names",
            hex("n.nspname"),
            hex("c.relname"),
            found(terms),
            guards_of_table(&guards, visible),
            facts(),
            tables(&guards),
            terms.wanted,
        )
    }
}

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
