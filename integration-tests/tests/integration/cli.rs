//! The command line: exit codes, mistakes, the smaller commands, what is told over HTTP.

use pgpawl_integration_tests::paths;
use pgpawl_integration_tests::pgpawl::Pgpawl;
use pgpawl_integration_tests::port;
use pgpawl_integration_tests::postgres::{OWNER, Postgres};
use pgpawl_integration_tests::tool::{Outcome, Tool};
use pgpawl_integration_tests::wire::Client;

fn pgpawl(arguments: &[&str]) -> Outcome {
    Tool::new(paths::pgpawl())
        .args(arguments.iter().copied())
        .run()
}

/// `pgpawl check-config` on a file of this text.
fn check_config(text: &str) -> Outcome {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("pgpawl.toml");
    std::fs::write(&file, text).expect("the file");
    pgpawl(&["check-config", "--config", file.to_str().expect("a path")])
}

#[test]
fn bad_usage_exits_64() {
    let cases: [&[&str]; 6] = [
        &[],
        &["no-such-command"],
        &["run", "--no-such-flag"],
        &["run", "--mode", "sometimes"],
        &["run", "--config", "/no/such/file"],
        &["explain"],
    ];
    for arguments in cases {
        let outcome = pgpawl(arguments);
        assert_eq!(outcome.code, Some(64), "{arguments:?}: {}", outcome.text());
        assert!(!outcome.stderr.is_empty(), "{arguments:?} says nothing");
    }
}

#[test]
fn every_command_has_help() {
    for command in ["run", "demo", "check-config", "profiles", "explain"] {
        let outcome = pgpawl(&[command, "--help"]).succeeded(command);
        assert!(
            outcome.stdout.contains("Usage: pgpawl"),
            "{}",
            outcome.text()
        );
        assert!(
            pgpawl(&["--help"]).stdout.contains(command),
            "{command} is not in the help"
        );
    }
    assert!(
        pgpawl(&["--version"])
            .succeeded("--version")
            .stdout
            .starts_with("pgpawl ")
    );
}

#[test]
fn all_mistakes_are_told_at_once_each_with_its_line_and_the_nearest_key() {
    let text = "listn = \"x\"\nmode = \"sometimes\"\n\n[limits]\nsessions_maxx = 1\n";
    let outcome = check_config(text);
    assert_eq!(outcome.code, Some(64), "{}", outcome.text());
    for expected in ["listen", "enforce", "sessions_max", ":1", ":2", ":5"] {
        assert!(
            outcome.stderr.contains(expected),
            "{expected} is missing:\n{}",
            outcome.stderr
        );
    }
}

#[test]
fn a_bad_configuration_ends_run_before_a_port_is_bound() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("pgpawl.toml");
    std::fs::write(&file, "mode = 1\n").expect("the file");
    let outcome = pgpawl(&["run", "--config", file.to_str().expect("a path")]);
    assert_eq!(outcome.code, Some(64), "{}", outcome.text());
}

#[test]
fn a_broken_revision_file_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(
        folder.path().join("broken_one.py"),
        "revision = \"a\"\ndown_revision = (\n",
    )
    .expect("written");
    let outcome = check_config(&format!(
        "[tool.alembic]\nrevisions = \"{}\"\n",
        folder.path().display()
    ));
    assert_eq!(outcome.code, Some(64), "{}", outcome.text());
    assert!(
        outcome.stderr.contains("broken_one.py"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn a_good_configuration_is_said_to_be_so() {
    let outcome =
        check_config("mode = \"log\"\n\n[limits]\nsessions_max = 10\n").succeeded("check-config");
    assert!(outcome.stdout.contains("valid"), "{}", outcome.stdout);
    for tool in [
        "alembic",
        "django",
        "rails",
        "golang-migrate",
        "flyway",
        "liquibase",
    ] {
        assert!(
            outcome.stdout.contains(tool),
            "{tool} is missing:\n{}",
            outcome.stdout
        );
    }
}

#[test]
fn an_address_in_use_is_said_to_be_so() {
    let running = Pgpawl::before(port::free()).start();
    let address = format!("127.0.0.1:{}", running.port());
    let outcome = pgpawl(&[
        "run",
        "--listen",
        &address,
        "--metrics-listen",
        "off",
        "--state-file",
        "off",
    ]);
    assert_eq!(outcome.code, Some(69), "{}", outcome.text());
    assert!(
        outcome.stderr.contains(&address) && outcome.stderr.contains("in use"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn an_upstream_that_is_down_is_said_to_be_so_or_ends_it_where_told_to() {
    let nowhere = format!("127.0.0.1:{}", port::free());
    let listen = format!("127.0.0.1:{}", port::free());
    let outcome = pgpawl(&[
        "run",
        "--require-upstream",
        "--listen",
        &listen,
        "--upstream",
        &nowhere,
        "--state-file",
        "off",
    ]);
    assert_eq!(outcome.code, Some(69), "{}", outcome.text());
    assert!(outcome.stderr.contains(&nowhere), "{}", outcome.stderr);

    let running = Pgpawl::before(port::free()).start();
    pgpawl_integration_tests::wait::until_true("it is said", || running.log().contains("upstream"));
    assert_eq!(running.get("/healthz").status, 200);
    assert_eq!(running.get("/readyz").status, 503);
}

#[test]
fn profiles_are_listed_as_text_and_as_json() {
    let text = pgpawl(&["profiles"]).succeeded("profiles").stdout;
    let json = pgpawl(&["profiles", "--json"])
        .succeeded("profiles --json")
        .stdout;
    let all: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let all = all.as_array().expect("a list");
    assert!(all.len() >= 6, "{json}");
    for profile in all {
        for field in ["tool", "table", "kind", "judge"] {
            let word = profile[field].as_str().expect(field);
            assert!(!word.is_empty(), "{profile}");
        }
        assert!(
            text.contains(profile["table"].as_str().expect("a table")),
            "{profile}"
        );
    }
}

/// SQL, and the tool whose guard it may concern.
#[test]
fn explain_tells_which_guard_a_statement_may_concern() {
    let cases = [
        ("DELETE FROM alembic_version", Some("alembic")),
        ("SELECT 1", None),
        (
            "UPDATE \"django_migrations\" SET name = 'x'",
            Some("django"),
        ),
        (
            "DO $$ BEGIN DELETE FROM flyway_schema_history; END $$",
            Some("flyway"),
        ),
        ("UPDATE orders SET total = 1", None),
    ];
    for (sql, tool) in cases {
        let text = pgpawl(&["explain", sql]).succeeded(sql).stdout;
        let json = pgpawl(&["explain", "--json", sql]).succeeded(sql).stdout;
        serde_json::from_str::<serde_json::Value>(&json).expect("JSON");
        match tool {
            Some(tool) => assert!(
                text.contains(tool) && json.contains(tool),
                "{sql}:\n{text}\n{json}"
            ),
            None => assert!(
                !text.contains("alembic") && !json.contains("alembic"),
                "{sql}:\n{text}"
            ),
        }
    }
}

#[test]
fn explain_reads_a_file_and_standard_input() {
    let sql = "SELECT 1;\nDELETE FROM alembic_version;\n";
    let piped = Tool::new(paths::pgpawl())
        .args(["explain", "-f", "-"])
        .input(sql.as_bytes())
        .run();
    assert!(piped.succeeded("explain -f -").stdout.contains("alembic"));
    assert_eq!(pgpawl(&["explain", "-f", "/no/such/file"]).code, Some(66));
}

#[test]
fn metrics_count_verdicts_and_health_is_told() {
    let postgres = Postgres::shared();
    let database = postgres.database("metrics");
    postgres.run(
        &database,
        "CREATE TABLE schema_migrations (version varchar PRIMARY KEY)",
    );
    postgres.run(&database, "INSERT INTO schema_migrations VALUES ('1')");
    postgres.run(&database, "ALTER TABLE schema_migrations OWNER TO owner");
    let pgpawl = Pgpawl::before(postgres.port()).start();
    let mut client = Client::session(pgpawl.port(), OWNER, &database);
    assert_eq!(
        client.answer("DELETE FROM schema_migrations"),
        ["error 42501", "ready I"]
    );
    assert_eq!(
        client.answer("INSERT INTO schema_migrations VALUES ('2')"),
        ["done INSERT 0 1", "ready I"]
    );

    let of_database = format!("database=\"{database}\"");
    let verdicts = |verdict: &str| {
        let labels = [
            of_database.as_str(),
            "tool=\"rails\"",
            &format!("verdict=\"{verdict}\""),
        ];
        pgpawl.metric("pgpawl_verdicts_total", &labels)
    };
    let one = |found: f64| (found - 1.0).abs() < f64::EPSILON;
    assert!(one(verdicts("refuse")), "{}", pgpawl.get("/metrics").text);
    assert!(one(verdicts("allow")), "{}", pgpawl.get("/metrics").text);
    assert!(one(pgpawl.metric("pgpawl_build_info", &["version="])));
    assert!(pgpawl.metric("pgpawl_evaluation_seconds_count", &[]) >= 2.0);
    assert_eq!(pgpawl.get("/healthz").status, 200);
    assert_eq!(pgpawl.get("/readyz").status, 200);
    assert_eq!(pgpawl.get("/nothing").status, 404);
}

/// One JSON line for each, with everything that tells who did what.
#[test]
fn events_say_who_did_what() {
    let postgres = Postgres::shared();
    let database = postgres.database("events");
    postgres.run(
        &database,
        "CREATE TABLE schema_migrations (version varchar PRIMARY KEY)",
    );
    postgres.run(
        &database,
        "INSERT INTO schema_migrations VALUES ('1'), ('2')",
    );
    postgres.run(&database, "ALTER TABLE schema_migrations OWNER TO owner");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("events.jsonl");
    let events = file.to_str().expect("a path");
    let pgpawl = Pgpawl::before(postgres.port())
        .args(&["--events", events])
        .start();
    let parameters = [
        ("user", OWNER),
        ("database", database.as_str()),
        ("application_name", "tests"),
    ];
    let version = pgpawl_integration_tests::wire::message::V3_0;
    let mut client = Client::start(pgpawl.port(), version, &parameters).expect("a session");
    client.query("DELETE FROM schema_migrations WHERE version = '2'");
    let line = pgpawl_integration_tests::wait::until("the event is written", || {
        let text = std::fs::read_to_string(&file).ok()?;
        text.ends_with('\n').then_some(text)
    });
    let event: serde_json::Value = serde_json::from_str(&line).expect("one JSON line");
    let fields = [
        ("event", "lowered"),
        ("verdict", "refuse"),
        ("mode", "enforce"),
        ("tool", "rails"),
        ("database", &database),
        ("schema", "public"),
        ("table", "schema_migrations"),
        ("from", "2"),
        ("to", "1"),
        ("user", OWNER),
        ("application_name", "tests"),
        ("client", "127.0.0.1"),
    ];
    for (field, expected) in fields {
        assert_eq!(event[field], expected, "{event}");
    }
    assert_eq!(
        event["fingerprint"].as_str().map(str::len),
        Some(16),
        "{event}"
    );
    assert!(
        event["time"]
            .as_str()
            .is_some_and(|time| time.ends_with('Z')),
        "{event}"
    );
}
