//! A throw-away PostgreSQL from the binaries on this machine.
use crate::{error::Error, runtime};
use std::{
    env, fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;

/// Database and superuser of the demo.
pub const DATABASE: &str = "shop";
const USER: &str = "postgres";
/// Users that PostgreSQL may run as when the demo is run as root, which PostgreSQL refuses.
const ORDINARY_USERS: [&str; 3] = ["postgres", "nobody", "daemon"];

/// A running server; dropping it stops it and removes everything.
#[derive(Debug)]
pub struct Postgres {
    bin: PathBuf,
    user: Option<String>,
    server: Child,
    /// Its port on 127.0.0.1.
    pub port: u16,
    folder: TempDir,
}

/// The folder with `initdb`.
///
/// # Errors
/// When it is found nowhere.
pub fn binaries(named: Option<&Path>) -> Result<PathBuf, Error> {
    let has_initdb = |folder: &PathBuf| folder.join("initdb").is_file();
    if let Some(named) = named {
        let named = named.to_owned();
        return if has_initdb(&named) {
            Ok(named)
        } else {
            Err(Error::Demo(format!(
                "there is no initdb in {}",
                named.display()
            )))
        };
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let mut packaged: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|version| Some(version.ok()?.path().join("bin")))
        .collect();
    // The highest version first: 9.6 has left the distributions that this runs on.
    packaged.sort_by(|left, right| right.cmp(left));
    // On the PATH there may be links to some of the programs only: the others are behind the links.
    let behind_links = |folder: PathBuf| {
        let initdb = folder.join("initdb").canonicalize().ok()?;
        initdb.parent().map(Path::to_owned)
    };
    env::split_paths(&path).chain(packaged).find_map(behind_links).ok_or_else(|| {
        let advice = "no PostgreSQL was found: install one (apt-get install postgresql), or set PGPAWL_PG_BIN to the folder of initdb and postgres";
        Error::Demo(advice.to_owned())
    })
}

impl Postgres {
    /// Makes a cluster with an empty database and starts it.
    ///
    /// # Errors
    /// When any of the programs fails.
    pub fn start(bin: &Path) -> Result<Self, Error> {
        let folder = tempfile::Builder::new()
            .prefix("pgpawl-demo-")
            .tempdir()
            .map_err(|error| Error::Demo(format!("no temporary folder: {error}")))?;
        let user = if rustix::process::geteuid().is_root() {
            Some(ordinary_user()?)
        } else {
            None
        };
        let data = folder.path().join("data");
        prepare(folder.path(), &data, user.as_deref())?;
        let mut initdb = command(bin, "initdb", user.as_deref());
        initdb.args([
            "-A",
            "trust",
            "-N",
            "-E",
            "UTF8",
            "--no-locale",
            "-U",
            USER,
            "-D",
        ]);
        finish(initdb.arg(&data))?;
        let port = free_port()?;
        let log = folder.path().join("postgres.log");
        let written = fs::File::create(&log)
            .map_err(|error| Error::Demo(format!("no log for PostgreSQL: {error}")))?;
        let server = command(bin, "postgres", user.as_deref())
            .arg("-D")
            .arg(&data)
            .args([
                "-h",
                "127.0.0.1",
                "-p",
                &port.to_string(),
                "-c",
                "fsync=off",
                "-k",
            ])
            .arg(&data)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(written)
            .spawn()
            .map_err(|error| Error::Demo(format!("postgres does not start: {error}")))?;
        let postgres = Self {
            bin: bin.to_owned(),
            user,
            server,
            port,
            folder,
        };
        postgres.wait()?;
        let mut createdb = command(bin, "createdb", None);
        createdb.args([
            "-h",
            "127.0.0.1",
            "-U",
            USER,
            "-p",
            &port.to_string(),
            DATABASE,
        ]);
        finish(&mut createdb)?;
        Ok(postgres)
    }

    /// A folder for the demo's files.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// psql on `port` of this machine.
    #[must_use]
    pub fn psql(&self, port: u16) -> Command {
        let mut psql = command(&self.bin, "psql", None);
        psql.args([
            "-X",
            "-h",
            "127.0.0.1",
            "-U",
            USER,
            "-p",
            &port.to_string(),
            DATABASE,
        ]);
        psql
    }

    fn wait(&self) -> Result<(), Error> {
        for _ in 0..100 {
            let mut ready = command(&self.bin, "pg_isready", None);
            ready.args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()]);
            if ready.status().is_ok_and(|status| status.success()) {
                return Ok(());
            }
            runtime::pause(Duration::from_millis(100));
        }
        let log = fs::read_to_string(self.folder.path().join("postgres.log")).unwrap_or_default();
        Err(Error::Demo(format!(
            "PostgreSQL did not come up within 10 s: {}",
            log.trim()
        )))
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let mut stop = command(&self.bin, "pg_ctl", self.user.as_deref());
        stop.args(["stop", "-s", "-m", "immediate", "-D"])
            .arg(self.folder.path().join("data"));
        if !stop.status().is_ok_and(|status| status.success()) {
            // It is gone already, or cannot be asked.
            let _ = self.server.kill();
        }
        let _ = self.server.wait();
    }
}

fn command(bin: &Path, program: &str, user: Option<&str>) -> Command {
    let program = bin.join(program);
    let mut command = match user {
        None => Command::new(program),
        Some(user) => {
            let mut command = Command::new("setpriv");
            command.args([
                "--reuid",
                user,
                "--regid",
                &group(user),
                "--clear-groups",
                "--",
            ]);
            command.arg(program);
            command
        }
    };
    // What is set for the user's own server must not lead there.
    for name in [
        "PGHOST",
        "PGPORT",
        "PGUSER",
        "PGDATABASE",
        "PGSERVICE",
        "PGOPTIONS",
        "PGDATA",
    ] {
        command.env_remove(name);
    }
    command.current_dir("/").stdin(Stdio::null());
    command
}

/// Runs a program to its end; its own words are the error.
fn finish(command: &mut Command) -> Result<(), Error> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Error::Demo(format!("{program} does not start: {error}")))?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    Err(Error::Demo(format!(
        "{program} failed ({}): {}",
        output.status,
        words.trim()
    )))
}

fn prepare(folder: &Path, data: &Path, user: Option<&str>) -> Result<(), Error> {
    let failed = |error| Error::Demo(format!("the temporary folder cannot be prepared: {error}"));
    fs::create_dir(data).map_err(failed)?;
    fs::set_permissions(data, fs::Permissions::from_mode(0o700)).map_err(failed)?;
    if let Some(user) = user {
        // That user must be able to walk through the outer folder.
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).map_err(failed)?;
        finish(Command::new("chown").arg(user).arg(data))?;
    }
    Ok(())
}

fn ordinary_user() -> Result<String, Error> {
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    ORDINARY_USERS
        .into_iter()
        .find(|user| passwd.lines().any(|line| line.split(':').next() == Some(user)))
        .map(str::to_owned)
        .ok_or_else(|| {
            let advice = "PostgreSQL does not run as root, and there is neither a user postgres nor nobody: run the demo as an ordinary user";
            Error::Demo(advice.to_owned())
        })
}

/// The number of the user's own group.
fn group(user: &str) -> String {
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let line = passwd
        .lines()
        .find(|line| line.split(':').next() == Some(user));
    line.and_then(|line| line.split(':').nth(3))
        .unwrap_or("65534")
        .to_owned()
}

/// A port of 127.0.0.1 that nobody has now.
///
/// # Errors
/// When there is none.
pub fn free_port() -> Result<u16, Error> {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|error| Error::Demo(format!("no free port: {error}")))
}
