//! `pgpawl run`: configuration, telemetry, server, signals.
use super::sources;
use crate::{
    admin::{self, metrics::Metrics},
    cli::RunArgs,
    config::{Config, Sources},
    error::Error,
    net::{
        journal,
        server::{Order, Server},
        world::{Generation, World},
    },
    runtime, telemetry,
};
use pgpawl_policy::observed::Observed;
use std::{io, sync::Arc};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc::{Receiver, channel},
};

/// Runs until a signal ends it.
///
/// # Errors
/// Why it cannot start.
pub fn run(flags: &RunArgs) -> Result<(), Error> {
    let sources = sources(flags);
    let config = Config::load(&sources)?;
    let metrics = new_metrics()?;
    let (log, level) = telemetry::start_log(&config, metrics.lines_dropped.clone())?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let world = world(config, metrics)?;
    let served = runtime::block_on(serve(Arc::clone(&world), &sources, &level));
    log.finish();
    served.map_err(|source| Error::System {
        what: "cannot start the main thread",
        source,
    })?
}

/// All metrics, at zero.
///
/// # Errors
/// When two have the same name.
pub fn new_metrics() -> Result<Metrics, Error> {
    Metrics::new().map_err(|error| Error::System {
        what: "cannot register the metrics",
        source: io::Error::other(error),
    })
}

/// What the sessions of `config` share, its files open.
///
/// # Errors
/// When a file cannot be used.
pub fn world(config: Config, metrics: Metrics) -> Result<Arc<World>, Error> {
    let events = telemetry::start_events(&config.events, metrics.lines_dropped.clone())?;
    let (journal, observed) = journal::open(&config.state)?;
    let first = Generation::new(config, Arc::new(observed));
    Ok(Arc::new(World::new(metrics, events, journal, first)))
}

async fn serve(
    world: Arc<World>,
    sources: &Sources,
    level: &telemetry::LevelHandle,
) -> Result<(), Error> {
    let orders = signals().map_err(|source| Error::System {
        what: "cannot listen for signals",
        source,
    })?;
    let server = Server::bind(Arc::clone(&world)).await?;
    let generation = world.generation();
    let config = &generation.config;
    let metrics = match &config.metrics_listen {
        Some(address) => Some(admin::start(address, Arc::clone(&world))?),
        None => None,
    };
    tracing::info!(
        listen = server.address(),
        upstream = %config.upstream,
        metrics,
        guards = config.guards.len(),
        workers = config.workers,
        "pgpawl {} is ready", env!("CARGO_PKG_VERSION")
    );
    server
        .run(orders, |world| reload(world, sources, level))
        .await;
    tracing::info!("stopped");
    Ok(())
}

/// SIGTERM drains, SIGINT stops, SIGHUP reloads.
fn signals() -> io::Result<Receiver<Order>> {
    let (orders, given) = channel(8);
    for (kind, order) in [
        (SignalKind::terminate(), Order::Drain),
        (SignalKind::interrupt(), Order::Stop),
        (SignalKind::hangup(), Order::Reload),
    ] {
        let mut signals = signal(kind)?;
        let orders = orders.clone();
        drop(runtime::task(async move {
            while signals.recv().await.is_some() && orders.send(order).await.is_ok() {}
        }));
    }
    Ok(given)
}

/// Reads the configuration again; a bad one changes nothing.
fn reload(world: &World, sources: &Sources, level: &telemetry::LevelHandle) {
    world.reopen_events();
    let config = match Config::load(sources) {
        Ok(config) => config,
        Err(mistakes) => {
            world.metrics.reloaded("error");
            tracing::error!(%mistakes, "the configuration was not reloaded; the old one stays");
            return;
        }
    };
    let before = world.generation();
    for key in before.config.fixed_keys_changed(&config) {
        tracing::warn!(key, "changes only with a restart");
    }
    if level.reload(telemetry::level(&config)).is_err() {
        tracing::warn!("the level of the log could not be changed");
    }
    world.replace(before.next(config));
    world.metrics.reloaded("ok");
    tracing::info!("the configuration was reloaded, for new sessions");
}

impl Generation {
    /// The configuration with what was observed before it.
    #[must_use]
    pub fn new(config: Config, observed: Arc<Observed>) -> Self {
        let shared = Arc::new(config.shared(observed, Arc::default()));
        Self { config, shared }
    }

    /// Another configuration; what this one's sessions learnt is kept.
    #[must_use]
    pub fn next(&self, config: Config) -> Self {
        let observed = Arc::clone(&self.shared.guarding.observed);
        let present = Arc::clone(&self.shared.present);
        present.forget();
        let shared = Arc::new(config.shared(observed, present));
        Self { config, shared }
    }
}
