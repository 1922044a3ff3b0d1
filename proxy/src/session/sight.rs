//! Where pgpawl's own sessions can look. A transaction whose history cannot be looked at when it commits
//! must keep others from writing it, from before it was read: see `claim`.

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// The most that is remembered of either kind; then all is learned anew, at the price of a few locks.
const REMEMBERED_MAX: usize = 1_024;

/// What was seen and what was not, under one configuration.
#[derive(Debug, Default)]
pub struct Sight(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// Databases into which the last look for a user saw.
    seen: BTreeSet<(String, String)>,
    /// Tables that a look found unreadable, in their databases.
    hidden: BTreeSet<(String, u32)>,
}

fn remember<T: Ord>(set: &mut BTreeSet<T>, what: T) {
    if set.len() >= REMEMBERED_MAX {
        set.clear();
    }
    set.insert(what);
}

impl Sight {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing is known any more.
    #[cfg(test)]
    pub(super) fn forget(&self) {
        *self.known() = Known::default();
    }

    /// A look into `database` for `user` saw something; `missed`: but not what these tables hold.
    pub(super) fn saw(&self, database: &str, user: &str, missed: impl Iterator<Item = u32>) {
        let mut known = self.known();
        remember(&mut known.seen, (database.to_owned(), user.to_owned()));
        for oid in missed {
            remember(&mut known.hidden, (database.to_owned(), oid));
        }
    }

    /// One saw nothing.
    pub(super) fn saw_nothing(&self, database: &str, user: &str) {
        let pair = (database.to_owned(), user.to_owned());
        self.known().seen.remove(&pair);
    }

    /// Whether a look into `database` for `user` will see what these tables hold, as far as can be known.
    pub(super) fn sees(&self, database: &str, user: &str, oids: impl Iterator<Item = u32>) -> bool {
        let known = self.known();
        let mut pair = (database.to_owned(), user.to_owned());
        if !known.seen.contains(&pair) {
            return false;
        }
        let database = std::mem::take(&mut pair.0);
        let mut all = true;
        let mut table = (database, 0);
        for oid in oids {
            table.1 = oid;
            all &= !known.hidden.contains(&table);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_seen_before_it_was() {
        let sight = Sight::default();
        let sees = |oid: u32| sight.sees("d", "u", std::iter::once(oid));
        assert!(!sees(1));
        sight.saw("d", "u", std::iter::once(2));
        assert!(sees(1) && !sees(2) && !sight.sees("d", "v", std::iter::empty()));
        sight.saw_nothing("d", "u");
        assert!(!sees(1));
        sight.saw("d", "u", std::iter::empty());
        assert!(sees(1) && !sees(2));
    }
}
