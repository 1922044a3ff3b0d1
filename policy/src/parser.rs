//! What a short statement is, in words for people. The only file that knows the parsing library.
//!
//! The parser reads another language than PostgreSQL (it takes `END` for the end of the text, an
//! operator for the start of a comment), so nothing it says may decide anything: it is for messages.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::Serialize;
use sqlparser::ast::{ObjectType, Statement, visit_relations};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

/// Longer texts are not described. The parser builds chains such as `1+1+1...` in a loop and drops
/// them by recursion, which ends the process at 68 KB on a stack of 2 MiB; this is far below.
pub const DESCRIBED_TEXT_LEN_MAX: usize = 2 * 1024;

/// How deep the parser may go into parentheses and subqueries.
const DEPTH_MAX: usize = 24;

/// What the parser takes a text for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Description {
    /// The kind of its first statement: `insert`, `drop table` ...
    pub kind: String,
    /// The tables that it names, as written, each once, in order.
    pub tables: Vec<String>,
}

/// What `text` is, where it is short and the parser understands it.
#[must_use]
pub fn describe(text: &str) -> Option<Description> {
    if text.len() > DESCRIBED_TEXT_LEN_MAX {
        return None;
    }
    // Nobody waits for a description: a fault in the library must cost no session.
    catch_unwind(AssertUnwindSafe(|| parse(text)))
        .ok()
        .flatten()
}

fn parse(text: &str) -> Option<Description> {
    let dialect = PostgreSqlDialect {};
    let statements = Parser::new(&dialect)
        .with_recursion_limit(DEPTH_MAX)
        .try_with_sql(text)
        .ok()?
        .parse_statements()
        .ok()?;
    let first = statements.first()?;
    let mut tables = Vec::new();
    let mut add = |name: String| {
        if !tables.contains(&name) {
            tables.push(name);
        }
    };
    if let Statement::Drop {
        object_type: ObjectType::Table,
        names,
        ..
    } = first
    {
        for name in names {
            add(name.to_string());
        }
    }
    let _ = visit_relations(&statements, |name| {
        add(name.to_string());
        ControlFlow::<()>::Continue(())
    });
    Some(Description {
        kind: kind(first),
        tables,
    })
}

/// The words that a statement of this kind begins with.
fn kind(statement: &Statement) -> String {
    const WORDS_MAX: usize = 2;
    const ONE_WORD: [&str; 6] = ["select", "insert", "update", "delete", "merge", "with"];
    let written = statement.to_string().to_ascii_lowercase();
    let mut words = written.split(|char: char| !char.is_ascii_alphabetic());
    let first = words.next().unwrap_or_default();
    if ONE_WORD.contains(&first) {
        return first.to_owned();
    }
    let second = words.next().filter(|_| {
        matches!(
            first,
            "create" | "drop" | "alter" | "set" | "start" | "comment" | "explain"
        )
    });
    let words: Vec<_> = [Some(first), second]
        .into_iter()
        .flatten()
        .take(WORDS_MAX)
        .collect();
    words.join(" ").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::{DESCRIBED_TEXT_LEN_MAX, describe};

    fn described(text: &str) -> String {
        describe(text).map_or("-".to_owned(), |description| {
            format!("{}: {}", description.kind, description.tables.join(", "))
        })
    }

    #[test]
    fn says_kind_and_tables() {
        assert_eq!(
            described("DELETE FROM public.\"t\" WHERE a = 1"),
            "delete: public.\"t\""
        );
        assert_eq!(described("drop table a, b cascade"), "drop table: a, b");
        assert_eq!(described("SELECT * FROM a JOIN a ON true"), "select: a");
        assert_eq!(described("CREATE TABLE t (a int)"), "create table: t");
        assert_eq!(described("DO $$ $$"), "-");
        assert_eq!(described(""), "-");
    }

    /// Each of these once brought the library, or one like it, to its knees.
    #[test]
    fn no_text_ends_the_process() {
        let fill = |part: &str| part.repeat(DESCRIBED_TEXT_LEN_MAX / part.len() - 8);
        for part in [
            "1+",
            "1 or ",
            "(",
            "a.",
            "-",
            "not ",
            "case when ",
            "[",
            "x::int::",
            "~",
        ] {
            let _ = describe(&format!("SELECT {}1", fill(part)));
        }
        for part in [
            "SELECT 1 UNION ",
            "SELECT 1;",
            "(SELECT * FROM ",
            "EXPLAIN ",
            "WITH a AS (",
        ] {
            let _ = describe(&format!("{}SELECT 1", fill(part)));
        }
        let _ = describe(&format!("SELECT a{}", fill("[1]")));
        let _ = describe(&format!("SELECT a{}", fill("::int")));
    }
}
