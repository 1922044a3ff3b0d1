//! One JSON line for each history that a transaction changed, or would have changed.
use crate::session::Fate;
use pgpawl_policy::{
    rule::{Mode, Who},
    verdict::{Change, Finding},
};
use serde::Serialize;
use std::{net::IpAddr, time::Duration};

/// The line, in the order of its fields.
#[derive(Debug, Serialize)]
pub struct Event<'a> {
    /// RFC 3339, UTC, milliseconds.
    pub time: String,
    /// raised, lowered, would-refuse, unknown, unverifiable.
    pub event: &'static str,
    /// allow, refuse, would-refuse.
    pub verdict: &'static str,
    /// enforce, log.
    pub mode: &'static str,
    /// A stable word.
    pub reason: &'a str,
    /// The tool.
    pub tool: &'a str,
    /// The database.
    pub database: &'a str,
    /// The schema, if a table could be told.
    pub schema: Option<String>,
    /// The table, if one could be told.
    pub table: Option<String>,
    /// The newest version before.
    pub from: Option<&'a str>,
    /// The newest version after.
    pub to: Option<&'a str>,
    /// Versions that went or would have gone.
    pub gone: &'a [String],
    /// Versions that came or would have come.
    pub came: &'a [String],
    /// The user.
    pub user: &'a str,
    /// The application's name.
    pub application_name: &'a str,
    /// The client's address; null over a Unix socket.
    pub client: Option<IpAddr>,
    /// Sixteen hexadecimal digits that are the same for the same statement.
    pub fingerprint: &'a str,
    /// Of a refusal: the run's changes of the schema were committed before, and are not undone.
    pub schema_committed: bool,
}

/// A judgement, for the events.
#[derive(Clone, Copy, Debug)]
pub struct Judged<'a> {
    /// What was found.
    pub findings: &'a [Finding],
    /// The statement's fingerprint.
    pub fingerprint: &'a str,
    /// Its start.
    pub statement: &'a str,
    /// The run changed the schema in transactions that are committed and not recorded.
    pub unrecorded: bool,
}

/// A commit that was held, or what was held is settled: the fields of [`Event`].
#[derive(Debug, Serialize)]
struct Held<'a> {
    time: String,
    event: &'static str,
    reason: &'a str,
    database: &'a str,
    user: &'a str,
    application_name: &'a str,
    client: Option<IpAddr>,
}

/// What was decided about `finding`.
#[must_use]
pub fn verdict_word(finding: &Finding) -> &'static str {
    match (finding.mode, finding.change) {
        _ if finding.refused => "refuse",
        (Mode::Log, Change::Lowered | Change::Unverifiable) => "would-refuse",
        _ => "allow",
    }
}

/// What happened.
#[must_use]
pub fn event_word(finding: &Finding) -> &'static str {
    match finding.change {
        _ if verdict_word(finding) == "would-refuse" => "would-refuse",
        Change::Lowered => "lowered",
        Change::Raised => "raised",
        Change::Same => "same",
        Change::Unknown => "unknown",
        Change::Unverifiable => "unverifiable",
    }
}

/// The word of a mode.
#[must_use]
pub fn mode_word(mode: Mode) -> &'static str {
    match mode {
        Mode::Enforce => "enforce",
        Mode::Log => "log",
        Mode::Off => "off",
    }
}

/// What became of a held commit.
#[must_use]
pub fn fate_word(fate: Fate) -> &'static str {
    match fate {
        Fate::Held => "held",
        Fate::Committed => "held-committed",
        Fate::RolledBack => "held-rolled-back",
        Fate::Lost => "held-lost",
    }
}

/// The line for a held commit, its newline included.
#[must_use]
pub fn held_line(time: Duration, who: &Who, event: &'static str, reason: &str) -> Vec<u8> {
    let held = Held {
        time: rfc3339(time),
        event,
        reason,
        database: &who.database,
        user: &who.user,
        application_name: &who.application_name,
        client: who.client,
    };
    json(&held)
}

/// The line for `finding`, its newline included.
#[must_use]
pub fn line(time: Duration, who: &Who, finding: &Finding, judged: &Judged<'_>) -> Vec<u8> {
    let name = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let event = Event {
        time: rfc3339(time),
        event: event_word(finding),
        verdict: verdict_word(finding),
        mode: mode_word(finding.mode),
        reason: finding.reason,
        tool: &finding.tool,
        database: &who.database,
        schema: finding.key.as_ref().map(|key| name(&key.schema)),
        table: finding.key.as_ref().map(|key| name(&key.table)),
        from: finding.from.as_deref(),
        to: finding.to.as_deref(),
        gone: &finding.gone,
        came: &finding.came,
        user: &who.user,
        application_name: &who.application_name,
        client: who.client,
        fingerprint: judged.fingerprint,
        schema_committed: finding.refused && judged.unrecorded,
    };
    json(&event)
}

fn json(event: &impl Serialize) -> Vec<u8> {
    let mut line = serde_json::to_vec(event).unwrap_or_default();
    line.push(b'\n');
    line
}

/// `2026-11-22T00:12:39.123Z`, from the time since 1970.
#[must_use]
pub fn rfc3339(since_1970: Duration) -> String {
    let seconds = since_1970.as_secs();
    let (year, month, day) = date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let milliseconds = since_1970.subsec_millis();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milliseconds:03}Z")
}

/// Year, month and day of a day counted from 1970-01-01; eras of 400 years that begin in March, so
/// that the leap day is the last of its year.
fn date(day: u64) -> (u64, u64, u64) {
    let day = day + 719_468;
    let (era, day) = (day / 146_097, day % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let from_march = (5 * day + 2) / 153;
    let day = day - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    (era * 400 + year + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (951_868_800, "2000-03-01T00:00:00.000Z"),
            (1_795_306_359, "2026-11-22T00:12:39.000Z"),
            (4_107_542_399, "2100-02-28T23:59:59.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(rfc3339(Duration::from_secs(seconds)), expected);
        }
    }
}
