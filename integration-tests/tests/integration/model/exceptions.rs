//! Where the answer through pgpawl may differ although nothing is lowered.

use super::alphabet::{By, Control, History, Other, Program, Protocol, Statement, Step};
use super::answer::{ACTIVE_TRANSACTION, Answer};

/// A step whose answers differ.
#[derive(Clone, Copy, Debug)]
pub struct Difference<'a> {
    pub program: &'a Program,
    pub step: &'a Step,
    pub direct: &'a Answer,
    pub through: &'a Answer,
    /// Whether commits may be held through pgpawl.
    pub holds: bool,
}

/// What cannot be prepared was: a transaction with temporary objects.
const NOT_PREPARED: &str = "0A000";

/// A kind of difference, by name.
pub type Exception = (&'static str, fn(Difference<'_>) -> bool);

/// What ARCHITECTURE.md says under "What a client can see", and one of this test's own.
const EXCEPTIONS: [Exception; 9] = [
    ("our BEGIN is a real block", real_block),
    ("what writes at COMMIT fails with 25006", writes_at_commit),
    (
        "a cursor WITH HOLD that may write cannot be verified",
        holdable,
    ),
    (
        "what is replaced out of sight cannot be compared, nor other hidden changes where pgpawl cannot look",
        replaced_unseen,
    ),
    (
        "a look of the test's own takes the snapshot, behind SET CONSTRAINTS on the direct road",
        early_look,
    ),
    (
        "what an older snapshot does not see of a history counts as gone where no statement names it",
        older_snapshot,
    ),
    ("a question takes the snapshot", early_question),
    (
        "a text that changes a history does not wait for what another session of the run holds",
        unseen_held,
    ),
    (
        "PREPARE TRANSACTION outside a block finds ours, or none",
        prepares_another,
    ),
];

impl Difference<'_> {
    /// The exception that it is.
    pub fn exception(self) -> Option<&'static str> {
        EXCEPTIONS
            .into_iter()
            .find(|(_, is)| is(self))
            .map(|(name, _)| name)
    }

    fn only_direct(self, sqlstate: &str) -> bool {
        self.direct.has_error(sqlstate) && !self.through.has_error(sqlstate)
    }

    fn only_through(self, sqlstate: &str) -> bool {
        self.through.has_error(sqlstate) && !self.direct.has_error(sqlstate)
    }

    fn has(self, wanted: fn(&Statement) -> bool) -> bool {
        self.step.statements.iter().any(wanted)
    }
}

/// In a wrapped transaction DECLARE CURSOR and, in a pipeline, SAVEPOINT and COMMIT AND CHAIN succeed where
/// the server alone refuses them.
fn real_block(difference: Difference<'_>) -> bool {
    let declares = |one: &Statement| {
        matches!(
            one,
            Statement::Other(Other::DeclareCursor) | Statement::Change(_, _, By::Hold)
        )
    };
    let pipeline = difference.step.protocol != Protocol::Simple;
    difference.only_direct("25P01") && (pipeline || difference.has(declares))
}

/// Whoever changes a table so that nobody else can read it, or pgpawl cannot look, and does not name it plainly or
/// has an older snapshot, is refused. So is who finds a table that another session has made anew since: by the ids
/// of its rows in the catalogs that could be this transaction's own doing.
fn replaced_unseen(difference: Difference<'_>) -> bool {
    let refusal = difference.through.refusal.as_deref();
    let hides = |one: &Statement| match one {
        // Only this one has an escape in its name.
        Statement::Change(history, _, By::Quoted) => *history == History::Diesel,
        one => one.is_hidden() || keeps_snapshot(*one),
    };
    let mut mine = (difference.program.0.iter())
        .filter(|step| step.session == difference.step.session)
        .flat_map(|step| &step.statements);
    let made_anew = (difference.program.0.iter())
        .filter(|step| step.session != difference.step.session)
        .any(alters);
    let unseen = refusal.is_some_and(|refusal| refusal.ends_with("): unseen"));
    unseen && (made_anew || mine.any(hides))
}

/// Nothing may write after the last look.
fn writes_at_commit(difference: Difference<'_>) -> bool {
    difference.only_through("25006") && difference.program.statements().any(Statement::is_late)
}

/// It is run at COMMIT, after the last look.
fn holdable(difference: Difference<'_>) -> bool {
    let refusal = difference.through.refusal.as_deref();
    refusal.is_some_and(|refusal| refusal.ends_with("holdable_cursor"))
}

/// Directly a look follows whatever may change a history; the snapshot of its transaction is older then.
fn early_look(difference: Difference<'_>) -> bool {
    let steps = &difference.program.0;
    let mine = |step: &&Step| step.session == difference.step.session;
    let looks = |one: &Statement| *one == Statement::Other(Other::ConstraintsImmediate);
    difference.through.refusal.is_none()
        && difference.program.statements().any(keeps_snapshot)
        && (steps.iter().filter(mine)).any(|step| step.statements.iter().any(looks))
        && !steps.iter().all(|step| mine(&step))
}

/// The isolation level can be set up to the first query: a question, before a statement is parsed that names a
/// guard, is one.
fn early_question(difference: Difference<'_>) -> bool {
    difference.only_through(ACTIVE_TRANSACTION) && difference.has(|one| keeps_snapshot(*one))
}

/// In a transaction with an older snapshot, hidden code changes a number that others have raised since; or a table is
/// replaced, by this session or by another: TRUNCATE is not MVCC-safe. Or both have renamed one: it cannot be
/// read by the name that the snapshot has.
fn older_snapshot(difference: Difference<'_>) -> bool {
    let steps = &difference.program.0;
    let mine = |step: &&Step| step.session == difference.step.session;
    let refusal = difference.through.refusal.as_deref();
    let kept = |step: &Step| step.statements.iter().copied().any(keeps_snapshot);
    let unread = |refusal: &str| {
        refusal.ends_with("question_failed") && steps.iter().filter(mine).any(alters)
    };
    let replaced = difference.program.statements().any(Statement::replaces);
    let lowers = |refusal: &str| {
        refusal.contains("refused to lower") && (replaced || refusal.contains("golang"))
    };
    refusal.is_some_and(|refusal| lowers(refusal) || unread(refusal))
        && steps.iter().filter(mine).any(kept)
        && !steps.iter().all(|step| mine(&step))
}

/// One that changes a history and does something else behind it sees that the other's is not committed.
fn unseen_held(difference: Difference<'_>) -> bool {
    let mine = difference.step.session;
    let others =
        |step: &Step| step.session != mine && step.statements.iter().copied().any(is_other);
    let names = |one: &Statement| matches!(one, Statement::Change(..));
    difference.holds
        && difference.step.protocol == Protocol::Simple
        && difference.has(names)
        && difference.has(|one| is_other(*one))
        && difference.program.0.iter().any(others)
}

fn is_other(one: Statement) -> bool {
    matches!(one, Statement::Other(_))
}

fn alters(step: &Step) -> bool {
    step.statements.iter().copied().any(Statement::is_ddl)
}

/// At the head of a Query the implicit transaction is prepared, empty as it is; behind others in a
/// pipeline it is rolled back. Through pgpawl the first finds nothing, the second our block.
fn prepares_another(difference: Difference<'_>) -> bool {
    let done = |answer: &Answer, tag: &str| answer.lines.iter().any(|line| line == tag);
    let prepared = |answer| done(answer, "done PREPARE TRANSACTION");
    let rolled_back = |answer| done(answer, "done ROLLBACK");
    let Difference {
        direct, through, ..
    } = difference;
    let tries = prepared(through) || through.has_error(NOT_PREPARED);
    prepared(direct) && rolled_back(through) || rolled_back(direct) && tries
}

fn keeps_snapshot(one: Statement) -> bool {
    matches!(
        one,
        Statement::Control(Control::BeginRepeatableRead | Control::BeginSerializable)
    )
}
