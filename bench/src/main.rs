//! What pgpawl costs: a query that has nothing to do with versions, a transaction that is checked, a
//! session at rest. Always beside direct connections and other proxies in the same run, as ratios.
//!
//! - `compare` runs workloads (`workload`) through variants (`variant`) in rounds, measures each
//!   (`measure`, `process`), sums up (`summary`) and reports (`report`).
//! - `screen` times the screen without sockets; `instructions` counts what single steps take.
//!
//! Exit codes are those of sysexits.h: 64 usage, 66 no input, 70 a measurement failed, 74 a file
//! cannot be written.

mod cli;
mod clock;
mod compare;
mod forward;
mod instructions;
mod machine;
mod measure;
mod number;
mod process;
mod program;
mod report;
mod screen;
mod server;
mod summary;
mod variant;
mod workload;

use std::io;
use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command};

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Compare(arguments) => compare::run(&arguments),
        Command::Screen { rounds } => screen::run(rounds),
        Command::Instructions { write } => instructions::run(write),
        Command::Step { name, times } => instructions::repeat(&name, times),
        Command::Forward { listen, upstream } => forward::run(listen, upstream),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("pgpawl-bench: {why}");
            ExitCode::from(match why.kind() {
                io::ErrorKind::InvalidInput => 64,
                io::ErrorKind::NotFound => 66,
                io::ErrorKind::Other => 70,
                _ => 74,
            })
        }
    }
}
