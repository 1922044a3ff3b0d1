//! A server that answers what it is sent, and of each answer does what a byte says: the right thing,
//! an error, a word too much, nothing.

use pgpawl::wire::frame;
use pgpawl_policy::statement::{Kind, Lexical, statements};

/// What a server sends before it is ready for the first query, and that it is.
pub const GREETING: &[u8] = b"R\0\0\0\x08\0\0\0\0S\0\0\0\x19client_encoding\0UTF8\0\
    S\0\0\0\x23standard_conforming_strings\0on\0K\0\0\0\x0c\0\0\0\x01\0\0\0\x02Z\0\0\0\x05I";

/// The marks of the statements that ask for the version sets: in full, and as it was prepared.
const QUESTIONS: [&[u8]; 2] = [b"SELECT g.i", b"EXECUTE /* pgpawl */ _pgpawl_question"];

/// A server of a table `schema_migrations` with versions 0 to 7.
#[derive(Debug)]
pub struct Server {
    /// The number of its guard in the question.
    guard: usize,
    /// What it was sent and has not answered.
    sent: Vec<u8>,
    /// What the statement that was parsed last says.
    parsed: Vec<u8>,
    /// One bit for each version that is there.
    versions: u8,
    status: u8,
    skipping: bool,
    copying: bool,
}

impl Server {
    /// A server of the table of that guard.
    #[must_use]
    pub fn new(guard: usize) -> Self {
        Self {
            guard,
            sent: Vec::new(),
            parsed: Vec::new(),
            versions: 3,
            status: b'I',
            skipping: false,
            copying: false,
        }
    }

    /// It is sent `bytes`.
    pub fn send(&mut self, bytes: &[u8]) {
        self.sent.extend_from_slice(bytes);
    }

    /// Answers everything, each message as the next choice says; what is missing is 0: right.
    pub fn answer(&mut self, choices: &mut impl Iterator<Item = u8>, to: &mut Vec<u8>) {
        while let Ok(Some(frame)) = frame::of_client(&self.sent) {
            if self.sent.len() < frame.len {
                return;
            }
            let whole: Vec<u8> = self.sent.drain(..frame.len).collect();
            self.message(frame.tag, &whole[5..], choices.next().unwrap_or(0), to);
        }
    }

    fn message(&mut self, tag: u8, body: &[u8], choice: u8, to: &mut Vec<u8>) {
        match choice & 0x0f {
            10 => return self.fail(tag, to),
            11 => put(b'N', b"SWARNING\0VWARNING\0C25001\0Mtwice\0\0", to),
            12 => put(b'S', b"standard_conforming_strings\0off\0", to),
            13 => self.status = [b'I', b'T', b'E'][usize::from(choice >> 4) % 3],
            14 => return,
            15 => put(
                b"DTCGHWAVns123Itc"[usize::from(choice >> 4)],
                b"\0\0\0\0",
                to,
            ),
            _ => {}
        }
        if choice & 0x80 != 0 {
            self.versions = choice;
        }
        if self.skipping && !matches!(tag, b'S' | b'X') {
            return;
        }
        match tag {
            b'Q' => self.query(body, to),
            b'P' => {
                self.parsed = body
                    .split(|byte| *byte == 0)
                    .nth(1)
                    .unwrap_or_default()
                    .to_vec();
                put(b'1', b"", to);
            }
            b'B' => put(b'2', b"", to),
            b'C' => put(b'3', b"", to),
            b'D' => put(b'n', b"", to),
            b'E' => {
                let text = std::mem::take(&mut self.parsed);
                self.run(&text, to);
                self.parsed = text;
            }
            b'S' => {
                self.skipping = false;
                put(b'Z', &[self.status], to);
            }
            b'c' | b'f' if self.copying => {
                self.copying = false;
                put(b'C', b"COPY 1\0", to);
                put(b'Z', &[self.status], to);
            }
            _ => {}
        }
    }

    fn fail(&mut self, tag: u8, to: &mut Vec<u8>) {
        put(b'E', b"SERROR\0VERROR\0CXX000\0Mfuzz\0\0", to);
        if self.status == b'T' {
            self.status = b'E';
        }
        if tag == b'Q' {
            put(b'Z', &[self.status], to);
        } else {
            self.skipping = true;
        }
    }

    fn query(&mut self, body: &[u8], to: &mut Vec<u8>) {
        let text = body.strip_suffix(b"\0").unwrap_or(body);
        for statement in statements(text, Lexical::DEFAULT).unwrap_or_default() {
            self.run(&text[statement.range], to);
            if self.copying {
                return;
            }
        }
        put(b'Z', &[self.status], to);
    }

    /// Runs one statement, as far as it moves the transaction or asks.
    fn run(&mut self, text: &[u8], to: &mut Vec<u8>) {
        let read = statements(text, Lexical::DEFAULT).unwrap_or_default();
        let kind = read.first().map_or(Kind::Other, |one| one.kind.clone());
        let tag: &[u8] = match kind {
            Kind::Begin => {
                self.status = b'T';
                b"BEGIN\0"
            }
            Kind::Commit { .. } => {
                self.status = b'I';
                b"COMMIT\0"
            }
            Kind::Rollback { .. } => {
                self.status = b'I';
                b"ROLLBACK\0"
            }
            _ if text.starts_with(b"COPY") => {
                self.copying = true;
                return put(b'G', &[0, 0, 0], to);
            }
            _ if QUESTIONS.iter().any(|mark| contains(text, mark)) => {
                put(b'D', &self.row(), to);
                b"SELECT 1\0"
            }
            _ => b"UPDATE 1\0",
        };
        put(b'C', tag, to);
    }

    /// The answer to the question.
    fn row(&self) -> Vec<u8> {
        let hex = |text: &str| {
            let digits: Vec<_> = text.bytes().map(|b| format!("{b:02x}")).collect();
            digits.concat()
        };
        let versions: Vec<String> = (0..8)
            .filter(|bit| self.versions & (1 << bit) != 0)
            .map(|bit| format!(":{}:n", hex(&bit.to_string())))
            .collect();
        let columns = [
            self.guard.to_string(),
            hex("public"),
            hex("schema_migrations"),
            "16384".to_owned(),
            "16384".to_owned(),
            "0".to_owned(),
            "1/1".to_owned(),
            String::new(),
            format!("<row>\n  <v>{}</v>\n</row>\n", versions.join(",")),
        ];
        let mut body = vec![0, 9];
        for column in columns {
            let len = match column.len() {
                0 => -1,
                len => i32::try_from(len).unwrap_or_default(),
            };
            body.extend_from_slice(&len.to_be_bytes());
            body.extend_from_slice(column.as_bytes());
        }
        body
    }
}

fn contains(text: &[u8], mark: &[u8]) -> bool {
    text.windows(mark.len()).any(|part| part == mark)
}

fn put(tag: u8, body: &[u8], to: &mut Vec<u8>) {
    let len = u32::try_from(body.len() + 4).unwrap_or_default();
    to.push(tag);
    to.extend_from_slice(&len.to_be_bytes());
    to.extend_from_slice(body);
}
