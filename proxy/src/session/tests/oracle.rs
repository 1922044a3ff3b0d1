//! What holding commits means, told without a session: what the client is answered, and what is committed
//! for good. One message after another goes to a server that commits whatever the client commits.

use super::{Model, Step, bind, data::Data, execute, lines, message, parse, query, sync};

/// What the client does next.
#[derive(Clone, Debug)]
pub enum Act {
    /// A Query of this text.
    Query(String),
    /// A batch of these statements and its Sync.
    Batch(Vec<String>),
    /// A COPY into this table.
    Copy(&'static str),
    Ticks(u32),
    /// Another session begins to wait for a lock.
    Wait,
}

impl Act {
    pub fn step(&self) -> Step {
        match self {
            Self::Query(text) => Step::Send(query(text)),
            Self::Batch(texts) => {
                let one = |text: &String| [parse("", text), bind("", ""), execute("")].concat();
                let all: Vec<Vec<u8>> = texts.iter().map(one).collect();
                Step::Send([all.concat(), sync()].concat())
            }
            Self::Copy(table) => {
                let copy = query(&format!("COPY {table} FROM STDIN"));
                let rows = [message(b'd', b"copied\n"), message(b'c', b"")];
                Step::Send([copy, rows.concat()].concat())
            }
            Self::Ticks(ticks) => Step::Ticks(*ticks),
            Self::Wait => Step::Wait,
        }
    }

    fn says(&self, word: &str) -> bool {
        match self {
            Self::Query(text) => text.contains(word),
            Self::Batch(texts) => texts.iter().any(|text| text.contains(word)),
            Self::Copy(table) => *table == word,
            Self::Ticks(_) | Self::Wait => false,
        }
    }

    /// It changes the version table by name, so that it is judged at once.
    fn names(&self) -> bool {
        self.says("INTO schema_migrations") || self.says("DELETE FROM schema_migrations")
    }
}

#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Oracle {
    /// What the client believes.
    pub believed: Model,
    /// All that was ever committed for good, in order.
    pub settled: Vec<Data>,
    pub answers: Vec<String>,
    pub holds: bool,
    pub refusals: usize,
    /// The open transaction has what cannot be held.
    ends: bool,
    waited_for: bool,
    silence: u32,
    /// Transactions that change data are held, too.
    writes: bool,
}

/// Ticks without a word from the client after which what is held is committed.
const SILENCE_MAX: u32 = 50;

impl Oracle {
    pub fn new(model: Model, writes: bool) -> Self {
        Self {
            settled: model.history.clone(),
            believed: model,
            answers: Vec::new(),
            holds: false,
            refusals: 0,
            ends: false,
            waited_for: false,
            silence: 0,
            writes,
        }
    }

    fn is_idle(&self) -> bool {
        self.believed.status() == 'I'
    }

    pub fn act(&mut self, act: &Act) {
        match act.step() {
            Step::Send(bytes) => self.say(act, &bytes),
            Step::Ticks(ticks) => (0..ticks).for_each(|_| self.tick()),
            Step::Wait => self.waited_for = self.holds || !self.is_idle(),
            Step::Leave => {}
        }
    }

    /// The client goes: its open transaction is lost, what it was told is committed is committed.
    pub fn leave(&mut self) {
        self.believed.end();
        self.settle();
    }

    fn tick(&mut self) {
        self.silence += 1;
        let asks = self.silence.is_multiple_of(2);
        let late = self.silence >= SILENCE_MAX;
        if self.holds && self.is_idle() && (late || self.waited_for && asks) {
            self.settle();
        }
    }

    /// What is held is committed.
    fn settle(&mut self) {
        self.holds = false;
        self.waited_for = false;
        let committed = &self.believed.committed;
        if self.settled.last() != Some(committed) {
            self.settled.push(committed.clone());
        }
    }

    fn say(&mut self, act: &Act, bytes: &[u8]) {
        self.silence = 0;
        let apart = ["LISTEN", "SAVEPOINT", "ROLLBACK TO", "AND CHAIN"];
        if self.is_idle() && self.holds && apart.iter().any(|word| act.says(word)) {
            self.settle();
        }
        self.ends |= act.says("LISTEN") || act.says("AND CHAIN");
        let mut next = self.believed.clone();
        next.output.clear();
        next.ended = None;
        next.feed(bytes);
        let idle = next.status() == 'I';
        let before = &self.believed.committed.versions;
        let after = if idle {
            &next.committed.versions
        } else {
            &next.working.data.versions
        };
        let judged = idle || next.status() == 'T' && act.names();
        if judged && !after.is_superset(before) {
            self.refuse(act, &next);
        } else {
            self.answers.extend(lines(&next.output));
            self.pass(next);
        }
        if self.is_idle() {
            self.ends = false;
            self.waited_for &= self.holds;
        }
    }

    fn pass(&mut self, next: Model) {
        self.believed = next;
        let Some(did) = self.believed.ended else {
            return;
        };
        if did.touched || self.ends {
            self.settle();
        } else if did.altered || self.writes && did.wrote {
            self.holds = true;
        } else if !self.holds {
            self.settle();
        }
    }

    /// The statement or the end of its transaction is refused, and all that is held goes with it.
    fn refuse(&mut self, act: &Act, next: &Model) {
        self.refusals += 1;
        let idle = next.status() == 'I';
        let mut answers = lines(&next.output);
        answers.pop();
        // Code whose text shows nothing is judged at the Sync.
        let late = matches!(act, Act::Batch(_)) && act.says("HIDE");
        if !late {
            answers.pop();
        }
        answers.push("ErrorResponse 42501".into());
        answers.push(format!("ReadyForQuery {}", if idle { 'I' } else { 'E' }));
        self.answers.extend(answers);
        if self.holds || idle {
            let settled = self.settled.last().expect("the first is always there");
            self.believed.committed.clone_from(settled);
            self.believed.end();
        }
        self.believed.block = !idle;
        self.believed.failed = !idle;
        self.waited_for &= !self.holds && !idle;
        self.holds = false;
    }
}
