//! The PostgreSQL that everything is measured against, and its databases.
//!
//! The harness of the integration tests logs every statement and takes 200 connections; this one logs
//! nothing and takes as many as the idle sessions need. Nothing waits for a disk: a proxy costs the
//! largest share of what waits for nothing.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use pgpawl_integration_tests::keeper::{Account, Keeper};
use pgpawl_integration_tests::wire::Client;
use pgpawl_integration_tests::{paths, port, tool, wait};

use crate::process::{self, Cpu};
use crate::program;

/// The superuser, for what is prepared.
const SUPERUSER: &str = "postgres";

/// The role that is measured: it owns its databases and nothing else.
pub const USER: &str = "bench";

/// The same, but authenticated by SCRAM with [`PASSWORD`].
pub const SCRAM_USER: &str = "bench_scram";

/// The password of [`SCRAM_USER`].
pub const PASSWORD: &str = "open sesame";

/// The database of every workload that does not say otherwise.
pub const DATABASE: &str = "bench";

/// Connections beside the idle sessions: clients, and those that proxies keep.
const CONNECTIONS_SPARE: usize = 200;

/// How long a preparing program may take.
const PREPARE_MAX: Duration = Duration::from_mins(10);

const HBA: &str = "
local all all trust
host all bench_scram 127.0.0.1/32 scram-sha-256
host all all 127.0.0.1/32 trust
";

const SETTINGS: &str = "
listen_addresses = '127.0.0.1'
fsync = off
synchronous_commit = off
full_page_writes = off
autovacuum = off
shared_buffers = 512MB
max_wal_size = 4GB
checkpoint_timeout = 1h
log_checkpoints = off
lc_messages = 'C'
";

/// Version tables of three tools, as they look after a while: so that the guard has something to guard.
const VERSION_TABLES: [&str; 6] = [
    "CREATE TABLE schema_migrations (version varchar NOT NULL PRIMARY KEY)",
    "INSERT INTO schema_migrations SELECT (20240000000000 + n)::text FROM generate_series(1, 200) n",
    "CREATE TABLE alembic_version (version_num varchar(32) NOT NULL PRIMARY KEY)",
    "INSERT INTO alembic_version VALUES ('27ab9e64d1f0')",
    "CREATE TABLE django_migrations (id serial PRIMARY KEY, app varchar(255) NOT NULL, \
     name varchar(255) NOT NULL, applied timestamptz NOT NULL)",
    "INSERT INTO django_migrations (app, name, applied) SELECT 'shop', 'step_' || n, now() \
     FROM generate_series(1, 100) n",
];

/// A running server.
#[derive(Debug)]
pub struct Server {
    port: u16,
    bin: PathBuf,
    postmaster: u32,
    own_children: usize,
    databases: BTreeSet<String>,
    _keeper: Keeper,
}

impl Server {
    /// Makes a cluster, starts it, and fills the database [`DATABASE`] with `scale` of pgbench.
    ///
    /// # Errors
    /// When one of its programs fails.
    pub fn start(sessions_max: usize, scale: u32) -> io::Result<Self> {
        let bin = paths::system_postgres();
        let account = Account::ordinary();
        let folder = folder_of(account)?;
        let data = folder.join("data");
        initdb(&bin, &data, account)?;
        let port = port::free();
        let settings = format!(
            "{SETTINGS}port = {port}\nunix_socket_directories = '{}'\nmax_connections = {}\n",
            folder.display(),
            sessions_max + CONNECTIONS_SPARE,
        );
        let file = data.join("postgresql.conf");
        fs::write(&file, fs::read_to_string(&file)? + &settings)?;
        fs::write(data.join("pg_hba.conf"), HBA)?;
        let log = folder.join("log");
        let program = [utf8(&bin.join("postgres")), "-D".into(), utf8(&data)];
        let program: Vec<&str> = program.iter().map(String::as_str).collect();
        let keeper = Keeper::start(account, &folder, &log, &program);
        let ready = || Client::try_session(port, SUPERUSER, "postgres").ok();
        let Some(client) = wait::within(wait::PATIENCE, ready) else {
            let words = fs::read_to_string(&log).unwrap_or_default();
            return Err(io::Error::other(format!(
                "PostgreSQL does not start: {words}"
            )));
        };
        client.end();
        let mut server = Self {
            port,
            bin,
            postmaster: postmaster(&data)?,
            own_children: 0,
            databases: BTreeSet::new(),
            _keeper: keeper,
        };
        server.own_children = server.settled_children();
        server.fill(scale)?;
        Ok(server)
    }

    fn fill(&mut self, scale: u32) -> io::Result<()> {
        self.run("postgres", &[&format!("CREATE ROLE {USER} LOGIN")]);
        let scram = format!("CREATE ROLE {SCRAM_USER} LOGIN PASSWORD '{PASSWORD}' IN ROLE {USER}");
        self.run("postgres", &[&scram]);
        self.create(DATABASE, "template1", &[]);
        let scale = scale.to_string();
        let mut pgbench = self.pgbench(USER);
        pgbench
            .args(["--initialize", "--quiet", "--init-steps=dtgvp", "--scale"])
            .args([&scale, "--port", &self.port.to_string(), DATABASE]);
        program::run(&mut pgbench, PREPARE_MAX)?;
        self.run_as(USER, DATABASE, &VERSION_TABLES);
        self.run(DATABASE, &["VACUUM ANALYZE", "CHECKPOINT"]);
        Ok(())
    }

    /// Makes a database like `template` with more in it, unless it is there.
    pub fn create(&mut self, name: &str, template: &str, statements: &[&str]) {
        if self.databases.insert(name.to_owned()) {
            self.recreate(name, template, statements);
        }
    }

    /// Makes a database like `template` with more in it, in place of one of that name.
    pub fn recreate(&self, name: &str, template: &str, statements: &[&str]) {
        let drop = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
        let create = format!("CREATE DATABASE {name} TEMPLATE {template} OWNER {USER}");
        self.run("postgres", &[&drop, &create]);
        self.run(name, &[&format!("ALTER SCHEMA public OWNER TO {USER}")]);
        self.run_as(USER, name, statements);
    }

    /// Runs statements as the superuser; an error ends the whole run.
    pub fn run(&self, database: &str, statements: &[&str]) {
        self.run_as(SUPERUSER, database, statements);
    }

    /// Runs statements as some role; an error ends the whole run.
    pub fn run_as(&self, user: &str, database: &str, statements: &[&str]) {
        let mut client = Client::session(self.port, user, database);
        for sql in statements {
            client.rows(sql);
        }
        client.end();
    }

    /// Its port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its version, as `15.18`.
    #[must_use]
    pub fn version(&self) -> String {
        let mut client = Client::session(self.port, SUPERUSER, "postgres");
        client.rows("SHOW server_version").concat().concat()
    }

    /// pgbench with what every call says: the address, the role, no encryption.
    #[must_use]
    pub fn pgbench(&self, user: &str) -> Command {
        let ours = self.bin.join("pgbench");
        let program = if ours.exists() {
            ours
        } else {
            program::find("pgbench").unwrap_or(ours)
        };
        let mut command = Command::new(program);
        tool::clean_environment(&mut command);
        command
            .env("PGSSLMODE", "disable")
            .env("PGGSSENCMODE", "disable")
            .args(["--host", "127.0.0.1", "--username", user]);
        command
    }

    /// What all sessions that have ended used, the forks of the postmaster included.
    ///
    /// # Errors
    /// When sessions do not end.
    pub fn cpu_of_ended_sessions(&self) -> io::Result<Cpu> {
        process::wait_for_children(self.postmaster, self.own_children)?;
        process::cpu_with_ended_children(self.postmaster)
    }

    /// The number of the server's own background processes, once it no longer changes.
    fn settled_children(&self) -> usize {
        let mut last = (0, 0);
        let settled = wait::within(Duration::from_secs(5), || {
            let now = process::children(self.postmaster);
            last = if now == last.0 {
                (now, last.1 + 1)
            } else {
                (now, 0)
            };
            (last.1 > 50).then_some(now)
        });
        settled.unwrap_or(last.0)
    }
}

/// A folder that the server's user may enter; short enough for a socket's path.
fn folder_of(account: Option<Account>) -> io::Result<PathBuf> {
    let folder = tempfile::Builder::new()
        .prefix("pgpawl-bench-")
        .tempdir()?
        .keep();
    if let Some(Account { uid, gid }) = account {
        chown(&folder, Some(uid), Some(gid))?;
    }
    Ok(folder)
}

fn initdb(bin: &Path, data: &Path, account: Option<Account>) -> io::Result<()> {
    let mut initdb = Command::new(bin.join("initdb"));
    initdb
        .args(["--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C"])
        .args(["--username", SUPERUSER, "--pgdata"])
        .arg(data)
        .current_dir("/");
    if let Some(account) = account {
        account.apply(&mut initdb);
    }
    program::run(&mut initdb, PREPARE_MAX).map(|_| ())
}

/// The first line of postmaster.pid.
fn postmaster(data: &Path) -> io::Result<u32> {
    let text = fs::read_to_string(data.join("postmaster.pid"))?;
    let first = text
        .lines()
        .next()
        .and_then(|line| line.trim().parse().ok());
    first.ok_or_else(|| io::Error::other("postmaster.pid without a process"))
}

fn utf8(path: &Path) -> String {
    path.display().to_string()
}
