//! What a step is answered, in lines that can be compared; and what an observer sees.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use pgpawl_integration_tests::wire::{Client, Frame, Received, brief, error_fields, full};

use super::alphabet::History;

/// How long an answer may take: far longer than any lock is waited for.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// In place of ReadyForQuery where the session is lost.
const LOST: char = '!';

/// What begins the row of a look.
const LOOK: &str = "row look:";

/// Errors that come of what other sessions do at the same time: lock timeout, deadlock, serialization
/// failure, cancel.
const RACES: [&str; 4] = ["55P03", "40P01", "40001", "57014"];

/// How a session is ended whose held commit was rolled back.
const UNDONE: &str = "40000";

/// What must not be in a block was.
pub const ACTIVE_TRANSACTION: &str = "25001";

/// The answer to one step.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// What was sent, without notices, reports of settings and the answers to our own looks.
    pub lines: Vec<String>,
    /// What our own looks within the step saw.
    pub looks: Vec<Look>,
    /// The settings that were reported, by name: where is the server's choice.
    pub settings: BTreeMap<String, String>,
    /// SQLSTATEs.
    pub errors: Vec<String>,
    /// The message of pgpawl's refusal.
    pub refusal: Option<String>,
    /// ReadyForQuery's status; [`LOST`] where the session has ended or is silent.
    pub status: char,
}

impl Answer {
    /// Reads up to ReadyForQuery.
    pub fn read(client: &mut Client) -> Self {
        let mut frames = Vec::new();
        let mut answer = Self::default();
        loop {
            match client.receive_unless_silent(ANSWER_MAX) {
                None | Some(Received::Closed) => {
                    answer.status = LOST;
                    break;
                }
                Some(Received::Frame(frame)) if frame.tag == b'Z' => {
                    answer.status = frame.body.first().copied().map_or(LOST, char::from);
                    frames.push(frame);
                    break;
                }
                Some(Received::Frame(frame)) if frame.tag == b'N' => {}
                Some(Received::Frame(frame)) if frame.tag == b'S' => {
                    let mut fields = frame.fields();
                    answer.settings.insert(fields.string(), fields.string());
                }
                Some(Received::Frame(frame)) => frames.push(frame),
            }
        }
        answer.digest(&frames);
        answer
    }

    /// This one, and the one before it.
    #[must_use]
    pub fn after(mut self, mut before: Self) -> Self {
        before.lines.append(&mut self.lines);
        before.looks.append(&mut self.looks);
        before.errors.append(&mut self.errors);
        Self {
            refusal: self.refusal.or(before.refusal),
            settings: self.settings,
            status: self.status,
            ..before
        }
    }

    fn digest(&mut self, frames: &[Frame]) {
        let mut after_look = false;
        for frame in frames {
            if std::mem::take(&mut after_look) {
                if frame.tag == b'C' {
                    continue;
                }
                // The last statement of a Query completes when its transaction has: the look was the
                // last in place of the client's own.
                self.lines.pop();
            }
            let line = line(frame);
            if let Some(seen) = line.strip_prefix(LOOK) {
                self.looks.push(Look::parse(seen));
                self.forget_opening();
                after_look = true;
                continue;
            }
            if frame.tag == b'E' {
                self.note_error(frame);
            }
            self.lines.push(line);
        }
        if self.status == LOST {
            self.lines.push("lost".into());
        }
    }

    /// What came before the row of a look: RowDescription, or ParseComplete and BindComplete.
    fn forget_opening(&mut self) {
        if self.lines.last().is_some_and(|line| line == "bound") {
            self.lines.truncate(self.lines.len().saturating_sub(2));
        } else {
            self.lines.pop();
        }
    }

    fn note_error(&mut self, frame: &Frame) {
        let mut fields = error_fields(frame);
        let message = fields.remove(&'M').unwrap_or_default();
        let sqlstate = fields.remove(&'C').unwrap_or_default();
        if sqlstate == "42501" && message.starts_with("pgpawl:") {
            self.refusal = Some(message);
        }
        self.errors.push(sqlstate);
    }

    /// Whether it depends on what other sessions do at the same time.
    pub fn is_racy(&self) -> bool {
        self.errors
            .iter()
            .any(|error| RACES.contains(&error.as_str()))
    }

    /// Whether pgpawl got no answer of its own: also where it waited too long for a lock.
    pub fn is_unanswered(&self) -> bool {
        let refusal = self.refusal.as_deref();
        refusal.is_some_and(|refusal| refusal.ends_with("question_failed"))
    }

    /// Whether pgpawl ended the session, because what it held was rolled back for another's sake.
    pub fn is_undone(&self) -> bool {
        self.status == LOST && self.errors.last().is_some_and(|error| error == UNDONE)
    }

    /// Whether the server said this.
    pub fn has_error(&self, sqlstate: &str) -> bool {
        self.errors.iter().any(|error| error == sqlstate)
    }
}

/// A message as it is compared: an error by its SQLSTATE and its message, all else in full.
fn line(frame: &Frame) -> String {
    match frame.tag {
        b'E' => {
            let fields = error_fields(frame);
            let field = |letter| fields.get(&letter).map_or("", String::as_str);
            // "within a pipeline" where the server alone, "inside a transaction block" in ours.
            let message = if field('C') == ACTIVE_TRANSACTION {
                ""
            } else {
                field('M')
            };
            format!("error {} {message}", field('C'))
        }
        _ => brief(frame).unwrap_or_else(|| full(frame)),
    }
}

/// The versions of each history, or none where its table is locked.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Look([Option<BTreeSet<i64>>; 3]);

impl Look {
    /// From the text of `observer.look()`, without its first word.
    pub fn parse(text: &str) -> Self {
        let mut seen = text.split('|').map(|versions| {
            (versions != "?").then(|| {
                versions
                    .split(',')
                    .filter_map(|one| one.parse().ok())
                    .collect()
            })
        });
        Self([(); 3].map(|()| seen.next().flatten()))
    }

    /// Which histories are lower here than they were in `before`.
    pub fn lower_than(&self, before: &Self) -> Vec<History> {
        let pairs = before.0.iter().zip(&self.0).zip(History::ALL);
        let lower = pairs.filter(|((before, after), _)| match (before, after) {
            (Some(before), Some(after)) => !after.is_superset(before),
            _ => false,
        });
        lower.map(|(_, history)| history).collect()
    }

    /// What is known after both: of a locked table, what was seen before.
    pub fn updated(&self, newer: &Self) -> Self {
        let mut known = self.clone();
        for (old, new) in known.0.iter_mut().zip(&newer.0) {
            if new.is_some() {
                old.clone_from(new);
            }
        }
        known
    }

    /// All versions that were seen in either.
    pub fn joined(&self, other: &Self) -> Self {
        let mut all = self.clone();
        for (mine, theirs) in all.0.iter_mut().zip(&other.0) {
            if let Some(theirs) = theirs {
                mine.get_or_insert_default().extend(theirs);
            }
        }
        all
    }

    /// Whether a table could not be read.
    pub fn is_partial(&self) -> bool {
        self.0.iter().any(Option::is_none)
    }
}
