//! One file per command.
pub mod check_config;
pub mod explain;
pub mod profiles;
pub mod run;

use crate::{
    cli::RunArgs,
    config::{Config, Sources},
    error::Error,
};
use std::io::{self, Write};

/// Where `flags` say that the configuration comes from.
#[must_use]
pub fn sources(flags: &RunArgs) -> Sources {
    Sources {
        file: flags.config.clone(),
        env: std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect(),
        flags: flags.said(),
    }
}

/// The configuration that `flags` lead to.
///
/// # Errors
/// All its mistakes.
pub fn configuration(flags: &RunArgs) -> Result<Config, Error> {
    Ok(Config::load(&sources(flags))?)
}

/// Writes `text` to standard output; a reader that has had enough (`| head`) is no error.
///
/// # Errors
/// When it cannot be written.
pub fn print(text: &str) -> Result<(), Error> {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Error::Output(error)),
        _ => Ok(()),
    }
}
