//! How to ask the server for the version sets, and how to read its answer.
use std::collections::BTreeMap;
use crate::guard::GuardId;

/// One row of the answer: its columns as text, `None` for NULL.
pub type Row = Vec<Option<Vec<u8>>>;

/// Which version history: a guard's table in one schema. Names are bytes in the database's encoding.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct HistoryKey {
    /// The guard.
    pub guard: GuardId,
    /// The schema.
    pub schema: Box<[u8]>,
    /// The table.
    pub table: Box<[u8]>,
}

/// The histories that one question found.
#[derive(Clone, Default, Debug)]
pub struct Snapshot {
    pub(crate) histories: BTreeMap<HistoryKey, ()>,
}

impl Snapshot {
    /// Adds what another question found.
    pub fn merge(&mut self, other: Self) {
        self.histories.extend(other.histories);
    }
}

/// What is wrong with an answer.
#[derive(Debug, thiserror::Error)]
pub enum BadAnswer {
    /// Not the columns that were asked for: the server lies or pgpawl is wrong.
    #[error("the answer does not have the shape of the question")]
    Shape,
}
