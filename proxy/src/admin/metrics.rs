//! What Prometheus is told. Every label's values are bounded.
use super::labels::{Bounded, Versions};
use crate::session::Ending;
use prometheus::{
    Encoder, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};

/// All metrics, with handles where they are used often.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    verdicts: IntCounterVec,
    versions: Versions,
    databases: Bounded,
    tables: Bounded,
    tools: Bounded,
    /// Sessions that have not authenticated.
    pub sessions_starting: IntGauge,
    /// Sessions that are open.
    pub sessions_open: IntGauge,
    /// Connections accepted since the start.
    pub sessions_total: IntCounter,
    /// Sessions that were let through without inspection.
    pub sessions_not_inspected: IntCounter,
    /// Seconds from a question to its answer.
    pub evaluation_seconds: Histogram,
    /// Event and log lines that were dropped because their reader is too slow.
    pub lines_dropped: IntCounter,
    /// Observations that could not be made durable.
    pub state_errors: IntCounter,
    upstream_errors: IntCounterVec,
    endings: IntCounterVec,
    reloads: IntCounterVec,
    holds: IntCounterVec,
}

/// One judgement of one history, as it is counted.
#[derive(Clone, Copy, Debug)]
pub struct Verdict<'a> {
    /// The database.
    pub database: &'a str,
    /// The tool.
    pub tool: &'a str,
    /// The table; empty when it is not known.
    pub table: &'a str,
    /// enforce or log.
    pub mode: &'static str,
    /// allow, refuse or would-refuse.
    pub verdict: &'static str,
    /// A stable word.
    pub reason: &'static str,
}

/// Databases that get a label of their own; the others share `other`.
const DATABASES_MAX: usize = 200;
/// Tables that get a label of their own.
const TABLES_MAX: usize = 200;
/// Tools that get a label of their own: more than one configuration can have guards.
const TOOLS_MAX: usize = 128;

/// From one round trip on the same machine to a history of a hundred thousand rows.
const EVALUATION_BUCKETS: [f64; 14] = [
    0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
];

impl Metrics {
    /// Registers all metrics.
    ///
    /// # Errors
    /// When two have the same name; a mistake in this file.
    pub fn new() -> Result<Self, prometheus::Error> {
        let make = Maker(Registry::new());
        let sessions = make.gauges("pgpawl_sessions", "Sessions by state.", &["state"])?;
        make.build_info()?;
        Ok(Self {
            verdicts: make.counters(
                "pgpawl_verdicts_total",
                "Judgements of histories that did not stay the same.",
                &["database", "tool", "table", "mode", "verdict", "reason"],
            )?,
            versions: Versions::new(make.gauges(
                "pgpawl_schema_version_info",
                "The version that a history was last seen to reach; always 1.",
                &["database", "tool", "schema", "table", "version"],
            )?),
            databases: Bounded::new(DATABASES_MAX),
            tables: Bounded::new(TABLES_MAX),
            tools: Bounded::new(TOOLS_MAX),
            sessions_starting: sessions.with_label_values(&["starting"]),
            sessions_open: sessions.with_label_values(&["open"]),
            sessions_total: make.counter("pgpawl_sessions_total", "Connections accepted.")?,
            sessions_not_inspected: make.counter(
                "pgpawl_sessions_not_inspected_total",
                "Sessions let through without inspection: physical replication.",
            )?,
            evaluation_seconds: make.histogram(
                "pgpawl_evaluation_seconds",
                "Time from a question to the server to its answer.",
                &EVALUATION_BUCKETS,
            )?,
            lines_dropped: make.counter(
                "pgpawl_lines_dropped_total",
                "Event and log lines dropped because what reads them is too slow.",
            )?,
            state_errors: make.counter(
                "pgpawl_state_errors_total",
                "Observations that could not be written to the state file.",
            )?,
            upstream_errors: make.counters(
                "pgpawl_upstream_errors_total",
                "Connections to PostgreSQL that failed or broke.",
                &["kind"],
            )?,
            endings: make.counters(
                "pgpawl_session_endings_total",
                "Ended sessions by the reason of their end.",
                &["ending"],
            )?,
            reloads: make.counters(
                "pgpawl_config_reloads_total",
                "Reloads of the configuration.",
                &["result"],
            )?,
            holds: make.counters(
                "pgpawl_holds_total",
                "Commits that were held, and what became of them.",
                &["database", "fate", "reason"],
            )?,
            registry: make.0,
        })
    }

    /// Counts what became of a held commit.
    pub fn held(&self, database: &str, fate: &str, reason: &str) {
        let database = self.databases.label(database);
        self.holds
            .with_label_values(&[database.as_str(), fate, reason])
            .inc();
    }

    /// Counts one judgement.
    pub fn judged(&self, verdict: Verdict<'_>) {
        self.verdicts
            .with_label_values(&[
                self.databases.label(verdict.database).as_str(),
                self.tools.label(verdict.tool).as_str(),
                self.tables.label(verdict.table).as_str(),
                verdict.mode,
                verdict.verdict,
                verdict.reason,
            ])
            .inc();
    }

    /// A history of `[database, tool, schema, table]` has reached `version`; none: it is empty.
    pub fn reached(&self, history: [&str; 4], version: Option<&str>) {
        self.versions.reached(history, version);
    }

    /// Counts a failed or broken connection to the upstream.
    pub fn upstream_error(&self, kind: &'static str) {
        self.upstream_errors.with_label_values(&[kind]).inc();
    }

    /// Counts the end of a session.
    pub fn ended(&self, ending: &'static str) {
        self.endings.with_label_values(&[ending]).inc();
    }

    /// Counts a reload: `ok` or `error`.
    pub fn reloaded(&self, result: &'static str) {
        self.reloads.with_label_values(&[result]).inc();
    }

    /// All metrics in Prometheus' text format.
    #[must_use]
    pub fn text(&self) -> Vec<u8> {
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            tracing::error!(%error, "the metrics cannot be written");
        }
        text
    }
}

/// The label of an ending.
#[must_use]
pub fn ending_label(ending: &Ending) -> &'static str {
    match ending {
        Ending::Finished => "finished",
        Ending::ClientGone => "client_gone",
        Ending::ServerGone => "server_gone",
        Ending::ClientViolation(_) => "client_violation",
        Ending::ServerViolation(_) => "server_violation",
        Ending::ConnectFailed(_) => "connect_failed",
        Ending::NotAllowed(_) => "not_allowed",
        Ending::Stopped => "stopped",
        Ending::Undone => "undone",
        Ending::Cancelled => "cancelled",
    }
}

/// Makes and registers.
struct Maker(Registry);

impl Maker {
    fn add<T: prometheus::core::Collector + Clone + 'static>(
        &self,
        metric: T,
    ) -> Result<T, prometheus::Error> {
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn counter(&self, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
        self.add(IntCounter::new(name, help)?)
    }

    fn counters(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<IntCounterVec, prometheus::Error> {
        self.add(IntCounterVec::new(Opts::new(name, help), labels)?)
    }

    fn gauges(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<IntGaugeVec, prometheus::Error> {
        self.add(IntGaugeVec::new(Opts::new(name, help), labels)?)
    }

    fn histogram(
        &self,
        name: &str,
        help: &str,
        buckets: &[f64],
    ) -> Result<Histogram, prometheus::Error> {
        self.add(Histogram::with_opts(
            HistogramOpts::new(name, help).buckets(buckets.to_vec()),
        )?)
    }

    fn build_info(&self) -> Result<(), prometheus::Error> {
        let info = self.gauges(
            "pgpawl_build_info",
            "The build; always 1.",
            &["version", "arch", "os"],
        )?;
        info.with_label_values(&[
            env!("CARGO_PKG_VERSION"),
            std::env::consts::ARCH,
            std::env::consts::OS,
        ])
        .set(1);
        Ok(())
    }
}
