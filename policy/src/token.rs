//! One token of a text, and what it may be.

use std::ops::Range;

/// One token, without the white space and comments around it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// Its bytes in the text. Never empty.
    pub range: Range<usize>,
}

impl Token {
    /// Its bytes.
    #[must_use]
    pub fn bytes<'a>(&self, text: &'a [u8]) -> &'a [u8] {
        text.get(self.range.clone()).unwrap_or_default()
    }

    /// Whether it is the unquoted word `word`, in any case.
    #[must_use]
    pub fn is_word(&self, text: &[u8], word: &str) -> bool {
        self.kind == TokenKind::Word && self.bytes(text).eq_ignore_ascii_case(word.as_bytes())
    }

    /// Whether it is that one punctuation byte.
    #[must_use]
    pub fn is_punctuation(&self, byte: u8) -> bool {
        self.kind == TokenKind::Punctuation(byte)
    }
}

/// A word in lower case, on the stack: for matching it against many keywords at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Folded {
    bytes: [u8; Self::LEN_MAX],
    len: usize,
}

impl Folded {
    /// As long as the longest keyword that anyone asks for.
    const LEN_MAX: usize = 12;

    /// Empty for what is not an unquoted word, or is longer than every keyword.
    pub(crate) fn new(token: &Token, text: &[u8]) -> Self {
        let mut bytes = [0; Self::LEN_MAX];
        let word = token.bytes(text);
        let fits = token.kind == TokenKind::Word && word.len() <= Self::LEN_MAX;
        let len = if fits { word.len() } else { 0 };
        for (to, from) in bytes.iter_mut().zip(word) {
            *to = from.to_ascii_lowercase();
        }
        Self { bytes, len }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// What a token is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TokenKind {
    /// A keyword or an unquoted identifier.
    Word,
    /// `"..."`.
    Quoted,
    /// `U&"..."`.
    UnicodeQuoted,
    /// A string constant with all that continues it.
    Text(TextKind),
    /// `$1`.
    Param,
    /// A number, without the junk that may follow it.
    Number,
    /// A run of operator characters, `::`, `:=` or `..`.
    Operator,
    /// Any other single byte.
    Punctuation(u8),
}

/// How a string constant is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TextKind {
    /// `'...'` or `N'...'`, backslashes as themselves.
    Plain,
    /// `E'...'`, or `'...'` without `standard_conforming_strings`.
    Escape,
    /// `B'...'`.
    Bit,
    /// `X'...'`.
    Hex,
    /// `U&'...'`.
    Unicode,
    /// `$tag$...$tag$`.
    Dollar,
}

impl TextKind {
    pub(crate) const fn has_backslash_escapes(self) -> bool {
        matches!(self, Self::Escape)
    }

    /// Whether `''` is a quote: not so in bit strings, where the second one starts a new constant.
    pub(crate) const fn has_doubled_quotes(self) -> bool {
        matches!(self, Self::Plain | Self::Escape | Self::Unicode)
    }
}
