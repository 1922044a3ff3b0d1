//! `pgpawl check-config`: every mistake at once, or what the configuration means.
use super::{configuration, print};
use crate::{
    cli::RunArgs,
    config::{Config, EventsTo, StateFile},
    error::Error,
};
use std::fmt::{self, Write};

/// Checks the configuration that the flags lead to.
///
/// # Errors
/// Its mistakes.
pub fn run(flags: &RunArgs) -> Result<(), Error> {
    let config = configuration(flags)?;
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = describe(&mut text, &config);
    print(&text)
}

fn describe(text: &mut String, config: &Config) -> fmt::Result {
    writeln!(text, "the configuration is valid")?;
    for warning in &config.warnings {
        writeln!(text, "warning: {warning}")?;
    }
    writeln!(text, "  listen    {}", config.listen)?;
    writeln!(text, "  upstream  {}", config.upstream)?;
    match &config.metrics_listen {
        Some(address) => writeln!(text, "  metrics   http://{address}/metrics")?,
        None => writeln!(text, "  metrics   off")?,
    }
    match &config.events {
        EventsTo::Stdout => writeln!(text, "  events    stdout")?,
        EventsTo::Stderr => writeln!(text, "  events    stderr")?,
        EventsTo::File(path) => writeln!(text, "  events    {}", path.display())?,
        EventsTo::Off => writeln!(text, "  events    off")?,
    }
    match &config.state {
        StateFile::Named(path) => writeln!(text, "  state     {}", path.display())?,
        StateFile::Usual(path) => {
            writeln!(
                text,
                "  state     {} (if it can be written)",
                path.display()
            )?;
        }
        StateFile::Off => writeln!(text, "  state     in memory")?,
    }
    for (decision, number) in config.rules.decisions().zip(1..) {
        let (mode, coverage, hold) = (decision.mode, decision.coverage, decision.hold);
        writeln!(
            text,
            "  rule {number:<4} mode {mode:?}, coverage {coverage:?}, hold {hold:?}"
        )?;
    }
    writeln!(text, "  workers   {}", config.workers)?;
    writeln!(text, "  guards    {}", config.guards.len())?;
    for (_, guard) in config.guards.iter() {
        let schema = guard.schema.as_deref().unwrap_or("any schema");
        write!(
            text,
            "    {:<20} {} ({})",
            guard.tool(),
            guard.table(),
            schema
        )?;
        if let Some(graph) = &guard.graph {
            write!(text, ", {} revisions", graph.len())?;
        }
        writeln!(text)?;
    }
    Ok(())
}
