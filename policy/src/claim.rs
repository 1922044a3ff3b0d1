//! The lock of a table from which a statement may take something, taken before the set is read: what others
//! commit between a reading and the statement's own lock would be lost unseen. It is worth the while where
//! nobody else can say afterwards what the table held: where all of it is replaced, or pgpawl cannot look.
//!
//! The words of a text only say where it is worth the while. What was locked is asked of the server, and
//! only what was read behind such a lock counts as what a replaced table held.
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use crate::{
    guard::Guards,
    hold::{contains_word, first_word},
    question::{HistoryKey, Snapshot},
};

/// What others may still do to a table that is locked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Strength {
    /// They may read it.
    Writers,
    /// Nothing: what the statement would take anyway. One that is taken in two steps can deadlock.
    All,
}

impl Strength {
    const fn mode(self) -> &'static str {
        match self {
            Self::Writers => "SHARE ROW EXCLUSIVE",
            Self::All => "ACCESS EXCLUSIVE",
        }
    }
}

/// The oids of the tables of this database that nobody but this transaction can write to.
pub const LOCKED: &str = "SELECT /* pgpawl */ l.relation FROM pg_catalog.pg_lock_status() l \
    WHERE l.pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid() AND l.granted AND l.relation IS NOT NULL \
    AND l.mode OPERATOR(pg_catalog.=) ANY ('{ShareLock,ShareRowExclusiveLock,ExclusiveLock,AccessExclusiveLock}'\
    ::pg_catalog.text[])";

/// The first words of statements that empty, alter, rewrite or drop tables.
const REPLACING: [&[u8]; 4] = [b"truncate", b"alter", b"drop", b"cluster"];

/// What a text that names a table may take from it, as far as it shows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Takes {
    /// It only adds rows: nothing from a set of them.
    Nothing,
    /// Nothing that shows: it may run code.
    Unclear,
    /// Rows: the server may count them for a while longer than their transaction lasts.
    Rows,
    /// All of it: it may empty, alter, rewrite or drop the table.
    Tables,
}

impl Takes {
    /// By the words of `text`.
    #[must_use]
    pub fn of(text: &[u8]) -> Self {
        const ADDING: [&[u8]; 2] = [b"insert", b"copy"];
        const CHANGING: [&[u8]; 4] = [b"update", b"delete", b"merge", b"conflict"];
        let has = |words: &[&[u8]]| words.iter().any(|word| contains_word(text, word));
        if has(&REPLACING) {
            Self::Tables
        } else if has(&CHANGING) {
            Self::Rows
        } else if begins_with(text, &ADDING) {
            Self::Nothing
        } else {
            Self::Unclear
        }
    }
}

fn begins_with(text: &[u8], words: &[&[u8]]) -> bool {
    let first = first_word(text);
    words.iter().any(|word| first.eq_ignore_ascii_case(word))
}

/// Whether a text begins with a statement that empties, alters, rewrites or drops tables.
#[must_use]
pub fn is_replacement(text: &[u8]) -> bool {
    begins_with(text, &REPLACING)
}

/// The words of a text: there may be many names to look for.
struct Words<'a> {
    text: &'a [u8],
    words: BTreeSet<Vec<u8>>,
}

impl<'a> Words<'a> {
    fn of(text: &'a [u8]) -> Self {
        let words = pieces(text).map(<[u8]>::to_ascii_lowercase).collect();
        Self { text, words }
    }

    /// Whether `name` stands there, in whatever case.
    fn have(&self, name: &[u8]) -> bool {
        let is_word = |piece: &[u8]| self.words.contains(&piece.to_ascii_lowercase());
        pieces(name).next().is_some()
            && pieces(name).all(is_word)
            && (pieces(name).eq([name]) || contains_word(self.text, name))
    }
}

/// What is between characters that end an unquoted identifier.
fn pieces(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let ends = |byte: &u8| byte.is_ascii() && !byte.is_ascii_alphanumeric() && *byte != b'_';
    text.split(ends).filter(|piece| !piece.is_empty())
}

/// The tables of `found` that `text` may mean, where it has words of their names in plain letters: each
/// group by what to call it. Where it names no schema of them, they go by the bare name, as the server
/// finds it. Where rows may be taken by a text that names none (EXECUTE), all may be meant.
#[must_use]
pub fn meant<'a>(
    found: &'a Snapshot,
    text: &[u8],
    takes: Takes,
) -> BTreeMap<String, Vec<&'a HistoryKey>> {
    let words = Words::of(text);
    let mut tables: BTreeMap<&[u8], Vec<&HistoryKey>> = BTreeMap::new();
    for (key, _) in found.histories() {
        tables.entry(&key.table).or_default().push(key);
    }
    let hidden = matches!(takes, Takes::Unclear | Takes::Rows)
        && !tables.keys().any(|table| words.have(table));
    let mut groups = BTreeMap::new();
    for (table, keys) in tables {
        let (in_schema, others): (Vec<_>, Vec<_>) =
            (keys.into_iter()).partition(|key| words.have(&key.schema));
        let bare = in_schema.is_empty() && (hidden || words.have(table));
        if let Some(name) = identifier(table).filter(|_| bare) {
            groups.insert(name, others);
        }
        for key in in_schema {
            let names = identifier(&key.schema).zip(identifier(table));
            groups.extend(names.map(|(schema, table)| (format!("{schema}.{table}"), vec![key])));
        }
    }
    groups
}

impl Guards {
    /// Whether a statement that `takes` so much may take anything from a history.
    #[must_use]
    pub fn may_lose(&self, key: &HistoryKey, takes: Takes) -> bool {
        takes != Takes::Nothing || !self.is_set(key)
    }
}

/// Locks the tables of these names, up to the end of the transaction.
#[must_use]
pub fn lock<'a>(names: impl Iterator<Item = &'a String>, strength: Strength) -> String {
    let names: Vec<String> = names.map(|name| format!("ONLY {name}")).collect();
    let (names, mode) = (names.join(", "), strength.mode());
    format!("LOCK /* pgpawl */ TABLE {names} IN {mode} MODE")
}

/// A name as the catalogs have it, as an identifier of ASCII characters without a backslash. None where its
/// characters cannot be told: a name is what its bytes are in the database's encoding.
fn identifier(name: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(name).ok()?;
    if name
        .bytes()
        .all(|byte| matches!(byte, b' '..=b'~') && byte != b'\\')
    {
        return Some(format!("\"{}\"", name.replace('"', "\"\"")));
    }
    let mut escaped = String::new();
    for char in name.chars() {
        let _ = write!(escaped, "!+{:06X}", u32::from(char));
    }
    Some(format!("U&\"{escaped}\" UESCAPE '!'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(keys: &[(&str, &str)]) -> Snapshot {
        let guards = Guards::builtin();
        let hex = |text: &str| {
            text.bytes()
                .fold(String::new(), |all, byte| all + &format!("{byte:02x}"))
        };
        let rows: Vec<_> = keys
            .iter()
            .enumerate()
            .map(|(at, (schema, table))| {
                let columns = [
                    "0",
                    &hex(schema),
                    &hex(table),
                    &at.to_string(),
                    "1",
                    "0",
                    "7",
                    "",
                    "untouched",
                ];
                columns
                    .map(|column| Some(column.as_bytes().to_vec()))
                    .to_vec()
            })
            .collect();
        guards.answer(guards.all(), &rows).unwrap()
    }

    fn names(keys: &[(&str, &str)], text: &str) -> Vec<String> {
        let takes = Takes::of(text.as_bytes());
        meant(&found(keys), text.as_bytes(), takes)
            .into_keys()
            .collect()
    }

    #[test]
    fn tables_are_called_as_the_text_does() {
        let keys = [
            ("public", "history"),
            ("b\"x", "history"),
            ("public", "other"),
        ];
        assert_eq!(names(&keys, "TRUNCATE history"), ["\"history\""]);
        assert_eq!(
            names(&keys, "truncate PUBLIC.history"),
            ["\"public\".\"history\"", "\"public\".\"other\""]
        );
        assert_eq!(
            names(&keys, "DROP SCHEMA \"b\"\"x\", \"B\"X\""),
            ["\"b\"\"x\".\"history\""]
        );
        assert!(names(&keys, "TRUNCATE a").is_empty());
        assert_eq!(names(&keys, "EXECUTE a"), ["\"history\"", "\"other\""]);
    }

    #[test]
    fn names_are_of_ascii_characters() {
        assert_eq!(
            identifier("é".as_bytes()).unwrap(),
            "U&\"!+0000E9\" UESCAPE '!'"
        );
        assert_eq!(
            identifier(b"a\\").unwrap(),
            "U&\"!+000061!+00005C\" UESCAPE '!'"
        );
        assert_eq!(identifier(b"\xe9"), None);
        let both = ["a", "b"].map(str::to_owned);
        assert_eq!(
            lock(both.iter(), Strength::Writers),
            "LOCK /* pgpawl */ TABLE ONLY a, ONLY b IN SHARE ROW EXCLUSIVE MODE"
        );
    }

    #[test]
    fn statements_that_replace_are_told_by_their_first_word() {
        for text in [
            "TRUNCATE a",
            " /* x */ drop table a",
            "ALTER TABLE a",
            "cluster a",
        ] {
            assert!(is_replacement(text.as_bytes()), "{text}");
            assert_eq!(Takes::of(text.as_bytes()), Takes::Tables, "{text}");
        }
        assert!(!is_replacement(b"INSERT INTO a /* drop */"));
        for (text, takes) in [
            ("INSERT INTO a /* drop */", Takes::Tables),
            ("insert into a VALUES (1)", Takes::Nothing),
            (
                "INSERT INTO a VALUES (1) ON CONFLICT DO NOTHING",
                Takes::Rows,
            ),
            ("INSERT INTO a SELECT 1; DELETE FROM a", Takes::Rows),
            ("SELECT f('a')", Takes::Unclear),
        ] {
            assert_eq!(Takes::of(text.as_bytes()), takes, "{text}");
        }
    }
}
