//! Ways round the guard, by the cases of `cases/evasions/*.case`: each is run directly, where it must
//! lower the committed set, and through pgpawl under `coverage = "transaction"`, where it must not.
//!
//! A case is written as in `case`, but nobody waits for exact answers: every message is sent as soon as
//! it comes, and what its session is answered up to ReadyForQuery (or a COPY, or silence) is thrown away.
//! The committed set of `public.schema_migrations` is looked at by a direct session after every message,
//! so that a version that appears in the middle and is gone at the end counts too.
//!
//! - `check sql => guarded ~ direct` is asked as the owner when all sessions are over, at the end: for what the
//!   set of that one table does not show.
//! - A session whose name begins with `twin` goes through a second pgpawl before the same server.
//! - `session end` ends the current session.
//! - Where a case has a `=> wait`, nothing else in it waits: all messages before it go in one write.
//! - `(harmless)` in a name: the case does not lower directly, either. `(ends the session)`: it may.
//!
//! What is in `cases/evasions/known_gaps` must *still* get through: whoever closes one takes it off.

mod attack;

use std::sync::LazyLock;

use pgpawl_integration_tests::case::{Case, File};
use pgpawl_integration_tests::pgpawl::Pgpawl;
use pgpawl_integration_tests::postgres::Postgres;

use attack::run;

const KNOWN_GAPS: &str = include_str!("../../../cases/evasions/known_gaps");

fn enforcing() -> Pgpawl {
    Pgpawl::before(Postgres::shared().port())
        .args(&["--mode", "enforce", "--coverage", "transaction"])
        .start()
}

static PGPAWL: LazyLock<Pgpawl> = LazyLock::new(enforcing);
/// One that is not let in to look for itself.
static BLIND: LazyLock<Pgpawl> = LazyLock::new(|| {
    Pgpawl::before(Postgres::shared().port())
        .args(&["--mode", "enforce", "--coverage", "transaction"])
        .args(&["--look-user", "nobody_of_this_name"])
        .start()
});
static TWIN: LazyLock<Pgpawl> = LazyLock::new(enforcing);

/// Which road a case takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Road {
    Direct,
    Guarded,
    Blind,
}

impl Road {
    fn port(self, session: &str) -> u16 {
        match self {
            Self::Direct => Postgres::shared().port(),
            Self::Guarded if session.starts_with("twin") => TWIN.port(),
            Self::Guarded => PGPAWL.port(),
            Self::Blind => BLIND.port(),
        }
    }
}

/// The reason why a case of a file still gets through.
fn known_gap(file: &str, case: &str) -> Option<&'static str> {
    // A case's name begins with a word, then a colon and what it shows.
    let stem = case.split(':').next().unwrap_or(case);
    let wanted = format!("{file}/{stem}");
    KNOWN_GAPS.lines().find_map(|line| {
        let (name, reason) = line.split_once(" - ")?;
        (name.trim() == wanted).then(|| reason.trim())
    })
}

/// What is wrong with a case, if anything.
fn verdict(file: &str, case: &Case, template: &str) -> Option<String> {
    let direct = run(Road::Direct, template, case);
    let harmless = case.name.contains("(harmless)");
    if direct.lost.is_empty() != harmless {
        let said = direct.transcript.join("\n  ");
        let what = if harmless { "lowers" } else { "does not lower" };
        return Some(format!("{what} directly:\n  {said}"));
    }
    // Where it is a matter of what pgpawl can see of others, it is also run where that is nothing.
    let roads: &[Road] = match file {
        "concurrency" | "racy" => &[Road::Guarded, Road::Blind],
        _ => &[Road::Guarded],
    };
    roads.iter().find_map(|&road| {
        let why = verdict_on(road, file, case, template)?;
        Some(format!("{road:?}: {why}"))
    })
}

/// What is wrong with a case on a guarded road.
fn verdict_on(road: Road, file: &str, case: &Case, template: &str) -> Option<String> {
    let guarded = run(road, template, case);
    let said = guarded.transcript.join("\n  ");
    let gap = known_gap(file, &case.name);
    let ends = case.name.contains("(ends the session)");
    match (guarded.lost.is_empty(), gap) {
        (true, Some(reason)) => Some(format!(
            "no longer gets through: take it off known_gaps ({reason})\n  {said}"
        )),
        (false, None) => Some(format!("GETS THROUGH: {:?} lost\n  {said}", guarded.lost)),
        _ if !guarded.unusable.is_empty() && gap.is_none() && !ends => Some(format!(
            "not usable afterwards: {:?}\n  {said}",
            guarded.unusable
        )),
        _ => None,
    }
}

#[expect(clippy::disallowed_methods, reason = "as in `case`")]
fn is_wanted(case: &Case) -> bool {
    std::env::var("PGPAWL_TEST_CASE").map_or(true, |word| case.name.contains(&word))
}

fn check(name: &str, text: &str) {
    let postgres = Postgres::shared();
    let file = File::read(text);
    let template = postgres.database("evasions");
    postgres.run_all(&template, &file.setup);
    let major = postgres.major();
    let mut failures = Vec::new();
    for case in &file.cases {
        if !case.is_for(major) || !is_wanted(case) {
            continue;
        }
        if let Some(why) = verdict(name, case, &template) {
            failures.push(format!("{name}/{}: {why}", case.name));
        }
    }
    let count = failures.len();
    assert!(
        failures.is_empty(),
        "{count} of {}:\n\n{}\n",
        file.cases.len(),
        failures.join("\n\n")
    );
}

macro_rules! evasions {
    ($($(#[$attribute:meta])* $name:ident)*) => {
        $(#[test]
        $(#[$attribute])*
        fn $name() {
            let setup = include_str!("../../../cases/evasions/setup");
            let cases = include_str!(concat!("../../../cases/evasions/", stringify!($name), ".case"));
            check(stringify!($name), &format!("{setup}\n{cases}"));
        })*
    };
}

evasions! {
    code
    concurrency
    containers
    identifiers
    protocol
    racy
    sessions
    tables
}
