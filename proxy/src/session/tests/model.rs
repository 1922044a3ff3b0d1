//! A model of a PostgreSQL server: enough of the protocol and of transactions to tell whether what a
//! session does to a stream is right.

use super::data::{Data, Done, Ended, Working};
use pgpawl_policy::statement::{Lexical, statements};
use std::collections::BTreeMap;

/// The unnamed statement of another session.
pub const FOREIGN: &str = "INSERT INTO users VALUES ('foreign')";

/// One backend.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Model {
    input: Vec<u8>,
    pub output: Vec<u8>,
    /// Every client message that was executed, for "refused bytes never reach the server".
    pub executed: Vec<String>,
    pub committed: Data,
    /// All that was ever committed, in order.
    pub history: Vec<Data>,
    pub(super) working: Working,
    pub(super) saved: Vec<(String, Working)>,
    pub(super) block: bool,
    pub(super) failed: bool,
    pub(super) read_only: bool,
    skipping: bool,
    /// The table into which the client copies.
    copying: Option<String>,
    pub(super) statements: BTreeMap<String, String>,
    /// Others have the names of those that questions execute.
    pub(super) forged: bool,
    /// A simple Query describes its rows.
    pub(super) describes: bool,
    portals: BTreeMap<String, String>,
    /// What the question answers; `None`: it fails.
    pub readable: bool,
    /// What the server's counters tell of the running transaction: no savepoint takes it back.
    pub(super) counted: Ended,
    /// What the transactions did that were committed since this was taken.
    pub ended: Option<Ended>,
    /// Another session waits for a lock of the running transaction.
    pub waited_for: bool,
    /// Versions stay as they are, whatever is executed.
    pub frozen: bool,
    /// Each transaction is run by another process, which others have used meanwhile.
    pub pooled: bool,
    /// Checks of records that passed.
    pub records: usize,
}

impl Model {
    pub fn new(versions: &[&str]) -> Self {
        let data = Data {
            versions: versions.iter().map(|v| (*v).to_owned()).collect(),
            ..Data::default()
        };
        Self {
            input: Vec::new(),
            output: Vec::new(),
            executed: Vec::new(),
            committed: data.clone(),
            history: vec![data.clone()],
            working: Working::of(&data),
            saved: Vec::new(),
            block: false,
            failed: false,
            read_only: false,
            skipping: false,
            copying: None,
            statements: BTreeMap::new(),
            forged: false,
            describes: false,
            portals: BTreeMap::new(),
            readable: true,
            counted: Ended::default(),
            ended: None,
            waited_for: false,
            frozen: false,
            pooled: false,
            records: 0,
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
        if self.pooled && !self.block {
            self.statements.clear();
            self.statements.insert(String::new(), FOREIGN.to_owned());
        }
        let status = u8::try_from(self.status()).unwrap();
        self.frame(b'Z', &[status]);
    }

    fn error(&mut self, sqlstate: &str) {
        let body = format!("SERROR\0VERROR\0C{sqlstate}\0Mmodel\0\0");
        self.frame(b'E', body.as_bytes());
        if self.block {
            self.failed = true;
        } else {
            self.end();
        }
    }

    /// The running transaction is over; an error if it was to be committed and cannot be.
    pub(super) fn commit(&mut self) -> Result<(), &'static str> {
        let Working {
            data,
            touched,
            violates,
            settings: _,
        } = self.working.clone();
        if violates {
            self.end();
            return Err("23503");
        }
        if self.block || self.counted != Ended::default() {
            let ended = self.ended.get_or_insert_default();
            ended.touched |= touched;
            ended.altered |= self.counted.altered;
            ended.wrote |= self.counted.wrote;
        }
        if data != self.committed {
            self.history.push(data.clone());
            self.committed = data;
        }
        self.end();
        Ok(())
    }

    /// What is not committed is gone.
    pub fn end(&mut self) {
        self.working = Working::of(&self.committed);
        self.block = false;
        self.failed = false;
        self.read_only = false;
        self.counted = Ended::default();
        self.waited_for = false;
        self.saved.clear();
        self.portals.clear();
    }

    /// The end of what is no block of the client's.
    fn commit_implicit(&mut self) {
        if !self.block
            && let Err(sqlstate) = self.commit()
        {
            self.error(sqlstate);
        }
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
        if let Some(table) = self.copying.take() {
            match tag {
                b'c' => {
                    self.copied(&table);
                    self.frame(b'C', b"COPY 1\0");
                    self.commit_implicit();
                    return self.ready();
                }
                b'd' | b'S' | b'H' => {}
                _ => panic!("{} during COPY", char::from(tag)),
            }
            self.copying = Some(table);
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
                if self.forged && name.starts_with("_pgpawl_") && name != "_pgpawl_light" {
                    return self.fail("42P05");
                }
                self.statements.insert(name, text);
                self.frame(b'1', b"");
            }
            b'B' => match self.statements.get(&strings[1]).cloned() {
                Some(text) => {
                    let text = text.replace("$1::", &format!("'{}'::", parameter(body)));
                    self.portals.insert(strings[0].clone(), text);
                    self.frame(b'2', b"");
                }
                None => self.fail("26000"),
            },
            b'D' => {
                let named = if body[0] == b'S' {
                    &self.statements
                } else {
                    &self.portals
                };
                let text = named.get(&strings[0][1..]).cloned();
                self.describe(&text.unwrap_or_default());
            }
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
                self.commit_implicit();
                self.ready();
            }
            // What is copied behind a COPY that failed is ignored.
            b'H' | b'd' | b'c' => {}
            b'X' => self.end(),
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
            Done::Copy(_) => panic!("no COPY by the extended protocol here"),
        }
    }

    fn query(&mut self, text: &str) {
        self.describes = true;
        self.run_all(text);
        self.describes = false;
    }

    fn run_all(&mut self, text: &str) {
        self.statements.remove("");
        let statements = statements(text.as_bytes(), Lexical::DEFAULT).unwrap();
        if statements.is_empty() {
            self.frame(b'I', b"");
        }
        // What is implicit is committed before the last statement is answered.
        let last = statements.len();
        for (number, statement) in statements.into_iter().enumerate() {
            let mut done = self.run(&text[statement.range]);
            if number + 1 == last && !self.block && matches!(done, Done::Tag(_)) {
                done = self.commit().map_or_else(Done::Error, |()| done);
            }
            match done {
                Done::Tag(tag) => self.frame(b'C', format!("{tag}\0").as_bytes()),
                Done::Error(sqlstate) => {
                    self.error(sqlstate);
                    return self.ready();
                }
                Done::Copy(table) => {
                    self.copying = Some(table);
                    return self.frame(b'G', &[0, 0, 0]);
                }
            }
        }
        self.ready();
    }
}

/// The first parameter of a Bind, as text.
fn parameter(bind: &[u8]) -> String {
    let mut strings = bind.splitn(3, |byte| *byte == 0);
    let rest = strings.nth(2).unwrap_or_default();
    match rest {
        [0, 0, 0, 1, _, _, _, len, value @ ..] => {
            String::from_utf8_lossy(&value[..usize::from(*len)]).into_owned()
        }
        _ => "no parameter".to_owned(),
    }
}
