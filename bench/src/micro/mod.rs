//! Single steps of pgpawl's work, without sockets, on what real migration tools sent.
//!
//! `benches/micro.rs` times them, `instructions` counts their instructions, `screen` prints some.

mod relay;

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::{fs, io};

use pgpawl::config::{Config, Sources};
use pgpawl::session::Shared;
use pgpawl::wire::frame;
use pgpawl_policy::statement::{Lexical, first_kind, statements};
use pgpawl_policy::{Guards, parser, screen::Screen};

/// What the steps work on.
#[derive(Debug)]
pub struct Material {
    /// Every text of a Query or Parse of every recording.
    pub texts: Vec<Vec<u8>>,
    screen: Screen,
    queries: Vec<u8>,
    selects: Vec<String>,
    shared: Arc<Shared>,
}

/// A step: its name, and one pass over the material.
pub type Step = (&'static str, fn(&Material));

/// All steps.
pub const STEPS: [Step; 7] = [
    ("frames", frames),
    ("screen", screen),
    ("first-words", first_words),
    ("statements", all_statements),
    ("parser", describe),
    ("session-simple", session_simple),
    ("session-prepared", session_prepared),
];

/// More texts than the parser is asked for in a pass: it is for messages, and slow.
const DESCRIBED_MAX: usize = 500;

/// More exchanges than a session has in a pass.
const EXCHANGES: usize = 2_000;

impl Material {
    /// Reads the recordings of `proxy/tests`.
    ///
    /// # Errors
    /// When there are none.
    pub fn read() -> io::Result<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../proxy/tests/recordings");
        let texts = texts(&folder)?;
        if texts.is_empty() {
            let why = format!("no statement in {}", folder.display());
            return Err(io::Error::new(io::ErrorKind::NotFound, why));
        }
        let screen = Screen::new(Guards::builtin().tables());
        // The other coverage wraps what it relays: `compare` measures that with a server.
        let sources = Sources {
            flags: vec![("coverage", "statement".to_owned())],
            ..Sources::default()
        };
        let config = Config::load(&sources)
            .map_err(|mistakes| io::Error::other(format!("the defaults: {mistakes:?}")))?;
        let queries = texts.iter().flat_map(|text| relay::query(text)).collect();
        let reads = texts
            .iter()
            .filter(|text| text.starts_with(b"SELECT") && screen.mentions(text).is_empty());
        let selects = reads.filter_map(|text| String::from_utf8(text.clone()).ok());
        Ok(Self {
            selects: selects.collect(),
            queries,
            screen,
            shared: Arc::new(config.shared(Arc::default(), Arc::default())),
            texts,
        })
    }
}

/// The texts of a folder's recordings, in the order of their names: the same everywhere.
fn texts(folder: &Path) -> io::Result<Vec<Vec<u8>>> {
    let mut texts = Vec::new();
    let entries: io::Result<Vec<_>> = fs::read_dir(folder)?.collect();
    let mut paths: Vec<_> = entries?.iter().map(fs::DirEntry::path).collect();
    paths.sort();
    for path in paths {
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

/// Where each frame ends.
fn frames(material: &Material) {
    let mut rest = material.queries.as_slice();
    while let Ok(Some(frame)) = frame::of_client(black_box(rest)) {
        rest = rest.get(frame.len..).unwrap_or_default();
    }
    assert!(rest.is_empty(), "a frame was not understood");
}

/// Which guards a text may concern.
fn screen(material: &Material) {
    for text in &material.texts {
        black_box(material.screen.mentions(text));
    }
}

/// What a statement is by its first words.
fn first_words(material: &Material) {
    for text in &material.texts {
        black_box(first_kind(text));
    }
}

/// All statements of a text, exactly.
fn all_statements(material: &Material) {
    for text in &material.texts {
        let _ = black_box(statements(text, Lexical::DEFAULT));
    }
}

/// What the parser makes of a text, for messages.
fn describe(material: &Material) {
    for text in material.selects.iter().take(DESCRIBED_MAX) {
        black_box(parser::describe(text));
    }
}

/// A session of recorded SELECTs that concern no guard, each a Query.
fn session_simple(material: &Material) {
    let mut relay = relay::Relay::open(Arc::clone(&material.shared));
    for text in material.selects.iter().cycle().take(EXCHANGES) {
        relay.simple(text);
    }
}

/// A session that executes one prepared SELECT again and again.
fn session_prepared(material: &Material) {
    let mut relay = relay::Relay::open(Arc::clone(&material.shared));
    relay.prepare("SELECT abalance FROM pgbench_accounts WHERE aid = $1");
    for _ in 0..EXCHANGES {
        relay.prepared();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_takes_all_of_its_material() {
        let material = Material::read().expect("the recordings");
        assert!(material.texts.len() > 1_000 && material.selects.len() > 100);
        for (_, step) in STEPS {
            step(&material);
        }
    }
}
