//! Other programs: where they are, and one of them run to its end within a limit.

use std::env;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use pgpawl_integration_tests::{paths, wait};

/// Folders beyond those of PATH where Debian puts daemons.
const SYSTEM_FOLDERS: [&str; 2] = ["/usr/sbin", "/usr/local/sbin"];

/// The program of this name, if it is installed.
#[must_use]
pub fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(SYSTEM_FOLDERS.map(PathBuf::from));
    folders
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// A program among the tools: of `$PGPAWL_TOOLS`, or of `.tools`, which `make tools` fills.
#[must_use]
pub fn of_tools(path: &str) -> Option<PathBuf> {
    let named = env::var_os("PGPAWL_TOOLS").map(PathBuf::from);
    let folders = named.into_iter().chain([paths::project().join(".tools")]);
    folders
        .map(|tools| tools.join(path))
        .find(|file| file.is_file())
}

/// Runs a program to its end and returns its standard output.
///
/// # Errors
/// When it fails, with what it wrote, or does not end within `limit`.
pub fn run(command: &mut Command, limit: Duration) -> io::Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let folder = tempfile::tempdir()?;
    let (out, err) = (folder.path().join("out"), folder.path().join("err"));
    let mut child = command
        .stdin(Stdio::null())
        .stdout(File::create(&out)?)
        .stderr(File::create(&err)?)
        .spawn()
        .map_err(|why| io::Error::other(format!("{name}: {why}")))?;
    let ended = wait::within(limit, || child.try_wait().transpose()).transpose()?;
    let Some(status) = ended else {
        // It may end in this very moment.
        let _ = child.kill();
        child.wait()?;
        return Err(io::Error::other(format!(
            "{name} did not end within {limit:?}"
        )));
    };
    if !status.success() {
        let words = fs::read_to_string(&err)?;
        let last: Vec<&str> = words.lines().rev().take(3).collect();
        return Err(io::Error::other(format!(
            "{name} {status}: {}",
            last.join(" / ")
        )));
    }
    fs::read_to_string(&out)
}

/// The first line that a program says of its version.
#[must_use]
pub fn version(program: &Path) -> String {
    let said = ["--version", "-v"].into_iter().find_map(|flag| {
        let mut command = Command::new(program);
        run(command.arg(flag), Duration::from_secs(10)).ok()
    });
    let said = said.unwrap_or_default();
    said.lines().next().unwrap_or("unknown").trim().to_owned()
}

/// The pgpawl of this build, in the profile that we were built in.
///
/// # Errors
/// When it does not build.
pub fn build_pgpawl() -> io::Result<PathBuf> {
    let me = env::current_exe()?;
    let folder = me.parent().unwrap_or(Path::new("."));
    let target = folder.parent().unwrap_or(Path::new("."));
    let mut build = Command::new(option_env!("CARGO").unwrap_or("cargo"));
    build
        .args(["build", "--quiet", "--package", "pgpawl", "--bin", "pgpawl"])
        .arg("--target-dir")
        .arg(target)
        .current_dir(paths::project());
    if folder.ends_with("release") {
        build.arg("--release");
    }
    if !build.status()?.success() {
        return Err(io::Error::other("pgpawl does not build"));
    }
    Ok(folder.join("pgpawl"))
}
