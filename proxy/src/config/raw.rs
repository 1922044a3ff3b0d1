//! What was said: the shape of the configuration file, before anything is checked.
use pgpawl_policy::{
    guard::{RawGuard, Unknown},
    hold::Hold,
    rule::{Coverage, Mode, Opaque, RawRule},
};
use serde::Deserialize;
use std::{collections::BTreeMap, path::PathBuf};

/// The whole file. Every key is optional.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Raw {
    /// Where clients connect.
    pub listen: Option<String>,
    /// Where PostgreSQL is.
    pub upstream: Option<String>,
    /// The role of pgpawl's own sessions, which see what is committed.
    pub look_user: Option<String>,
    /// Its password.
    pub look_password: Option<String>,
    /// What is done with a lowering where no rule says otherwise.
    pub mode: Option<Mode>,
    /// Which transactions are checked where no rule says otherwise.
    pub coverage: Option<Coverage>,
    /// What becomes of a write to a guarded table that no statement named.
    pub opaque: Option<Opaque>,
    /// Which commits of a migration run are held until its record comes.
    pub hold: Option<Hold>,
    /// Where Prometheus asks; `off` for nowhere.
    pub metrics_listen: Option<String>,
    /// Threads that serve sessions.
    pub workers: Option<u64>,
    /// The form of the log.
    pub log_format: Option<LogFormat>,
    /// What is logged: a level, or directives of `tracing`'s `EnvFilter`.
    pub log_level: Option<String>,
    /// Where events go: `stdout`, `stderr`, `off` or a file.
    pub events: Option<String>,
    /// Where observed histories are kept; `off` for memory only.
    pub state_file: Option<String>,
    /// What becomes of a step whose direction is not known.
    pub unknown: Option<Unknown>,
    /// Whether a client is warned when a lowering passes in log mode.
    pub warn_in_log_mode: Option<bool>,
    /// Whether `replication=true` sessions pass, not inspected.
    pub allow_replication: Option<bool>,
    /// Whether pgpawl exits when the upstream is down at the start.
    pub require_upstream: Option<bool>,
    /// Limits on everything that a peer can grow.
    pub limits: RawLimits,
    /// The user's own guards.
    pub guard: Vec<RawGuard>,
    /// Changes to built-in tools, by name.
    pub tool: BTreeMap<String, RawTool>,
    /// Who gets which mode and coverage; the first match wins.
    pub rule: Vec<RawRule>,
}

/// `[limits]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawLimits {
    /// Bytes of a statement's text.
    pub statement_len_max: Option<u64>,
    /// Answers that the server may owe.
    pub owed_max: Option<u64>,
    /// Prepared statements and portals that a session remembers.
    pub names_max: Option<u64>,
    /// Bytes of an answer to our question.
    pub answer_len_max: Option<u64>,
    /// How long a commit is held without a word from the client.
    pub hold_max_ms: Option<u64>,
    /// Open sessions.
    pub sessions_max: Option<u64>,
    /// Time from a client's connection to its authentication.
    pub login_timeout_ms: Option<u64>,
    /// Time for a connection to the upstream.
    pub connect_timeout_ms: Option<u64>,
    /// Time for running transactions after SIGTERM.
    pub drain_timeout_ms: Option<u64>,
}

/// `[tool.NAME]`: changes to a built-in tool.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawTool {
    /// Whether it is guarded.
    pub enabled: Option<bool>,
    /// Its table's name, where it is not the tool's usual one.
    pub table: Option<String>,
    /// The only schema to look in.
    pub schema: Option<String>,
    /// Alembic: folders of revision files.
    pub revisions: Option<Paths>,
    /// What becomes of a step whose direction is not known.
    pub unknown: Option<Unknown>,
}

/// One path or a list.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "expected a path or a list of paths")]
pub enum Paths {
    /// `"migrations/versions"`
    One(PathBuf),
    /// `["core/versions", "plugin/versions"]`
    Many(Vec<PathBuf>),
}

/// `log_format`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One object per line.
    Json,
}
