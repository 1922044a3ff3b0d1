//! Counts as real numbers, quantiles, medians.

use serde::Serialize;

/// A count as a real number; counts stay far below 2^53.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
pub fn real(count: u64) -> f64 {
    count as f64
}

/// A count of things in memory as a real number.
pub fn real_len(count: usize) -> f64 {
    real(u64::try_from(count).unwrap_or(u64::MAX))
}

/// Median, least and greatest of some rounds.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Spread {
    /// The median: the mean of the middle two when their number is even.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
}

impl Spread {
    /// Of at least one value.
    pub fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let (low, high) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
        Some(Self {
            median: f64::midpoint(low, high),
            min,
            max,
        })
    }
}

/// The value below which `per_mille` of 1,000 of the sorted values lie (nearest rank).
pub fn quantile(sorted: &[f64], per_mille: usize) -> Option<f64> {
    let rank = (sorted.len() * per_mille).div_ceil(1_000).max(1);
    sorted.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_of_sorted_values() {
        let spread = Spread::of(vec![3.0, 1.0, 10.0, 2.0]).expect("four values");
        assert_eq!((spread.median, spread.min, spread.max), (2.5, 1.0, 10.0));
        assert_eq!(Spread::of(vec![7.0]).map(|one| one.median), Some(7.0));
        assert_eq!(Spread::of(Vec::new()), None);
    }

    #[test]
    fn a_quantile_is_a_value_that_was_there() {
        let sorted: Vec<f64> = (1..=1_000_u32).map(f64::from).collect();
        assert_eq!(quantile(&sorted, 500), Some(500.0));
        assert_eq!(quantile(&sorted, 999), Some(999.0));
        assert_eq!(quantile(&[4.0, 5.0], 999), Some(5.0));
        assert_eq!(quantile(&[], 500), None);
    }
}
