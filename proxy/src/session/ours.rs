//! Our own statements: what we ask within the client's transaction, and how it is left as it was.

use super::asked::{Asked, PATH, SETTINGS};
use crate::wire::frontend::{self, End, Messages};
use bytes::Bytes;
use pgpawl_policy::{claim::LOCKED, statement::Kind};

/// The savepoint behind which we ask: rolled back to, so that no setting of ours survives.
const SAVEPOINT: &str = "SAVEPOINT _pgpawl";
const BACK: &str = "ROLLBACK TO SAVEPOINT _pgpawl";
const RELEASE: &str = "RELEASE SAVEPOINT _pgpawl";

/// What the names of our prepared statements begin with.
pub(super) const PREFIX: &[u8] = b"_pgpawl_";

const BEGIN: &str = "BEGIN /* pgpawl */";
const ROLLBACK: &str = "ROLLBACK /* pgpawl */";
pub(super) const COMMIT: &str = "COMMIT /* pgpawl */";

/// A transaction of the client's within what is held.
const HELD: &str = "SAVEPOINT _pgpawl_held";
const HELD_BACK: &str = "ROLLBACK TO SAVEPOINT _pgpawl_held";
const HELD_RELEASE: &str = "RELEASE SAVEPOINT _pgpawl_held";

/// Around all savepoints of the client's. The end of a savepoint makes a transaction as writable as it was
/// when that was set, so that a COMMIT with one open would undo [`SEAL`].
pub(super) const OUTER: &str = "SAVEPOINT _pgpawl_outer";
const OUTER_RELEASE: &str = "RELEASE SAVEPOINT _pgpawl_outer";

/// The constraints are deferred again as they were declared: nothing is held where one is deferrable
/// and not deferred from the start.
pub(super) const DEFERRED_AGAIN: &str = "SET CONSTRAINTS ALL DEFERRED";

/// Whether another session waits for a lock of this one.
const WAITED_FOR: &str = "SELECT /* pgpawl */ EXISTS (SELECT 1 FROM pg_catalog.pg_lock_status() l \
    WHERE NOT l.granted AND pg_catalog.pg_backend_pid() OPERATOR(pg_catalog.=) ANY (pg_catalog.pg_blocking_pids(l.pid)))";

/// Fails, by a division by zero, if a savepoint that is open has a transaction id: what is held has the one.
const INNER_IDS: &str = "SELECT /* pgpawl */ 1 OPERATOR(pg_catalog./) CASE WHEN (SELECT pg_catalog.count(*) \
    FROM pg_catalog.pg_lock_status() l WHERE l.pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid() \
    AND l.locktype OPERATOR(pg_catalog.=) 'transactionid' AND l.mode OPERATOR(pg_catalog.=) 'ExclusiveLock') \
    OPERATOR(pg_catalog.<=) 1 THEN 1 ELSE 0 END";

/// What the client's COMMIT would do first: deferred triggers and constraints, before we look.
const DEFERRED: &str = "SET CONSTRAINTS ALL IMMEDIATE";

/// Which isolation level the transaction has.
const ISOLATION: &str = "SHOW transaction_isolation";

/// From here to the commit nothing writes: neither a trigger that was deferred again, nor a cursor
/// WITH HOLD.
const SEAL: &str = "SET TRANSACTION READ ONLY";

/// Ends all savepoints, so that nothing can write from here to the commit.
pub(super) const fn closing(savepoints: Savepoints) -> &'static [&'static str] {
    match savepoints {
        Savepoints::None => &[SEAL],
        Savepoints::Outer => &[OUTER_RELEASE, SEAL],
        Savepoints::Held => &[HELD_RELEASE, SEAL],
    }
}

/// Which savepoint of ours is around those of the client's, if it has any.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Savepoints {
    None,
    Outer,
    /// That of the client's transaction in what is held.
    Held,
}

/// A COMMIT AND CHAIN of the client's; `writable`: its transaction was, before [`SEAL`].
const CHAIN: &str = "COMMIT AND CHAIN /* pgpawl */";
const WRITABLE: &str = "SET TRANSACTION READ WRITE";

/// Fails at once, whatever the session's settings, and says in the server's log why.
const FAIL: &str = "SELECT /* pgpawl */ pg_catalog.int4in('pgpawl refused this statement')";

/// What has the name of a statement of the client's that controls the transaction, and that code must not
/// find by it: it harms nothing, and can be parsed and bound when that can.
pub(super) const fn placeholder(kind: &Kind) -> &'static str {
    match kind {
        Kind::Savepoint => "RELEASE SAVEPOINT _pgpawl_none",
        _ => ROLLBACK,
    }
}

/// Which protocol our statements are sent by: that of the message that is held, so that nothing of
/// the client's is lost. A simple Query destroys the unnamed statement, as the client's own does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Protocol {
    Simple,
    Extended,
}

impl Protocol {
    fn batch(self, statements: &[&str]) -> Bytes {
        let statements: Vec<&[u8]> = statements.iter().map(|text| text.as_bytes()).collect();
        self.raw_batch(&statements)
    }

    fn raw_batch(self, statements: &[&[u8]]) -> Bytes {
        match self {
            Self::Simple => frontend::simple(statements),
            Self::Extended => frontend::extended(statements, End::Sync).0,
        }
    }

    /// The question, behind a savepoint; after a BEGIN of ours or, before a commit, after what the
    /// commit itself would run.
    pub(super) fn question(self, asked: &Asked, place: Place) -> Bytes {
        let (ours, set) = (asked.ours(), asked.settings());
        let question = [set.as_str(), asked.question.as_str()];
        let begin = [begin(asked.held), SAVEPOINT];
        let (before, behind): (Vec<&str>, &[&str]) = match place {
            Place::Apart => (vec![BEGIN], &[ROLLBACK]),
            Place::Opening => (begin.to_vec(), &[BACK, RELEASE]),
            Place::Bare | Place::Within => (vec![SAVEPOINT], &[BACK, RELEASE]),
            Place::Ending { again, .. } => {
                let first = if again { BACK } else { DEFERRED };
                (vec![first, &asked.locks, SAVEPOINT], &[BACK, RELEASE])
            }
        };
        let last = asked.last(place);
        let before = [&before[..], &[&ours]].concat();
        let behind = [&question, behind, last].concat();
        match asked.made() {
            None => self.batch(&[before, behind].concat()),
            Some(made) => around(&before, &made, &behind),
        }
    }

    /// Takes locks, up to the end of the transaction, and asks which it has.
    pub(super) fn claim(self, lock: &str) -> Bytes {
        self.batch(&[SAVEPOINT, lock, RELEASE, LOCKED])
    }

    /// A statement in a transaction of its own.
    pub(super) fn ask(self, text: &str) -> Bytes {
        self.batch(&[text])
    }

    /// Only the BEGIN; `held`: within what is held.
    pub(super) fn begin(self, held: bool) -> Bytes {
        self.batch(&[begin(held)])
    }

    /// Back to where the question began.
    pub(super) fn recover(self) -> Bytes {
        self.batch(&[BACK, RELEASE])
    }

    /// `closing`: what comes before it, so that nothing can write.
    pub(super) fn commit(self, closing: &[&str]) -> Bytes {
        self.batch(&[closing, &[COMMIT]].concat())
    }

    /// Commits what cannot write any more, and begins a transaction like it: as `writable` as it was.
    pub(super) fn chain(self, writable: bool) -> Bytes {
        self.batch(if writable {
            &[CHAIN, WRITABLE]
        } else {
            &[CHAIN]
        })
    }

    /// The savepoint around all of the client's.
    pub(super) fn outer(self) -> Bytes {
        self.batch(&[OUTER])
    }

    /// Ends the client's transaction; `held`: within what is held.
    pub(super) fn rollback(self, held: bool) -> Bytes {
        if held {
            self.batch(Control::Rollback.statements())
        } else {
            self.batch(&[ROLLBACK])
        }
    }

    pub(super) fn close(self, closing: &[&str]) -> Bytes {
        self.batch(closing)
    }

    /// Ends a transaction of the client's, with its `savepoints`, that is held from here on. The settings of its SET LOCAL, `locals`, end with it.
    pub(super) fn hold(self, savepoints: Savepoints, locals: &[String]) -> Bytes {
        let names: Vec<String> = locals.iter().map(|name| format!("'{name}'")).collect();
        let reset = format!(
            "SELECT /* pgpawl */ pg_catalog.set_config(s.name, COALESCE(s.reset_val, ''), true) \
             FROM pg_catalog.pg_settings s \
             WHERE pg_catalog.lower(s.name) OPERATOR(pg_catalog.=) ANY (ARRAY[{}]::pg_catalog.text[])",
            names.join(", ")
        );
        let release = match savepoints {
            Savepoints::None => None,
            Savepoints::Outer => Some(OUTER_RELEASE),
            Savepoints::Held => Some(HELD_RELEASE),
        };
        let reset = (!locals.is_empty()).then_some(reset.as_str());
        let all: Vec<&str> = release.into_iter().chain(reset).collect();
        self.batch(&all)
    }

    /// The end of a transaction that records what is held, in one flight: see `record`.
    pub(super) fn record(self, check: &str, closing: &[&str]) -> Bytes {
        self.batch(&[&[DEFERRED, SAVEPOINT, check], closing, &[COMMIT]].concat())
    }

    /// What the client's COMMIT would run, and what kind of transaction it ends.
    pub(super) fn hold_at_once(self) -> Bytes {
        self.batch(&[DEFERRED, ISOLATION])
    }

    /// Ends a transaction of the client's within what is held, unless it has written anything.
    pub(super) fn glance(self) -> Bytes {
        self.batch(&[SAVEPOINT, INNER_IDS, RELEASE, HELD_RELEASE])
    }

    /// Rolls back all that is held; `failing`: and begins the block that is then made to fail.
    pub(super) fn undo(self, failing: bool) -> Bytes {
        let begin = failing.then_some(BEGIN);
        let all: Vec<&str> = [ROLLBACK].into_iter().chain(begin).collect();
        self.batch(&all)
    }

    /// The same without a word of the client's: its block is left failed.
    pub(super) fn undo_unasked(self, failing: bool) -> Bytes {
        if failing {
            self.batch(&[ROLLBACK, BEGIN, FAIL])
        } else {
            self.undo(false)
        }
    }

    /// Asks whether another session waits for what is held.
    pub(super) fn probe(self) -> Bytes {
        let settings = format!("SELECT /* pgpawl */ {SETTINGS}, {PATH}");
        self.batch(&[SAVEPOINT, &settings, WAITED_FOR, BACK, RELEASE])
    }

    /// What stands for the client's BEGIN or ROLLBACK within what is held.
    pub(super) fn control(self, control: Control) -> Bytes {
        self.batch(control.statements())
    }

    /// Makes the server fail where the refused statement would have run.
    pub(super) fn fail(self) -> Bytes {
        match self {
            Self::Simple => frontend::simple(&[FAIL.as_bytes()]),
            Self::Extended => frontend::extended(&[FAIL.as_bytes()], End::Flush).0,
        }
    }
}

/// Statements, with Parses of such as last between.
fn around(before: &[&str], made: &[(&str, String)], behind: &[&str]) -> Bytes {
    let bytes = |texts: &[&str], end| {
        let texts: Vec<&[u8]> = texts.iter().map(|text| text.as_bytes()).collect();
        frontend::extended(&texts, end).0
    };
    let parts = [
        bytes(before, End::Nothing),
        frontend::parses(made),
        bytes(behind, End::Sync),
    ];
    Bytes::from(parts.concat())
}

/// What begins a transaction of the client's on the server; `held`: within what is held.
pub(super) const fn begin(held: bool) -> &'static str {
    if held { HELD } else { BEGIN }
}

/// How a transaction of the client's is begun and ended within what is held.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Control {
    Begin,
    Rollback,
    /// ROLLBACK AND CHAIN.
    Again,
}

impl Control {
    const fn statements(self) -> &'static [&'static str] {
        match self {
            Self::Begin => &[HELD],
            Self::Rollback => &[HELD_BACK, HELD_RELEASE],
            Self::Again => &[HELD_BACK],
        }
    }
}

/// Where in the client's transaction a question is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// Behind our BEGIN.
    Opening,
    Within,
    /// In a transaction of its own, rolled back.
    Apart,
    /// One statement alone.
    Bare,
    /// Before the commit; `sealed`: nothing may write from then on; `again`: from the savepoint of a
    /// flight that was vetoed.
    Ending {
        sealed: bool,
        again: bool,
    },
}

impl Place {
    /// How many statements of the batch complete before a savepoint stands.
    pub(super) const fn savepoint(self) -> usize {
        match self {
            Self::Ending { .. } => 3,
            Self::Opening => 2,
            Self::Within | Self::Apart => 1,
            Self::Bare => usize::MAX,
        }
    }

    /// How many complete before the settings' row comes, which has the server's time.
    pub(super) const fn settings(self) -> usize {
        self.savepoint().saturating_add(1)
    }

    /// How many complete before the question's rows come.
    pub(super) const fn rows(self) -> usize {
        match self {
            Self::Bare => 0,
            _ => self.savepoint() + 2,
        }
    }
}

/// What statements of ours are named that must leave the unnamed one as it is: none has it for longer than its
/// batch, but for a SELECT of the client's.
pub(super) const ONCE: &[u8] = b"_pgpawl_light";

/// A statement by that name, within a batch of the client's. Also how many frames answer it.
pub(super) fn once(text: &str) -> (Bytes, usize) {
    let mut messages = Messages::default();
    messages.close(ONCE);
    messages.run(ONCE, text.as_bytes());
    messages.close(ONCE);
    messages.done()
}

/// The same in place of one of the client's, whose portals stay as they are. Also how many frames come behind its
/// CommandComplete.
pub(super) fn once_for_the_client(text: &[u8]) -> (Bytes, usize, usize) {
    let portal = frontend::OURS.as_bytes();
    let mut messages = Messages::default();
    messages.close(ONCE);
    messages.parse(ONCE, text);
    messages.close_portal(portal);
    messages.execute(portal, ONCE, &[]);
    messages.close_portal(portal);
    messages.close(ONCE);
    let (bytes, answers) = messages.done();
    (bytes, answers, 2)
}

/// Nothing has that name any more.
pub(super) fn forget_once() -> Bytes {
    let mut messages = Messages::default();
    messages.close(ONCE);
    messages.sync();
    messages.done().0
}

/// The end of a transaction in one flight, with a check that the server keeps as the unnamed statement; `parse`:
/// from here on.
pub(super) fn seal_kept(parse: Option<&str>, until: &str, closing: &[&str], end: &[u8]) -> Bytes {
    let mut messages = Messages::default();
    for text in [&[DEFERRED], closing, &[SAVEPOINT]].concat() {
        messages.close(ONCE);
        messages.run(ONCE, text.as_bytes());
    }
    messages.close(ONCE);
    if let Some(check) = parse {
        messages.parse(b"", check.as_bytes());
    }
    messages.execute(b"", b"", &[until.as_bytes()]);
    messages.run(ONCE, end);
    messages.close(ONCE);
    messages.sync();
    messages.done().0
}

/// The end of a transaction in one flight: see `seal`.
pub(super) fn seal(protocol: Protocol, check: &str, closing: &[&str], end: &[u8]) -> Bytes {
    let texts = [&[DEFERRED], closing, &[SAVEPOINT, check]].concat();
    let mut statements: Vec<&[u8]> = texts.iter().map(|text| text.as_bytes()).collect();
    statements.push(end);
    match protocol {
        Protocol::Simple => protocol.raw_batch(&statements),
        Protocol::Extended => frontend::at_the_edge(&statements, End::Sync).0,
    }
}
