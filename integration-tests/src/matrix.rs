//! The matrix: what every migration tool is put through with `hold`, in any way in which it can be
//! used. The tool's own files say the rest: one [`Journey`] for each way.

use serde_json::Value;

use crate::pgpawl::Pgpawl;
use crate::postgres::Postgres;
use crate::snapshot;
use crate::tool::{Outcome, Tool};

/// Where a tool is told to go. The fixtures have four versions: a table with a row, a table that refers
/// to it, a column with data, one more table.
#[derive(Clone, Copy, Debug)]
pub enum Way {
    /// Up to the version `to`, by `count` steps.
    Up {
        /// From 1 to 4.
        to: u8,
        /// How many versions are new.
        count: u8,
    },
    /// From the third version to the second.
    Down,
    /// As far down as the tool goes by one command.
    DownAll,
}

/// What is held while the direction isn't known: pgpawl's key `hold`.
#[derive(Clone, Copy, Debug)]
pub enum Hold {
    /// Changes of the schema.
    Schema,
    /// Changes of rows too: for data migrations.
    Writes,
}

impl Hold {
    /// The line of pgpawl's configuration. The environment's `PGPAWL_TEST_HOLD=off` leaves it out, to
    /// see what the tools do without.
    #[must_use]
    pub fn line(self) -> &'static str {
        match self {
            _ if !is_held() => "",
            Self::Schema => "hold = \"schema\"\n",
            Self::Writes => "hold = \"writes\"\n",
        }
    }
}

fn is_held() -> bool {
    std::env::var_os("PGPAWL_TEST_HOLD").is_none_or(|value| value != "off")
}

/// How a tool shows that its way down was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shown {
    /// By its exit code, with pgpawl's reason in its output.
    ByExitCode,
    /// Not at all: it swallows the error, and the event alone tells.
    ByTheEventOnly,
}

/// One way of using one tool.
pub struct Journey {
    /// The tool's name in pgpawl's profiles.
    pub tool: &'static str,
    /// The oldest major version of PostgreSQL that the tool supports.
    pub oldest_major: u32,
    /// What is held.
    pub hold: Hold,
    /// What else pgpawl's configuration says.
    pub config: fn() -> String,
    /// The command for a way, with port and database.
    pub command: fn(Way, u16, &str) -> Tool,
    /// The recorded history, without times and random values.
    pub history: &'static str,
    /// The tables that the tool keeps for itself: history, locks, logs.
    pub own: &'static [&'static str],
    /// Those of them that a run changes also when it fails: locks and logs.
    pub restless: &'static [&'static str],
    /// How a refusal shows.
    pub shown: Shown,
}

const FIRST: Way = Way::Up { to: 1, count: 1 };
const SECOND: Way = Way::Up { to: 2, count: 1 };
const THIRD: Way = Way::Up { to: 3, count: 1 };
const FOURTH: Way = Way::Up { to: 4, count: 1 };
const NOTHING_TO_DO: Way = Way::Up { to: 3, count: 0 };
const AT_ONCE: Way = Way::Up { to: 3, count: 3 };

impl Journey {
    /// Up by three runs, and one step down: directly, where it must lower; then through pgpawl.
    pub fn step_by_step(&self) {
        if self.is_possible() {
            let direct = self.ascend_directly(&[FIRST, SECOND]);
            let second = snapshot::without(&direct, self.own);
            self.go(THIRD, Postgres::shared().port(), &direct);
            self.guarded(&[FIRST, SECOND, THIRD], Way::Down, &direct);
            self.descend_directly(Way::Down, &direct);
            let reverted = snapshot::without(&direct, self.own);
            snapshot::assert_same(
                "a step down leads to the second version",
                &reverted,
                &second,
            );
        }
    }

    /// Up by one run, and down all the way.
    pub fn at_once(&self) {
        if self.is_possible() {
            let direct = self.ascend_directly(&[AT_ONCE]);
            self.guarded(&[AT_ONCE], Way::DownAll, &direct);
            self.descend_directly(Way::DownAll, &direct);
        }
    }

    fn is_possible(&self) -> bool {
        Postgres::shared().major() >= self.oldest_major && snapshot::is_possible()
    }

    fn go(&self, way: Way, port: u16, database: &str) -> Outcome {
        let what = format!("{} {way:?} in {database}", self.tool);
        (self.command)(way, port, database).run().succeeded(&what)
    }

    fn history(&self, database: &str) -> String {
        Postgres::shared().value(database, self.history)
    }

    fn ascend_directly(&self, ways: &[Way]) -> String {
        let postgres = Postgres::shared();
        let database = postgres.database(&format!("{}_direct", self.tool));
        for way in ways {
            self.go(*way, postgres.port(), &database);
        }
        database
    }

    /// Without pgpawl the way down lowers the record and takes the schema or the data back.
    fn descend_directly(&self, way: Way, database: &str) {
        let history = self.history(database);
        let schema = snapshot::without(database, self.own);
        self.go(way, Postgres::shared().port(), database);
        assert_ne!(self.history(database), history, "the record is lowered");
        let after = snapshot::without(database, self.own);
        assert_ne!(after, schema, "the way down takes something back");
    }

    /// Through pgpawl: up as `direct` went, then down in vain, then up again.
    fn guarded(&self, up: &[Way], down: Way, direct: &str) {
        let postgres = Postgres::shared();
        let config = [self.hold.line(), &(self.config)()].concat();
        let pgpawl = Pgpawl::before(postgres.port()).config(&config).start();
        let database = postgres.database(&format!("{}_guarded", self.tool));
        for way in up {
            self.go(*way, pgpawl.port(), &database);
        }
        let refusals = pgpawl.events_with(&[("database", &database), ("verdict", "refuse")]);
        assert_eq!(refusals, [] as [Value; 0], "an upgrade is refused");
        self.assert_like(&database, direct);

        let before = self.all(&database);
        let outcome = (self.command)(down, pgpawl.port(), &database).run();
        self.assert_refused(&outcome);
        let event = pgpawl.wait_for_event(&[("database", &database), ("verdict", "refuse")]);
        assert_eq!(event["tool"], self.tool, "{event}");
        if is_held() {
            let what = "a refused way down leaves everything as it was";
            snapshot::assert_same(what, &self.all(&database), &before);
        }
        assert_eq!(self.history(&database), self.history(direct));

        self.go(NOTHING_TO_DO, pgpawl.port(), &database);
        self.go(FOURTH, pgpawl.port(), &database);
        assert_ne!(
            self.history(&database),
            self.history(direct),
            "a fourth version"
        );
    }

    /// Schema, rows and recorded history are those of `direct`.
    fn assert_like(&self, database: &str, direct: &str) {
        let found = snapshot::without_rows_of(database, self.own);
        let expected = snapshot::without_rows_of(direct, self.own);
        snapshot::assert_same("up through pgpawl is up directly", &found, &expected);
        assert_eq!(self.history(database), self.history(direct));
    }

    fn all(&self, database: &str) -> String {
        snapshot::without_rows_of(database, self.restless)
    }

    fn assert_refused(&self, outcome: &Outcome) {
        if self.shown == Shown::ByExitCode {
            let text = outcome.text();
            let code = outcome.code;
            assert!(
                !matches!(code, Some(0) | None),
                "exit code {code:?}:\n{text}"
            );
            assert!(text.contains("lower"), "the reason is missing:\n{text}");
        }
    }
}

/// The tests of one journey.
#[macro_export]
macro_rules! matrix {
    ($name:ident, $journey:expr) => {
        mod $name {
            #[allow(
                unused_imports,
                reason = "a journey takes what it needs of its tool's file"
            )]
            use super::*;
            use pgpawl_integration_tests::matrix::Journey;

            const JOURNEY: Journey = $journey;

            #[test]
            fn step_by_step() {
                JOURNEY.step_by_step();
            }

            #[test]
            fn at_once() {
                JOURNEY.at_once();
            }
        }
    };
}
