//! Texts of statements, from a grammar whose words are then written and parted in every possible way,
//! and sometimes broken.

use std::collections::HashMap;

use crate::{
    names::{cased, code, name, string},
    random::Random,
};

/// Deeper than this a rule ends by its first alternative.
const DEPTH_MAX: usize = 7;
/// The most words of one text.
const WORDS_MAX: usize = 160;

/// What can stand where it should not.
const FRAGMENTS: [&str; 56] = [
    "'",
    "\"",
    "''",
    "$$",
    "$a$",
    "$",
    "$1",
    "--",
    "--\n",
    "/*",
    "*/",
    "/*/",
    "/**/",
    "\n",
    "\r",
    "\x0b",
    "\x0c",
    " ",
    ";",
    "(",
    ")",
    "\\",
    "\\'",
    "E'",
    "e'",
    "U&'",
    "u&\"",
    "X'",
    "b'",
    "N'",
    "+",
    "-",
    "<",
    ">=",
    "@",
    "~",
    "#",
    "|",
    "%",
    ".",
    "..",
    "::",
    ":=",
    "1",
    "1e",
    "0x1f",
    "1_000",
    "a",
    "é",
    "\u{3000}",
    "end",
    "begin",
    "atomic",
    "do",
    "schema_migrations",
    "\"My_Version\"",
];

/// The rules, by name.
#[derive(Debug)]
pub struct Grammar {
    rules: HashMap<&'static str, Vec<Vec<&'static str>>>,
}

impl Grammar {
    /// Reads `grammar.txt`.
    pub fn new() -> Self {
        let mut rules: HashMap<&str, Vec<Vec<&str>>> = HashMap::new();
        let mut rule = "";
        for line in include_str!("grammar.txt").lines() {
            if line.starts_with('%') {
                rule = line;
            } else if line.starts_with(' ') {
                rules
                    .entry(rule)
                    .or_default()
                    .push(line.split_whitespace().collect());
            }
        }
        Self { rules }
    }

    /// A text of one or more statements.
    pub fn text(&self, random: &mut Random) -> Vec<u8> {
        let mut words = Vec::new();
        self.expand("%script", 0, random, &mut words);
        let mut text = written(&words, random);
        if random.percent(35) {
            for _ in 0..=random.below(3) {
                text = broken(&text, random);
            }
        }
        // No text of the protocol has a NUL in it.
        text.into_bytes()
    }

    fn expand(&self, rule: &str, depth: usize, random: &mut Random, words: &mut Vec<String>) {
        let Some(alternatives) = self.rules.get(rule) else {
            return words.push(word(rule, random));
        };
        let ends = depth > DEPTH_MAX || words.len() > WORDS_MAX;
        let which = if ends {
            0
        } else {
            random.below(alternatives.len())
        };
        for part in &alternatives[which] {
            self.expand(part, depth + 1, random, words);
        }
    }
}

/// A word of the grammar, as it is written here.
fn word(word: &str, random: &mut Random) -> String {
    const IDENTIFIERS: [&str; 16] = [
        "execute",
        "verbose",
        "schema",
        "owned",
        "p",
        "a",
        "c",
        "b",
        "\"Q\"",
        "transaction",
        "prepare",
        "x",
        "u",
        "e",
        "only",
        "s",
    ];
    match word {
        "%name" => name(random),
        "%ident" if random.percent(15) => name(random),
        "%ident" => random.one(&IDENTIFIERS).to_owned(),
        "%string" => string(random),
        "%code" => code(random),
        _ if word.starts_with('"') => word.to_owned(),
        _ => match random.below(4) {
            0 => word.to_ascii_lowercase(),
            1 => cased(word, random),
            _ => word.to_owned(),
        },
    }
}

/// The words with something between them, or nothing.
fn written(words: &[String], random: &mut Random) -> String {
    const BETWEEN: [&str; 12] = [
        " ",
        "\n",
        "\t",
        "\r\n",
        "\x0c",
        "/* ; ' */",
        " -- ; '\n",
        "--\r",
        "/* /* $$ */ \" */",
        " /**/ ",
        "\x0b",
        "  ",
    ];
    let mut text = String::new();
    for word in words {
        let joins = |c: char| c.is_alphanumeric() || "_$'\"".contains(c);
        let close = text.ends_with(joins) && word.starts_with(joins);
        match random.below(20) {
            0..=3 => text.push_str(random.one(&BETWEEN)),
            4 if !close || random.percent(10) => {}
            5..=12 if !close && (word == "." || text.ends_with('.')) => {}
            _ => text.push(' '),
        }
        text.push_str(word);
    }
    if random.percent(10) {
        text.push_str(random.one(&BETWEEN));
    }
    text
}

/// The text with one piece more, less or elsewhere.
fn broken(text: &str, random: &mut Random) -> String {
    let place = |random: &mut Random| {
        let mut at = random.below(text.len() + 1);
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let (one, other) = (place(random), place(random));
    let (from, to) = (one.min(other), one.max(other));
    match random.below(6) {
        0 => [&text[..from], &text[to..]].concat(),
        1 => [&text[..to], &text[from..]].concat(),
        2 if to - from < 12 => [&text[..from], &text[to..]].concat(),
        _ => [&text[..from], random.one(&FRAGMENTS), &text[from..]].concat(),
    }
}
