//! The judge: two snapshots, a session, and what follows.
use std::{collections::BTreeSet, sync::Arc};

use crate::{
    base::UNSEEN,
    guard::{Guard, GuardSet, Guards},
    observed::{Observed, Place},
    order::Step,
    outcome::Outcome,
    profile::{Judge, Kind},
    question::{History, HistoryKey, Snapshot},
    refusal::{self, shown},
    rule::{Mode, Rules, Who},
    screen::Screen,
    snapshot::TEMPORARY,
    verdict::{Change, Finding, Judgement, Observation, Stage, Unverifiable},
    version::{self, Decimal, Scope, Version, VersionSet, natural},
};

/// Everything that judges, shared by all sessions.
#[derive(Debug)]
pub struct Guarding {
    /// The guarded tables.
    pub guards: Guards,
    /// Who gets which mode.
    pub rules: Rules,
    /// What was seen before, whatever configuration it was seen under.
    pub observed: Arc<Observed>,
    /// The names of the guarded tables, compiled.
    pub screen: Screen,
    /// The names of the tables that the tools keep beside them, for locks and logs.
    pub beside: Screen,
    /// The server, `host:port`: what was seen there says nothing of another.
    pub origin: String,
}

/// A history that is judged.
struct Case<'a> {
    guard: &'a Guard,
    key: &'a HistoryKey,
    origin: &'a str,
    observed: &'a Observed,
}

impl Guarding {
    /// Whether a transaction (or, at [`Stage::Statement`], what it has done so far) may stand.
    ///
    /// Only guards that both snapshots asked for can be compared; before a commit, one that only one
    /// of them asked for cannot be verified.
    #[must_use]
    pub fn judge(&self, who: &Who, stage: Stage, before: &Snapshot, after: &Snapshot) -> Judgement {
        let origin = format!("{}/{}", self.origin, who.database);
        let both = before.asked.without(before.asked.without(after.asked));
        let mut findings = Vec::new();
        let mut observations = Vec::new();
        let keys: BTreeSet<&HistoryKey> = before
            .histories
            .keys()
            .chain(after.histories.keys())
            .collect();
        for key in keys.into_iter().filter(|key| both.contains(key.guard)) {
            let Some(guard) = self.guards.guard(key.guard) else {
                continue;
            };
            let decision = self.rules.decide(who, Some(guard.tool()));
            let early = stage == Stage::Statement && guard.profile.judge == Judge::Transaction;
            if early || decision.mode == Mode::Off {
                continue;
            }
            let case = Case {
                guard,
                key,
                origin: &origin,
                observed: &self.observed,
            };
            let (before, after) = (before.histories.get(key), after.histories.get(key));
            let outcome = case.outcome(before, after);
            let alike = before.map(|h| &h.reading) == after.map(|h| &h.reading);
            if outcome.change == Change::Same && alike {
                continue;
            }
            let unknown = decision.unknown.unwrap_or(guard.unknown);
            let finding = outcome.finding((key, guard), decision.mode, unknown);
            if stage == Stage::Transaction && finding.change != Change::Lowered && !finding.refused
            {
                observations.extend(case.learn(before, after));
            }
            if finding.change != Change::Same {
                findings.push(finding);
            }
        }
        if stage == Stage::Transaction {
            let asked = before.asked.union(after.asked);
            let half = asked.without(both);
            if !half.is_empty() {
                let why = "pgpawl did not read it both before and after.";
                findings.extend(self.doubt(
                    who,
                    half,
                    ("not_read_twice", refusal::sqlstate(), why),
                ));
            }
        }
        Judgement::of(&who.database, findings, observations)
    }

    /// What follows when the question for `guards` led to nothing.
    #[must_use]
    pub fn unverifiable(&self, who: &Who, guards: GuardSet, why: &Unverifiable) -> Judgement {
        let (sqlstate, reason, text) = refusal::unverifiable(why);
        let finding = self.doubt(who, guards, (reason, sqlstate, &text));
        Judgement::of(&who.database, finding.into_iter().collect(), Vec::new())
    }

    /// One finding for all of `guards`, in the strictest mode of any; none if all are off.
    fn doubt(
        &self,
        who: &Who,
        guards: GuardSet,
        (reason, sqlstate, why): (&'static str, &'static str, &str),
    ) -> Option<Finding> {
        let tools: Vec<&str> = self
            .guards
            .of(guards)
            .map(|(_, guard)| guard.tool())
            .collect();
        let modes: Vec<Mode> = if tools.is_empty() {
            vec![self.rules.decide(who, None).mode]
        } else {
            let mode = |tool: &&str| self.rules.decide(who, Some(*tool)).mode;
            tools.iter().map(mode).collect()
        };
        let strict = [Mode::Enforce, Mode::Log]
            .into_iter()
            .find(|m| modes.contains(m));
        let mode = strict?;
        let tool = match tools.as_slice() {
            [tool] => (*tool).to_owned(),
            _ => "any tool".to_owned(),
        };
        Some(Finding {
            key: None,
            tool,
            change: Change::Unverifiable,
            reason,
            mode,
            refused: mode == Mode::Enforce,
            from: None,
            to: None,
            gone: Vec::new(),
            came: Vec::new(),
            sqlstate,
            why: Some(why.to_owned()),
        })
    }
}

impl Case<'_> {
    fn outcome(&self, before: Option<&History>, after: Option<&History>) -> Outcome {
        let empty = self.empty();
        let readings = (before.map(|h| &h.reading), after.map(|h| &h.reading));
        if let (Some(Err(UNSEEN)), Some(found)) = (readings.0, after)
            && self.only_raises(found)
        {
            return self.raised(found);
        }
        match readings {
            (None, None) => Outcome::bare(Change::Same, "same"),
            // It goes when the session ends, out of anybody's sight.
            (_, Some(Err(TEMPORARY))) => Outcome::bare(Change::Unverifiable, TEMPORARY),
            (None, Some(Ok(after))) => self.compared(&empty, after, "lowered"),
            // It was not there, so nothing can be lost.
            (None, Some(Err(_))) => Outcome::bare(Change::Raised, "table_appeared"),
            (Some(Ok(before)), None) => self.compared(before, &empty, "table_gone"),
            (Some(Err(_)), None) => Outcome::bare(Change::Unverifiable, "table_gone"),
            (Some(Ok(before)), Some(Ok(after))) => self.compared(before, after, "lowered"),
            (Some(Err(reason)), Some(_)) | (Some(Ok(_)), Some(Err(reason))) => {
                // Rows of a child table leave no trace at its parent.
                let same = before.map(|h| &h.trace) == after.map(|h| &h.trace);
                if same && *reason != "has_children" {
                    Outcome::bare(Change::Same, "same")
                } else {
                    Outcome::bare(Change::Unverifiable, reason)
                }
            }
        }
    }

    /// Rows that are added to a set make it no smaller, whatever it held.
    fn only_raises(&self, found: &History) -> bool {
        self.guard.profile.kind == Kind::Set && found.touch.only_inserts()
    }

    fn raised(&self, found: &History) -> Outcome {
        let newest = |set: &VersionSet| set.scopes().last().and_then(|s| self.newest(set, s));
        Outcome {
            to: found.reading.as_ref().ok().and_then(newest),
            ..Outcome::bare(Change::Raised, "raised")
        }
    }

    fn empty(&self) -> VersionSet {
        match self.guard.profile.kind {
            Kind::Number => VersionSet::Numbers(std::collections::BTreeMap::new()),
            Kind::Set | Kind::Journal | Kind::Heads => {
                VersionSet::Rows(std::collections::BTreeMap::new())
            }
        }
    }

    fn place(&self, scope: &[u8]) -> Place {
        Place::new(self.origin, self.key, scope)
    }

    /// The worst change of any scope decides, and is the one that is told.
    fn compared(&self, before: &VersionSet, after: &VersionSet, reason: &'static str) -> Outcome {
        if before == after {
            return Outcome::bare(Change::Same, "same");
        }
        let scopes: BTreeSet<&Scope> = before.scopes().chain(after.scopes()).collect();
        let rank = |change: Change| match change {
            Change::Same => 0,
            Change::Raised => 1,
            Change::Unknown => 2,
            Change::Lowered | Change::Unverifiable => 3,
        };
        let steps = scopes
            .into_iter()
            .map(|scope| (self.step(scope, before, after), scope));
        let worst = steps.rev().max_by_key(|(change, _)| rank(*change));
        let Some((change, scope)) = worst else {
            return Outcome::bare(Change::Same, "same");
        };
        let listed = |versions: version::Versions| {
            let mut list: Vec<_> = versions.into_iter().collect();
            list.sort_by(|a, b| natural(&a.0, &b.0).then_with(|| natural(&a.1, &b.1)));
            list.iter().map(|(s, v)| scoped(s, &shown(v))).collect()
        };
        let reason = match change {
            Change::Lowered => reason,
            Change::Unknown => "unknown_order",
            Change::Same | Change::Raised | Change::Unverifiable => "raised",
        };
        Outcome {
            change,
            reason,
            from: self.newest(before, scope),
            to: self.newest(after, scope),
            gone: listed(version::missing(before, after)),
            came: listed(version::missing(after, before)),
        }
    }

    fn step(&self, scope: &Scope, before: &VersionSet, after: &VersionSet) -> Change {
        let none = BTreeSet::new();
        match self.guard.profile.kind {
            Kind::Number => self.number_step(scope, before, after),
            Kind::Set | Kind::Journal => {
                let before = before.rows(scope).unwrap_or(&none);
                let after = after.rows(scope).unwrap_or(&none);
                if !after.is_superset(before) {
                    Change::Lowered
                } else if after.len() > before.len() {
                    Change::Raised
                } else {
                    Change::Same
                }
            }
            Kind::Heads => {
                let before = before.rows(scope).unwrap_or(&none);
                let after = after.rows(scope).unwrap_or(&none);
                if before == after {
                    return Change::Same;
                }
                let files = self.guard.graph.as_deref();
                match self
                    .observed
                    .step(&self.place(scope), files, (before, after))
                {
                    Step::Covers => Change::Raised,
                    Step::Loses => Change::Lowered,
                    Step::Unknown => Change::Unknown,
                }
            }
        }
    }

    fn number_step(&self, scope: &Scope, before: &VersionSet, after: &VersionSet) -> Change {
        let after = after.number(scope).and_then(version::Number::sure);
        match self.floor(scope, before).cmp(&after) {
            std::cmp::Ordering::Less => Change::Raised,
            std::cmp::Ordering::Equal => Change::Same,
            std::cmp::Ordering::Greater => Change::Lowered,
        }
    }

    /// What was surely applied: of an unfinished step that was seen, what was sure before it.
    fn floor(&self, scope: &Scope, set: &VersionSet) -> Option<Decimal> {
        let number = set.number(scope)?;
        let seen = number
            .dirty
            .then(|| self.observed.floor(&self.place(scope), &number.value))
            .flatten();
        seen.unwrap_or_else(|| number.sure())
    }

    /// The newest version, for people.
    fn newest(&self, set: &VersionSet, scope: &Scope) -> Option<String> {
        if let Some(number) = set.number(scope) {
            let dirty = if number.dirty { " (dirty)" } else { "" };
            return Some(scoped(scope, &format!("{}{dirty}", number.value)));
        }
        let rows = set.rows(scope)?;
        let text = if self.guard.profile.kind == Kind::Heads {
            let heads: Vec<_> = rows
                .iter()
                .take(HEADS_SHOWN_MAX)
                .map(|v| shown(v))
                .collect();
            heads.join(", ")
        } else {
            shown(rows.iter().max_by(|a, b| natural(a, b))?)
        };
        Some(scoped(scope, &text))
    }

    /// Remembers the order that an allowed step of heads shows, and what was sure before an
    /// unfinished number.
    fn learn(&self, before: Option<&History>, after: Option<&History>) -> Vec<Observation> {
        let empty = self.empty();
        let set = |history: Option<&History>| match history.map(|h| &h.reading) {
            Some(Ok(set)) => Some(set.clone()),
            None => Some(empty.clone()),
            Some(Err(_)) => None,
        };
        let (Some(before), Some(after)) = (set(before), set(after)) else {
            return Vec::new();
        };
        let none: BTreeSet<Version> = BTreeSet::new();
        let learned = after.scopes().filter_map(|scope| {
            let place = self.place(scope);
            match self.guard.profile.kind {
                Kind::Heads => {
                    let before = before.rows(scope).unwrap_or(&none);
                    let after = after.rows(scope).unwrap_or(&none);
                    self.observed.learn(&place, (before, after))
                }
                Kind::Number => {
                    let number = after.number(scope).filter(|number| number.dirty)?;
                    if before.number(scope) == Some(number) {
                        return None;
                    }
                    let floor = self.floor(scope, &before);
                    let seen = self.observed.floor(&place, &number.value);
                    if seen.is_none() && floor == number.sure() {
                        return None;
                    }
                    self.observed
                        .learn_floor(&place, &number.value, floor.as_ref())
                }
                Kind::Set | Kind::Journal => None,
            }
        });
        learned.collect()
    }
}

/// The most heads that a message names.
const HEADS_SHOWN_MAX: usize = 20;

fn scoped(scope: &[u8], text: &str) -> String {
    if scope.is_empty() {
        text.to_owned()
    } else {
        format!("{} {text}", shown(scope))
    }
}

#[cfg(test)]
#[path = "guarding_tests.rs"]
mod tests;
