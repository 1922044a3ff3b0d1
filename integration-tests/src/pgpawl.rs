//! A running pgpawl: its port, its events, its log, its metrics, its memory.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::keeper::Leash;
use crate::{http, paths, port, tool, wait};

/// How to start it.
#[derive(Clone, Debug)]
pub struct Setup {
    upstream: u16,
    arguments: Vec<String>,
    config: Option<String>,
}

impl Setup {
    /// Mode `enforce`, `log` or `off`.
    #[must_use]
    pub fn mode(self, mode: &str) -> Self {
        self.args(&["--mode", mode])
    }

    /// More arguments of `pgpawl run`.
    #[must_use]
    pub fn args(mut self, arguments: &[&str]) -> Self {
        self.arguments
            .extend(arguments.iter().map(|&one| one.to_owned()));
        self
    }

    /// A configuration file of this text.
    #[must_use]
    pub fn config(mut self, toml: &str) -> Self {
        self.config = Some(toml.to_owned());
        self
    }

    /// Starts it and waits until it accepts connections.
    #[must_use]
    pub fn start(&self) -> Pgpawl {
        Pgpawl::start(self)
    }
}

/// How long an event may take after the answer that it is about.
const EVENT_MAX: Duration = Duration::from_secs(5);

type Lines = Arc<Mutex<Vec<String>>>;

/// A running pgpawl; it is killed when this is dropped.
#[derive(Debug)]
pub struct Pgpawl {
    _leash: Leash,
    child: Child,
    port: u16,
    metrics_port: u16,
    stdout: Lines,
    stderr: Lines,
    folder: tempfile::TempDir,
}

impl Pgpawl {
    /// pgpawl before the server on `upstream`, a port of 127.0.0.1.
    #[must_use]
    pub fn before(upstream: u16) -> Setup {
        Setup {
            upstream,
            arguments: Vec::new(),
            config: None,
        }
    }

    fn start(setup: &Setup) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("pgpawl-run-")
            .tempdir()
            .expect("a folder");
        let (port, metrics_port) = (port::free(), port::free());
        let mut command = Command::new(paths::pgpawl());
        tool::clean_environment(&mut command);
        command
            .arg("run")
            .args(["--listen", &format!("127.0.0.1:{port}")])
            .args([
                "--upstream",
                &format!("postgres://127.0.0.1:{}", setup.upstream),
            ])
            .args(["--metrics-listen", &format!("127.0.0.1:{metrics_port}")])
            .args(&setup.arguments);
        if !setup
            .config
            .as_deref()
            .is_some_and(|text| text.contains("state_file"))
        {
            command.args(["--state-file", "off"]);
        }
        if let Some(text) = &setup.config {
            let file = folder.path().join("pgpawl.toml");
            std::fs::write(&file, text).expect("the configuration file");
            command.arg("--config").arg(file);
        }
        let mut child = command
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("pgpawl");
        let stdout = follow(child.stdout.take().expect("its output"));
        let stderr = follow(child.stderr.take().expect("its errors"));
        let leash = Leash::on(child.id(), folder.path());
        let mut started = Self {
            _leash: leash,
            child,
            port,
            metrics_port,
            stdout,
            stderr,
            folder,
        };
        started.wait_until_accepting();
        started
    }

    fn wait_until_accepting(&mut self) {
        wait::until("pgpawl accepts connections", || {
            if let Some(status) = self.child.try_wait().expect("a child") {
                panic!("pgpawl ended with {status}:\n{}", self.log());
            }
            self.accepts().then_some(())
        });
    }

    /// Whether it listens.
    #[must_use]
    pub fn accepts(&self) -> bool {
        std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok()
    }

    /// Its port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its working folder.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// Everything that it logged.
    #[must_use]
    pub fn log(&self) -> String {
        let (out, err) = (lines_of(&self.stdout), lines_of(&self.stderr));
        [out, err].concat().join("\n")
    }

    /// The events so far: the lines of its standard output that are JSON objects with a verdict.
    #[must_use]
    pub fn events(&self) -> Vec<Value> {
        let parsed = lines_of(&self.stdout)
            .into_iter()
            .filter_map(|line| serde_json::from_str(&line).ok());
        parsed
            .filter(|event: &Value| event.get("verdict").is_some())
            .collect()
    }

    /// The events with these values in these fields.
    #[must_use]
    pub fn events_with(&self, fields: &[(&str, &str)]) -> Vec<Value> {
        let mut events = self.events();
        events.retain(|event| {
            fields
                .iter()
                .all(|(name, wanted)| event.get(*name).and_then(Value::as_str) == Some(wanted))
        });
        events
    }

    /// Waits for an event with these values in these fields; the first of them is the database.
    ///
    /// # Errors
    /// The events of that database in its place.
    pub fn event(&self, fields: &[(&str, &str)]) -> Result<Value, String> {
        let found = wait::within(EVENT_MAX, || self.events_with(fields).pop());
        found.ok_or_else(|| {
            let instead = self.events_with(&fields[..1]);
            let lines: Vec<String> = instead.iter().map(Value::to_string).collect();
            format!("no event {fields:?} but:\n{}", lines.join("\n"))
        })
    }

    /// Waits for an event with these values in these fields; none fails the test.
    pub fn wait_for_event(&self, fields: &[(&str, &str)]) -> Value {
        self.event(fields).unwrap_or_else(|why| panic!("{why}"))
    }

    /// GETs a path of its admin port.
    #[must_use]
    pub fn get(&self, path: &str) -> http::Answer {
        wait::until("pgpawl answers over HTTP", || {
            http::get(self.metrics_port, path)
        })
    }

    /// The sum of the samples of a metric whose labels contain all of `labels`, as `mode="log"`.
    #[must_use]
    pub fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let text = self.get("/metrics").text;
        let samples = text.lines().filter(|line| {
            let after = line.strip_prefix(name);
            after.is_some_and(|rest| rest.starts_with(['{', ' ']))
                && labels.iter().all(|label| line.contains(label))
        });
        samples
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    /// A line of `/proc/PID/status` in KiB: `VmHWM` is the peak of its resident memory, `VmRSS` the present.
    #[must_use]
    pub fn memory_kib(&self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))
            .expect("its status");
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        let number = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
        number.unwrap_or_else(|| panic!("no {field} in:\n{status}"))
    }

    /// Sends it a signal: `TERM`, `INT`, `HUP`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &self.child.id().to_string()])
            .status();
        assert!(
            sent.is_ok_and(|status| status.success()),
            "cannot signal pgpawl"
        );
    }

    /// Waits for its end.
    pub fn wait_for_end(&mut self) -> ExitStatus {
        wait::until("pgpawl ends", || self.child.try_wait().expect("a child"))
    }
}

impl Drop for Pgpawl {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Collects the lines of a pipe as they come.
fn follow(pipe: impl Read + Send + 'static) -> Lines {
    let lines = Lines::default();
    let collected = Arc::clone(&lines);
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            collected.lock().expect("the lines").push(line);
        }
    });
    lines
}

fn lines_of(lines: &Lines) -> Vec<String> {
    lines.lock().expect("the lines").clone()
}
