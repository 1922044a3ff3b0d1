//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::variant::Variant;

/// What pgpawl costs, side by side with direct connections and with other proxies.
#[derive(Debug, Parser)]
#[command(name = "pgpawl-bench", version)]
pub struct Cli {
    /// What to measure.
    #[command(subcommand)]
    pub command: Command,
}

/// What to measure.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Workloads through pgpawl and its peers, on a throw-away PostgreSQL
    Compare(CompareArgs),
    /// The screen on the statements of real tools, without sockets
    Screen {
        /// Rounds, of which the fastest counts
        #[arg(default_value_t = 50, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
        rounds: usize,
    },
    /// Instructions of single steps, by callgrind, against the committed counts
    Instructions {
        /// Write the counts anew
        #[arg(long)]
        write: bool,
    },
    /// Run a step so many times: what `instructions` counts
    #[command(hide = true)]
    Step {
        /// The step
        name: String,
        /// How often
        times: u64,
    },
    /// Forward bytes between two ports of 127.0.0.1: a variant of `compare`
    #[command(hide = true)]
    Forward {
        /// Where clients connect
        listen: u16,
        /// Where the server is
        upstream: u16,
    },
}

/// Flags of `compare`.
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// Do little of everything, once: to see that it runs, not how fast
    #[arg(long)]
    pub quick: bool,
    /// Workloads: a name, the beginning of one (select, tpcb-prepared), or a group (pgbench, gate, tables, driver, all)
    #[arg(short, long = "workload", value_name = "W", num_args = 1.., default_value = "all")]
    pub workloads: Vec<String>,
    /// Variants
    #[arg(short, long = "variant", value_name = "V", num_args = 1.., value_enum)]
    pub variants: Vec<Variant>,
    /// Rounds, each of which runs every variant once [default: 5, with --quick 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub rounds: Option<u32>,
    /// Seconds of a measurement that can last any time [default: 5]
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..=600))]
    pub seconds: Option<u64>,
    /// Threads of pgpawl and HAProxy [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub workers: Option<u32>,
    /// MiB of a COPY [default: 1024, with --quick 16]
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u32).range(1..))]
    pub copy_mib: Option<u32>,
    /// Idle sessions [default: 5000, with --quick 100]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=8_000))]
    pub sessions: Option<u32>,
    /// The pgpawl to measure, in place of the one of this build
    #[arg(long, value_name = "PATH")]
    pub pgpawl: Option<PathBuf>,
    /// Write everything measured to this file
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write a page of plots to this file
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Name workloads and variants, and end
    #[arg(long)]
    pub list: bool,
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
    fn workloads_and_variants_are_lists() {
        let words = [
            "pgpawl-bench",
            "compare",
            "-w",
            "select",
            "gate",
            "-v",
            "direct",
            "pgpawl-off",
        ];
        let Command::Compare(asked) = Cli::parse_from(words).command else {
            panic!("not compare")
        };
        assert_eq!(asked.workloads, ["select", "gate"]);
        assert_eq!(asked.variants, [Variant::Direct, Variant::PgpawlOff]);
    }
}
