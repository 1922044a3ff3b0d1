//! What every tool is put through, and what must be found at each stop.

use pgpawl_integration_tests::pgpawl::Pgpawl;
use pgpawl_integration_tests::postgres::Postgres;
use pgpawl_integration_tests::tool::{Outcome, Tool};

/// The way of one tool by one driver. Its commands take port and database.
pub struct Journey {
    /// The tool's name in pgpawl's profiles.
    pub tool: &'static str,
    /// The oldest major version of PostgreSQL that the tool supports.
    pub oldest_major: u32,
    /// From an empty database to the second version.
    pub up: fn(u16, &str) -> Tool,
    /// To the third version, which adds a column `email` with data.
    pub up_again: fn(u16, &str) -> Tool,
    /// Everything is there already.
    pub nothing_to_do: fn(u16, &str) -> Tool,
    /// From the third version to the second.
    pub down: fn(u16, &str) -> Tool,
    /// The recorded versions.
    pub versions: &'static str,
    /// What `versions` gives after `up`, after `up_again` and after an unguarded `down`.
    pub recorded: [&'static str; 3],
    /// What the third version added, as rows; it fails where the column is gone.
    pub data: &'static str,
}

const EMAIL: &str = "ada@example.org";

impl Journey {
    /// Directly: the tool itself does what the journey says.
    pub fn direct(&self) {
        if !self.is_supported() {
            return;
        }
        let postgres = Postgres::shared();
        let database = self.ascend(postgres.port(), "direct");
        (self.down)(postgres.port(), &database)
            .run()
            .succeeded("down");
        self.assert_lowered(&database);
    }

    /// In enforce mode the way down is refused with an exit code, the reason is in the tool's output,
    /// and the rows are what they were.
    pub fn enforced(&self, pgpawl: &Pgpawl) {
        if !self.is_supported() {
            return;
        }
        let database = self.ascend(pgpawl.port(), "enforced");
        assert_eq!(
            pgpawl.events_with(&[("database", &database), ("verdict", "refuse")]),
            [] as [serde_json::Value; 0]
        );
        let outcome = (self.down)(pgpawl.port(), &database).run();
        self.assert_refused(&outcome, &database);
        let event = pgpawl.wait_for_event(&[("database", &database), ("verdict", "refuse")]);
        assert_eq!(event["tool"], self.tool, "{event}");
        let again = (self.nothing_to_do)(pgpawl.port(), &database).run();
        again.succeeded("nothing to do after a refusal");
    }

    /// In log mode the way down passes, and pgpawl says that it would have refused.
    pub fn logged(&self, pgpawl: &Pgpawl) {
        if !self.is_supported() {
            return;
        }
        let database = self.ascend(pgpawl.port(), "logged");
        (self.down)(pgpawl.port(), &database)
            .run()
            .succeeded("down in log mode");
        self.assert_lowered(&database);
        let event = pgpawl.wait_for_event(&[("database", &database), ("verdict", "would-refuse")]);
        assert_eq!(event["tool"], self.tool, "{event}");
    }

    fn is_supported(&self) -> bool {
        Postgres::shared().major() >= self.oldest_major
    }

    /// Up, up again, nothing to do: everything that must pass. The name of the database.
    pub fn ascend(&self, port: u16, stem: &str) -> String {
        let postgres = Postgres::shared();
        let database = postgres.database(&format!("{}_{stem}", self.tool));
        (self.up)(port, &database).run().succeeded("up");
        assert_eq!(postgres.value(&database, self.versions), self.recorded[0]);
        (self.up_again)(port, &database).run().succeeded("up again");
        assert_eq!(postgres.value(&database, self.versions), self.recorded[1]);
        (self.nothing_to_do)(port, &database)
            .run()
            .succeeded("nothing to do");
        assert_eq!(postgres.value(&database, self.versions), self.recorded[1]);
        assert_eq!(postgres.value(&database, self.data), EMAIL);
        database
    }

    pub fn assert_refused(&self, outcome: &Outcome, database: &str) {
        let postgres = Postgres::shared();
        let text = outcome.text();
        assert!(
            !matches!(outcome.code, Some(0) | None),
            "exit code {:?}:\n{text}",
            outcome.code
        );
        assert!(
            text.contains(self.tool) && text.contains("lower"),
            "the reason is missing:\n{text}"
        );
        assert_eq!(postgres.value(database, self.versions), self.recorded[1]);
        assert_eq!(postgres.value(database, self.data), EMAIL);
    }

    fn assert_lowered(&self, database: &str) {
        assert_eq!(
            Postgres::shared().value(database, self.versions),
            self.recorded[2]
        );
        assert!(!has_email(database), "the way down drops the column");
    }
}

fn has_email(database: &str) -> bool {
    let columns = "SELECT count(*) FROM pg_attribute WHERE attname = 'email' AND attnum > 0";
    Postgres::shared().value(database, columns) != "0"
}

/// The three tests of one journey.
macro_rules! journey {
    ($name:ident, $journey:expr) => {
        mod $name {
            #[allow(
                unused_imports,
                reason = "a journey takes what it needs of its tool's file"
            )]
            use super::*;
            use $crate::tools::journey::{Journey, before};

            fn journey() -> Journey {
                $journey
            }

            #[test]
            fn goes_down_directly() {
                journey().direct();
            }

            #[test]
            fn is_refused_on_the_way_down() {
                journey().enforced(&before(CONFIG, "enforce"));
            }

            #[test]
            fn goes_down_with_an_event_in_log_mode() {
                journey().logged(&before(CONFIG, "log"));
            }
        }
    };
}
pub(crate) use journey;

/// pgpawl before the shared server.
pub fn before(config: fn() -> String, mode: &str) -> Pgpawl {
    Pgpawl::before(Postgres::shared().port())
        .config(&config())
        .mode(mode)
        .start()
}
