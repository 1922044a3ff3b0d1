//! The transaction that the session is in, and what the guard knows of it.

use super::{claim::Locked, hold::Held};
use crate::wire::backend::Status;
use pgpawl_policy::{
    claim::Takes,
    fingerprint::fingerprint,
    guard::GuardSet,
    hold::Manner,
    question::{HistoryKey, Snapshot},
    statement::Kind,
};
use std::sync::Arc;

/// The longest piece of a statement that an event shows.
pub(super) const STATEMENT_LEN_MAX: usize = 1_024;

/// A transaction that may have touched a guarded table.
#[derive(Debug, Default)]
pub(super) struct Touch {
    /// The version sets before its first statement that may concern them.
    pub(super) before: Snapshot,
    /// Those that nobody else can change any more.
    pub(super) locked: Locked,
    /// It does not see what others commit meanwhile.
    pub(super) keeps_snapshot: bool,
    /// The guards whose sets were read.
    pub(super) asked: GuardSet,
    /// The guards whose sets could not be read, and were let through for it (log mode).
    pub(super) blind: GuardSet,
    /// The transaction block is ours: the client believes in an implicit transaction.
    pub(super) wrapped: bool,
    /// What was told of a statement that passed: not told again at the commit.
    pub(super) told: Vec<(Option<HistoryKey>, Vec<String>)>,
    /// The last statement that may concern a guarded table.
    pub(super) noted: Noted,
}

/// What is remembered of a statement.
#[derive(Clone, Debug)]
pub(super) struct Noted {
    pub(super) text: Arc<[u8]>,
    pub(super) fingerprint: u64,
    /// What it may take from a table that it names.
    pub(super) takes: Takes,
}

impl Default for Noted {
    fn default() -> Self {
        Self {
            text: Arc::default(),
            fingerprint: 0,
            takes: Takes::Nothing,
        }
    }
}

impl Noted {
    pub(super) fn of(text: &[u8]) -> Self {
        Self {
            text: text.into(),
            fingerprint: fingerprint(text),
            takes: Takes::of(text),
        }
    }

    /// Its start, for events.
    pub(super) fn start(&self) -> &[u8] {
        self.text.get(..STATEMENT_LEN_MAX).unwrap_or(&self.text)
    }
}

/// Where the server's session is, as far as its answers told.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct Transaction {
    /// As of the last answer.
    pub(super) status: Status,
    /// Extended messages were sent after the last Sync.
    pub(super) unsynced: bool,
    /// Numbers the batches: a Sync sent begins the next.
    pub(super) batch: u64,
    pub(super) touch: Option<Box<Touch>>,
    /// It changed a guarded table's place in the catalogs: when it is over, the tables are others.
    pub(super) altered: bool,
    /// A savepoint of ours is around all of the client's.
    pub(super) outer: bool,
    /// The guarded tables could not be listed before it.
    pub(super) unlisted: bool,
    /// A statement that may copy from the client was executed in this batch.
    pub(super) may_copy: bool,
    /// What the client believes to be committed, and the server holds open.
    pub(super) held: Option<Box<Held>>,
    /// Something was executed in it.
    pub(super) ran: bool,
    /// What its statements mean for a hold.
    pub(super) manner: Manner,
    /// The settings of its SET LOCAL; `None`: they cannot be told.
    pub(super) locals: Option<Vec<String>>,
}

impl Transaction {
    pub(super) const fn new() -> Self {
        Self {
            status: Status::Idle,
            unsynced: false,
            batch: 1,
            touch: None,
            altered: false,
            outer: false,
            unlisted: false,
            may_copy: false,
            held: None,
            ran: false,
            manner: Manner::NOTHING,
            locals: Some(Vec::new()),
        }
    }

    /// A Sync was sent, or answered in the server's place.
    pub(super) fn synced(&mut self) {
        self.unsynced = false;
        self.unlisted = false;
        self.may_copy = false;
        self.batch += 1;
    }

    /// The server reported `status`. While something is held, its open block is the client's only where the
    /// client has begun a transaction in it.
    pub(super) fn reported(&mut self, status: Status) {
        let outside = self.held.as_ref().is_some_and(|held| !held.inside);
        if status == Status::Idle {
            self.held = None;
        }
        self.become_(if outside && status == Status::Block {
            Status::Idle
        } else {
            status
        });
    }

    /// A statement of ours began the client's transaction.
    pub(super) fn began(&mut self) {
        if let Some(held) = &mut self.held {
            held.inside = true;
            held.savepoints.clear();
        }
    }

    /// What the client is told from here on.
    fn become_(&mut self, status: Status) {
        self.status = status;
        if status == Status::Idle {
            self.touch = None;
            self.outer = false;
            self.ran = false;
            self.manner = Manner::NOTHING;
            self.locals = Some(Vec::new());
        }
    }

    /// A CommandComplete with `tag` came. After a ROLLBACK TO, locks that were taken since are free.
    pub(super) fn completed(&mut self, tag: &[u8]) {
        if let Some(touch) = self
            .touch
            .as_mut()
            .filter(|_| tag.starts_with(b"ROLLBACK\0"))
        {
            touch.locked.rolled_back();
        }
    }

    /// Whether the tag of a CommandComplete must be known.
    pub(super) fn must_see_tags(&self) -> bool {
        self.touch
            .as_ref()
            .is_some_and(|touch| touch.locked.can_be_lost())
    }

    /// An Execute of `kind` was answered by CommandComplete with `tag`.
    pub(super) fn executed(&mut self, kind: Option<&Kind>, tag: &[u8]) {
        let status = match kind {
            Some(Kind::Commit { chain } | Kind::Rollback { chain }) if ends(tag) => {
                if *chain && self.status != Status::Idle {
                    self.chained();
                    Status::Block
                } else {
                    Status::Idle
                }
            }
            Some(Kind::PrepareTransaction) if ends(tag) => Status::Idle,
            // ROLLBACK TO SAVEPOINT: the block goes on.
            _ if self.status == Status::Failed && tag.starts_with(b"ROLLBACK\0") => Status::Block,
            _ if tag.starts_with(b"BEGIN\0") || tag.starts_with(b"START TRANSACTION\0") => {
                if let Some(touch) = &mut self.touch {
                    touch.wrapped = false;
                }
                Status::Block
            }
            // A BEGIN of ours may be on its way behind it.
            _ => return,
        };
        self.become_(status);
    }

    /// A new transaction: nothing is known of it, but whose block it is.
    pub(super) fn chained(&mut self) {
        self.outer = false;
        self.touch = self.touch.take().filter(|t| t.wrapped).map(|_| {
            Box::new(Touch {
                wrapped: true,
                ..Touch::default()
            })
        });
    }

    /// A message of an extended batch failed.
    pub(super) fn failed(&mut self) {
        let status = if self.status == Status::Idle {
            Status::Idle
        } else {
            Status::Failed
        };
        self.become_(status);
    }

    /// The guards whose sets are to be read again before the commit.
    pub(super) fn to_verify(&self) -> GuardSet {
        self.touch
            .as_ref()
            .map_or(GuardSet::EMPTY, |t| t.asked.without(t.blind))
    }

    pub(super) fn is_wrapped(&self) -> bool {
        self.touch.as_ref().is_some_and(|t| t.wrapped)
    }
}

/// Whether a CommandComplete is that of a statement that ends a transaction: a name may stand for
/// another statement by now.
fn ends(tag: &[u8]) -> bool {
    [&b"COMMIT\0"[..], b"ROLLBACK\0", b"PREPARE TRANSACTION\0"]
        .iter()
        .any(|end| tag.starts_with(end))
}
