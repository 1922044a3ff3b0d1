//! What comes with the answer to a question: facts of the transaction, in one row.

use crate::wire::Violation;
use pgpawl_policy::{
    answer::{number, unhex},
    called, facts, footing,
    question::{Row, hex},
    statement::{Effect, Lexical, statements},
    visible::Visible,
};
use std::collections::BTreeSet;

/// The time up to which a list of guarded tables that is read now may be relied on, in milliseconds
/// since 1970.
const NOW: &str = "(pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) OPERATOR(pg_catalog.*) 1000)::pg_catalog.int8";

/// Whether the transaction can write.
const WRITABLE: &str =
    "pg_catalog.current_setting('transaction_read_only') OPERATOR(pg_catalog.=) 'off'";

/// What it sees all along; NULL: it sees what others commit meanwhile.
const SNAPSHOT: &str = "CASE WHEN pg_catalog.current_setting('transaction_isolation') \
    OPERATOR(pg_catalog.<>) 'read committed' THEN pg_catalog.pg_current_snapshot()::pg_catalog.text END";

/// Whether the transaction has written anything.
const WRITTEN: &str = "pg_catalog.pg_current_xact_id_if_assigned() IS NOT NULL";

/// Whether this transaction can be held: it is like any that the client may begin next, and all
/// constraints can be deferred again. The condition on `ctid` makes the server read them in the order of their
/// pages (`asked::PLANNING` forbids it a plain scan).
const HOLDABLE: &str = "(pg_catalog.current_setting('transaction_isolation') OPERATOR(pg_catalog.=) 'read committed' \
    AND pg_catalog.current_setting('default_transaction_isolation') OPERATOR(pg_catalog.=) 'read committed' \
    AND pg_catalog.current_setting('transaction_read_only') OPERATOR(pg_catalog.=) 'off' \
    AND pg_catalog.current_setting('default_transaction_read_only') OPERATOR(pg_catalog.=) 'off' \
    AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_constraint k \
    WHERE k.ctid OPERATOR(pg_catalog.>=) '(0,0)'::pg_catalog.tid AND k.condeferrable AND NOT k.condeferred))";

/// What a question found besides version sets.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct Known {
    /// The transaction has changed a catalog that the check looks at.
    pub(super) altered: bool,
    /// The same, or any other catalog; only told of one that may be held.
    pub(super) reshaped: bool,
    /// It may make code that an index calls which another session is about to build.
    pub(super) called: bool,
    /// Databases that it has renamed.
    pub(super) renamed: BTreeSet<u32>,
    /// It has written something.
    pub(super) written: bool,
    /// It can write.
    pub(super) writable: bool,
    /// It sees what others commit meanwhile.
    pub(super) sees_others: bool,
    /// What it sees all along, if not.
    pub(super) visible: Option<Visible>,
    /// Its kind of transaction can be held.
    pub(super) holdable: bool,
    /// The COMMIT runs a cursor that may do more than read.
    pub(super) runs_cursor: bool,
    /// The server's time, in milliseconds since 1970.
    pub(super) now_ms: u64,
    /// How often it changed the catalogs; only told of one that may be held.
    pub(super) catalogs: Option<String>,
}

impl Default for Known {
    /// Before it was asked.
    fn default() -> Self {
        Self {
            altered: false,
            reshaped: false,
            called: false,
            renamed: BTreeSet::new(),
            written: true,
            writable: true,
            sees_others: true,
            visible: None,
            holdable: false,
            runs_cursor: false,
            now_ms: 0,
            catalogs: None,
        }
    }
}

impl Known {
    /// How many columns [`Self::sql`] has.
    const COLUMNS: usize = 11;

    /// The expressions, and what they are selected from. `may_hold`, an expression: whether the transaction may
    /// be held.
    pub(super) fn sql(may_hold: &str) -> String {
        let altered = "x.a";
        let columns: [&str; Self::COLUMNS] = [
            altered,
            &format!(
                "CASE WHEN {may_hold} THEN {} ELSE false END",
                facts::reshaped(altered)
            ),
            &called::is_called(altered),
            &facts::renamed(),
            WRITTEN,
            WRITABLE,
            SNAPSHOT,
            &format!("CASE WHEN {may_hold} THEN {HOLDABLE} ELSE false END"),
            &cursors(),
            NOW,
            &format!("CASE WHEN {may_hold} THEN {} END", facts::catalogs()),
        ];
        format!(
            "{} FROM (SELECT {} AS a OFFSET 0) x",
            columns.join(", "),
            facts::altered()
        )
    }

    /// Their values: the last of a row.
    pub(super) fn of(row: &Row) -> Result<Self, Violation> {
        let (_, values) = (row.len().checked_sub(Self::COLUMNS))
            .and_then(|first| row.split_at_checked(first))
            .ok_or(Violation::Format { tag: b'D' })?;
        let mut values = values.iter().map(Option::as_deref);
        let mut next = || values.next().flatten();
        let altered = next() != Some(b"f");
        let reshaped = next() == Some(b"t");
        let called = next() != Some(b"f");
        let renamed = facts::oids(next());
        let written = next() != Some(b"f");
        let writable = next() != Some(b"f");
        let snapshot = next();
        let holdable = next() == Some(b"t");
        let cursors = next();
        let now_ms = number(next()).unwrap_or(0);
        let catalogs = next().and_then(footing::plain);
        Ok(Self {
            altered,
            reshaped,
            called,
            renamed,
            written,
            writable,
            sees_others: snapshot.is_none(),
            visible: snapshot.and_then(Visible::of),
            holdable,
            runs_cursor: cursors.is_some_and(|texts| !only_read(texts)),
            now_ms,
            catalogs,
        })
    }
}

/// The texts of this transaction's cursors that a COMMIT runs to their end, after any look of ours.
fn cursors() -> String {
    format!(
        "(SELECT pg_catalog.string_agg({}, ',') FROM pg_catalog.pg_cursor() c \
         WHERE c.is_holdable AND c.creation_time OPERATOR(pg_catalog.>=) pg_catalog.now())",
        hex("c.statement")
    )
}

/// Whether the texts of cursors, in hexadecimal digits with commas between, show that running them changes nothing.
fn only_read(texts: &[u8]) -> bool {
    let reads = |text: &[u8]| {
        statements(text, Lexical::DEFAULT).is_ok_and(|list| {
            list.iter()
                .all(|statement| statement.effect == Effect::Reads)
        })
    };
    let mut all = texts.split(|byte| *byte == b',');
    all.all(|text| unhex(text).as_deref().is_some_and(reads))
}
