//! How one history went, and what is told of it.
use crate::{
    guard::{Guard, Unknown},
    question::HistoryKey,
    refusal,
    rule::Mode,
    verdict::{Change, Finding},
};

/// How one history went.
pub(crate) struct Outcome {
    pub(crate) change: Change,
    pub(crate) reason: &'static str,
    pub(crate) from: Option<String>,
    pub(crate) to: Option<String>,
    pub(crate) gone: Vec<String>,
    pub(crate) came: Vec<String>,
}

impl Outcome {
    pub(crate) const fn bare(change: Change, reason: &'static str) -> Self {
        Self {
            change,
            reason,
            from: None,
            to: None,
            gone: Vec::new(),
            came: Vec::new(),
        }
    }

    pub(crate) fn finding(
        self,
        (key, guard): (&HistoryKey, &Guard),
        mode: Mode,
        unknown: Unknown,
    ) -> Finding {
        let counts = match self.change {
            Change::Lowered | Change::Unverifiable => true,
            Change::Unknown => unknown == Unknown::Refuse,
            Change::Same | Change::Raised => false,
        };
        Finding {
            key: Some(key.clone()),
            tool: guard.tool().to_owned(),
            change: self.change,
            reason: self.reason,
            mode,
            refused: counts && mode == Mode::Enforce,
            from: self.from,
            to: self.to,
            gone: self.gone,
            came: self.came,
            sqlstate: refusal::sqlstate(),
            why: None,
        }
    }
}
