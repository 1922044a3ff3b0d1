//! What a refused client reads: most tools print it as it is, so it is the user interface.
use crate::verdict::{Change, Finding, Refusal, Unverifiable};

/// `insufficient_privilege`: what row security uses.
const REFUSED: &str = "42501";
/// The most versions that a DETAIL lists.
const LISTED_MAX: usize = 20;
/// The longest name or version that is shown, in characters.
const SHOWN_CHARS_MAX: usize = 100;

const RESTORE: &str = "A downgrade may lose data. To go back, restore the backup that was taken before \
     the upgrade, or ask the operator of pgpawl to let this role pass by a rule.";
const UNKNOWN: &str =
    "Give pgpawl the directory of the revision files, or let this role pass by a rule.";
const UNVERIFIABLE: &str = "pgpawl could not see that the schema version stays. Let this role read the version \
     table, or ask the operator of pgpawl to let it pass by a rule.";

/// Server bytes for people: lossily UTF-8, bounded, without control characters.
#[must_use]
pub(crate) fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut chars = text
        .chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c });
    let mut shown: String = chars.by_ref().take(SHOWN_CHARS_MAX).collect();
    if chars.next().is_some() {
        shown.push_str("...");
    }
    shown
}

/// `rails, public.schema_migrations`.
fn place(finding: &Finding) -> String {
    match &finding.key {
        Some(key) => format!(
            "{}, {}.{}",
            finding.tool,
            shown(&key.schema),
            shown(&key.table)
        ),
        None => finding.tool.clone(),
    }
}

/// What the client is told because of a finding.
pub(crate) fn refusal(database: &str, finding: &Finding) -> Refusal {
    let database = shown(database.as_bytes());
    let place = place(finding);
    let word = |version: &Option<String>| version.clone().unwrap_or_else(|| "none".to_owned());
    let (from, to) = (word(&finding.from), word(&finding.to));
    let (message, hint) = match finding.change {
        Change::Lowered if from == to => (
            format!(
                "pgpawl: refused to lower the schema version of \"{database}\" ({place}): an applied version would go"
            ),
            RESTORE,
        ),
        Change::Lowered | Change::Same | Change::Raised => (
            format!(
                "pgpawl: refused to lower the schema version of \"{database}\" ({place}) from {from} to {to}"
            ),
            RESTORE,
        ),
        Change::Unknown => (
            format!(
                "pgpawl: refused a step of unknown direction of \"{database}\" ({place}) from {from} to {to}"
            ),
            UNKNOWN,
        ),
        Change::Unverifiable => (
            format!(
                "pgpawl: refused what it could not verify of \"{database}\" ({place}): {}",
                finding.reason
            ),
            UNVERIFIABLE,
        ),
    };
    Refusal {
        sqlstate: finding.sqlstate,
        message,
        detail: detail(finding),
        hint: Some(hint.to_owned()),
    }
}

fn detail(finding: &Finding) -> Option<String> {
    if let Some(why) = &finding.why {
        return Some(why.clone());
    }
    if finding.reason == "table_gone" {
        return Some(format!(
            "The version table is gone.{}",
            listed(&finding.gone, " ")
        ));
    }
    (!finding.gone.is_empty()).then(|| listed(&finding.gone, ""))
}

fn listed(gone: &[String], lead: &str) -> String {
    if gone.is_empty() {
        return String::new();
    }
    let list: Vec<_> = gone.iter().take(LISTED_MAX).map(String::as_str).collect();
    let mut text = format!("{lead}Versions that would go: {}", list.join(", "));
    let more = gone.len().saturating_sub(LISTED_MAX);
    if more > 0 {
        text.push_str(" and ");
        text.push_str(&more.to_string());
        text.push_str(" more");
    }
    text.push('.');
    text
}

/// The SQLSTATE, the stable word and the sentence of what could not be verified.
#[must_use]
pub(crate) fn unverifiable(why: &Unverifiable) -> (&'static str, &'static str, String) {
    let (reason, text) = match why {
        Unverifiable::QuestionFailed { sqlstate, message } => {
            // Clients know these as "cancelled" and "try again": they still are just that.
            let kept = ["57014", "40001", "40P01"];
            let state = kept.into_iter().find(|kept| kept == sqlstate);
            let message = format!(
                "The server answered pgpawl's question with {}: {}",
                shown(sqlstate.as_bytes()),
                shown(message.as_bytes())
            );
            return (state.unwrap_or(REFUSED), "question_failed", message);
        }
        Unverifiable::BadAnswer => (
            "bad_answer",
            "The server's answer to pgpawl's question could not be understood.",
        ),
        Unverifiable::Boundaries(odd) => {
            return (
                REFUSED,
                "boundaries",
                format!("It cannot be told where the statements end: {odd}."),
            );
        }
        Unverifiable::CommitsInside => (
            "commits_inside",
            "It ends a transaction inside, so that it cannot be checked before it commits; \
             send its statements one by one.",
        ),
        Unverifiable::Opaque => (
            "opaque",
            "The version table was changed, and no statement of the transaction names it \
             (opaque = \"refuse\").",
        ),
        Unverifiable::EndedInside => (
            "ended_inside",
            "A statement ended the transaction by code that was prepared before.",
        ),
        Unverifiable::SettingsChanged => (
            "settings_changed",
            "A part of this text changed client_encoding or standard_conforming_strings, and the rest \
             would be read otherwise; send the parts one by one.",
        ),
        Unverifiable::Alone => (
            "alone",
            "It changes the version table and cannot run in a transaction block, so that it cannot be \
             checked before it commits.",
        ),
        Unverifiable::Unlisted => (
            "unlisted",
            "The statement changes the catalogs, and pgpawl could not tell which version tables there were before.",
        ),
        Unverifiable::Temporary => (
            "temporary",
            "The version table would depend on a temporary object, and go with it when the session ends.",
        ),
        Unverifiable::OwnersCode => (
            "owners_code",
            "It commits by itself, and its index calls a function, operator, cast or domain that is not a \
             superuser's and so could change the version table unchecked; create the index without \
             CONCURRENTLY.",
        ),
        Unverifiable::IndexBuild => (
            "index_build",
            "Another session builds an index CONCURRENTLY that calls a function, operator, cast or \
             domain of a name that this transaction gives; try again when it is built.",
        ),
        Unverifiable::Pooled => (
            "pooled",
            "It commits by itself and may run code of the table's owner, which pgpawl cannot prevent \
             behind a connection pooler. A rule with coverage = \"statement\" lets it pass.",
        ),
        Unverifiable::HoldableCursor => (
            "holdable_cursor",
            "A cursor WITH HOLD runs its query at COMMIT, after any check; close it first.",
        ),
        Unverifiable::Database => (
            "database",
            "The database has a version table, and would be gone under its name. A rule with \
             mode = \"log\" for it lets it go.",
        ),
        Unverifiable::DatabaseUnseen => (
            "database_unseen",
            "The database would be gone under its name, and pgpawl could not look whether it has a version \
             table: set `look_user` to a role that may connect to it.",
        ),
        Unverifiable::DatabaseHidden => (
            "database_hidden",
            "A database was renamed by code, or by one of several statements of a text, so that pgpawl could \
             not look whether it has a version table: send ALTER DATABASE ... RENAME by itself.",
        ),
        Unverifiable::LimitReached(limit) => {
            return (
                REFUSED,
                "limit_reached",
                format!("The limit {limit} is reached."),
            );
        }
    };
    (REFUSED, reason, text.to_owned())
}

/// The SQLSTATE of a finding that the server's state doesn't explain.
pub(crate) const fn sqlstate() -> &'static str {
    REFUSED
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{guard::GuardId, question::HistoryKey, rule::Mode};

    fn finding(from: &str, to: &str, gone: usize) -> Finding {
        Finding {
            key: Some(HistoryKey {
                guard: GuardId(0),
                schema: b"public".as_slice().into(),
                table: b"schema_migrations".as_slice().into(),
            }),
            tool: "rails".into(),
            change: Change::Lowered,
            reason: "lowered",
            mode: Mode::Enforce,
            refused: true,
            from: Some(from.into()),
            to: Some(to.into()),
            gone: (1..=gone).map(|n| n.to_string()).collect(),
            came: vec![],
            sqlstate: REFUSED,
            why: None,
        }
    }

    #[test]
    fn texts() {
        let refusal = refusal("orders", &finding("20230101000003", "20230101000002", 1));
        assert_eq!(
            refusal.message,
            "pgpawl: refused to lower the schema version of \"orders\" (rails, public.schema_migrations) \
             from 20230101000003 to 20230101000002"
        );
        assert_eq!(refusal.detail.unwrap(), "Versions that would go: 1.");
        let middle = super::refusal("orders", &finding("3", "3", 25));
        assert!(middle.message.ends_with("): an applied version would go"));
        assert!(middle.detail.unwrap().ends_with("19, 20 and 5 more."));
    }

    #[test]
    fn bytes_are_shown_bounded_and_plain() {
        assert_eq!(shown(b"caf\xe9\n"), "caf\u{fffd}\u{fffd}");
        assert_eq!(shown(&[b'x'; 500]).len(), SHOWN_CHARS_MAX + 3);
    }
}
