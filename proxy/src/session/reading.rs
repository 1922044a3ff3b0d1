//! What a simple Query or FunctionCall is made of, and which guards its parts may concern.

use super::{
    client::contains_word,
    ready::Ready,
    script::{self, PARTS_MAX, Part},
};
use pgpawl_policy::{
    guard::GuardSet,
    hold::{Manner, manner},
    inert::is_inert,
    setting::setting,
    statement::{self, Effect, Kind, Odd, Statement},
    verdict::Unverifiable,
};

impl Ready {
    /// The parts of a Query that must be checked; none: it passes as it is.
    pub(super) fn read(&mut self, text: &[u8]) -> Result<Vec<Part>, Unverifiable> {
        let touched = self.transaction.touch.is_some();
        let statements = match statement::statements(text, self.reported.lexical()) {
            Ok(statements) => statements,
            Err(odd) => return self.read_odd(text, odd),
        };
        if self.is_unstoppable(text, &statements) {
            return Err(Unverifiable::Alone);
        }
        let shared = self.shared.clone();
        let mut resets = false;
        let mut parts = Vec::with_capacity(statements.len());
        for statement in statements {
            let class = script::concern(&shared.guarding.screen, text, &statement, |name| {
                self.executed(name)
            });
            self.note_hidden_prepare(text, &class);
            let prepares = if let Kind::Prepare(name) = &class.kind {
                self.prepared(&name.clone(), class.guards);
                true
            } else {
                false
            };
            let shown = text.get(statement.range.clone()).unwrap_or_default();
            let first = script::sets_transaction(shown);
            resets |= self.reported.is_reset_by(shown);
            let manner = if self.in_run() {
                manner(shown, &class.kind)
            } else {
                Manner::NOTHING
            };
            let runs = runs_code(&class.kind) && !is_inert(shown);
            let guards = if prepares {
                GuardSet::EMPTY
            } else {
                class.guards
            };
            parts.push(Part {
                range: statement.range,
                kind: class.kind,
                guards,
                runs,
                first,
                manner,
                settings: setting(shown).into_iter().collect(),
            });
        }
        let controls = parts.iter().any(|part| script::is_control(&part.kind));
        let concerned = parts
            .iter()
            .any(|part| !part.guards.is_empty() || self.covers && part.runs);
        let ends =
            |part: &Part| matches!(part.kind, Kind::Commit { .. } | Kind::PrepareTransaction);
        let begins = |part: &Part| part.kind == Kind::Begin && self.lists_first();
        let sets = |part: &Part| part.kind == Kind::Savepoint;
        let covered = |part: &Part| ends(part) || begins(part) || sets(part);
        let covered = self.covers && parts.iter().any(covered);
        let checked = concerned
            || touched && controls
            || covered
            || self.transaction.is_wrapped()
            || self.is_held();
        if !checked {
            for part in &parts {
                self.note_manner(part.manner);
                for setting in &part.settings {
                    self.note_setting(setting);
                }
            }
            return Ok(Vec::new());
        }
        let mut parts = script::parts(parts);
        if parts.is_empty() {
            // Even an empty Query ends a transaction that the client believes to be implicit.
            parts.push(Part {
                range: 0..text.len(),
                kind: Kind::Other,
                guards: GuardSet::EMPTY,
                runs: false,
                first: false,
                manner: Manner::NOTHING,
                settings: Vec::new(),
            });
        }
        if parts.len() > 1 && resets {
            return Err(Unverifiable::SettingsChanged);
        }
        if parts.len() > PARTS_MAX {
            return Err(Unverifiable::LimitReached("parts_max"));
        }
        Ok(parts)
    }

    /// A statement that may change a guarded table and commits by itself.
    fn is_unstoppable(&self, text: &[u8], statements: &[Statement]) -> bool {
        matches!(statements, [one] if one.kind == Kind::Alone
            && one.effect == Effect::Writes
            && !self.shared.guarding.screen.mentions(text).is_empty())
    }

    /// A text whose statements cannot be told apart is one part, unless it may end the transaction.
    fn read_odd(&mut self, text: &[u8], odd: Odd) -> Result<Vec<Part>, Unverifiable> {
        let guards = self
            .shared
            .guarding
            .screen
            .mentions(text)
            .union(self.executed(b"").guards);
        if guards.is_empty() && self.transaction.touch.is_none() && !self.covers {
            return Ok(Vec::new());
        }
        let ends = [
            &b"commit"[..],
            b"end",
            b"prepare",
            b"rollback",
            b"abort",
            b"savepoint",
        ];
        if ends.iter().any(|word| contains_word(text, word)) {
            return Err(Unverifiable::Boundaries(odd));
        }
        if contains_word(text, b"set") {
            self.transaction.locals = None;
        }
        Ok(vec![Part {
            range: 0..text.len(),
            kind: Kind::Other,
            guards,
            runs: true,
            first: false,
            manner: Manner::NOTHING,
            settings: Vec::new(),
        }])
    }

    /// A FunctionCall: any function, with nothing to read.
    pub(super) fn function(&self) -> Vec<Part> {
        let guards = GuardSet::EMPTY;
        let part = Part {
            range: 0..0,
            kind: Kind::Other,
            guards,
            runs: true,
            first: false,
            manner: Manner::NOTHING,
            settings: Vec::new(),
        };
        let checked = self.covers || self.transaction.is_wrapped();
        if checked { vec![part] } else { Vec::new() }
    }
}

/// Whether a statement of this kind can run code within a transaction block.
const fn runs_code(kind: &Kind) -> bool {
    matches!(kind, Kind::Other | Kind::Execute(_) | Kind::Prepare(_))
}
