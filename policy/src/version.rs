//! Versions, version sets, and how two of them compare.
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

/// One version as the table holds it, in the database's encoding.
pub type Version = Box<[u8]>;
/// What divides a table into histories of their own: an app, a project; empty when nothing does.
pub type Scope = Box<[u8]>;

/// The most versions that are read of one history.
pub const VERSIONS_MAX: usize = 100_000;

/// The applied versions that a guarded table means.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum VersionSet {
    /// These versions; for heads of a graph, with all their ancestors.
    Rows(BTreeMap<Scope, BTreeSet<Version>>),
    /// Every version up to a number.
    Numbers(BTreeMap<Scope, Number>),
}

/// A number, and whether the step to it is unfinished.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Number {
    /// The number that the row holds.
    pub value: Decimal,
    /// The step to it has begun and not ended: only what is before it is surely applied.
    pub dirty: bool,
}

impl Number {
    /// The highest number that is surely applied.
    #[must_use]
    pub fn sure(&self) -> Option<Decimal> {
        if self.dirty {
            self.value.predecessor()
        } else {
            Some(self.value.clone())
        }
    }
}

/// A decimal number of any size.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Decimal {
    negative: bool,
    /// Without leading zeros; empty for zero.
    integer: Box<[u8]>,
    /// Without trailing zeros.
    fraction: Box<[u8]>,
}

impl Decimal {
    /// From the text of an integer or numeric.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let (negative, digits) = match text {
            [b'-', rest @ ..] => (true, rest),
            _ => (false, text),
        };
        let mut halves = digits.splitn(2, |&b| b == b'.');
        let integer = halves.next().filter(|i| !i.is_empty())?;
        let fraction = halves.next().unwrap_or_default();
        if !integer.iter().chain(fraction).all(u8::is_ascii_digit) {
            return None;
        }
        let zeros = integer.iter().take_while(|&&b| b == b'0').count();
        let tail = fraction.iter().rev().take_while(|&&b| b == b'0').count();
        let integer: Box<[u8]> = integer.iter().skip(zeros).copied().collect();
        let fraction: Box<[u8]> = fraction
            .iter()
            .take(fraction.len() - tail)
            .copied()
            .collect();
        let negative = negative && !(integer.is_empty() && fraction.is_empty());
        Some(Self {
            negative,
            integer,
            fraction,
        })
    }

    /// The number before it, of a positive integer.
    fn predecessor(&self) -> Option<Self> {
        if self.negative || self.integer.is_empty() {
            return None;
        }
        let mut digits = self.integer.to_vec();
        for digit in digits.iter_mut().rev() {
            if *digit > b'0' {
                *digit -= 1;
                break;
            }
            *digit = b'9';
        }
        Self::parse(&digits)
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let size = |d: &Self, e: &Self| {
            let integer = (d.integer.len(), &d.integer).cmp(&(e.integer.len(), &e.integer));
            integer.then_with(|| d.fraction.cmp(&e.fraction))
        };
        match (self.negative, other.negative) {
            (false, false) => size(self, other),
            (true, true) => size(other, self),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
        }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl std::fmt::Display for Decimal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sign = if self.negative { "-" } else { "" };
        let integer = String::from_utf8_lossy(&self.integer);
        let integer = if integer.is_empty() { "0" } else { &integer };
        write!(f, "{sign}{integer}")?;
        if !self.fraction.is_empty() {
            write!(f, ".{}", String::from_utf8_lossy(&self.fraction))?;
        }
        Ok(())
    }
}

impl VersionSet {
    /// What of it is in `other`, if both are rows.
    #[must_use]
    pub fn within(&self, other: &Self) -> Option<Self> {
        let (Self::Rows(mine), Self::Rows(theirs)) = (self, other) else {
            return None;
        };
        let both = mine.iter().filter_map(|(scope, versions)| {
            let both: BTreeSet<_> = versions.intersection(theirs.get(scope)?).cloned().collect();
            (!both.is_empty()).then(|| (scope.clone(), both))
        });
        Some(Self::Rows(both.collect()))
    }

    /// Whether no version is applied.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Rows(rows) => rows.values().all(BTreeSet::is_empty),
            Self::Numbers(numbers) => numbers.is_empty(),
        }
    }

    /// The versions of a scope.
    #[must_use]
    pub fn rows(&self, scope: &[u8]) -> Option<&BTreeSet<Version>> {
        match self {
            Self::Rows(rows) => rows.get(scope),
            Self::Numbers(_) => None,
        }
    }

    /// The number of a scope.
    #[must_use]
    pub fn number(&self, scope: &[u8]) -> Option<&Number> {
        match self {
            Self::Rows(_) => None,
            Self::Numbers(numbers) => numbers.get(scope),
        }
    }

    /// The scopes that have a version.
    pub fn scopes(&self) -> impl Iterator<Item = &Scope> {
        let (rows, numbers) = match self {
            Self::Rows(rows) => (Some(rows.keys()), None),
            Self::Numbers(numbers) => (None, Some(numbers.keys())),
        };
        rows.into_iter()
            .flatten()
            .chain(numbers.into_iter().flatten())
    }
}

/// Versions with their scopes.
pub type Versions = BTreeSet<(Scope, Version)>;

/// The versions of `a` that are not in `b`. Numbers are not listed: they mean too many.
#[must_use]
pub fn missing(a: &VersionSet, b: &VersionSet) -> Versions {
    let VersionSet::Rows(rows) = a else {
        return Versions::new();
    };
    let mut missing = Versions::new();
    for (scope, versions) in rows {
        let others = b.rows(scope);
        for version in versions {
            if !others.is_some_and(|others| others.contains(version)) {
                missing.insert((scope.clone(), version.clone()));
            }
        }
    }
    missing
}

/// Natural order: runs of digits compare as numbers, so that `v10` is after `v9`.
#[must_use]
pub fn natural(left: &[u8], right: &[u8]) -> Ordering {
    let (mut left, mut right) = (left, right);
    loop {
        let step = match (left, right) {
            ([], []) => return Ordering::Equal,
            ([], _) => return Ordering::Less,
            (_, []) => return Ordering::Greater,
            ([b'0'..=b'9', ..], [b'0'..=b'9', ..]) => {
                let (mine, left_rest) = digits(left);
                let (other, right_rest) = digits(right);
                (left, right) = (left_rest, right_rest);
                (mine.len(), mine).cmp(&(other.len(), other))
            }
            ([mine, left_rest @ ..], [other, right_rest @ ..]) => {
                (left, right) = (left_rest, right_rest);
                mine.cmp(other)
            }
        };
        if step != Ordering::Equal {
            return step;
        }
    }
}

/// The run of digits at the start, without leading zeros, and what follows it.
fn digits(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().take_while(|b| b.is_ascii_digit()).count();
    let (run, rest) = text.split_at(end);
    let zeros = run.iter().take_while(|&&b| b == b'0').count();
    (run.get(zeros..).unwrap_or_default(), rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_of_any_size_compare() {
        let order = [
            "-10",
            "-2",
            "-0.5",
            "0",
            "0.25",
            "0.3",
            "3",
            "20",
            "99999999999999999999",
        ];
        for (i, a) in order.iter().enumerate() {
            for (j, b) in order.iter().enumerate() {
                let [x, y] = [a, b].map(|t| Decimal::parse(t.as_bytes()).unwrap());
                assert_eq!(x.cmp(&y), i.cmp(&j), "{a} {b}");
                assert_eq!(x.to_string(), **a);
            }
        }
        assert_eq!(Decimal::parse(b"007"), Decimal::parse(b"7.00"));
        for bad in ["", "-", "x", "1e5", "1.2.3", ".5", "NaN"] {
            assert_eq!(Decimal::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn a_dirty_number_means_what_is_before_it() {
        for (value, sure) in [
            ("4", "3"),
            ("100", "99"),
            ("20230101000000", "20230100999999"),
        ] {
            let value = Decimal::parse(value.as_bytes()).unwrap();
            let number = Number { value, dirty: true };
            assert_eq!(number.sure().unwrap().to_string(), sure);
        }
        let value = Decimal::parse(b"0").unwrap();
        assert_eq!(Number { value, dirty: true }.sure(), None);
    }

    #[test]
    fn natural_order() {
        for (a, b) in [
            ("v9", "v10"),
            ("0009_a", "0010_a"),
            ("a", "b"),
            ("1.2", "1.10"),
            ("", "a"),
        ] {
            assert_eq!(natural(a.as_bytes(), b.as_bytes()), Ordering::Less);
            assert_eq!(natural(b.as_bytes(), a.as_bytes()), Ordering::Greater);
        }
    }
}
