//! Whether a statement can write, by what its own text says.
//!
//! "By its own text" means: a view, an operator, an overload or a trigger with a listed name may
//! still write. No text shows that; `coverage = "transaction"` asks the server.

use crate::harmless;
use crate::lexer::{Folded, Token, TokenKind};

/// Whether a statement can, by its own text, change a guarded table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Provably not.
    Reads,
    /// It may.
    Writes,
}

/// What the first word allows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verb {
    /// Has no expression in it: harmless whatever follows.
    Plain,
    /// A query, or what has one: every word and call of it counts.
    Query,
    /// SET, but not SET CONSTRAINTS, which makes deferred triggers run.
    Set,
    /// COMMIT, but not COMMIT PREPARED, which commits what another session did.
    Commit,
    /// EXPLAIN: writes only count with ANALYZE.
    Explain,
    /// What comes before AS (PREPARE) or FOR (DECLARE) is no expression.
    Until(&'static str),
    /// COPY: only TO, and only the parentheses have expressions.
    Copy,
    /// CREATE \[UNIQUE\] INDEX: the first parenthesis follows the table's name.
    CreateIndex,
    /// CREATE, before the next word.
    Create,
    /// Anything else.
    Other,
}

fn verb(token: &Token, text: &[u8]) -> Verb {
    const PLAIN: &str = "show reset lock analyze analyse vacuum comment grant revoke listen notify \
        unlisten fetch move close checkpoint cluster reindex discard begin start deallocate \
        savepoint release rollback abort end";
    const QUERY: [&str; 4] = ["select", "table", "values", "with"];
    let is = |word: &&str| token.is_word(text, word);
    if token.is_punctuation(b'(') || QUERY.iter().any(is) {
        return Verb::Query;
    }
    if PLAIN.split(' ').any(|word| is(&word)) {
        return Verb::Plain;
    }
    [
        ("set", Verb::Set),
        ("commit", Verb::Commit),
        ("explain", Verb::Explain),
        ("prepare", Verb::Until("as")),
        ("declare", Verb::Until("for")),
        ("copy", Verb::Copy),
        ("create", Verb::Create),
    ]
    .into_iter()
    .find(|(word, _)| is(word))
    .map_or(Verb::Other, |(_, verb)| verb)
}

/// Reads one statement, token by token, in constant space.
#[derive(Debug)]
pub(crate) struct EffectReader<'a> {
    text: &'a [u8],
    verb: Option<Verb>,
    writes: bool,
    /// A write verb was seen, which EXPLAIN alone may have.
    write_words: bool,
    /// EXPLAIN's ANALYZE, or COPY's TO.
    decided: bool,
    depth: usize,
    /// How many parentheses were opened.
    opened: usize,
    calls: Calls<'a>,
}

impl<'a> EffectReader<'a> {
    pub(crate) const fn new(text: &'a [u8]) -> Self {
        Self {
            text,
            verb: None,
            writes: false,
            write_words: false,
            decided: false,
            depth: 0,
            opened: 0,
            calls: Calls::new(text),
        }
    }

    pub(crate) fn effect(&self) -> Effect {
        let reads = match self.verb {
            None | Some(Verb::Other | Verb::Create) => false,
            // PREPARE TRANSACTION has no AS; all that it says is transaction control.
            Some(Verb::Plain | Verb::Set | Verb::Commit | Verb::Until(_)) => true,
            Some(Verb::Query | Verb::CreateIndex) => !self.write_words,
            Some(Verb::Explain) => !(self.write_words && self.decided),
            Some(Verb::Copy) => self.decided && !self.write_words,
        };
        if reads && !self.writes {
            Effect::Reads
        } else {
            Effect::Writes
        }
    }

    pub(crate) fn push(&mut self, token: &Token) {
        let Some(before) = self.verb else {
            let first = verb(token, self.text);
            self.verb = Some(first);
            self.look(token);
            return;
        };
        if self.writes || matches!(before, Verb::Plain | Verb::Other) {
            return;
        }
        let is = |word| token.is_word(self.text, word);
        match before {
            Verb::Set => self.writes |= is("constraints"),
            Verb::Commit => self.writes |= is("prepared"),
            Verb::Create if is("unique") => {}
            Verb::Create if is("index") => self.verb = Some(Verb::CreateIndex),
            Verb::Create => self.verb = Some(Verb::Other),
            Verb::Until(word) => {
                if is(word) && self.depth == 0 {
                    self.verb = Some(Verb::Query);
                }
                self.track_depth(token);
            }
            Verb::Plain | Verb::Other => {}
            Verb::Query | Verb::Explain | Verb::Copy | Verb::CreateIndex => self.look(token),
        }
    }

    fn track_depth(&mut self, token: &Token) {
        if token.is_punctuation(b'(') {
            self.depth += 1;
            self.opened += 1;
        } else if token.is_punctuation(b')') {
            self.depth = self.depth.saturating_sub(1);
        }
    }

    fn look(&mut self, token: &Token) {
        if token.kind == TokenKind::Word {
            self.look_at_word(token);
        }
        let call = self.calls.push(token);
        let names_columns = match self.verb {
            Some(Verb::Copy) => self.depth == 0,
            Some(Verb::CreateIndex) => self.opened == 0,
            _ => false,
        };
        self.writes |= call == Call::Unknown && !names_columns;
        self.track_depth(token);
    }

    fn look_at_word(&mut self, token: &Token) {
        // Behind a dot it is a column.
        if self.calls.follows_punctuation(b'.') {
            return;
        }
        let explains = self.verb == Some(Verb::Explain);
        let copies = self.verb == Some(Verb::Copy) && self.depth == 0;
        match Folded::new(token, self.text).as_bytes() {
            b"insert" | b"delete" | b"merge" | b"truncate" | b"into" => self.write_words = true,
            b"update" => self.write_words |= !self.calls.follows_for(),
            b"analyze" | b"analyse" => self.decided |= explains,
            // Only EXPLAIN can have these begin a statement; elsewhere they are names.
            b"create" | b"refresh" | b"execute" => self.writes |= explains,
            b"from" | b"program" => self.writes |= copies,
            b"to" => self.decided |= copies,
            _ => {}
        }
    }
}

/// What a token turned out to be, seen with those before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Call {
    /// No call, or one of a listed function.
    Harmless,
    /// A call of, or an operator that is, not on the list.
    Unknown,
}

/// Finds calls: a name before an opening parenthesis.
#[derive(Debug)]
pub(crate) struct Calls<'a> {
    text: &'a [u8],
    /// The four tokens before, the latest first.
    before: [Option<Token>; 4],
    /// `DISTINCT ON (a) f(b)` or `a OPERATOR(+) f(b)` was seen: a call may follow a parenthesis.
    after_parenthesis: bool,
}

impl<'a> Calls<'a> {
    pub(crate) const fn new(text: &'a [u8]) -> Self {
        Self {
            text,
            before: [const { None }; 4],
            after_parenthesis: false,
        }
    }

    pub(crate) fn push(&mut self, token: &Token) -> Call {
        let unknown = match token.kind {
            TokenKind::Punctuation(b'(') => !self.is_harmless_call(),
            TokenKind::Operator => !harmless::is_operator(token.bytes(self.text)),
            // OPERATOR(schema.+): a schema of one's own has operators of one's own.
            _ => self.names_operator() && !token.is_word(self.text, "pg_catalog"),
        };
        match Folded::new(token, self.text).as_bytes() {
            b"operator" => self.after_parenthesis = true,
            b"on" => self.after_parenthesis |= self.is_back(0, "distinct"),
            _ => {}
        }
        self.before.rotate_right(1);
        if let Some(latest) = self.before.first_mut() {
            *latest = Some(token.clone());
        }
        if unknown {
            Call::Unknown
        } else {
            Call::Harmless
        }
    }

    fn back(&self, steps: usize) -> Option<&Token> {
        self.before.get(steps).and_then(Option::as_ref)
    }

    fn is_back(&self, steps: usize, word: &str) -> bool {
        self.back(steps)
            .is_some_and(|token| token.is_word(self.text, word))
    }

    fn is_back_punctuation(&self, steps: usize, byte: u8) -> bool {
        self.back(steps)
            .is_some_and(|token| token.is_punctuation(byte))
    }

    pub(crate) fn follows_punctuation(&self, byte: u8) -> bool {
        self.is_back_punctuation(0, byte)
    }

    /// Whether the next word is the last of `FOR UPDATE` or `FOR NO KEY UPDATE`.
    fn follows_for(&self) -> bool {
        self.is_back(0, "for")
            || self.is_back(0, "key") && self.is_back(1, "no") && self.is_back(2, "for")
    }

    fn names_operator(&self) -> bool {
        self.is_back_punctuation(0, b'(')
            && self.is_back(1, "operator")
            && !self.is_back_punctuation(2, b'.')
    }

    /// Whether the `(` that comes next opens no call, or the call of a listed function.
    fn is_harmless_call(&self) -> bool {
        let Some(name) = self.back(0) else {
            return true;
        };
        let bytes = name.bytes(self.text);
        let plain = match name.kind {
            TokenKind::Word => bytes,
            TokenKind::Quoted => bytes.get(1..bytes.len().saturating_sub(1)).unwrap_or(bytes),
            TokenKind::UnicodeQuoted => return false,
            TokenKind::Text(_)
            | TokenKind::Param
            | TokenKind::Number
            | TokenKind::Operator
            | TokenKind::Punctuation(_) => return true,
        };
        let quoted = name.kind == TokenKind::Quoted;
        if quoted && plain.iter().any(u8::is_ascii_uppercase) {
            return self.is_alias();
        }
        if self.is_back_punctuation(1, b'.') {
            return self.is_name_position(3)
                || self.is_system_schema() && harmless::is_function(plain);
        }
        harmless::is_function(plain) || !quoted && harmless::is_word(plain) || self.is_alias()
    }

    /// `pg_catalog.f` or `information_schema.f`, and no dot before.
    fn is_system_schema(&self) -> bool {
        if self.is_back_punctuation(3, b'.') {
            return false;
        }
        let Some(schema) = self.back(2) else {
            return false;
        };
        let bytes = schema.bytes(self.text);
        let is = |name: &[u8]| match schema.kind {
            TokenKind::Word => bytes.eq_ignore_ascii_case(name),
            TokenKind::Quoted => bytes.get(1..bytes.len().saturating_sub(1)) == Some(name),
            _ => false,
        };
        is(b"pg_catalog") || is(b"information_schema")
    }

    /// `x::numeric(9, 2)` is a type, `WITH t (a) AS` and `FROM f(1) t(a)` give a name.
    fn is_alias(&self) -> bool {
        self.is_name_position(1)
            || self.is_back_punctuation(1, b')') && !self.after_parenthesis
            || self
                .back(1)
                .is_some_and(|token| token.bytes(self.text) == b"::")
    }

    /// Behind these words a name with columns may stand, and no expression.
    fn is_name_position(&self, steps: usize) -> bool {
        const BEFORE_NAMES: [&str; 8] = [
            "as",
            "with",
            "recursive",
            "into",
            "copy",
            "table",
            "exists",
            "references",
        ];
        BEFORE_NAMES
            .into_iter()
            .any(|word| self.is_back(steps, word))
    }
}
