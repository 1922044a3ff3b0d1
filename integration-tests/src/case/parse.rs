//! The text of a case file, read.

use crate::wire::message::{self, Parameter};

/// What a guarded and an unguarded session get.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Words {
    /// In enforce mode.
    pub guarded: String,
    /// Directly, in mode off, in log mode.
    pub unguarded: String,
}

impl Words {
    fn read(text: &str) -> Self {
        let (guarded, unguarded) = text.split_once(" ~ ").unwrap_or((text, text));
        Self {
            guarded: guarded.trim().into(),
            unguarded: unguarded.trim().into(),
        }
    }

    /// Whether a guarded session gets something else.
    #[must_use]
    pub fn differ(&self) -> bool {
        self.guarded != self.unguarded
    }
}

/// One thing to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// Run directly.
    Setup(String),
    /// What follows is this session's.
    Session(String),
    /// Start-up parameters of the current session.
    Start(Vec<(String, String)>),
    /// Send a message.
    Send(Vec<u8>),
    /// Read these answers.
    Answers(Words),
    /// Look directly.
    Check(String, Words),
    /// The last error has this text.
    Said(String),
    /// An event has this reason.
    Reason(String),
}

/// A step with its place in the file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    /// Counted from 1.
    pub number: usize,
    /// What to do.
    pub step: Step,
}

/// One case.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Case {
    /// What it shows.
    pub name: String,
    /// The oldest and the newest major version of PostgreSQL that it is for.
    pub majors: Option<(u32, u32)>,
    /// Transaction coverage cannot verify what it does, and refuses it.
    pub statement_only: bool,
    /// Only transaction coverage refuses what it refuses.
    pub transaction_only: bool,
    /// In order.
    pub lines: Vec<Line>,
}

impl Case {
    /// Whether it is for a server of this major version.
    #[must_use]
    pub fn is_for(&self, major: u32) -> bool {
        self.majors
            .is_none_or(|(oldest, newest)| (oldest..=newest).contains(&major))
    }

    /// Whether the guard changes anything in it.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.lines.iter().any(|line| match &line.step {
            Step::Answers(words) | Step::Check(_, words) => words.differ(),
            Step::Setup(_)
            | Step::Session(_)
            | Step::Start(_)
            | Step::Send(_)
            | Step::Said(_)
            | Step::Reason(_) => false,
        })
    }
}

/// A file of cases.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct File {
    /// Run directly before every case.
    pub setup: Vec<String>,
    /// In order.
    pub cases: Vec<Case>,
}

impl File {
    /// Reads a file; a mistake in it fails the test.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let mut file = Self::default();
        for (index, line) in text.lines().enumerate() {
            let number = index + 1;
            let line = line.trim_end();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Some(name) = line.strip_prefix("--- ") {
                file.cases.push(Case {
                    name: name.into(),
                    ..Case::default()
                });
                continue;
            }
            if let Some(range) = line.strip_prefix("majors ") {
                let case = file.cases.last_mut().expect("majors are a case's");
                case.majors =
                    Some(majors(range).unwrap_or_else(|| panic!("line {number}: {line}")));
                continue;
            }
            if line == "coverage statement" {
                let case = file.cases.last_mut().expect("a coverage is a case's");
                case.statement_only = true;
                continue;
            }
            if line == "coverage transaction" {
                let case = file.cases.last_mut().expect("a coverage is a case's");
                case.transaction_only = true;
                continue;
            }
            let steps = steps_of(line).unwrap_or_else(|why| panic!("line {number}: {why}: {line}"));
            match file.cases.last_mut() {
                Some(case) => case
                    .lines
                    .extend(steps.into_iter().map(|step| Line { number, step })),
                None => file.setup.extend(steps.into_iter().map(|step| match step {
                    Step::Setup(sql) => sql,
                    other => panic!("line {number}: {other:?} before the first case"),
                })),
            }
        }
        file
    }
}

/// The steps of one line: a message, and the answers that it waits for.
fn steps_of(line: &str) -> Result<Vec<Step>, String> {
    let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
    let (body, words) = match rest.split_once("=> ") {
        Some((body, words)) => (body.trim(), Some(Words::read(words))),
        None => (rest.trim(), None),
    };
    let step = match verb {
        "setup" => Step::Setup(rest.into()),
        "session" => Step::Session(rest.into()),
        "start" => Step::Start(
            rest.split(' ')
                .filter_map(|pair| owned(pair.split_once('=')))
                .collect(),
        ),
        "said" => Step::Said(rest.into()),
        "reason" => Step::Reason(rest.into()),
        "check" => return Ok(vec![Step::Check(body.into(), words.ok_or("no =>")?)]),
        _ => Step::Send(message_of(verb, body)?),
    };
    Ok(std::iter::once(step)
        .chain(words.map(Step::Answers))
        .collect())
}

fn message_of(verb: &str, body: &str) -> Result<Vec<u8>, String> {
    let (first, rest) = body.split_once(' ').unwrap_or((body, ""));
    let bytes = match verb {
        "Q" => message::query(&unescape(body)?),
        "P" => message::parse(name(first), &unescape(rest)?),
        "B" => {
            let (statement, parameters) = rest.split_once(' ').unwrap_or((rest, ""));
            let parameters = parameters
                .split(' ')
                .filter(|one| !one.is_empty())
                .map(parameter);
            message::bind(
                name(first),
                name(statement),
                &parameters.collect::<Result<Vec<_>, _>>()?,
            )
        }
        "D" | "C" => message::named(verb.as_bytes()[0], first.as_bytes()[0], name(rest)),
        "E" if rest.is_empty() => message::execute(name(first), 0),
        "E" => message::execute(name(first), rest.parse().map_err(|_| "rows")?),
        "S" => message::sync(),
        "H" => message::tagged(b'H', &[]),
        "X" => message::terminate(),
        "F" => {
            let arguments: Vec<&str> = rest.split(' ').filter(|one| !one.is_empty()).collect();
            message::function_call(first.parse().map_err(|_| "an oid")?, &arguments)
        }
        "d" => message::tagged(b'd', &[&unescape(body)?[..], b"\n"].concat()),
        "c" => message::tagged(b'c', &[]),
        "f" => message::tagged(b'f', &message::zero_ended(body.as_bytes())),
        _ => return Err("no such message".into()),
    };
    Ok(bytes)
}

/// `15-18`
fn majors(range: &str) -> Option<(u32, u32)> {
    let (oldest, newest) = range.split_once('-')?;
    Some((oldest.parse().ok()?, newest.parse().ok()?))
}

fn name(text: &str) -> &str {
    if text == "-" { "" } else { text }
}

fn parameter(text: &str) -> Result<Parameter, String> {
    let (kind, value) = text.split_once(':').unwrap_or((text, ""));
    let number = || {
        value
            .parse::<i64>()
            .map_err(|_| format!("{value} is no number"))
    };
    let parameter = match kind {
        "null" => Parameter::Null,
        "text" => Parameter::Text(value.into()),
        "bintext" => Parameter::Binary(value.into()),
        "int8" => Parameter::Binary(number()?.to_be_bytes().to_vec()),
        "int4" => Parameter::Binary(
            i32::try_from(number()?)
                .map_err(|_| "int4")?
                .to_be_bytes()
                .to_vec(),
        ),
        "bool" => Parameter::Binary(vec![u8::from(value == "t")]),
        _ => return Err(format!("no such parameter: {text}")),
    };
    Ok(parameter)
}

/// `{{8c5c}}` stands for two bytes; everything else for itself.
fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let (digits, after) = after.split_once("}}").ok_or("{{ without }}")?;
        bytes.extend(before.as_bytes());
        for pair in digits.as_bytes().chunks(2) {
            let pair = std::str::from_utf8(pair).map_err(|_| "digits")?;
            bytes.push(u8::from_str_radix(pair, 16).map_err(|_| format!("{pair} is no byte"))?);
        }
        rest = after;
    }
    bytes.extend(rest.as_bytes());
    Ok(bytes)
}

fn owned(pair: Option<(&str, &str)>) -> Option<(String, String)> {
    pair.map(|(name, value)| (name.to_owned(), value.to_owned()))
}
