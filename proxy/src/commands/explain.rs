//! `pgpawl explain`: what pgpawl makes of statements.
use super::print;
use crate::{
    cli::ExplainArgs,
    config::{Config, Sources},
    error::Error,
};
use pgpawl_policy::{
    explain::{Check, Explained, Explanation, Reason, explain},
    guard::Guards,
    screen::Screen,
};
use std::{
    collections::BTreeMap,
    fmt::{self, Write},
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

/// Explains the statements of the flags.
///
/// # Errors
/// When the input cannot be read or the output not written.
pub fn run(flags: &ExplainArgs) -> Result<(), Error> {
    let text = match (&flags.sql, &flags.file) {
        (Some(sql), _) => sql.clone().into_bytes(),
        (None, Some(file)) => input(file)?,
        // clap requires one of them.
        (None, None) => Vec::new(),
    };
    let sources = Sources {
        file: flags.config.clone(),
        ..Sources::default()
    };
    let guards = Config::load(&sources)?.guards;
    let screen = Screen::new(guards.iter().map(|(id, guard)| (id, guard.table())));
    let name = |id| {
        guards
            .guard(id)
            .map(|guard| guard.tool().to_owned())
            .unwrap_or_default()
    };
    let explanation = explain(&screen, name, &text);
    if flags.json {
        let json = serde_json::to_string_pretty(&explanation)
            .map_err(|error| Error::Output(io::Error::other(error)))?;
        return print(&format!("{json}\n"));
    }
    let mut told = String::new();
    // Writing to a String cannot fail.
    let _ = tell(&mut told, &explanation, &guards);
    print(&told)
}

fn input(file: &Path) -> Result<Vec<u8>, Error> {
    if file == Path::new("-") {
        let mut text = Vec::new();
        let read = io::stdin().lock().read_to_end(&mut text);
        return read.map(|_| text).map_err(|source| Error::Input {
            path: PathBuf::from("standard input"),
            source,
        });
    }
    fs::read(file).map_err(|source| Error::Input {
        path: file.to_owned(),
        source,
    })
}

fn tell(told: &mut String, explanation: &Explanation, guards: &Guards) -> fmt::Result {
    if let Some(odd) = &explanation.odd {
        writeln!(told, "where its statements end cannot be known: {odd}\n")?;
    }
    for (statement, number) in explanation.statements.iter().zip(1..) {
        let text: Vec<&str> = statement.text.split_whitespace().collect();
        writeln!(told, "{number}. {}", text.join(" "))?;
        let effect = if statement.writes {
            "it may write"
        } else {
            "it only reads"
        };
        writeln!(told, "   is       {}; {effect}", statement.kind)?;
        if let Some(description) = &statement.description {
            let tables = description.tables.join(", ");
            writeln!(told, "   reads as {} {tables}", description.kind)?;
        }
        mentions(told, statement, guards)?;
        writeln!(told, "   checked  {}\n", checked(statement.check))?;
    }
    if explanation.statements.is_empty() {
        writeln!(told, "there is no statement")?;
    }
    writeln!(told, "fingerprint {}", explanation.fingerprint)
}

/// Guards by the reason: an opaque text concerns all of them.
fn mentions(told: &mut String, statement: &Explained, guards: &Guards) -> fmt::Result {
    let mut by_reason: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for mention in &statement.mentions {
        by_reason
            .entry(reason(mention.reason))
            .or_default()
            .push(&mention.guard);
    }
    if by_reason.is_empty() {
        writeln!(told, "   concerns no guard")?;
    }
    for (reason, tools) in by_reason {
        if tools.len() == guards.len() && tools.len() > 1 {
            writeln!(told, "   concerns every guard: {reason}")?;
        } else {
            writeln!(told, "   concerns {}: {reason}", tools.join(", "))?;
        }
    }
    Ok(())
}

fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::Identifier => "its table's name is an identifier",
        Reason::InsideString => "its table's name is inside a string",
        Reason::Elsewhere => "its table's name is in a comment or reaches over several tokens",
        Reason::CouldHideAName => "the text can spell any name",
    }
}

fn checked(check: Check) -> &'static str {
    match check {
        Check::No => "no",
        Check::BeforeCommit => {
            "yes: the histories are read before it, and again before the transaction commits"
        }
        Check::AsPrepared => "as the statement that was prepared under that name",
        Check::AtThisCommit => {
            "yes, if a statement of the transaction was: the commit waits for the comparison"
        }
    }
}
