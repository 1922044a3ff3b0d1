//! `pgpawl explain`: what pgpawl makes of statements.
use crate::{cli::ExplainArgs, error::Error};

/// Explains the statements of the flags.
///
/// # Errors
/// When the input cannot be read or the output not written.
pub fn run(flags: &ExplainArgs) -> Result<(), Error> {
    let _ = flags;
    Ok(())
}
