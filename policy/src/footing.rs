//! What was known of a transaction when it was last asked about, and the check that it has done no more since than
//! to add rows: the record of what is held.
use std::fmt::Write as _;

use crate::{
    answer::number,
    facts::{COUNTERS, NAMED_MAX, TABLES_AGE_MAX_MS, catalogs, counters, seconds},
    guard::{GuardId, GuardSet},
    question::{History, HistoryKey, Snapshot},
};

/// What a transaction had done when it was asked about: what is known of it as long as it has done no more.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Footing {
    catalogs: String,
    tables: Vec<Counted>,
    until_ms: u64,
}

/// A guarded table, with the rows that were inserted, and those that were updated or deleted.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Counted {
    guard: GuardId,
    oid: u32,
    inserted: u64,
    removed: u64,
}

impl Footing {
    /// What was found at `now_ms` of the server's clock, where the transaction had changed the catalogs so often. None
    /// where a check of it would be long, or not sure.
    #[must_use]
    pub fn of(catalogs: &str, found: &Snapshot, now_ms: u64) -> Option<Self> {
        let counted = |(key, history): (&HistoryKey, &History)| {
            let [inserted, removed] = history.trace.rows();
            let sure = !history.touch.children;
            sure.then_some(Counted {
                guard: key.guard,
                oid: history.oid()?,
                inserted: number(Some(inserted))?,
                removed: number(Some(removed))?,
            })
        };
        let tables: Vec<Counted> = found.histories().map(counted).collect::<Option<_>>()?;
        (tables.len() <= NAMED_MAX && now_ms > 0).then(|| Self {
            catalogs: catalogs.to_owned(),
            tables,
            until_ms: now_ms.saturating_add(TABLES_AGE_MAX_MS),
        })
    }

    /// The guards that have a table.
    #[must_use]
    pub fn guards(&self) -> GuardSet {
        self.tables.iter().map(|table| table.guard).collect()
    }

    /// The check that nothing was done since, but that rows were added to the tables of `adding`. Counters only
    /// grow within a transaction.
    #[must_use]
    pub fn check(&self, adding: GuardSet) -> String {
        let mut now = catalogs();
        let mut then = self.catalogs.clone();
        now.truncate(now.len() - 1);
        for table in &self.tables {
            let oid = table.oid;
            let adds = self
                .tables
                .iter()
                .any(|it| it.oid == oid && adding.contains(it.guard));
            if !adds {
                let _ = write!(now, ", {}", counters(&COUNTERS[..1], &oid.to_string()));
                let _ = write!(then, ",{}", table.inserted);
            }
            let [updated, deleted] =
                ["updated", "deleted"].map(|name| counters(&[name], &oid.to_string()));
            let _ = write!(now, ", {updated} OPERATOR(pg_catalog.+) {deleted}");
            let _ = write!(then, ",{}", table.removed);
        }
        format!(
            "SELECT /* pgpawl */ 1 OPERATOR(pg_catalog./) CASE WHEN {now}) OPERATOR(pg_catalog.=) '{then}' \
             AND pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) OPERATOR(pg_catalog.<) {}::pg_catalog.float8 \
             THEN 1 ELSE 0 END",
            seconds(self.until_ms)
        )
    }
}

/// Such numbers, as a server sends them; none if it is anything else.
#[must_use]
pub fn plain(numbers: &[u8]) -> Option<String> {
    let is_plain = numbers.iter().all(|b| matches!(b, b'0'..=b'9' | b','));
    is_plain.then(|| String::from_utf8_lossy(numbers).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::question::{Touch, Trace};

    fn found(oid: &str, counters: &str, children: bool) -> Snapshot {
        let key = HistoryKey {
            guard: GuardId(3),
            schema: Box::default(),
            table: Box::default(),
        };
        let history = History {
            trace: Trace {
                oid: oid.as_bytes().into(),
                filenode: Box::default(),
                counters: counters.as_bytes().into(),
                xmin: Box::default(),
            },
            touch: Touch {
                children,
                ..Touch::default()
            },
            reading: Err("untouched"),
        };
        Snapshot {
            asked: GuardSet::EMPTY,
            histories: [(key, history)].into(),
        }
    }

    #[test]
    fn rows_may_be_added_to_what_is_named_only() {
        let footing = Footing::of("4,0", &found("16400", "7/2@00", false), 1_000).unwrap();
        let named = footing.check(footing.guards());
        assert!(named.contains("=) '4,0,2' AND") && !named.contains("inserted(16400)"));
        assert!(named.contains("updated(16400) OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_xact_tuples_deleted(16400)"));
        let other = footing.check(GuardSet::EMPTY);
        assert!(other.contains("=) '4,0,7,2' AND") && other.contains("inserted(16400)"));
        assert!(other.contains("<) 1.200::"));
    }

    #[test]
    fn what_is_not_sure_is_none() {
        for (catalogs, counters, children, now_ms) in [
            ("1", "x", false, 1_000),
            ("1", "0", true, 1_000),
            ("1", "0", false, 0),
        ] {
            let found = found("16400", counters, children);
            assert_eq!(Footing::of(catalogs, &found, now_ms), None);
        }
        assert_eq!(plain(b"1,22"), Some("1,22".to_owned()));
        assert_eq!(plain(b"1'"), None);
    }
}
