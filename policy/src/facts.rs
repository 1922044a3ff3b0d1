//! What a transaction that names no guarded table did all the same, by the facts that the server keeps
//! of it: the check that vetoes a commit, and the set that such a transaction is compared with.
//!
//! The check is one expression over known oids. It fails, by a division by zero, unless the
//! transaction has written nothing, or has neither changed a row of a guarded table nor a catalog by
//! which one comes, goes or is altered. What it must know of the database, the guarded tables that are
//! there, grows old: it also fails when the list is older than [`TABLES_AGE_MAX_MS`].
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use crate::{
    guard::GuardSet,
    question::{History, HistoryKey, Snapshot, array, literal, xml},
};

/// The oldest that a list of guarded tables may be, by the server's clock, when a commit relies on it.
pub const TABLES_AGE_MAX_MS: u64 = 200;

/// The most tables whose counters are named one by one; more are given as an array.
pub(crate) const NAMED_MAX: usize = 16;

/// The most of them whose counters are all read; of more only those on which the transaction has a lock.
const READ_MAX: usize = 256;

/// The most tables whose writers' locks are taken one by one, which is planned in half the time.
const LOCKED_MAX: usize = 4;

/// A guarded table that is in a database.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Known {
    /// The history that it holds.
    pub key: HistoryKey,
    /// Its oid.
    pub oid: u32,
    /// Its file.
    pub filenode: Box<[u8]>,
    /// It has children, whose rows count as its own.
    pub children: bool,
}

/// The guarded tables of a database, as a session of this process has seen them.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Tables {
    known: Vec<Known>,
    until_ms: u64,
    revision: u64,
}

impl Tables {
    /// What `snapshot`, an answer to a question for all guards, found at `now_ms` of the server's clock.
    #[must_use]
    pub fn of(snapshot: &Snapshot, now_ms: u64) -> Self {
        let known = snapshot.histories().filter_map(|(key, history)| {
            Some(Known {
                key: key.clone(),
                oid: history.oid()?,
                filenode: history.trace.filenode.clone(),
                children: history.touch.children,
            })
        });
        Self {
            known: known.collect(),
            until_ms: now_ms.saturating_add(TABLES_AGE_MAX_MS),
            revision: 0,
        }
    }

    /// Whether `other` has the same tables.
    #[must_use]
    pub fn has_the_tables_of(&self, other: &Self) -> bool {
        self.known == other.known
    }

    /// Lists with the same tables have the same number; the holder of the list gives it. Number 0 is
    /// that of a list that nobody made.
    #[must_use]
    pub fn numbered(self, revision: u64) -> Self {
        Self { revision, ..self }
    }

    /// The same tables, as they may have been: no commit relies on the list.
    #[must_use]
    pub fn outdated(&self) -> Self {
        Self {
            until_ms: 0,
            ..self.clone()
        }
    }

    /// The number of this list.
    #[must_use]
    pub const fn revision(&self) -> u64 {
        self.revision
    }

    /// The first value of the check's parameter: the server's time in seconds up to which the list
    /// may be relied on.
    #[must_use]
    pub fn until(&self) -> String {
        seconds(self.until_ms)
    }

    /// What of `found` is altered. A row of `pg_class` that changed where the table has its file, its name
    /// and its columns as before is a GRANT, an index, a trigger: nothing that changes the set.
    #[must_use]
    pub fn altered(&self, mut found: Snapshot) -> Snapshot {
        for (key, history) in &mut found.histories {
            if !std::mem::take(&mut history.touch.class) {
                continue;
            }
            let same = |known: &Known| {
                known.key == *key
                    && Some(known.oid) == history.oid()
                    && known.filenode == history.trace.filenode
            };
            history.touch.altered |= history.touch.children || !self.known.iter().any(same);
        }
        found
    }

    /// Whether these are the tables of `found`, and none of them was altered.
    #[must_use]
    pub fn lists(&self, found: &Snapshot) -> bool {
        let same = |key: &HistoryKey, history: &History| {
            !history.touch.altered
                && (self.known.iter()).any(|k| k.key == *key && Some(k.oid) == history.oid())
        };
        self.known.len() == found.histories.len() && found.histories().all(|(k, h)| same(k, h))
    }

    /// The tables of `guards`.
    pub fn of_guards(&self, guards: GuardSet) -> impl Iterator<Item = &Known> {
        self.known
            .iter()
            .filter(move |known| guards.contains(known.key.guard))
    }

    /// The check for the tables of `guards`; `until` is its parameter or its value. What has written nothing can
    /// write nothing from here on. It also tells by which process it was run.
    #[must_use]
    pub fn check(&self, guards: GuardSet, until: &str) -> String {
        let mut oids = BTreeSet::new();
        let mut children = false;
        for known in self.of_guards(guards) {
            oids.insert(known.oid);
            children |= known.children;
        }
        let mut text = "SELECT /* pgpawl */ 1 OPERATOR(pg_catalog./) \
            CASE WHEN pg_catalog.pg_current_xact_id_if_assigned() IS NULL \
            AND pg_catalog.set_config('transaction_read_only', 'on', true) IS NOT NULL THEN 1 WHEN "
            .to_owned();
        if children {
            text.push_str("false AND ");
        }
        text.push_str("GREATEST(");
        text.push_str(CATALOGS);
        rows(&mut text, &oids);
        let _ = write!(
            text,
            ") OPERATOR(pg_catalog.=) 0 AND \
             pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) OPERATOR(pg_catalog.<) {until}::pg_catalog.float8 \
             THEN 1 ELSE 0 END, pg_catalog.pg_backend_pid()"
        );
        text
    }
}

/// How often the transaction changed the catalogs: numbers with commas between.
#[must_use]
pub fn catalogs() -> String {
    format!("pg_catalog.concat_ws(',', {CATALOGS})")
}

/// A time of the server's clock in seconds.
pub(crate) fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1_000, ms % 1_000)
}

/// What changes in the catalogs when a table comes, goes, is renamed, moved, emptied or altered, or
/// when something comes to depend on something else: `pg_depend`, `pg_class`, `pg_attribute`,
/// `pg_namespace`; or when code comes or is renamed that an index can call: `pg_proc`, `pg_type`. Nothing is
/// inserted into the latter five without a row of `pg_depend`. When a database is renamed: `pg_database`.
const CATALOGS: &str = "pg_catalog.pg_stat_get_xact_tuples_inserted(2608), \
    pg_catalog.pg_stat_get_xact_tuples_updated(2608), \
    pg_catalog.pg_stat_get_xact_tuples_deleted(2608), \
    pg_catalog.pg_stat_get_xact_tuples_updated(1259), \
    pg_catalog.pg_stat_get_xact_tuples_updated(1249), \
    pg_catalog.pg_stat_get_xact_tuples_updated(2615), \
    pg_catalog.pg_stat_get_xact_tuples_updated(1255), \
    pg_catalog.pg_stat_get_xact_tuples_updated(1247), \
    pg_catalog.pg_stat_get_xact_tuples_updated(1262)";

/// What is counted of a table's rows: what adds to a set of them first.
pub(crate) const COUNTERS: [&str; 3] = ["inserted", "updated", "deleted"];

fn rows(text: &mut String, oids: &BTreeSet<u32>) {
    if oids.len() <= NAMED_MAX {
        for oid in oids {
            let _ = write!(text, ", {}", counters(&COUNTERS, &oid.to_string()));
        }
        return;
    }
    let _ = if oids.len() <= READ_MAX {
        write!(
            text,
            ", (SELECT pg_catalog.max({}) FROM {} k(o))",
            changed_rows("k.o"),
            unnested(oids.iter())
        )
    } else {
        write!(
            text,
            ", (SELECT pg_catalog.max({}) FROM pg_catalog.unnest({HELD}) k(o) \
             WHERE k.o OPERATOR(pg_catalog.=) ANY ({}::pg_catalog.oid[]))",
            changed_rows("k.o"),
            listed(oids.iter())
        )
    };
}

/// Counters of a table.
pub(crate) fn counters(names: &[&str], oid: &str) -> String {
    let all = names.iter();
    let all = all.map(|name| format!("pg_catalog.pg_stat_get_xact_tuples_{name}({oid})"));
    all.collect::<Vec<_>>().join(", ")
}

/// The most that any of them says.
fn greatest(names: &[&str], oid: &str) -> String {
    format!("GREATEST({})", counters(names, oid))
}

/// The same of all.
fn changed_rows(oid: &str) -> String {
    greatest(&COUNTERS, oid)
}

fn unnested<'a>(oids: impl Iterator<Item = &'a u32>) -> String {
    format!("pg_catalog.unnest({}::pg_catalog.oid[])", listed(oids))
}

fn listed<'a>(oids: impl Iterator<Item = &'a u32>) -> String {
    array(oids.map(u32::to_string))
}

/// Whether the transaction changed a catalog by which a table comes, goes or is altered.
#[must_use]
pub fn altered() -> String {
    format!("GREATEST({CATALOGS}) OPERATOR(pg_catalog.<>) 0")
}

/// Whether it changed any catalog, but for statistics and large objects: what a transaction that changes the
/// schema does. `altered` is the value of that.
#[must_use]
pub fn reshaped(altered: &str) -> String {
    let any = xml(&literal(&format!(
        "SELECT 1 FROM pg_catalog.pg_class k \
         WHERE k.relnamespace OPERATOR(pg_catalog.=) 11::pg_catalog.oid \
         AND k.relkind OPERATOR(pg_catalog.=) 'r'::pg_catalog.\"char\" \
         AND k.oid OPERATOR(pg_catalog.<>) ALL ('{{2619,3429,2613,2995}}'::pg_catalog.oid[]) \
         AND {} OPERATOR(pg_catalog.<>) 0 LIMIT 1",
        changed_rows("k.oid")
    )));
    format!("CASE WHEN {altered} THEN true ELSE {any} OPERATOR(pg_catalog.<>) '' END")
}

/// The databases that the transaction has renamed, with commas between: that alone takes such a lock, up to the
/// end of the transaction or to a ROLLBACK TO that undoes it.
#[must_use]
pub fn renamed() -> String {
    let locked = xml(&literal(
        "SELECT pg_catalog.string_agg(l.objid::pg_catalog.text, ',') AS s FROM pg_catalog.pg_lock_status() l \
         WHERE l.pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid() \
         AND l.locktype OPERATOR(pg_catalog.=) 'object' \
         AND l.classid OPERATOR(pg_catalog.=) 1262::pg_catalog.oid \
         AND l.mode OPERATOR(pg_catalog.=) 'AccessExclusiveLock'",
    ));
    format!(
        "CASE WHEN pg_catalog.pg_stat_get_xact_tuples_updated(1262) OPERATOR(pg_catalog.=) 0 THEN '' \
         ELSE pg_catalog.substring({locked}, '<s>([0-9,]*)<') END"
    )
}

/// What [`renamed`] returned.
#[must_use]
pub fn oids(list: Option<&[u8]>) -> BTreeSet<u32> {
    let text = list.and_then(|text| std::str::from_utf8(text).ok());
    let oids = text.into_iter().flat_map(|text| text.split(','));
    oids.filter_map(|oid| oid.parse().ok()).collect()
}

/// The oid of the session's database.
pub const DATABASE: &str = "(SELECT d.oid FROM pg_catalog.pg_database d \
    WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database())";

/// The oids of the tables on which the transaction holds the lock that whoever changes rows takes, and
/// keeps to its end or to a ROLLBACK TO that undoes the change.
pub(crate) const HELD: &str = "ARRAY(SELECT l.relation FROM pg_catalog.pg_lock_status() l \
    WHERE l.pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid() AND l.relation IS NOT NULL \
    AND l.mode OPERATOR(pg_catalog.<>) 'AccessShareLock' \
    AND l.mode OPERATOR(pg_catalog.<>) 'RowShareLock')";

/// The first of the advisory locks that order the writers of one history: `pgpw` and an oid.
const LOCKS: i64 = 0x7067_7077_0000_0000;

/// The lock that whoever may have made code shares up to the end of its transaction: see `called`. No table
/// has the oid.
pub(crate) const MAKERS: i64 = LOCKS;

/// The lock that is shared while an index is built, whose expressions call code: nor has any this oid.
pub(crate) const BUILDERS: i64 = LOCKS + 1;

/// Which changes of a table's rows are made by one transaction at a time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Ordered {
    /// Those that may take something away: of a set of rows, where what is added takes nothing.
    Removed,
    /// All.
    Any,
}

/// Takes the locks that a commit is checked behind, up to its end: `MAKERS`, and the writers' lock of each of
/// these tables whose rows the transaction may have changed so: of two that change one history, one is judged
/// when the other has committed. Counters of an earlier transaction of the session may take one in vain: to ask
/// whether it was this one costs more than that moment.
#[must_use]
pub fn locks(tables: &BTreeMap<u32, Ordered>) -> String {
    let mut text = format!("SELECT /* pgpawl */ pg_catalog.pg_advisory_xact_lock_shared({MAKERS})");
    if tables.len() <= LOCKED_MAX {
        for (oid, ordered) in tables {
            let oid_text = oid.to_string();
            let changed = match ordered {
                Ordered::Removed => greatest(&COUNTERS[1..], &oid_text),
                Ordered::Any => changed_rows(&oid_text),
            };
            let _ = write!(
                text,
                ", CASE WHEN {changed} OPERATOR(pg_catalog.<>) 0 \
                 THEN pg_catalog.pg_advisory_xact_lock({}) END",
                LOCKS + i64::from(*oid),
            );
        }
    } else {
        let _ = write!(
            text,
            " UNION ALL SELECT pg_catalog.pg_advisory_xact_lock({LOCKS} OPERATOR(pg_catalog.+) k.o::pg_catalog.int8) \
             FROM (SELECT k.o FROM {} k(o) WHERE {} OPERATOR(pg_catalog.<>) 0 ORDER BY k.o OFFSET 0) k",
            unnested(tables.keys()),
            changed_rows("k.o")
        );
    }
    text
}
