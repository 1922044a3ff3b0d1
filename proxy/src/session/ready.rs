//! A session after authentication: relays both directions in place, and opens a gate where a
//! statement may concern a guarded table.
//!
//! ```text
//!             ┌────────── relay ◀──────────────────────────────┐
//!             │  a statement that may concern a guard,         │ settled: allowed or refused
//!             ▼  the end of a transaction that did             │
//!           gate: draining → asking → running → asking → settling
//! ```

pub(super) use super::fault::Fault;
use super::{
    Action, Ending, Limits, Shared, Side, Stop, Tale,
    check::Check,
    database::Cleared,
    gate::Gate,
    light::Light,
    names::{Of, Table},
    owed::Queue,
    presumed::Seen,
    question::Statement,
    reported::Reported,
    runs::{Seat, Wake},
    transaction::Transaction,
    unnamed::Unnamed,
    upkeep::Keeping,
};
use crate::wire::backend::Status;
use bytes::Bytes;
use pgpawl_policy::{
    guard::GuardSet,
    hold::Hold,
    rule::{Coverage, Mode, Who},
};
use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct Ready {
    pub(super) shared: Arc<Shared>,
    pub(super) who: Who,
    pub(super) inspected: bool,
    /// Every transaction is checked, whatever its text.
    pub(super) covers: bool,
    /// It is covered for its transaction only: that of a run.
    pub(super) lent: bool,
    /// The server takes no extended protocol, which a flight needs.
    pub(super) simple_only: bool,
    /// The server's process, as it told at the start.
    pub(super) backend: Option<u32>,
    /// What is done around statements that commit by themselves.
    pub(super) keeping: Keeping,
    /// The guards that are looked at in this session at all.
    pub(super) watched: GuardSet,
    /// What questions execute.
    pub(super) statement: Statement,
    /// The check by facts, as it was last made.
    pub(super) check: Check,
    /// A lowering of some guard is refused here.
    pub(super) enforced: bool,
    /// Statements that most likely write nothing.
    pub(super) light: Light,
    pub(super) unnamed: Unnamed,
    pub(super) reported: Reported,
    pub(super) queue: Queue,
    pub(super) statements: Table,
    pub(super) portals: Table,
    /// Guards that a PREPARE hidden in other code may have named.
    pub(super) prepared_unseen: GuardSet,
    pub(super) transaction: Transaction,
    pub(super) gate: Option<Box<Gate>>,
    pub(super) outbox: VecDeque<Action>,
    /// Bytes at the head of the client's window that go to the server without another look, and
    /// what is sent behind them.
    pub(super) client_rest: usize,
    pub(super) behind: Option<Bytes>,
    /// The end of what was relayed of a statement that is too long to be held.
    pub(super) scanning: Option<Vec<u8>>,
    /// Bytes at the head of the client's window that go nowhere.
    pub(super) client_drop: usize,
    pub(super) server_rest: usize,
    pub(super) server_drop: usize,
    /// Bytes that each window must hold for the next step.
    pub(super) client_need: usize,
    pub(super) server_need: usize,
    /// The last whole frame from the server was an ErrorResponse: if it ends now, it has said why.
    pub(super) server_failed: bool,
    /// The client's messages are discarded up to its next Sync, as the server would have done.
    pub(super) dropping: bool,
    /// A Flush of ours is under way.
    pub(super) flushed: bool,
    /// A gate opened or closed: the windows are looked at again.
    pub(super) again: bool,
    pub(super) stop: Option<Stop>,
    client_ended: bool,
    pub(super) server_ended: bool,
    /// What it has read in earlier transactions.
    pub(super) seen: Seen,
    /// Which commits of this session are held.
    pub(super) hold: Hold,
    /// Its seat among the sessions of its client.
    pub(super) seat: Option<Seat>,
    /// Settings that a SET of the session changed, whose value at its start is not theirs any more;
    /// `None`: any.
    pub(super) settings: Option<BTreeSet<String>>,
    /// What it held was rolled back for another session's sake.
    pub(super) undone: bool,
    /// A statement that takes a database away, and may.
    pub(super) cleared: Cleared,
    /// The client went while something was held.
    pub(super) leaving: Option<Ending>,
}

impl Ready {
    pub(super) fn new(shared: Arc<Shared>, who: Who, inspected: bool, reported: Reported) -> Self {
        let mut ready = Self {
            shared,
            who,
            inspected,
            covers: false,
            lent: false,
            simple_only: false,
            backend: None,
            keeping: Keeping::default(),
            watched: GuardSet::EMPTY,
            statement: Statement::Missing,
            seen: Seen::default(),
            check: Check::default(),
            enforced: false,
            light: Light::default(),
            unnamed: Unnamed::default(),
            reported,
            queue: Queue::default(),
            statements: Table::new(Of::Statements),
            portals: Table::new(Of::Portals),
            prepared_unseen: GuardSet::EMPTY,
            transaction: Transaction::new(),
            gate: None,
            outbox: VecDeque::new(),
            client_rest: 0,
            behind: None,
            scanning: None,
            client_drop: 0,
            server_rest: 0,
            server_drop: 0,
            client_need: 1,
            server_need: 1,
            server_failed: false,
            dropping: false,
            flushed: false,
            again: false,
            stop: None,
            client_ended: false,
            server_ended: false,
            hold: Hold::Off,
            seat: None,
            settings: Some(BTreeSet::new()),
            undone: false,
            cleared: Cleared::default(),
            leaving: None,
        };
        ready.cover();
        ready
    }

    /// The rules say how much of this session is checked; they may look at what it calls itself.
    pub(super) fn cover(&mut self) {
        let coverage = self.shared.guarding.rules.coverage(&self.who);
        self.covers = self.inspected && !self.simple_only && coverage == Coverage::Transaction;
        let guarding = &self.shared.guarding;
        let looked_at = |tool| guarding.rules.decide(&self.who, Some(tool)).mode != Mode::Off;
        let watched: GuardSet = guarding
            .guards
            .iter()
            .filter_map(|(id, guard)| looked_at(guard.tool()).then_some(id))
            .collect();
        if watched != self.watched {
            self.watched = watched;
            self.check.forget();
        }
        self.hold = self.holds();
        self.enforced = self.decides(|decision| decision.mode == Mode::Enforce);
    }

    /// Takes a seat among the sessions of its client; `wake` has this session stepped.
    pub(super) fn enter(&mut self, wake: Wake) {
        if self.inspected && !self.simple_only {
            self.seat = Some(self.shared.runs.enter(&self.who, wake));
        }
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.shared.limits
    }

    pub(super) fn step(&mut self, client: &[u8], server: &[u8]) -> Action {
        loop {
            if let Some(action) = self.outbox.pop_front() {
                return action;
            }
            if client.is_empty() && server.is_empty() && self.is_quiet() {
                return Action::Wait {
                    client: 1,
                    server: 1,
                };
            }
            self.client_need = 1;
            self.server_need = 1;
            if self.transaction.altered && self.transaction.status == Status::Idle {
                self.transaction.altered = false;
                self.shared.present.changed(&self.who.database);
            }
            let over = self.lent
                && self.transaction.status == Status::Idle
                && !self.is_held()
                && !self.transaction.is_wrapped()
                && !self.transaction.unsynced
                && self.queue.is_empty()
                && self.gate.is_none();
            if over {
                self.lent = false;
                self.cover();
            }
            let stepped = match self.step_server(server) {
                Ok(None) => self.step_client(client),
                other => other,
            };
            match stepped {
                Ok(Some(action)) => return action,
                Ok(None) if std::mem::take(&mut self.again) || !self.outbox.is_empty() => {}
                Ok(None) if self.step_held() || self.step_shield() => {}
                Ok(None) => return self.rest(client, server),
                Err(fault) => return self.end(fault),
            }
        }
    }

    /// Nothing is under way but what one of the peers sends next: all that [`Self::step`] could do without it.
    fn is_quiet(&self) -> bool {
        !(self.again
            || self.gate.is_some()
            || self.light.is_under_way()
            || self.lent
            || self.transaction.altered
            || self.is_held()
            || self.seen.record.is_some()
            || self.keeping.shield.is_some()
            || self.seat.as_ref().is_some_and(Seat::holds)
            || self.leaving.is_some()
            || self.stop.is_some()
            || self.client_ended
            || self.server_ended)
    }

    /// Nothing can be relayed or decided: stop, notice an end, or wait.
    fn rest(&mut self, client: &[u8], server: &[u8]) -> Action {
        if self.server_ended && server.len() < self.server_need {
            return self.server_gone();
        }
        if let Some(action) = self.left() {
            return action;
        }
        let waits = self.gate.is_some() || self.light.is_under_way();
        if self.client_ended && client.len() < self.client_need && !waits {
            let ending = if client.is_empty() && self.is_between() {
                Ending::Finished
            } else {
                Ending::ClientGone
            };
            if self.is_held() {
                self.leaving.get_or_insert(ending);
                if self.step_held() {
                    return self.step(client, server);
                }
                return Action::Wait {
                    client: 0,
                    server: self.server_need,
                };
            }
            return self.close_politely(ending);
        }
        let between = self.is_between();
        match self.stop {
            Some(Stop::Now) => self.stopped(),
            Some(Stop::Drain) if between => self.stopped(),
            Some(Stop::Drain) | None => Action::Wait {
                client: if self.gate_holds() || self.light.is_under_way() {
                    0
                } else {
                    self.client_need
                },
                server: self.server_need,
            },
        }
    }

    /// A gate is open, and nothing of the client's can pass but what the statement behind it copies.
    fn gate_holds(&self) -> bool {
        self.gate.is_some()
            && !self.queue.copying_in
            && self.client_rest == 0
            && self.client_drop == 0
            && self.client_need <= 1
    }

    /// Between transactions, with nothing owed, at frame boundaries.
    pub(super) fn is_between(&mut self) -> bool {
        self.gate.is_none()
            && self.queue.is_empty()
            && self.transaction.status == Status::Idle
            && !self.is_held()
            && !self.transaction.unsynced
            && self.client_rest == 0
            && self.server_rest == 0
            && self.outbox.is_empty()
    }

    /// The same; what a busy session keeps for its next transaction is given back.
    pub(super) fn rests(&mut self) -> bool {
        let between = self.is_between();
        if between && self.outbox.capacity() > 0 {
            self.outbox = VecDeque::new();
        }
        between
    }

    pub(super) fn ended(&mut self, side: Side) {
        match side {
            Side::Client => self.client_ended = true,
            Side::Server => self.server_ended = true,
        }
    }

    pub(super) fn stop(&mut self, how: Stop) {
        self.stop = Some(match self.stop {
            Some(Stop::Now) => Stop::Now,
            _ => how,
        });
    }

    pub(super) fn send(&mut self, to: Side, bytes: Bytes) {
        if to == Side::Server {
            self.unnamed.sent(&bytes);
        }
        self.outbox.push_back(Action::Send { to, bytes });
    }

    pub(super) fn tell(&mut self, tale: Tale) {
        self.outbox.push_back(Action::Tell(Box::new(tale)));
    }
}
