//! Workloads of one session that moves much: pipelines, COPY, wide rows.

use std::io;
use std::time::Duration;

use pgpawl_integration_tests::wire::message::{self, Parameter};

use super::session::Session;
use super::{Driven, Site};
use crate::clock;

use crate::server;

/// Statements of a pipeline, before its Sync.
const PIPELINE_LEN: u64 = 100;

/// Accounts of pgbench at the least scale.
const ACCOUNTS: u64 = 100_000;

/// Rows of a wide answer.
const WIDE_ROWS: u64 = 100;

/// Bytes of the column of a wide row.
const WIDE_LEN: usize = 10_000;

/// Bytes of a line of COPY, its end included, and lines of a CopyData.
const LINE_LEN: usize = 1_024;
const LINES: usize = 64;
const MIB: usize = 1_024 * 1_024;

/// What COPY FROM needs. Its rows are dropped by `WHERE false`: the server does little, so that the
/// way to it counts.
pub const COPY_TABLE: &str = "CREATE TABLE IF NOT EXISTS copied (line text)";

/// Pipelines of prepared SELECTs; latencies are of whole pipelines.
///
/// # Errors
/// When the session fails.
pub fn pipeline(site: &Site) -> io::Result<Driven> {
    let mut session = Session::open(site.port, server::DATABASE)?;
    let select = b"SELECT abalance FROM pgbench_accounts WHERE aid = $1";
    session.send(&[message::parse("s", select), message::sync()].concat())?;
    session.read_until(b'Z')?;
    let mut account = 1;
    repeat(site.effort.span, PIPELINE_LEN, || {
        let mut batch = Vec::new();
        for _ in 0..PIPELINE_LEN {
            // Goes through all accounts far apart from each other.
            account = (account + 61_803) % ACCOUNTS + 1;
            let parameter = Parameter::Text(account.to_string().into_bytes());
            batch.extend(message::bind("", "s", &[parameter]));
            batch.extend(message::execute("", 0));
        }
        batch.extend(message::sync());
        session.send(&batch)?;
        session.read_until(b'Z').map(|_| ())
    })
}

/// Answers of wide rows; latencies are of whole answers.
///
/// # Errors
/// When the session fails.
pub fn wide_rows(site: &Site) -> io::Result<Driven> {
    let mut session = Session::open(site.port, server::DATABASE)?;
    let sql = format!("SELECT repeat('x', {WIDE_LEN}) FROM generate_series(1, {WIDE_ROWS})");
    repeat(site.effort.span, WIDE_ROWS, || {
        session.query(&sql)?;
        session.read_until(b'Z').map(|_| ())
    })
}

/// Runs `step` for a span; each counts as so many operations, and is timed.
fn repeat(
    span: Duration,
    operations: u64,
    mut step: impl FnMut() -> io::Result<()>,
) -> io::Result<Driven> {
    let mut driven = Driven::default();
    let began = clock::now();
    while began.elapsed() < span {
        let step_began = clock::now();
        step()?;
        driven.micros.push(step_began.elapsed().as_secs_f64() * 1e6);
        driven.operations += operations;
    }
    driven.seconds = began.elapsed().as_secs_f64();
    Ok(driven)
}

/// COPY TO STDOUT.
///
/// # Errors
/// When the session fails, or not all came.
pub fn copy_out(site: &Site) -> io::Result<Driven> {
    let mut session = Session::open(site.port, server::DATABASE)?;
    let lines = site.effort.copy_mib * MIB / LINE_LEN;
    let sql = format!(
        "COPY (SELECT repeat('x', {}) FROM (SELECT generate_series(1, {lines})) lines) TO STDOUT",
        LINE_LEN - 1
    );
    let began = clock::now();
    session.query(&sql)?;
    let received = session.read_until(b'Z')?;
    if received < lines * LINE_LEN {
        return Err(io::Error::other(format!("only {received} bytes came")));
    }
    copied(site, began.elapsed())
}

/// COPY FROM STDIN.
///
/// # Errors
/// When the session fails.
pub fn copy_in(site: &Site) -> io::Result<Driven> {
    let mut session = Session::open(site.port, server::DATABASE)?;
    let mut line = vec![b'x'; LINE_LEN - 1];
    line.push(b'\n');
    let data = message::tagged(b'd', &line.repeat(LINES));
    let began = clock::now();
    session.query("COPY copied FROM STDIN WHERE false")?;
    session.read_until(b'G')?;
    for _ in 0..site.effort.copy_mib * MIB / (LINE_LEN * LINES) {
        session.send(&data)?;
    }
    session.send(&message::tagged(b'c', &[]))?;
    session.read_until(b'Z')?;
    copied(site, began.elapsed())
}

fn copied(site: &Site, took: Duration) -> io::Result<Driven> {
    let operations = u64::try_from(site.effort.copy_mib).map_err(io::Error::other)?;
    Ok(Driven {
        operations,
        seconds: took.as_secs_f64(),
        ..Driven::default()
    })
}
