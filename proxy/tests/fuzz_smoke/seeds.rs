//! What is nearly right: what real tools sent, and one of each frame.

use serde_json::Value;
use std::{fs, path::Path};

/// Statements that the session looks at, each in another way.
const STATEMENTS: [&str; 24] = [
    "SELECT 1",
    "",
    ";;",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "COMMIT AND CHAIN",
    "SAVEPOINT a",
    "ROLLBACK TO a",
    "PREPARE TRANSACTION 'a'",
    "INSERT INTO schema_migrations VALUES ('9')",
    "DELETE FROM schema_migrations",
    "BEGIN; DELETE FROM schema_migrations; COMMIT; SELECT 1",
    "COPY schema_migrations FROM STDIN",
    "COPY t FROM STDIN",
    "PREPARE p AS DELETE FROM schema_migrations",
    "EXECUTE p",
    "DEALLOCATE ALL",
    "DO $$BEGIN DELETE FROM schema_migrations; COMMIT; END$$",
    "CALL f('schema_migrations')",
    "SET standard_conforming_strings = off",
    "SELECT '\\'; DELETE FROM schema_migrations; --'",
    "VACUUM schema_migrations",
    "SELECT 'schema_migrations",
];

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(body.len() + 4).expect("a short body");
    [&[tag][..], &len.to_be_bytes(), body].concat()
}

/// A Query.
pub fn query(text: &str) -> Vec<u8> {
    message(b'Q', &[text.as_bytes(), b"\0"].concat())
}

pub fn parse(name: &str, text: &str) -> Vec<u8> {
    message(b'P', format!("{name}\0{text}\0\0\0").as_bytes())
}

pub fn bind(portal: &str, statement: &str) -> Vec<u8> {
    message(
        b'B',
        format!("{portal}\0{statement}\0\0\0\0\0\0\0").as_bytes(),
    )
}

fn execute(portal: &str) -> Vec<u8> {
    message(b'E', format!("{portal}\0\0\0\0\0").as_bytes())
}

/// Each of a client's messages, and batches of them.
pub fn of_client() -> Vec<Vec<u8>> {
    let mut seeds = vec![
        message(b'S', b""),
        message(b'H', b""),
        message(b'X', b""),
        message(b'd', b"1\n"),
        message(b'c', b""),
        message(b'f', b"no\0"),
        message(b'F', b"\0\0\0\x01\0\0\0\0\0\0"),
        message(b'p', b"secret\0"),
        message(b'C', b"Ss\0"),
        message(b'C', b"Pp\0"),
        message(b'D', b"Ss\0"),
        message(b'D', b"P\0"),
        bind("p", "s"),
        bind("", ""),
        execute("p"),
        execute(""),
        query(&format!("SELECT '{}'", "a".repeat(5_000))),
        query(&format!(
            "DELETE FROM schema_migrations -- {}",
            "a".repeat(5_000)
        )),
        parse("s", &format!("SELECT '{}'", "a".repeat(5_000))),
        query(&"BEGIN;COMMIT;".repeat(300)),
    ];
    for text in STATEMENTS {
        seeds.push(query(text));
        seeds.push(parse("s", text));
        seeds.push(
            [
                parse("", text),
                bind("", ""),
                execute(""),
                message(b'S', b""),
            ]
            .concat(),
        );
        seeds.push([parse("s", text), bind("p", "s"), execute("p")].concat());
    }
    seeds
}

/// Each of a server's messages.
pub fn of_server() -> Vec<Vec<u8>> {
    [
        (b'R', &b"\0\0\0\0"[..]),
        (b'S', b"client_encoding\0SJIS\0"),
        (b'S', b"application_name\0a\0"),
        (b'K', b"\0\0\0\x01\0\0\0\x02"),
        (b'Z', b"I"),
        (b'Z', b"T"),
        (b'Z', b"E"),
        (b'1', b""),
        (b'2', b""),
        (b'3', b""),
        (b'n', b""),
        (b's', b""),
        (b'I', b""),
        (b't', b"\0\0"),
        (
            b'T',
            b"\0\x01a\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0",
        ),
        (b'D', b"\0\x02\0\0\0\x01a\xff\xff\xff\xff"),
        (b'C', b"INSERT 0 1\0"),
        (b'C', b"ROLLBACK\0"),
        (b'E', b"SERROR\0VERROR\0C22P02\0Mno\0\0"),
        (b'E', b"SFATAL\0VFATAL\0C57P01\0Mend\0\0"),
        (b'N', b"SWARNING\0VWARNING\0C25001\0Malready\0\0"),
        (b'A', b"\0\0\0\x01a\0\0"),
        (b'G', b"\0\0\0"),
        (b'H', b"\0\0\0"),
        (b'W', b"\0\0\0"),
        (b'd', b"1\n"),
        (b'c', b""),
        (b'V', b"\xff\xff\xff\xff"),
        (b'v', b"\0\0\0\0\0\0\0\0"),
    ]
    .map(|(tag, body)| message(tag, body))
    .to_vec()
}

/// First packets.
pub fn of_startup() -> Vec<Vec<u8>> {
    [
        &b"\0\0\0\x08\x04\xd2\x16\x2f"[..],
        b"\0\0\0\x08\x04\xd2\x16\x30",
        b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\0\x01\0\0\0\x02",
        b"\0\0\0\x10\0\x03\0\0user\0u\0\0",
        b"\0\0\0\x31\0\x03\0\x02user\0u\0database\0d\0_pq_.a\0b\0replication\0on\0\0",
    ]
    .map(<[u8]>::to_vec)
    .to_vec()
}

fn text<'a>(line: &'a Value, field: &str) -> &'a str {
    line[field].as_str().unwrap_or_default()
}

/// The bytes of a recorded message.
fn bytes(line: &Value) -> Option<Vec<u8>> {
    let named = |tag| {
        let what = text(line, "what").bytes().next().unwrap_or(b'P');
        message(
            tag,
            &[&[what][..], text(line, "name").as_bytes(), b"\0"].concat(),
        )
    };
    Some(match text(line, "msg") {
        "Query" => query(text(line, "sql")),
        "Parse" => parse(text(line, "statement"), text(line, "sql")),
        "Bind" => bind(text(line, "portal"), text(line, "statement")),
        "Describe" => named(b'D'),
        "Close" => named(b'C'),
        "Execute" => execute(text(line, "portal")),
        "Flush" => message(b'H', b""),
        "Sync" => message(b'S', b""),
        _ => return None,
    })
}

/// What the client sent in the first connection of each recording.
pub fn recorded() -> Vec<Vec<Vec<u8>>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings");
    let mut recorded = Vec::new();
    for folder in fs::read_dir(root).expect("recordings").flatten() {
        for file in fs::read_dir(folder.path()).into_iter().flatten().flatten() {
            let lines = fs::read_to_string(file.path()).expect("a recording");
            let messages: Vec<Vec<u8>> = lines
                .lines()
                .map(|line| serde_json::from_str(line).expect("JSON"))
                .filter(|line: &Value| line["from"] == "client" && line["conn"] == 1)
                .filter_map(|line| bytes(&line))
                .collect();
            if !messages.is_empty() {
                recorded.push(messages);
            }
        }
    }
    recorded.sort();
    assert!(recorded.len() > 100, "only {} recordings", recorded.len());
    recorded
}
