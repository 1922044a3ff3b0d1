//! One workload of each kind runs through every variant that is installed, and tells its figures.

use std::fs;
use std::process::Command;

use serde_json::Value;

/// Of each driver one.
const WORKLOADS: [&str; 7] = [
    "tpcb-prepared-c8",
    "tables-1",
    "pipeline-100",
    "copy-in",
    "copy-out",
    "storm-trust",
    "idle",
];

/// Those that need nothing to be installed.
const VARIANTS: [&str; 5] = [
    "direct",
    "raw",
    "pgpawl-off",
    "pgpawl-statement",
    "pgpawl-transaction",
];

#[test]
fn every_driver_and_every_variant_gives_figures() {
    let folder = tempfile::tempdir().expect("a folder");
    let (json, html) = (
        folder.path().join("all.json"),
        folder.path().join("all.html"),
    );
    let run = Command::new(env!("CARGO_BIN_EXE_pgpawl-bench"))
        .args(["compare", "--quick", "--copy-mib", "2", "--sessions", "20"])
        .arg("--json")
        .arg(&json)
        .arg("--html")
        .arg(&html)
        .arg("--workload")
        .args(WORKLOADS)
        .output()
        .expect("the benchmark runs");
    let said = String::from_utf8_lossy(&run.stdout);
    let errors = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{said}\n{errors}");

    let text = fs::read_to_string(&json).expect("its results");
    let results: Value = serde_json::from_str(&text).expect("JSON");
    let workloads = results["workloads"].as_array().expect("a list");
    assert_eq!(workloads.len(), WORKLOADS.len());
    for workload in workloads {
        let rows = workload["rows"].as_array().expect("a list");
        for variant in VARIANTS {
            let row = rows.iter().find(|row| row["variant"] == variant);
            let figures = &row.expect(variant)["figures"];
            let rate = figures["rate"]["median"].as_f64();
            assert!(rate.is_some_and(|rate| rate > 0.0), "{workload:#}");
            let proxied = figures.get("proxy_cpu").is_some();
            assert_eq!(proxied, variant != "direct", "{workload:#}");
        }
    }
    let page = fs::read_to_string(&html).expect("its page");
    assert!(page.matches("<svg").count() >= 2 * WORKLOADS.len());
}

#[test]
fn what_does_not_exist_is_said() {
    let run = Command::new(env!("CARGO_BIN_EXE_pgpawl-bench"))
        .args(["compare", "--workload", "selct"])
        .output()
        .expect("the benchmark runs");
    assert_eq!(run.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&run.stderr).contains("`selct`"));
}
