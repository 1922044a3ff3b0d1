//! What settles a held commit without a record: time, other sessions, the end of the session.

use super::{
    Action, Ending, Tale,
    action::Fate,
    client::Look,
    gate::{At, Cause, Gate, Next, Purpose, Settle, Then, Told},
    hold::lost,
    ready::{Fault, Ready},
    runs::{Order, Seat},
};
use crate::wire::backend::Status;
use bytes::Bytes;
use pgpawl_policy::verdict::Stage;

/// Ticks between two looks for sessions that wait for what is held.
const PROBE_TICKS: u32 = 2;

/// Ticks for which another session waits for the end of a statement, to see what is held behind it.
const ORDERED_TICKS_MAX: u32 = 2;

impl Ready {
    /// Other sessions of the run settle what they hold first.
    pub(super) fn wait_for_others(&mut self, mut gate: Box<Gate>, order: Order, next: Next) {
        if let Some(seat) = &self.seat {
            seat.order(order);
        }
        self.again = true;
        gate.at = At::Awaiting(next);
        self.gate = Some(gate);
    }

    pub(super) fn others_hold(&self) -> bool {
        self.seat.as_ref().is_some_and(Seat::others_hold)
    }

    /// The others have settled.
    pub(super) fn others_settled(&mut self, gate: Box<Gate>, next: Next) {
        self.again = true;
        let is_lost = self.seat.as_ref().is_some_and(Seat::is_lost);
        match next {
            Next::Look => {}
            Next::Commit(purpose, _) if is_lost => self.refuse(gate, purpose, lost()),
            Next::Commit(purpose, leave) => self.go_on(gate, purpose, leave),
            Next::Refuse(purpose, refusal) => self.refuse(gate, purpose, refusal),
        }
    }

    /// What the client's next message means where something is held.
    pub(super) fn look_held(&mut self, tag: u8) -> Option<Look> {
        self.spoke();
        match tag {
            _ if self.must_judge() => Some(Look::Gate(Cause::Judge)),
            _ if self.must_tell_record().is_some() => Some(Look::Gate(Cause::Tell)),
            b'X' if self.is_held() => {
                self.leaving = Some(Ending::Finished);
                self.outbox.push_back(Action::Dismiss);
                Some(Look::Drop)
            }
            // The server would say that it is in a block.
            b'S' if self.is_outside() => Some(Look::Gate(Cause::Sync)),
            _ => None,
        }
    }

    /// [`super::TICK_MS`] have passed; only told while something is held.
    pub(super) fn tick(&mut self) {
        let ordered = self
            .seat
            .as_ref()
            .is_some_and(|seat| seat.ordered().is_some());
        if let Some(held) = &mut self.transaction.held {
            held.silence = held.silence.saturating_add(1);
            held.probed &= held.silence % PROBE_TICKS != 0;
            held.ordered = if ordered {
                held.ordered.saturating_add(1)
            } else {
                0
            };
        }
    }

    /// The client said something.
    pub(super) fn spoke(&mut self) {
        if let Some(held) = &mut self.transaction.held {
            held.silence = 0;
        }
    }

    /// Nothing can be relayed now. What is held may have to be settled: true if that is under way.
    pub(super) fn step_held(&mut self) -> bool {
        let holds = self.transaction.held.is_some();
        if let Some(seat) = &mut self.seat
            && !holds
            && self.gate.is_none()
        {
            // Its own commit or rollback settled it.
            seat.release(false);
        }
        let quiet = self.gate.is_none()
            && self.queue.is_empty()
            && self.client_rest == 0
            && self.client_drop == 0
            && self.server_rest == 0
            && !self.queue.copying_in;
        if holds && self.leaving.is_some() && self.gate.is_none() && !self.queue.is_empty() {
            self.flush_once();
        }
        let ordered = self.seat.as_ref().and_then(Seat::ordered);
        // A probe or a commit of ours is over in a moment.
        let own = |gate: &Gate| matches!(gate.cause, Cause::Settle | Cause::Judge);
        let free = quiet && self.is_outside() && !self.transaction.unsynced
            || self.gate.as_deref().is_some_and(own);
        // A block may be open for as long as the client likes, a statement is most likely over soon.
        let in_block = self.transaction.status != Status::Idle && !self.transaction.is_wrapped();
        if let (Some(held), Some(seat), Some(order)) =
            (&mut self.transaction.held, &mut self.seat, ordered)
            && !free
            && (in_block || held.ordered > ORDERED_TICKS_MAX)
        {
            // It is in the middle of something, which may wait for who gave the order, or both wait.
            match order {
                Order::Commit => held.must = Some("run"),
                Order::Rollback => held.doomed = true,
            }
            seat.release(false);
            self.again |= self.gate.is_some();
        }
        if quiet && let Some(guards) = self.must_tell_record() {
            let gate = Box::new(Gate::new(Cause::Tell, 0));
            self.ask(gate, Purpose::Tell(guards));
            return true;
        }
        if !holds || !quiet {
            return false;
        }
        let leaving = self.leaving.is_some();
        if leaving && !self.is_outside() {
            // The client went in the middle of a transaction.
            self.transaction.unsynced = false;
            let gate = Box::new(Gate::new(Cause::Settle, 0));
            self.settle(gate, Settle::Rollback(None));
            return true;
        }
        if self.transaction.unsynced {
            return false;
        }
        let outside = self.is_outside();
        let Some(held) = &mut self.transaction.held else {
            return false;
        };
        if held.doomed || ordered == Some(Order::Rollback) {
            let gate = Box::new(Gate::new(Cause::Settle, 0));
            self.unheld(gate, "run");
            return true;
        }
        if !outside {
            return false;
        }
        if held.unjudged {
            let gate = Box::new(Gate::new(Cause::Judge, 0));
            self.ask(gate, Purpose::After(Stage::Transaction));
            return true;
        }
        let overdue = held.silence >= self.shared.limits.hold_ticks_max;
        let others = self.seat.as_ref().is_some_and(Seat::others_run);
        let why = if ordered == Some(Order::Commit) || held.must.is_some() {
            Some("run")
        } else if overdue {
            Some("hold_max_ms")
        } else if leaving && !others {
            Some("session_end")
        } else if self.stop.is_some() {
            Some("stopping")
        } else {
            None
        };
        let gate = Box::new(Gate::new(Cause::Settle, 0));
        if let Some(why) = why {
            self.commit_held(gate, why, Then::Look);
            return true;
        }
        if !held.probed && held.silence >= PROBE_TICKS {
            held.probed = true;
            self.probe(gate);
            return true;
        }
        false
    }

    /// What the client's commit would have run failed: its transaction ends.
    pub(super) fn commit_failed(&mut self, mut gate: Box<Gate>, error: Bytes) {
        self.discard(&mut gate);
        if matches!(gate.cause, Cause::Judge) {
            return self.unheld(gate, "refused");
        }
        let told = Told::Error(error);
        if self.is_held() && matches!(gate.cause, Cause::Execute(_)) {
            // The server is made to fail within the client's transaction, not in what is held; it is
            // rolled back at the client's Sync.
            self.transaction.touch.get_or_insert_default().wrapped = true;
            return self.fail(gate, told);
        }
        self.settle(gate, Settle::Rollback(Some(told)));
    }

    /// Whether another session waits for a lock that is held.
    fn probe(&mut self, gate: Box<Gate>) {
        let bytes = gate.cause.protocol().probe();
        self.send_ours(gate, bytes, At::Probing(false));
    }

    pub(super) fn probed(&mut self, gate: Box<Gate>, waits: bool, status: Status) {
        self.again = true;
        match status {
            Status::Block if waits => self.commit_held(gate, "lock", Then::Look),
            Status::Block => {}
            // It was cancelled, or worse: back to where it began.
            Status::Failed => {
                let bytes = gate.cause.protocol().recover();
                self.send_ours(gate, bytes, At::Probing(false));
            }
            Status::Idle => self.end_lost(),
        }
    }

    /// The client was told of a commit that is lost: it must not go on.
    pub(super) fn end_lost(&mut self) {
        let refusal = lost();
        let who = self.who.clone();
        self.tell(Tale::Hold {
            who,
            fate: Fate::Lost,
            why: "commit_failed",
        });
        let action = self.end(Fault {
            ending: Ending::ServerViolation("a held commit failed".to_owned()),
            sqlstate: refusal.sqlstate,
            message: refusal.message,
        });
        self.outbox.push_front(action);
    }

    /// What the client was told is committed was rolled back for another session's sake: it must not go on as
    /// if it were there.
    pub(super) fn check_undone(&self) -> Result<(), Fault> {
        if !self.undone {
            return Ok(());
        }
        let refusal = lost();
        Err(Fault {
            ending: Ending::Undone,
            sqlstate: refusal.sqlstate,
            message: refusal.message,
        })
    }

    /// The client went, and what is held is settled.
    pub(super) fn left(&mut self) -> Option<Action> {
        if self.is_held() || self.gate.is_some() {
            return None;
        }
        let ending = self.leaving.take()?;
        Some(self.close_politely(ending))
    }

    /// Whether pgpawl holds a commit: the shell shall tick.
    pub(super) const fn is_holding(&self) -> bool {
        self.transaction.held.is_some()
    }
}
