//! Whose the server's unnamed statement is. Statements of ours take its place, for one that has a name could be
//! found by code; the client's is put back, by its own Parse, when it is wanted.

use super::{owed::Owed, ready::Ready};
use crate::wire::frontend;
use bytes::Bytes;

/// The longest Parse of the client's unnamed statement that is kept, to be sent again. Statements of ours
/// take its place; a client that binds a longer one again, in a later batch, is told that it is gone.
const UNNAMED_LEN_MAX: usize = 64 * 1024;

/// What a Parse makes the client's unnamed statement.
#[derive(Debug)]
pub(super) enum Parsed {
    /// The Parse itself.
    Kept(Box<[u8]>),
    /// One that is too long to be kept.
    Long,
}

impl Parsed {
    fn len(&self) -> usize {
        match self {
            Self::Kept(frame) => frame.len(),
            Self::Long => 0,
        }
    }
}

/// The server's unnamed statement. What is under way to make the client's another one is in the queue.
#[derive(Debug, Default)]
pub(super) struct Unnamed {
    /// The client's, as far as it was answered, if it has one.
    client: Option<Parsed>,
    /// The bytes of those that are under way.
    under_way: usize,
    /// When all that is sent is done, it will be one of ours.
    taken: bool,
    /// It may be one of ours now.
    ours: bool,
    /// The check of this number is there.
    pub(super) made: Option<u64>,
    /// A check was run by the process that the login told: no pooler gives the session another one, with
    /// another's unnamed statement.
    pub(super) is_direct: bool,
}

impl Unnamed {
    /// A simple Query is sent: it destroys the unnamed statement.
    pub(super) const fn queried(&mut self) {
        self.taken = false;
        self.made = None;
    }

    /// A Parse of the client's unnamed statement is sent that is too long to be read.
    pub(super) const fn long(&mut self) -> Parsed {
        self.queried();
        Parsed::Long
    }

    /// A Parse of the client's unnamed statement is sent.
    pub(super) fn parsed(&mut self, frame: &[u8]) -> Parsed {
        self.queried();
        if self.under_way.saturating_add(frame.len()) > UNNAMED_LEN_MAX {
            return Parsed::Long;
        }
        self.under_way += frame.len();
        Parsed::Kept(frame.into())
    }

    /// The client's unnamed statement was made, or ended by a Query; `open`: more of that is under way.
    pub(super) fn answered(&mut self, parsed: Option<Parsed>, open: bool) {
        self.dropped(parsed.as_ref());
        self.client = parsed;
        if !open {
            self.ours = self.taken;
        }
    }

    /// The client's was made elsewhere: in its place is one of ours.
    pub(super) fn replaced(&mut self, parsed: Parsed) {
        self.dropped(Some(&parsed));
        self.client = Some(parsed);
    }

    /// It was not, for something before failed.
    pub(super) fn dropped(&mut self, parsed: Option<&Parsed>) {
        self.under_way = (self.under_way).saturating_sub(parsed.map_or(0, Parsed::len));
    }

    /// Nothing that was to make another one is under way any more.
    pub(super) const fn stays(&mut self) {
        self.taken = self.ours;
    }

    /// A Query of the client's is answered here: the client has none any more, whatever the server has.
    pub(super) fn ended(&mut self) {
        self.client = None;
        self.skipped();
    }

    /// The client closes its own.
    pub(super) fn closed(&mut self) {
        self.client = None;
        self.made = None;
    }

    /// A batch of ours is sent.
    pub(super) fn sent(&mut self, bytes: &[u8]) {
        if bytes.first() == Some(&b'Q') {
            self.client = None;
            self.queried();
            self.ours = false;
        } else if frontend::takes_unnamed(bytes) {
            self.skipped();
        }
    }

    /// Messages of ours were skipped: perhaps one that put the client's back.
    pub(super) const fn skipped(&mut self) {
        self.taken = true;
        self.ours = true;
        self.made = None;
    }

    /// The check of this number is sent, and will be there for the next transaction if that has the same process.
    pub(super) fn checks(&mut self, number: u64) {
        self.skipped();
        self.made = Some(number).filter(|_| self.is_direct);
    }

    /// Whether the client's could not be put back.
    pub(super) const fn is_long(&self) -> bool {
        matches!(self.client, Some(Parsed::Long))
    }
}

impl Ready {
    /// Whether the client's unnamed statement must be made anew before a message that names it.
    pub(super) const fn lacks_unnamed(&self, name: &[u8]) -> bool {
        name.is_empty() && self.unnamed.taken
    }

    /// Makes it anew; where there was none, the server is to say so.
    pub(super) fn restore_unnamed(&mut self) {
        let newest = match self.queue.newest_unnamed() {
            Some(Owed::Parse(_, parsed)) => parsed.as_ref(),
            Some(_) => None,
            None => self.unnamed.client.as_ref(),
        };
        let bytes = match newest {
            Some(Parsed::Kept(frame)) => Bytes::copy_from_slice(frame.as_ref()),
            Some(Parsed::Long) | None => frontend::close_unnamed(),
        };
        self.send_quiet(bytes, 1, false);
        self.unnamed.queried();
    }
}
