//! What is noted of the client's statements for a hold: whether they begin a migration run, may change
//! the schema, or mean something else in a longer transaction.

use super::{client::contains_word, ready::Ready, script::may_be_several};
use pgpawl_policy::{
    hold::{Hold, Manner, manner},
    setting::{Setting, setting},
    statement::{Effect, Kind, first_kind, statements},
};
use std::collections::BTreeSet;

/// The most settings that are followed.
const SETTINGS_MAX: usize = 64;

impl Ready {
    /// Whether `text` may name a guarded table: that begins a migration run.
    pub(super) fn note_mention(&mut self, text: &[u8]) -> bool {
        let mentioned = !self.shared.guarding.screen.mentions(text).is_empty();
        if let Some(seat) = self.seat.as_mut().filter(|_| mentioned) {
            seat.join();
        }
        mentioned
    }

    /// A run that is not covered is, from a statement on that may change the schema.
    pub(super) fn note_schema(&mut self, text: &[u8]) {
        if self.covers || !self.in_run() {
            return;
        }
        let odd = Manner {
            alters: true,
            ..Manner::NOTHING
        };
        let manner = statements(text, self.reported.lexical()).map_or(odd, |list| {
            let manners = list.iter().map(|statement| {
                let text = text.get(statement.range.clone()).unwrap_or_default();
                manner(text, &statement.kind)
            });
            manners.fold(Manner::NOTHING, Manner::union)
        });
        self.note_manner(manner);
    }

    /// Where neither a question nor a hold follows, the text alone tells that a run changes the schema.
    fn note_unrecorded(&mut self, alters: bool) {
        let unseen = alters && !self.covers && self.hold == Hold::Off;
        if let Some(seat) = self.seat.as_ref().filter(|seat| unseen && seat.is_run()) {
            seat.unrecorded(true);
        }
    }

    /// The session is covered up to the end of its transaction, of which a statement may change what is held.
    pub(super) fn lend(&mut self, manner: Manner) {
        let changes = manner.alters || self.hold == Hold::Writes;
        let able = self.inspected && !self.simple_only && self.hold != Hold::Off;
        if changes && able && !self.covers && self.in_run() {
            self.lent = true;
            self.covers = true;
        }
    }

    /// What a statement of the extended protocol means for a hold.
    pub(super) fn manner_of(&self, text: &[u8], kind: &Kind) -> Manner {
        if !(self.in_run() || *kind == Kind::Begin && self.hold != Hold::Off) {
            return Manner::NOTHING;
        }
        let beside = &self.shared.guarding.beside;
        let manner = manner(text, kind);
        Manner {
            plain: manner.plain || !beside.mentions(text).is_empty(),
            ..manner
        }
    }

    /// A setting of the session is changed, or of the transaction.
    pub(super) fn note_setting(&mut self, setting: &Setting) {
        match setting {
            Setting::Local(name) => {
                let changed = |names: &BTreeSet<String>| names.contains(name);
                let known = !self.settings.as_ref().is_none_or(changed);
                match &mut self.transaction.locals {
                    Some(locals) if known && locals.len() < SETTINGS_MAX => {
                        locals.push(name.clone());
                    }
                    locals => *locals = None,
                }
            }
            Setting::Session(name) => match &mut self.settings {
                Some(names) if names.len() < SETTINGS_MAX => {
                    names.insert(name.clone());
                }
                names => *names = None,
            },
        }
    }

    /// The same of a Query that no gate reads: nearly all of them change none.
    pub(super) fn note_settings_in(&mut self, text: &[u8]) {
        if !may_be_several(text) {
            if let Some(setting) = setting(text) {
                self.note_setting(&setting);
            }
        } else if contains_word(text, b"set") {
            let Ok(list) = statements(text, self.reported.lexical()) else {
                self.settings = None;
                self.transaction.locals = None;
                return;
            };
            let texts = list.iter().filter_map(|one| text.get(one.range.clone()));
            for setting in texts.filter_map(setting) {
                self.note_setting(&setting);
            }
        }
    }

    /// A statement of this manner is sent.
    pub(super) fn note_manner(&mut self, manner: Manner) {
        self.transaction.manner = self.transaction.manner.union(manner);
        self.note_unrecorded(manner.alters);
        self.lend(manner);
    }

    /// Whether a statement is about nothing but the session, its transaction, or which tables there are:
    /// yoyo asks that on the connection that records.
    fn is_about_itself(&self, text: &[u8]) -> bool {
        if manner(text, &first_kind(text)).plain {
            return true;
        }
        let asks =
            contains_word(text, b"information_schema.tables") || !contains_word(text, b"from");
        asks && statements(text, self.reported.lexical()).is_ok_and(|list| {
            list.iter()
                .all(|statement| statement.effect == Effect::Reads)
        })
    }

    /// Another session of the run holds something, and this statement is about something else.
    pub(super) fn must_wait_for_others(&self, text: &[u8]) -> bool {
        let guarding = &self.shared.guarding;
        self.others_hold()
            && guarding.screen.mentions(text).is_empty()
            && guarding.beside.mentions(text).is_empty()
            && !self.is_about_itself(text)
    }

    /// The same of one statement of a text that names a guard in another.
    pub(super) fn does_something_else(&self, text: &[u8]) -> bool {
        let one = |range| {
            text.get(range)
                .is_some_and(|one| self.must_wait_for_others(one))
        };
        self.others_hold()
            && statements(text, self.reported.lexical())
                .is_ok_and(|list| list.into_iter().any(|statement| one(statement.range)))
    }
}
