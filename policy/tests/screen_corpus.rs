//! What `screen` and `statement` say of the texts under `corpus/`.
//!
//! A case is a line of SQL and a line `=> guards | kind effect | kind effect ...`, one pair for
//! each statement; a line `set: scs=off encoding=SJIS` may stand before. In the SQL `␤` stands
//! for a newline, `␍` for a carriage return, `‹83›` for the byte 0x83. Lines with `#` are comments.
//! `BLESS=1` writes what is said now into the files: read the difference.

use std::{env, fs, io, path::Path};

use pgpawl_policy::Guards;
use pgpawl_policy::guard::{GuardId, GuardSet};
use pgpawl_policy::screen::Screen;
use pgpawl_policy::statement::{Effect, Kind, Lexical, Name, Statement, first_kind, statements};

/// The tables that the corpus guards; the last has as many bytes as a name can have.
const TABLES: [&str; 16] = [
    "schema_migrations",
    "alembic_version",
    "django_migrations",
    "My_Version",
    "databasechangelog",
    "flyway_schema_history",
    "migrate_version",
    "changes",
    "knex_migrations",
    "_sqlx_migrations",
    "__diesel_schema_migrations",
    "goose_db_version",
    "_prisma_migrations",
    "pgmigrations",
    "versión",
    "a23456789_b23456789_c23456789_d23456789_e23456789_f23456789_g23",
];

fn guards() -> Vec<(GuardId, &'static str)> {
    let builtin = Guards::builtin();
    let any = builtin.iter().next().map(|(_, guard)| guard.clone());
    let any = any.expect("there are built-in profiles");
    let guards = Guards::new(vec![any; TABLES.len()]).expect("not too many");
    guards.iter().map(|(id, _)| id).zip(TABLES).collect()
}

fn named(found: GuardSet) -> String {
    let names: Vec<_> = guards()
        .into_iter()
        .filter(|(id, _)| found.contains(*id))
        .map(|(_, name)| name)
        .collect();
    match names.len() {
        0 => "-".to_owned(),
        len if len == TABLES.len() => "all".to_owned(),
        _ => names.join(" "),
    }
}

fn shown(name: &Name) -> String {
    if name.is_any() {
        return "any".to_owned();
    }
    String::from_utf8_lossy(&name.0).into_owned()
}

fn kind(kind: &Kind) -> String {
    match kind {
        Kind::Begin => "begin".to_owned(),
        Kind::Commit { chain: false } => "commit".to_owned(),
        Kind::Commit { chain: true } => "commit-chain".to_owned(),
        Kind::Rollback { chain: false } => "rollback".to_owned(),
        Kind::Rollback { chain: true } => "rollback-chain".to_owned(),
        Kind::Savepoint | Kind::Release => "savepoint".to_owned(),
        Kind::PrepareTransaction => "prepare-transaction".to_owned(),
        Kind::Prepare(name) => format!("prepare({})", shown(name)),
        Kind::Execute(name) => format!("execute({})", shown(name)),
        Kind::Deallocate(name) => format!("deallocate({})", shown(name)),
        Kind::DeallocateAll => "deallocate-all".to_owned(),
        Kind::Alone => "alone".to_owned(),
        Kind::Other => "other".to_owned(),
    }
}

fn said(statement: &Statement) -> String {
    let effect = match statement.effect {
        Effect::Reads => "reads",
        Effect::Writes => "writes",
    };
    format!("{} {effect}", kind(&statement.kind))
}

/// The bytes that a line of the corpus stands for.
fn bytes(line: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = line;
    while let Some(char) = rest.chars().next() {
        rest = &rest[char.len_utf8()..];
        match char {
            '␤' => bytes.push(b'\n'),
            '␍' => bytes.push(b'\r'),
            '‹' => {
                let (hex, tail) = rest.split_once('›').expect("‹ has its ›");
                bytes.push(u8::from_str_radix(hex, 16).expect("two hex digits"));
                rest = tail;
            }
            _ => bytes.extend(char.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    bytes
}

fn lexical(settings: &str) -> Lexical {
    let value = |name: &str| {
        settings
            .split_whitespace()
            .find_map(|word| word.strip_prefix(name))
    };
    Lexical::reported(
        value("encoding=").unwrap_or("UTF8").as_bytes(),
        value("scs=").unwrap_or("on").as_bytes(),
    )
}

fn answer(screen: &Screen, settings: &str, line: &str) -> String {
    let text = bytes(line);
    let mut parts = vec![named(screen.mentions(&text))];
    match statements(&text, lexical(settings)) {
        Ok(found) => {
            let first = found
                .first()
                .map_or(Kind::Other, |first| first.kind.clone());
            if settings.is_empty() {
                assert_eq!(first_kind(&text), first, "first_kind of {line}");
            }
            parts.extend(found.iter().map(said));
        }
        Err(odd) => parts.push(format!("{odd:?}")),
    }
    parts.join(" | ")
}

/// The file with its answers as they are now.
fn answered(screen: &Screen, corpus: &str) -> String {
    let mut lines = Vec::new();
    let mut settings = "";
    for line in corpus.lines() {
        if line.starts_with("=>") {
            continue;
        }
        lines.push(line.to_owned());
        if let Some(words) = line.strip_prefix("set: ") {
            settings = words;
        } else if !line.is_empty() && !line.starts_with('#') {
            lines.push(format!("=> {}", answer(screen, settings, line)));
            settings = "";
        }
    }
    lines.join("\n") + "\n"
}

#[test]
fn corpus() -> io::Result<()> {
    let screen = Screen::new(guards());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut differences = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let before = fs::read_to_string(&path)?;
        let now = answered(&screen, &before);
        if env::var_os("BLESS").is_some() {
            fs::write(&path, &now)?;
            continue;
        }
        let (mut before, mut sql) = (before.lines(), "");
        for now in now.lines() {
            let expected = before.next().unwrap_or_default();
            if now != expected {
                differences.push(format!("{sql}\n  expected {expected}\n  said     {now}"));
            }
            sql = now;
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    Ok(())
}
