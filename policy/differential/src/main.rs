//! The screen against PostgreSQL's own parser: random statements that name guarded tables in disguise.
//!
//! `differential TEXTS [SEED]` reads that many texts by both, and fails with each text on which they
//! differ in a way that matters: a name unseen, a boundary elsewhere, a write taken for a read.

mod compare;
mod effects;
mod generate;
mod kinds;
mod names;
mod oracle;
mod random;
mod tree;

use std::{env, io, process::ExitCode};

use compare::Judge;
use generate::Grammar;
use oracle::{Oracle, Text};
use random::Random;

/// Texts that are read at a time.
const BATCH_LEN: usize = 256;
/// So many faults are enough to look at.
const FAULTS_MAX: usize = 20;
/// A word on how far it is, each so many texts.
const TOLD_EVERY: u64 = 1 << 18;

fn main() -> io::Result<ExitCode> {
    let mut arguments = env::args().skip(1).map(|argument| argument.parse::<u64>());
    let (Some(Ok(texts)), seed) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: differential TEXTS [SEED]");
        return Ok(ExitCode::from(64));
    };
    let seed = seed.and_then(Result::ok).unwrap_or(1);
    let judge = Judge::new().ok_or_else(|| io::Error::other("no guards"))?;
    run(judge, texts, seed)
}

fn run(mut judge: Judge, texts: u64, seed: u64) -> io::Result<ExitCode> {
    let grammar = Grammar::new();
    let mut oracle = Oracle::start()?;
    let mut random = Random::new(seed);
    let mut faults = 0;
    while judge.counts.texts < texts && faults < FAULTS_MAX {
        let batch: Vec<Text> = (0..BATCH_LEN)
            .map(|_| Text {
                bytes: grammar.text(&mut random),
                standard_conforming_strings: random.percent(85),
            })
            .collect();
        for (text, reading) in batch.iter().zip(oracle.read(&batch)?) {
            let found = judge.compare(text, &reading);
            if !found.is_empty() {
                faults += 1;
                let (shown, on) = (text.bytes.escape_ascii(), text.standard_conforming_strings);
                println!(
                    "{shown}\n  standard_conforming_strings {on}\n  {}",
                    found.join("\n  ")
                );
            }
        }
        if judge.counts.texts.is_multiple_of(TOLD_EVERY) {
            println!("{:?}", judge.counts);
        }
    }
    println!("seed {seed}: {:?}, {faults} faults", judge.counts);
    Ok(if faults == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
