//! What a parse tree of PostgreSQL's says.

use std::ops::Range;

use serde_json::Value;

/// One statement of a text.
#[derive(Debug)]
pub struct Node<'a> {
    /// `SelectStmt` and the like.
    pub kind: &'a str,
    pub fields: &'a Value,
    /// Where it stands, with the blanks around it.
    pub range: Range<usize>,
}

/// The statements of a tree, of a text of that length.
pub fn statements(tree: &Value, len: usize) -> Vec<Node<'_>> {
    let number = |value: &Value| {
        value
            .as_u64()
            .and_then(|n| usize::try_from(n).ok())
            .unwrap_or(0)
    };
    let list = tree["stmts"].as_array().into_iter().flatten();
    list.filter_map(|raw| {
        let (kind, fields) = raw["stmt"].as_object()?.iter().next()?;
        let from = number(&raw["stmt_location"]);
        let to = match number(&raw["stmt_len"]) {
            0 => len,
            stated => from + stated,
        };
        Some(Node {
            kind,
            fields,
            range: from..to,
        })
    })
    .collect()
}

/// Fields whose text PostgreSQL neither looks up nor runs.
const MERE_TEXT: [&str; 6] = [
    "comment",
    "label",
    "filename",
    "payload",
    "gid",
    "conditionname",
];

/// Whether a string of a tree is or may be a name, or is one that only code can make into something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum As {
    Name,
    Constant,
}

/// Calls `see` with every string of a tree.
pub fn strings<'a>(value: &'a Value, see: &mut impl FnMut(&'a str, As)) {
    match value {
        Value::String(text) => see(text, As::Name),
        Value::Array(list) => list.iter().for_each(|one| strings(one, see)),
        Value::Object(fields) => {
            for (key, value) in fields {
                match (key.as_str(), value) {
                    ("A_Const", constant) => {
                        if let Some(text) = constant["sval"]["sval"].as_str() {
                            see(text, As::Constant);
                        }
                    }
                    (field, Value::String(text)) if MERE_TEXT.contains(&field) => {
                        see(text, As::Constant);
                    }
                    _ => strings(value, see),
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Whether a field or node of one of these names is somewhere in it.
pub fn has(value: &Value, names: &[&str]) -> bool {
    find(value, &mut |key, _| names.contains(&key))
}

/// Whether `wanted` of some field.
pub fn find(value: &Value, wanted: &mut impl FnMut(&str, &Value) -> bool) -> bool {
    match value {
        Value::Array(list) => list.iter().any(|one| find(one, wanted)),
        Value::Object(fields) => fields
            .iter()
            .any(|(key, value)| wanted(key, value) || find(value, wanted)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}
