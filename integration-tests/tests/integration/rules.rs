//! Modes, rules, renamed and own guards: what a configuration changes, seen by one DELETE.

use pgpawl_integration_tests::pgpawl::{Pgpawl, Setup};
use pgpawl_integration_tests::postgres::{OWNER, Postgres};
use pgpawl_integration_tests::wire::{Client, brief, message};

/// A database with one version table of two rows, and what becomes of a DELETE in it.
pub struct Scene {
    pub database: String,
}

impl Scene {
    pub fn new(stem: &str, table: &str) -> Self {
        let postgres = Postgres::shared();
        let database = postgres.database(stem);
        postgres.run(
            &database,
            &format!("CREATE TABLE {table} (version varchar PRIMARY KEY)"),
        );
        postgres.run(
            &database,
            &format!("INSERT INTO {table} VALUES ('1'), ('2')"),
        );
        postgres.run(&database, &format!("ALTER TABLE {table} OWNER TO {OWNER}"));
        postgres.run(&database, &format!("GRANT ALL ON {table} TO other"));
        Self { database }
    }

    fn delete(&self, pgpawl: &Pgpawl, table: &str, parameters: Parameters<'_>) -> Vec<String> {
        let mut all = vec![("user", OWNER), ("database", self.database.as_str())];
        for parameter in parameters {
            all.retain(|(name, _)| *name != parameter.0);
            all.push(*parameter);
        }
        let mut client = Client::start(pgpawl.port(), message::V3_0, &all).expect("a session");
        client.answer(&format!("DELETE FROM {table} WHERE version = '2'"))
    }
}

/// Start-up parameters in place of, or on top of, the usual ones.
type Parameters<'a> = &'a [(&'a str, &'a str)];

const REFUSED: [&str; 2] = ["error 42501", "ready I"];
const PASSED: [&str; 2] = ["done DELETE 1", "ready I"];

pub fn pgpawl() -> Setup {
    Pgpawl::before(Postgres::shared().port())
}

/// First match wins; each line of the table is one session.
#[test]
fn the_first_rule_that_matches_decides() {
    let config = r#"
[[rule]]
user = "other"
mode = "off"

[[rule]]
application_name = "trusted"
mode = "log"

[[rule]]
tool = "rails"
client = "127.0.0.0/8"
mode = "enforce"

[[rule]]
mode = "off"
"#;
    let pgpawl = pgpawl().config(config).start();
    let cases: [(Parameters<'_>, [&str; 2]); 4] = [
        (&[], REFUSED),
        (&[("user", "other")], PASSED),
        (&[("application_name", "trusted")], PASSED),
        (&[("application_name", "somebody")], REFUSED),
    ];
    for (parameters, expected) in cases {
        let scene = Scene::new("first_rule", "schema_migrations");
        assert_eq!(
            scene.delete(&pgpawl, "schema_migrations", parameters),
            expected,
            "{parameters:?}"
        );
    }
}

#[test]
fn a_rule_for_one_database_leaves_the_others_alone() {
    let (staging, production) = (
        Scene::new("staging", "schema_migrations"),
        Scene::new("production", "schema_migrations"),
    );
    let config = format!(
        "[[rule]]\ndatabase = \"{}\"\nmode = \"log\"\n",
        staging.database
    );
    let pgpawl = pgpawl().config(&config).start();
    assert_eq!(staging.delete(&pgpawl, "schema_migrations", &[]), PASSED);
    assert_eq!(
        production.delete(&pgpawl, "schema_migrations", &[]),
        REFUSED
    );
    pgpawl.wait_for_event(&[("database", &staging.database), ("verdict", "would-refuse")]);
    pgpawl.wait_for_event(&[("database", &production.database), ("verdict", "refuse")]);
}

/// A name that could hide a savepoint of ours is refused only where ours keeps a transaction from lowering.
#[test]
fn savepoints_have_any_name_in_log_mode() {
    let scene = Scene::new("savepoints", "schema_migrations");
    for (mode, expected) in [("log", "done SAVEPOINT"), ("enforce", "error 0A000")] {
        let pgpawl = pgpawl().mode(mode).start();
        for name in ["_pgpawl_outer", "\"fähre\""] {
            let set = format!("SAVEPOINT {name}");
            let at_once = message::query(set.as_bytes());
            let in_steps = [
                message::parse("", set.as_bytes()),
                message::bind("", "", &[]),
                message::execute("", 0),
                message::sync(),
            ];
            for sent in [at_once, in_steps.concat()] {
                let mut client = Client::session(pgpawl.port(), OWNER, &scene.database);
                client.rows("BEGIN");
                client.send(&sent);
                let said: Vec<_> = client.until_ready().iter().filter_map(brief).collect();
                assert!(said.iter().any(|word| word == expected), "{mode}: {said:?}");
            }
        }
    }
}

#[test]
fn a_client_is_warned_in_log_mode_where_told_to() {
    let scene = Scene::new("warned", "schema_migrations");
    let pgpawl = pgpawl().mode("log").args(&["--warn-in-log-mode"]).start();
    let answer = scene.delete(&pgpawl, "schema_migrations", &[]);
    assert_eq!(answer, ["notice 01000", "done DELETE 1", "ready I"]);
}

#[test]
fn a_disabled_tool_is_not_guarded() {
    let scene = Scene::new("disabled", "schema_migrations");
    let pgpawl = pgpawl().config("[tool.rails]\nenabled = false\n").start();
    assert_eq!(scene.delete(&pgpawl, "schema_migrations", &[]), PASSED);
}

#[test]
fn a_tools_table_may_have_another_name() {
    let scene = Scene::new("renamed", "my_migrations");
    let pgpawl = pgpawl()
        .config("[tool.rails]\ntable = \"my_migrations\"\n")
        .start();
    assert_eq!(scene.delete(&pgpawl, "my_migrations", &[]), REFUSED);
}

#[test]
fn a_tool_may_be_pinned_to_a_schema() {
    let scene = Scene::new("pinned", "schema_migrations");
    Postgres::shared().run(
        &scene.database,
        &format!("CREATE SCHEMA app AUTHORIZATION {OWNER}"),
    );
    Postgres::shared().run(
        &scene.database,
        "CREATE TABLE app.schema_migrations AS TABLE schema_migrations",
    );
    Postgres::shared().run(
        &scene.database,
        &format!("ALTER TABLE app.schema_migrations OWNER TO {OWNER}"),
    );
    let pgpawl = pgpawl().config("[tool.rails]\nschema = \"app\"\n").start();
    assert_eq!(
        scene.delete(&pgpawl, "public.schema_migrations", &[]),
        PASSED
    );
    assert_eq!(scene.delete(&pgpawl, "app.schema_migrations", &[]), REFUSED);
}

#[test]
fn an_own_guard_takes_a_few_lines() {
    let scene = Scene::new("own_guard", "our_versions");
    let config = r#"
[[guard]]
tool = "ours"
table = "our_versions"
kind = "set"
column = "version"
judge = "statement"
"#;
    let pgpawl = pgpawl().config(config).start();
    assert_eq!(scene.delete(&pgpawl, "our_versions", &[]), REFUSED);
    let event = pgpawl.wait_for_event(&[("database", &scene.database), ("verdict", "refuse")]);
    assert_eq!(event["tool"], "ours");
}

/// SIGHUP: for sessions from then on.
#[test]
fn the_configuration_is_read_again_on_sighup() {
    let scene = Scene::new("reload", "schema_migrations");
    let pgpawl = pgpawl().config("mode = \"enforce\"\n").start();
    assert_eq!(scene.delete(&pgpawl, "schema_migrations", &[]), REFUSED);
    let reloads =
        |result: &str| pgpawl.metric("pgpawl_config_reloads_total", &[&format!("\"{result}\"")]);

    std::fs::write(pgpawl.folder().join("pgpawl.toml"), "mode = \"nonsense\"\n").expect("written");
    pgpawl.signal("HUP");
    pgpawl_integration_tests::wait::until_true("the bad one is refused", || reloads("error") > 0.0);
    assert_eq!(scene.delete(&pgpawl, "schema_migrations", &[]), REFUSED);

    std::fs::write(pgpawl.folder().join("pgpawl.toml"), "mode = \"off\"\n").expect("written");
    pgpawl.signal("HUP");
    pgpawl_integration_tests::wait::until_true("the good one is taken", || reloads("ok") > 0.0);
    assert_eq!(scene.delete(&pgpawl, "schema_migrations", &[]), PASSED);
}

/// `opaque = "refuse"`: what no statement names is refused, also where it raises, and so is code of anybody's
/// in an index that is built where nothing can be checked.
#[test]
fn what_no_text_shows_is_refused_where_told_to() {
    let postgres = Postgres::shared();
    let built = ["done CREATE INDEX", "ready I"];
    for (opaque, refuses) in [("check", false), ("refuse", true)] {
        let pgpawl = pgpawl().config(&format!("opaque = \"{opaque}\"\n")).start();
        let scene = Scene::new("opaque", "schema_migrations");
        let database = &scene.database;
        postgres.run(
            database,
            "CREATE FUNCTION raise() RETURNS void LANGUAGE sql SECURITY DEFINER AS \
            'INSERT INTO schema_migrations VALUES (3)'",
        );
        postgres.run(
            database,
            "CREATE TABLE users (email text); ALTER TABLE users OWNER TO owner",
        );
        let mut client = Client::session(pgpawl.port(), OWNER, database);
        let answer = client.answer("SELECT raise()");
        assert_eq!(answer.last().map(String::as_str), Some("ready I"));
        assert_eq!(
            answer.contains(&"error 42501".to_owned()),
            refuses,
            "{opaque}: {answer:?}"
        );
        let named = client.answer("INSERT INTO schema_migrations VALUES ('4')");
        assert_eq!(named, ["done INSERT 0 1", "ready I"], "{opaque}");
        let lower = "CREATE INDEX CONCURRENTLY ON users (lower(email))";
        assert_eq!(
            client.answer(lower),
            if refuses { REFUSED } else { built },
            "{opaque}"
        );
        let plain = "CREATE INDEX CONCURRENTLY ON users (email)";
        assert_eq!(client.answer(plain), built, "{opaque}");
        client.end();
    }
}

/// `hold = "off"` is honest: the event of the refusal tells that the schema change before it was committed.
#[test]
fn without_a_hold_a_refusal_tells_that_the_schema_change_stands() {
    let postgres = Postgres::shared();
    for coverage in ["statement", "transaction"] {
        let pgpawl = Pgpawl::before(postgres.port())
            .args(&["--mode", "enforce", "--hold", "off", "--coverage", coverage])
            .start();
        let database = postgres.database("honest");
        let setup = [
            "CREATE TABLE schema_migrations (version text PRIMARY KEY)",
            "INSERT INTO schema_migrations VALUES ('1'), ('2')",
            "CREATE TABLE goods (price int)",
            "ALTER TABLE goods OWNER TO owner",
            "ALTER TABLE schema_migrations OWNER TO owner",
        ];
        postgres.run_all(&database, &setup);
        let mut client = Client::session(pgpawl.port(), OWNER, &database);
        client.query("SELECT version FROM schema_migrations");
        let down = client.answer("ALTER TABLE goods DROP COLUMN price");
        assert_eq!(down, ["done ALTER TABLE", "ready I"], "{coverage}");
        let record = client.answer("DELETE FROM schema_migrations WHERE version = '2'");
        assert_eq!(record, ["error 42501", "ready I"], "{coverage}");
        client.end();
        let event = pgpawl.wait_for_event(&[("database", &database), ("verdict", "refuse")]);
        assert_eq!(event["schema_committed"], true, "{coverage}: {event}");
    }
}
