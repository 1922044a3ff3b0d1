//! What all sessions share: the configuration of the day, metrics, events, the state file.
use super::{
    journal::Journal,
    registry::Sessions,
    socket::Socket,
    upstream::{self, Target},
};
use crate::{
    admin::metrics::{Metrics, Verdict, ending_label},
    config::Config,
    runtime,
    session::{self, Ending, Fate},
    telemetry::{
        event::{self, Judged},
        lines::Lines,
    },
};
use pgpawl_policy::{
    rule::Who,
    verdict::{Finding, Observation},
};
use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::{errand::Outcome, look::LOOKS_MAX};
use tokio::sync::Semaphore;

/// One reading of the configuration; sessions keep the one that they began with.
#[derive(Debug)]
pub struct Generation {
    /// The configuration.
    pub config: Config,
    /// What of it the sessions know.
    pub shared: Arc<session::Shared>,
}

/// What all sessions share.
#[derive(Debug)]
pub struct World {
    /// The metrics.
    pub metrics: Metrics,
    /// The open sessions.
    pub sessions: Arc<Sessions>,
    events: Option<Lines>,
    journal: Option<Arc<Journal>>,
    current: Mutex<Arc<Generation>>,
    /// Seats for sessions of pgpawl's own.
    pub(super) looks: Semaphore,
    /// Users as whom pgpawl was not let in without a password, since the configuration was read.
    pub(super) turned_away: Mutex<BTreeSet<String>>,
    draining: AtomicBool,
    reachable: AtomicBool,
}

/// The longest that `/readyz` waits for the upstream.
const PROBE_MAX: Duration = Duration::from_secs(2);

impl World {
    /// Before the first session.
    #[must_use]
    pub fn new(
        metrics: Metrics,
        events: Option<Lines>,
        journal: Option<Journal>,
        first: Generation,
    ) -> Self {
        Self {
            metrics,
            sessions: Arc::default(),
            events,
            journal: journal.map(Arc::new),
            current: Mutex::new(Arc::new(first)),
            looks: Semaphore::new(LOOKS_MAX),
            turned_away: Mutex::default(),
            draining: AtomicBool::new(false),
            reachable: AtomicBool::new(false),
        }
    }

    /// What new sessions get.
    #[must_use]
    pub fn generation(&self) -> Arc<Generation> {
        Arc::clone(&self.current.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// New sessions get `next`.
    pub fn replace(&self, next: Generation) {
        self.lets_in_again();
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
    }

    /// Opens the file of the events anew, after it was rotated.
    pub fn reopen_events(&self) {
        if let Some(events) = &self.events {
            events.reopen();
        }
    }

    /// Waits until all events are out.
    pub fn finish_events(&self) {
        if let Some(events) = &self.events {
            events.finish();
        }
    }

    /// From now on the process is not ready.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }

    /// Whether new clients are welcome: not while draining, nor when the upstream is away. Asks the
    /// upstream when the last attempt failed, so that readiness comes back without clients.
    ///
    /// # Errors
    /// Why they are not.
    pub async fn is_ready(&self) -> Result<(), &'static str> {
        if self.draining.load(Ordering::SeqCst) {
            return Err("draining");
        }
        if self.reachable.load(Ordering::SeqCst) {
            return Ok(());
        }
        let generation = self.generation();
        let limit = generation.config.limits.connect_timeout.min(PROBE_MAX);
        match upstream::connect(&generation.config.upstream, limit).await {
            Ok(_) => {
                self.reachable.store(true, Ordering::SeqCst);
                Ok(())
            }
            Err(_) => Err("the upstream cannot be reached"),
        }
    }

    /// Connects to the upstream.
    ///
    /// # Errors
    /// Why not, in a sentence for the client.
    pub async fn connect(&self, config: &Config) -> Result<Socket, String> {
        let connected = upstream::connect(&config.upstream, config.limits.connect_timeout).await;
        self.reachable.store(connected.is_ok(), Ordering::SeqCst);
        connected.map_err(|why| {
            tracing::warn!(upstream = %config.upstream, error = %why, "the upstream cannot be reached");
            self.metrics.upstream_error(why.kind());
            why.to_string()
        })
    }

    /// Where a cancel request for the session of `key` goes. Unknown keys may belong to a session
    /// that another pgpawl opened on the same server.
    #[must_use]
    pub fn target(&self, key: &[u8], config: &Config) -> Target {
        self.sessions
            .target(key)
            .unwrap_or_else(|| Target::Configured(config.upstream.clone()))
    }

    /// Makes an observation durable. When that fails, a later step back may be `unknown` after a
    /// restart; the commit that is waiting is not to blame for it and goes on.
    pub async fn record(&self, observation: Observation) {
        let Some(journal) = &self.journal else { return };
        let journal = Arc::clone(journal);
        let appended = runtime::blocking(move || journal.append(&observation.line)).await;
        if let Err(error) = appended.flatten() {
            self.metrics.state_errors.inc();
            tracing::error!(%error, "an observed step could not be written to the state file");
        }
    }

    /// A session logged in.
    pub fn opened(&self, session: u64, who: &Who, inspected: bool) {
        if !inspected {
            self.metrics.sessions_not_inspected.inc();
        }
        let Who {
            database,
            user,
            application_name,
            client,
        } = who;
        let client = client.map(tracing::field::display);
        tracing::debug!(
            session,
            database,
            user,
            application_name,
            client,
            inspected,
            "opened"
        );
    }

    /// A session ended.
    pub fn ended(&self, session: u64, outcome: &Outcome) {
        let ending = match outcome {
            Outcome::Ended(ending) => ending_label(ending),
            Outcome::TooMany => "too_many_sessions",
            Outcome::LoginTimeout => "login_timeout",
            Outcome::Stuck => "stuck",
        };
        self.metrics.ended(ending);
        match outcome {
            Outcome::Ended(Ending::ServerGone) => self.metrics.upstream_error("gone"),
            Outcome::Ended(Ending::ServerViolation(why)) => {
                self.metrics.upstream_error("protocol");
                tracing::warn!(session, why, "the server broke the protocol");
            }
            Outcome::Ended(Ending::ClientViolation(why)) => {
                tracing::info!(session, why, "a client broke the protocol");
            }
            Outcome::Ended(Ending::NotAllowed(why)) => {
                tracing::info!(session, why, "a session was not allowed");
            }
            Outcome::TooMany => tracing::warn!(session, "refused: `limits.sessions_max` reached"),
            Outcome::Ended(
                Ending::Finished
                | Ending::ClientGone
                | Ending::ConnectFailed(_)
                | Ending::Stopped
                | Ending::Undone
                | Ending::Cancelled,
            )
            | Outcome::LoginTimeout
            | Outcome::Stuck => {}
        }
        tracing::debug!(session, ending, "ended");
    }

    /// A judgement was made.
    pub fn judged(&self, who: &Who, judged: &Judged<'_>) {
        for finding in judged.findings {
            self.found(who, finding);
            if let Some(events) = &self.events {
                events.put(event::line(runtime::unix_time(), who, finding, judged));
            }
        }
        let (fingerprint, statement) = (judged.fingerprint, judged.statement);
        tracing::debug!(database = who.database, fingerprint, statement, "judged");
    }

    /// A commit was held, or what was held is settled.
    pub fn held(&self, who: &Who, fate: Fate, why: &str) {
        let word = event::fate_word(fate);
        self.metrics.held(&who.database, word, why);
        let Who { database, user, .. } = who;
        tracing::info!(event = word, database, user, reason = why);
        if let Some(events) = &self.events {
            events.put(event::held_line(runtime::unix_time(), who, word, why));
        }
    }

    fn found(&self, who: &Who, finding: &Finding) {
        let key = finding.key.as_ref();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let table = key.map(|key| text(&key.table)).unwrap_or_default();
        let schema = key.map(|key| text(&key.schema)).unwrap_or_default();
        self.metrics.judged(Verdict {
            database: &who.database,
            tool: &finding.tool,
            table: &table,
            mode: event::mode_word(finding.mode),
            verdict: event::verdict_word(finding),
            reason: finding.reason,
        });
        if key.is_some() && !finding.refused {
            let history = [who.database.as_str(), &finding.tool, &schema, &table];
            self.metrics.reached(history, finding.to.as_deref());
        }
        let (database, user) = (&who.database, &who.user);
        let (from, to) = (finding.from.as_deref(), finding.to.as_deref());
        let (event, verdict) = (event::event_word(finding), event::verdict_word(finding));
        let (tool, reason) = (&finding.tool, finding.reason);
        if verdict == "allow" {
            tracing::info!(
                event, database, user, tool, schema, table, from, to, reason, verdict
            );
        } else {
            tracing::warn!(
                event, database, user, tool, schema, table, from, to, reason, verdict
            );
        }
    }
}
