//! What the server still owes: one entry for each message that it will answer, in order.

use super::{names::Change, script::is_control, unnamed::Parsed};
use pgpawl_policy::statement::Kind;
use std::collections::VecDeque;

/// One message's answer.
#[derive(Debug)]
pub(super) enum Owed {
    /// Parse: ParseComplete; of the unnamed statement: what it becomes.
    Parse(Option<Box<Change>>, Option<Parsed>),
    /// Bind: BindComplete.
    Bind(Option<Box<Change>>),
    /// Close: CloseComplete.
    Close(Option<Box<Change>>),
    /// Describe: RowDescription or NoData, for a statement after ParameterDescription.
    Describe,
    /// Execute: rows, then CommandComplete, EmptyQueryResponse or PortalSuspended. With its kind
    /// where that moves the transaction.
    Execute(Option<Box<Kind>>),
    /// Query: anything, then ReadyForQuery.
    Query,
    /// FunctionCall: its response, then ReadyForQuery.
    Function,
    /// Sync: ReadyForQuery.
    Sync,
    /// CopyDone or CopyFail: nothing of its own; marks where a copy of ours to the server ended.
    CopyEnd,
    /// A Sync, a Close and a Sync of ours: tells whether the server still skips.
    Resync(Resync),
    /// A batch of our own statements: swallowed.
    Ours,
    /// Statements of ours within the client's batch: so many frames are swallowed. `begins`: they open
    /// the block that the client does not know of.
    Quiet { answers: usize, begins: bool },
    /// The flight that ends a transaction: its check may veto it.
    Sealed,
    /// A statement of ours that makes the server fail in place of a refused one: its error is
    /// swallowed, and the client is told the refusal.
    Refused,
}

/// How far the answer to a resynchronisation is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Resync {
    /// ReadyForQuery before the CloseComplete: ours, and one for each Sync of the client's that its
    /// COPY had not swallowed.
    pub(super) readies: usize,
    pub(super) closed: bool,
    /// A Sync of the client's that was sent behind the copy comes first: it ends the skipping.
    pub(super) synced: bool,
}

/// The answers still owed, and whether the server skips what it gets.
#[derive(Debug, Default)]
pub(super) struct Queue {
    entries: VecDeque<Owed>,
    /// The server discards all messages until the next Sync, because one of a batch failed.
    pub(super) skipping: bool,
    /// The message at the head takes CopyData.
    pub(super) copying_in: bool,
    /// Syncs sent behind a statement that copies and before the end of its copy. The server ignores
    /// them, unless the copy fails before it comes to them.
    stray_syncs: usize,
}

impl Queue {
    /// A message was sent to the server.
    pub(super) fn push(&mut self, owed: Owed) {
        match owed {
            Owed::Sync if self.copying_in => {
                self.stray_syncs = self.stray_syncs.saturating_add(1);
                return;
            }
            Owed::CopyEnd if self.copying_in => {
                self.copying_in = false;
                return;
            }
            // A stray end of a copy gets no answer.
            Owed::CopyEnd if self.entries.is_empty() => return,
            Owed::Sync | Owed::Sealed => self.skipping = false,
            Owed::Ours | Owed::Refused | Owed::Resync(_) => {}
            _ if self.skipping => return,
            _ => {}
        }
        self.entries.push_back(owed);
    }

    /// What is answered next.
    pub(super) fn head(&mut self) -> Option<&Owed> {
        while matches!(self.entries.front(), Some(Owed::CopyEnd)) {
            self.entries.pop_front();
        }
        self.entries.front()
    }

    /// What is answered next, if it is of ours and heard apart.
    pub(super) fn head_mut(&mut self) -> Option<&mut Owed> {
        self.head()?;
        self.entries.front_mut()
    }

    /// Whether an answer is owed that may tell another status than the last one did.
    pub(super) fn controls(&self) -> bool {
        self.entries.iter().any(|owed| match owed {
            Owed::Execute(kind) => kind.as_deref().is_some_and(is_control),
            Owed::Query | Owed::Function | Owed::Sync | Owed::Resync(_) => true,
            _ => false,
        })
    }

    /// Whether a message is under way that may end the transaction.
    pub(super) fn ends(&self) -> bool {
        self.entries.iter().any(|owed| match owed {
            Owed::Execute(Some(kind)) => matches!(
                **kind,
                Kind::Commit { .. } | Kind::Rollback { .. } | Kind::PrepareTransaction
            ),
            _ => false,
        })
    }

    /// The newest message under way that makes or ends the client's unnamed statement.
    pub(super) fn newest_unnamed(&self) -> Option<&Owed> {
        let changes = |owed: &&Owed| matches!(owed, Owed::Parse(_, Some(_)) | Owed::Query);
        self.entries.iter().rev().find(changes)
    }

    /// Whether the newest message that controls the transaction, in the batch that is under way, begins
    /// one.
    pub(super) fn has_begun(&self) -> bool {
        self.entries
            .iter()
            .rev()
            .take_while(|owed| !matches!(owed, Owed::Sync | Owed::Sealed))
            .find_map(|owed| match owed {
                Owed::Execute(Some(kind)) if is_control(kind) => Some(**kind == Kind::Begin),
                _ => None,
            })
            .unwrap_or(false)
    }

    /// Whether the next answer is to a message of ours in the client's batch.
    pub(super) fn is_ours_next(&mut self) -> bool {
        matches!(self.head(), Some(Owed::Quiet { .. } | Owed::Sealed))
    }

    /// The head was answered: what was copied was copied to its end.
    pub(super) fn pop(&mut self) -> Option<Owed> {
        self.copying_in = false;
        self.stray_syncs = 0;
        self.entries.pop_front()
    }

    /// The head, a message of an extended batch, failed: everything up to the next Sync gets no
    /// answer. Calls `forget` for each of them.
    pub(super) fn fail(&mut self, mut forget: impl FnMut(Owed)) {
        self.copying_in = false;
        loop {
            match self.entries.front() {
                Some(Owed::Sync | Owed::Sealed) => return,
                None => {
                    self.skipping = true;
                    return;
                }
                Some(_) => {
                    if let Some(owed) = self.entries.pop_front() {
                        forget(owed);
                    }
                }
            }
        }
    }

    /// The head asks for CopyData. Syncs sent behind it and before the end of the copy are ignored
    /// by the server (`CopyGetData` in copyfromparse.c).
    pub(super) fn copy_in(&mut self) {
        let end = self
            .entries
            .iter()
            .position(|owed| matches!(owed, Owed::CopyEnd));
        let mut index = 0;
        let within = end.unwrap_or(self.entries.len());
        let before = self.entries.len();
        self.entries.retain(|owed| {
            let inside = index < within;
            index += 1;
            !(inside && matches!(owed, Owed::Sync)) && Some(index - 1) != end
        });
        let removed = before - self.entries.len() - usize::from(end.is_some());
        self.stray_syncs = self.stray_syncs.saturating_add(removed);
        self.copying_in = end.is_none();
    }

    /// Whether it is not known if the server has come to a Sync that was sent into a copy.
    pub(super) const fn is_in_doubt(&self) -> bool {
        self.stray_syncs > 0
    }

    /// One more frame of the answer to a resynchronisation, which is the head.
    pub(super) fn head_resync(&mut self) -> Option<&mut Resync> {
        match self.entries.front_mut() {
            Some(Owed::Resync(resync)) => Some(resync),
            _ => None,
        }
    }

    pub(super) fn is_empty(&mut self) -> bool {
        self.head().is_none()
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_skips_to_the_next_sync() {
        let mut queue = Queue::default();
        for owed in [
            Owed::Parse(None, None),
            Owed::Bind(None),
            Owed::Sync,
            Owed::Describe,
        ] {
            queue.push(owed);
        }
        let mut forgotten = 0;
        queue.fail(|_| forgotten += 1);
        assert_eq!(forgotten, 2);
        assert!(matches!(queue.pop(), Some(Owed::Sync)));
        queue.fail(|_| forgotten += 1);
        assert!(queue.skipping && queue.is_empty() && forgotten == 3);
        queue.push(Owed::Describe);
        assert!(queue.is_empty(), "what is skipped gets no answer");
        queue.push(Owed::Sync);
        assert!(!queue.skipping && !queue.is_empty());
    }

    #[test]
    fn syncs_within_a_copy_get_no_answer() {
        let mut queue = Queue::default();
        for owed in [Owed::Execute(None), Owed::Sync, Owed::CopyEnd, Owed::Sync] {
            queue.push(owed);
        }
        queue.copy_in();
        assert!(!queue.copying_in);
        assert!(matches!(queue.pop(), Some(Owed::Execute(_))));
        assert!(matches!(queue.pop(), Some(Owed::Sync)));
        assert!(queue.is_empty());

        queue.push(Owed::Execute(None));
        queue.copy_in();
        queue.push(Owed::Sync);
        assert_eq!(queue.len(), 1);
        assert!(queue.is_in_doubt());
        queue.push(Owed::CopyEnd);
        queue.push(Owed::Sync);
        assert_eq!(queue.len(), 2);
        queue.pop();
        assert!(!queue.is_in_doubt(), "the copy came to its end");
    }
}
