//! The order of those who write one history: an advisory lock for each guarded table.
//!
//! Whoever changed a guarded table takes its lock before the last question, up to the end of the transaction:
//! of two, one is judged when the other has committed. Whoever is going to take something away takes
//! it before the set is read: what is read then nobody changes before that transaction is over, whatever
//! its statement waits for.
use std::{collections::BTreeSet, fmt::Write as _};

use crate::{
    facts::{HELD, Tables, changed_rows, unnested},
    guard::{GuardId, GuardSet, Guards},
    hold::{contains_word, first_word},
    profile::Kind,
    question::{array, names},
};

/// The first of the locks: `pgpw` and an oid.
const LOCKS: i64 = 0x7067_7077_0000_0000;

/// The most tables whose locks a statement takes before it.
pub const ORDERED_MAX: usize = 1_024;

/// Takes the writers' lock of the table `k.o`.
fn lock() -> String {
    format!("pg_catalog.pg_advisory_xact_lock({LOCKS} OPERATOR(pg_catalog.+) k.o::pg_catalog.int8)")
}

/// Takes the writers' lock of each of these tables whose rows the transaction may have changed.
#[must_use]
pub fn locks(oids: &BTreeSet<u32>) -> String {
    format!(
        "SELECT /* pgpawl */ {} \
         FROM (SELECT k.o FROM {} k(o) WHERE {} OPERATOR(pg_catalog.<>) 0 \
         AND k.o OPERATOR(pg_catalog.=) ANY ({HELD}) ORDER BY k.o OFFSET 0) k",
        lock(),
        unnested(oids),
        changed_rows()
    )
}

impl Guards {
    /// Those of `guards` of whose sets `statement` may take something away: all, unless it shows that it adds
    /// rows. They take nothing from a set, nor from what is not there.
    #[must_use]
    pub fn taken_from(&self, guards: GuardSet, tables: &Tables, statement: &[u8]) -> GuardSet {
        if !adds_only(statement) {
            return guards;
        }
        let there: BTreeSet<GuardId> = tables.of_guards(guards).map(|t| t.key.guard).collect();
        (self.of(guards))
            .filter(|(id, guard)| there.contains(id) && guard.profile.kind != Kind::Set)
            .map(|(id, _)| id)
            .collect()
    }

    /// Takes the writers' locks of the tables of `guards` that `statement` may name, and tells their oids: those
    /// that the session's `search_path` finds, and those in schemas whose names stand in it.
    #[must_use]
    pub fn claim(&self, guards: GuardSet, tables: &Tables, statement: &[u8]) -> String {
        let found: Vec<String> = self.of(guards).map(|(_, g)| g.table().to_owned()).collect();
        let named = tables.named_in(guards, statement);
        let mut text = format!(
            "SELECT /* pgpawl */ k.o, {} FROM (SELECT c.oid AS o FROM pg_catalog.pg_class c \
             WHERE c.relname OPERATOR(pg_catalog.=) ANY ({}) \
             AND (c.relkind OPERATOR(pg_catalog.=) 'r'::pg_catalog.\"char\" \
             OR c.relkind OPERATOR(pg_catalog.=) 'p'::pg_catalog.\"char\") \
             AND (pg_catalog.pg_table_is_visible(c.oid)",
            lock(),
            names(&found),
        );
        if !named.is_empty() {
            let oids = array(named.iter().map(u32::to_string));
            let _ = write!(
                text,
                " OR c.oid OPERATOR(pg_catalog.=) ANY ({oids}::pg_catalog.oid[])"
            );
        }
        let _ = write!(text, ") ORDER BY c.oid LIMIT {ORDERED_MAX}) k");
        text
    }
}

impl Tables {
    /// The oids of the tables of `guards` whose schemas `statement` names; all of them, where it may take away
    /// schemas or what somebody owns.
    fn named_in(&self, guards: GuardSet, statement: &[u8]) -> BTreeSet<u32> {
        let all = contains_word(statement, b"schema ") || contains_word(statement, b"owned");
        self.of_guards(guards)
            .filter(|known| all || contains_word(statement, &known.key.schema.to_ascii_lowercase()))
            .map(|known| known.oid)
            .collect()
    }
}

/// Whether a text adds rows or objects, and shows nothing else that it does.
fn adds_only(text: &[u8]) -> bool {
    const ADDS: [&[u8]; 3] = [b"insert", b"copy", b"create"];
    const TAKES: [&[u8]; 7] = [
        b"conflict",
        b"update",
        b"delete",
        b"truncate",
        b"merge",
        b"alter",
        b"drop",
    ];
    let first = first_word(text);
    ADDS.iter().any(|word| first.eq_ignore_ascii_case(word))
        && !TAKES.iter().any(|word| contains_word(text, word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::question::{History, HistoryKey, Snapshot, Touch, Trace};

    /// What a table of a guard is like that nobody touched.
    fn history(guard: GuardId) -> (HistoryKey, History) {
        let key = HistoryKey {
            guard,
            schema: (*b"public").into(),
            table: (*b"versions").into(),
        };
        let trace = Trace {
            oid: (*b"16384").into(),
            filenode: (*b"16384").into(),
            counters: (*b"0").into(),
            xmin: Box::default(),
        };
        let history = History {
            trace,
            touch: Touch::default(),
            reading: Err("untouched"),
        };
        (key, history)
    }

    /// The tools whose sets are said to be taken from, of Rails (a set) and Alembic (heads).
    fn taken(statement: &str) -> Vec<String> {
        let guards = Guards::builtin();
        let two: GuardSet = (guards.iter())
            .filter(|(_, guard)| ["rails", "alembic"].contains(&guard.tool()))
            .map(|(id, _)| id)
            .collect();
        let snapshot = Snapshot {
            asked: two,
            histories: two.iter().map(history).collect(),
        };
        let tables = Tables::of(&snapshot, 0);
        let taken = guards.taken_from(two, &tables, statement.as_bytes());
        let mut tools: Vec<String> = guards.of(taken).map(|(_, g)| g.tool().to_owned()).collect();
        tools.sort();
        tools
    }

    #[test]
    fn what_adds_rows_to_a_set_takes_nothing_away() {
        for adds in [
            "INSERT INTO schema_migrations VALUES ('1')",
            "/* up */ copy schema_migrations from stdin",
            "CREATE TABLE schema_migrations (version varchar)",
        ] {
            assert_eq!(taken(adds), ["alembic"], "{adds}");
        }
        for takes in [
            "INSERT INTO schema_migrations VALUES ('1') ON CONFLICT (version) DO UPDATE SET version = '2'",
            "INSERT INTO schema_migrations VALUES ('1'); DELETE FROM schema_migrations",
            "TRUNCATE schema_migrations",
            "WITH d AS (DELETE FROM schema_migrations RETURNING *) SELECT 1",
            "SELECT f('schema_migrations')",
            "DO $$ BEGIN END $$",
        ] {
            assert_eq!(taken(takes), ["alembic", "rails"], "{takes}");
        }
    }

    #[test]
    fn a_claim_means_the_same_to_every_session() {
        let guards = Guards::builtin();
        let mut one = GuardSet::EMPTY;
        one.insert(GuardId(0));
        let text = guards.claim(
            one,
            &Tables::default(),
            b"DELETE FROM public.alembic_version",
        );
        assert!(text.is_ascii() && !text.contains('\\'));
        assert!(!text.contains(" = ") && !text.contains(" + "));
    }
}
