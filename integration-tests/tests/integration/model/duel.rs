//! Runs a program along both roads at once, and says which invariant it breaks.

use std::collections::BTreeMap;
use std::fmt;

use super::alphabet::{Control, Program, Statement, Step};
use super::answer::{Answer, Look};
use super::exceptions::Difference;
use super::road::Road;
use super::strategy::SESSIONS;

/// The best end of a program.
const SAME: &str = "the same on both roads";

/// How many programs ended in which way.
#[derive(Clone, Default, Debug)]
pub struct Tally(BTreeMap<&'static str, u32>);

impl Tally {
    /// How many programs were compared to their ends.
    pub fn same(&self) -> u32 {
        self.0.get(SAME).copied().unwrap_or(0)
    }

    /// Both together.
    #[must_use]
    pub fn plus(mut self, other: Self) -> Self {
        for (end, count) in other.0 {
            *self.0.entry(end).or_default() += count;
        }
        self
    }

    fn count(&mut self, course: Course) {
        let end = match course {
            Course::Same => SAME,
            Course::Refused => "refused what lowers",
            Course::Undone => "refused what lowers, and ended another session of the run",
            Course::Racy => "sessions waited for each other",
            Course::Excepted(name) => name,
        };
        *self.0.entry(end).or_default() += 1;
    }
}

/// Both roads.
#[derive(Debug)]
pub struct Duel {
    direct: Road,
    guarded: Road,
    /// Of the programs that broke nothing.
    pub tally: Tally,
}

/// How the roads are to each other. While they are the same, every answer is compared; after that only
/// the guarded road is gone on with, and must stay safe.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Course {
    Same,
    Refused,
    /// What another session held was rolled back with what was refused: the program is over.
    Undone,
    Excepted(&'static str),
    Racy,
}

/// What the open transaction of a session has done on the direct road.
#[derive(Clone, Copy, Default, Debug)]
struct Open {
    /// Some history was lower for a moment.
    lower: bool,
    /// One that is judged after each statement was.
    lower_early: bool,
}

/// A program on its way.
struct Run<'a> {
    duel: &'a mut Duel,
    program: &'a Program,
    course: Course,
    open: [Open; SESSIONS],
    /// The committed versions, as far as they were seen.
    direct: Look,
    guarded: Look,
    /// Whether somebody keeps the superuser from reading a guarded table.
    lock_is_held: bool,
    transcript: String,
}

impl Duel {
    /// Between a road straight to the server and one through pgpawl.
    pub fn new(direct: Road, guarded: Road) -> Self {
        Self {
            direct,
            guarded,
            tally: Tally::default(),
        }
    }

    /// Runs a program.
    ///
    /// # Errors
    /// Which invariant it breaks, with everything that was said.
    pub fn run(&mut self, program: &Program) -> Result<(), String> {
        self.direct.reset()?;
        self.guarded.reset()?;
        let mut run = Run {
            direct: self.direct.look_alone(),
            guarded: self.guarded.look_alone(),
            duel: self,
            program,
            course: Course::Same,
            open: [Open::default(); SESSIONS],
            lock_is_held: false,
            transcript: String::new(),
        };
        let outcome = program.0.iter().try_for_each(|step| run.step(step));
        let outcome = outcome.and_then(|()| run.finish());
        let (course, transcript) = (run.course, run.transcript);
        outcome.map_err(|why| format!("{why}\n{transcript}"))?;
        self.tally.count(course);
        self.direct.keep(program);
        if course != Course::Undone {
            self.guarded.keep(program);
        }
        Ok(())
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut ends = self.0.iter();
        ends.try_for_each(|(end, count)| write!(f, "\n{count:>7} {end}"))
    }
}

impl Run<'_> {
    fn step(&mut self, step: &Step) -> Result<(), String> {
        if self.course == Course::Undone {
            return Ok(());
        }
        self.say(&step.to_string());
        let direct = if self.course == Course::Same {
            Some(self.direct_step(step)?)
        } else {
            None
        };
        let answer = self.duel.guarded.step(step);
        self.say(&format!("  through {}", answer.lines.join(", ")));
        if answer.is_undone() && self.was_refused() {
            self.course = Course::Undone;
            return Ok(());
        }
        let look = self.duel.guarded.look(step.session, answer.status)?;
        self.never_lower(&look)?;
        self.lock_is_held = look.is_partial();
        match direct {
            Some((direct, may_refuse)) => self.compare(step, &direct, &answer, may_refuse),
            None => Ok(()),
        }
    }

    /// The answer on the direct road, and whether pgpawl may refuse this step.
    fn direct_step(&mut self, step: &Step) -> Result<(Answer, bool), String> {
        let answer = self.duel.direct.step(step);
        self.say(&format!("  direct  {}", answer.lines.join(", ")));
        let look = self.duel.direct.look(step.session, answer.status)?;
        let may_refuse = self.may_refuse(step, &answer, &look);
        self.direct = self.direct.updated(&look);
        Ok((answer, may_refuse))
    }

    /// Whether this step lowers on the direct road: what is committed afterwards is lower, or was for
    /// a moment in the middle of the step, or the transaction is where an early judge refuses.
    fn may_refuse(&mut self, step: &Step, answer: &Answer, after: &Look) -> bool {
        let mut now = Open::default();
        let mut highest = self.direct.clone();
        for look in &answer.looks {
            let lower = look.lower_than(&highest);
            now.lower |= !lower.is_empty();
            now.lower_early |= lower.iter().any(|history| history.is_judged_early());
            highest = highest.joined(look);
        }
        let open = &mut self.open[step.session];
        open.lower |= now.lower;
        open.lower_early |= now.lower_early;
        let is = |control| step.statements.contains(&Statement::Control(control));
        let has_control = step
            .statements
            .iter()
            .any(|one| matches!(one, Statement::Control(_)));
        let prepares = is(Control::PrepareTransaction)
            && (open.lower || self.program.statements().any(Statement::is_late));
        let lower = !after.lower_than(&self.direct).is_empty();
        let may_refuse = lower || open.lower_early || now.lower && has_control || prepares;
        if answer.status == 'I' {
            *open = Open::default();
        }
        may_refuse
    }

    /// The first invariant.
    fn never_lower(&mut self, look: &Look) -> Result<(), String> {
        let lower = look.lower_than(&self.guarded);
        if !lower.is_empty() {
            return Err(format!(
                "LOWERED: {lower:?} from {:?} to {look:?}",
                self.guarded
            ));
        }
        self.guarded = self.guarded.updated(look);
        Ok(())
    }

    /// The second invariant: as long as nothing is lowered, what is answered is the same.
    fn compare(
        &mut self,
        step: &Step,
        direct: &Answer,
        through: &Answer,
        may_refuse: bool,
    ) -> Result<(), String> {
        let difference = Difference {
            program: self.program,
            step,
            direct,
            through,
            holds: self.duel.guarded.holds,
        };
        // A prepared transaction keeps the writers' locks.
        let prepared = self.program.statements().any(Statement::is_two_phase);
        let locked = through.is_unanswered() && (self.lock_is_held || prepared);
        if locked
            || direct.is_racy()
            || through.is_racy()
            || direct.looks.iter().any(Look::is_partial)
        {
            self.course = Course::Racy;
        } else if direct.lines == through.lines && direct.settings != through.settings {
            return Err(format!(
                "OTHER SETTINGS\n  direct  {:?}\n  through {:?}",
                direct.settings, through.settings
            ));
        } else if direct.lines == through.lines {
            return self.same_versions();
        } else if through.refusal.is_some() && may_refuse {
            self.course = Course::Refused;
        } else if let Some(name) = difference.exception() {
            self.course = Course::Excepted(name);
        } else if let Some(refusal) = &through.refusal {
            return Err(format!("FALSE REFUSAL: {refusal}"));
        } else {
            return Err("ANOTHER ANSWER through pgpawl".into());
        }
        Ok(())
    }

    fn same_versions(&self) -> Result<(), String> {
        if self.direct == self.guarded {
            return Ok(());
        }
        Err(format!(
            "OTHER VERSIONS\n  direct  {:?}\n  through {:?}",
            self.direct, self.guarded
        ))
    }

    fn finish(&mut self) -> Result<(), String> {
        if self.course != Course::Undone && self.duel.guarded.roll_back() {
            if !self.was_refused() {
                return Err("what was held is undone".into());
            }
            self.course = Course::Undone;
        }
        if self.course == Course::Undone {
            self.duel.guarded.end_sessions();
        } else {
            self.duel.guarded.settle();
        }
        let look = self.duel.guarded.look_alone();
        self.never_lower(&look)?;
        if self.course != Course::Same {
            return Ok(());
        }
        self.duel.direct.roll_back();
        let contents = [self.duel.direct.contents(), self.duel.guarded.contents()];
        if contents[0] == contents[1] {
            return Ok(());
        }
        Err(format!(
            "OTHER CONTENTS\ndirect\n{}through\n{}",
            contents[0], contents[1]
        ))
    }

    /// Whether something may have been refused: a session can end because what it held went with it.
    fn was_refused(&self) -> bool {
        self.course != Course::Same
    }

    fn say(&mut self, line: &str) {
        self.transcript.push_str(line);
        self.transcript.push('\n');
    }
}
