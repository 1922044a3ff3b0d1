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
//! catalogs are asked whether its index can call what a role other than a superuser may change.

use super::{
    Action,
    client::Look,
    gate::{Asking, Cause, Gate, Leave, Purpose},
    names::Class,
    ready::Ready,
};
use crate::wire::{
    backend::{self, Status},
    frame::{Frame, HEADER_LEN},
};
use pgpawl_policy::{
    rule::{Mode, Opaque},
    statement::{Kind, statements},
    upkeep::{self, Upkeep, upkeep},
    verdict::Unverifiable,
};
use std::sync::Arc;

const SETTING: &str = "default_transaction_read_only";

/// What is done around such a statement.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Care {
    /// From here on the session's transactions are read only.
    Raise,
    /// They are as the client had them.
    Lower,
    /// The index of this statement is looked at.
    Vet(Arc<[u8]>),
}

/// The session's transactions are read only, by us.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shield {
    /// What the client had set in the session itself.
    own: Option<&'static str>,
}

impl Shield {
    /// Whether the session's own setting was `on`, if it had one.
    fn of(row: &[Option<Vec<u8>>]) -> Self {
        let is = |at: usize, text: &[u8]| row.get(at).and_then(Option::as_deref) == Some(text);
        let value = if is(0, b"on") { "on" } else { "off" };
        Self {
            own: is(1, b"t").then_some(value),
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

/// NULL: as it is without a SET, so that it follows the server's configuration again.
fn lower(shield: Shield) -> String {
    let value = shield
        .own
        .map_or_else(|| "NULL".to_owned(), |value| format!("'{value}'"));
    format!("SELECT /* pgpawl */ pg_catalog.set_config('{SETTING}', {value}, false)")
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
        let care = match kept {
            None => self.shield.map(|_| Care::Lower),
            Some((_, Upkeep::ReadOnly)) => self.shield.is_none().then_some(Care::Raise),
            Some(_) if self.shield.is_some() => Some(Care::Lower),
            Some((text, Upkeep::Build)) => {
                let batch = self.transaction.batch;
                let vetted = self.vetted.as_ref();
                let is_vetted = vetted.is_some_and(|(at, of)| *at == batch && of == text);
                (!is_vetted).then(|| Care::Vet(Arc::clone(text)))
            }
        };
        let care = care.filter(|care| *care == Care::Lower || self.shields())?;
        Some(Look::Gate(Cause::Upkeep(care)))
    }

    /// A Query or FunctionCall comes behind such a statement.
    pub(super) fn lowers_first(&self) -> bool {
        self.shield.is_some() && self.is_apart()
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
        let protocol = gate.cause.protocol();
        let (purpose, text) = match care {
            Care::Raise => (Purpose::Raise, self.backend.map(raise)),
            Care::Lower => (Purpose::Lower, self.shield.map(lower)),
            Care::Vet(text) => match upkeep::question(text, self.reported.lexical()) {
                Ok(Some(_)) if self.refuses_opaque() => {
                    return self.unverified(gate, Purpose::Vet, &Unverifiable::OwnersCode);
                }
                Ok(Some(question)) => (Purpose::Vet, Some(question)),
                Ok(None) => {
                    self.note_vetted(&gate);
                    return self.go_on(gate, Purpose::Vet, Leave::NothingAsked);
                }
                Err(odd) => {
                    let why = Unverifiable::Boundaries(odd);
                    return self.unverified(gate, Purpose::Vet, &why);
                }
            },
        };
        match text {
            Some(text) => self.ask_by(gate, purpose, super::ours::Place::Bare, protocol.ask(&text)),
            None if purpose == Purpose::Lower => self.again = true,
            None => self.unverified(gate, purpose, &Unverifiable::Pooled),
        }
    }

    /// The answer came.
    pub(super) fn cared(&mut self, gate: Box<Gate>, asking: &Asking) {
        let purpose = asking.purpose;
        let row = asking.rows.first();
        let why = match (purpose, &asking.failed, row) {
            // It was cancelled, perhaps: what comes next is looked at again, and this is sent again.
            (Purpose::Lower, Some(_), _) => None,
            (_, Some(why), _) => Some(why.clone()),
            (Purpose::Raise, None, None) => Some(Unverifiable::Pooled),
            (Purpose::Raise, None, Some(row)) => {
                self.shield = Some(Shield::of(row));
                None
            }
            (Purpose::Vet, None, Some(_)) => Some(Unverifiable::OwnersCode),
            (Purpose::Vet, None, None) => {
                self.note_vetted(&gate);
                None
            }
            _ => {
                self.shield = None;
                None
            }
        };
        match why {
            Some(why) => self.unverified(gate, purpose, &why),
            None => self.go_on(gate, purpose, Leave::NothingAsked),
        }
    }

    /// Whether what no text shows is refused for any guard.
    fn refuses_opaque(&self) -> bool {
        self.decides(|it| it.mode == Mode::Enforce && it.opaque == Opaque::Refuse)
    }

    fn note_vetted(&mut self, gate: &Gate) {
        if let Cause::Upkeep(Care::Vet(text)) = &gate.cause {
            self.vetted = Some((self.transaction.batch, Arc::clone(text)));
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
            let text = lower(Shield::of(&row(value, own)));
            assert!(
                text.ends_with(&format!("only', {expected}, false)")),
                "{text}"
            );
        }
    }
}
