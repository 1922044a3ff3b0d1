//! What is noted of the client's statements for a hold: whether they begin a migration run, may change
//! the schema, or mean something else in a longer transaction.

use super::{client::contains_word, ready::Ready};
use pgpawl_policy::{
    hold::{Hold, Manner, local_setting, manner, session_setting},
    statement::{Effect, Kind, first_kind, statements},
};

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
        self.lend(self.hold == Hold::Writes);
    }

    /// Where neither a question nor a hold follows, the text alone tells that a run changes the schema.
    fn note_unrecorded(&mut self, alters: bool) {
        let unseen = alters && !self.covers && self.hold == Hold::Off;
        if let Some(seat) = self.seat.as_ref().filter(|seat| unseen && seat.is_run()) {
            seat.unrecorded(true);
        }
    }

    /// The session is covered up to the end of its transaction.
    pub(super) fn lend(&mut self, alters: bool) {
        let able = self.inspected && !self.simple_only && self.hold != Hold::Off;
        if alters && able && !self.covers && self.in_run() {
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

    /// A setting of the session is changed, or one of the transaction.
    pub(super) fn note_setting(&mut self, text: &[u8]) {
        let start = text.trim_ascii_start().get(..3);
        if !start.is_some_and(|word| word.eq_ignore_ascii_case(b"set")) {
            return;
        }
        if let Some(name) = local_setting(text) {
            let known = self
                .settings
                .as_ref()
                .is_some_and(|names| !names.contains(&name));
            match &mut self.transaction.locals {
                Some(locals) if known && locals.len() < SETTINGS_MAX => locals.push(name),
                locals => *locals = None,
            }
        } else if let Some(name) = session_setting(text) {
            match &mut self.settings {
                Some(names) if names.len() < SETTINGS_MAX => {
                    names.insert(name);
                }
                names => *names = None,
            }
        }
    }

    /// A statement of this manner is sent. A run's transaction that may change the schema is covered
    /// whatever the rules say of others.
    pub(super) fn note_manner(&mut self, manner: Manner) {
        self.transaction.manner = self.transaction.manner.union(manner);
        self.note_unrecorded(manner.alters);
        self.lend(manner.alters);
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
