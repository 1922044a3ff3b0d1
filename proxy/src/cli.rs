//! The command line: what was said, not yet what is true.
use clap::{ArgAction, Args, Parser, Subcommand};
use std::path::PathBuf;

/// A pawl lets a wheel turn one way only; pgpawl does that for the schema version of a database.
#[derive(Debug, Parser)]
#[command(
    name = "pgpawl",
    version,
    about = "A PostgreSQL wire proxy that refuses transactions that would lower a schema version",
    after_help = "Exit codes are those of sysexits.h: 64 usage or configuration, 66 no input, \
                  69 unavailable, 71 system, 74 input/output, 77 no permission.",
    propagate_version = true
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the proxy
    #[command(after_help = RUN_HELP)]
    Run(RunArgs),
    /// Show an upgrade that passes and a downgrade that is refused, on a throw-away PostgreSQL
    Demo(DemoArgs),
    /// Check the configuration, all of it at once, and show what it means
    CheckConfig(RunArgs),
    /// List the built-in tools and how each table is read
    Profiles {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Tell what pgpawl makes of SQL: which guard each statement may concern, and why
    Explain(ExplainArgs),
}

const RUN_HELP: &str = "\
Defaults are overridden by the file, the file by PGPAWL_* variables (PGPAWL_UPSTREAM, \
PGPAWL_LIMITS_SESSIONS_MAX ...), and those by flags.

SIGTERM drains: no new clients, transactions finish. SIGINT stops. SIGHUP reads the configuration \
again, for new sessions.";

/// Flags of `run` and `check-config`; each overrides the key of its name.
#[derive(Debug, Default, Args)]
pub struct RunArgs {
    /// The configuration file (TOML); without one, every built-in tool is guarded
    #[arg(short, long, value_name = "FILE", env = "PGPAWL_CONFIG")]
    pub config: Option<PathBuf>,
    /// Where clients connect: host:port or the path of a Unix socket [default: 127.0.0.1:6432]
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,
    /// Where PostgreSQL is: postgres://host:port, host:port or a path [default: 127.0.0.1:5432]
    #[arg(long, value_name = "ADDR")]
    pub upstream: Option<String>,
    /// The role of pgpawl's own sessions, which see what is committed (password: `PGPAWL_LOOK_PASSWORD`) [default: the client's user]
    #[arg(long, value_name = "ROLE")]
    pub look_user: Option<String>,
    /// What becomes of a lowering [default: enforce]
    #[arg(long, value_parser = ["enforce", "log", "off"])]
    pub mode: Option<String>,
    /// Which transactions are checked [default: transaction]
    #[arg(long, value_parser = ["statement", "transaction"])]
    pub coverage: Option<String>,
    /// Which commits of a migration run are held until its record comes [default: schema]
    #[arg(long, value_parser = ["off", "schema", "writes"])]
    pub hold: Option<String>,
    /// Where Prometheus asks for /metrics, or off [default: off]
    #[arg(long, value_name = "ADDR")]
    pub metrics_listen: Option<String>,
    /// Where events go: stdout, stderr, off or a file [default: stdout]
    #[arg(long, value_name = "TO")]
    pub events: Option<String>,
    /// Where observed histories are kept, or off
    #[arg(long, value_name = "FILE")]
    pub state_file: Option<String>,
    /// Threads that serve sessions [default: one per core]
    #[arg(long, value_name = "N")]
    pub workers: Option<String>,
    /// The form of the log [default: text]
    #[arg(long, value_parser = ["text", "json"])]
    pub log_format: Option<String>,
    /// What is logged: off, error, warn, info, debug, trace [default: info]
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// Exit when the upstream is down at the start
    #[arg(long, action = ArgAction::SetTrue)]
    pub require_upstream: bool,
    /// Let replication=true sessions through, not inspected
    #[arg(long, action = ArgAction::SetTrue)]
    pub allow_replication: bool,
    /// Warn the client when a lowering passes in log mode
    #[arg(long, action = ArgAction::SetTrue)]
    pub warn_in_log_mode: bool,
}

impl RunArgs {
    /// The flags that were given, by configuration key.
    #[must_use]
    pub fn said(&self) -> Vec<(&'static str, String)> {
        let texts = [
            ("listen", &self.listen),
            ("upstream", &self.upstream),
            ("look_user", &self.look_user),
            ("mode", &self.mode),
            ("coverage", &self.coverage),
            ("hold", &self.hold),
            ("metrics_listen", &self.metrics_listen),
            ("events", &self.events),
            ("state_file", &self.state_file),
            ("workers", &self.workers),
            ("log_format", &self.log_format),
            ("log_level", &self.log_level),
        ];
        let switches = [
            ("require_upstream", self.require_upstream),
            ("allow_replication", self.allow_replication),
            ("warn_in_log_mode", self.warn_in_log_mode),
        ];
        let texts = texts
            .into_iter()
            .filter_map(|(key, text)| Some((key, text.clone()?)));
        let on = switches
            .into_iter()
            .filter(|(_, on)| *on)
            .map(|(key, _)| (key, "true".into()));
        texts.chain(on).collect()
    }
}

/// Flags of `demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// End when everything has been shown, in place of staying up to be tried
    #[arg(long)]
    pub exit: bool,
    /// The folder of initdb and postgres, where it is not found by itself
    #[arg(long, value_name = "FOLDER", env = "PGPAWL_PG_BIN")]
    pub pg_bin: Option<PathBuf>,
    /// Show the recorded statements even if a migration tool is installed
    #[arg(long)]
    pub recorded: bool,
}

/// Flags of `explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The statements
    #[arg(required_unless_present = "file", conflicts_with = "file")]
    pub sql: Option<String>,
    /// A file with the statements; - is standard input
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// As JSON
    #[arg(long)]
    pub json: bool,
    /// The configuration whose guards count; the built-in ones without
    #[arg(short, long, value_name = "FILE", env = "PGPAWL_CONFIG")]
    pub config: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_become_keys() {
        let cli = Cli::parse_from(["pgpawl", "run", "--mode", "log", "--require-upstream"]);
        let Command::Run(flags) = cli.command else {
            panic!("not run")
        };
        let said = flags.said();
        assert_eq!(
            said,
            [("mode", "log".into()), ("require_upstream", "true".into())]
        );
    }

    #[test]
    fn explain_wants_exactly_one_input() {
        assert!(Cli::try_parse_from(["pgpawl", "explain"]).is_err());
        assert!(Cli::try_parse_from(["pgpawl", "explain", "SELECT 1"]).is_ok());
        assert!(Cli::try_parse_from(["pgpawl", "explain", "x", "-f", "y"]).is_err());
    }
}
