//! One measurement: what a driver saw, and what proxy and server used meanwhile.

use std::io;

use serde::Serialize;

use crate::number::{quantile, real, real_len};
use crate::process::{self, Cpu};
use crate::server::Server;
use crate::variant::{Fleet, Variant};
use crate::workload::{Driven, Effort, Site, Workload};

/// Latencies in microseconds.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Latency {
    /// How many were measured.
    pub count: usize,
    /// The median.
    pub p50: f64,
    /// 99 of 100 are not above it.
    pub p99: f64,
    /// 999 of 1,000 are not above it.
    pub p999: f64,
}

/// What one variant did in one round of one workload.
#[derive(Clone, Debug, Serialize)]
pub struct Measure {
    /// Operations, in the workload's unit.
    pub operations: u64,
    /// The time that they took.
    pub seconds: f64,
    /// How long single operations took, where they were timed.
    pub latency: Option<Latency>,
    /// CPU seconds of the proxy.
    pub proxy: Option<Cpu>,
    /// CPU seconds of the server's sessions.
    pub server: Cpu,
    /// KiB of the proxy's resident memory per idle session.
    pub session_kib: Option<f64>,
    /// KiB of the proxy's resident memory at its peak.
    pub peak_kib: Option<f64>,
}

impl Latency {
    fn of(mut micros: Vec<f64>) -> Option<Self> {
        micros.sort_by(f64::total_cmp);
        Some(Self {
            count: micros.len(),
            p50: quantile(&micros, 500)?,
            p99: quantile(&micros, 990)?,
            p999: quantile(&micros, 999)?,
        })
    }
}

/// Runs a workload once through a fresh instance of a variant.
///
/// # Errors
/// When the variant does not start, or the workload fails through it.
pub fn measure(
    workload: &Workload,
    variant: Variant,
    fleet: &Fleet,
    server: &Server,
    effort: &Effort,
) -> io::Result<Measure> {
    workload.prepare(server);
    let server_before = server.cpu_of_ended_sessions()?;
    let running = fleet.start(variant, server.port())?;
    let process = running.process();
    let site = Site {
        port: running.port,
        proxy: process,
        server,
        effort,
    };
    let proxy_before = process.map(process::cpu).transpose()?;
    let driven = workload.drive(&site)?;
    let proxy_after = process.map(process::cpu).transpose()?;
    let peak = process.map(process::peak_kib).transpose()?;
    // PgBouncer keeps its connections to the server: only without it do the server's sessions end.
    drop(running);
    let server_after = server.cpu_of_ended_sessions()?;
    Ok(Measure {
        operations: driven.operations,
        seconds: driven.seconds,
        session_kib: session_kib(&driven),
        latency: Latency::of(driven.micros),
        proxy: proxy_after
            .zip(proxy_before)
            .map(|(after, before)| after - before),
        server: server_after - server_before,
        peak_kib: peak.map(real),
    })
}

fn session_kib(driven: &Driven) -> Option<f64> {
    let rest = driven.rest.as_ref()?;
    // Memory that was given back is no memory per session.
    let grown = rest.held_kib.saturating_sub(rest.empty_kib);
    Some(real(grown) / real_len(rest.sessions.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::Rest;

    #[test]
    fn latencies_need_not_come_sorted() {
        let micros: Vec<f64> = (1..=1_000_u32).rev().map(f64::from).collect();
        let latency = Latency::of(micros).expect("a thousand");
        assert_eq!(
            (latency.p50, latency.p99, latency.p999),
            (500.0, 990.0, 999.0)
        );
        assert_eq!(Latency::of(Vec::new()), None);
    }

    #[test]
    fn memory_per_session_is_what_grew() {
        let rest = Rest {
            sessions: 10,
            empty_kib: 1_000,
            held_kib: 1_250,
        };
        let driven = Driven {
            rest: Some(rest),
            ..Driven::default()
        };
        assert_eq!(session_kib(&driven), Some(25.0));
    }
}
