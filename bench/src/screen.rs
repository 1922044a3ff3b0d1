//! What the screen costs a statement, on the texts that real migration tools sent.
//!
//! Reads the recordings of `proxy/tests` and prints, for each step of reading a text, the time of the
//! fastest round per statement and per byte. No sockets.

use std::io;
use std::time::Duration;

use pgpawl_bench::micro::{Material, STEPS, Step};
use pgpawl_policy::Guards;

use crate::clock;

/// The steps of reading a text.
const SHOWN: [&str; 3] = ["screen", "first-words", "statements"];

/// Prints the figures of `rounds` rounds.
///
/// # Errors
/// When there are no recordings.
pub fn run(rounds: usize) -> io::Result<()> {
    let material = Material::read()?;
    let (count, bytes) = (
        material.texts.len(),
        material.texts.iter().map(Vec::len).sum::<usize>(),
    );
    let guards = Guards::builtin().len();
    println!("{count} statements, {bytes} bytes, {guards} guards, best of {rounds} rounds");
    println!("{:<28}{:>14}{:>12}", "", "ns/statement", "MB/s");
    for step in STEPS.into_iter().filter(|(name, _)| SHOWN.contains(name)) {
        let nanos = fastest(&material, rounds, step).as_nanos().max(1);
        let per_statement = nanos / u128::try_from(count).unwrap_or(1);
        let rate = u128::try_from(bytes).unwrap_or(0) * 1_000 / nanos;
        println!("{:<28}{per_statement:>14}{rate:>12}", step.0);
    }
    Ok(())
}

fn fastest(material: &Material, rounds: usize, (_, step): Step) -> Duration {
    let round = |_| {
        let began = clock::now();
        step(material);
        began.elapsed()
    };
    (0..rounds).map(round).min().unwrap_or_default()
}
