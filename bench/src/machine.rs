//! Where a result was measured: machine, kernel, versions. A figure means nothing without them.

use std::fs;

use serde::Serialize;

use crate::program;
use crate::server::Server;
use crate::variant::Fleet;

/// The processor, as it calls itself.
pub fn processor() -> String {
    line_of("/proc/cpuinfo", "model name")
}

/// Machine, kernel and versions.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// The processor, as it calls itself.
    pub processor: String,
    /// Its cores.
    pub cores: usize,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// The kernel.
    pub kernel: String,
    /// PostgreSQL's version.
    pub postgres: String,
    /// pgpawl's, with its path.
    pub pgpawl: String,
    /// HAProxy's, if it is installed.
    pub haproxy: Option<String>,
    /// PgBouncer's, if it is installed.
    pub pgbouncer: Option<String>,
    /// The load of the last minute before it began.
    pub load_before: String,
}

impl Machine {
    /// The one that we run on.
    #[must_use]
    pub fn this(fleet: &Fleet, server: &Server) -> Self {
        let pgpawl = program::version(&fleet.pgpawl);
        Self {
            processor: processor(),
            cores: cores(),
            memory_mib: line_of("/proc/meminfo", "MemTotal")
                .trim_end_matches(" kB")
                .parse::<u64>()
                .unwrap_or(0)
                / 1_024,
            kernel: read("/proc/sys/kernel/osrelease"),
            postgres: server.version(),
            pgpawl: format!("{pgpawl} ({})", fleet.pgpawl.display()),
            haproxy: fleet.haproxy.as_deref().map(program::version),
            pgbouncer: fleet.pgbouncer.as_deref().map(program::version),
            load_before: read("/proc/loadavg")
                .split(' ')
                .next()
                .unwrap_or_default()
                .to_owned(),
        }
    }

    /// In one line per kind.
    #[must_use]
    pub fn lines(&self) -> [String; 2] {
        let peer = |name, version: &Option<String>| {
            let version = version.as_deref().unwrap_or("not installed");
            format!("{name}: {version}")
        };
        [
            format!(
                "{}, {} cores, {} MiB, Linux {}, load {}",
                self.processor, self.cores, self.memory_mib, self.kernel, self.load_before
            ),
            format!(
                "PostgreSQL {}; {}; {}; {}",
                self.postgres,
                self.pgpawl,
                peer("PgBouncer", &self.pgbouncer),
                peer("HAProxy", &self.haproxy)
            ),
        ]
    }
}

/// Cores that we may use.
#[must_use]
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn read(path: &str) -> String {
    fs::read_to_string(path)
        .unwrap_or_default()
        .trim()
        .to_owned()
}

/// What stands after `name:` in a file of `/proc`.
fn line_of(path: &str, name: &str) -> String {
    let text = read(path);
    let line = text.lines().find(|line| line.starts_with(name));
    let value = line.and_then(|line| Some(line.split_once(':')?.1.trim().to_owned()));
    value.unwrap_or_else(|| "unknown".into())
}
