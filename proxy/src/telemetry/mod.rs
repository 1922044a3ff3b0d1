//! Logs and events.
pub mod event;
pub mod lines;

use crate::{
    config::{Config, EventsTo, raw::LogFormat},
    error::Error,
};
use lines::{Lines, Sink};
use prometheus::IntCounter;
use std::{panic, path::PathBuf};
use tracing_subscriber::{EnvFilter, Registry, layer::SubscriberExt, reload};

/// Changes what is logged while the process runs.
pub type LevelHandle = reload::Handle<EnvFilter, Registry>;

/// Starts the log on standard error. Called once per process.
///
/// # Errors
/// When the system gives no thread.
pub fn start_log(config: &Config, dropped: IntCounter) -> Result<(Lines, LevelHandle), Error> {
    let lines = Lines::new("log", Sink::Stderr, dropped).map_err(|source| Error::System {
        what: "cannot start the thread of the log",
        source,
    })?;
    let (filter, level) = reload::Layer::new(level(config));
    let subscriber = Registry::default().with(filter);
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(lines.clone())
        .with_ansi(false);
    // A second subscriber in one process (the tests') changes nothing.
    let _ = match config.log_format {
        LogFormat::Text => {
            tracing::subscriber::set_global_default(subscriber.with(layer.with_target(false)))
        }
        LogFormat::Json => {
            let layer = layer.json().flatten_event(true).with_current_span(true);
            tracing::subscriber::set_global_default(subscriber.with(layer.with_span_list(false)))
        }
    };
    panic::set_hook(Box::new(|panicked| {
        tracing::error!(
            at = panicked.location().map(tracing::field::display),
            "panicked: {panicked}"
        );
    }));
    Ok((lines, level))
}

/// What the configuration wants logged.
#[must_use]
pub fn level(config: &Config) -> EnvFilter {
    EnvFilter::try_new(&config.log_level).unwrap_or_else(|_| EnvFilter::new("info"))
}

/// Opens the place where events go; none when they are off.
///
/// # Errors
/// When the file cannot be opened.
pub fn start_events(to: &EventsTo, dropped: IntCounter) -> Result<Option<Lines>, Error> {
    let sink = match to {
        EventsTo::Off => return Ok(None),
        EventsTo::Stdout => Sink::Stdout,
        EventsTo::Stderr => Sink::Stderr,
        EventsTo::File(path) => {
            Sink::file(path).map_err(|source| unusable(path.clone(), source))?
        }
    };
    Lines::new("events", sink, dropped)
        .map(Some)
        .map_err(|source| Error::System {
            what: "cannot start the thread of the events",
            source,
        })
}

fn unusable(path: PathBuf, source: std::io::Error) -> Error {
    Error::File {
        what: "cannot write events to",
        key: "events",
        path,
        source,
    }
}
