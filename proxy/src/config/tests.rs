//! Configuration mistakes as text: what is said, what is answered.
use super::*;
use std::{fs, time::Duration};

fn sources(
    toml: &str,
    env: &[(&str, &str)],
    flags: &[(&'static str, &str)],
) -> (tempfile::TempDir, Sources) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pgpawl.toml");
    fs::write(&file, toml).unwrap();
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    let sources = Sources {
        file: Some(file),
        env: env.iter().map(owned).collect(),
        flags: flags
            .iter()
            .map(|(key, value)| (*key, (*value).to_owned()))
            .collect(),
    };
    (folder, sources)
}

fn mistakes(toml: &str, env: &[(&str, &str)]) -> Vec<String> {
    let (folder, sources) = sources(toml, env, &[]);
    let Err(mistakes) = Config::load(&sources) else {
        return Vec::new();
    };
    let folder = format!("{}/", folder.path().display());
    mistakes
        .0
        .iter()
        .map(|mistake| mistake.to_string().replace(&folder, ""))
        .collect()
}

#[test]
fn nothing_said_is_valid() {
    let config = Config::load(&Sources::default()).unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:6432");
    assert_eq!(config.upstream.to_string(), "127.0.0.1:5432");
    assert_eq!(config.metrics_listen, None);
    assert_eq!(config.limits.login_timeout, Duration::from_mins(1));
    assert_eq!(config.session_limits.statement_len_max, 64 << 20);
}

#[test]
fn all_mistakes_at_once() {
    let toml = "\
listn = \"127.0.0.1:6432\"
upstream = \"postgres://me@db\"
mode = \"enforced\"
workers = \"two\"

[limits]
sessions_max = 0
login_timout_ms = 5

[[rule]]
databse = \"app\"
mode = \"log\"
";
    assert_eq!(
        mistakes(toml, &[]),
        [
            "pgpawl.toml:1: unknown key `listn`; did you mean `listen`?",
            "pgpawl.toml:2: `upstream`: `postgres://me@db` says more than a host and a port: \
             the client names the user, the database and the options",
            "pgpawl.toml:3: unknown value `enforced`; did you mean `enforce`?",
            "pgpawl.toml:4: invalid type: string \"two\", expected u64",
            "pgpawl.toml:7: `limits.sessions_max`: 0 is not between 1 and 1000000",
            "pgpawl.toml:8: unknown key `login_timout_ms`; did you mean `login_timeout_ms`?",
            "pgpawl.toml:11: unknown key `databse`; did you mean `database`?",
        ]
    );
}

#[test]
fn bad_syntax_has_its_line() {
    let said = mistakes("mode = \"log\"\nlisten = \n", &[]);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].starts_with("pgpawl.toml:2: "), "{said:?}");
}

#[test]
fn a_word_that_is_near_nothing_gets_the_whole_list() {
    let said = mistakes("[limits]\nbanana = 1\n", &[]);
    assert!(
        said[0]
            .starts_with("pgpawl.toml:2: unknown key `banana`; possible are statement_len_max, "),
        "{said:?}"
    );
}

#[test]
fn later_sources_win() {
    let toml = "listen = \"127.0.0.1:1\"\nupstream = \"a:1\"\nworkers = 1\n[limits]\nsessions_max = 1\nnames_max = 100\n";
    let (_folder, sources) = sources(
        toml,
        &[
            ("PGPAWL_UPSTREAM", "b:2"),
            ("PGPAWL_WORKERS", "2"),
            ("PGPAWL_LIMITS_SESSIONS_MAX", "2"),
            ("PGPAWL_REQUIRE_UPSTREAM", "true"),
            ("HOME", "/nowhere"),
        ],
        &[("workers", "3")],
    );
    let config = Config::load(&sources).unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:1");
    assert_eq!(config.upstream.to_string(), "b:2");
    assert_eq!(config.workers, 3);
    assert_eq!(config.limits.sessions_max, 2);
    assert_eq!(config.session_limits.names_max, 100);
    assert!(config.require_upstream);
}

#[test]
fn a_variable_that_is_wrong_is_named() {
    assert_eq!(
        mistakes("", &[("PGPAWL_MODE", "of"), ("PGPAWL_WORKERS", "0")]),
        [
            "PGPAWL_MODE: unknown value `of`; did you mean `off`?",
            "PGPAWL_WORKERS: `workers`: 0 is not between 1 and 1024",
        ]
    );
}

#[test]
fn unknown_variables_are_warned_of_at_most() {
    let (_folder, sources) = sources(
        "",
        &[("PGPAWL_LISTN", "x"), ("PGPAWL_SERVICE_HOST", "10.0.0.1")],
        &[],
    );
    let config = Config::load(&sources).unwrap();
    assert_eq!(
        config.warnings,
        ["the variable PGPAWL_LISTN is unknown; did you mean PGPAWL_LISTEN?"]
    );
}
