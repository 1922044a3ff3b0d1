//! How many instructions the steps take, counted by callgrind: a figure that no other load disturbs.
//!
//! Each step is run in a process of its own, some times and then some times more: the difference is
//! the steps' alone. A step that takes more than 5 % more than `instructions.json` says is an error, where that was
//! counted by the same processor and valgrind: libraries choose their code by what these can.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{env, fs, io};

use pgpawl_bench::micro::{Material, STEPS};
use serde::{Deserialize, Serialize};

use crate::machine;
use crate::number::real;
use crate::program;

/// What a step may take more than committed.
const MORE_MAX: f64 = 0.05;

/// Passes of the shorter and of the longer run.
const FEW: u64 = 1;
const MORE: u64 = 3;

/// How long a run may take under callgrind.
const RUN_MAX: Duration = Duration::from_mins(10);

type Counts = BTreeMap<String, u64>;

/// What was counted, and where.
#[derive(PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Committed {
    processor: String,
    valgrind: String,
    counts: Counts,
}

/// Counts all steps and compares them with the committed counts, or writes these anew.
///
/// # Errors
/// When a step takes too much, or valgrind is missing.
pub fn run(write: bool) -> io::Result<()> {
    let valgrind = program::find("valgrind")
        .ok_or_else(|| io::Error::other("valgrind is not installed (apt-get install valgrind)"))?;
    let mut counts = Counts::new();
    for (name, _) in STEPS {
        counts.insert(name.to_owned(), count(&valgrind, name)?);
    }
    let now = Committed {
        processor: machine::processor(),
        valgrind: program::version(&valgrind),
        counts,
    };
    let file = committed_file();
    if write {
        return fs::write(file, serde_json::to_string_pretty(&now)? + "\n");
    }
    let committed: Committed = serde_json::from_str(&fs::read_to_string(file)?)?;
    let (lines, more) = compare(&now.counts, &committed.counts);
    println!("{}", lines.join("\n"));
    let elsewhere = committed.processor != now.processor || committed.valgrind != now.valgrind;
    if elsewhere {
        let Committed {
            processor,
            valgrind,
            ..
        } = committed;
        println!("they were counted elsewhere ({processor}, {valgrind}): no error");
    } else if more {
        let why = "more than 5 % above the committed count: make it faster, or say why and run `instructions --write`";
        return Err(io::Error::other(why));
    }
    Ok(())
}

/// Runs a step so many times; what callgrind looks at.
///
/// # Errors
/// When there is no such step.
pub fn repeat(name: &str, times: u64) -> io::Result<()> {
    let found = STEPS.into_iter().find(|(other, _)| *other == name);
    let (_, step) = found
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, format!("no step `{name}`")))?;
    let material = Material::read()?;
    for _ in 0..times {
        step(&material);
    }
    Ok(())
}

fn committed_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("instructions.json")
}

/// Instructions of one pass.
fn count(valgrind: &Path, name: &str) -> io::Result<u64> {
    let (few, more) = (total(valgrind, name, FEW)?, total(valgrind, name, MORE)?);
    Ok(more.saturating_sub(few) / (MORE - FEW))
}

fn total(valgrind: &Path, name: &str, times: u64) -> io::Result<u64> {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("out");
    let mut command = Command::new(valgrind);
    command
        .arg("--tool=callgrind")
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(env::current_exe()?)
        .args(["step", name, &times.to_string()]);
    program::run(&mut command, RUN_MAX)?;
    let text = fs::read_to_string(out)?;
    let line = text.lines().find_map(|line| line.strip_prefix("totals: "));
    let total = line.and_then(|count| count.trim().parse().ok());
    total.ok_or_else(|| io::Error::other("callgrind says no total"))
}

/// A line per step, and whether any takes too much. A step that is not committed yet does.
fn compare(counts: &Counts, committed: &Counts) -> (Vec<String>, bool) {
    let mut failed = false;
    let lines = counts.iter().map(|(name, &now)| {
        let Some(&before) = committed.get(name) else {
            failed = true;
            return format!("{name:<20}{now:>14} instructions, none committed");
        };
        let change = real(now) / real(before.max(1)) - 1.0;
        failed |= change > MORE_MAX;
        format!("{name:<20}{now:>14} instructions, {:+.1} %", change * 100.0)
    });
    (lines.collect(), failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(pairs: &[(&str, u64)]) -> Counts {
        let pairs = pairs.iter().map(|&(name, count)| (name.to_owned(), count));
        pairs.collect()
    }

    #[test]
    fn more_than_five_percent_more_fails() {
        let committed = counts(&[("screen", 1_000)]);
        assert!(!compare(&counts(&[("screen", 1_049)]), &committed).1);
        assert!(compare(&counts(&[("screen", 1_052)]), &committed).1);
        assert!(!compare(&counts(&[("screen", 500)]), &committed).1);
    }

    #[test]
    fn what_is_not_committed_fails() {
        assert!(compare(&counts(&[("new", 1)]), &Counts::new()).1);
    }

    #[test]
    fn every_step_has_a_committed_count() {
        let text = fs::read_to_string(committed_file()).expect("instructions.json");
        let committed: Committed = serde_json::from_str(&text).expect("counts");
        let names: Vec<&str> = committed.counts.keys().map(String::as_str).collect();
        let mut steps = STEPS.map(|(name, _)| name);
        steps.sort_unstable();
        assert_eq!(names, steps);
    }
}
