//! Reads a configuration file: every mistake with its line, what is right kept.
use super::{
    mistake::{Mistake, Origin, Origins},
    nearest::nearest,
    raw::Raw,
};
use serde::{Deserialize, Serialize};
use std::{mem, path::Path};
use toml::{
    Spanned,
    de::{DeArray, DeTable, DeValue, Deserializer},
};

/// Mistakes that are looked for in one file before giving up.
const MISTAKES_MAX: usize = 100;

/// What is right in `text`; what is wrong goes to `mistakes`, places to `origins`.
pub fn read(
    path: &Path,
    text: &str,
    origins: &mut Origins,
    mistakes: &mut Vec<Mistake>,
) -> toml::Table {
    let lines = Lines { path, text };
    let (mut document, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        mistakes.push(lines.mistake(error.span().map_or(0, |span| span.start), error.message()));
    }
    if !errors.is_empty() {
        return toml::Table::new();
    }
    note_origins(document.get_ref(), "", &lines, origins);
    for _ in 0..MISTAKES_MAX {
        let Err(error) = Raw::deserialize(Deserializer::from(document.clone())) else {
            break;
        };
        let at = error.span().map_or(0, |span| span.start);
        mistakes.push(lines.mistake(at, &explained(error.message())));
        // Taking out what is wrong shows what else is.
        if !remove_at(document.get_mut(), at) {
            return toml::Table::new();
        }
    }
    toml::Table::deserialize(Deserializer::from(document)).unwrap_or_default()
}

/// A deserializer's message in the words of this program, with the key that was probably meant.
#[must_use]
pub fn explained(message: &str) -> String {
    let unknown = [("unknown field `", "key"), ("unknown variant `", "value")];
    for (start, what) in unknown {
        let Some((word, rest)) = message
            .strip_prefix(start)
            .and_then(|rest| rest.split_once('`'))
        else {
            continue;
        };
        let valid: Vec<&str> = rest.split('`').skip(1).step_by(2).collect();
        return match nearest(word, valid.iter().copied()) {
            Some(meant) => format!("unknown {what} `{word}`; did you mean `{meant}`?"),
            None => format!("unknown {what} `{word}`; possible are {}", valid.join(", ")),
        };
    }
    // The policy's own type for these has no better words.
    if message.contains("untagged enum OneOrMany") {
        return "expected a string or a list of strings".to_owned();
    }
    message.trim_end().to_owned()
}

/// Whether `message` is about a key that does not exist.
#[must_use]
pub fn is_unknown_key(message: &str) -> bool {
    message.starts_with("unknown field `")
}

struct Lines<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Lines<'_> {
    fn origin(&self, at: usize) -> Origin {
        let before = self.text.as_bytes().iter().take(at);
        let line = 1 + before.filter(|byte| **byte == b'\n').count();
        Origin::File {
            path: self.path.to_owned(),
            line,
        }
    }

    fn mistake(&self, at: usize, text: &str) -> Mistake {
        Mistake {
            origin: Some(self.origin(at)),
            text: text.to_owned(),
        }
    }
}

fn note_origins(table: &DeTable<'_>, above: &str, lines: &Lines<'_>, origins: &mut Origins) {
    for (key, value) in table {
        let path = if above.is_empty() {
            key.get_ref().to_string()
        } else {
            format!("{above}.{}", key.get_ref())
        };
        origins.insert(path.clone(), lines.origin(key.span().start));
        match value.get_ref() {
            DeValue::Table(inner) => note_origins(inner, &path, lines, origins),
            DeValue::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    let path = format!("{path}[{index}]");
                    origins.insert(path.clone(), lines.origin(item.span().start));
                    if let DeValue::Table(inner) = item.get_ref() {
                        note_origins(inner, &path, lines, origins);
                    }
                }
            }
            _ => {}
        }
    }
}

/// Removes the innermost key or item that stands at `at`. Headers (`[limits]`) span only
/// themselves, so what is within is searched first.
fn remove_at(table: &mut DeTable<'_>, at: usize) -> bool {
    let mut found = None;
    let keys: Vec<_> = table.keys().cloned().collect();
    for key in keys {
        let Some(value) = table.get_mut(&key) else {
            continue;
        };
        if remove_within(value, at) {
            return true;
        }
        if key.span().contains(&at) || value.span().contains(&at) {
            found = Some(key);
        }
    }
    found.is_some_and(|key| table.remove(&key).is_some())
}

fn remove_within(value: &mut Spanned<DeValue<'_>>, at: usize) -> bool {
    match value.get_mut() {
        DeValue::Table(inner) => remove_at(inner, at),
        DeValue::Array(items) => {
            if items.iter_mut().any(|item| remove_within(item, at)) {
                return true;
            }
            let len = items.len();
            let all = mem::replace(items, DeArray::from_iter([]));
            let kept = all.into_iter().filter(|item| !item.span().contains(&at));
            *items = kept.collect();
            items.len() < len
        }
        _ => false,
    }
}

/// `key = text` as a table, with the type that makes it valid; for the environment and flags.
///
/// # Errors
/// What a deserializer says of the value as a string.
pub fn one_key(key: &str, text: &str) -> Result<toml::Table, String> {
    let mut candidates = Vec::new();
    if let Ok(number) = text.parse::<i64>() {
        candidates.push(toml::Value::Integer(number));
    }
    if let Ok(truth) = text.parse::<bool>() {
        candidates.push(toml::Value::Boolean(truth));
    }
    candidates.push(toml::Value::String(text.to_owned()));
    let mut said = String::new();
    for value in candidates {
        let table = nested(key, value);
        match Raw::deserialize(table.clone()) {
            Ok(_) => return Ok(table),
            Err(error) => error.message().clone_into(&mut said),
        }
    }
    Err(said)
}

fn nested(key: &str, value: impl Serialize + Into<toml::Value>) -> toml::Table {
    let mut table = toml::Table::new();
    match key.split_once('.') {
        Some((above, below)) => table.insert(above.to_owned(), nested(below, value).into()),
        None => table.insert(key.to_owned(), value.into()),
    };
    table
}
