//! Which guarded tables are in which database, as far as this process has seen lately.

use pgpawl_policy::facts::Tables;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// The most databases that are remembered.
const DATABASES_MAX: usize = 1_024;

/// How often the shell's clock ticks, in milliseconds.
pub const TICK_MS: u64 = 100;

/// Ticks after which a list is made anew before a transaction begins.
const STALE_TICKS: u32 = 2;

/// The guarded tables of each database. A commit that relies on a list says by the server's clock how
/// old it may be; the ticks see to it that a list is seldom older.
#[derive(Debug, Default)]
pub struct Present {
    found: Mutex<Found>,
}

#[derive(Debug, Default)]
struct Found {
    tables: HashMap<String, List>,
    /// Numbers the lists.
    revision: u64,
}

#[derive(Debug)]
struct List {
    tables: Arc<Tables>,
    /// Ticks since it was made, or since a session set out to make it anew.
    age: u32,
    /// A session of this process has changed the tables since.
    outdated: bool,
}

impl Present {
    /// What was found in `database`; `None`: not known.
    pub(super) fn tables(&self, database: &str) -> Option<Arc<Tables>> {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found
            .tables
            .get(database)
            .map(|list| Arc::clone(&list.tables))
    }

    /// Whether a list must be made before a transaction begins in `database`.
    pub(super) fn is_stale(&self, database: &str) -> bool {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let list = found.tables.get(database);
        list.is_none_or(|list| list.outdated || list.age >= STALE_TICKS)
    }

    /// The guarded tables of `database` may be others now: the list only tells what there was.
    pub(super) fn changed(&self, database: &str) {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(list) = found.tables.get_mut(database) {
            list.tables = Arc::new(list.tables.outdated());
            list.outdated = true;
        }
    }

    /// A session sets out to list the tables of `database`: the others need not.
    pub(super) fn claim(&self, database: &str) {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(list) = found.tables.get_mut(database) {
            list.age = 0;
        }
    }

    /// [`TICK_MS`] have passed.
    pub fn tick(&self) {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        for list in found.tables.values_mut() {
            list.age = list.age.saturating_add(1);
        }
    }

    /// All guards were looked for in `database`, and these tables were found.
    pub(super) fn learn(&self, database: &str, tables: Tables) -> Arc<Tables> {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let old = found.tables.get(database);
        let same = old.filter(|old| old.tables.has_the_tables_of(&tables));
        let revision = same.map(|old| old.tables.revision());
        if found.tables.len() >= DATABASES_MAX {
            found.tables.clear();
        }
        let revision = revision.unwrap_or_else(|| {
            found.revision += 1;
            found.revision
        });
        let tables = Arc::new(tables.numbered(revision));
        let list = List {
            tables: Arc::clone(&tables),
            age: 0,
            outdated: false,
        };
        found.tables.insert(database.to_owned(), list);
        tables
    }

    /// The guards are others now.
    pub fn forget(&self) {
        self.found
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .tables
            .clear();
    }
}
