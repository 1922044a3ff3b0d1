//! Just enough of Python's lexical structure to find the top-level statements of a file.

/// A token of a statement.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Token<'a> {
    /// A name, a keyword or a number.
    Word(&'a str),
    /// A string; none if its value takes more than this to tell (f-strings, bytes, rare escapes).
    Text(Option<String>),
    /// Any other character.
    Mark(char),
}

/// A statement that begins in the first column.
#[derive(Clone, Debug)]
pub(crate) struct Statement<'a> {
    /// Its first line, from 1.
    pub line: usize,
    /// Its tokens, without those of an indented block.
    pub tokens: Vec<Token<'a>>,
}

/// Where (from line 1) and why a text is not Python.
pub(crate) type Wrong = (usize, &'static str);

/// The most tokens of one statement that are kept.
const TOKENS_MAX: usize = 100_000;

/// The top-level statements of a text.
pub(crate) struct Statements<'a> {
    rest: &'a str,
    line: usize,
    at_line_start: bool,
    done: bool,
}

impl<'a> Statements<'a> {
    /// Of a file's text.
    pub fn new(text: &'a str) -> Self {
        Self {
            rest: text.strip_prefix('\u{feff}').unwrap_or(text),
            line: 1,
            at_line_start: true,
            done: false,
        }
    }

    /// Takes `len` bytes, counting lines.
    fn take(&mut self, len: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at_checked(len).unwrap_or((self.rest, ""));
        self.line += taken.matches('\n').count();
        self.rest = rest;
        taken
    }

    /// One logical line: its tokens, and whether it begins in the first column.
    fn logical_line(&mut self) -> Result<(bool, Statement<'a>), Wrong> {
        let mut tokens = Vec::new();
        let mut depth: usize = 0;
        let mut line = self.line;
        let top = self.at_line_start && !self.rest.starts_with([' ', '\t', '\x0c']);
        self.at_line_start = false;
        while let Some(c) = self.rest.chars().next() {
            match c {
                '\n' => {
                    self.take(1);
                    if depth == 0 {
                        self.at_line_start = true;
                        break;
                    }
                }
                '\\' if self.rest.starts_with("\\\n") || self.rest.starts_with("\\\r\n") => {
                    let end = self.rest.find('\n').unwrap_or_default();
                    self.take(end + 1);
                }
                '#' => {
                    let end = self.rest.find('\n').unwrap_or(self.rest.len());
                    self.take(end);
                }
                ';' if depth == 0 => {
                    self.take(1);
                    // What follows is a statement of the same level.
                    self.at_line_start = top;
                    self.take(self.rest.len() - self.rest.trim_start_matches([' ', '\t']).len());
                    break;
                }
                _ if c.is_whitespace() => drop(self.take(c.len_utf8())),
                _ => {
                    if tokens.is_empty() {
                        line = self.line;
                    }
                    let token = self.token(c)?;
                    match token {
                        Token::Mark('(' | '[' | '{') => depth += 1,
                        Token::Mark(')' | ']' | '}') => {
                            let why = (self.line, "a bracket closes that was not opened");
                            depth = depth.checked_sub(1).ok_or(why)?;
                        }
                        Token::Mark(_) | Token::Word(_) | Token::Text(_) => {}
                    }
                    if tokens.len() < TOKENS_MAX {
                        tokens.push(token);
                    }
                }
            }
        }
        if depth > 0 {
            return Err((line, "a bracket is not closed"));
        }
        Ok((top, Statement { line, tokens }))
    }

    fn token(&mut self, first: char) -> Result<Token<'a>, Wrong> {
        let word = |c: char| c.is_alphanumeric() || c == '_';
        let len = self.rest.find(|c| !word(c)).unwrap_or(self.rest.len());
        let after = self.rest.get(len..).unwrap_or_default();
        let prefix = self.rest.get(..len).unwrap_or_default();
        let quoted = after.starts_with(['"', '\'']);
        let is_prefix = len <= 2 && prefix.bytes().all(|b| b"rRbBuUfFtT".contains(&b));
        if quoted && is_prefix {
            let prefix = prefix.to_ascii_lowercase();
            self.take(len);
            return self.string(&prefix).map(Token::Text);
        }
        if len > 0 {
            return Ok(Token::Word(self.take(len)));
        }
        self.take(first.len_utf8());
        Ok(Token::Mark(first))
    }

    /// A string from its opening quotes on.
    fn string(&mut self, prefix: &str) -> Result<Option<String>, Wrong> {
        let start = self.line;
        let quote = if self.rest.starts_with('"') {
            "\""
        } else {
            "'"
        };
        let triple = quote.repeat(3);
        let end = if self.rest.starts_with(&triple) {
            triple.as_str()
        } else {
            quote
        };
        self.take(end.len());
        let raw = prefix.contains('r');
        let mut value = (!prefix.contains(['b', 'f', 't'])).then(String::new);
        loop {
            if self.rest.starts_with(end) {
                self.take(end.len());
                return Ok(value);
            }
            let mut chars = self.rest.chars();
            match (chars.next(), chars.next()) {
                (None, _) => return Err((start, "a string has no end")),
                (Some('\n'), _) if end.len() == 1 => {
                    return Err((start, "a string has no end on its line"));
                }
                (Some('\\'), Some(escaped)) => {
                    let text = self.take(1 + escaped.len_utf8());
                    match escaped {
                        _ if raw => push(&mut value, text),
                        '\\' | '\'' | '"' => push(&mut value, text.get(1..).unwrap_or_default()),
                        '\n' => {}
                        _ => value = None,
                    }
                }
                (Some(c), _) => {
                    let text = self.take(c.len_utf8());
                    push(&mut value, text);
                }
            }
        }
    }
}

fn push(value: &mut Option<String>, text: &str) {
    if let Some(value) = value {
        value.push_str(text);
    }
}

impl<'a> Iterator for Statements<'a> {
    type Item = Result<Statement<'a>, Wrong>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.done && !self.rest.is_empty() {
            match self.logical_line() {
                Ok((true, statement)) if !statement.tokens.is_empty() => {
                    return Some(Ok(statement));
                }
                Ok(_) => {}
                Err(wrong) => {
                    self.done = true;
                    return Some(Err(wrong));
                }
            }
        }
        None
    }
}
