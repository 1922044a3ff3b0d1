//! Servers that outlive no test: they end with the process that started them, however it ends.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A user that a server may run as: PostgreSQL refuses to run as root.
#[derive(Clone, Copy, Debug)]
pub struct Account {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

impl Account {
    /// An ordinary user, when we are root; none when we are one ourselves.
    #[must_use]
    pub fn ordinary() -> Option<Self> {
        if std::fs::metadata("/proc/self").map_or(1, |me| me.uid()) != 0 {
            return None;
        }
        let passwd = std::fs::read_to_string("/etc/passwd").expect("/etc/passwd");
        let named = |name: &str| {
            let line = passwd
                .lines()
                .find(|line| line.split(':').next() == Some(name))?;
            let mut fields = line.split(':').skip(2).map(str::parse);
            Some(Self {
                uid: fields.next()?.ok()?,
                gid: fields.next()?.ok()?,
            })
        };
        let found = named("postgres").or_else(|| named("nobody"));
        Some(found.expect("a user postgres or nobody"))
    }

    /// Runs `command` as this user.
    pub fn apply(self, command: &mut Command) {
        command.uid(self.uid).gid(self.gid);
    }
}

/// Waits for the end of its standard input, then ends its child and removes the folder: the pipe
/// closes when the tests' process ends, also when it is killed or its statics are never dropped.
const SCRIPT: &str = r#"folder=$1; shift; "$@" & child=$!; cat >/dev/null; kill -QUIT $child; wait $child; rm -rf "$folder""#;

/// A running server with its folder; both go when this is dropped, or when the process ends.
#[derive(Debug)]
pub struct Keeper {
    shell: Child,
}

impl Keeper {
    /// Starts `program args` as `account`, with its output in `log`. `folder` is removed at the end.
    #[must_use]
    pub fn start(account: Option<Account>, folder: &Path, log: &Path, program: &[&str]) -> Self {
        let output = File::create(log).expect("the log file");
        let mut command = Command::new("sh");
        command
            .args(["-c", SCRIPT, "keeper"])
            .arg(folder)
            .args(program)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(output.try_clone().expect("a second handle"))
            .stderr(output);
        if let Some(account) = account {
            account.apply(&mut command);
        }
        Self {
            shell: command.spawn().expect("sh"),
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        // Nothing to do about a shell that is gone already.
        let _ = self.shell.wait();
    }
}

/// Kills a process and removes its folder when our own process ends, however it ends.
#[derive(Debug)]
pub struct Leash {
    shell: Child,
}

impl Leash {
    /// On the process with this id, which works in `folder`.
    #[must_use]
    pub fn on(process: u32, folder: &Path) -> Self {
        let script = "cat >/dev/null; kill -KILL $1; rm -rf \"$2\"";
        let mut shell = Command::new("sh");
        shell
            .args(["-c", script, "leash", &process.to_string()])
            .arg(folder)
            .stdin(Stdio::piped());
        Self {
            shell: shell.spawn().expect("sh"),
        }
    }
}

impl Drop for Leash {
    /// Lets go of the process without harm to it, nor to one that got its id later.
    fn drop(&mut self) {
        // It is waiting for us: nothing to do if it is gone.
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}
