//! The workloads: what each is called, what it counts, who drives it.

mod alembic;
mod django;
mod pgbench;
mod session;
mod sessions;
mod stream;

use std::io;
use std::process::Command;
use std::time::Duration;

use rustix::process::{Resource, getrlimit, setrlimit};

use self::pgbench::{Protocol, Script};
use crate::server::{self, Server};
use crate::{clock, program};

/// How much is done in one measurement.
#[derive(Clone, Debug)]
pub struct Effort {
    /// How long what can last any time lasts.
    pub span: Duration,
    /// Whether only to show that everything runs.
    pub quick: bool,
    /// MiB of a COPY.
    pub copy_mib: usize,
    /// Idle sessions.
    pub sessions: usize,
}

/// Where a workload is run: what to connect to, and the proxy there, if there is one.
#[derive(Clone, Copy, Debug)]
pub struct Site<'a> {
    /// The port of 127.0.0.1.
    pub port: u16,
    /// The proxy's process.
    pub proxy: Option<u32>,
    /// The server behind it.
    pub server: &'a Server,
    /// How much to do.
    pub effort: &'a Effort,
}

/// What a driver saw.
#[derive(Clone, Default, Debug)]
pub struct Driven {
    /// Operations, in the workload's unit.
    pub operations: u64,
    /// The time that they took.
    pub seconds: f64,
    /// How long each took, in microseconds, where they were timed.
    pub micros: Vec<f64>,
    /// The proxy's memory with idle sessions.
    pub rest: Option<Rest>,
}

/// The proxy's memory with idle sessions.
#[derive(Clone, Debug)]
pub struct Rest {
    /// How many there were.
    pub sessions: usize,
    /// KiB before they came.
    pub empty_kib: u64,
    /// KiB while they were there.
    pub held_kib: u64,
}

/// A workload.
#[derive(Clone, Debug)]
pub struct Workload {
    /// Its name on the command line and in results.
    pub name: String,
    /// The groups that it belongs to.
    groups: &'static [&'static str],
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Pgbench {
        script: Script,
        protocol: Protocol,
        clients: u32,
    },
    /// TPC-B in a database with so many schemas that have a version table each.
    Tables(u32),
    Pipeline,
    CopyIn,
    CopyOut,
    WideRows,
    StormTrust,
    StormScram,
    Idle,
    Alembic,
    Django,
}

/// Raises our own limit of open files as far as we may; what we start inherits it.
///
/// # Errors
/// When the system refuses what it allows.
pub fn raise_limit_of_files() -> io::Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    Ok(setrlimit(Resource::Nofile, limit)?)
}

/// Those workloads that can be run here, and why others cannot.
#[must_use]
pub fn possible(workloads: Vec<Workload>, effort: &Effort) -> (Vec<Workload>, Vec<String>) {
    let mut left_out = Vec::new();
    let mut possible = workloads;
    possible.retain(|workload| {
        let lacks = workload.lacks(effort);
        left_out.extend(lacks.iter().map(|why| format!("{}: {why}", workload.name)));
        lacks.is_none()
    });
    (possible, left_out)
}

/// Clients of pgbench.
const CLIENTS: [u32; 3] = [1, 8, 64];

/// Those by drivers of our own, and by other programs.
const DRIVEN: [(&str, Kind); 9] = [
    ("pipeline-100", Kind::Pipeline),
    ("copy-in", Kind::CopyIn),
    ("copy-out", Kind::CopyOut),
    ("rows-10k", Kind::WideRows),
    ("storm-trust", Kind::StormTrust),
    ("storm-scram", Kind::StormScram),
    ("idle", Kind::Idle),
    ("alembic-50", Kind::Alembic),
    ("django-50", Kind::Django),
];

/// Guarded tables of a database.
const TABLES: [u32; 3] = [1, 100, 1_000];

/// All workloads, in the order in which they are run.
#[must_use]
pub fn all() -> Vec<Workload> {
    let mut all = Vec::new();
    for script in [Script::SelectOnly, Script::TpcbLike] {
        for protocol in [Protocol::Simple, Protocol::Extended, Protocol::Prepared] {
            all.extend(CLIENTS.map(|clients| pgbench_workload(script, protocol, clients)));
        }
    }
    all.extend(TABLES.map(|count| Workload {
        name: format!("tables-{count}"),
        groups: &["tables"],
        kind: Kind::Tables(count),
    }));
    all.extend(DRIVEN.map(|(name, kind)| Workload {
        name: name.to_owned(),
        groups: &["driver"],
        kind,
    }));
    all
}

fn pgbench_workload(script: Script, protocol: Protocol, clients: u32) -> Workload {
    let gate = protocol == Protocol::Prepared && clients == 8;
    Workload {
        name: format!("{}-{}-c{clients}", script.stem(), protocol.name()),
        groups: if gate {
            &["pgbench", "gate"]
        } else {
            &["pgbench"]
        },
        kind: Kind::Pgbench {
            script,
            protocol,
            clients,
        },
    }
}

impl Workload {
    /// Whether `word` asks for it: its name, the beginning of its name up to a `-`, or a group.
    #[must_use]
    pub fn is_asked_by(&self, word: &str) -> bool {
        let rest = self.name.strip_prefix(word);
        word == "all"
            || self.groups.contains(&word)
            || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    }

    /// What its operations are.
    #[must_use]
    pub fn unit(&self) -> &'static str {
        match self.kind {
            Kind::Pgbench { .. } | Kind::Tables(_) => "transaction",
            Kind::Pipeline => "statement",
            Kind::CopyIn | Kind::CopyOut => "MiB",
            Kind::WideRows => "row",
            Kind::StormTrust | Kind::StormScram | Kind::Idle => "session",
            Kind::Alembic | Kind::Django => "revision",
        }
    }

    /// The statements in one operation, where they are more than one.
    #[must_use]
    pub fn statements_per_operation(&self) -> u32 {
        match self.kind {
            Kind::Pgbench { script, .. } => script.statements(),
            Kind::Tables(_) => Script::TpcbLike.statements(),
            _ => 1,
        }
    }

    /// Why it cannot be run here, if it cannot.
    fn lacks(&self, effort: &Effort) -> Option<String> {
        match self.kind {
            Kind::Alembic if alembic::program().is_none() => Some(lacks_tool("Alembic")),
            Kind::Django if django::program().is_none() => Some(lacks_tool("Django")),
            Kind::Idle => lacks_files(effort.sessions),
            _ => None,
        }
    }

    /// Whether the server must have room for the idle sessions.
    #[must_use]
    pub const fn needs_sessions(&self) -> bool {
        matches!(self.kind, Kind::Idle)
    }

    /// Makes what it needs once.
    pub fn found(&self, server: &mut Server) {
        match self.kind {
            Kind::Tables(count) => {
                let schemas: Vec<String> = (0..count).map(version_schema).collect();
                let statements: Vec<&str> = schemas.iter().map(String::as_str).collect();
                let name = tables_database(count);
                server.create(&name, server::DATABASE, &statements);
                server.run(&name, &["VACUUM ANALYZE", "CHECKPOINT"]);
            }
            Kind::CopyIn => server.run_as(server::USER, server::DATABASE, &[stream::COPY_TABLE]),
            _ => (),
        }
    }

    /// Sets back what an earlier run left.
    pub fn prepare(&self, server: &Server) {
        match self.kind {
            Kind::Pgbench {
                script: Script::TpcbLike,
                ..
            } => pgbench::set_back(server, server::DATABASE),
            Kind::Tables(count) => pgbench::set_back(server, &tables_database(count)),
            Kind::Alembic => alembic::set_back(server),
            Kind::Django => django::set_back(server),
            _ => (),
        }
    }

    /// Runs it once.
    ///
    /// # Errors
    /// When it does not succeed.
    pub fn drive(&self, site: &Site) -> io::Result<Driven> {
        match self.kind {
            Kind::Pgbench {
                script,
                protocol,
                clients,
            } => pgbench::drive(site, script, protocol, clients, server::DATABASE),
            Kind::Tables(count) => {
                let database = tables_database(count);
                pgbench::drive(site, Script::TpcbLike, Protocol::Prepared, 8, &database)
            }
            Kind::Pipeline => stream::pipeline(site),
            Kind::CopyIn => stream::copy_in(site),
            Kind::CopyOut => stream::copy_out(site),
            Kind::WideRows => stream::wide_rows(site),
            Kind::StormTrust => sessions::storm(site),
            Kind::StormScram => pgbench::storm_scram(site),
            Kind::Idle => sessions::idle(site),
            Kind::Alembic => alembic::upgrade(site),
            Kind::Django => django::upgrade(site),
        }
    }
}

/// How long an upgrade may take.
const UPGRADE_MAX: Duration = Duration::from_mins(2);

/// Runs a migration tool, its own start included, through so many revisions.
fn upgraded(tool: &mut Command, revisions: u32) -> io::Result<Driven> {
    let began = clock::now();
    program::run(tool, UPGRADE_MAX)?;
    Ok(Driven {
        operations: u64::from(revisions),
        seconds: began.elapsed().as_secs_f64(),
        ..Driven::default()
    })
}

fn lacks_tool(name: &str) -> String {
    format!("{name} is not in .tools/venv nor in $PGPAWL_TOOLS/venv (make tools)")
}

/// A proxy needs two files for a session, and inherits our limit.
fn lacks_files(sessions: usize) -> Option<String> {
    let needed = u64::try_from(2 * sessions + 500).unwrap_or(u64::MAX);
    let may = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
    (may < needed).then(|| format!("{needed} open files are needed, the limit is {may}"))
}

fn tables_database(count: u32) -> String {
    format!("tables_{count}")
}

/// A tenant's schema with a version table. One of them is all that `tables-1` adds to the usual ones.
fn version_schema(number: u32) -> String {
    format!(
        "CREATE SCHEMA tenant_{number} \
         CREATE TABLE schema_migrations (version varchar NOT NULL PRIMARY KEY); \
         INSERT INTO tenant_{number}.schema_migrations VALUES ('20240101000000'), ('20240201000000')"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn asked(word: &str) -> Vec<String> {
        let asked = all()
            .into_iter()
            .filter(|workload| workload.is_asked_by(word));
        asked.map(|workload| workload.name).collect()
    }

    #[test]
    fn names_are_unique() {
        let names: BTreeSet<String> = asked("all").into_iter().collect();
        assert_eq!(names.len(), all().len());
    }

    #[test]
    fn a_word_asks_for_a_name_its_beginning_or_a_group() {
        assert_eq!(asked("tables-1"), ["tables-1"]);
        assert_eq!(asked("select-prepared").len(), 3);
        assert_eq!(asked("gate"), ["select-prepared-c8", "tpcb-prepared-c8"]);
        assert_eq!(asked("sel"), [""; 0]);
    }
}
