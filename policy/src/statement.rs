//! What the statements in a text are: exact boundaries, kinds, whether one can write.
//!
//! Statements end at a `;` outside parentheses (CREATE RULE has lists in them) and outside a
//! `BEGIN ATOMIC ... END` body. Where PostgreSQL would refuse the text for its grammar, it refuses
//! all of it, and any boundary will do.

use std::ops::Range;

pub use crate::effect::Effect;
use crate::effect::EffectReader;
pub use crate::kind::Kind;
use crate::kind::KindReader;
pub use crate::lexer::{Lexical, Odd};
use crate::lexer::{Token, Tokens};
pub use crate::name::Name;

/// One statement of a text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Statement {
    /// Its bytes in the text, from its first token to the end of its last; without the semicolon.
    pub range: Range<usize>,
    /// What it does to the transaction or to the session's prepared statements.
    pub kind: Kind,
    /// Whether it can, by what its own text says, change what a table holds or is.
    pub effect: Effect,
}

/// Splits `text` (a Query's or Parse's string, without its NUL) into statements, with PostgreSQL's
/// exact token boundaries. Empty statements are left out.
///
/// # Errors
/// [`Odd`] where the boundaries cannot be known.
pub fn statements(text: &[u8], lexical: Lexical) -> Result<Vec<Statement>, Odd> {
    if !lexical.ascii_safe && !text.is_ascii() {
        return Err(Odd::UnsafeEncoding);
    }
    let mut found = Vec::new();
    let mut reader = Reader::new(text);
    let mut body = Body::new(text);
    for token in Tokens::new(text, lexical) {
        let token = token?;
        if body.ends_statement(&token) {
            found.extend(reader.finish());
            reader = Reader::new(text);
            body = Body::new(text);
        } else {
            reader.push(&token);
        }
    }
    found.extend(reader.finish());
    Ok(found)
}

/// What the first (of a Parse: the only) statement does to the transaction, from its first words.
///
/// Takes time in proportion to leading white space and comments only, but for CREATE, EXPLAIN,
/// ALTER, REINDEX and CLUSTER, which are read to their end: `CREATE TABLE ... AS EXECUTE name`.
#[must_use]
pub fn first_kind(text: &[u8]) -> Kind {
    let lexical = Lexical::DEFAULT;
    let (kind, is_final) = first_kind_under(text, lexical);
    if is_final || kind != Kind::Other || !Lexical::matter_for(text) {
        return kind;
    }
    // A backslash may have hidden the end of a string, and with it the words behind.
    let lexical = Lexical {
        standard_conforming_strings: false,
        ..lexical
    };
    first_kind_under(text, lexical).0
}

/// The kind, and whether its first words alone told it.
fn first_kind_under(text: &[u8], lexical: Lexical) -> (Kind, bool) {
    let mut reader = KindReader::new(text);
    let mut body = Body::new(text);
    let mut started = false;
    for token in Tokens::new(text, lexical) {
        let Ok(token) = token else { break };
        if body.ends_statement(&token) {
            if started {
                break;
            }
            continue;
        }
        started = true;
        reader.push(&token);
        if reader.is_decided() {
            return (reader.kind(), true);
        }
    }
    (reader.kind(), false)
}

/// One statement while it is being read.
struct Reader<'a> {
    range: Option<Range<usize>>,
    kind: KindReader<'a>,
    effect: EffectReader<'a>,
}

impl<'a> Reader<'a> {
    const fn new(text: &'a [u8]) -> Self {
        Self {
            range: None,
            kind: KindReader::new(text),
            effect: EffectReader::new(text),
        }
    }

    fn push(&mut self, token: &Token) {
        let start = self
            .range
            .as_ref()
            .map_or(token.range.start, |range| range.start);
        self.range = Some(start..token.range.end);
        if !self.kind.is_decided() {
            self.kind.push(token);
        }
        self.effect.push(token);
    }

    fn finish(self) -> Option<Statement> {
        let kind = self.kind.kind();
        let effect = if matches!(kind, Kind::Execute(_)) {
            Effect::Writes
        } else {
            self.effect.effect()
        };
        self.range.map(|range| Statement {
            range,
            kind,
            effect,
        })
    }
}

/// Tells the `;` that ends a statement from those inside it.
///
/// A body ends at an `END` that begins one of its statements: `SELECT 1 AS end` and `CASE ... END`
/// do not, so a body cannot be made to look longer or shorter than it is.
struct Body<'a> {
    text: &'a [u8],
    parentheses: usize,
    atomic: usize,
    words: Words,
    previous: Previous,
}

/// How much of `CREATE [OR REPLACE] FUNCTION | PROCEDURE` was read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Words {
    None,
    Create,
    CreateOr,
    CreateOrReplace,
    CreateRoutine,
    Others,
}

/// The token before this one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Previous {
    Begin,
    /// ATOMIC, or a `;` in a body: the next token begins a statement of the body.
    BodyStart,
    Other,
}

impl<'a> Body<'a> {
    const fn new(text: &'a [u8]) -> Self {
        Self {
            text,
            parentheses: 0,
            atomic: 0,
            words: Words::None,
            previous: Previous::Other,
        }
    }

    fn ends_statement(&mut self, token: &Token) -> bool {
        if token.is_punctuation(b'(') {
            self.parentheses += 1;
        } else if token.is_punctuation(b')') {
            self.parentheses = self.parentheses.saturating_sub(1);
        }
        if self.parentheses > 0 {
            self.previous = Previous::Other;
            return false;
        }
        if token.is_punctuation(b';') {
            self.previous = Previous::BodyStart;
            return self.atomic == 0;
        }
        self.words = self.next_words(token);
        self.previous = self.next_previous(token);
        false
    }

    fn next_words(&self, token: &Token) -> Words {
        let is = |word| token.is_word(self.text, word);
        match self.words {
            Words::None if is("create") => Words::Create,
            Words::Create if is("or") => Words::CreateOr,
            Words::CreateOr if is("replace") => Words::CreateOrReplace,
            Words::Create | Words::CreateOrReplace if is("function") || is("procedure") => {
                Words::CreateRoutine
            }
            Words::CreateRoutine => Words::CreateRoutine,
            Words::None
            | Words::Create
            | Words::CreateOr
            | Words::CreateOrReplace
            | Words::Others => Words::Others,
        }
    }

    fn next_previous(&mut self, token: &Token) -> Previous {
        let is = |word| token.is_word(self.text, word);
        if self.words != Words::CreateRoutine {
            return Previous::Other;
        }
        if self.previous == Previous::Begin && is("atomic") {
            self.atomic += 1;
            return Previous::BodyStart;
        }
        if self.previous == Previous::BodyStart && self.atomic > 0 && is("end") {
            self.atomic -= 1;
        }
        if is("begin") {
            Previous::Begin
        } else {
            Previous::Other
        }
    }
}
