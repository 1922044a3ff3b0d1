//! Where the answer through pgpawl may differ although nothing is lowered.

use super::alphabet::{By, Change, Control, Other, Program, Protocol, Statement, Step};
use super::answer::Answer;

/// A step whose answers differ.
#[derive(Clone, Copy, Debug)]
pub struct Difference<'a> {
    pub program: &'a Program,
    pub step: &'a Step,
    pub direct: &'a Answer,
    pub through: &'a Answer,
}

/// A kind of difference, by name.
pub type Exception = (&'static str, fn(Difference<'_>) -> bool);

/// What ARCHITECTURE.md says under "What a client can see".
const DOCUMENTED: [Exception; 4] = [
    ("our BEGIN is a real block", real_block),
    ("what writes at COMMIT fails with 25006", writes_at_commit),
    (
        "a cursor WITH HOLD that may write cannot be verified",
        holdable,
    ),
    (
        "a table that is emptied, replaced or taken away out of sight cannot be compared",
        replaced_unseen,
    ),
];

/// What is wrong today. A line is taken off when it no longer is.
const KNOWN: [Exception; 5] = [
    (
        "known: a question comes before what must be the first or the only statement of its transaction",
        question_too_early,
    ),
    (
        "known: COMMIT AND CHAIN behind others in a Query finds our block",
        chains_our_block,
    ),
    (
        "known: PREPARE TRANSACTION outside a block finds ours, or none",
        prepares_another,
    ),
    (
        "known: an older snapshot sees a table as empty that others truncated or made anew",
        old_snapshot,
    ),
    (
        "known: a question at Parse takes the snapshot before the client's first statement does",
        early_snapshot,
    ),
];

impl Difference<'_> {
    /// The exception that it is.
    pub fn exception(self) -> Option<&'static str> {
        let mut all = DOCUMENTED.into_iter().chain(KNOWN);
        all.find(|(_, is)| is(self)).map(|(name, _)| name)
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

/// Whoever changes a table so that nobody else can read it, and names it nowhere, is refused.
fn replaced_unseen(difference: Difference<'_>) -> bool {
    let refusal = difference.through.refusal.as_deref();
    refusal.is_some_and(|refusal| refusal.ends_with("): unseen"))
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

/// `BEGIN ISOLATION LEVEL ...` and `COMMIT PREPARED` by Close, Parse, Bind, Describe, Execute: 25001.
fn question_too_early(difference: Difference<'_>) -> bool {
    let first_or_alone = |one: &Statement| {
        matches!(
            one,
            Statement::Control(
                Control::BeginRepeatableRead
                    | Control::BeginSerializable
                    | Control::CommitPrepared
                    | Control::RollbackPrepared
            )
        )
    };
    difference.through.has_error("25001") && difference.has(first_or_alone)
}

/// ARCHITECTURE.md says that it fails as directly.
fn chains_our_block(difference: Difference<'_>) -> bool {
    let chains = |one: &Statement| *one == Statement::Control(Control::CommitAndChain);
    difference.only_direct("25P01") && difference.has(chains)
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
    prepared(direct) && rolled_back(through) || rolled_back(direct) && prepared(through)
}

/// TRUNCATE and DROP are not MVCC-safe: a transaction that has a snapshot and wrote nothing is refused.
fn old_snapshot(difference: Difference<'_>) -> bool {
    let empties = |one: Statement| {
        matches!(
            one,
            Statement::Change(_, Change::Refill(_) | Change::Remake, _)
        )
    };
    let refusal = difference.through.refusal.as_deref();
    refusal.is_some_and(|refusal| refusal.ends_with("to none"))
        && difference.program.statements().any(keeps_snapshot)
        && difference.program.statements().any(empties)
}

/// SET, or nothing at all, by the extended protocol in a block whose isolation keeps one snapshot; then
/// another session writes: what was written should be seen, and is not.
fn early_snapshot(difference: Difference<'_>) -> bool {
    let steps = &difference.program.0;
    let mine = |step: &&Step| step.session == difference.step.session;
    difference.through.refusal.is_none()
        && difference.program.statements().any(keeps_snapshot)
        && steps
            .iter()
            .filter(mine)
            .any(|step| step.protocol != Protocol::Simple)
        && !steps.iter().all(|step| mine(&step))
}

fn keeps_snapshot(one: Statement) -> bool {
    matches!(
        one,
        Statement::Control(Control::BeginRepeatableRead | Control::BeginSerializable)
    )
}
