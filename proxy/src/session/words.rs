//! Small things that are said and asked of statements at a gate.

use super::script::Script;
use crate::wire::backend;
use bytes::Bytes;
use pgpawl_policy::{statement::Kind, verdict::Refusal};

/// What the server would say of the end of a block to a client that it believes to be in none.
pub(super) fn no_block(kind: &Kind) -> Option<Bytes> {
    matches!(kind, Kind::Commit { .. } | Kind::Rollback { .. }).then(|| {
        backend::warning(&Refusal {
            sqlstate: "25P01",
            message: "there is no transaction in progress".to_owned(),
            detail: None,
            hint: None,
        })
    })
}

/// What is refused whatever the database says.
pub(super) fn refusal(why: &str) -> Refusal {
    Refusal {
        sqlstate: "0A000",
        message: format!("pgpawl: {why}"),
        detail: None,
        hint: None,
    }
}

/// Ends a transaction and begins another.
pub(super) const fn is_chain(kind: &Kind) -> bool {
    matches!(
        kind,
        Kind::Commit { chain: true } | Kind::Rollback { chain: true }
    )
}

impl Script {
    /// Whether an error answered one of its parts.
    pub(super) fn fail(&mut self) {
        self.failed = true;
    }
}
