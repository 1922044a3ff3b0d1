//! Parse, Bind, Execute and Close: what a prepared statement may concern when it is executed.

use super::{
    client::{Instead, Look, Opening, contains_word},
    database::may_take,
    gate::Cause,
    names::{Class, Lookup, Table},
    ours::{PREFIX, Protocol},
    owed::Owed,
    ready::{Fault, Ready},
    savepoints::OUR_SAVEPOINT,
    script::{self, is_control},
};
use crate::wire::{Violation, frame::Frame, frontend};
use pgpawl_policy::{
    guard::GuardSet,
    hold::Hold,
    inert::is_inert,
    setting::setting,
    statement::{self, Kind, Lexical, Name},
    upkeep::upkeep,
};

/// Why a Parse or Close of the statements that our questions execute is refused.
const OURS: &str = "a statement whose name begins with _pgpawl_ is pgpawl's own";

impl Ready {
    /// A Describe: of a statement it may plan it.
    pub(super) fn look_describe(&mut self, (kind, name): (u8, &[u8])) -> Look {
        if kind == b'S' && self.lacks_unnamed(name) {
            return Look::Open(Opening::Unnamed);
        }
        let table = if kind == b'S' {
            &self.statements
        } else {
            &self.portals
        };
        match table.lookup(name, self.transaction.batch) {
            Lookup::Ambiguous => Look::Gate(Cause::Drain),
            Lookup::Is(class) if self.must_open(&class.kind) => self.look_opening(),
            Lookup::Is(_) => Look::Relay(Some(Owed::Describe)),
        }
    }

    pub(super) fn look_parse(
        &mut self,
        frame: &[u8],
        (name, text): (&[u8], &[u8]),
    ) -> Result<Look, Fault> {
        if name.starts_with(PREFIX) {
            return Ok(Look::Gate(Cause::Refuse(OURS)));
        }
        if let Some(look) = self.look_database(text, Protocol::Extended) {
            return Ok(look);
        }
        let Some(mut class) = self.classify(text) else {
            return Ok(Look::Gate(Cause::Drain));
        };
        if self.must_wait_for_others(text) {
            return Ok(Look::Gate(Cause::Others));
        }
        class.setting = setting(text).map(Box::new);
        class.manner = self.manner_of(text, &class.kind);
        if class.manner.first && self.is_outside() {
            return Ok(Look::Gate(Cause::Settle));
        }
        self.lend(class.manner);
        if self.hold != Hold::Off
            && matches!(class.kind, Kind::Begin | Kind::Savepoint | Kind::Release)
        {
            class.text = Some(text.into());
        }
        if self.is_taken(&class.kind, text) {
            return Ok(Look::Gate(Cause::Refuse(OUR_SAVEPOINT)));
        }
        if self.covers {
            class.copies = contains_word(text, b"copy");
            let mends = upkeep(text).is_some() && class.guards.is_empty();
            if mends && class.kind == Kind::Other && self.shields() {
                class.kind = Kind::Alone;
            }
            let alone = class.kind == Kind::Alone;
            class.kept_back = !name.is_empty() && (alone || is_control(&class.kind));
            if class.kept_back || mends {
                class.text = Some(text.into());
            }
        }
        if may_take(text) {
            class.text = Some(text.into());
        }
        if let Some(look) = self.look_upkeep(&class) {
            return Ok(look);
        }
        if self.must_open(&class.kind) && !is_inert(text) {
            return Ok(self.look_opening());
        }
        if class.kind == Kind::Begin && self.lists_first() {
            return Ok(Look::Gate(Cause::Watch));
        }
        if self.must_read(class.guards, text) {
            return Ok(Look::Gate(Cause::Read(class.guards)));
        }
        if !class.is_plain() {
            if !Table::is_exact(name) {
                return Ok(Look::Gate(Cause::Refuse(
                    "a statement that may concern a guarded table must have a name of ASCII characters",
                )));
            }
            let names_max = self.limits().names_max;
            if self.statements.len() >= names_max {
                return Err(Fault::limit("names_max", names_max));
            }
        }
        // Code must find none by its name: neither what commits, nor what sets a savepoint.
        let hidden = matches!(
            class.kind,
            Kind::Commit { .. } | Kind::PrepareTransaction | Kind::Savepoint
        );
        let unnamed = name.is_empty().then(|| self.unnamed.parsed(frame));
        if unnamed.is_none() {
            self.note_parse(name, text);
        }
        if class.kept_back && hidden {
            return Ok(Look::Instead(Instead::Parse(name.into(), class)));
        }
        let change = self.statements.send(name, class, self.transaction.batch);
        Ok(Look::Relay(Some(Owed::Parse(change, unnamed))))
    }

    /// What the statement of a Parse means; `None`: to be asked again when nothing is owed, because
    /// it depends on settings that what is under way may change.
    fn classify(&mut self, text: &[u8]) -> Option<Class> {
        let kind = statement::first_kind(text);
        let kind = match kind {
            // Who is not covered as a whole has no use for these.
            Kind::Alone | Kind::Begin | Kind::Savepoint | Kind::Release
                if !self.covers && self.hold == Hold::Off =>
            {
                Kind::Other
            }
            kind => kind,
        };
        if !self.note_mention(text) {
            return Some(Class {
                kind,
                ..Class::PLAIN
            });
        }
        if !self.queue.is_empty() && Lexical::matter_for(text) {
            return None;
        }
        let guarding = &self.shared.guarding;
        let class = match statement::statements(text, self.reported.lexical()).as_deref() {
            Ok([one]) => script::concern(&guarding.screen, text, one, |_| Class {
                kind: one.kind.clone(),
                ..Class::PLAIN
            }),
            Ok([]) => Class::PLAIN,
            // The server refuses several statements in one Parse; what is odd is checked.
            Ok(_) | Err(_) => Class {
                guards: guarding.screen.mentions(text),
                kind,
                ..Class::PLAIN
            },
        };
        self.note_hidden_prepare(text, &class);
        Some(class)
    }

    /// Code that names a guarded table and may PREPARE: what it prepares can be executed by any name.
    pub(super) fn note_hidden_prepare(&mut self, text: &[u8], class: &Class) {
        if !class.guards.is_empty()
            && !matches!(class.kind, Kind::Prepare(_))
            && contains_word(text, b"prepare")
        {
            self.prepared_unseen = self.prepared_unseen.union(class.guards);
        }
    }

    pub(super) fn look_bind(
        &mut self,
        frame: Frame,
        body: &[u8],
        whole: bool,
    ) -> Result<Look, Fault> {
        let simple = !self.covers && !self.others_hold() && !self.lacks_unnamed(b"");
        if self.statements.is_empty() && self.portals.is_empty() && simple {
            return Ok(Look::Relay(Some(Owed::Bind(None))));
        }
        let Some((portal, statement)) = frontend::bind(body) else {
            let needed = self.limits().statement_len_max.min(frame.len);
            return if whole || body.len() >= needed {
                Err(Fault::client(&Violation::Format { tag: b'B' }))
            } else {
                Ok(Look::Need(frame.len.min(body.len() * 2 + 64)))
            };
        };
        if self.lacks_unnamed(statement) {
            return Ok(Look::Open(Opening::Unnamed));
        }
        let batch = self.transaction.batch;
        let class = match self.statements.lookup(statement, batch) {
            Lookup::Is(class) => class,
            Lookup::Ambiguous => return Ok(Look::Gate(Cause::Drain)),
        };
        if self.is_outside() && class.manner.first {
            return Ok(Look::Gate(Cause::Settle));
        }
        // A statement that was prepared before this batch; what the batch parsed was looked at.
        let old = !self.transaction.unsynced;
        let about = class.manner.plain || !class.guards.is_empty() || is_control(&class.kind);
        if old && !about && self.others_hold() {
            return Ok(Look::Gate(Cause::Others));
        }
        if let Some(look) = self.look_taking(&class) {
            return Ok(look);
        }
        self.lend(class.manner);
        if let Some(look) = self.look_upkeep(&class) {
            return Ok(look);
        }
        if self.must_open(&class.kind) {
            return Ok(self.look_opening());
        }
        if class.kind == Kind::Begin && self.lists_first() {
            return Ok(Look::Gate(Cause::Watch));
        }
        if self.must_read(class.guards, class.text.as_deref().unwrap_or_default()) {
            return Ok(Look::Gate(Cause::Read(class.guards)));
        }
        if !class.is_plain() {
            let names_max = self.limits().names_max;
            if self.portals.len() >= names_max {
                return Err(Fault::limit("names_max", names_max));
            }
            if !Table::is_exact(portal) {
                return Ok(Look::Gate(Cause::Refuse(
                    "a portal that may concern a guarded table must have a name of ASCII characters",
                )));
            }
        }
        let change = self.portals.send(portal, class, batch);
        Ok(Look::Relay(Some(Owed::Bind(change))))
    }

    pub(super) fn look_execute(&mut self, portal: &[u8]) -> Look {
        if self.portals.is_empty() && !self.covers {
            return Look::Relay(Some(Owed::Execute(None)));
        }
        let mut class = match self.portals.lookup(portal, self.transaction.batch) {
            Lookup::Is(class) => class,
            Lookup::Ambiguous => return Look::Gate(Cause::Drain),
        };
        if let Some(look) = self.look_taking(&class) {
            return look;
        }
        // Its text is sent again, whatever became of the portal and of the care that was taken of it.
        let mends = class.text.as_deref().and_then(upkeep).is_some();
        if let Some(look) = self.look_upkeep(&class).filter(|_| mends) {
            return look;
        }
        match &class.kind {
            Kind::Prepare(name) => {
                let (name, guards) = (name.clone(), class.guards);
                self.prepared(&name, guards);
                return Look::Relay(Some(Owed::Execute(None)));
            }
            Kind::Execute(name) => {
                let executed = self.executed(&name.0.clone());
                class.guards = executed.guards;
                if is_control(&executed.kind) {
                    class.kind = executed.kind;
                }
            }
            _ => {}
        }
        let controls = self.is_held() && is_control(&class.kind);
        let outside = self.is_outside();
        match &class.kind {
            _ if controls && !outside => return Look::Gate(Cause::Execute(class)),
            Kind::Commit { .. } | Kind::PrepareTransaction
                if self.covers || self.transaction.touch.is_some() =>
            {
                return Look::Gate(Cause::Execute(class));
            }
            Kind::Savepoint if self.covers && self.queue.controls() => {
                return Look::Gate(Cause::Drain);
            }
            Kind::Savepoint if self.needs_outer() => return Look::Open(Opening::Outer),
            kind if self.must_open(kind) => return self.look_opening(),
            _ => {}
        }
        self.transaction.ran = true;
        self.note_manner(class.manner);
        if let Some(setting) = &class.setting {
            self.note_setting(setting);
        }
        if !class.guards.is_empty() {
            return Look::Gate(Cause::Execute(class));
        }
        if class.kept_back {
            return Look::Instead(Instead::Execute(class));
        }
        self.transaction.may_copy |= class.copies;
        let kind = (!class.is_plain()).then(|| Box::new(class.kind));
        Look::Relay(Some(Owed::Execute(kind)))
    }

    /// A PREPARE of `name` is sent.
    pub(super) fn prepared(&mut self, name: &Name, guards: GuardSet) {
        // Beyond the limit any name may stand for it.
        let full = self.statements.len() >= self.limits().names_max;
        if name.is_any() || full {
            self.prepared_unseen = self.prepared_unseen.union(guards);
        } else {
            self.statements.add(&name.0, guards);
        }
    }

    /// What EXECUTE of `name` may be; an empty name stands for any.
    pub(super) fn executed(&self, name: &[u8]) -> Class {
        let known = match self.statements.lookup(name, self.transaction.batch) {
            Lookup::Is(class) if !name.is_empty() => class,
            Lookup::Is(_) | Lookup::Ambiguous => self.statements.any(),
        };
        Class {
            guards: known.guards.union(self.prepared_unseen),
            ..known
        }
    }

    pub(super) fn look_close(&mut self, (kind, name): (u8, &[u8])) -> Look {
        if kind == b'S' && name.starts_with(PREFIX) {
            return Look::Gate(Cause::Refuse(OURS));
        }
        if kind == b'S' {
            self.light.closed(name);
            if name.is_empty() {
                self.unnamed.closed();
            }
        }
        let batch = self.transaction.batch;
        let table = if kind == b'S' {
            &mut self.statements
        } else {
            &mut self.portals
        };
        Look::Relay(Some(Owed::Close(table.send(name, Class::PLAIN, batch))))
    }
}
