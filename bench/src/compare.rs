//! The comparison: every workload, in rounds that run every variant once.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, IsTerminal};
use std::path::Path;
use std::time::Duration;

use clap::ValueEnum;
use serde::Serialize;

use crate::cli::CompareArgs;
use crate::machine::{self, Machine};
use crate::measure::measure;
use crate::report;
use crate::server::Server;
use crate::summary::{Rounds, Summary};
use crate::variant::{Fleet, Variant};
use crate::workload::{self, Effort, Workload};
use crate::{clock, program};

/// pgbench's scale: 100,000 accounts each. TPC-B contends for as many branches.
const SCALE: u32 = 10;
const SCALE_QUICK: u32 = 1;

/// Everything that was measured, as it is written to files.
#[derive(Debug, Serialize)]
pub struct Results {
    /// Seconds since 1970.
    pub time: u64,
    /// Where.
    pub machine: Machine,
    /// How.
    pub settings: Settings,
    /// What.
    pub workloads: Vec<Summary>,
    /// What was left out, with the reason.
    pub left_out: Vec<String>,
}

/// How it was measured.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Settings {
    /// Whether only to see that it runs.
    pub quick: bool,
    /// Rounds.
    pub rounds: u32,
    /// Seconds of a measurement.
    pub seconds: u64,
    /// Threads of pgpawl and HAProxy.
    pub workers: usize,
    /// MiB of a COPY.
    pub copy_mib: u32,
    /// Idle sessions.
    pub sessions: u32,
}

impl Settings {
    fn asked(arguments: &CompareArgs) -> Self {
        let or = |asked: Option<u32>, usual, quick| {
            asked.unwrap_or(if arguments.quick { quick } else { usual })
        };
        let workers = arguments
            .workers
            .and_then(|count| usize::try_from(count).ok());
        Self {
            quick: arguments.quick,
            rounds: or(arguments.rounds, 5, 1),
            seconds: arguments.seconds.unwrap_or(5),
            workers: workers.unwrap_or_else(machine::cores),
            copy_mib: or(arguments.copy_mib, 1_024, 16),
            sessions: or(arguments.sessions, 5_000, 100),
        }
    }

    fn effort(&self) -> Effort {
        let span = if self.quick {
            Duration::from_millis(100)
        } else {
            Duration::from_secs(self.seconds)
        };
        let size = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
        Effort {
            span,
            quick: self.quick,
            copy_mib: size(self.copy_mib),
            sessions: size(self.sessions),
        }
    }
}

/// Runs what was asked for; prints each workload as it is done, and writes the files anew each time.
///
/// # Errors
/// When something asked for does not exist, the server does not start, or a measurement failed.
pub fn run(arguments: &CompareArgs) -> io::Result<()> {
    let chosen = chosen(&arguments.workloads)?;
    if arguments.list {
        list(&chosen);
        return Ok(());
    }
    workload::raise_limit_of_files()?;
    let settings = Settings::asked(arguments);
    let effort = settings.effort();
    let fleet = Fleet {
        pgpawl: pgpawl(arguments.pgpawl.as_deref())?,
        haproxy: program::find("haproxy"),
        pgbouncer: program::find("pgbouncer"),
        workers: settings.workers,
    };
    let (variants, mut left_out) = variants(&arguments.variants, &fleet);
    let scale = if settings.quick { SCALE_QUICK } else { SCALE };
    // The server's own work grows with `max_connections`: it looks through all seats for locks.
    let idle = chosen.iter().any(Workload::needs_sessions);
    let sessions = if idle { effort.sessions } else { 0 };
    let mut server = Server::start(sessions, scale)?;
    let machine = Machine::this(&fleet, &server);
    println!("{}", machine.lines().join("\n"));
    let (chosen, lacking) = workload::possible(chosen, &effort);
    left_out.extend(lacking);
    for reason in &left_out {
        println!("left out: {reason}");
    }
    let mut results = Results {
        time: clock::seconds_since_1970(),
        machine,
        settings,
        workloads: Vec::new(),
        left_out,
    };
    for workload in chosen {
        workload.found(&mut server);
        let rounds = rounds(&workload, &variants, &fleet, &server, &settings);
        let summary = Summary::of(&workload, rounds);
        print!("{}", report::table(&summary));
        results.workloads.push(summary);
        write(&results, arguments)?;
    }
    verdict(&results)
}

/// The workloads that words ask for, in their usual order.
fn chosen(words: &[String]) -> io::Result<Vec<Workload>> {
    let all = workload::all();
    let asks = |word: &&String| !all.iter().any(|workload| workload.is_asked_by(word));
    if let Some(unknown) = words.iter().find(asks) {
        let why = format!("there is no workload `{unknown}`; `compare --list` names them");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    let mut all = all;
    all.retain(|workload| words.iter().any(|word| workload.is_asked_by(word)));
    Ok(all)
}

fn list(workloads: &[Workload]) {
    println!("workloads:");
    for workload in workloads {
        println!("  {}", workload.name);
    }
    println!("variants:");
    for variant in Variant::value_variants() {
        println!("  {}", variant.name());
    }
}

fn pgpawl(named: Option<&Path>) -> io::Result<std::path::PathBuf> {
    match named {
        // A proxy runs in a folder of its own.
        Some(path) => path.canonicalize(),
        None => program::build_pgpawl(),
    }
}

/// Those that can be measured, and why others cannot.
fn variants(asked: &[Variant], fleet: &Fleet) -> (Vec<Variant>, Vec<String>) {
    let all = Variant::value_variants();
    let asked = if asked.is_empty() { all } else { asked };
    let left_out = asked.iter().filter_map(|&variant| {
        let reason = fleet.lacks(variant)?;
        Some(format!("{}: {reason}", variant.name()))
    });
    let present = asked
        .iter()
        .copied()
        .filter(|&variant| fleet.lacks(variant).is_none());
    (present.collect(), left_out.collect())
}

/// All rounds of a workload. Each begins with another variant, so that none always has the same before it.
fn rounds(
    workload: &Workload,
    variants: &[Variant],
    fleet: &Fleet,
    server: &Server,
    settings: &Settings,
) -> BTreeMap<Variant, Rounds> {
    let effort = settings.effort();
    let mut all: BTreeMap<Variant, Rounds> = BTreeMap::new();
    let mut order = variants.to_vec();
    warm_up(workload, fleet, server, settings);
    for round in 1..=settings.rounds {
        for &variant in &order {
            tell(&format!(
                "{} round {round}: {}",
                workload.name,
                variant.name()
            ));
            let measured = measure(workload, variant, fleet, server, &effort);
            let measured = measured.map_err(|why| why.to_string());
            all.entry(variant).or_default().push(measured);
        }
        order.rotate_left(1);
    }
    tell("");
    all
}

/// The first run of a workload fills the server's caches: nobody's figure. Should it fail, so do the others.
fn warm_up(workload: &Workload, fleet: &Fleet, server: &Server, settings: &Settings) {
    let little = Settings {
        quick: true,
        ..*settings
    };
    let _ = measure(workload, Variant::Direct, fleet, server, &little.effort());
}

/// What is going on, in one line that does not stay.
fn tell(words: &str) {
    if io::stderr().is_terminal() {
        eprint!("\r\x1b[K{words}");
    }
}

fn write(results: &Results, arguments: &CompareArgs) -> io::Result<()> {
    if let Some(file) = &arguments.json {
        fs::write(file, serde_json::to_string_pretty(results)? + "\n")?;
    }
    if let Some(file) = &arguments.html {
        fs::write(file, report::html(results))?;
    }
    Ok(())
}

/// An error if any measurement failed.
fn verdict(results: &Results) -> io::Result<()> {
    let rows = results.workloads.iter().flat_map(|summary| &summary.rows);
    match rows.map(|row| row.failures.len()).sum::<usize>() {
        0 => Ok(()),
        count => Err(io::Error::other(format!("{count} measurements failed"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_workload_is_said() {
        let why = chosen(&["gate".into(), "selct".into()]).expect_err("a misspelling");
        assert!(why.to_string().contains("`selct`"), "{why}");
    }

    #[test]
    fn every_workload_is_run_once() {
        let twice = chosen(&["gate".into(), "all".into()]).expect("known words");
        assert_eq!(twice.len(), workload::all().len());
    }
}
