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
    pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true)";

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

    /// The question, behind a savepoint; after a BEGIN of ours where `opening`.
    pub(super) fn question(self, question: &str, opening: bool) -> Bytes {
        let all = [
            "BEGIN /* pgpawl */",
            SAVEPOINT,
            SETTINGS,
            question,
            BACK,
            RELEASE,
        ];
        self.batch(if opening {
            &all
        } else {
            all.get(1..).unwrap_or_default()
        })
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

/// Which statement of a question's batch gives the rows, and from which on a savepoint stands:
/// counted by the CommandCompletes before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Places {
    pub(super) savepoint: usize,
    pub(super) rows: usize,
}

pub(super) const fn places(opening: bool) -> Places {
    let begin = if opening { 1 } else { 0 };
    Places {
        savepoint: begin + 1,
        rows: begin + 2,
    }
}
