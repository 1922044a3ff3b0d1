//! What passes without being read whole: sessions that are not inspected, and statements too long to be
//! held.

use super::{
    client::Look,
    names::Class,
    owed::Owed,
    ready::{Fault, Ready},
};
use crate::wire::frame::{self, Frame, HEADER_LEN};

/// Enough of a long statement to have its name and to tell what it is.
const LONG_HEAD_LEN: usize = 1_024;
/// More than any name and its neighbours.
const SCAN_OVERLAP_LEN: usize = 128;

impl Ready {
    /// A session that is not inspected: only what is owed is followed.
    pub(super) fn look_blindly(tag: u8) -> Look {
        Look::Relay(match tag {
            b'Q' => Some(Owed::Query),
            b'P' => Some(Owed::Parse(None, None)),
            b'B' => Some(Owed::Bind(None)),
            b'E' => Some(Owed::Execute(None)),
            b'C' => Some(Owed::Close(None)),
            b'D' => Some(Owed::Describe),
            b'S' => Some(Owed::Sync),
            b'X' => return Look::Terminate,
            _ => None,
        })
    }

    /// A statement that is too long to be held: it passes as it comes, unless it names a guarded table
    /// or stands where every statement must be read.
    pub(super) fn look_long(&mut self, frame: Frame, body: &[u8]) -> Result<Look, Fault> {
        let limit = self.limits().statement_len_max;
        let readable = matches!(frame.tag, b'Q' | b'P');
        if !readable || self.covers || self.transaction.touch.is_some() {
            return Err(Fault::limit("statement_len_max", limit));
        }
        if body.len() < LONG_HEAD_LEN {
            return Ok(Look::Need(HEADER_LEN + LONG_HEAD_LEN));
        }
        self.scan(body)?;
        Ok(Look::Relay(Some(if frame.tag == b'Q' {
            Owed::Query
        } else {
            let name = frame::string(body)
                .ok_or_else(|| Fault::limit("statement_len_max", limit))?
                .0;
            let unnamed = name.is_empty().then(|| self.unnamed.long());
            let change = self
                .statements
                .send(name, Class::PLAIN, self.transaction.batch);
            Owed::Parse(change, unnamed)
        })))
    }

    /// Looks for a guarded table's name in the next piece of a long statement, and in what the last
    /// piece and this one make together.
    pub(super) fn scan(&mut self, piece: &[u8]) -> Result<(), Fault> {
        let mut text = self.scanning.take().unwrap_or_default();
        text.extend_from_slice(piece);
        if !self.shared.guarding.screen.names_in(&text).is_empty() {
            return Err(Fault::limit(
                "statement_len_max",
                self.limits().statement_len_max,
            ));
        }
        let keep = text.len().min(SCAN_OVERLAP_LEN);
        self.scanning = Some(text.split_off(text.len() - keep));
        Ok(())
    }
}
