//! A SELECT in autocommit that most likely writes nothing, under transaction coverage: no BEGIN of ours, and
//! one small statement before its Sync in place of a flight.
//!
//! ```text
//! Parse   of the check, as the unnamed statement, where it is not that already
//! Bind, Describe, Execute             the client's, of a statement that it has named
//! Bind, Execute                       the check: fails if the transaction has an id, and makes it read only
//! Sync
//! ```
//!
//! A Query of one such SELECT goes the same way, and so does a batch that begins with the Parse of the unnamed
//! statement: by a statement of ours, which is closed and parsed before. The rows of a Query are the same then, as
//! text, and the messages around them are the server's.
//!
//! Nothing is known of the database for it: what has no transaction id has written nothing, nor has it a
//! trigger to fire. No SQL can change the unnamed statement, only Parse, Query and Close, which are all seen.
//!
//! A check that fails takes its transaction back. Up to there the client's messages stay in its window, and
//! the answers in the server's, so that all is done again with a BEGIN: that a SELECT writes nothing is a
//! guess. An answer that is too long to wait for is relayed as it comes; if its check fails, the client is
//! asked to try again (40001), and the statement is not taken for light again.

use super::{
    Action, Side,
    check::{LIGHT, NOTHING_WRITTEN},
    client::contains_word,
    names::{Change, Class},
    ours::ONCE,
    owed::Owed,
    ready::Ready,
    unnamed::Parsed,
};
use crate::wire::{
    backend::Status,
    frame::{self, HEADER_LEN},
    frontend::{self, Messages},
};
use pgpawl_policy::{
    fingerprint::fingerprint,
    hold::first_word,
    statement::{Effect, Kind, statements},
};
use std::collections::HashSet;

/// What a rollback does not undo, or is noted of a text: functions that are called.
const LASTING: [&[u8]; 4] = [b"advisory", b"nextval", b"setval", b"set_config"];

/// The most statements of a session that are remembered as light, and as not light.
const NAMES_MAX: usize = 1_024;

/// Fails, by a division by zero, if the transaction has an id. From here to its end nothing writes. Tells by which
/// process it was run, besides. That of a flight does the same, and serves where it is there.
const CHECK: &str = "SELECT /* pgpawl */ 1 OPERATOR(pg_catalog./) \
    CASE WHEN pg_catalog.pg_current_xact_id_if_assigned() IS NULL \
    AND pg_catalog.set_config('transaction_read_only', 'on', true) IS NOT NULL THEN 1 ELSE 0 END, \
    pg_catalog.pg_backend_pid()";

/// The longest batch that is kept to be done again.
const BATCH_LEN_MAX: usize = 4 * 1024;

/// What is known of a session's statements.
#[derive(Debug, Default)]
pub(super) struct Light {
    names: HashSet<Box<[u8]>>,
    /// Names of other statements: a second Parse of one fails, and changes nothing.
    others: HashSet<Box<[u8]>>,
    /// Fingerprints of texts that seemed light and were not.
    texts: HashSet<u64>,
    pub(super) under_way: Option<Batch>,
}

/// A light batch that is with the server.
#[derive(Debug)]
pub(super) struct Batch {
    /// Its length in the client's window.
    pub(super) len: usize,
    what: What,
    /// The check's number.
    pub(super) number: u64,
    /// The check is parsed before it, and this is not answered yet.
    pub(super) parses: bool,
    /// So many of the first ParseComplete, BindComplete and CloseComplete are not the client's.
    pub(super) ahead: usize,
    /// Statements that have completed: the client's, the check.
    pub(super) completed: usize,
    /// Its answers go to the client as they come.
    pub(super) passes: bool,
}

/// What a light batch runs.
#[derive(Debug)]
enum What {
    /// The statement of this name.
    Named(Box<[u8]>),
    /// A Query's text.
    Query(Box<[u8]>),
    /// The text of the client's unnamed statement, which is parsed.
    Unnamed(Box<[u8]>, Option<Unanswered>),
}

/// The Parse of the client's unnamed statement.
#[derive(Debug)]
pub(super) struct Unanswered {
    parsed: Parsed,
    /// What it means.
    change: Option<Box<Change>>,
}

impl Light {
    pub(super) const fn is_under_way(&self) -> bool {
        self.under_way.is_some()
    }

    /// A Close of the client's is sent.
    pub(super) fn closed(&mut self, name: &[u8]) {
        self.names.remove(name);
        self.others.remove(name);
    }
}

impl Ready {
    /// A Parse of the client's that gives a name is sent.
    pub(super) fn note_parse(&mut self, name: &[u8], text: &[u8]) {
        if !self.covers {
            return;
        }
        let light = self.seems_light(text) && !self.light.others.contains(name);
        let names = if light {
            &mut self.light.names
        } else {
            self.light.names.remove(name);
            &mut self.light.others
        };
        if names.len() < NAMES_MAX {
            names.insert(name.into());
        } else {
            // Any name may be that of another statement by now.
            self.light.names.clear();
        }
    }

    /// Whether a text without a name is light.
    fn is_light(&self, text: &[u8]) -> bool {
        let others = &self.light.texts;
        let is_other = !others.is_empty() && others.contains(&fingerprint(text));
        !is_other && self.seems_light(text)
    }

    /// The Parse of the client's unnamed statement was answered, or not done; whether it was still open.
    pub(super) fn light_parsed(&mut self, batch: &mut Batch, done: bool) -> bool {
        let What::Unnamed(_, parse) = &mut batch.what else {
            return false;
        };
        let Some(Unanswered { parsed, change }) = parse.take() else {
            return false;
        };
        if done {
            self.unnamed.replaced(parsed);
            if let Some(change) = change {
                self.statements.done(*change);
            }
        } else {
            self.unnamed.dropped(Some(&parsed));
            if let Some(change) = &change {
                self.statements.failed(change);
            }
        }
        true
    }

    /// Whether a statement most likely writes nothing, and could be run twice if it does.
    fn seems_light(&self, text: &[u8]) -> bool {
        let full = self.light.others.len() >= NAMES_MAX;
        let first = first_word(text);
        let reads = [&b"select"[..], b"with", b"values", b"table"];
        let has = |word: &[u8]| (text.windows(word.len())).any(|w| w.eq_ignore_ascii_case(word));
        let lasts = || text.contains(&b'(') && LASTING.iter().any(|word| has(word));
        !full
            && text.len() <= BATCH_LEN_MAX
            && reads.iter().any(|word| first.eq_ignore_ascii_case(word))
            && !lasts()
            && self.shared.guarding.screen.mentions(text).is_empty()
            && statements(text, self.reported.lexical())
                .is_ok_and(|list| matches!(list.as_slice(), [one] if one.effect == Effect::Reads))
    }

    /// The light batch that `window` begins with, if it does: one Execute of a named statement, or one Query,
    /// and nothing else is under way.
    pub(super) fn light_batch(&mut self, window: &[u8]) -> Option<Batch> {
        let begins = match window.first() {
            Some(b'B') => !self.light.names.is_empty(),
            Some(b'Q' | b'P') => self.inspected && !self.simple_only,
            _ => false,
        };
        let quiet = begins
            && self.covers
            && !self.undone
            && self.transaction.status == Status::Idle
            && !self.transaction.unsynced
            && !self.transaction.is_wrapped()
            && !self.is_held()
            && self.keeping.shield.is_none()
            && self.stop.is_none()
            && !self.dropping
            && !self.queue.skipping
            && self.queue.is_empty()
            && !self.unnamed.is_long();
        if !quiet || !self.enforces() || self.others_hold() || !self.has_tables() {
            return None;
        }
        let (len, what, ahead) = match window.first() {
            Some(b'B') => {
                let (len, name) = read_named(window)?;
                let is_light = self.light.names.contains(name);
                is_light.then(|| (len, What::Named(name.into()), 0))
            }
            Some(b'P') => {
                let (len, text) = read_parsed(window)?;
                let what = || What::Unnamed(text.into(), None);
                self.is_light(text)
                    .then(|| (len, what(), frontend::BEFORE_PARSED))
            }
            _ => {
                let (len, text) = read_query(window)?;
                let what = || What::Query(text.into());
                self.is_light(text)
                    .then(|| (len, what(), frontend::BEFORE_ROWS))
            }
        }?;
        let parses = self.unnamed.made.is_none();
        Some(Batch {
            len,
            what,
            number: self.unnamed.made.unwrap_or(LIGHT),
            parses,
            ahead: ahead + usize::from(parses),
            completed: 0,
            passes: false,
        })
    }

    /// It goes to the server, and stays in the client's window.
    pub(super) fn send_light(&mut self, mut batch: Batch, window: &[u8]) {
        let len = batch.len.saturating_sub(frontend::SYNC.len());
        let messages = window.get(..len).unwrap_or_default();
        let renamed;
        let messages = match &mut batch.what {
            What::Named(_) => messages,
            What::Query(text) => {
                // It destroys the unnamed statement.
                self.unnamed.ended();
                renamed = frontend::as_query(ONCE, text);
                &renamed
            }
            What::Unnamed(text, parse) => {
                let class = Class {
                    copies: contains_word(text, b"copy"),
                    manner: self.manner_of(text, &Kind::Other),
                    ..Class::PLAIN
                };
                let change = self.statements.send(b"", class, self.transaction.batch);
                let frame = frame::of_client(messages).ok().flatten();
                let frame = frame.and_then(|frame| messages.get(..frame.len));
                let parsed = self.unnamed.parsed(frame.unwrap_or_default());
                *parse = Some(Unanswered { parsed, change });
                renamed = frontend::under_name(ONCE, messages);
                &renamed
            }
        };
        let (mut parse, mut run) = (Messages::default(), Messages::default());
        if batch.parses {
            parse.parse(b"", CHECK.as_bytes());
        }
        let parameters: &[&[u8]] = match batch.number {
            LIGHT => &[],
            _ => &[NOTHING_WRITTEN],
        };
        run.execute(b"", b"", parameters);
        run.sync();
        let bytes = [&parse.done().0, messages, &run.done().0].concat();
        self.unnamed.checks(batch.number);
        self.light.under_way = Some(batch);
        self.queue.push(Owed::Ours);
        self.outbox.push_back(Action::Send {
            to: Side::Server,
            bytes: bytes.into(),
        });
    }

    pub(super) fn forget_light(&mut self, batch: &Batch) {
        let light = &mut self.light;
        match &batch.what {
            What::Named(name) => {
                light.names.remove(name);
                if light.others.len() < NAMES_MAX {
                    light.others.insert(name.clone());
                }
            }
            What::Query(text) | What::Unnamed(text, _) => {
                if light.texts.len() >= NAMES_MAX {
                    light.texts.clear();
                }
                light.texts.insert(fingerprint(text));
            }
        }
    }
}

/// The length of a batch of one Execute, by the unnamed portal, and the name of its statement.
fn read_named(window: &[u8]) -> Option<(usize, &[u8])> {
    let mut at = 0;
    let mut next = |tag: u8| {
        let rest = window.get(at..)?;
        let frame = frame::of_client(rest).ok()??;
        let body = rest.get(HEADER_LEN..frame.len)?;
        if frame.tag != tag {
            return None;
        }
        at += frame.len;
        Some(body)
    };
    let (portal, statement) = frontend::bind(next(b'B')?)?;
    let described = next(b'D').is_none_or(|body| body == b"P\0");
    let executed = frontend::execute(next(b'E')?).ok()?;
    let synced = next(b'S')?.is_empty();
    let one = portal.is_empty() && executed.is_empty() && described && synced;
    (one && at <= BATCH_LEN_MAX).then_some((at, statement))
}

/// The same for one that begins with the Parse of the unnamed statement; its text.
fn read_parsed(window: &[u8]) -> Option<(usize, &[u8])> {
    let frame = frame::of_client(window).ok()??;
    let body = window.get(HEADER_LEN..frame.len)?;
    let (b"", text) = frontend::parse(body).ok()? else {
        return None;
    };
    let (len, name) = read_named(window.get(frame.len..)?)?;
    let len = frame.len + len;
    (name.is_empty() && len <= BATCH_LEN_MAX).then_some((len, text))
}

/// The length and the text of a Query. A parameter in it is an error, which a Parse would tell otherwise.
fn read_query(window: &[u8]) -> Option<(usize, &[u8])> {
    let frame = frame::of_client(window).ok()??;
    let body = window.get(HEADER_LEN..frame.len)?;
    if frame.tag != b'Q' || frame.len > BATCH_LEN_MAX {
        return None;
    }
    let text = frontend::query(body).ok()?;
    let is_parameter = |two: &[u8]| matches!(two, [b'$', digit] if digit.is_ascii_digit());
    let has_parameter = text.windows(2).any(is_parameter);
    (!has_parameter).then_some((frame.len, text))
}
