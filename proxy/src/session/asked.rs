//! What a question is asked by, and what is asked with it: settings, facts of the transaction, cursors.

use super::database::RENAMED;
use super::ours::{DEFERRED_AGAIN, Place, Savepoints, closing};
use pgpawl_policy::{called, facts, question::STATEMENT};

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
/// The name of the one that is [`HOLDABLE`].
const CURSORS_STATEMENT: &str = "_pgpawl_cursors";
const CURSORS: &str = "EXECUTE /* pgpawl */ _pgpawl_cursors";

/// Fails, by a division by zero, unless our statements were made by Parses, and so are ours.
const PREPARED: &str = "SELECT /* pgpawl */ 1 OPERATOR(pg_catalog./) \
    CASE WHEN (SELECT pg_catalog.count(*) FROM pg_catalog.pg_prepared_statement() p \
    WHERE p.name OPERATOR(pg_catalog.=) ANY (\
    '{_pgpawl_question,_pgpawl_settings,_pgpawl_cursors}'::pg_catalog.text[]) \
    AND NOT p.from_sql) OPERATOR(pg_catalog.=) 3 THEN 1 ELSE 0 END";

/// The time up to which a list of guarded tables that is read now may be relied on, in milliseconds
/// since 1970, comes with the settings.
const NOW: &str = "(pg_catalog.date_part('epoch', pg_catalog.clock_timestamp()) OPERATOR(pg_catalog.*) 1000)::pg_catalog.int8";

/// Whether the transaction can write.
const WRITABLE: &str =
    "pg_catalog.current_setting('transaction_read_only') OPERATOR(pg_catalog.=) 'off'";

/// What it sees all along; NULL: it sees what others commit meanwhile.
const SNAPSHOT: &str = "CASE WHEN pg_catalog.current_setting('transaction_isolation') \
    OPERATOR(pg_catalog.<>) 'read committed' THEN pg_catalog.pg_current_snapshot()::pg_catalog.text END";

/// Whether the transaction has written anything.
const WRITTEN: &str = "pg_catalog.pg_current_xact_id_if_assigned() IS NOT NULL";

/// Whether this transaction can be held: it is like any that the client may begin next, and all
/// constraints can be deferred again.
const HOLDABLE_TRANSACTION: &str = "(pg_catalog.current_setting('transaction_isolation') OPERATOR(pg_catalog.=) 'read committed' \
    AND pg_catalog.current_setting('default_transaction_isolation') OPERATOR(pg_catalog.=) 'read committed' \
    AND pg_catalog.current_setting('transaction_read_only') OPERATOR(pg_catalog.=) 'off' \
    AND pg_catalog.current_setting('default_transaction_read_only') OPERATOR(pg_catalog.=) 'off' \
    AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_constraint k WHERE k.condeferrable AND NOT k.condeferred))";

/// The texts of this transaction's cursors that a COMMIT runs to their end, after any look of ours.
const HOLDABLE: &str = "SELECT /* pgpawl */ pg_catalog.encode(pg_catalog.decode(pg_catalog.replace(\
    c.statement, pg_catalog.chr(92), pg_catalog.repeat(pg_catalog.chr(92), 2)), 'escape'), 'hex') \
    FROM pg_catalog.pg_cursor() c \
    WHERE c.is_holdable AND c.creation_time OPERATOR(pg_catalog.>=) pg_catalog.now()";

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
            By::Statement => format!("{PREPARED}, {PATH}, {GENERIC}"),
            By::NewStatement(_) => format!("SELECT /* pgpawl */ {PATH}, {GENERIC}, {PLANNING}"),
        }
    }

    /// What asks for the texts of cursors.
    pub(super) const fn cursors(&self) -> &'static str {
        match self.by {
            By::Text => HOLDABLE,
            By::Statement | By::NewStatement(_) => CURSORS,
        }
    }

    /// The statements that are made before it, by name.
    pub(super) fn made(&self) -> Option<[(&'static str, String); 3]> {
        match &self.by {
            By::Text | By::Statement => None,
            By::NewStatement(question) => Some([
                (STATEMENT, question.clone()),
                (SETTINGS_STATEMENT, settings("$1::pg_catalog.bool")),
                (CURSORS_STATEMENT, HOLDABLE.to_owned()),
            ]),
        }
    }

    /// The settings, and what else must be known of the transaction.
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
    format!(
        "SELECT /* pgpawl */ {SETTINGS}, CASE WHEN {may_hold} THEN {} ELSE false END, {RENAMED}, {}, \
         CASE WHEN {may_hold} THEN {HOLDABLE_TRANSACTION} ELSE false END, \
         {SNAPSHOT}, {WRITABLE}, {NOW}, {WRITTEN}, x.a FROM (SELECT {} AS a OFFSET 0) x",
        facts::reshaped("x.a"),
        called::is_called("x.a"),
        facts::altered()
    )
}
