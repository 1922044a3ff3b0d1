//! What the model server's statements do: to its transactions, and to what is in its database. That is one
//! version table, `schema_migrations` in the schema `public`, the rows of another, and a schema.

use super::model::Model;
use std::collections::{BTreeMap, BTreeSet};

type Set = BTreeSet<String>;

/// What is in the database.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Data {
    pub versions: Set,
    /// Tables and columns.
    pub schema: Set,
    /// Rows that have nothing to do with versions.
    pub rows: Set,
}

/// What a transaction sees, as far as its savepoints go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Working {
    pub(super) data: Data,
    /// It holds the lock of who changed rows of the version table.
    pub(super) touched: bool,
    /// A deferred constraint is violated.
    pub(super) violates: bool,
    /// Settings that end with it.
    pub(super) settings: BTreeMap<String, String>,
}

/// What a transaction did.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Ended {
    /// It changed rows of the version table.
    pub touched: bool,
    /// It changed the catalogs.
    pub altered: bool,
    /// It changed other rows.
    pub wrote: bool,
    /// How often it changed the catalogs.
    pub alters: u32,
}

pub(super) enum Done {
    Tag(String),
    Error(&'static str),
    Copy(String),
}

impl Working {
    pub(super) fn of(data: &Data) -> Self {
        Self {
            data: data.clone(),
            touched: false,
            violates: false,
            settings: BTreeMap::new(),
        }
    }
}

/// Whether a statement is one of the session's own.
fn is_ours(text: &str) -> bool {
    [
        "/* pgpawl */",
        "_pgpawl",
        "SELECT g.i",
        "SET CONSTRAINTS",
        "SET TRANSACTION READ",
    ]
    .iter()
    .any(|ours| text.contains(ours))
}

fn tag(tag: &str) -> Done {
    Done::Tag(tag.to_owned())
}

impl Model {
    pub(super) fn run(&mut self, text: &str) -> Done {
        let text = text.trim();
        if !is_ours(text) {
            self.executed.push(text.to_owned());
        }
        let words: Vec<&str> = text
            .split([' ', '\n', '\t', ';'])
            .filter(|w| !w.is_empty())
            .collect();
        if words.is_empty() {
            return tag("");
        }
        let first = words[0].to_ascii_uppercase();
        if self.failed && !matches!(first.as_str(), "ROLLBACK" | "COMMIT") {
            return Done::Error("25P02");
        }
        match first.as_str() {
            "BEGIN" | "START" | "COMMIT" | "ROLLBACK" | "SAVEPOINT" | "RELEASE" => {
                self.control(&first, &words)
            }
            _ if text.contains("pg_prepared_statement()") && self.forged => Done::Error("22P02"),
            "EXECUTE" if !self.has_ours() => Done::Error("26000"),
            _ if text.contains("pg_prepared_statement()") => tag("SELECT 1"),
            _ if text.contains("set_config('statement_timeout'") => self.settings(),
            _ if text.contains("EXECUTE /* pgpawl */ _pgpawl_settings") => self.settings(),
            _ if text.contains("EXECUTE /* pgpawl */ _pgpawl_question") => self.question(text),
            _ if text.contains("1 OPERATOR(pg_catalog./) CASE WHEN pg_catalog.concat_ws(") => {
                self.footing(text)
            }
            _ if text.contains("pg_advisory_xact_lock") => tag("SELECT 0"),
            _ if text.contains("pg_current_xact_id_if_assigned") => self.check(text),
            _ if text.contains("s.reset_val") => self.reset(text),
            _ if text.contains("pg_catalog.int4in") => Done::Error("22P02"),
            _ if text.contains("SELECT g.i") => self.question(text),
            _ if text.contains("pg_blocking_pids") => self.waiters(),
            _ if text.contains("'transactionid'") => self.inner_check(),
            _ if text.contains("SET CONSTRAINTS ALL IMMEDIATE") && self.working.violates => {
                Done::Error("23503")
            }
            _ if text.contains("SET TRANSACTION READ") => {
                self.read_only = text.contains("ONLY");
                tag("SET")
            }
            _ => self.plain(text, &words),
        }
    }

    fn control(&mut self, first: &str, words: &[&str]) -> Done {
        let second = words.get(1).map(|word| word.to_ascii_uppercase());
        let name = words.last().copied().unwrap_or_default();
        match (first, second.as_deref()) {
            ("BEGIN" | "START", _) => {
                if self.block {
                    self.frame(b'N', b"SWARNING\0VWARNING\0C25001\0Malready\0\0");
                }
                self.block = true;
                tag("BEGIN")
            }
            ("COMMIT" | "ROLLBACK", Some("AND")) if !self.block => Done::Error("25P01"),
            ("COMMIT", chain) if !self.failed => match self.commit() {
                Ok(()) => {
                    self.block = chain == Some("AND");
                    tag("COMMIT")
                }
                Err(sqlstate) => Done::Error(sqlstate),
            },
            ("ROLLBACK", Some("TO")) => match self.saved(name) {
                Some(at) => {
                    self.saved.truncate(at + 1);
                    self.working = self.saved[at].1.clone();
                    self.failed = false;
                    tag("ROLLBACK")
                }
                None => Done::Error("3B001"),
            },
            ("COMMIT" | "ROLLBACK", chain) => {
                self.end();
                self.block = chain == Some("AND");
                tag("ROLLBACK")
            }
            ("SAVEPOINT", Some(_)) if self.block => {
                self.saved.push((name.to_owned(), self.working.clone()));
                tag("SAVEPOINT")
            }
            ("SAVEPOINT", _) => Done::Error("25P01"),
            _ => match self.saved(name) {
                Some(at) => {
                    self.saved.truncate(at);
                    tag("RELEASE")
                }
                None => Done::Error("3B001"),
            },
        }
    }

    /// Whether there are the statements that questions execute.
    fn has_ours(&self) -> bool {
        let ours = ["_pgpawl_question", "_pgpawl_settings"];
        ours.iter().all(|name| self.statements.contains_key(*name))
    }

    /// Where the savepoint of a name is.
    pub(super) fn saved(&self, name: &str) -> Option<usize> {
        self.saved.iter().rposition(|(known, _)| known == name)
    }

    /// Changes the versions; `change` tells whether there was anything to change.
    pub(super) fn change_versions(&mut self, change: impl FnOnce(&mut Set) -> bool) {
        let touched = change(&mut self.working.data.versions);
        self.working.touched |= touched;
        self.counted.touched |= touched;
    }

    fn plain(&mut self, text: &str, words: &[&str]) -> Done {
        if self.frozen && !text.contains("_pgpawl") {
            return Done::Tag(words[0].to_ascii_uppercase());
        }
        let version = text.split('\'').nth(1).unwrap_or("?").to_owned();
        let writes = [
            "INSERT", "DELETE", "HIDE", "CREATE", "ALTER", "DROP", "DEFER",
        ];
        if self.read_only && writes.contains(&words[0]) {
            return Done::Error("25006");
        }
        match words[0] {
            "INSERT" if text.contains("schema_migrations") => {
                self.change_versions(|versions| {
                    versions.insert(version);
                    true
                });
                tag("INSERT 0 1")
            }
            "INSERT" => {
                self.working.data.rows.insert(version);
                self.counted.wrote = true;
                tag("INSERT 0 1")
            }
            "DELETE" if text.contains("schema_migrations") => {
                self.change_versions(|versions| versions.remove(&version));
                tag("DELETE 1")
            }
            "COPY" => Done::Copy(words[1].to_owned()),
            // SET LOCAL name TO 'value', of a setting whose value is 0 otherwise.
            "SET" if self.block => {
                self.working.settings.insert(words[2].to_owned(), version);
                tag("SET")
            }
            "SET" => {
                self.frame(b'N', b"SWARNING\0VWARNING\0C25P01\0Mno block\0\0");
                tag("SET")
            }
            "SHOW" => {
                let value = self.working.settings.get(words[1]);
                let unset = if words[1] == "transaction_isolation" {
                    "read committed"
                } else {
                    "0"
                };
                let value = value.map_or(unset, String::as_str).to_owned();
                self.row(&[Some(value.clone())]);
                Done::Tag(format!("SHOW {value}"))
            }
            // Code whose text shows nothing.
            "HIDE" => {
                self.change_versions(|versions| match version.strip_prefix('+') {
                    Some(new) => versions.insert(new.to_owned()),
                    None => versions.remove(&version),
                });
                tag("SELECT 1")
            }
            "CREATE" | "ALTER" | "DROP" => self.alter(words),
            "DEFER" => {
                self.working.violates = true;
                tag("INSERT 0 1")
            }
            "LISTEN" => tag("LISTEN"),
            // Code that takes away the statements that questions execute, or puts others in their place.
            "FORGET" => {
                self.statements
                    .retain(|name, _| !name.starts_with("_pgpawl_"));
                tag("SELECT 1")
            }
            "FORGE" => {
                self.forged = true;
                tag("SELECT 1")
            }
            "FAIL" => Done::Error("XX000"),
            verb => {
                if self.describes {
                    self.describe(text);
                }
                self.frame(b'D', &[0, 1, 0, 0, 0, 1, b'x']);
                Done::Tag(format!("{verb} 1"))
            }
        }
    }

    /// The settings that a statement of ours names have the value that they began with.
    fn reset(&mut self, text: &str) -> Done {
        self.working
            .settings
            .retain(|name, _| !text.contains(&format!("'{name}'")));
        tag("SELECT 1")
    }

    /// What was copied is a version, or a row that has nothing to do with versions.
    pub(super) fn copied(&mut self, table: &str) {
        let row = "copied".to_owned();
        if table == "schema_migrations" {
            self.change_versions(|versions| versions.insert(row));
        } else {
            self.working.data.rows.insert(row);
            self.counted.wrote = true;
        }
    }

    /// What rows a statement of the client's has.
    pub(super) fn describe(&mut self, text: &str) {
        if text.starts_with("SELECT") && !is_ours(text) && !self.frozen {
            self.frame(b'T', &[0, 0]);
        } else if !self.describes {
            self.frame(b'n', b"");
        }
    }

    /// CREATE TABLE name, DROP TABLE name, ALTER TABLE table ADD name.
    fn alter(&mut self, words: &[&str]) -> Done {
        let name = words.last().copied().unwrap_or_default();
        let schema = &mut self.working.data.schema;
        let (done, sqlstate) = match words[0] {
            "CREATE" => (schema.insert(name.to_owned()), "42P07"),
            "DROP" => (schema.remove(name), "42P01"),
            _ => (schema.insert(name.to_owned()), "42701"),
        };
        if !done {
            return Done::Error(sqlstate);
        }
        self.counted.altered = true;
        self.counted.alters += 1;
        Done::Tag(format!("{} TABLE", words[0]))
    }
}
