//! What pgpawl makes of a text, for people: `pgpawl explain`.

use std::fmt;

use serde::Serialize;

use crate::effect::Effect;
use crate::fingerprint::{Fingerprint, fingerprint};
use crate::guard::{GuardId, GuardSet};
use crate::kind::Kind;
use crate::lexer::{Lexical, Token, TokenKind, Tokens};
use crate::name::Name;
use crate::parser::{Description, describe};
use crate::screen::Screen;
use crate::statement::{Statement, statements};

/// How much of a statement is shown.
const SHOWN_TEXT_LEN_MAX: usize = 240;

/// A text, statement by statement.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Explanation {
    /// The shape of the text, 16 hexadecimal digits.
    pub fingerprint: String,
    /// Why the boundaries are not known; the one statement is then all of the text.
    pub odd: Option<String>,
    /// In the order of the text.
    pub statements: Vec<Explained>,
}

/// One statement.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Explained {
    /// Its first byte in the text.
    pub start: usize,
    /// The byte behind its last.
    pub end: usize,
    /// What it says, cut after 240 bytes.
    pub text: String,
    /// What it does to the transaction or to prepared statements.
    pub kind: String,
    /// Whether it may write.
    pub writes: bool,
    /// The guards that it may concern.
    pub mentions: Vec<Mention>,
    /// Whether it makes pgpawl look at a version history under `coverage = "statement"`.
    pub check: Check,
    /// What the parser takes it for. Nothing depends on it.
    pub description: Option<Description>,
}

/// A guard that a statement may concern.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Mention {
    /// The guard's name.
    pub guard: String,
    /// Why.
    pub reason: Reason,
}

/// Why a statement may concern a guard.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// Its table's name is an identifier.
    Identifier,
    /// Its table's name is inside a string.
    InsideString,
    /// Its table's name is in a comment, or reaches over several tokens.
    Elsewhere,
    /// The text can spell any name: escapes next to code.
    CouldHideAName,
}

/// When the version histories are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// Not for this statement.
    No,
    /// Before the statement, and again before the transaction commits.
    BeforeCommit,
    /// As for the statement that was prepared under that name.
    AsPrepared,
    /// Where the histories were read before: the commit is held until they are compared.
    AtThisCommit,
}

/// Explains `text` under the settings that a server starts with.
pub fn explain(
    screen: &Screen,
    guard_name: impl Fn(GuardId) -> String,
    text: &[u8],
) -> Explanation {
    let (odd, found) = match statements(text, Lexical::DEFAULT) {
        Ok(found) => (None, found),
        Err(odd) => (Some(odd.to_string()), vec![whole(text)]),
    };
    let statements = found
        .iter()
        .map(|statement| explained(screen, &guard_name, text, statement))
        .collect();
    Explanation {
        fingerprint: Fingerprint(fingerprint(text)).to_string(),
        odd,
        statements,
    }
}

fn whole(text: &[u8]) -> Statement {
    Statement {
        range: 0..text.len(),
        kind: Kind::Other,
        effect: Effect::Writes,
    }
}

fn explained(
    screen: &Screen,
    guard_name: impl Fn(GuardId) -> String,
    text: &[u8],
    statement: &Statement,
) -> Explained {
    let bytes = text.get(statement.range.clone()).unwrap_or_default();
    // Comments between statements belong to none, but the screen looks at the whole text.
    let guards = screen.mentions(bytes);
    let places = Places::new(screen, bytes);
    let mentions = guards.iter().map(|guard| Mention {
        guard: guard_name(guard),
        reason: places.reason(guard),
    });
    Explained {
        start: statement.range.start,
        end: statement.range.end,
        text: shown(bytes),
        kind: in_words(&statement.kind),
        writes: statement.effect == Effect::Writes,
        mentions: mentions.collect(),
        check: check(statement, guards),
        description: std::str::from_utf8(bytes).ok().and_then(describe),
    }
}

fn check(statement: &Statement, guards: GuardSet) -> Check {
    match statement.kind {
        Kind::Commit { .. } | Kind::PrepareTransaction => Check::AtThisCommit,
        Kind::Execute(_) => Check::AsPrepared,
        Kind::Prepare(_) => Check::No,
        Kind::Begin
        | Kind::Rollback { .. }
        | Kind::Savepoint
        | Kind::Release
        | Kind::Deallocate(_)
        | Kind::DeallocateAll
        | Kind::Alone
        | Kind::Other => {
            if guards.is_empty() || statement.effect == Effect::Reads {
                Check::No
            } else {
                Check::BeforeCommit
            }
        }
    }
}

/// Where the names of guarded tables stand in a statement.
struct Places {
    anywhere: GuardSet,
    identifiers: GuardSet,
    strings: GuardSet,
}

impl Places {
    fn new(screen: &Screen, statement: &[u8]) -> Self {
        let mut places = Self {
            anywhere: screen.names_in(statement),
            identifiers: GuardSet::EMPTY,
            strings: GuardSet::EMPTY,
        };
        for token in Tokens::new(statement, Lexical::DEFAULT).map_while(Result::ok) {
            places.add(screen, &token, statement);
        }
        places
    }

    fn add(&mut self, screen: &Screen, token: &Token, statement: &[u8]) {
        let place = match token.kind {
            TokenKind::Word | TokenKind::Quoted | TokenKind::UnicodeQuoted => &mut self.identifiers,
            TokenKind::Text(_) => &mut self.strings,
            TokenKind::Param
            | TokenKind::Number
            | TokenKind::Operator
            | TokenKind::Punctuation(_) => return,
        };
        *place = place.union(screen.names_in(token.bytes(statement)));
    }

    const fn reason(&self, guard: GuardId) -> Reason {
        if self.identifiers.contains(guard) {
            Reason::Identifier
        } else if self.strings.contains(guard) {
            Reason::InsideString
        } else if self.anywhere.contains(guard) {
            Reason::Elsewhere
        } else {
            Reason::CouldHideAName
        }
    }
}

fn shown(bytes: &[u8]) -> String {
    let cut = bytes.get(..SHOWN_TEXT_LEN_MAX);
    let mut text = String::from_utf8_lossy(cut.unwrap_or(bytes)).into_owned();
    if cut.is_some() && bytes.len() > SHOWN_TEXT_LEN_MAX {
        text.push('…');
    }
    text
}

fn in_words(kind: &Kind) -> String {
    let named = |verb: &str, name: &Name| {
        let name = String::from_utf8_lossy(&name.0);
        let name = if name.is_empty() {
            "(any name)".into()
        } else {
            name
        };
        format!("{verb} {name}")
    };
    let chained = |verb: &str, chain: bool| {
        let and_chain = if chain { " and chain" } else { "" };
        format!("{verb}{and_chain}")
    };
    match kind {
        Kind::Begin => "begin".to_owned(),
        Kind::Commit { chain } => chained("commit", *chain),
        Kind::Rollback { chain } => chained("rollback", *chain),
        Kind::Savepoint => "savepoint".to_owned(),
        Kind::Release => "release".to_owned(),
        Kind::PrepareTransaction => "prepare transaction".to_owned(),
        Kind::Prepare(name) => named("prepare", name),
        Kind::Execute(name) => named("execute", name),
        Kind::Deallocate(name) => named("deallocate", name),
        Kind::DeallocateAll => "deallocate all".to_owned(),
        Kind::Alone => "cannot run in a transaction block".to_owned(),
        Kind::Other => "statement".to_owned(),
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Identifier => "named by an identifier",
            Self::InsideString => "named inside a string",
            Self::Elsewhere => "named in a comment",
            Self::CouldHideAName => "the text could hide the name",
        })
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::No => "not checked",
            Self::BeforeCommit => "checked: read before it, compared before the commit",
            Self::AsPrepared => "checked if the statement prepared under that name is",
            Self::AtThisCommit => "held and compared, if a statement before it is checked",
        })
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "fingerprint {}", self.fingerprint)?;
        if let Some(odd) = &self.odd {
            writeln!(f, "boundaries unknown: {odd}")?;
        }
        for (index, statement) in self.statements.iter().enumerate() {
            writeln!(f, "{}. {statement}", index + 1)?;
        }
        Ok(())
    }
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text.replace('\n', "\n   "))?;
        let effect = if self.writes {
            "may write"
        } else {
            "only reads"
        };
        write!(
            f,
            "   bytes {}..{}: {}, {effect}",
            self.start, self.end, self.kind
        )?;
        if let Some(description) = &self.description {
            write!(f, "; reads like {}", description.kind)?;
            if !description.tables.is_empty() {
                write!(f, " of {}", description.tables.join(", "))?;
            }
        }
        for mention in &self.mentions {
            write!(f, "\n   {}: {}", mention.guard, mention.reason)?;
        }
        write!(f, "\n   {}", self.check)
    }
}

#[cfg(test)]
mod tests {
    use super::explain;
    use crate::guard::GuardId;
    use crate::screen::Screen;

    fn explained(text: &str) -> String {
        let screen = Screen::new([(GuardId(0), "t_a"), (GuardId(1), "t_b")]);
        let name = |guard: GuardId| if guard.0 == 0 { "a" } else { "b" }.to_owned();
        explain(&screen, name, text.as_bytes()).to_string()
    }

    #[test]
    fn says_what_is_checked_and_why() {
        let text = "BEGIN; DELETE FROM t_a /* t_b */ WHERE x; DO 't_b'; SELECT * FROM t_a; COMMIT";
        let expected = "\
fingerprint 45b0af5bed181e91
1. BEGIN
   bytes 0..5: begin, only reads; reads like begin
   not checked
2. DELETE FROM t_a /* t_b */ WHERE x
   bytes 7..40: statement, may write; reads like delete of t_a
   a: named by an identifier
   b: named in a comment
   checked: read before it, compared before the commit
3. DO 't_b'
   bytes 42..50: statement, may write
   b: named inside a string
   checked: read before it, compared before the commit
4. SELECT * FROM t_a
   bytes 52..69: statement, only reads; reads like select of t_a
   a: named by an identifier
   not checked
5. COMMIT
   bytes 71..77: commit, only reads; reads like commit
   held and compared, if a statement before it is checked
";
        assert_eq!(explained(text), expected);
    }

    #[test]
    fn says_what_hides_and_what_has_no_end() {
        let hidden = explained("EXECUTE U&\"p\"");
        assert!(hidden.contains("execute (any name)"), "{hidden}");
        assert!(
            hidden.contains("b: the text could hide the name"),
            "{hidden}"
        );
        assert!(explained("SELECT 't_a").contains("boundaries unknown"));
    }
}
