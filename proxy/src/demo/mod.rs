//! `pgpawl demo`.
use crate::{cli::DemoArgs, error::Error};

/// Runs it.
///
/// # Errors
/// When it cannot go on.
pub fn run(flags: &DemoArgs) -> Result<(), Error> {
    let _ = flags;
    Ok(())
}
