//! How to read the server's answer to the question.
use std::collections::{BTreeMap, btree_map::Entry};
use std::str::FromStr;

use crate::guard::{GuardSet, Guards};
use crate::profile::Kind;
use crate::question::{History, HistoryKey, Row, Snapshot, Touch, Trace};
use crate::snapshot::TEMPORARY;
use crate::version::{Decimal, Number, Scope, VERSIONS_MAX, Version, VersionSet};

/// What is wrong with an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadAnswer {
    /// Not the columns that were asked for: the server lies or pgpawl is wrong.
    #[error("the answer does not have the shape of the question")]
    Shape,
}

/// Why a table was not read, as the question says it; words are stable.
const REASONS: [&str; 7] = [
    TEMPORARY,
    "has_children",
    "column_type",
    "no_privilege",
    "row_security",
    "unchanged",
    "untouched",
];

impl Guards {
    /// The snapshot that `rows`, the answer to the question for `asked`, describe.
    ///
    /// # Errors
    /// [`BadAnswer`] if the rows are not an answer to it.
    pub fn answer(&self, asked: GuardSet, rows: &[Row]) -> Result<Snapshot, BadAnswer> {
        let mut histories = BTreeMap::new();
        for row in rows {
            let (key, history) = self.history(row).ok_or(BadAnswer::Shape)?;
            if !asked.contains(key.guard) {
                return Err(BadAnswer::Shape);
            }
            match histories.entry(key) {
                Entry::Vacant(place) => {
                    place.insert(history);
                }
                // In an older snapshot a table that others have altered since, and then the transaction
                // itself, has two rows in pg_class.
                Entry::Occupied(mut place)
                    if place.get().trace.oid == history.trace.oid
                        && place.get().touch.class != history.touch.class =>
                {
                    if history.touch.class {
                        place.insert(history);
                    }
                }
                Entry::Occupied(_) => return Err(BadAnswer::Shape),
            }
        }
        Ok(Snapshot { asked, histories })
    }

    fn history(&self, row: &Row) -> Option<(HistoryKey, History)> {
        let [
            index,
            schema,
            table,
            oid,
            filenode,
            counters,
            xmin,
            touch,
            set,
        ] = row.as_slice()
        else {
            return None;
        };
        let index: usize = text(index.as_ref()?)?.parse().ok()?;
        let (guard, found) = self.iter().nth(index)?;
        let bytes =
            |column: &Option<Vec<u8>>| column.clone().unwrap_or_default().into_boxed_slice();
        let key = HistoryKey {
            guard,
            schema: unhex(schema.as_ref()?)?,
            table: unhex(table.as_ref()?)?,
        };
        let trace = Trace {
            oid: oid.clone()?.into_boxed_slice(),
            filenode: bytes(filenode),
            counters: counters.clone()?.into_boxed_slice(),
            xmin: xmin.clone()?.into_boxed_slice(),
        };
        let touch = Touch {
            inserted: touch.as_ref()?.contains(&b'i'),
            removed: touch.as_ref()?.contains(&b'r'),
            class: touch.as_ref()?.contains(&b'k'),
            altered: touch.as_ref()?.contains(&b'a'),
            children: touch.as_ref()?.contains(&b'c'),
        };
        let set = set.as_ref()?;
        let reading = match REASONS.iter().find(|reason| reason.as_bytes() == set) {
            Some(reason) => Err(*reason),
            None => reading(found.profile.kind, set)?,
        };
        let history = History {
            trace,
            touch,
            reading,
        };
        Some((key, history))
    }
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

/// What a server writes for a number; `None` for NULL.
#[must_use]
pub fn number<T: FromStr>(text: Option<&[u8]>) -> Option<T> {
    std::str::from_utf8(text?).ok()?.parse().ok()
}

/// The bytes that lower-case hexadecimal digits stand for.
#[must_use]
pub fn unhex(digits: &[u8]) -> Option<Box<[u8]>> {
    digits
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => Some(digit(*high)? * 16 + digit(*low)?),
            _ => None,
        })
        .collect()
}

/// What stands between `<v>` and `</v>`; nothing for NULL. An XML document of one row.
fn value(xml: &[u8]) -> Option<&str> {
    let xml = text(xml)?;
    match xml.split_once("<v>") {
        Some((_, rest)) => Some(rest.split_once("</v>")?.0),
        None => xml.contains("<v xsi:nil=\"true\"/>").then_some(""),
    }
}

/// The set that a table's rows mean, or why it can't be told. None if it is no answer at all.
fn reading(kind: Kind, xml: &[u8]) -> Option<Result<VersionSet, &'static str>> {
    let value = value(xml)?;
    if value == "!version_too_long" {
        return Some(Err("version_too_long"));
    }
    let mut rows = Vec::new();
    for row in value.split(',').filter(|row| !row.is_empty()) {
        let mut parts = row.split(':');
        let (scope, version, applied) = (parts.next()?, parts.next()?, parts.next()?);
        let applied = match applied {
            "t" => Some(true),
            "f" => Some(false),
            "" => None,
            _ => return None,
        };
        rows.push((
            unhex(scope.as_bytes())?,
            unhex(version.as_bytes())?,
            applied,
        ));
    }
    if rows.len() > VERSIONS_MAX {
        return Some(Err("too_many_versions"));
    }
    Some(match kind {
        Kind::Number => numbers(rows),
        Kind::Set | Kind::Heads => Ok(replay(rows.into_iter().map(|(s, v, _)| (s, v, Some(true))))),
        Kind::Journal => Ok(replay(rows.into_iter())),
    })
}

/// The last word on each version counts.
fn replay(rows: impl Iterator<Item = (Scope, Version, Option<bool>)>) -> VersionSet {
    let mut set: BTreeMap<Scope, std::collections::BTreeSet<Version>> = BTreeMap::new();
    for (scope, version, applied) in rows {
        match applied {
            Some(true) => {
                set.entry(scope).or_default().insert(version);
            }
            Some(false) => {
                if let Some(versions) = set.get_mut(&scope) {
                    versions.remove(&version);
                }
            }
            None => {}
        }
    }
    set.retain(|_, versions| !versions.is_empty());
    VersionSet::Rows(set)
}

/// One number per scope. Of several the lowest counts: a tool may read any of them.
fn numbers(rows: Vec<(Scope, Version, Option<bool>)>) -> Result<VersionSet, &'static str> {
    let mut numbers: BTreeMap<Scope, Number> = BTreeMap::new();
    for (scope, version, applied) in rows {
        let Some(value) = Decimal::parse(&version) else {
            return Err("not_a_number");
        };
        let number = Number {
            value,
            dirty: applied == Some(false),
        };
        match numbers.get(&scope) {
            Some(other) if other.sure() <= number.sure() => {}
            _ => {
                numbers.insert(scope, number);
            }
        }
    }
    Ok(VersionSet::Numbers(numbers))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(kind: Kind, value: &str) -> Result<VersionSet, &'static str> {
        let xml = format!("<row xmlns:xsi=\"x\">\n  <v>{value}</v>\n</row>\n");
        reading(kind, xml.as_bytes()).unwrap()
    }

    #[test]
    fn a_journal_is_replayed() {
        let set = read(Kind::Journal, ":31:t,:32:t,:31:f,:33:,:33:t,:32:").unwrap();
        let versions: Vec<_> = set.rows(b"").unwrap().iter().map(|v| v.to_vec()).collect();
        assert_eq!(versions, [b"2", b"3"]);
        assert!(read(Kind::Journal, ":31:t,:31:f").unwrap().is_empty());
    }

    #[test]
    fn the_lowest_of_several_numbers_counts() {
        let set = read(Kind::Number, ":3130:,:39:,61:37:f").unwrap();
        assert_eq!(set.number(b"").unwrap().value.to_string(), "9");
        assert!(set.number(b"a").unwrap().dirty);
        assert_eq!(read(Kind::Number, ":78:"), Err("not_a_number"));
    }

    #[test]
    fn null_is_an_empty_set() {
        let xml = b"<row xmlns:xsi=\"x\">\n  <v xsi:nil=\"true\"/>\n</row>\n\n";
        assert!(reading(Kind::Set, xml).unwrap().unwrap().is_empty());
        assert_eq!(
            read(Kind::Set, "!version_too_long"),
            Err("version_too_long")
        );
        for bad in [
            "",
            "<row/>",
            "<v>",
            "<v>zz:31:t</v>",
            "<v>:3:t</v>",
            "<v>:31</v>",
            "<v>:31:x</v>",
        ] {
            assert_eq!(reading(Kind::Set, bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn versions_are_bounded() {
        let value = vec![":31:t"; VERSIONS_MAX + 1].join(",");
        assert_eq!(read(Kind::Set, &value), Err("too_many_versions"));
    }

    #[test]
    fn an_answer_has_the_shape_of_the_question() {
        let guards = Guards::builtin();
        let xml = "<row>\n<v>:31:</v></row>";
        let row = |columns: [Option<&str>; 9]| -> Row {
            columns
                .iter()
                .map(|c| c.map(|c| c.as_bytes().to_vec()))
                .collect()
        };
        let good = [
            Some("0"),
            Some("70"),
            Some("61"),
            Some("1"),
            None,
            Some("0"),
            Some("7"),
            Some(""),
            Some(xml),
        ];
        let all = guards.all();
        assert_eq!(guards.answer(all, &[row(good)]).unwrap().histories.len(), 1);
        assert!(guards.answer(GuardSet::EMPTY, &[row(good)]).is_err());
        assert!(guards.answer(all, &[row(good), row(good)]).is_err());
        let mut altered = good;
        altered[7] = Some("k");
        for rows in [[row(good), row(altered)], [row(altered), row(good)]] {
            let snapshot = guards.answer(all, &rows).unwrap();
            assert!(snapshot.histories.values().all(|one| one.touch.class));
        }
        for (column, value) in [
            (0, Some("200")),
            (0, None),
            (1, Some("7")),
            (3, None),
            (8, Some("x")),
            (8, None),
        ] {
            let mut bad = good;
            bad[column] = value;
            assert!(guards.answer(all, &[row(bad)]).is_err(), "{column}");
        }
        assert!(guards.answer(all, &[vec![]]).is_err());
    }
}
