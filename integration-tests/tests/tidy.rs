//! The rules of how the code reads, where a program can check them.

use std::fs;
use std::path::{Path, PathBuf};

use pgpawl_integration_tests::paths;

/// A file is one idea, and that fits in so many lines.
const LINES_MAX: usize = 400;

struct Source {
    /// As `proxy/src/wire/frame.rs`.
    path: String,
    text: String,
}

/// The files of the project with this ending.
fn sources(ending: &str) -> Vec<Source> {
    let mut found = Vec::new();
    for top in ["policy", "proxy", "bench", "integration-tests"] {
        collect(&paths::project().join(top), ending, &mut found);
    }
    assert!(found.len() > 3, "where are the sources?");
    found
}

fn collect(folder: &Path, ending: &str, found: &mut Vec<Source>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)
        .expect("a folder")
        .flatten()
        .map(|entry| entry.path())
        .collect();
    entries.sort();
    for path in entries {
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if path.is_dir() && !["target", "corpus", "artifacts"].contains(&name) {
            collect(&path, ending, found);
        } else if name.ends_with(ending) {
            let text = fs::read_to_string(&path).expect("a file in UTF-8");
            let path = path
                .strip_prefix(paths::project())
                .expect("in the project")
                .display()
                .to_string();
            found.push(Source { path, text });
        }
    }
}

/// Code without the unit tests at its end: `mod tests` and what follows.
fn code_of(source: &Source) -> &str {
    source.text.split("#[cfg(test)]").next().unwrap_or_default()
}

/// Fails with all places at once.
fn assert_none(rule: &str, places: &[String]) {
    assert!(places.is_empty(), "{rule}:\n  {}\n", places.join("\n  "));
}

/// The lines of `files` that contain one of `words`, as `path:line: text`.
fn lines_with<'a>(
    files: impl Iterator<Item = (&'a Source, &'a str)>,
    words: &[&str],
) -> Vec<String> {
    let mut places = Vec::new();
    for (source, text) in files {
        for (index, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if words.iter().any(|word| code.contains(word)) {
                places.push(format!("{}:{}: {}", source.path, index + 1, line.trim()));
            }
        }
    }
    places
}

fn in_folder<'a>(
    all: &'a [Source],
    folder: &'a str,
) -> impl Iterator<Item = (&'a Source, &'a str)> {
    all.iter()
        .filter(move |source| source.path.starts_with(folder))
        .map(|source| (source, code_of(source)))
}

#[test]
fn every_file_says_first_what_it_is_for() {
    let silent = sources(".rs")
        .into_iter()
        .filter(|source| !source.text.starts_with("//!"));
    assert_none(
        "does not begin with //!",
        &silent.map(|source| source.path).collect::<Vec<_>>(),
    );
}

#[test]
fn every_file_is_one_idea() {
    let long = sources(".rs")
        .into_iter()
        .filter(|source| source.text.lines().count() > LINES_MAX);
    let places: Vec<_> = long
        .map(|source| format!("{} {}", source.path, source.text.lines().count()))
        .collect();
    assert_none("longer than 400 lines", &places);
}

#[test]
fn nothing_is_left_open() {
    let marks = [
        concat!("to", "do!"),
        concat!("unimple", "mented!"),
        concat!("db", "g!("),
        concat!("#[ig", "nore"),
    ];
    let all = sources(".rs");
    assert_none(
        "left open",
        &lines_with(
            all.iter().map(|source| (source, source.text.as_str())),
            &marks,
        ),
    );
    let notes = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("X", "XX"),
    ];
    let mut places = Vec::new();
    for source in &all {
        for (index, line) in source.text.lines().enumerate() {
            if notes.iter().any(|note| line.contains(note)) {
                places.push(format!("{}:{}", source.path, index + 1));
            }
        }
    }
    assert_none("left open", &places);
}

#[test]
fn nothing_is_unsafe() {
    let all = sources(".rs");
    let word = [
        concat!("un", "safe {"),
        concat!("un", "safe fn"),
        concat!("un", "safe impl"),
    ];
    assert_none(
        "unsafe",
        &lines_with(
            all.iter().map(|source| (source, source.text.as_str())),
            &word,
        ),
    );
}

#[test]
fn exceptions_to_lints_are_expected_and_have_a_reason() {
    let mut places = Vec::new();
    for source in sources(".rs") {
        for (at, _) in source
            .text
            .match_indices(concat!("[al", "low("))
            .chain(source.text.match_indices(concat!("[exp", "ect(")))
        {
            let attribute = source.text[at..].split(']').next().unwrap_or_default();
            if !attribute.contains("reason") {
                places.push(format!("{}: {attribute}", source.path));
            }
        }
    }
    assert_none("an exception without a reason", &places);
}

/// `policy` is pure: it knows no wire, no socket, no clock, no file.
#[test]
fn policy_is_pure() {
    let manifest =
        fs::read_to_string(paths::project().join("policy/Cargo.toml")).expect("its manifest");
    let places: Vec<_> = ["tokio", "pgwire", "hyper", "socket2", "pgpawl"]
        .into_iter()
        .filter(|crate_name| {
            manifest
                .lines()
                .any(|line| line.starts_with(&format!("{crate_name}.")))
        })
        .map(String::from)
        .collect();
    assert_none("policy depends on", &places);
    let words = [
        "std::net::Tcp",
        "std::net::Udp",
        "std::fs",
        "std::time::Instant",
        "SystemTime",
        "std::thread",
        "println!",
    ];
    assert_none(
        "policy does I/O",
        &lines_with(in_folder(&sources(".rs"), "policy/src"), &words),
    );
}

/// The wire and the session are pure: bytes in, actions out.
#[test]
fn wire_and_session_are_pure() {
    let all = sources(".rs");
    let words = [
        "tokio",
        "std::net::Tcp",
        "std::io::Read",
        "std::io::Write",
        "Instant::now",
        "SystemTime",
        "println!",
    ];
    for folder in ["proxy/src/wire", "proxy/src/session"] {
        assert_none(folder, &lines_with(in_folder(&all, folder), &words));
    }
}

/// wire ← session ← net ← main: nobody looks up.
#[test]
fn dependencies_run_one_way() {
    let all = sources(".rs");
    let forbidden: [(&str, &[&str]); 3] = [
        (
            "proxy/src/wire",
            &[
                "crate::session",
                "crate::net",
                "crate::config",
                "crate::admin",
            ],
        ),
        (
            "proxy/src/session",
            &[
                "crate::net",
                "crate::config",
                "crate::admin",
                "crate::telemetry",
            ],
        ),
        (
            "proxy/src/net",
            &["crate::commands", "crate::cli", "sqlparser"],
        ),
    ];
    for (folder, words) in forbidden {
        assert_none(folder, &lines_with(in_folder(&all, folder), words));
    }
}

/// What parses SQL is one file, so that it can be replaced and never be trusted elsewhere.
#[test]
fn one_file_knows_the_parsing_library() {
    let all = sources(".rs");
    let users = lines_with(
        in_folder(&all, "policy/src").chain(in_folder(&all, "proxy/src")),
        &["sqlparser::"],
    );
    let elsewhere: Vec<_> = users
        .into_iter()
        .filter(|place| !place.starts_with("policy/src/parser"))
        .collect();
    assert_none("sqlparser outside policy/src/parser", &elsewhere);
}

/// No panic in what reads bytes of strangers.
#[test]
fn pure_code_cannot_panic_by_its_own_hand() {
    let all = sources(".rs");
    let words = [
        ".unwrap()",
        ".expect(",
        "panic!(",
        "unreachable!(",
        "assert!(",
        "assert_eq!(",
    ];
    for folder in ["policy/src", "proxy/src/wire", "proxy/src/session"] {
        let not_tests = in_folder(&all, folder)
            .filter(|(source, _)| !source.path.contains("tests") && !source.path.contains("_test"));
        let places = lines_with(not_tests, &words);
        let places: Vec<_> = places
            .into_iter()
            .filter(|place| !place.contains("debug_assert"))
            .collect();
        assert_none(folder, &places);
    }
}

/// Every dependency of the workspace has its sentence.
#[test]
fn every_dependency_has_its_reason() {
    let manifest = fs::read_to_string(paths::project().join("Cargo.toml")).expect("the manifest");
    let section = manifest
        .split("[workspace.dependencies]")
        .nth(1)
        .expect("its dependencies");
    let section = section.split("\n[").next().unwrap_or_default();
    let mut explained = false;
    let mut places = Vec::new();
    for line in section
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
    {
        if line.starts_with('#') {
            explained = true;
        } else if !line.contains("path = ") && !explained {
            places.push(line.to_owned());
        }
    }
    assert_none("no sentence before", &places);
}

#[test]
fn the_style_of_names() {
    let words = ["fn get_", "Manager", "mod utils", "mod helpers"];
    let all = sources(".rs");
    let mut places = Vec::new();
    for folder in ["policy/src", "proxy/src"] {
        places.extend(lines_with(in_folder(&all, folder), &words));
    }
    assert_none("a name that says nothing", &places);
}

/// The top level stays small.
#[test]
fn the_top_level_is_small() {
    let known = [
        "policy",
        "proxy",
        "bench",
        "integration-tests",
        "fuzz",
        "deploy",
        "docs",
        "target",
        "Cargo.toml",
        "Cargo.lock",
        "Makefile",
        "README.md",
        "ARCHITECTURE.md",
        "LICENSE",
        "Dockerfile",
        "docker-compose.yml",
        "rust-toolchain.toml",
    ];
    let entries = fs::read_dir(paths::project())
        .expect("the project")
        .flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let strange: Vec<_> = names
        .filter(|name| !name.starts_with('.') && !known.contains(&name.as_str()))
        .collect();
    assert_none("at the top level", &strange);
}
