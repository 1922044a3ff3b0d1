//! Which guards have a table in which database, as far as this process has seen lately.

use pgpawl_policy::guard::GuardSet;
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

/// The most databases that are remembered.
const DATABASES_MAX: usize = 1_024;

/// The guards that were found in each database. A table that appears is a raise; until it is noticed
/// here, only statements that name it are checked against it, so what is remembered is forgotten
/// often: after every step, and by the clock of the shell.
#[derive(Debug, Default)]
pub struct Present {
    found: Mutex<HashMap<String, GuardSet>>,
}

impl Present {
    /// What was found in `database`; `None`: not known.
    pub(super) fn of(&self, database: &str) -> Option<GuardSet> {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.get(database).copied()
    }

    /// All guards were looked for in `database`, and these were found.
    pub(super) fn learn(&self, database: &str, guards: GuardSet) {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if found.len() >= DATABASES_MAX {
            found.clear();
        }
        found.insert(database.to_owned(), guards);
    }

    /// A step was made: what is there may have changed.
    pub(super) fn forget(&self, database: &str) {
        self.found
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(database);
    }

    /// Time has passed.
    pub fn expire(&self) {
        self.found
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}
