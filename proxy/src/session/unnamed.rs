//! Whose the server's unnamed statement is. Statements of ours take its place, for one that has a name could be
//! found by code; the client's is put back, by its own Parse, when it is wanted.

use super::ready::Ready;
use crate::wire::frontend;
use bytes::Bytes;

/// The longest Parse of the client's unnamed statement that is kept, to be sent again. Statements of ours
/// take its place; a client that binds a longer one again, in a later batch, is told that it is gone.
const UNNAMED_LEN_MAX: usize = 64 * 1024;

/// The server's unnamed statement.
#[derive(Debug, Default)]
pub(super) struct Unnamed {
    /// The Parse of the client's, to be sent again; empty: it has none, or one that is too long.
    parse: Vec<u8>,
    /// The client has one that is too long to be kept.
    pub(super) long: bool,
    /// A statement of ours took its place.
    pub(super) taken: bool,
    /// The check of light batches is there.
    pub(super) made: bool,
}

impl Unnamed {
    /// A simple Query is sent: it destroys the unnamed statement.
    pub(super) fn queried(&mut self) {
        *self = Self::default();
    }

    /// A Parse of the client's unnamed statement is sent that is too long to be kept.
    pub(super) fn long(&mut self) {
        *self = Self {
            long: true,
            ..Self::default()
        };
    }

    /// A Parse of the client's unnamed statement is sent.
    pub(super) fn parsed(&mut self, frame: &[u8]) {
        self.long = frame.len() > UNNAMED_LEN_MAX;
        self.taken = false;
        self.made = false;
        self.parse.clear();
        if !self.long {
            self.parse.extend_from_slice(frame);
        }
    }

    /// The client has no unnamed statement any more, as far as it can be told, and what the server has is
    /// perhaps one of ours.
    pub(super) fn lost(&mut self) {
        *self = Self {
            taken: true,
            ..Self::default()
        };
    }

    /// A batch of ours is sent.
    pub(super) fn sent(&mut self, bytes: &[u8]) {
        if bytes.first() == Some(&b'Q') {
            self.queried();
        } else if frontend::takes_unnamed(bytes) {
            self.taken = true;
            self.made = false;
        }
    }

    /// Messages of ours were skipped: perhaps one that put the client's back.
    pub(super) const fn skipped(&mut self) {
        self.taken = true;
        self.made = false;
    }
}

impl Ready {
    /// Whether the client's unnamed statement must be made anew before a message that names it.
    pub(super) const fn lacks_unnamed(&self, name: &[u8]) -> bool {
        name.is_empty() && self.unnamed.taken
    }

    /// Makes it anew; where there was none, the server is to say so.
    pub(super) fn restore_unnamed(&mut self) {
        let bytes = if self.unnamed.parse.is_empty() {
            frontend::close_unnamed()
        } else {
            Bytes::copy_from_slice(&self.unnamed.parse)
        };
        self.send_quiet(bytes, 1, false);
        self.unnamed.taken = false;
        self.unnamed.made = false;
    }
}
