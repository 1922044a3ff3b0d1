//! What real migration tools send, through the session under random cuts: it is relayed so that the
//! tool sees exactly what it sees directly. The model's version set stays as it is, so that nothing
//! is refused.

use super::{Model, bind, execute, message, parse, query, run, sync};
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;
use std::{fs, path::PathBuf};

fn text<'a>(line: &'a Value, field: &str) -> &'a str {
    line.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// The bytes of one message; parameters do not matter to the model.
fn bytes(line: &Value) -> Vec<u8> {
    let named = |tag: u8, what: &str, name: &str| {
        let what = what.bytes().next().unwrap_or(b'P');
        message(tag, &[&[what][..], name.as_bytes(), b"\0"].concat())
    };
    match text(line, "msg") {
        "Query" => query(text(line, "sql")),
        "Parse" => parse(text(line, "statement"), text(line, "sql")),
        "Bind" => bind(text(line, "portal"), text(line, "statement")),
        "Describe" => named(b'D', text(line, "what"), text(line, "name")),
        "Close" => named(b'C', text(line, "what"), text(line, "name")),
        "Execute" => execute(text(line, "portal")),
        "Flush" => message(b'H', b""),
        "Sync" => sync(),
        "SSLRequest" | "Startup" | "Terminate" | "Closed" => Vec::new(),
        other => panic!("{other} in a recording"),
    }
}

/// The streams of all connections of all recordings, by name.
fn streams() -> Vec<(String, Vec<u8>)> {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/recordings"));
    let folders = fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut streams = Vec::new();
    for folder in folders.filter(|path| path.is_dir()) {
        for file in fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
        {
            let lines: Vec<Value> = fs::read_to_string(&file)
                .unwrap()
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .filter(|line: &Value| text(line, "from") == "client")
                .collect();
            let connections = lines
                .iter()
                .filter_map(|line| line["conn"].as_u64())
                .max()
                .unwrap_or(0);
            for connection in 1..=connections {
                let of_it = lines.iter().filter(|line| line["conn"] == connection);
                let stream: Vec<u8> = of_it.flat_map(bytes).collect();
                streams.push((format!("{} {connection}", file.display()), stream));
            }
        }
    }
    streams
}

fn model() -> Model {
    let mut model = Model::new(&["1"]);
    model.frozen = true;
    model
}

#[test]
fn real_tools_see_what_they_see_directly() {
    let streams = streams();
    assert!(
        streams.len() > 100,
        "only {} connections recorded",
        streams.len()
    );
    let mut cases = TestRunner::new(Config {
        cases: 1,
        ..Config::default()
    });
    for (name, stream) in streams {
        let mut direct = model();
        direct.feed(&stream);
        let sizes = proptest::collection::vec(1..400usize, 1..50);
        cases
            .run(&sizes, |sizes| {
                let run = run(model(), &stream, &sizes);
                assert!(run.client == direct.output, "{name} is answered otherwise");
                assert!(
                    run.model.executed == direct.executed,
                    "{name} is executed otherwise"
                );
                assert_eq!(run.refused, 0, "{name}");
                Ok(())
            })
            .unwrap();
    }
}
