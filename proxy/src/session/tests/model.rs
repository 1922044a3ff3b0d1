//! A model of a PostgreSQL server: enough of the protocol and of transactions to tell whether what a
//! session does to a stream is right. One table, `schema_migrations`, in the schema `public`.

use pgpawl_policy::statement::{Lexical, statements};
use std::collections::{BTreeMap, BTreeSet};

type Set = BTreeSet<String>;

/// One backend.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Model {
    input: Vec<u8>,
    pub output: Vec<u8>,
    /// Every client message that was executed, for "refused bytes never reach the server".
    pub executed: Vec<String>,
    pub committed: Set,
    /// All sets that were ever committed, in order.
    pub history: Vec<Set>,
    pub(super) working: Set,
    saved: Vec<(String, Set)>,
    block: bool,
    failed: bool,
    implicit: bool,
    skipping: bool,
    copying: bool,
    statements: BTreeMap<String, String>,
    portals: BTreeMap<String, String>,
    /// What the question answers; `None`: it fails.
    pub readable: bool,
    /// The transaction changed rows, wherever that led.
    pub(super) touched: bool,
    /// Versions stay as they are, whatever is executed.
    pub frozen: bool,
}

pub(super) enum Done {
    Tag(String),
    Error(&'static str),
    Copy,
}

impl Model {
    pub fn new(versions: &[&str]) -> Self {
        let set: Set = versions.iter().map(|v| (*v).to_owned()).collect();
        Self {
            input: Vec::new(),
            output: Vec::new(),
            executed: Vec::new(),
            committed: set.clone(),
            history: vec![set.clone()],
            working: set,
            saved: Vec::new(),
            block: false,
            failed: false,
            implicit: false,
            skipping: false,
            copying: false,
            statements: BTreeMap::new(),
            portals: BTreeMap::new(),
            readable: true,
            touched: false,
            frozen: false,
        }
    }

    /// Authentication is over: what a server says first.
    fn greet(&mut self) {
        self.frame(b'R', &[0, 0, 0, 0]);
        self.frame(b'S', b"client_encoding\0UTF8\0");
        self.frame(b'S', b"standard_conforming_strings\0on\0");
        self.frame(b'K', &[0, 0, 0, 1, 0, 0, 0, 2]);
        self.ready();
    }

    /// A piece of the startup packet: at its end the server greets.
    pub fn greeted(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        if self.input.len() >= 4 {
            let len = u32::from_be_bytes(self.input[..4].try_into().unwrap());
            if self.input.len() >= usize::try_from(len).unwrap() {
                self.input.clear();
                self.greet();
            }
        }
    }

    pub(super) fn frame(&mut self, tag: u8, body: &[u8]) {
        self.output.push(tag);
        let len = u32::try_from(body.len() + 4).unwrap();
        self.output.extend_from_slice(&len.to_be_bytes());
        self.output.extend_from_slice(body);
    }

    pub fn status(&self) -> char {
        match (self.block, self.failed) {
            (false, _) => 'I',
            (true, false) => 'T',
            (true, true) => 'E',
        }
    }

    fn ready(&mut self) {
        let status = u8::try_from(self.status()).unwrap();
        self.frame(b'Z', &[status]);
    }

    fn error(&mut self, sqlstate: &str) {
        let body = format!("SERROR\0VERROR\0C{sqlstate}\0Mmodel\0\0");
        self.frame(b'E', body.as_bytes());
        if self.block {
            self.failed = true;
        } else {
            self.working = self.committed.clone();
            self.implicit = false;
        }
    }

    fn commit(&mut self) {
        if self.working != self.committed {
            self.committed = self.working.clone();
            self.history.push(self.committed.clone());
        }
        self.end();
    }

    fn end(&mut self) {
        self.working = self.committed.clone();
        self.block = false;
        self.failed = false;
        self.implicit = false;
        self.saved.clear();
        self.portals.clear();
    }

    /// Takes bytes as they come from the wire.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
        while self.input.len() >= 5 {
            let len = u32::from_be_bytes(self.input[1..5].try_into().unwrap());
            let len = usize::try_from(len).unwrap() + 1;
            if self.input.len() < len {
                return;
            }
            let frame: Vec<u8> = self.input.drain(..len).collect();
            self.message(frame[0], &frame[5..]);
        }
    }

    fn message(&mut self, tag: u8, body: &[u8]) {
        if self.copying {
            match tag {
                b'c' => {
                    self.copying = false;
                    self.working.insert("copied".into());
                    self.frame(b'C', b"COPY 1\0");
                    if !self.block {
                        self.commit();
                    }
                    self.ready();
                }
                b'd' | b'S' | b'H' => {}
                _ => panic!("{} during COPY", char::from(tag)),
            }
            return;
        }
        if self.skipping && tag != b'S' {
            return;
        }
        let strings: Vec<String> = body
            .split(|b| *b == 0)
            .map(|s| String::from_utf8_lossy(s).into_owned())
            .collect();
        match tag {
            b'Q' => self.query(&strings[0]),
            b'P' => {
                let (name, text) = (strings[0].clone(), strings[1].clone());
                if text.contains("BAD") {
                    return self.fail("42601");
                }
                self.statements.insert(name, text);
                self.frame(b'1', b"");
            }
            b'B' => match self.statements.get(&strings[1]).cloned() {
                Some(text) => {
                    self.portals.insert(strings[0].clone(), text);
                    self.frame(b'2', b"");
                }
                None => self.fail("26000"),
            },
            b'D' => self.frame(b'n', b""),
            b'E' => self.execute(&strings[0]),
            b'C' => {
                let name = strings[0][1..].to_owned();
                if body[0] == b'S' {
                    self.statements.remove(&name)
                } else {
                    self.portals.remove(&name)
                };
                self.frame(b'3', b"");
            }
            b'S' => {
                self.skipping = false;
                if !self.block {
                    self.commit();
                }
                self.ready();
            }
            b'H' | b'X' => {}
            other => panic!("the session sent {}", char::from(other)),
        }
    }

    fn fail(&mut self, sqlstate: &'static str) {
        self.error(sqlstate);
        self.skipping = true;
    }

    fn execute(&mut self, portal: &str) {
        let Some(text) = self.portals.get(portal).cloned() else {
            return self.fail("34000");
        };
        match self.run(&text) {
            Done::Tag(tag) => self.frame(b'C', format!("{tag}\0").as_bytes()),
            Done::Error(sqlstate) => self.fail(sqlstate),
            Done::Copy => panic!("no COPY by the extended protocol here"),
        }
    }

    fn query(&mut self, text: &str) {
        self.statements.remove("");
        let statements = statements(text.as_bytes(), Lexical::DEFAULT).unwrap();
        if statements.is_empty() {
            self.frame(b'I', b"");
        }
        for statement in statements {
            match self.run(&text[statement.range]) {
                Done::Tag(tag) => self.frame(b'C', format!("{tag}\0").as_bytes()),
                Done::Error(sqlstate) => {
                    self.error(sqlstate);
                    return self.ready();
                }
                Done::Copy => {
                    self.copying = true;
                    return self.frame(b'G', &[0, 0, 0]);
                }
            }
        }
        if !self.block {
            self.commit();
        }
        self.ready();
    }

    fn run(&mut self, text: &str) -> Done {
        let text = text.trim();
        let ours = [
            "/* pgpawl */",
            "_pgpawl",
            "SELECT g.i",
            "SET CONSTRAINTS",
            "SET TRANSACTION READ ONLY",
        ]
        .iter()
        .any(|ours| text.contains(ours));
        if !ours {
            self.executed.push(text.to_owned());
        }
        let words: Vec<&str> = text
            .split([' ', '\n', '\t', ';'])
            .filter(|w| !w.is_empty())
            .collect();
        if words.is_empty() {
            return Done::Tag(String::new());
        }
        let first = words[0].to_ascii_uppercase();
        let tag = |tag: &str| Done::Tag(tag.to_owned());
        if self.failed && !matches!(first.as_str(), "ROLLBACK" | "COMMIT") {
            return Done::Error("25P02");
        }
        let second = words.get(1).map(|word| word.to_ascii_uppercase());
        match (first.as_str(), second.as_deref()) {
            ("BEGIN" | "START", _) => {
                if self.block {
                    self.frame(b'N', b"SWARNING\0VWARNING\0C25001\0Malready\0\0");
                }
                self.block = true;
                tag("BEGIN")
            }
            ("COMMIT", chain) => {
                if self.failed {
                    self.end();
                    return tag("ROLLBACK");
                }
                self.commit();
                self.block = chain == Some("AND");
                tag("COMMIT")
            }
            ("ROLLBACK", Some("TO")) => {
                let name = words.last().unwrap().to_string();
                let Some(at) = self.saved.iter().rposition(|(n, _)| *n == name) else {
                    return Done::Error("3B001");
                };
                self.saved.truncate(at + 1);
                self.working = self.saved[at].1.clone();
                self.failed = false;
                tag("ROLLBACK")
            }
            ("ROLLBACK", _) => {
                self.end();
                tag("ROLLBACK")
            }
            ("SAVEPOINT", Some(_)) if self.block => {
                self.saved.push((words[1].to_owned(), self.working.clone()));
                tag("SAVEPOINT")
            }
            ("SAVEPOINT", _) => Done::Error("25P01"),
            ("RELEASE", _) => {
                let name = words.last().unwrap().to_string();
                match self.saved.iter().rposition(|(n, _)| *n == name) {
                    Some(at) => {
                        self.saved.truncate(at);
                        tag("RELEASE")
                    }
                    None => Done::Error("3B001"),
                }
            }
            _ if text.contains("set_config('statement_timeout'") => self.settings(),
            _ if text.contains("pg_advisory_xact_lock") => tag("SELECT 0"),
            _ if text.contains("pg_current_xact_id_if_assigned") => self.check(),
            _ if text.contains("pg_cursor()") => tag("SELECT 0"),
            _ if text.contains("pg_catalog.int4in") => Done::Error("22P02"),
            _ if text.contains("SELECT g.i") => self.question(text),
            _ => self.plain(text, &words),
        }
    }

    fn plain(&mut self, text: &str, words: &[&str]) -> Done {
        if self.frozen && !text.contains("_pgpawl") {
            return Done::Tag(words[0].to_ascii_uppercase());
        }
        let version = text.split('\'').nth(1).unwrap_or("?").to_owned();
        match words[0] {
            "INSERT" if text.contains("schema_migrations") => {
                self.working.insert(version);
                Done::Tag("INSERT 0 1".into())
            }
            "DELETE" if text.contains("schema_migrations") => {
                self.working.remove(&version);
                Done::Tag("DELETE 1".into())
            }
            "COPY" => Done::Copy,
            // Code whose text shows nothing.
            "HIDE" => {
                if let Some(new) = version.strip_prefix('+') {
                    self.working.insert(new.to_owned());
                } else {
                    self.working.remove(&version);
                }
                Done::Tag("SELECT 1".into())
            }
            "FAIL" => Done::Error("XX000"),
            verb => {
                self.frame(b'D', &[0, 1, 0, 0, 0, 1, b'x']);
                Done::Tag(format!("{verb} 1"))
            }
        }
    }
}
