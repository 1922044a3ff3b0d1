//! Random programs over guarded and other tables, each run directly and through pgpawl under
//! `coverage = "transaction"`, step by step, by several sessions and both protocols.
//!
//! - The committed set never shrinks through pgpawl.
//! - As long as nothing shrinks directly, every step has the same answer on both roads, and at the end
//!   the databases hold the same: nothing is refused that does not lower.
//! - Every ReadyForQuery tells the state that the server says it is in, but for what is held: programs are
//!   run with each kind of `hold`, and through a pgpawl that cannot look for itself.
//!
//! `PGPAWL_TEST_PROGRAMS=100000 cargo test model` runs more of them. A failure prints the shortest program
//! that was found for it, its seed and its way; `PGPAWL_TEST_SEED=seed PGPAWL_TEST_WAY=way
//! PGPAWL_TEST_PROGRAMS=1` runs that one again.
//! `PGPAWL_TEST_WRITERS=1` lets only the first session write guarded tables, not all.

mod alphabet;
mod answer;
mod duel;
mod exceptions;
mod road;
mod strategy;
mod text;

use std::cell::RefCell;

use pgpawl_integration_tests::pgpawl::Pgpawl;
use pgpawl_integration_tests::postgres::{Postgres, SUPERUSER};
use pgpawl_integration_tests::wait;
use pgpawl_integration_tests::wire::Client;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use duel::{Duel, Tally};
use road::Road;

/// How many programs are run where the environment does not say.
const PROGRAMS: u64 = 2_000;

/// The first program, if not told otherwise: a run of the tests is the same each time.
const SEED: u64 = 7;

/// How many sessions write guarded tables where the environment does not say.
const WRITERS: u64 = 3;

/// How programs are run: which of their commits may be held, and whether pgpawl can look at what is committed.
/// Each way is a lane of its own, with its own programs.
const WAYS: [Way; 5] = [
    Way {
        hold: "off",
        sees: true,
    },
    Way {
        hold: "schema",
        sees: true,
    },
    Way {
        hold: "off",
        sees: false,
    },
    Way {
        hold: "schema",
        sees: false,
    },
    Way {
        hold: "writes",
        sees: true,
    },
];

/// After so many failures a lane gives up.
const FAILURES_MAX: usize = 3;

/// How many shorter programs are tried for a failure.
const SHRINKS_MAX: u32 = 1_000;

/// How much is shown of the log of a program that has ended.
const LOG_LINES_MAX: usize = 40;

/// A number of the environment.
fn number(name: &str) -> Option<u64> {
    let said = std::env::var_os(name)?.into_string().expect("digits");
    Some(
        said.parse()
            .unwrap_or_else(|_| panic!("{name} is a number")),
    )
}

/// A way to run programs.
#[derive(Clone, Copy, Debug)]
struct Way {
    hold: &'static str,
    sees: bool,
}

/// A pgpawl that programs are run through.
struct Guarded {
    pgpawl: Pgpawl,
    way: Way,
}

impl Guarded {
    fn start(way: Way) -> Self {
        let hold = way.hold;
        let look_user = if way.sees {
            SUPERUSER
        } else {
            "nobody_of_this_name"
        };
        let pgpawl = Pgpawl::before(Postgres::shared().port())
            .config(&format!("hold = \"{hold}\"\n[limits]\nhold_max_ms = 100\n"))
            .args(&[
                "--mode",
                "enforce",
                "--coverage",
                "transaction",
                "--look-user",
                look_user,
            ])
            .start();
        Self { pgpawl, way }
    }
}

/// Runs the programs of these seeds; what failed, and how the others ended.
fn lane(
    number: usize,
    guarded: &Guarded,
    seeds: impl Iterator<Item = u64>,
    writers: usize,
) -> (Vec<String>, Tally) {
    let direct = Road::new(
        &format!("direct_{number}"),
        Postgres::shared().port(),
        true,
        false,
        true,
    );
    let Guarded { pgpawl, way } = guarded;
    let (port, holds) = (pgpawl.port(), way.hold != "off");
    let guarded = Road::new(&format!("guarded_{number}"), port, false, holds, way.sees);
    let duel = RefCell::new(Duel::new(direct, guarded));
    let mut failures = Vec::new();
    for seed in seeds {
        let shown = |failure| format!("PGPAWL_TEST_WAY={number} {failure}");
        failures.extend(failure(&duel, seed, writers).map(shown));
        if failures.len() == FAILURES_MAX {
            break;
        }
    }
    (failures, duel.into_inner().tally)
}

/// What is wrong with the program of this seed, after it was shortened.
fn failure(duel: &RefCell<Duel>, seed: u64, writers: usize) -> Option<String> {
    let config = Config {
        cases: 1,
        failure_persistence: None,
        max_shrink_iters: SHRINKS_MAX,
        ..Config::default()
    };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let outcome =
        TestRunner::new_with_rng(config, rng).run(&strategy::program(writers), |program| {
            let outcome = duel.borrow_mut().run(&program);
            outcome.map_err(TestCaseError::fail)
        });
    let (why, program) = match outcome {
        Ok(()) => return None,
        Err(TestError::Fail(why, program)) => (why.to_string(), program),
        Err(TestError::Abort(why)) => panic!("no program: {why}"),
    };
    Some(format!(
        "PGPAWL_TEST_SEED={seed} PGPAWL_TEST_PROGRAMS=1 PGPAWL_TEST_WRITERS={writers} runs this again, here in short:{program:?}\n{why}"
    ))
}

/// The last lines.
fn tail(log: &str) -> String {
    let mut lines: Vec<&str> = log.lines().rev().take(LOG_LINES_MAX).collect();
    lines.reverse();
    lines.join("\n")
}

#[test]
fn random_programs() {
    let programs = number("PGPAWL_TEST_PROGRAMS").unwrap_or(PROGRAMS);
    let first = number("PGPAWL_TEST_SEED").unwrap_or(SEED);
    let writers = number("PGPAWL_TEST_WRITERS").unwrap_or(WRITERS);
    let writers = usize::try_from(writers)
        .expect("few writers")
        .clamp(1, strategy::SESSIONS);
    let server = Postgres::shared();
    let only = number("PGPAWL_TEST_WAY").map(|way| usize::try_from(way).expect("few ways"));
    let ways = WAYS.into_iter().enumerate();
    let ways = ways.filter(|(number, _)| only.is_none_or(|only| only == *number));
    let guarded: Vec<_> = ways
        .map(|(number, way)| (number, Guarded::start(way)))
        .collect();
    assert!(!guarded.is_empty(), "no such way");
    let (time, lanes) = wait::timed(|| {
        std::thread::scope(|scope| {
            let lanes: Vec<_> = (0..)
                .zip(&guarded)
                .map(|(index, (number, way))| {
                    let seeds = (first + index..first + programs).step_by(guarded.len());
                    scope.spawn(move || lane(*number, way, seeds, writers))
                })
                .collect();
            lanes
                .into_iter()
                .map(|lane| lane.join().expect("a lane"))
                .collect::<Vec<_>>()
        })
    });
    let tallies = lanes.iter().map(|(_, tally)| tally.clone());
    let tally = tallies.fold(Tally::default(), Tally::plus);
    println!("{programs} programs from seed {first} on, {writers} writers, {time:.0?}:{tally}");
    let mut failures: Vec<String> = lanes
        .into_iter()
        .flat_map(|(failures, _)| failures)
        .collect();
    for (_, Guarded { pgpawl, .. }) in &guarded {
        if !pgpawl.accepts() {
            failures.push(format!("PGPAWL HAS ENDED:\n{}", tail(&pgpawl.log())));
        }
    }
    if let Err(why) = Client::try_session(server.port(), SUPERUSER, "postgres") {
        failures.push(format!(
            "THE SERVER HAS ENDED: {why}\n{}",
            tail(&server.log())
        ));
    }
    assert!(
        failures.is_empty(),
        "{} failures:\n\n{}\n",
        failures.len(),
        failures.join("\n\n")
    );
    let same = u64::from(tally.same());
    assert!(
        programs < 100 || same > programs / 4,
        "most programs show nothing:{tally}"
    );
}
