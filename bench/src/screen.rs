//! What the screen costs a statement, on the texts that real migration tools sent.
//!
//! Reads the recordings of `proxy/tests` and prints, for each step of reading a text, the time of the
//! fastest round per statement and per byte. No sockets.

use std::hint::black_box;
use std::path::Path;
use std::time::Duration;
use std::{fs, io};

use pgpawl_policy::{
    Guards,
    screen::Screen,
    statement::{Lexical, first_kind, statements},
};

use crate::clock;

/// Prints the figures of `rounds` rounds.
///
/// # Errors
/// When there are no recordings.
pub fn run(rounds: usize) -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../proxy/tests/recordings");
    let texts = texts(&folder)?;
    if texts.is_empty() {
        let why = format!("no statement in {}", folder.display());
        return Err(io::Error::new(io::ErrorKind::NotFound, why));
    }
    report(&texts, rounds);
    Ok(())
}

/// Every text of a Query or Parse of every recording.
fn texts(folder: &Path) -> io::Result<Vec<Vec<u8>>> {
    let mut texts = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            texts.extend(self::texts(&path)?);
        } else if path.extension().is_some_and(|ext| ext == "jsonl") {
            let lines = fs::read_to_string(&path)?;
            let sql = lines.lines().filter_map(|line| {
                let line: serde_json::Value = serde_json::from_str(line).ok()?;
                Some(line.get("sql")?.as_str()?.as_bytes().to_vec())
            });
            texts.extend(sql);
        }
    }
    Ok(texts)
}

fn report(texts: &[Vec<u8>], rounds: usize) {
    let guards = Guards::builtin();
    let screen = Screen::new(guards.tables());
    let bytes: usize = texts.iter().map(Vec::len).sum();
    println!(
        "{} statements, {bytes} bytes, {} guards, best of {rounds} rounds",
        texts.len(),
        guards.len()
    );
    println!("{:<28}{:>14}{:>12}", "", "ns/statement", "MB/s");
    let row = |name: &str, step: &mut dyn FnMut(&[u8])| {
        let nanos = fastest(texts, rounds, step).as_nanos().max(1);
        let count = u128::try_from(texts.len()).unwrap_or(1);
        let rate = u128::try_from(bytes).unwrap_or(0) * 1_000 / nanos;
        println!("{name:<28}{:>14}{rate:>12}", nanos / count);
    };
    row("names of guarded tables", &mut |text| {
        black_box(screen.mentions(text));
    });
    row("first words", &mut |text| {
        black_box(first_kind(text));
    });
    row("all statements, exactly", &mut |text| {
        let _ = black_box(statements(text, Lexical::DEFAULT));
    });
}

fn fastest(texts: &[Vec<u8>], rounds: usize, step: &mut dyn FnMut(&[u8])) -> Duration {
    let round = |_| {
        let began = clock::now();
        for text in texts {
            step(text);
        }
        began.elapsed()
    };
    (0..rounds).map(round).min().unwrap_or_default()
}
