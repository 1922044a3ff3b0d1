//! Where things are: the project, the installed tools, the programs that were built.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

/// The root of the repository.
#[must_use]
pub fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("this crate is a folder of the project")
}

/// A file or folder of this crate: `fixtures/django`, `scripts/libpq.py`.
#[must_use]
pub fn of_tests(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A file under `.tools`, which `make tools` fills.
#[must_use]
pub fn tool(path: &str) -> PathBuf {
    let found = project().join(".tools").join(path);
    assert!(
        found.exists(),
        "{} is missing: run `make tools` first",
        found.display()
    );
    found
}

/// The programs of a PostgreSQL of the machine: the newest under `/usr/lib/postgresql`, or those in PATH.
#[must_use]
pub fn system_postgres() -> PathBuf {
    let installed = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let newest = installed
        .filter_map(|entry| {
            let major: u32 = entry.file_name().to_str()?.parse().ok()?;
            let bin = entry.path().join("bin");
            bin.join("initdb").exists().then_some((major, bin))
        })
        .max();
    newest
        .map(|(_, bin)| bin)
        .or_else(|| in_path("initdb"))
        .expect("no initdb under /usr/lib/postgresql nor in PATH: run `make tools`")
}

/// The folder of PATH that holds `program`.
fn in_path(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).find(|folder| folder.join(program).exists())
}

/// The pgpawl binary: the one that the environment's `PGPAWL_TEST_BINARY` names, or that of this build,
/// built if it isn't there or isn't fresh.
#[must_use]
pub fn pgpawl() -> &'static Path {
    static BINARY: LazyLock<PathBuf> = LazyLock::new(|| {
        if let Some(named) = std::env::var_os("PGPAWL_TEST_BINARY") {
            return named.into();
        }
        // target/debug/deps/integration-0123 -> target/debug
        let test = std::env::current_exe().expect("the test's own path");
        let folder = test.ancestors().nth(2).expect("target/PROFILE").to_owned();
        let target = folder.parent().expect("target");
        let mut build = Command::new(option_env!("CARGO").unwrap_or("cargo"));
        build
            .args([
                "build",
                "--quiet",
                "--package",
                "pgpawl",
                "--bin",
                "pgpawl",
                "--target-dir",
            ])
            .arg(target)
            .current_dir(project());
        if folder.ends_with("release") {
            build.arg("--release");
        }
        let built = build.status().expect("cargo runs");
        assert!(built.success(), "pgpawl does not build");
        folder.join("pgpawl")
    });
    &BINARY
}
