//! The text of each statement, as PostgreSQL reads it.

use std::fmt::Write;

use super::alphabet::{By, Change, Control, History, Other, Point, Statement};

/// In place of the name of a prepared transaction, which one server has once for all databases.
pub const TRANSACTION_ID: &str = "GID";

/// What is followed by rows of ours.
pub const COPY_IN: &str = "COPY app.notes (text) FROM STDIN";

/// Those rows.
pub const COPIED: &[u8] = b"copied\n";

impl Statement {
    /// The commands, one after another.
    pub fn texts(self) -> Vec<String> {
        match self {
            Self::Change(history, change, by) => by.texts(history, change),
            Self::Other(other) => vec![other.text()],
            Self::Control(control) => vec![control.text()],
        }
    }
}

impl History {
    fn plain(self) -> &'static str {
        match self {
            Self::Rails => "public.schema_migrations",
            Self::Golang => "tool.schema_migrations",
            Self::Diesel => "__diesel_schema_migrations",
        }
    }

    fn quoted(self) -> &'static str {
        match self {
            Self::Rails => r#""public"."schema_migrations""#,
            Self::Golang => r#"tool."schema_migrations""#,
            Self::Diesel => r#"U&"\005f_diesel_schema_migrations""#,
        }
    }

    fn view(self) -> &'static str {
        match self {
            Self::Rails => "app.rails",
            Self::Golang => "app.golang",
            Self::Diesel => "app.diesel",
        }
    }

    fn word(self) -> &'static str {
        &self.view()["app.".len()..]
    }

    /// Schema, name and columns as of `setup.sql`.
    fn table(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Rails => ("public", "schema_migrations", "version text PRIMARY KEY"),
            Self::Golang => (
                "tool",
                "schema_migrations",
                "version bigint PRIMARY KEY, dirty boolean NOT NULL",
            ),
            Self::Diesel => (
                "public",
                "__diesel_schema_migrations",
                "version text PRIMARY KEY, run_on timestamp NOT NULL DEFAULT '2020-01-01'",
            ),
        }
    }
}

impl Change {
    /// Whether it is INSERT, UPDATE or DELETE.
    fn is_dml(self) -> bool {
        matches!(
            self,
            Self::Raise
                | Self::RaiseDirty
                | Self::Clean
                | Self::Touch
                | Self::Lower
                | Self::Alter
                | Self::Empty
        )
    }

    /// On the table of this history, which has this name.
    fn texts(self, history: History, name: &str) -> Vec<String> {
        if let Some(text) = self.row_text(history, name) {
            return vec![text];
        }
        let (schema, bare, columns) = history.table();
        let away = format!("away_{}", history.word());
        let kept = format!("app.kept_{}", history.word());
        let rename = format!("ALTER TABLE {name} RENAME TO {away}");
        let rename_back = format!("ALTER TABLE {schema}.{away} RENAME TO {bare}");
        match (self, history) {
            (Self::Refill(version), History::Golang) => vec![
                format!("TRUNCATE {name}"),
                format!("INSERT INTO {name} VALUES ({version}, false)"),
            ],
            (Self::Refill(version), _) => vec![
                format!("DELETE FROM {name}"),
                format!(
                    "INSERT INTO {name} (version) SELECT g::text FROM generate_series(1, {version}) g"
                ),
            ],
            (Self::Flip, _) => vec![rename, rename_back],
            (Self::Remake, _) => vec![
                format!("CREATE TABLE {kept} AS SELECT * FROM {name}"),
                format!("DROP TABLE {name} CASCADE"),
                format!("CREATE TABLE {schema}.{bare} ({columns})"),
                format!("INSERT INTO {schema}.{bare} SELECT * FROM {kept}"),
                format!("DROP TABLE {kept}"),
            ],
            (Self::AddColumn, _) => vec![format!(
                "ALTER TABLE {name} ADD COLUMN IF NOT EXISTS note text"
            )],
            (Self::Truncate, _) => vec![format!("TRUNCATE {name}")],
            (Self::RenameAway, _) => vec![rename],
            (Self::RenameBack, _) => vec![rename_back],
            (Self::Move, _) => vec![format!("ALTER TABLE {name} SET SCHEMA app")],
            (Self::Drop, _) => vec![format!("DROP TABLE {name} CASCADE")],
            _ => Vec::new(),
        }
    }

    fn row_text(self, history: History, name: &str) -> Option<String> {
        let newest = format!("(SELECT max(version::int) FROM {name})");
        let text = match (self, history) {
            (Self::Raise, History::Golang) => {
                format!("UPDATE {name} SET version = version + 1, dirty = false")
            }
            (Self::RaiseDirty, History::Golang) => {
                format!("UPDATE {name} SET version = version + 1, dirty = true WHERE NOT dirty")
            }
            (Self::Clean, History::Golang) => format!("UPDATE {name} SET dirty = false"),
            (Self::Lower, History::Golang) => format!("UPDATE {name} SET version = version - 1"),
            (Self::Alter, History::Golang) => format!("UPDATE {name} SET version = 1"),
            (Self::Raise | Self::RaiseDirty, _) => {
                format!(
                    "INSERT INTO {name} (version) SELECT (coalesce(max(version::int), 0) + 1)::text FROM {name}"
                )
            }
            (Self::Lower, _) => format!("DELETE FROM {name} WHERE version::int = {newest}"),
            (Self::Alter, _) => format!("UPDATE {name} SET version = '77' WHERE version = '2'"),
            (Self::Clean | Self::Touch, _) => format!("UPDATE {name} SET version = version"),
            (Self::Empty, _) => format!("DELETE FROM {name}"),
            _ => return None,
        };
        Some(text)
    }
}

impl By {
    fn texts(self, history: History, change: Change) -> Vec<String> {
        let plain = change.texts(history, history.plain());
        let hidden = || hex(&plain.join("; "));
        match self {
            Self::Plain => plain,
            Self::Quoted => change.texts(history, history.quoted()),
            Self::View if change.is_dml() => change.texts(history, history.view()),
            Self::With if change.is_dml() => vec![format!(
                "WITH w AS ({} RETURNING 1) SELECT count(*) FROM w",
                plain.concat()
            )],
            Self::Prepare if change.is_dml() => vec![
                format!("PREPARE m AS {}", plain.concat()),
                "EXECUTE m".into(),
                "DEALLOCATE m".into(),
            ],
            Self::Rule if matches!(change, Change::Raise | Change::Lower) => {
                vec![format!(
                    "INSERT INTO app.ruled VALUES ('{}', '{}')",
                    history.word(),
                    verb(change)
                )]
            }
            Self::Selected if matches!(change, Change::Raise | Change::Lower) => {
                vec![format!("SELECT * FROM {}_{}", history.view(), verb(change))]
            }
            Self::View
            | Self::With
            | Self::Prepare
            | Self::Rule
            | Self::Selected
            | Self::Function => {
                vec![format!("SELECT app.run('{}')", hidden())]
            }
            Self::Trigger => vec![format!("INSERT INTO app.lever VALUES ('{}')", hidden())],
            Self::LateTrigger => vec![format!(
                "INSERT INTO app.late_lever VALUES ('{}')",
                hidden()
            )],
            Self::Do => vec![do_block(&plain.join("; "))],
            Self::Explain => vec![format!(
                "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF) SELECT app.run('{}')",
                hidden()
            )],
            Self::Hold => vec![format!(
                "DECLARE held CURSOR WITH HOLD FOR SELECT app.run('{}')",
                hidden()
            )],
        }
    }
}

fn verb(change: Change) -> &'static str {
    if change == Change::Raise {
        "raise"
    } else {
        "lower"
    }
}

fn hex(text: &str) -> String {
    text.bytes().fold(String::new(), |mut digits, byte| {
        // Writing to a string does not fail.
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}

/// A statement for people: what is hidden in hexadecimal digits can be read.
pub fn shown(text: &str) -> String {
    let plain = |part: &str| {
        let digits = part.len() > 20 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
        let pairs = (0..part.len()).step_by(2).map(|at| part.get(at..at + 2));
        let bytes = pairs.map(|pair| u8::from_str_radix(pair?, 16).ok());
        let bytes: Option<Vec<u8>> = if digits { bytes.collect() } else { None };
        let hidden = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        hidden.map_or_else(|| part.to_owned(), |hidden| format!("hex of: {hidden}"))
    };
    text.split('\'').map(plain).collect::<Vec<_>>().join("'")
}

/// The text, put together so that no name stands in it.
fn do_block(text: &str) -> String {
    let literal = text
        .replace('\'', "''")
        .replace("migrations", "migra' || 'tions");
    format!("DO $$ BEGIN EXECUTE '{literal}'; END $$")
}

impl Other {
    fn text(self) -> String {
        let text = match self {
            Self::InsertNote => "INSERT INTO app.notes (text) VALUES ('new') RETURNING id, text",
            Self::DuplicateNote => "INSERT INTO app.notes VALUES (1, 'again')",
            Self::OrphanChild => "INSERT INTO app.children VALUES (9999)",
            Self::Child => "INSERT INTO app.children VALUES (1)",
            Self::UpdateNotes => "UPDATE app.notes SET text = text || '!' WHERE id <= 2",
            Self::SelectNotes => "SELECT id, text FROM app.notes ORDER BY id",
            Self::SelectVersions(history) => {
                return format!("SELECT version FROM {} ORDER BY version", history.plain());
            }
            Self::Series => "SELECT g, g * g FROM generate_series(1, 3) g",
            Self::DivideByZero => "SELECT 1 / 0",
            Self::Unknown => "SELECT * FROM app.nothing",
            Self::Nextval => "SELECT nextval('app.tick')",
            Self::TemporaryTable => "CREATE TEMPORARY TABLE IF NOT EXISTS scratch (n int)",
            Self::InsertTemporary => "INSERT INTO scratch VALUES (1), (2) RETURNING n",
            Self::CreateTable => "CREATE TABLE app.made (n int)",
            Self::DropTable => "DROP TABLE app.made",
            Self::SetName => "SET application_name = 'model'",
            Self::ResetName => "RESET application_name",
            Self::SetLocal => "SET LOCAL work_mem = '2MB'",
            Self::Show => "SHOW work_mem",
            Self::SetPath => "SET search_path = tool, public",
            Self::ResetPath => "RESET search_path",
            Self::ConstraintsImmediate => "SET CONSTRAINTS ALL IMMEDIATE",
            Self::ConstraintsDeferred => "SET CONSTRAINTS ALL DEFERRED",
            Self::DeclareCursor => "DECLARE c CURSOR FOR SELECT id FROM app.notes ORDER BY id",
            Self::FetchCursor => "FETCH 2 FROM c",
            Self::CopyIn => COPY_IN,
            Self::CopyOut => "COPY (SELECT id, text FROM app.notes ORDER BY id) TO STDOUT",
            Self::EmptyText => "",
        };
        text.into()
    }
}

impl Control {
    fn text(self) -> String {
        let text = match self {
            Self::Begin => "BEGIN",
            Self::BeginRepeatableRead => "BEGIN ISOLATION LEVEL REPEATABLE READ",
            Self::BeginSerializable => "BEGIN ISOLATION LEVEL SERIALIZABLE",
            Self::BeginReadOnly => "START TRANSACTION READ ONLY",
            Self::Commit => "COMMIT",
            Self::Rollback => "ROLLBACK",
            Self::CommitAndChain => "COMMIT AND CHAIN",
            Self::RollbackAndChain => "ROLLBACK AND CHAIN",
            Self::Savepoint(point) => return format!("SAVEPOINT {}", point.name()),
            Self::RollbackTo(point) => return format!("ROLLBACK TO {}", point.name()),
            Self::Release(point) => return format!("RELEASE {}", point.name()),
            Self::PrepareTransaction => return format!("PREPARE TRANSACTION '{TRANSACTION_ID}'"),
            Self::CommitPrepared => return format!("COMMIT PREPARED '{TRANSACTION_ID}'"),
            Self::RollbackPrepared => return format!("ROLLBACK PREPARED '{TRANSACTION_ID}'"),
        };
        text.into()
    }
}

impl Point {
    fn name(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
        }
    }
}
