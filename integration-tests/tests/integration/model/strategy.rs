//! Random programs: single steps of any session, and blocks from BEGIN to their end.

use proptest::prelude::*;
use proptest::sample::select;

use super::alphabet::{
    By, Change, Control, History, Other, Point, Program, Protocol, Statement, Step,
};

/// How many sessions a program has.
pub const SESSIONS: usize = 3;

/// A version above all that a program can reach by single steps.
const HIGH: u8 = 40;

/// What a program is allowed to do.
#[derive(Clone, Copy, Debug)]
struct Scope {
    /// The first so many sessions change guarded tables.
    writers: usize,
    /// Whether versions are lowered, too.
    lowers: bool,
}

impl Scope {
    /// How often writers meet on purpose.
    fn races(self) -> u32 {
        u32::from(self.writers > 1) * 2
    }

    /// How often a step in the middle of a block is another session's: writers must meet.
    fn strange(self) -> f64 {
        if self.writers > 1 { 0.4 } else { 0.15 }
    }
}

/// A program of about eight steps.
pub fn program(writers: usize) -> impl Strategy<Value = Program> {
    // Half of the programs only go up: what they are answered must be the same on both roads.
    prop_oneof![
        pieces(Scope {
            writers,
            lowers: false
        }),
        pieces(Scope {
            writers,
            lowers: true
        }),
    ]
}

fn pieces(scope: Scope) -> impl Strategy<Value = Program> {
    let piece = prop_oneof![
        3 => step(scope).prop_map(|one| vec![one]),
        1 => light(scope).prop_map(|one| vec![one]),
        2 => block(scope),
        scope.races() => race(scope),
    ];
    prop::collection::vec(piece, 1..6).prop_map(|pieces| Program(pieces.concat()))
}

/// BEGIN, some steps of this session (now and then of another one), and an end.
fn block(scope: Scope) -> impl Strategy<Value = Vec<Step>> {
    let begin = (protocol(), begin());
    let inner = prop::collection::vec((step(scope), prop::bool::weighted(scope.strange())), 0..4);
    let end = (protocol(), end());
    (0..SESSIONS, begin, inner, end).prop_map(move |(session, begin, inner, end)| {
        let mut steps = vec![alone(session, begin)];
        steps.extend(inner.into_iter().map(|(step, strange)| {
            let own = step.session_for(session, scope);
            if strange {
                step
            } else {
                Step {
                    session: own,
                    ..step
                }
            }
        }));
        steps.push(alone(session, end));
        steps
    })
}

/// A transaction in the middle of which another session changes the same history, and commits.
fn race(scope: Scope) -> impl Strategy<Value = Vec<Step>> {
    let change = |lowers| (protocol(), change(lowers), by());
    (
        select(History::ALL.to_vec()),
        (protocol(), begin()),
        step(scope),
        change(false),
        change(scope.lowers),
        (protocol(), end()),
    )
        .prop_map(move |(history, begin, first, theirs, ours, end)| {
            let change = |session, (protocol, change, by)| Step {
                session,
                protocol,
                statements: vec![Statement::Change(history, change, by)],
            };
            vec![
                alone(0, begin),
                Step {
                    session: 0,
                    ..first
                },
                change(1 % scope.writers, theirs),
                change(0, ours),
                alone(0, end),
            ]
        })
}

fn alone(session: usize, (protocol, control): (Protocol, Control)) -> Step {
    Step {
        session,
        protocol,
        statements: vec![Statement::Control(control)],
    }
}

fn step(scope: Scope) -> impl Strategy<Value = Step> {
    let statements = prop_oneof![
        3 => prop::collection::vec(statement(scope), 1..2),
        2 => prop::collection::vec(statement(scope), 2..5),
    ];
    (0..SESSIONS, protocol(), statements).prop_map(move |(session, protocol, statements)| {
        let step = Step {
            session,
            protocol,
            statements,
        };
        Step {
            session: step.session_for(session, scope),
            ..step
        }
    })
}

/// One SELECT that seems to write nothing, by a statement that is kept.
fn light(scope: Scope) -> impl Strategy<Value = Step> {
    let history = select(History::ALL.to_vec());
    let verbs = if scope.lowers {
        vec![Change::Raise, Change::Lower]
    } else {
        vec![Change::Raise]
    };
    let change = (history, select(verbs))
        .prop_map(|(history, change)| Statement::Change(history, change, By::Selected));
    let reads = select(vec![Other::SelectNotes, Other::Series]).prop_map(Statement::Other);
    (0..SESSIONS, prop_oneof![1 => change, 1 => reads]).prop_map(move |(session, statement)| {
        let step = Step {
            session,
            protocol: Protocol::Kept,
            statements: vec![statement],
        };
        Step {
            session: step.session_for(session, scope),
            ..step
        }
    })
}

impl Step {
    /// The session that may make this step: `wanted`, or a writer in its place.
    fn session_for(&self, wanted: usize, scope: Scope) -> usize {
        let writes = self
            .statements
            .iter()
            .any(|one| matches!(one, Statement::Change(..)));
        if writes {
            wanted % scope.writers
        } else {
            wanted
        }
    }
}

fn protocol() -> impl Strategy<Value = Protocol> {
    prop_oneof![
        2 => Just(Protocol::Simple),
        1 => Just(Protocol::Unnamed),
        1 => Just(Protocol::Named),
        1 => Just(Protocol::Kept),
    ]
}

fn statement(scope: Scope) -> impl Strategy<Value = Statement> {
    let history = select(History::ALL.to_vec());
    let change = (history, change(scope.lowers), by())
        .prop_map(|(history, change, by)| Statement::Change(history, change, by));
    prop_oneof![
        4 => change,
        3 => other().prop_map(Statement::Other),
        2 => control().prop_map(Statement::Control),
    ]
}

fn change(lowers: bool) -> BoxedStrategy<Change> {
    use Change::{
        AddColumn, Alter, Clean, Drop, Empty, Flip, Lower, Move, Raise, RaiseDirty, Refill, Remake,
        RenameAway, RenameBack, Touch, Truncate,
    };
    let upward = prop_oneof![
        12 => Just(Raise),
        8 => select(vec![RaiseDirty, Clean, Touch, Refill(HIGH)]),
        1 => select(vec![Flip, Remake, AddColumn]),
    ];
    let downward = prop_oneof![
        12 => Just(Lower),
        12 => select(vec![Alter, Empty, Truncate]),
        4 => (1..6_u8).prop_map(Refill),
        1 => select(vec![RenameAway, RenameBack, Move, Drop]),
    ];
    if lowers {
        prop_oneof![1 => upward, 1 => downward].boxed()
    } else {
        upward.boxed()
    }
}

fn by() -> impl Strategy<Value = By> {
    use By::{
        Do, Explain, Function, Hold, LateTrigger, Plain, Prepare, Quoted, Rule, Selected, Trigger,
        View, With,
    };
    prop_oneof![
        8 => Just(Plain),
        16 => select(vec![Quoted, View, Function, Trigger, LateTrigger, Rule, Do, Selected, With, Prepare, Explain]),
        1 => Just(Hold),
    ]
}

fn other() -> impl Strategy<Value = Other> {
    use Other::{
        Child, ConstraintsDeferred, ConstraintsImmediate, CopyIn, CopyOut, CreateTable,
        DeclareCursor, DivideByZero, DropTable, DuplicateNote, EmptyText, FetchCursor, InsertNote,
        InsertTemporary, Nextval, OrphanChild, ResetName, ResetPath, SelectNotes, SelectVersions,
        Series, SetLocal, SetName, SetPath, Show, TemporaryTable, Unknown, UpdateNotes,
    };
    let versions = select(History::ALL.to_vec()).prop_map(SelectVersions);
    prop_oneof![
        6 => select(vec![InsertNote, UpdateNotes, SelectNotes, Series, Nextval, Child]),
        3 => versions,
        2 => select(vec![DuplicateNote, OrphanChild, DivideByZero, Unknown, EmptyText]),
        3 => select(vec![TemporaryTable, InsertTemporary, SetName, ResetName, SetLocal, Show]),
        2 => select(vec![SetPath, ResetPath, ConstraintsImmediate, ConstraintsDeferred]),
        1 => select(vec![DeclareCursor, FetchCursor]),
        1 => select(vec![CopyIn, CopyOut]),
        1 => select(vec![CreateTable, DropTable]),
    ]
}

fn begin() -> impl Strategy<Value = Control> {
    use Control::{Begin, BeginReadOnly, BeginRepeatableRead, BeginSerializable};
    prop_oneof![
        6 => Just(Begin),
        2 => Just(BeginRepeatableRead),
        1 => select(vec![BeginSerializable, BeginReadOnly]),
    ]
}

fn end() -> impl Strategy<Value = Control> {
    use Control::{Commit, CommitAndChain, PrepareTransaction, Rollback, RollbackAndChain};
    prop_oneof![
        8 => Just(Commit),
        2 => Just(Rollback),
        1 => select(vec![CommitAndChain, RollbackAndChain, PrepareTransaction]),
    ]
}

fn control() -> impl Strategy<Value = Control> {
    use Control::{CommitPrepared, Release, RollbackPrepared, RollbackTo, Savepoint};
    let point = select(vec![Point::A, Point::B]);
    prop_oneof![
        3 => begin(),
        3 => end(),
        3 => point.clone().prop_map(Savepoint),
        3 => point.clone().prop_map(RollbackTo),
        1 => point.prop_map(Release),
        1 => select(vec![CommitPrepared, RollbackPrepared]),
    ]
}
