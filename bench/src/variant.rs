//! What stands between client and server: nothing, pgpawl in its coverages, or one of its peers.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use clap::ValueEnum;
use pgpawl_integration_tests::keeper::{Account, Leash};
use pgpawl_integration_tests::wire::Client;
use pgpawl_integration_tests::{port, tool, wait};
use serde::Serialize;

use crate::server;

/// More clients than any workload has.
const CLIENTS_MAX: usize = 9_000;

/// How long a proxy may take until it relays a session.
const START_MAX: Duration = Duration::from_secs(20);

/// What stands between client and server.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Variant {
    /// Nothing
    Direct,
    /// Our own forwarder of bytes, in one thread: the floor
    Raw,
    /// HAProxy in tcp mode
    Haproxy,
    /// PgBouncer in session mode
    Pgbouncer,
    /// pgpawl that looks at nothing
    PgpawlOff,
    /// pgpawl that checks the transactions which name a guarded table
    PgpawlStatement,
    /// pgpawl that checks every transaction
    PgpawlTransaction,
}

impl Variant {
    /// Its name on the command line and in results.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Raw => "raw",
            Self::Haproxy => "haproxy",
            Self::Pgbouncer => "pgbouncer",
            Self::PgpawlOff => "pgpawl-off",
            Self::PgpawlStatement => "pgpawl-statement",
            Self::PgpawlTransaction => "pgpawl-transaction",
        }
    }

    /// Whether it is pgpawl.
    #[must_use]
    pub fn is_pgpawl(self) -> bool {
        matches!(
            self,
            Self::PgpawlOff | Self::PgpawlStatement | Self::PgpawlTransaction
        )
    }
}

/// The programs of the variants, and how many threads those get that can have several.
#[derive(Debug)]
pub struct Fleet {
    /// The pgpawl that is measured.
    pub pgpawl: PathBuf,
    /// Where HAProxy is installed, if it is.
    pub haproxy: Option<PathBuf>,
    /// Where PgBouncer is installed, if it is.
    pub pgbouncer: Option<PathBuf>,
    /// Threads of pgpawl and HAProxy.
    pub workers: usize,
}

/// A running variant: where to connect, and whose CPU time and memory count. It ends when this is dropped.
#[derive(Debug)]
pub struct Running {
    /// The port to connect to.
    pub port: u16,
    proxy: Option<Proxy>,
}

#[derive(Debug)]
struct Proxy {
    _leash: Leash,
    child: Child,
    _folder: tempfile::TempDir,
}

impl Running {
    /// The process in between, if there is one.
    #[must_use]
    pub fn process(&self) -> Option<u32> {
        self.proxy.as_ref().map(|proxy| proxy.child.id())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // It may have ended by itself: nothing more to do then.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Fleet {
    /// Why a variant is left out, if it is.
    #[must_use]
    pub fn lacks(&self, variant: Variant) -> Option<&'static str> {
        match variant {
            Variant::Haproxy if self.haproxy.is_none() => {
                Some("HAProxy is not installed (apt-get install haproxy)")
            }
            Variant::Pgbouncer if self.pgbouncer.is_none() => {
                Some("PgBouncer is not installed (apt-get install pgbouncer)")
            }
            _ => None,
        }
    }

    /// Starts a variant before the server on `upstream`, and waits until it relays a session.
    ///
    /// # Errors
    /// When it ends or does not relay in time, with what it wrote.
    pub fn start(&self, variant: Variant, upstream: u16) -> io::Result<Running> {
        if variant == Variant::Direct {
            return Ok(Running {
                port: upstream,
                proxy: None,
            });
        }
        let folder = tempfile::Builder::new().prefix("pgpawl-run-").tempdir()?;
        let port = port::free();
        let mut command = self.command(variant, folder.path(), port, upstream)?;
        let log = folder.path().join("log");
        tool::clean_environment(&mut command);
        let mut child = command
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(File::create(&log)?)
            .stderr(File::options().append(true).open(&log)?)
            .spawn()?;
        let leash = Leash::on(child.id(), folder.path());
        let relays = wait::within(START_MAX, || {
            if child.try_wait().ok().flatten().is_some() {
                return Some(false);
            }
            let session = Client::try_session(port, server::USER, server::DATABASE).ok()?;
            session.end();
            Some(true)
        });
        let proxy = Proxy {
            _leash: leash,
            child,
            _folder: folder,
        };
        if relays != Some(true) {
            let words = fs::read_to_string(&log).unwrap_or_default();
            let name = variant.name();
            return Err(io::Error::other(format!(
                "{name} does not relay: {}",
                words.trim()
            )));
        }
        Ok(Running {
            port,
            proxy: Some(proxy),
        })
    }

    fn command(
        &self,
        variant: Variant,
        folder: &Path,
        port: u16,
        upstream: u16,
    ) -> io::Result<Command> {
        let missing = || io::Error::other("not installed");
        match variant {
            Variant::Direct | Variant::Raw => {
                let mut command = Command::new(std::env::current_exe()?);
                command.args(["forward", &port.to_string(), &upstream.to_string()]);
                Ok(command)
            }
            Variant::Haproxy => {
                let program = self.haproxy.as_ref().ok_or_else(missing)?;
                haproxy(program, folder, port, upstream, self.workers)
            }
            Variant::Pgbouncer => {
                let program = self.pgbouncer.as_ref().ok_or_else(missing)?;
                pgbouncer(program, folder, port, upstream)
            }
            Variant::PgpawlOff => Ok(self.pgpawl(port, upstream, &["--mode", "off"])),
            Variant::PgpawlStatement => {
                Ok(self.pgpawl(port, upstream, &["--coverage", "statement"]))
            }
            Variant::PgpawlTransaction => {
                Ok(self.pgpawl(port, upstream, &["--coverage", "transaction"]))
            }
        }
    }

    fn pgpawl(&self, port: u16, upstream: u16, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.pgpawl);
        command
            .args(["run", "--listen", &format!("127.0.0.1:{port}")])
            .args(["--upstream", &format!("127.0.0.1:{upstream}")])
            .args(["--workers", &self.workers.to_string()])
            .args(["--state-file", "off", "--events", "off"])
            .args(["--log-level", "warn"])
            .args(arguments);
        command
    }
}

fn haproxy(
    program: &Path,
    folder: &Path,
    port: u16,
    upstream: u16,
    workers: usize,
) -> io::Result<Command> {
    let file = folder.join("haproxy.cfg");
    let text = format!(
        "global\n  nbthread {workers}\n  maxconn {CLIENTS_MAX}\n\
         defaults\n  mode tcp\n  maxconn {CLIENTS_MAX}\n  timeout connect 10s\n  timeout client 1h\n  timeout server 1h\n\
         listen pg\n  bind 127.0.0.1:{port}\n  server pg 127.0.0.1:{upstream}\n"
    );
    fs::write(&file, text)?;
    let mut command = Command::new(program);
    command.arg("-db").arg("-f").arg(file);
    Ok(command)
}

/// PgBouncer authenticates by itself: roles are trusted as the server trusts them, and the one with a
/// password is asked for it, on both sides.
fn pgbouncer(program: &Path, folder: &Path, port: u16, upstream: u16) -> io::Result<Command> {
    let (user, scram_user, password) = (server::USER, server::SCRAM_USER, server::PASSWORD);
    let (ini, users, hba) = ("pgbouncer.ini", "users.txt", "hba.conf");
    let text = format!(
        "[databases]\n* = host=127.0.0.1 port={upstream}\n\
         [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
         pool_mode = session\nmax_client_conn = {CLIENTS_MAX}\ndefault_pool_size = {CLIENTS_MAX}\n\
         auth_type = hba\nauth_file = {users}\nauth_hba_file = {hba}\n\
         log_connections = 0\nlog_disconnections = 0\nlog_stats = 0\nlisten_backlog = 4096\n"
    );
    let files = [
        (ini, text),
        (
            users,
            format!("\"{user}\" \"\"\n\"{scram_user}\" \"{password}\"\n"),
        ),
        (
            hba,
            format!(
                "host all {scram_user} 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n"
            ),
        ),
    ];
    let account = Account::ordinary();
    for (name, text) in files {
        fs::write(folder.join(name), text)?;
    }
    let mut command = Command::new(program);
    command.arg(ini);
    // It refuses to run as root.
    if let Some(Account { uid, gid }) = account {
        chown(folder, Some(uid), Some(gid))?;
        Account { uid, gid }.apply(&mut command);
    }
    Ok(command)
}
