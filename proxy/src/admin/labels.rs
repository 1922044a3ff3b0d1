//! Label values that a client can choose, kept few.
use prometheus::IntGaugeVec;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// What stands for all values beyond the limit.
const OTHER: &str = "other";
/// Bytes of one value; PostgreSQL's own names end at 63.
const VALUE_LEN_MAX: usize = 64;

/// The first values get labels of their own, all others share one.
#[derive(Debug)]
pub struct Bounded {
    seen: Mutex<BTreeSet<String>>,
    values_max: usize,
}

impl Bounded {
    /// At most `values_max` different labels, and `other`.
    #[must_use]
    pub fn new(values_max: usize) -> Self {
        Self {
            seen: Mutex::default(),
            values_max,
        }
    }

    /// The label for `value`.
    #[must_use]
    pub fn label(&self, value: &str) -> String {
        let value = cut(value);
        let mut seen = locked(&self.seen);
        if !seen.contains(value) {
            if seen.len() >= self.values_max {
                return OTHER.to_owned();
            }
            seen.insert(value.to_owned());
        }
        value.to_owned()
    }
}

/// Histories whose version is shown.
const HISTORIES_MAX: usize = 500;

/// One series per history, replaced when its version changes.
#[derive(Debug)]
pub struct Versions {
    gauge: IntGaugeVec,
    current: Mutex<BTreeMap<[String; 4], String>>,
}

impl Versions {
    /// Shown by `gauge`, whose labels are the history's four and the version.
    #[must_use]
    pub fn new(gauge: IntGaugeVec) -> Self {
        Self {
            gauge,
            current: Mutex::default(),
        }
    }

    /// The history is at `version` now; none: it is empty.
    pub fn reached(&self, history: [&str; 4], version: Option<&str>) {
        let history = history.map(|value| cut(value).to_owned());
        let mut current = locked(&self.current);
        if let Some(before) = current.remove(&history) {
            let [database, tool, schema, table] = &history;
            // The series was made when `before` was inserted.
            let _ = self
                .gauge
                .remove_label_values(&[database, tool, schema, table, &before]);
        }
        let Some(version) = version.map(cut) else {
            return;
        };
        if current.len() < HISTORIES_MAX {
            let [database, tool, schema, table] = &history;
            self.gauge
                .with_label_values(&[database, tool, schema, table, version])
                .set(1);
            current.insert(history, version.to_owned());
        }
    }
}

fn cut(value: &str) -> &str {
    let end = value.len().min(VALUE_LEN_MAX);
    value
        .get(..value.floor_char_boundary(end))
        .unwrap_or_default()
}

/// The data behind these locks is whole after every step, also after a panic elsewhere.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::{Opts, core::Collector};

    #[test]
    fn labels_are_bounded() {
        let labels = Bounded::new(2);
        assert_eq!(labels.label("a"), "a");
        assert_eq!(labels.label("b"), "b");
        assert_eq!(labels.label("c"), "other");
        assert_eq!(labels.label("a"), "a");
        assert_eq!(Bounded::new(1).label(&"ä".repeat(60)).len(), 64);
    }

    #[test]
    fn a_version_is_replaced() {
        let labels = ["database", "tool", "schema", "table", "version"];
        let gauge = IntGaugeVec::new(Opts::new("v", "v"), &labels).unwrap();
        let versions = Versions::new(gauge.clone());
        let history = ["app", "rails", "public", "schema_migrations"];
        versions.reached(history, Some("1"));
        versions.reached(history, Some("2"));
        assert_eq!(gauge.collect()[0].get_metric().len(), 1);
        versions.reached(history, None);
        assert!(gauge.collect().is_empty() || gauge.collect()[0].get_metric().is_empty());
    }
}
