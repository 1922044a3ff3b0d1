//! What must hold between PostgreSQL's reading of a text and pgpawl's.

use pgpawl_policy::{
    Guards,
    guard::{GuardId, GuardSet},
    lexer::{Lexical, Tokens},
    screen::Screen,
    statement::{Statement, first_kind, statements},
};
use serde_json::Value;

use crate::{
    effects, kinds,
    names::GUARDED,
    oracle::{Reading, Text},
    tree::{self, As, Node},
};

/// How many texts came to what.
#[derive(Clone, Copy, Default, Debug)]
pub struct Counts {
    pub texts: u64,
    /// PostgreSQL's grammar accepts them.
    pub parsed: u64,
    pub statements: u64,
    /// Names of guarded tables in the parsed ones.
    pub names: u64,
    /// Parsed ones that concern all guards because they could hide a name.
    pub opaque: u64,
    /// Statements that pgpawl says only read.
    pub reads: u64,
}

/// The screen for the guarded tables.
#[derive(Debug)]
pub struct Judge {
    screen: Screen,
    guards: Vec<(GuardId, &'static str)>,
    pub counts: Counts,
}

impl Judge {
    /// Guards [`GUARDED`].
    pub fn new() -> Option<Self> {
        let builtin = Guards::builtin();
        let any = builtin.iter().next().map(|(_, guard)| guard.clone())?;
        let all = Guards::new(vec![any; GUARDED.len()]).ok()?;
        let guards: Vec<_> = all.iter().map(|(id, _)| id).zip(GUARDED).collect();
        let screen = Screen::new(guards.iter().copied());
        Some(Self {
            screen,
            guards,
            counts: Counts::default(),
        })
    }

    /// Says what does not hold.
    pub fn compare(&mut self, text: &Text, reading: &Reading) -> Vec<String> {
        self.counts.texts += 1;
        let Ok(tree) = &reading.tree else {
            return Vec::new();
        };
        let Ok(tree) = serde_json::from_slice::<Value>(tree) else {
            return vec!["the tree is no JSON".to_owned()];
        };
        self.counts.parsed += 1;
        let theirs = tree::statements(&tree, text.bytes.len());
        let lexical = Lexical {
            standard_conforming_strings: text.standard_conforming_strings,
            ..Lexical::DEFAULT
        };
        let mut faults = Vec::new();
        let found = self.screen.mentions(&text.bytes);
        self.counts.opaque += u64::from(found == self.screen.all());
        self.compare_names(&theirs, found, "", &mut faults);
        let Ok(ours) = statements(&text.bytes, lexical) else {
            // It is checked as a whole.
            return faults;
        };
        if text.standard_conforming_strings {
            compare_tokens(&text.bytes, lexical, reading, &mut faults);
        }
        if ours.len() != theirs.len() {
            faults.push(format!(
                "{} statements, PostgreSQL finds {}",
                ours.len(),
                theirs.len()
            ));
            return faults;
        }
        if let (Some(one), true) = (ours.first(), text.standard_conforming_strings) {
            let first = first_kind(&text.bytes);
            if first != one.kind {
                faults.push(format!("first_kind says {first:?} of {:?}", one.kind));
            }
        }
        for (one, node) in ours.iter().zip(&theirs) {
            self.compare_statement(text, one, node, &mut faults);
        }
        faults
    }

    fn compare_statement(
        &mut self,
        text: &Text,
        ours: &Statement,
        theirs: &Node<'_>,
        faults: &mut Vec<String>,
    ) {
        self.counts.statements += 1;
        if theirs.range.start > ours.range.start || ours.range.end > theirs.range.end {
            faults.push(format!(
                "a statement at {:?}, PostgreSQL's is at {:?}",
                ours.range, theirs.range
            ));
            return;
        }
        let alone = text.bytes.get(ours.range.clone()).unwrap_or_default();
        let found = self.screen.mentions(alone);
        self.compare_names(
            std::slice::from_ref(theirs),
            found,
            " in the statement alone",
            faults,
        );
        kinds::compare(&ours.kind, theirs, faults);
        effects::compare(ours.effect, theirs, faults);
        self.counts.reads += u64::from(ours.effect == pgpawl_policy::statement::Effect::Reads);
    }

    /// Every guarded name in the tree is in `found`.
    fn compare_names(
        &mut self,
        theirs: &[Node<'_>],
        found: GuardSet,
        place: &str,
        faults: &mut Vec<String>,
    ) {
        for node in theirs {
            if effects::takes_containers(node) && found != self.screen.all() {
                faults.push(format!(
                    "what may hold guarded tables is taken away unseen{place}"
                ));
            }
            let runs = effects::runs_strings(node);
            for (id, name) in &self.guards {
                let (mut named, mut run) = (0, false);
                tree::strings(node.fields, &mut |text, role| {
                    named += u64::from(role == As::Name && text == *name);
                    run |= runs && is_in(name, text);
                });
                self.counts.names += named;
                if (named > 0 || run) && !found.contains(*id) {
                    let how = if named > 0 { "named" } else { "in code" };
                    faults.push(format!("{name} is {how} and unseen{place}"));
                }
            }
        }
    }
}

/// Whether code names it: in any case, and not as a part of another word.
fn is_in(name: &str, code: &str) -> bool {
    let (name, code) = (name.to_ascii_lowercase(), code.to_ascii_lowercase());
    let joins = |c: char| c.is_alphanumeric() || c == '_' || !c.is_ascii();
    code.match_indices(&name).any(|(at, _)| {
        let before = code.get(..at).unwrap_or_default();
        let behind = code.get(at + name.len()..).unwrap_or_default();
        !before.ends_with(joins) && !behind.starts_with(joins)
    })
}

/// Every token of PostgreSQL's begins where one of ours does, and no more of ours begin within one of
/// theirs than are parts of an operator or a number.
fn compare_tokens(text: &[u8], lexical: Lexical, reading: &Reading, faults: &mut Vec<String>) {
    let ours: Vec<_> = Tokens::new(text, lexical)
        .map_while(Result::ok)
        .map(|token| token.range)
        .collect();
    let begins = |at: usize| ours.binary_search_by_key(&at, |range| range.start).is_ok();
    let byte = |at: usize| text.get(at).copied().unwrap_or_default();
    for theirs in &reading.tokens {
        // N'...' is two tokens there.
        let national = byte(theirs.start) == b'\''
            && theirs.start > 0
            && byte(theirs.start - 1).eq_ignore_ascii_case(&b'n')
            && begins(theirs.start - 1);
        if !begins(theirs.start) && !national {
            faults.push(format!("PostgreSQL has a token at {}", theirs.start));
        }
    }
    for ours in &ours {
        let at = reading
            .tokens
            .partition_point(|theirs| theirs.start <= ours.start);
        let within = at.checked_sub(1).and_then(|at| reading.tokens.get(at));
        let begins = within.is_some_and(|theirs| theirs.start == ours.start);
        let part = within.is_some_and(|theirs| {
            ours.end <= theirs.end
                && (byte(theirs.start).is_ascii_digit() || byte(theirs.start) == b':')
        });
        if !begins && !part {
            faults.push(format!("PostgreSQL has no token at {}", ours.start));
        }
    }
}
