//! From rounds to figures: medians with least and greatest, and ratios to other variants.
//!
//! A ratio is the median of the ratios within each round: what disturbed a round disturbed both.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::measure::Measure;
use crate::number::{Spread, real};
use crate::variant::Variant;
use crate::workload::Workload;

/// What is told of a variant in a workload.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Operations per second.
    Rate,
    /// Microseconds that half of the operations took at most.
    P50,
    /// Microseconds that 99 % took at most.
    P99,
    /// Microseconds that 99.9 % took at most.
    P999,
    /// Microseconds of the proxy's CPU in its own code, per statement.
    ProxyUser,
    /// Microseconds of the proxy's CPU in the kernel, per statement.
    ProxySys,
    /// Both.
    ProxyCpu,
    /// Microseconds of the server's CPU per operation.
    ServerCpu,
    /// KiB of the proxy's memory per idle session.
    SessionKib,
    /// MiB of the proxy's memory at its peak.
    PeakMib,
}

impl Metric {
    const ALL: [Self; 10] = [
        Self::Rate,
        Self::P50,
        Self::P99,
        Self::P999,
        Self::ProxyUser,
        Self::ProxySys,
        Self::ProxyCpu,
        Self::ServerCpu,
        Self::SessionKib,
        Self::PeakMib,
    ];

    fn of(self, measure: &Measure, statements_per_operation: u32) -> Option<f64> {
        let operations = real(measure.operations);
        let statements = operations * f64::from(statements_per_operation);
        let per = |seconds: f64, count: f64| (count > 0.0).then(|| seconds * 1e6 / count);
        match self {
            Self::Rate => (measure.seconds > 0.0).then(|| operations / measure.seconds),
            Self::P50 => measure.latency.map(|latency| latency.p50),
            Self::P99 => measure.latency.map(|latency| latency.p99),
            Self::P999 => measure.latency.map(|latency| latency.p999),
            Self::ProxyUser => per(measure.proxy?.user, statements),
            Self::ProxySys => per(measure.proxy?.sys, statements),
            Self::ProxyCpu => per(measure.proxy?.sum(), statements),
            Self::ServerCpu => per(measure.server.sum(), operations),
            Self::SessionKib => measure.session_kib,
            Self::PeakMib => measure.peak_kib.map(|kib| kib / 1_024.0),
        }
    }
}

/// A metric over all rounds.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    /// Its values.
    #[serde(flatten)]
    pub spread: Spread,
    /// Its ratios to other variants in the same round: to `direct`, `raw`, `pgpawl-statement`.
    pub ratios: BTreeMap<Variant, Spread>,
}

/// A variant in a workload.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The variant.
    pub variant: Variant,
    /// What was measured of it.
    pub figures: BTreeMap<Metric, Figure>,
    /// Why rounds are missing.
    pub failures: Vec<String>,
}

impl Row {
    /// A figure.
    #[must_use]
    pub fn figure(&self, metric: Metric) -> Option<&Figure> {
        self.figures.get(&metric)
    }

    /// The median of a ratio.
    #[must_use]
    pub fn ratio(&self, metric: Metric, to: Variant) -> Option<f64> {
        let ratio = self.figure(metric)?.ratios.get(&to)?;
        Some(ratio.median)
    }
}

/// The rounds of one variant, in order; those that failed with their reason.
pub type Rounds = Vec<Result<Measure, String>>;

/// A workload with all its variants.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// The workload's name.
    pub workload: String,
    /// What one operation is.
    pub unit: &'static str,
    /// Statements in an operation.
    pub statements_per_operation: u32,
    /// By variant.
    pub rows: Vec<Row>,
    /// Everything that was measured, by variant and round.
    pub rounds: BTreeMap<Variant, Rounds>,
}

/// What ratios are told to.
const BASES: [Variant; 3] = [Variant::Direct, Variant::Raw, Variant::PgpawlStatement];

impl Summary {
    /// Of all rounds.
    #[must_use]
    pub fn of(workload: &Workload, rounds: BTreeMap<Variant, Rounds>) -> Self {
        let statements = workload.statements_per_operation();
        let rows = rounds.keys().map(|&variant| Row {
            variant,
            figures: figures(variant, &rounds, statements),
            failures: rounds[&variant]
                .iter()
                .filter_map(|round| round.as_ref().err().cloned())
                .collect(),
        });
        Self {
            workload: workload.name.clone(),
            unit: workload.unit(),
            statements_per_operation: statements,
            rows: rows.collect(),
            rounds,
        }
    }
}

fn figures(
    variant: Variant,
    rounds: &BTreeMap<Variant, Rounds>,
    statements: u32,
) -> BTreeMap<Metric, Figure> {
    let mut figures = BTreeMap::new();
    for metric in Metric::ALL {
        let values = |of: Variant| -> Vec<Option<f64>> {
            let rounds = rounds.get(&of).into_iter().flatten();
            rounds
                .map(|round| metric.of(round.as_ref().ok()?, statements))
                .collect()
        };
        let ours = values(variant);
        let ratio = |base: Variant| {
            let pairs = ours.iter().zip(values(base));
            let ratios = pairs.filter_map(|(ours, theirs)| {
                let (ours, theirs) = ((*ours)?, theirs?);
                (theirs > 0.0).then(|| ours / theirs)
            });
            Some((base, Spread::of(ratios.collect())?))
        };
        let ratios = BASES.into_iter().filter_map(ratio).collect();
        if let Some(spread) = Spread::of(ours.iter().copied().flatten().collect()) {
            figures.insert(metric, Figure { spread, ratios });
        }
    }
    figures
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Cpu;

    fn measure(operations: u64, proxy_seconds: f64) -> Measure {
        Measure {
            operations,
            seconds: 2.0,
            latency: None,
            proxy: (proxy_seconds > 0.0).then_some(Cpu {
                user: proxy_seconds,
                sys: 0.0,
            }),
            server: Cpu::default(),
            session_kib: None,
            peak_kib: None,
        }
    }

    fn summary() -> Summary {
        let workload = crate::workload::all()
            .into_iter()
            .find(|workload| workload.is_asked_by("select-simple-c1"))
            .expect("a workload");
        let rounds = BTreeMap::from([
            (
                Variant::Direct,
                vec![
                    Ok(measure(1_000, 0.0)),
                    Ok(measure(100, 0.0)),
                    Ok(measure(400, 0.0)),
                ],
            ),
            (
                Variant::Raw,
                vec![
                    Ok(measure(500, 0.01)),
                    Ok(measure(60, 0.001)),
                    Err("no".into()),
                ],
            ),
        ]);
        Summary::of(&workload, rounds)
    }

    #[test]
    fn a_ratio_is_of_the_same_round() {
        let summary = summary();
        let raw = &summary.rows[1];
        let ratio = raw.figures[&Metric::Rate].ratios[&Variant::Direct];
        assert_eq!((ratio.min, ratio.max), (0.5, 0.6));
        let rate = raw.figures[&Metric::Rate].spread;
        assert_eq!((rate.min, rate.max), (30.0, 250.0));
        assert_eq!(raw.failures, ["no"]);
    }

    #[test]
    fn cpu_is_microseconds_per_statement() {
        let summary = summary();
        let cpu = &summary.rows[1].figures[&Metric::ProxyCpu].spread;
        assert!((cpu.max - 20.0).abs() < 1e-9, "{cpu:?}");
        assert!(!summary.rows[0].figures.contains_key(&Metric::ProxyCpu));
    }
}
