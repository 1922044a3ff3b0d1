//! The order of Alembic's revisions, from its revision files, which are read without being run.
//!
//! A file is Python; what counts are its top-level assignments of `revision`, `down_revision`,
//! `depends_on` and `branch_labels`, when they are literals: strings, None, and tuples, lists or sets
//! of strings.
use std::collections::{BTreeMap, BTreeSet};

use crate::{
    order::{Full, Graph},
    python::{Statement, Statements, Token},
    version::Version,
};

/// The longest revision file that is read, in bytes.
pub const FILE_LEN_MAX: usize = 4 << 20;

/// What is wrong with a directory of revision files.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadRevisions {
    /// The file cannot be read as Python.
    #[error("{file}:{line}: {what}")]
    Syntax {
        /// The file.
        file: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// A revision file says which revision it is.
    #[error("{file}: no revision is assigned at the top level")]
    NoRevision {
        /// The file.
        file: String,
    },
    /// Without it, the revision would look like a root.
    #[error("{file}: no down_revision is assigned at the top level")]
    NoDownRevision {
        /// The file.
        file: String,
    },
    /// A revision is in two files.
    #[error("{file}: revision {revision} is also in another file")]
    Duplicate {
        /// The second file.
        file: String,
        /// The revision.
        revision: String,
    },
    /// A parent is in no file.
    #[error("{file}: {name} is not a revision of these files")]
    Missing {
        /// The file that names it.
        file: String,
        /// What it names.
        name: String,
    },
    /// Revisions that are their own ancestors.
    #[error("the ancestors of revision {revision} lead back to it")]
    Cycle {
        /// One of them.
        revision: String,
    },
    /// Too much.
    #[error("{0}")]
    Full(#[from] Full),
}

/// What a revision file says.
#[derive(Clone, Default, Debug)]
struct Revision {
    file: String,
    id: String,
    down: Vec<String>,
    depends_on: Vec<String>,
    labels: Vec<String>,
}

/// The graph of revision files, given as names and texts. Files that Alembic passes over (other
/// endings, `__init__.py`, editors' locks) are passed over.
///
/// # Errors
/// [`BadRevisions`] for the first file that does not fit.
pub fn graph<'a>(
    files: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<Graph, BadRevisions> {
    let mut revisions: BTreeMap<String, Revision> = BTreeMap::new();
    for (file, text) in files {
        let name = file.rsplit('/').next().unwrap_or(file);
        let python = std::path::Path::new(name)
            .extension()
            .is_some_and(|e| e == "py");
        if !python || name == "__init__.py" || name.starts_with(".#") {
            continue;
        }
        let revision = revision(file, text)?;
        let id = revision.id.clone();
        if revisions.insert(id.clone(), revision).is_some() {
            return Err(BadRevisions::Duplicate {
                file: file.to_owned(),
                revision: id,
            });
        }
    }
    linked(&revisions)
}

/// Links each revision to its parents and what it depends on, parents first.
fn linked(revisions: &BTreeMap<String, Revision>) -> Result<Graph, BadRevisions> {
    let mut labels: BTreeMap<&str, &str> = BTreeMap::new();
    for revision in revisions.values() {
        for label in &revision.labels {
            labels.insert(label, &revision.id);
        }
    }
    let mut graph = Graph::default();
    let mut waiting: BTreeMap<&str, usize> = BTreeMap::new();
    let mut children: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for revision in revisions.values() {
        let mut parents: BTreeSet<&str> = BTreeSet::new();
        for name in revision.down.iter().chain(&revision.depends_on) {
            let found = resolved(name, revisions, &labels);
            parents.insert(found.ok_or_else(|| BadRevisions::Missing {
                file: revision.file.clone(),
                name: name.clone(),
            })?);
        }
        waiting.insert(&revision.id, parents.len());
        for parent in &parents {
            children.entry(parent).or_default().push(&revision.id);
        }
        let version = |id: &&str| -> Version { id.as_bytes().into() };
        graph.insert(
            version(&revision.id.as_str()),
            parents.iter().map(version).collect(),
        )?;
    }
    // Take away revisions without parents, again and again: what stays is in or behind a cycle.
    let mut roots: Vec<&str> = waiting
        .iter()
        .filter(|(_, n)| **n == 0)
        .map(|(id, _)| *id)
        .collect();
    while let Some(root) = roots.pop() {
        waiting.remove(root);
        for child in children.get(root).into_iter().flatten() {
            if let Some(parents) = waiting.get_mut(child) {
                *parents -= 1;
                if *parents == 0 {
                    roots.push(child);
                }
            }
        }
    }
    match waiting.first_key_value() {
        None => Ok(graph),
        Some((id, _)) => Err(BadRevisions::Cycle {
            revision: (*id).to_owned(),
        }),
    }
}

/// The revision of a name: its id, a branch label, or the only id that begins so.
fn resolved<'a>(
    name: &str,
    revisions: &'a BTreeMap<String, Revision>,
    labels: &BTreeMap<&str, &'a str>,
) -> Option<&'a str> {
    if let Some((id, _)) = revisions.get_key_value(name) {
        return Some(id);
    }
    if let Some(id) = labels.get(name) {
        return Some(id);
    }
    let mut longer = revisions
        .range(name.to_owned()..)
        .take_while(|(id, _)| id.starts_with(name));
    match (longer.next(), longer.next()) {
        (Some((id, _)), None) if !name.is_empty() => Some(id),
        _ => None,
    }
}

fn revision(file: &str, text: &str) -> Result<Revision, BadRevisions> {
    let syntax = |(line, what)| BadRevisions::Syntax {
        file: file.to_owned(),
        line,
        what,
    };
    if text.len() > FILE_LEN_MAX {
        return Err(syntax((1, "the file is longer than 4 MiB")));
    }
    let mut revision = Revision {
        file: file.to_owned(),
        ..Revision::default()
    };
    let (mut id, mut down) = (None, None);
    for statement in Statements::new(text) {
        let statement = match statement {
            Ok(statement) => statement,
            // The rest is code for Python to read, when all that counts has been found.
            Err(_) if id.is_some() && down.is_some() => break,
            Err(error) => return Err(syntax(error)),
        };
        let Some((name, value)) = assignment(&statement) else {
            continue;
        };
        let strings = || {
            strings(value).ok_or((
                statement.line,
                "not a literal string, list of strings or None",
            ))
        };
        match name {
            "revision" => id = Some((strings().map_err(syntax)?, statement.line)),
            "down_revision" => down = Some(strings().map_err(syntax)?),
            "depends_on" => revision.depends_on = strings().map_err(syntax)?,
            "branch_labels" => revision.labels = strings().map_err(syntax)?,
            _ => {}
        }
    }
    let file = || file.to_owned();
    let (ids, line) = id.ok_or_else(|| BadRevisions::NoRevision { file: file() })?;
    revision.down = down.ok_or_else(|| BadRevisions::NoDownRevision { file: file() })?;
    let [id] = ids.as_slice() else {
        return Err(syntax((line, "revision is not one string")));
    };
    revision.id.clone_from(id);
    Ok(revision)
}

/// `name = value` or `name: annotation = value`.
fn assignment<'a, 'b>(statement: &'b Statement<'a>) -> Option<(&'a str, &'b [Token<'a>])> {
    let (Token::Word(name), rest) = statement.tokens.split_first()? else {
        return None;
    };
    match rest.split_first()? {
        (Token::Mark('='), value) => Some((name, value)),
        (Token::Mark(':'), _) => {
            let equals = rest.iter().position(|token| *token == Token::Mark('='))?;
            Some((name, rest.get(equals + 1..)?))
        }
        _ => None,
    }
}

/// The strings of a literal; none for None. Adjacent strings are one.
fn strings(value: &[Token<'_>]) -> Option<Vec<String>> {
    let mut strings = Vec::new();
    let mut open: Option<String> = None;
    let mut depth: usize = 0;
    for token in value {
        match token {
            Token::Text(Some(text)) => open.get_or_insert_default().push_str(text),
            Token::Word("None") => {}
            Token::Mark('(' | '[' | '{') if open.is_none() => depth += 1,
            Token::Mark(')' | ']' | '}') => {
                depth = depth.checked_sub(1)?;
                // `("a" "b")` goes on as one string only in parentheses without a comma: the end of
                // the bracket ends the string just as well, for nothing but a comma can follow.
                strings.extend(open.take());
            }
            Token::Mark(',') => strings.extend(open.take()),
            Token::Text(None) | Token::Word(_) | Token::Mark(_) => return None,
        }
    }
    strings.extend(open.take());
    (!value.is_empty() && depth == 0).then_some(strings)
}

#[cfg(test)]
#[path = "alembic_tests.rs"]
mod tests;
