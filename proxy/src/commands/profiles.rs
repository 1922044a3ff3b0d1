//! `pgpawl profiles`: the built-in tools and how each table is read.
use super::print;
use crate::error::Error;
use pgpawl_policy::profile::{self, Judge, Kind, Profile};
use serde_json::{Value, json};
use std::fmt::Write;

/// Lists them.
///
/// # Errors
/// When the output cannot be written.
pub fn run(as_json: bool) -> Result<(), Error> {
    if as_json {
        let all: Vec<Value> = profile::builtin()
            .iter()
            .map(|profile| object(profile))
            .collect();
        return print(&format!("{:#}\n", Value::from(all)));
    }
    let mut text = String::new();
    for profile in profile::builtin() {
        // Writing to a String cannot fail.
        let _ = paragraph(&mut text, profile);
    }
    print(&text)
}

fn object(profile: &Profile) -> Value {
    json!({
        "tool": profile.tool,
        "table": profile.table,
        "kind": profile.kind.word(),
        "columns": profile.columns,
        "without": profile.without,
        "judge": judge(profile.judge),
        "notes": profile.notes,
    })
}

fn paragraph(text: &mut String, profile: &Profile) -> std::fmt::Result {
    writeln!(text, "{}", profile.tool)?;
    write!(text, "  table    {}", profile.table)?;
    if !profile.columns.is_empty() {
        write!(text, " with the columns {}", profile.columns.join(", "))?;
    }
    if !profile.without.is_empty() {
        write!(text, ", without {}", profile.without.join(", "))?;
    }
    writeln!(text, "\n  meaning  {}", meaning(profile.kind))?;
    writeln!(text, "  judged   {}", judged(profile.judge))?;
    if !profile.notes.is_empty() {
        writeln!(text, "  notes    {}", wrapped(&profile.notes, 11, 100))?;
    }
    writeln!(text)
}

fn meaning(kind: Kind) -> &'static str {
    match kind {
        Kind::Number => "one number: every version up to it is applied",
        Kind::Set => "a set of rows: each is an applied version",
        Kind::Journal => "a journal: the last word on each version counts",
        Kind::Heads => "heads of a graph: they and all their ancestors are applied",
    }
}

fn judge(judge: Judge) -> &'static str {
    match judge {
        Judge::Statement => "statement",
        Judge::Transaction => "transaction",
    }
}

fn judged(judge: Judge) -> &'static str {
    match judge {
        Judge::Statement => "after each statement that lowers, and before the commit",
        Judge::Transaction => "before the commit",
    }
}

/// `text` in lines of at most `width`, all but the first behind `indent` blanks.
fn wrapped(text: &str, indent: usize, width: usize) -> String {
    let mut lines = String::new();
    let mut column = indent;
    for word in text.split_whitespace() {
        if column > indent && column + 1 + word.len() > width {
            lines.push('\n');
            lines.extend(std::iter::repeat_n(' ', indent));
            column = indent;
        } else if column > indent {
            lines.push(' ');
            column += 1;
        }
        lines.push_str(word);
        column += word.len();
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_wrapped() {
        assert_eq!(wrapped("aa bb cc", 2, 7), "aa bb\n  cc");
        assert_eq!(wrapped("", 2, 7), "");
    }
}
