//! What is true: the checked configuration, from what was said.
mod address;
mod file;
mod gather;
mod guards;
mod limits;
mod mistake;
mod nearest;
pub mod raw;
mod revisions;
#[cfg(test)]
mod tests;

pub use address::Address;
pub use gather::{Said, Sources};
pub use limits::{Limits, SessionLimits};
pub use mistake::{Mistake, Mistakes, Origin};

use crate::session::{self, Present};

use pgpawl_policy::{
    guard::Guards, guarding::Guarding, observed::Observed, rule::Rules, screen::Screen,
};
use raw::LogFormat;
use std::sync::Arc;
use std::{env, path::PathBuf, thread, time::Duration};
use tracing_subscriber::EnvFilter;

/// A configuration without a mistake.
#[derive(Debug)]
pub struct Config {
    /// Where clients connect.
    pub listen: Address,
    /// Where PostgreSQL is.
    pub upstream: Address,
    /// The role of pgpawl's own sessions; none where it has none.
    pub look_user: Option<String>,
    /// Its password.
    pub look_password: Option<Secret>,
    /// Where Prometheus asks, if anywhere.
    pub metrics_listen: Option<Address>,
    /// Threads that serve sessions.
    pub workers: usize,
    /// The form of the log.
    pub log_format: LogFormat,
    /// What is logged, in the words of `EnvFilter`.
    pub log_level: String,
    /// Where events go.
    pub events: EventsTo,
    /// Where observed histories are kept.
    pub state: StateFile,
    /// Whether pgpawl exits when the upstream is down at the start.
    pub require_upstream: bool,
    /// Limits of each session.
    pub session_limits: SessionLimits,
    /// Limits of the process.
    pub limits: Limits,
    /// The guarded tables.
    pub guards: Guards,
    /// Who gets which mode and coverage.
    pub rules: Rules,
    /// What is not wrong but probably not meant.
    pub warnings: Vec<String>,
}

/// A password: no log shows it.
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str("***")
    }
}

/// Where events go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum EventsTo {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// A file, appended to.
    File(PathBuf),
    /// Nowhere.
    Off,
}

/// Where observed histories are kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StateFile {
    /// A file that must be usable.
    Named(PathBuf),
    /// The usual place; memory when that is not usable.
    Usual(PathBuf),
    /// Memory only.
    Off,
}

impl Config {
    /// Reads and checks all sources.
    ///
    /// # Errors
    /// Every mistake, of form and of meaning.
    pub fn load(sources: &Sources) -> Result<Self, Mistakes> {
        let (said, mut mistakes) = sources.gather();
        let checked = Self::try_from(&said);
        match checked {
            Ok(config) if mistakes.is_empty() => return Ok(config),
            Ok(_) => {}
            Err(more) => mistakes.extend(more.0),
        }
        mistakes.sort_by_key(|mistake| match &mistake.origin {
            Some(Origin::File { line, .. }) => *line,
            Some(Origin::Env(_) | Origin::Flag(_)) | None => usize::MAX,
        });
        Err(Mistakes(mistakes))
    }
}

impl Config {
    /// What the sessions of this configuration share; `observed` is what is remembered already.
    #[must_use]
    pub fn shared(&self, observed: Arc<Observed>, present: Arc<Present>) -> session::Shared {
        let names = self.guards.iter().map(|(id, guard)| (id, guard.table()));
        session::Shared {
            guarding: Guarding {
                screen: Screen::new(names),
                beside: self.guards.beside(),
                guards: self.guards.clone(),
                rules: self.rules.clone(),
                observed,
                origin: self.upstream.to_string(),
            },
            limits: self.session_limits.limits(),
            present,
            runs: Arc::default(),
            sight: session::Sight::default(),
            allow_replication: self.session_limits.allow_replication,
            warn_in_log_mode: self.session_limits.warn_in_log_mode,
        }
    }

    /// Keys whose new value in `next` only a restart would bring.
    #[must_use]
    pub fn fixed_keys_changed(&self, next: &Self) -> Vec<&'static str> {
        let changed = [
            ("listen", self.listen != next.listen),
            ("metrics_listen", self.metrics_listen != next.metrics_listen),
            ("workers", self.workers != next.workers),
            ("log_format", self.log_format != next.log_format),
            ("events", self.events != next.events),
            ("state_file", self.state != next.state),
        ];
        changed
            .into_iter()
            .filter(|(_, changed)| *changed)
            .map(|(key, _)| key)
            .collect()
    }
}

impl TryFrom<&Said> for Config {
    type Error = Mistakes;

    fn try_from(said: &Said) -> Result<Self, Mistakes> {
        let mut check = Check {
            said,
            mistakes: Vec::new(),
        };
        let raw = &said.raw;
        let config = Self {
            listen: check.address("listen", raw.listen.as_deref(), "127.0.0.1:6432"),
            upstream: check.address("upstream", raw.upstream.as_deref(), "127.0.0.1:5432"),
            look_user: raw.look_user.clone().filter(|user| !user.is_empty()),
            look_password: raw.look_password.clone().map(Secret),
            metrics_listen: match raw.metrics_listen.as_deref() {
                None | Some("off") => None,
                address => Some(check.address("metrics_listen", address, "")),
            },
            workers: check.number("workers", raw.workers, cores(), 1..=1024),
            log_format: raw.log_format.unwrap_or_default(),
            log_level: check.log_level(raw.log_level.as_deref().unwrap_or("info")),
            events: check.events(raw.events.as_deref()),
            state: check.state(raw.state_file.as_deref()),
            require_upstream: raw.require_upstream.unwrap_or(false),
            session_limits: check.session_limits(raw),
            limits: check.limits(raw),
            guards: guards::guards(said, &mut check.mistakes),
            rules: guards::rules(said, &mut check.mistakes),
            warnings: said.warnings.clone(),
        };
        if check.mistakes.is_empty() {
            Ok(config)
        } else {
            Err(Mistakes(check.mistakes))
        }
    }
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Reads values one by one and gathers what is wrong with them.
struct Check<'a> {
    said: &'a Said,
    mistakes: Vec<Mistake>,
}

impl Check<'_> {
    fn wrong(&mut self, key: &str, text: &str) {
        self.mistakes.push(self.said.mistake(key, text));
    }

    fn address(&mut self, key: &str, text: Option<&str>, usual: &str) -> Address {
        Address::parse(text.unwrap_or(usual)).unwrap_or_else(|wrong| {
            self.wrong(key, &wrong);
            Address::Unix(PathBuf::new())
        })
    }

    fn number(
        &mut self,
        key: &str,
        said: Option<u64>,
        usual: usize,
        range: std::ops::RangeInclusive<usize>,
    ) -> usize {
        let Some(said) = said else { return usual };
        match usize::try_from(said) {
            Ok(number) if range.contains(&number) => number,
            _ => {
                let (low, high) = range.into_inner();
                self.wrong(key, &format!("{said} is not between {low} and {high}"));
                usual
            }
        }
    }

    fn milliseconds(&mut self, key: &str, said: Option<u64>, usual_ms: usize) -> Duration {
        let number = self.number(key, said, usual_ms, 1..=limits::TIMEOUT_MS_MAX);
        Duration::from_millis(u64::try_from(number).unwrap_or(u64::MAX))
    }

    fn log_level(&mut self, text: &str) -> String {
        if let Err(error) = EnvFilter::try_new(text) {
            self.wrong(
                "log_level",
                &format!("{error}; use off, error, warn, info, debug or trace"),
            );
        }
        text.to_owned()
    }

    fn events(&mut self, text: Option<&str>) -> EventsTo {
        match text {
            None | Some("stdout") => EventsTo::Stdout,
            Some("stderr") => EventsTo::Stderr,
            Some("off") => EventsTo::Off,
            Some("") => {
                self.wrong("events", "use stdout, stderr, off or the path of a file");
                EventsTo::Off
            }
            Some(path) => EventsTo::File(self.said.path(path.as_ref())),
        }
    }

    fn state(&mut self, text: Option<&str>) -> StateFile {
        match text {
            Some("off") => StateFile::Off,
            Some("") => {
                self.wrong("state_file", "use the path of a file, or off");
                StateFile::Off
            }
            Some(path) => StateFile::Named(self.said.path(path.as_ref())),
            None => usual_state_file().map_or(StateFile::Off, StateFile::Usual),
        }
    }
}

/// Where a service keeps its state: systemd's `StateDirectory=`, else the user's own place.
fn usual_state_file() -> Option<PathBuf> {
    let folder = |name: &str| {
        env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let name = "observed.jsonl";
    if let Some(service) = folder("STATE_DIRECTORY") {
        return Some(service.join(name));
    }
    if let Some(state) = folder("XDG_STATE_HOME") {
        return Some(state.join("pgpawl").join(name));
    }
    folder("HOME").map(|home| home.join(".local/state/pgpawl").join(name))
}
