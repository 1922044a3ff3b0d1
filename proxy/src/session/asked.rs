//! What a question is asked by, and what is set and asked with it.

use super::known::Known;
use super::ours::{DEFERRED_AGAIN, Place, Savepoints, closing};
use pgpawl_policy::question::STATEMENT;

/// No timeout of the client's may end our question.
/// `row_security = off` would turn a filtered answer into an error; the question looks itself.
pub(super) const SETTINGS: &str = "\
    pg_catalog.set_config('statement_timeout', '0', true), \
    pg_catalog.set_config('extra_float_digits', '3', true)";

/// Nor does a `search_path` change what it means. It is set by a statement before those that are prepared: one
/// that is executed under another path than before is analysed and planned anew.
pub(super) const PATH: &str = "pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true)";

/// Statements that have parameters are not planned for their values.
const GENERIC: &str = "pg_catalog.set_config('plan_cache_mode', 'force_generic_plan', true)";

/// How a question is planned: as it is written, for to look for a better order costs more than the question.
const PLANNING: &str = "pg_catalog.set_config('jit', 'off', true), \
    pg_catalog.set_config('enable_seqscan', 'off', true), \
    pg_catalog.set_config('join_collapse_limit', '1', true), \
    pg_catalog.set_config('from_collapse_limit', '1', true)";

/// The name of the server's statement that sets them.
const SETTINGS_STATEMENT: &str = "_pgpawl_settings";

/// Fails, for a name is no number, if a statement that has a name like ours was not made by a Parse. All that
/// were are ours; one that is not there makes its EXECUTE fail.
const PREPARED: &str = "(SELECT p.name::pg_catalog.int4 FROM pg_catalog.pg_prepared_statement() p \
    WHERE p.from_sql AND p.name OPERATOR(pg_catalog.^@) '_pgpawl_')";

/// How a question is asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum By {
    /// In full.
    Text,
    /// By the statements that the session has.
    Statement,
    /// By statements that are made first: the question's text.
    NewStatement(String),
}

/// A question, and what goes with it.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) question: String,
    pub(super) by: By,
    /// What is locked before a commit is checked.
    pub(super) locks: String,
    /// The transaction may be held.
    pub(super) may_hold: bool,
    /// It is asked within what is held.
    pub(super) held: bool,
    /// Which end before nothing can write any more.
    pub(super) savepoints: Savepoints,
}

impl Asked {
    /// What comes last before a commit: nothing writes from then on, or what follows in what is held is as
    /// the client expects it.
    pub(super) const fn last(&self, place: Place) -> &'static [&'static str] {
        match place {
            Place::Ending { sealed: true, .. } => closing(self.savepoints),
            Place::Ending { .. } if self.may_hold => &[DEFERRED_AGAIN],
            _ => &[],
        }
    }

    /// The first statement behind the savepoint; before those that are made.
    pub(super) fn ours(&self) -> String {
        match self.by {
            By::Text => format!("SELECT /* pgpawl */ {PATH}, {PLANNING}"),
            By::Statement => format!("SELECT /* pgpawl */ {PATH}, {GENERIC}, {PREPARED}"),
            By::NewStatement(_) => format!("SELECT /* pgpawl */ {PATH}, {GENERIC}, {PLANNING}"),
        }
    }

    /// The statements that are made before it, by name.
    pub(super) fn made(&self) -> Option<[(&'static str, String); 2]> {
        match &self.by {
            By::Text | By::Statement => None,
            By::NewStatement(question) => Some([
                (STATEMENT, question.clone()),
                (SETTINGS_STATEMENT, settings("$1::pg_catalog.bool")),
            ]),
        }
    }

    /// The settings, and what else must be known of the transaction, in one row: see [`Known`].
    pub(super) fn settings(&self) -> String {
        match self.by {
            By::Text => settings(if self.may_hold { "true" } else { "false" }),
            By::Statement | By::NewStatement(_) => {
                let may_hold = self.may_hold;
                format!("EXECUTE /* pgpawl */ {SETTINGS_STATEMENT}({may_hold})")
            }
        }
    }
}

fn settings(may_hold: &str) -> String {
    format!("SELECT /* pgpawl */ {SETTINGS}, {}", Known::sql(may_hold))
}
