//! Any program: run to its end, or started and left to run.

use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::wait;

/// How long a program may run.
const LIMIT: Duration = Duration::from_secs(90);

/// What a program left.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// Its exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Outcome {
    /// Everything that it wrote.
    #[must_use]
    pub fn text(&self) -> String {
        [self.stdout.as_str(), self.stderr.as_str()].concat()
    }

    /// Fails the test unless it succeeded.
    pub fn succeeded(self, what: &str) -> Self {
        assert_eq!(self.code, Some(0), "{what}:\n{}", self.text());
        self
    }
}

/// A program with its arguments. Its environment is ours, cleaned.
#[derive(Clone, Debug)]
pub struct Tool {
    program: OsString,
    arguments: Vec<OsString>,
    variables: Vec<(String, String)>,
    folder: PathBuf,
    input: Vec<u8>,
}

impl Tool {
    /// A program by its path or name.
    #[must_use]
    pub fn new(program: impl Into<OsString>) -> Self {
        Self {
            program: program.into(),
            arguments: Vec::new(),
            variables: Vec::new(),
            folder: PathBuf::from("/"),
            input: Vec::new(),
        }
    }

    /// Arguments.
    #[must_use]
    pub fn args<T: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = T>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// A variable of the environment.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// The working folder.
    #[must_use]
    pub fn within(mut self, folder: &Path) -> Self {
        folder.clone_into(&mut self.folder);
        self
    }

    /// Standard input.
    #[must_use]
    pub fn input(mut self, bytes: &[u8]) -> Self {
        self.input = bytes.to_vec();
        self
    }

    /// Where to connect, in libpq's variables.
    #[must_use]
    pub fn connecting(self, port: u16, user: &str, database: &str) -> Self {
        self.env("PGHOST", "127.0.0.1")
            .env("PGPORT", &port.to_string())
            .env("PGUSER", user)
            .env("PGDATABASE", database)
    }

    /// Runs it to its end.
    #[must_use]
    pub fn run(&self) -> Outcome {
        self.start().outcome()
    }

    /// Starts it, and does not wait for it.
    #[must_use]
    pub fn start(&self) -> Running {
        let mut command = Command::new(&self.program);
        clean_environment(&mut command);
        let mut child = command
            .args(&self.arguments)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .current_dir(&self.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|why| panic!("{}: {why}", self.program.display()));
        let mut stdin = child.stdin.take().expect("its input");
        let input = self.input.clone();
        let feeding = thread::spawn(move || {
            use std::io::Write;
            // A program that ends without reading its input is judged by its outcome.
            let _ = stdin.write_all(&input);
        });
        let stdout = drain(child.stdout.take().expect("its output"));
        let stderr = drain(child.stderr.take().expect("its errors"));
        Running {
            child,
            feeding,
            stdout,
            stderr,
        }
    }
}

/// A program that was started. Whoever drops it lets it run.
#[derive(Debug)]
pub struct Running {
    child: Child,
    feeding: JoinHandle<()>,
    stdout: JoinHandle<String>,
    stderr: JoinHandle<String>,
}

impl Running {
    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_some()
    }

    /// What Ctrl-C sends.
    pub fn interrupt(&self) {
        let process = self.child.id().to_string();
        let sent = Command::new("kill").args(["-INT", &process]).status();
        assert!(sent.expect("kill").success(), "process {process}");
    }

    /// Waits for its end; one that runs too long is killed.
    #[must_use]
    pub fn outcome(mut self) -> Outcome {
        let ended = wait::within(LIMIT, || self.has_ended().then_some(()));
        if ended.is_none() {
            // It may end in this very moment.
            let _ = self.child.kill();
        }
        let code = self.child.wait().expect("a child").code();
        self.feeding.join().expect("the feeding thread");
        let stdout = self.stdout.join().expect("the reading thread");
        let mut stderr = self.stderr.join().expect("the reading thread");
        if ended.is_none() {
            stderr.push_str("\n(killed: it ran too long)");
        }
        Outcome {
            code,
            stdout,
            stderr,
        }
    }
}

/// Takes PostgreSQL's and pgpawl's variables away from `command`, so that nothing on the developer's
/// machine leads it elsewhere.
pub fn clean_environment(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PG") {
            command.env_remove(name);
        }
    }
}

fn drain(mut pipe: impl Read + Send + 'static) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).expect("a pipe");
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
