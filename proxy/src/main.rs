//! The binary: what was said on the command line, then done.
use clap::{Parser, error::ErrorKind};
use pgpawl::{
    cli::{Cli, Command},
    commands, demo, error,
};
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(said) => {
            // Nothing is left to say it with when stderr is closed.
            let _ = said.print();
            return match said.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
                _ => ExitCode::from(error::USAGE),
            };
        }
    };
    let done = match cli.command {
        Command::Run(flags) => commands::run::run(&flags),
        Command::Demo(flags) => demo::run(&flags),
        Command::CheckConfig(flags) => commands::check_config::run(&flags),
        Command::Profiles { json } => commands::profiles::run(json),
        Command::Explain(flags) => commands::explain::run(&flags),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pgpawl: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}
