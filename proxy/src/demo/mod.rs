//! `pgpawl demo`: an upgrade passes, a downgrade is refused, on a throw-away PostgreSQL.
mod play;
mod postgres;
mod proxy;

use crate::{cli::DemoArgs, commands::print, error::Error, runtime};
use play::Step;
use postgres::{DATABASE, Postgres};
use proxy::Proxy;
use std::{fs, process::Stdio};
use tokio::signal::unix::{SignalKind, signal};

/// Shows it.
///
/// # Errors
/// When a program is missing or fails, or the downgrade was not refused.
pub fn run(flags: &DemoArgs) -> Result<(), Error> {
    let bin = postgres::binaries(flags.pg_bin.as_deref())?;
    title("1. A throw-away PostgreSQL, and pgpawl before it")?;
    let postgres = Postgres::start(&bin)?;
    let events = postgres.folder().join("events.jsonl");
    let port = postgres::free_port()?;
    let mut play = play::choose(&postgres, port, flags.recorded)?;
    let said = vec![
        ("listen", format!("127.0.0.1:{port}")),
        ("metrics_listen", "127.0.0.1:0".to_owned()),
        ("upstream", format!("127.0.0.1:{}", postgres.port)),
        ("events", events.display().to_string()),
        (
            "state_file",
            postgres
                .folder()
                .join("observed.jsonl")
                .display()
                .to_string(),
        ),
    ];
    let proxy = Proxy::start(play.config.clone(), said)?;
    let configuration = match &play.config {
        Some(file) => fs::read_to_string(file)
            .unwrap_or_default()
            .replace('\n', " "),
        None => "none: every built-in tool is guarded, mode enforce".to_owned(),
    };
    print(&format!(
        "PostgreSQL     127.0.0.1:{} ({})\npgpawl         127.0.0.1:{port}\nconfiguration  {configuration}\ntool           {}\n",
        postgres.port,
        bin.display(),
        play.about
    ))?;

    title("2. An upgrade through pgpawl: passes")?;
    if !shown(&mut play.up)? {
        return Err(Error::Demo(
            "the upgrade failed, and it should not have".to_owned(),
        ));
    }
    let before = rows(&postgres, play.rows)?;
    print(&format!("\nThe version table afterwards:\n{before}"))?;

    title("3. A downgrade through pgpawl: refused")?;
    if shown(&mut play.down)? {
        return Err(Error::Demo(
            "the downgrade passed, and it should not have".to_owned(),
        ));
    }
    let after = rows(&postgres, play.rows)?;
    print(&format!(
        "\nThe version table before:\n{before}\nThe version table after:\n{after}"
    ))?;
    if before != after {
        return Err(Error::Demo("the version table has changed".to_owned()));
    }
    print("\nThe version table has not changed.\n")?;
    print(play.caveat)?;

    title("4. What pgpawl tells")?;
    print("Events, one JSON line each:\n")?;
    print(&fs::read_to_string(&events).unwrap_or_default())?;
    print(&format!(
        "\nhttp://127.0.0.1:{}/metrics:\n{}",
        proxy.metrics_port,
        proxy.metrics()
    ))?;

    if !flags.exit {
        title("5. Try it yourself")?;
        print(&format!(
            "  psql -h 127.0.0.1 -p {} -U postgres {DATABASE}      through pgpawl\n  psql -h 127.0.0.1 -p {} -U postgres {DATABASE}      directly\n\nCtrl-C ends the demo and removes everything.\n",
            port, postgres.port
        ))?;
        wait_for_signal()?;
    }
    drop(proxy);
    Ok(())
}

fn title(text: &str) -> Result<(), Error> {
    print(&format!("\n== {text} ==\n\n"))
}

/// Runs a step and shows what the user would see; whether it succeeded.
fn shown(step: &mut Step) -> Result<bool, Error> {
    print(&format!("$ {}\n", step.shown))?;
    let output = step
        .command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Error::Demo(format!("{} does not start: {error}", step.shown)))?;
    for text in [&output.stdout, &output.stderr] {
        print(&shortened(&String::from_utf8_lossy(text)))?;
    }
    let code = output
        .status
        .code()
        .map_or("a signal".to_owned(), |code| code.to_string());
    print(&format!("exit code {code}\n"))?;
    Ok(output.status.success())
}

/// Lines of a tool's output that are shown; Python's tracebacks say nothing new above them.
const LINES_MAX: usize = 8;

fn shortened(text: &str) -> String {
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let hidden = lines.len().saturating_sub(LINES_MAX);
    let mut short = String::new();
    if hidden > 0 {
        short = format!("  ... ({hidden} lines above)\n");
    }
    for line in lines.iter().skip(hidden) {
        short.push_str("  ");
        short.push_str(line);
        short.push('\n');
    }
    short
}

/// The rows of a query, asked past pgpawl.
fn rows(postgres: &Postgres, query: &str) -> Result<String, Error> {
    let output = postgres
        .psql(postgres.port)
        .args(["-c", query])
        .output()
        .map_err(|error| Error::Demo(format!("psql does not start: {error}")))?;
    Ok(String::from_utf8_lossy(&output.stdout)
        .trim_end()
        .to_owned()
        + "\n")
}

fn wait_for_signal() -> Result<(), Error> {
    let system = |source| Error::System {
        what: "cannot listen for signals",
        source,
    };
    runtime::block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        Ok(())
    })
    .flatten()
    .map_err(system)
}
