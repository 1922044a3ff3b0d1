//! Workloads by pgbench: its built-in scripts, protocols and numbers of clients.

use std::path::Path;
use std::process::Command;
use std::time::Duration;
use std::{fs, io};

use super::{Driven, Effort, Site};
use crate::number::real;
use crate::program;
use crate::server::{self, Server};

/// How much longer than its span a run may last: to connect, to end, on a busy machine.
const LIMIT_SPARE: Duration = Duration::from_mins(2);

/// Threads of pgbench: more would only compete with what is measured.
const THREADS_MAX: u32 = 2;

/// Clients that connect at the same time.
const STORM_CLIENTS: u32 = 8;

/// A built-in script.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Script {
    /// One SELECT by primary key, in autocommit.
    SelectOnly,
    /// The transaction of TPC-B: three UPDATE, one SELECT, one INSERT in a block.
    TpcbLike,
}

/// How statements are sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocol {
    /// One Query each.
    Simple,
    /// Parse, Bind and Execute each.
    Extended,
    /// Parse once, then Bind and Execute.
    Prepared,
}

impl Script {
    /// As names of workloads begin.
    pub fn stem(self) -> &'static str {
        match self {
            Self::SelectOnly => "select",
            Self::TpcbLike => "tpcb",
        }
    }

    fn builtin(self) -> &'static str {
        match self {
            Self::SelectOnly => "select-only",
            Self::TpcbLike => "tpcb-like",
        }
    }

    /// The statements of one transaction.
    pub fn statements(self) -> u32 {
        match self {
            Self::SelectOnly => 1,
            Self::TpcbLike => 7,
        }
    }
}

impl Protocol {
    /// As pgbench calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Simple => "simple",
            Self::Extended => "extended",
            Self::Prepared => "prepared",
        }
    }
}

/// What pgbench does before each of its own runs; done by the direct road, so that it is not measured.
pub fn set_back(server: &Server, database: &str) {
    let statements = [
        "VACUUM pgbench_branches",
        "VACUUM pgbench_tellers",
        "TRUNCATE pgbench_history",
        "CHECKPOINT",
    ];
    server.run(database, &statements);
}

/// Runs a script for the span of the effort.
///
/// # Errors
/// When pgbench fails, or a single transaction does.
pub fn drive(
    site: &Site,
    script: Script,
    protocol: Protocol,
    clients: u32,
    database: &str,
) -> io::Result<Driven> {
    let folder = tempfile::tempdir()?;
    let mut pgbench = site.server.pgbench(server::USER);
    pgbench
        .args(["--builtin", script.builtin()])
        .args(["--protocol", protocol.name()])
        .arg("--log")
        .arg("--log-prefix")
        .arg(folder.path().join("log"));
    let mut driven = run(pgbench, site, clients, database)?;
    driven.micros = latencies(folder.path())?;
    Ok(driven)
}

/// A storm of sessions of one query each, authenticated by SCRAM. libpq's half of that is worth having,
/// and pgbench's log does not time it: no latencies.
///
/// # Errors
/// When pgbench fails.
pub fn storm_scram(site: &Site) -> io::Result<Driven> {
    let folder = tempfile::tempdir()?;
    let script = folder.path().join("one.sql");
    fs::write(&script, "SELECT 1;\n")?;
    let mut pgbench = site.server.pgbench(server::SCRAM_USER);
    pgbench
        .env("PGPASSWORD", server::PASSWORD)
        .arg("--connect")
        .arg("--file")
        .arg(script);
    run(pgbench, site, STORM_CLIENTS, server::DATABASE)
}

/// Runs pgbench with what every run says.
fn run(mut pgbench: Command, site: &Site, clients: u32, database: &str) -> io::Result<Driven> {
    pgbench
        .arg("--no-vacuum")
        .args(["--client", &clients.to_string()])
        .args(["--jobs", &clients.min(THREADS_MAX).to_string()])
        .args(["--port", &site.port.to_string()])
        .args(extent(site.effort, clients))
        .arg(database);
    let said = program::run(&mut pgbench, site.effort.span + LIMIT_SPARE)?;
    let (operations, rate) = totals(&said)
        .ok_or_else(|| io::Error::other(format!("pgbench says no rate: {}", said.trim())))?;
    Ok(Driven {
        operations,
        seconds: real(operations) / rate,
        ..Driven::default()
    })
}

/// A time, or for a quick look a number of transactions per client.
fn extent(effort: &Effort, clients: u32) -> [String; 2] {
    if effort.quick {
        let count = (100 / clients).max(5);
        ["--transactions".into(), count.to_string()]
    } else {
        ["--time".into(), effort.span.as_secs().max(1).to_string()]
    }
}

/// Transactions, and transactions per second without the time to connect; none if one failed.
fn totals(said: &str) -> Option<(u64, f64)> {
    let after = |name: &str| {
        let line = said.lines().find_map(|line| line.strip_prefix(name))?;
        line.split([' ', '/']).next()
    };
    // Before PostgreSQL 15 pgbench ends with an error at the first failure, and says no number.
    let failed = after("number of failed transactions: ").unwrap_or("0");
    let done = after("number of transactions actually processed: ")?;
    let rate = after("tps = ")?;
    (failed == "0").then_some(())?;
    Some((done.parse().ok()?, rate.parse().ok()?))
}

/// The third column of pgbench's logs, one file per thread.
fn latencies(folder: &Path) -> io::Result<Vec<f64>> {
    let mut micros = Vec::new();
    for entry in fs::read_dir(folder)? {
        let text = fs::read_to_string(entry?.path())?;
        let column = text
            .lines()
            .filter_map(|line| line.split(' ').nth(2)?.parse::<f64>().ok());
        micros.extend(column);
    }
    Ok(micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "\
number of transactions actually processed: 700/700
number of failed transactions: 0 (0.000%)
latency average = 0.226 ms
initial connection time = 21.3 ms
tps = 4420.5 (without initial connection time)
";

    #[test]
    fn totals_are_read_with_a_limit_and_without() {
        assert_eq!(totals(SAID), Some((700, 4420.5)));
        assert_eq!(totals(&SAID.replace("/700", "")), Some((700, 4420.5)));
    }

    #[test]
    fn a_failed_transaction_fails_the_run() {
        assert_eq!(totals(&SAID.replace(": 0 (", ": 3 (")), None);
    }
}
