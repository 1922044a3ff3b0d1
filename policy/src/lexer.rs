//! Where PostgreSQL's tokens begin and end: `scan.l` of PostgreSQL 13 to 18 on raw bytes.
//!
//! Only boundaries are promised. Where versions differ, all but one of them refuse the whole text
//! (`\v` before 16, junk after a number from 15 on), so the reading of the one that accepts it is
//! the right one for all. Bytes above 0x7f are identifier characters, as they are for the server.

pub use crate::lexical::{Lexical, Odd};
use crate::name::NAME_LEN_MAX;
pub(crate) use crate::token::Folded;
pub use crate::token::{TextKind, Token, TokenKind};

/// The tokens of a text, in order. Ends after the first error.
#[derive(Clone, Debug)]
pub struct Tokens<'a> {
    text: &'a [u8],
    at: usize,
    standard_conforming_strings: bool,
}

impl<'a> Tokens<'a> {
    /// Reads `text` from its first byte. [`Lexical::ascii_safe`] is the caller's to check.
    #[must_use]
    pub const fn new(text: &'a [u8], lexical: Lexical) -> Self {
        Self {
            text,
            at: 0,
            standard_conforming_strings: lexical.standard_conforming_strings,
        }
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.text.get(at).copied()
    }

    /// The first place from `at` on whose byte `stop` accepts, or the end.
    fn until(&self, at: usize, stop: impl Fn(u8) -> bool) -> usize {
        let rest = self.text.get(at..).unwrap_or_default();
        rest.iter()
            .position(|byte| stop(*byte))
            .map_or(self.text.len(), |offset| at + offset)
    }

    /// Skips white space and comments.
    fn skip_blank(&mut self) -> Result<(), Odd> {
        loop {
            match (self.byte(self.at), self.byte(self.at + 1)) {
                (Some(byte), _) if is_space(byte) => self.at += 1,
                (Some(b'-'), Some(b'-')) => self.at = self.until(self.at, is_newline),
                (Some(b'/'), Some(b'*')) => self.at = self.comment_end(self.at + 2)?,
                _ => return Ok(()),
            }
        }
    }

    /// Comments nest.
    fn comment_end(&self, mut at: usize) -> Result<usize, Odd> {
        let mut depth = 1_usize;
        while depth > 0 {
            at = self.until(at, |byte| byte == b'*' || byte == b'/');
            match (self.byte(at), self.byte(at + 1)) {
                (Some(b'*'), Some(b'/')) => {
                    depth -= 1;
                    at += 2;
                }
                (Some(b'/'), Some(b'*')) => {
                    depth += 1;
                    at += 2;
                }
                (Some(_), Some(_)) => at += 1,
                (None, _) | (_, None) => return Err(Odd::Unterminated),
            }
        }
        Ok(at)
    }

    fn token(&mut self, first: u8) -> Result<Token, Odd> {
        let start = self.at;
        let rest = self.text.get(start..).unwrap_or_default();
        let (kind, end) = match first {
            b'\'' => self.string(self.plain_kind(), start + 1)?,
            b'"' => (TokenKind::Quoted, self.quoted_end(start + 1)?),
            b'$' => self.dollar(start)?,
            b':' if matches!(self.byte(start + 1), Some(b':' | b'=')) => {
                (TokenKind::Operator, start + 2)
            }
            b'.' if self.byte(start + 1) == Some(b'.') => (TokenKind::Operator, start + 2),
            b'.' if self.byte(start + 1).is_some_and(is_digit) => self.number(start),
            _ if is_digit(first) => self.number(start),
            _ if is_identifier_start(first) => self.word(first, start)?,
            _ if is_operator(first) => (TokenKind::Operator, start + operator_len(rest)),
            _ => (TokenKind::Punctuation(first), start + 1),
        };
        self.at = end;
        let range = start..end;
        Ok(Token { kind, range })
    }

    const fn plain_kind(&self) -> TextKind {
        if self.standard_conforming_strings {
            TextKind::Plain
        } else {
            TextKind::Escape
        }
    }

    /// A word, or what a letter before a quote makes of it.
    fn word(&self, first: u8, start: usize) -> Result<(TokenKind, usize), Odd> {
        let second = self.byte(start + 1);
        let prefixed = match (first.to_ascii_lowercase(), second, self.byte(start + 2)) {
            (b'e', Some(b'\''), _) => Some((TextKind::Escape, start + 2)),
            (b'b', Some(b'\''), _) => Some((TextKind::Bit, start + 2)),
            (b'x', Some(b'\''), _) => Some((TextKind::Hex, start + 2)),
            (b'n', Some(b'\''), _) => Some((self.plain_kind(), start + 2)),
            (b'u', Some(b'&'), Some(b'\'')) => Some((TextKind::Unicode, start + 3)),
            (b'u', Some(b'&'), Some(b'"')) => {
                return Ok((TokenKind::UnicodeQuoted, self.quoted_end(start + 3)?));
            }
            _ => None,
        };
        match prefixed {
            Some((kind, inside)) => self.string(kind, inside),
            None => Ok((
                TokenKind::Word,
                self.until(start + 1, |byte| !is_identifier_part(byte)),
            )),
        }
    }

    /// A string constant from its first inner byte to its end, with its continuations.
    fn string(&self, kind: TextKind, inside: usize) -> Result<(TokenKind, usize), Odd> {
        let mut at = inside;
        loop {
            at = self.until(at, |byte| byte == b'\'' || byte == b'\\');
            match self.byte(at) {
                None => return Err(Odd::Unterminated),
                Some(b'\\') if kind.has_backslash_escapes() => at += 2,
                Some(b'\\') => at += 1,
                Some(_) if kind.has_doubled_quotes() && self.byte(at + 1) == Some(b'\'') => at += 2,
                Some(_) => match self.continuation(at + 1) {
                    Some(inside) => at = inside,
                    None => return Ok((TokenKind::Text(kind), at + 1)),
                },
            }
        }
    }

    /// `'a'`, white space with a newline in it (`--` comments too), `'b'`: one constant of the kind
    /// of the first part.
    fn continuation(&self, mut at: usize) -> Option<usize> {
        let mut newline_seen = false;
        loop {
            match self.byte(at)? {
                b'\'' => return newline_seen.then_some(at + 1),
                b'-' if self.byte(at + 1) == Some(b'-') => at = self.until(at, is_newline),
                byte if is_space(byte) => {
                    newline_seen |= is_newline(byte);
                    at += 1;
                }
                _ => return None,
            }
        }
    }

    /// The end of a quoted identifier, from its first inner byte.
    fn quoted_end(&self, mut at: usize) -> Result<usize, Odd> {
        loop {
            at = self.until(at, |byte| byte == b'"');
            match (self.byte(at), self.byte(at + 1)) {
                (None, _) => return Err(Odd::Unterminated),
                (_, Some(b'"')) => at += 2,
                _ => return Ok(at + 1),
            }
        }
    }

    fn dollar(&self, start: usize) -> Result<(TokenKind, usize), Odd> {
        let next = self.byte(start + 1);
        if next.is_some_and(is_digit) {
            let end = self.until(start + 1, |byte| !is_digit(byte));
            return Ok((TokenKind::Param, end));
        }
        let tag_end = match next {
            Some(byte) if is_identifier_start(byte) => {
                self.until(start + 1, |byte| byte == b'$' || !is_identifier_part(byte))
            }
            _ => start + 1,
        };
        if self.byte(tag_end) != Some(b'$') {
            return Ok((TokenKind::Punctuation(b'$'), start + 1));
        }
        let delimiter = self.text.get(start..=tag_end).unwrap_or_default();
        let mut at = tag_end + 1;
        // A tag has no `$` inside, so comparing at every `$` stays linear.
        loop {
            at = self.until(at, |byte| byte == b'$');
            let rest = self.text.get(at..).unwrap_or_default();
            if rest.is_empty() {
                return Err(Odd::Unterminated);
            }
            if rest.starts_with(delimiter) {
                let end = at + delimiter.len();
                return Ok((TokenKind::Text(TextKind::Dollar), end));
            }
            at += 1;
        }
    }

    /// Digits, a fraction, an exponent. `1..2` is a number, two dots and a number.
    fn number(&self, start: usize) -> (TokenKind, usize) {
        let mut end = self.until(start, |byte| !is_digit(byte));
        if self.byte(end) == Some(b'.') && self.byte(end + 1) != Some(b'.') {
            end = self.until(end + 1, |byte| !is_digit(byte));
        }
        if matches!(self.byte(end), Some(b'e' | b'E')) {
            let signed = matches!(self.byte(end + 1), Some(b'+' | b'-'));
            let digits = end + 1 + usize::from(signed);
            if self.byte(digits).is_some_and(is_digit) {
                end = self.until(digits, |byte| !is_digit(byte));
            }
        }
        (TokenKind::Number, end)
    }
}

impl Iterator for Tokens<'_> {
    type Item = Result<Token, Odd>;

    fn next(&mut self) -> Option<Self::Item> {
        let token = match self.skip_blank() {
            Ok(()) => self.token(self.byte(self.at)?),
            Err(odd) => Err(odd),
        };
        if token.is_err() {
            self.at = self.text.len();
        }
        Some(token)
    }
}

/// `\v` is white space from PostgreSQL 16 on and a syntax error before.
pub(crate) const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0c | 0x0b)
}

const fn is_newline(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

const fn is_digit(byte: u8) -> bool {
    byte.is_ascii_digit()
}

const fn is_identifier_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || !byte.is_ascii()
}

const fn is_identifier_part(byte: u8) -> bool {
    is_identifier_start(byte) || byte.is_ascii_digit() || byte == b'$'
}

pub(crate) const fn is_operator(byte: u8) -> bool {
    is_own_operator(byte) || matches!(byte, b'+' | b'-' | b'*' | b'/' | b'<' | b'>' | b'=')
}

/// Whether no operator of SQL's has it.
const fn is_own_operator(byte: u8) -> bool {
    matches!(
        byte,
        b'~' | b'!' | b'@' | b'#' | b'^' | b'&' | b'|' | b'`' | b'?' | b'%'
    )
}

/// The length of the operator that `text` begins with. A run stops before a comment, and gives back
/// trailing signs unless it has a character that no SQL operator has (`=-1` is `=` and `-1`, `@-1` is
/// `@-` and `1`).
///
/// PostgreSQL refuses longer operators than names can be, so no more is looked at: a long run of
/// signs, each a token of its own, takes linear time.
pub(crate) fn operator_len(text: &[u8]) -> usize {
    let (mut len, mut len_without_signs, mut own) = (0, 1, false);
    let mut rest = text.get(..=NAME_LEN_MAX).unwrap_or(text);
    while let [first, behind @ ..] = rest {
        let comment = matches!(rest, [b'-', b'-', ..] | [b'/', b'*', ..]);
        if comment || !is_operator(*first) {
            break;
        }
        len += 1;
        own |= is_own_operator(*first);
        if !matches!(first, b'+' | b'-') {
            len_without_signs = len;
        }
        rest = behind;
    }
    if own { len } else { len_without_signs }
}

#[cfg(test)]
mod tests {
    use super::{Lexical, Odd, Tokens};

    /// The tokens of `text`, between bars.
    fn lexed(text: &[u8], lexical: Lexical) -> Result<String, Odd> {
        let tokens: Result<Vec<_>, _> = Tokens::new(text, lexical).collect();
        let words: Vec<_> = tokens?
            .iter()
            .map(|token| String::from_utf8_lossy(token.bytes(text)).into_owned())
            .collect();
        Ok(words.join("|"))
    }

    fn on(text: &str) -> String {
        lexed(text.as_bytes(), Lexical::DEFAULT).unwrap_or_else(|odd| format!("{odd:?}"))
    }

    fn off(text: &str) -> String {
        let lexical = Lexical {
            standard_conforming_strings: false,
            ..Lexical::DEFAULT
        };
        lexed(text.as_bytes(), lexical).unwrap_or_else(|odd| format!("{odd:?}"))
    }

    #[test]
    fn operators_stop_before_comments() {
        assert_eq!(on("2-/*'*/1;x--'"), "2|-|1|;|x");
        assert_eq!(on("a<>--b\nc"), "a|<>|c");
        assert_eq!(on("a*-/**/b"), "a|*|-|b");
        assert_eq!(on("a=-1"), "a|=|-|1");
        assert_eq!(on("a@-1"), "a|@-|1");
        assert_eq!(on("a:=#-1"), "a|:=|#-|1");
    }

    #[test]
    fn comments_nest_and_lines_end_at_cr() {
        assert_eq!(on("a/* /* */ ; */b--c\rd"), "a|b|d");
        assert_eq!(on("a/*/ */b"), "a|b");
        assert_eq!(on("a/* /* */"), "Unterminated");
    }

    #[test]
    fn strings_keep_their_kind_when_continued() {
        assert_eq!(on("E'a'\n'\\'' x"), "E'a'\n'\\''|x");
        assert_eq!(on("E'a' --;\n'\\'' x"), "E'a' --;\n'\\''|x");
        assert_eq!(on("'a' 'b'"), "'a'|'b'");
        assert_eq!(on("'a'/*\n*/'b'"), "'a'|'b'");
        assert_eq!(on("'a'--\n"), "'a'");
    }

    #[test]
    fn backslashes_escape_only_where_they_should() {
        assert_eq!(on("'\\' x"), "'\\'|x");
        assert_eq!(off("'\\' x'y"), "'\\' x'|y");
        assert_eq!(on("X'\\' x"), "X'\\'|x");
        assert_eq!(off("B'\\' x"), "B'\\'|x");
        assert_eq!(off("N'\\'' x"), "N'\\''|x");
        assert_eq!(on("E'\\"), "Unterminated");
        assert_eq!(off("$$\\$$ x"), "$$\\$$|x");
    }

    #[test]
    fn dollar_tags_are_byte_classes() {
        assert_eq!(on("$€$, ' $€$;"), "$€$, ' $€$|;");
        assert_eq!(on("a$$b$$c"), "a$$b$$c");
        assert_eq!(on("1$$b$$c"), "1|$$b$$|c");
        assert_eq!(on("$1$$b$$"), "$1|$$b$$");
        assert_eq!(on("$a$ $b$ $$ $a $a$;"), "$a$ $b$ $$ $a $a$|;");
        assert_eq!(on("$a b"), "$|a|b");
        assert_eq!(on("$"), "$");
    }

    #[test]
    fn identifiers_and_numbers() {
        assert_eq!(on("u&\"a\"\"b\" \"c;\"\"\""), "u&\"a\"\"b\"|\"c;\"\"\"");
        assert_eq!(on("xu&'a'"), "xu|&|'a'");
        assert_eq!(on("1..2 1.5e-3 .5 1e'\\''"), "1|..|2|1.5e-3|.5|1|e'\\''");
        assert_eq!(on("a\u{3000}b::text"), "a\u{3000}b|::|text");
    }
}
