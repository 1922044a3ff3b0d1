//! Our own statements: what we ask within the client's transaction, and how it is left as it was.

use crate::wire::frontend::{self, End};
use bytes::Bytes;

/// The savepoint behind which we ask: rolled back to, so that no setting of ours survives.
const SAVEPOINT: &str = "SAVEPOINT _pgpawl";
const BACK: &str = "ROLLBACK TO SAVEPOINT _pgpawl";
const RELEASE: &str = "RELEASE SAVEPOINT _pgpawl";

/// No timeout of the client's may end our question, nor a `search_path` change what it means.
/// `row_security = off` would turn a filtered answer into an error; the question looks itself.
const SETTINGS: &str = "SELECT /* pgpawl */ \
    pg_catalog.set_config('statement_timeout', '0', true), \
    pg_catalog.set_config('extra_float_digits', '3', true), \
    pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true)";

/// What the client's COMMIT would do first: deferred triggers and constraints, before we look.
const DEFERRED: &str = "SET CONSTRAINTS ALL IMMEDIATE";

/// The texts of this transaction's cursors that a COMMIT runs to their end, after any look of ours.
const HOLDABLE: &str = "SELECT /* pgpawl */ pg_catalog.encode(pg_catalog.decode(pg_catalog.replace(\
    c.statement, pg_catalog.chr(92), pg_catalog.repeat(pg_catalog.chr(92), 2)), 'escape'), 'hex') \
    FROM pg_catalog.pg_cursor() c \
    WHERE c.is_holdable AND c.creation_time OPERATOR(pg_catalog.>=) pg_catalog.now()";

/// From here to the commit nothing writes: neither a trigger that was deferred again, nor a cursor
/// WITH HOLD.
const SEAL: &str = "SET TRANSACTION READ ONLY";

/// Fails at once, whatever the session's settings, and says in the server's log why.
const FAIL: &str = "SELECT /* pgpawl */ pg_catalog.int4in('pgpawl refused this statement')";

/// Which protocol our statements are sent by: that of the message that is held, so that nothing of
/// the client's is lost. A simple Query destroys the unnamed statement, as the client's own does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Protocol {
    Simple,
    Extended,
}

impl Protocol {
    fn batch(self, statements: &[&str]) -> Bytes {
        match self {
            Self::Simple => frontend::simple(statements),
            Self::Extended => frontend::extended(statements, End::Sync),
        }
    }

    /// The question, behind a savepoint; after a BEGIN of ours or, before a commit, after what the
    /// commit itself would run.
    pub(super) fn question(self, question: &str, place: Place) -> Bytes {
        match place {
            Place::Opening => self.batch(&[
                "BEGIN /* pgpawl */",
                SAVEPOINT,
                SETTINGS,
                question,
                BACK,
                RELEASE,
            ]),
            Place::Within => self.batch(&[SAVEPOINT, SETTINGS, question, BACK, RELEASE]),
            Place::Ending { sealed } => {
                let all = [
                    DEFERRED, SAVEPOINT, SETTINGS, question, HOLDABLE, BACK, RELEASE, SEAL,
                ];
                let end = if sealed { all.len() } else { all.len() - 1 };
                self.batch(all.get(..end).unwrap_or_default())
            }
        }
    }

    /// Only the BEGIN.
    pub(super) fn begin(self) -> Bytes {
        self.batch(&["BEGIN /* pgpawl */"])
    }

    /// Back to where the question began.
    pub(super) fn recover(self) -> Bytes {
        self.batch(&[BACK, RELEASE])
    }

    pub(super) fn commit(self) -> Bytes {
        self.batch(&["COMMIT /* pgpawl */"])
    }

    pub(super) fn rollback(self) -> Bytes {
        self.batch(&["ROLLBACK /* pgpawl */"])
    }

    /// Makes the server fail where the refused statement would have run.
    pub(super) fn fail(self) -> Bytes {
        match self {
            Self::Simple => frontend::simple(&[FAIL]),
            Self::Extended => frontend::extended(&[FAIL], End::Flush),
        }
    }
}

/// Where in the client's transaction a question is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    /// Behind our BEGIN.
    Opening,
    Within,
    /// Before the commit; `sealed`: nothing may write from then on.
    Ending {
        sealed: bool,
    },
}

impl Place {
    /// How many statements of the batch complete before a savepoint stands.
    pub(super) const fn savepoint(self) -> usize {
        match self {
            Self::Opening | Self::Ending { .. } => 2,
            Self::Within => 1,
        }
    }

    /// How many complete before the question's rows come.
    pub(super) const fn rows(self) -> usize {
        self.savepoint() + 1
    }

    /// How many complete before the holdable cursors' texts come.
    pub(super) const fn holdable(self) -> Option<usize> {
        match self {
            Self::Opening | Self::Within => None,
            Self::Ending { .. } => Some(self.rows() + 1),
        }
    }
}
