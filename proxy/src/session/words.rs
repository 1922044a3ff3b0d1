//! Small things that are said and asked of statements at a gate.

use super::{Side, ready::Ready, script::Script};
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

impl Ready {
    /// Tells the client of a refusal, in a text that every `client_encoding` has.
    pub(super) fn send_refusal(&mut self, refusal: &Refusal) {
        let bytes = backend::refused(&self.in_its_encoding(refusal));
        self.send(Side::Client, bytes);
    }

    /// Texts of ours are UTF-8; another encoding gets their ASCII characters.
    pub(super) fn in_its_encoding(&self, refusal: &Refusal) -> Refusal {
        let mut refusal = refusal.clone();
        if self.reported.client_encoding != b"UTF8" {
            refusal.message = ascii(&refusal.message);
            refusal.detail = refusal.detail.as_deref().map(ascii);
            refusal.hint = refusal.hint.as_deref().map(ascii);
        }
        refusal
    }
}

/// What every encoding has of a text.
fn ascii(text: &str) -> String {
    let shown = |c: char| if c.is_ascii() { c } else { '?' };
    text.chars().map(shown).collect()
}
