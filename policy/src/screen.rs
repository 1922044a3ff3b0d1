//! Could this text concern a guarded table? Lexical, conservative, one scan over raw bytes.
//!
//! A name counts wherever its bytes stand: as an identifier, in a string, in a body, in a comment.
//! Token boundaries play no part, so neither `client_encoding` nor `standard_conforming_strings`
//! can hide one. Texts that can spell a name without its bytes (`U&"..."`; a backslash or a
//! continued string next to code) concern all guards.
//!
//! What no text shows: names built at run time (`'schema_' || 'migrations'`, `format`, `chr`),
//! functions, triggers, views, foreign keys. Transaction coverage sees those.
//!
//! What takes tables away without their names (DROP SCHEMA, ALTER SCHEMA, DROP OWNED, REASSIGN
//! OWNED) concerns all guards.

use std::borrow::Cow;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

use crate::effect::{Call, Calls};
use crate::guard::{GuardId, GuardSet};
use crate::lexer::{Lexical, Token, TokenKind, Tokens, is_operator, is_space, operator_len};
use crate::name::NAME_LEN_MAX;

/// A longer name in the text may be cut to one of this length or more: PostgreSQL keeps 63 bytes,
/// or up to 3 fewer, to end with a whole character.
const CUT_LEN_MIN: usize = NAME_LEN_MAX - 3;

/// The compiled names of all guarded tables.
#[derive(Debug)]
pub struct Screen {
    matcher: Matcher,
    needles: Vec<Needle>,
    all: GuardSet,
    /// Guards whose name has characters outside ASCII: their bytes depend on the encoding, so any
    /// text outside ASCII concerns them.
    not_ascii: GuardSet,
}

/// The automaton of all needles.
#[derive(Debug)]
enum Matcher {
    /// There is no name to look for.
    Nothing,
    Names(AhoCorasick),
    /// The names are too many to be compiled: every text may have them.
    Everything,
}

/// What holds tables and can be taken away whole, after the verbs that do it.
const CONTAINERS: [&str; 2] = ["schema", "owned"];
const TAKES_AWAY: [&[u8]; 3] = [b"drop", b"alter", b"reassign"];

/// What is looked for: the name of a guard's table, or a container of all.
#[derive(Debug)]
struct Needle {
    /// Of a container: it counts only after a verb that takes it away.
    contains: bool,
    guards: GuardSet,
    /// Whether the name begins with it, and ends with it.
    begins: bool,
    ends: bool,
}

impl Screen {
    /// Compiles the names of tables, without schema and quotes, as the catalog has them.
    #[must_use]
    pub fn new<'a>(names: impl IntoIterator<Item = (GuardId, &'a str)>) -> Self {
        let mut all = GuardSet::EMPTY;
        let mut not_ascii = GuardSet::EMPTY;
        let mut needles: Vec<Needle> = Vec::new();
        let mut patterns = Vec::new();
        for (guard, name) in names {
            all.insert(guard);
            if !name.is_ascii() {
                not_ascii.insert(guard);
                continue;
            }
            let run = longest_plain_run(name);
            let mut guards = GuardSet::EMPTY;
            guards.insert(guard);
            needles.push(Needle {
                contains: false,
                guards,
                begins: name.starts_with(run),
                ends: name.ends_with(run) && name.len() < CUT_LEN_MIN,
            });
            patterns.push(run.get(..run.len().min(CUT_LEN_MIN)).unwrap_or(run));
        }
        if !all.is_empty() {
            for word in CONTAINERS {
                needles.push(Needle {
                    contains: true,
                    guards: all,
                    begins: true,
                    ends: true,
                });
                patterns.push(word);
            }
        }
        Self {
            matcher: Matcher::new(&patterns),
            needles,
            all,
            not_ascii,
        }
    }

    /// All guards of this screen.
    #[must_use]
    pub const fn all(&self) -> GuardSet {
        self.all
    }

    /// The guards whose table `text` may name, in whatever way it is quoted, escaped or embedded
    /// in a string, under whatever `client_encoding` and `standard_conforming_strings`.
    /// All guards where the text can hide a name. Empty for nearly all traffic.
    #[must_use]
    pub fn mentions(&self, text: &[u8]) -> GuardSet {
        if self.all.is_empty() {
            return GuardSet::EMPTY;
        }
        if can_hide_a_name(text) {
            return self.all;
        }
        self.names_in(text)
    }

    /// The guards whose name's bytes stand in `text`.
    #[must_use]
    pub fn names_in(&self, text: &[u8]) -> GuardSet {
        let mut found = GuardSet::EMPTY;
        if !text.is_ascii() {
            found = self.not_ascii;
        }
        let text = without_turkish_i(text);
        let matcher = match &self.matcher {
            Matcher::Names(matcher) => matcher,
            Matcher::Nothing => return found,
            Matcher::Everything => return self.all,
        };
        if !matcher.is_match(text.as_ref()) {
            return found;
        }
        let escapes = text.contains(&b'\\');
        let mut verbs = None;
        let Ok(hits) = matcher.try_find_overlapping_iter(text.as_ref()) else {
            return self.all;
        };
        for hit in hits {
            let Some(needle) = self.needles.get(hit.pattern().as_usize()) else {
                continue;
            };
            let before = hit.start().checked_sub(1).and_then(|at| text.get(at));
            let continues = !escapes
                && (needle.begins && before.is_some_and(|byte| joins_before(*byte))
                    || needle.ends && text.get(hit.end()).is_some_and(|byte| joins_after(*byte)));
            let counts = !needle.contains || {
                let before = text.get(..hit.start()).unwrap_or_default();
                verbs
                    .get_or_insert_with(|| Verbs::of(&text))
                    .take_away(before)
            };
            if !continues && counts {
                found = found.union(needle.guards);
            }
        }
        found
    }
}

impl Matcher {
    fn new(patterns: &[&str]) -> Self {
        if patterns.is_empty() {
            return Self::Nothing;
        }
        // Many names of all first letters: a prefilter stops at every other byte and costs more
        // than it saves.
        AhoCorasick::builder()
            .match_kind(MatchKind::Standard)
            .ascii_case_insensitive(true)
            .kind(Some(AhoCorasickKind::DFA))
            .prefilter(false)
            .build(patterns)
            .map_or(Self::Everything, Self::Names)
    }
}

/// What of a text tells whether a container in it is taken away.
struct Verbs {
    /// Where the first `--` and the first verb end.
    dashes: Option<usize>,
    verb: Option<usize>,
}

impl Verbs {
    fn of(text: &[u8]) -> Self {
        let end_of = |word: &[u8]| {
            let mut windows = text.windows(word.len());
            let at = windows.position(|window| window.eq_ignore_ascii_case(word));
            at.map(|at| at + word.len())
        };
        Self {
            dashes: end_of(b"--"),
            verb: TAKES_AWAY.iter().filter_map(|verb| end_of(verb)).min(),
        }
    }

    /// Whether what follows `before`, a start of the text, is taken away: behind the verb, white space
    /// and comments.
    fn take_away(&self, before: &[u8]) -> bool {
        let blank = before.iter().rev().take_while(|byte| is_space(**byte));
        let blank = blank.count();
        let before = before.get(..before.len() - blank).unwrap_or_default();
        let is_before = |end: Option<usize>| end.is_some_and(|end| end <= before.len());
        let ends_with = |word: &&[u8]| {
            let at = before.len().checked_sub(word.len());
            at.and_then(|at| before.get(at..))
                .is_some_and(|end| end.eq_ignore_ascii_case(word))
        };
        let commented = before.ends_with(b"*/") || is_before(self.dashes);
        TAKES_AWAY.iter().any(ends_with) || commented && is_before(self.verb)
    }
}

/// The longest part of a name that looks the same in every kind of quotes; of a name that is all
/// quotes, one of them.
fn longest_plain_run(name: &str) -> &str {
    name.split(|char| !u8::try_from(char).is_ok_and(is_plain))
        .max_by_key(|run| run.len())
        .filter(|run| !run.is_empty())
        .unwrap_or(name.get(..1).unwrap_or_default())
}

/// Whether a byte of a name looks the same in every kind of quotes.
const fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\'' | b'\\')
}

/// Whether an identifier that ends with `byte` goes on with the name. Not after a digit (`1name`
/// is a number and a name for old servers), nor after `$` (`$$name$$`).
const fn joins_before(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || !byte.is_ascii()
}

const fn joins_after(byte: u8) -> bool {
    joins_before(byte) || byte.is_ascii_digit()
}

/// Servers with a single-byte encoding fold the Turkish capital I with a dot to `i`.
/// It is `0xDD` there, and may come as UTF-8.
fn without_turkish_i(text: &[u8]) -> Cow<'_, [u8]> {
    let has_it =
        |text: &[u8]| text.contains(&0xdd) || text.windows(2).any(|pair| pair == [0xc4, 0xb0]);
    if text.is_ascii() || !has_it(text) {
        return Cow::Borrowed(text);
    }
    let mut folded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, tail)) = rest.split_first() {
        let (byte, tail) = match (first, tail) {
            (0xc4, [0xb0, tail @ ..]) | (0xdd, tail) => (b'i', tail),
            _ => (first, tail),
        };
        folded.push(byte);
        rest = tail;
    }
    Cow::Owned(folded)
}

/// Whether `text` can spell a name without its bytes.
#[must_use]
pub(crate) fn can_hide_a_name(text: &[u8]) -> bool {
    let has_backslash = text.contains(&b'\\');
    if text.contains(&b'&') && has_unicode_escape(text, has_backslash) {
        return true;
    }
    (has_backslash || has_continued_string(text)) && runs_code(text)
}

/// `U&'` or `U&"`, unless it is the end of a longer word.
fn has_unicode_escape(text: &[u8], has_backslash: bool) -> bool {
    text.windows(3).enumerate().any(|(at, bytes)| {
        let [b'u' | b'U', b'&', b'"' | b'\''] = bytes else {
            return false;
        };
        let before = at.checked_sub(1).and_then(|at| text.get(at));
        has_backslash || !before.is_some_and(|byte| joins_before(*byte))
    })
}

/// A quote, white space with a newline in it (or a `--` comment, which may have quotes), a quote.
fn has_continued_string(text: &[u8]) -> bool {
    let is_newline = |byte: &u8| matches!(byte, b'\n' | b'\r');
    // Most texts have neither, and `contains` looks at many bytes at a time.
    if !text.contains(&b'\n') && !text.contains(&b'\r') {
        return false;
    }
    text.split(|byte| *byte == b'\'').skip(1).any(|between| {
        let blank = between.iter().take_while(|byte| is_space(**byte)).count();
        let rest = between.get(blank..).unwrap_or_default();
        rest.starts_with(b"--") || rest.is_empty() && between.iter().any(is_newline)
    })
}

/// Whether `text` has code in a string, or hands a string to a function that may run it.
///
/// Both readings of a backslash are tried. A backslash behind a byte above 0x7f may be half a
/// character: then no reading of the quotes is trusted and every word counts.
fn runs_code(text: &[u8]) -> bool {
    if text
        .windows(2)
        .any(|pair| matches!(pair, [0x80..=0xff, b'\\']))
    {
        return has_code(Words { text, at: 0 }, text);
    }
    [true, false]
        .into_iter()
        .any(|standard_conforming_strings| {
            let lexical = Lexical {
                standard_conforming_strings,
                ..Lexical::DEFAULT
            };
            has_code(Tokens::new(text, lexical).map_while(Result::ok), text)
        })
}

fn has_code(tokens: impl Iterator<Item = Token>, text: &[u8]) -> bool {
    const CODE: [&str; 4] = ["function", "procedure", "execute", "call"];
    let mut calls = Calls::new(text);
    let mut after_do = false;
    for token in tokens {
        let is = |word: &str| token.is_word(text, word);
        // ON CONFLICT DO NOTHING is no code.
        if after_do && !is("nothing") && !is("update") || CODE.iter().any(|word| is(word)) {
            return true;
        }
        after_do = is("do");
        if calls.push(&token) == Call::Unknown {
            return true;
        }
    }
    after_do
}

/// The words of a text and what makes calls of them, whatever its quotes mean.
struct Words<'a> {
    text: &'a [u8],
    at: usize,
}

impl Iterator for Words<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        let is_part = |byte: &u8| joins_after(*byte);
        let counts = |byte: &u8| is_part(byte) || b"(.\"".contains(byte) || is_operator(*byte);
        let rest = self.text.get(self.at..)?;
        let start = self.at + rest.iter().position(counts)?;
        let rest = self.text.get(start..)?;
        let first = *rest.first()?;
        let (kind, len) = if is_operator(first) {
            (TokenKind::Operator, operator_len(rest))
        } else if is_part(&first) {
            let end = rest.iter().position(|byte| !is_part(byte));
            (TokenKind::Word, end.unwrap_or(rest.len()))
        } else if first == b'"' {
            // Where a quoted name begins and ends is not known: a call behind it is of any function.
            (TokenKind::UnicodeQuoted, 1)
        } else {
            (TokenKind::Punctuation(first), 1)
        };
        self.at = start + len;
        let range = start..self.at;
        Some(Token { kind, range })
    }
}
