//! Builds `libpg_query` and the oracle, a program that speaks by pipes, with a C compiler alone.
//!
//! The C sources come with the crate `pg_query`, whose own build would need libclang for bindings:
//! a program of its own needs none, and neither `unsafe` here nor care when the C code dies.

use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The crate with the C sources.
const SOURCES: &str = "pg_query";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=oracle.c");
    println!("cargo:rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("no OUT_DIR")?);
    let sources = sources()?;
    let includes = [
        "",
        "vendor",
        "vendor/upb",
        "vendor/upb/third_party/utf8_range",
        "src/postgres/include",
        "src/include",
    ]
    .map(|folder| sources.join(folder));
    let mut library = cc::Build::new();
    library
        .files(c_files(&sources.join("src"))?)
        .files(c_files(&sources.join("src/postgres"))?)
        .file(sources.join("vendor/xxhash/xxhash.c"))
        .file(sources.join("vendor/upb/upb.c"))
        .file(sources.join("vendor/upb/third_party/utf8_range/utf8_range.c"))
        .file(sources.join("protobuf/pg_query.upb_minitable.c"))
        .includes(&includes)
        .flag("-fno-strict-aliasing")
        .flag("-fwrapv")
        // It would send its warnings through a pipe of its own for each statement.
        .define("DEBUG", None)
        .opt_level(2)
        .debug(false)
        .warnings(false)
        .cargo_metadata(false)
        .compile("pg_query");
    let oracle = out.join("oracle");
    let linked = cc::Build::new()
        .opt_level(2)
        .includes(&includes)
        .cargo_metadata(false)
        .get_compiler()
        .to_command()
        .arg("oracle.c")
        .arg("-o")
        .arg(&oracle)
        .arg(out.join("libpg_query.a"))
        .args(["-lm", "-lpthread"])
        .status()?;
    if !linked.success() {
        return Err("the oracle does not link".into());
    }
    println!("cargo:rustc-env=PGPAWL_ORACLE={}", oracle.display());
    Ok(())
}

/// The folder of the C sources; cargo fetches them for this question.
fn sources() -> Result<PathBuf, Box<dyn Error>> {
    let cargo = env::var_os("CARGO").ok_or("no CARGO")?;
    let output = Command::new(cargo)
        .args(["metadata", "--format-version=1"])
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let manifest = metadata["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|package| package["name"] == SOURCES)
        .and_then(|package| package["manifest_path"].as_str())
        .ok_or("cargo does not know pg_query")?;
    let folder = Path::new(manifest).parent().ok_or("no folder")?;
    Ok(folder.join("libpg_query"))
}

fn c_files(folder: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "c") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
