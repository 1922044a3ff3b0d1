//! The matrix: what every migration tool is put through with `hold`, in any way in which it can be
//! used. The tool's own files say the rest: one [`Journey`] for each way.

use serde_json::Value;

use crate::pgpawl::Pgpawl;
use crate::postgres::Postgres;
use crate::tool::{Outcome, Tool};
use crate::{snapshot, wait};

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
    /// The line of pgpawl's configuration; it begins one, or stands in a rule. The environment's `PGPAWL_TEST_HOLD=off` leaves it out, to
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

    /// The third version fails at its data, is mended and tried again: as directly.
    pub fn failing(&self) {
        if self.is_possible() {
            let direct = self.fail_and_mend(Postgres::shared().port(), "direct");
            let pgpawl = self.pgpawl();
            let guarded = self.fail_and_mend(pgpawl.port(), "guarded");
            let stops = ["a failed version", "a version that is tried again"];
            for (what, (direct, guarded)) in stops.iter().zip(direct.iter().zip(&guarded)) {
                assert_eq!(guarded.code, direct.code, "{what}: {}", guarded.output);
                assert_eq!(
                    guarded.history, direct.history,
                    "{what}: {}",
                    guarded.output
                );
                snapshot::assert_same(what, &guarded.rest, &direct.rest);
                let (said, direct) = (&guarded.output, &direct.output);
                assert_eq!(
                    said.contains(REASON),
                    direct.contains(REASON),
                    "{what}: {said}"
                );
            }
        }
    }

    /// Two runs to the third version at the same time end where one does: the tool's own lock decides,
    /// or the server's.
    pub fn two_at_once(&self) {
        if self.is_possible() {
            let direct = self.ascend_directly(&[FIRST, SECOND, THIRD]);
            let pgpawl = self.pgpawl();
            let guarded = self.ascend(&[FIRST, SECOND], pgpawl.port(), "guarded");
            let run = || (self.command)(THIRD, pgpawl.port(), &guarded).run();
            let outcomes = std::thread::scope(|scope| {
                let other = scope.spawn(run);
                [run(), other.join().expect("the other run")]
            });
            wait_for_the_end_of_sessions(&guarded);
            assert!(
                outcomes.iter().any(|outcome| outcome.code == Some(0)),
                "none of two runs succeeds: {outcomes:?}"
            );
            assert_never_refused(&pgpawl, &guarded);
            self.assert_like(&guarded, &direct);
        }
    }

    fn is_possible(&self) -> bool {
        Postgres::shared().major() >= self.oldest_major && snapshot::is_possible()
    }

    fn go(&self, way: Way, port: u16, database: &str) -> Outcome {
        let what = format!("{} {way:?} in {database}", self.tool);
        self.run(way, port, database).succeeded(&what)
    }

    fn run(&self, way: Way, port: u16, database: &str) -> Outcome {
        let outcome = (self.command)(way, port, database).run();
        wait_for_the_end_of_sessions(database);
        outcome
    }

    fn pgpawl(&self) -> Pgpawl {
        let config = [self.hold.line(), &(self.config)()].concat();
        Pgpawl::before(Postgres::shared().port())
            .config(&config)
            .start()
    }

    fn history(&self, database: &str) -> String {
        Postgres::shared().value(database, self.history)
    }

    fn ascend_directly(&self, ways: &[Way]) -> String {
        self.ascend(ways, Postgres::shared().port(), "direct")
    }

    fn ascend(&self, ways: &[Way], port: u16, stem: &str) -> String {
        let database = Postgres::shared().database(&format!("{}_{stem}", self.tool));
        for way in ways {
            self.go(*way, port, &database);
        }
        database
    }

    fn fail_and_mend(&self, port: u16, stem: &str) -> [Stop; 2] {
        let postgres = Postgres::shared();
        let database = self.ascend(&[FIRST, SECOND], port, stem);
        let customers = postgres.value(&database, CUSTOMERS);
        postgres.run(&database, OBSTACLE);
        let trigger = format!(
            "CREATE TRIGGER obstacle BEFORE UPDATE ON {customers} EXECUTE FUNCTION obstacle()"
        );
        postgres.run(&database, &trigger);
        let failed = self.stop(port, &database);
        postgres.run(&database, "DROP FUNCTION obstacle CASCADE");
        // What a tool without transactions has left half done.
        let column = format!("ALTER TABLE {customers} DROP COLUMN IF EXISTS email");
        postgres.run(&database, &column);
        [failed, self.stop(port, &database)]
    }

    fn stop(&self, port: u16, database: &str) -> Stop {
        let outcome = self.run(THIRD, port, database);
        Stop {
            code: outcome.code,
            output: outcome.text(),
            history: self.history(database),
            rest: snapshot::without_rows_of(database, self.own),
        }
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
        let pgpawl = self.pgpawl();
        let database = self.ascend(up, pgpawl.port(), "guarded");
        assert_never_refused(&pgpawl, &database);
        self.assert_like(&database, direct);

        let before = self.all(&database);
        let outcome = self.run(down, pgpawl.port(), &database);
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

/// What is found after a run.
struct Stop {
    code: Option<i32>,
    output: String,
    history: String,
    /// Everything but the tool's own rows.
    rest: String,
}

/// The table of the first version: `customers`, or with an app's name before it.
const CUSTOMERS: &str =
    "SELECT relname FROM pg_class WHERE relkind = 'r' AND relname LIKE '%customer%'";

const REASON: &str = "an obstacle";
const OBSTACLE: &str = "CREATE FUNCTION obstacle() RETURNS trigger LANGUAGE plpgsql \
                        AS 'BEGIN RAISE ''an obstacle''; END'";

fn assert_never_refused(pgpawl: &Pgpawl, database: &str) {
    let refusals = pgpawl.events_with(&[("database", database), ("verdict", "refuse")]);
    assert_eq!(refusals, [] as [Value; 0], "an upgrade is refused");
}

/// A tool can end before the server does what its last words set off.
fn wait_for_the_end_of_sessions(database: &str) {
    let sessions = format!("SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}'");
    wait::until_true(&format!("all sessions in {database} end"), || {
        Postgres::shared().value("postgres", &sessions) == "0"
    });
}

/// The tests of one journey.
#[macro_export]
macro_rules! matrix {
    ($name:ident, $journey:expr) => {
        pub mod $name {
            #[allow(
                unused_imports,
                reason = "a journey takes what it needs of its tool's file"
            )]
            use super::*;
            use pgpawl_integration_tests::matrix::Journey;

            pub const JOURNEY: Journey = $journey;

            #[test]
            fn step_by_step() {
                JOURNEY.step_by_step();
            }

            #[test]
            fn at_once() {
                JOURNEY.at_once();
            }

            #[test]
            fn failing() {
                JOURNEY.failing();
            }
        }
    };
}
