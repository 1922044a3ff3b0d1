//! Statements that commit by themselves and run code of the table's owner: VACUUM, REINDEX, CLUSTER and
//! CREATE INDEX CONCURRENTLY, under transaction coverage and where a lowering is refused.
//!
//! ```text
//! SELECT set_config('default_transaction_read_only', 'on', false)    before
//!    the client's VACUUM, whose transactions are all read only
//! SELECT set_config('default_transaction_read_only', ..., false)     before the client's next message
//! ```
//!
//! CREATE INDEX CONCURRENTLY is refused by the server where transactions are read only: before it the
//! catalogs are asked whether its index can call what a role other than a superuser may change, behind locks
//! that keep others from making such code meanwhile (`pgpawl_policy::called`).

use super::{
    Action,
    client::Look,
    gate::{Asking, Cause, Gate, Leave, Purpose},
    names::Class,
    ours::Place,
    ready::Ready,
};
use crate::wire::{
    backend::{self, Status},
    frame::{Frame, HEADER_LEN},
};
use pgpawl_policy::{
    called::{Called, Names},
    rule::{Mode, Opaque},
    statement::{Kind, statements},
    upkeep::{Upkeep, upkeep},
    verdict::Unverifiable,
};
use std::sync::Arc;

const SETTING: &str = "default_transaction_read_only";

/// What is done around such a statement.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Care {
    /// From here on the session's transactions are read only.
    Raise,
    /// The session is as the client had it.
    Lower,
    /// The index of this statement is looked at.
    Vet(Arc<[u8]>),
}

/// What is asked for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Step {
    Raise,
    Lower,
    /// The names that an index can call are locked.
    Lock,
    /// Whether it can call what its owner may change.
    Vet,
}

/// How far the care for such a statement is.
#[derive(Debug, Default)]
pub(super) struct Keeping {
    pub(super) shield: Option<Shield>,
    /// To take it away failed.
    failed: bool,
    /// The batch in which this statement was vetted.
    vetted: Option<(u64, Arc<[u8]>)>,
}

/// What the session has of ours while such a statement runs.
#[derive(Debug)]
pub(super) enum Shield {
    /// Its transactions are read only; what the client had set in the session itself.
    ReadOnly(Option<&'static str>),
    /// The locks of names.
    Names(Names),
}

impl Shield {
    /// Whether the session's own setting was `on`, if it had one.
    fn of(row: &[Option<Vec<u8>>]) -> Self {
        let is = |at: usize, text: &[u8]| row.get(at).and_then(Option::as_deref) == Some(text);
        let value = if is(0, b"on") { "on" } else { "off" };
        Self::ReadOnly(is(1, b"t").then_some(value))
    }

    /// What takes it away. NULL: as it is without a SET, so that it follows the server's configuration again.
    fn lower(&self) -> String {
        match self {
            Self::ReadOnly(own) => {
                let value = own.map_or_else(|| "NULL".to_owned(), |value| format!("'{value}'"));
                format!("SELECT /* pgpawl */ pg_catalog.set_config('{SETTING}', {value}, false)")
            }
            Self::Names(names) => names.unlock(),
        }
    }
}

/// Returns no row, and sets nothing, in another process than the session's.
fn raise(backend: u32) -> String {
    format!(
        "SELECT /* pgpawl */ s.setting, s.source OPERATOR(pg_catalog.=) 'session', \
         pg_catalog.set_config('{SETTING}', 'on', false) FROM pg_catalog.pg_show_all_settings() s \
         WHERE s.name OPERATOR(pg_catalog.=) '{SETTING}' \
         AND pg_catalog.pg_backend_pid() OPERATOR(pg_catalog.=) {backend}"
    )
}

impl Ready {
    /// Whether what commits by itself may lower a set here, and must not.
    pub(super) fn shields(&self) -> bool {
        self.covers && (self.lists_first() || self.has_tables()) && self.enforces()
    }

    /// No transaction is open, nor will one be when what is under way is answered.
    pub(super) fn is_apart(&self) -> bool {
        self.transaction.status == Status::Idle
            && !self.is_held()
            && !self.transaction.is_wrapped()
            && !self.queue.has_begun()
    }

    /// A statement of this class is sent, by Parse or Bind: what must come first.
    pub(super) fn look_upkeep(&self, class: &Class) -> Option<Look> {
        let text = class.text.as_ref().filter(|_| class.kind == Kind::Alone);
        let kept = text.and_then(|text| Some((text, upkeep(text)?)));
        if kept.is_some() && self.queue.controls() {
            return Some(Look::Gate(Cause::Drain));
        }
        if kept.is_some() && self.is_outside() {
            return Some(Look::Gate(Cause::Settle));
        }
        if !self.is_apart() {
            return None;
        }
        let batch = self.transaction.batch;
        let is_vetted = |text: &Arc<[u8]>| {
            let vetted = self.keeping.vetted.as_ref();
            vetted.is_some_and(|(at, of)| *at == batch && of == text)
        };
        let care = match (kept, &self.keeping.shield) {
            (None, None) | (Some((_, Upkeep::ReadOnly)), Some(Shield::ReadOnly(_))) => None,
            (Some((text, Upkeep::Build)), None | Some(Shield::Names(_))) if is_vetted(text) => None,
            (_, Some(_)) => Some(Care::Lower),
            (Some((_, Upkeep::ReadOnly)), None) => Some(Care::Raise),
            (Some((text, Upkeep::Build)), None) => Some(Care::Vet(Arc::clone(text))),
        };
        let care = care.filter(|care| *care == Care::Lower || self.shields())?;
        Some(Look::Gate(Cause::Upkeep(care)))
    }

    /// A Query or FunctionCall comes behind such a statement.
    pub(super) fn lowers_first(&self) -> bool {
        self.keeping.shield.is_some() && self.is_apart()
    }

    /// Nothing is owed: a Query's turn, if it is such a statement.
    pub(super) fn care_for(&self, text: &[u8]) -> Option<Care> {
        upkeep(text)?;
        if !self.is_apart() || !self.shields() {
            return None;
        }
        let list = statements(text, self.reported.lexical()).ok()?;
        let [one] = list.as_slice() else {
            return None;
        };
        let text = text.get(one.range.clone())?;
        if one.kind == Kind::Other && !self.shared.guarding.screen.mentions(text).is_empty() {
            // CLUSTER of a guarded table can be in a block, and is compared.
            return None;
        }
        Some(match upkeep(text)? {
            Upkeep::ReadOnly => Care::Raise,
            Upkeep::Build => Care::Vet(text.into()),
        })
    }

    /// Nothing is owed, and no transaction is open.
    pub(super) fn take_care(&mut self, gate: Box<Gate>, care: &Care) {
        let (step, text) = match care {
            Care::Raise => (Step::Raise, self.backend.map(raise)),
            Care::Lower => (Step::Lower, self.keeping.shield.as_ref().map(Shield::lower)),
            Care::Vet(text) => match Called::of(text, self.reported.lexical()) {
                Ok(Called::Nothing) => {
                    self.note_vetted(&gate);
                    return self.care_taken(gate, Step::Vet, None);
                }
                Ok(Called::These(names)) if !self.refuses_opaque() => {
                    let lock = self.backend.map(|backend| names.lock(backend));
                    self.keeping.shield = Some(Shield::Names(names));
                    (Step::Lock, lock)
                }
                Ok(_) => {
                    return self.care_taken(gate, Step::Vet, Some(Unverifiable::OwnersCode));
                }
                Err(odd) => {
                    let why = Unverifiable::Boundaries(odd);
                    return self.care_taken(gate, Step::Vet, Some(why));
                }
            },
        };
        match text {
            Some(text) => self.ask_care(gate, step, &text),
            None if step == Step::Lower => self.again = true,
            None => {
                self.keeping.shield = None;
                self.care_taken(gate, step, Some(Unverifiable::Pooled));
            }
        }
    }

    fn ask_care(&mut self, gate: Box<Gate>, step: Step, text: &str) {
        let bytes = gate.cause.protocol().ask(text);
        self.ask_by(gate, Purpose::Upkeep(step), Place::Bare, bytes);
    }

    /// The answer came.
    pub(super) fn cared(&mut self, gate: Box<Gate>, step: Step, asking: &Asking) {
        let row = asking.rows.first();
        let why = match (step, &asking.failed, row) {
            // It was cancelled, perhaps: what comes next is looked at again, and this is sent again.
            (Step::Lower, Some(_), _) => {
                self.keeping.failed = true;
                None
            }
            (_, Some(why), _) => Some(why.clone()),
            (Step::Raise, None, None) => Some(Unverifiable::Pooled),
            (Step::Raise, None, Some(row)) => {
                self.keeping.shield = Some(Shield::of(row));
                None
            }
            (Step::Lock, None, None) => {
                self.keeping.shield = None;
                Some(Unverifiable::Pooled)
            }
            (Step::Lock, None, Some(_)) => {
                if let Some(Shield::Names(names)) = &self.keeping.shield {
                    let question = names.question();
                    return self.ask_care(gate, Step::Vet, &question);
                }
                None
            }
            (Step::Vet, None, Some(_)) => Some(Unverifiable::OwnersCode),
            (Step::Vet, None, None) => {
                self.note_vetted(&gate);
                None
            }
            (Step::Lower, None, _) => {
                self.keeping = Keeping::default();
                None
            }
        };
        self.care_taken(gate, step, why);
    }

    fn care_taken(&mut self, gate: Box<Gate>, step: Step, why: Option<Unverifiable>) {
        let purpose = Purpose::Upkeep(step);
        match why {
            Some(why) => self.unverified(gate, purpose, &why),
            None => self.go_on(gate, purpose, Leave::NothingAsked),
        }
    }

    /// Nothing is under way: what the session has of ours is taken away without a word of the client's, true
    /// if so. It comes before the client's next message in any case.
    pub(super) fn step_shield(&mut self) -> bool {
        if self.keeping.shield.is_none() || self.keeping.failed || !self.is_between() {
            return false;
        }
        let gate = Box::new(Gate::new(Cause::Upkeep(Care::Lower), 0));
        self.take_care(gate, &Care::Lower);
        true
    }

    /// Whether what no text shows is refused for any guard.
    fn refuses_opaque(&self) -> bool {
        self.decides(|it| it.mode == Mode::Enforce && it.opaque == Opaque::Refuse)
    }

    fn note_vetted(&mut self, gate: &Gate) {
        if let Cause::Upkeep(Care::Vet(text)) = &gate.cause {
            self.keeping.vetted = Some((self.transaction.batch, Arc::clone(text)));
        }
    }

    /// What the server reports of our own setting is not the client's business.
    pub(super) fn swallow_ours(&mut self, frame: Frame, have: &[u8]) -> Option<Action> {
        let body = have.get(HEADER_LEN..).unwrap_or_default();
        let (name, _) = backend::parameter_status(body).ok()?;
        (name == SETTING.as_bytes()).then(|| self.swallow(frame, have))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_client_had_set_comes_back() {
        let row = |value: &str, own: &str| {
            vec![
                Some(value.as_bytes().to_vec()),
                Some(own.as_bytes().to_vec()),
                Some(b"on".to_vec()),
            ]
        };
        for (value, own, expected) in [
            ("off", "f", "NULL"),
            ("on", "f", "NULL"),
            ("on", "t", "'on'"),
            ("off", "t", "'off'"),
        ] {
            let text = Shield::of(&row(value, own)).lower();
            assert!(
                text.ends_with(&format!("only', {expected}, false)")),
                "{text}"
            );
        }
    }
}
