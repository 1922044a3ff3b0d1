//! Random programs: what a client sends.

use super::{Step, bind, execute, message, oracle::Act, parse, query, sync};
use proptest::prelude::*;

/// Statements that have nothing to do with versions.
pub fn other() -> BoxedStrategy<String> {
    let texts = [
        "SELECT 1",
        "BEGIN",
        "COMMIT",
        "ROLLBACK",
        "SAVEPOINT a",
        "ROLLBACK TO a",
        "FAIL",
        "FORGET",
        "FORGE",
    ];
    prop::sample::select(texts.to_vec())
        .prop_map(str::to_owned)
        .boxed()
}

/// Statements that raise, or read.
pub fn upward() -> BoxedStrategy<String> {
    prop_oneof![
        2 => other(),
        2 => (1..6u8).prop_map(|v| format!("INSERT INTO schema_migrations VALUES ('{v}')")),
        1 => Just("SELECT version FROM schema_migrations".to_owned()),
    ]
    .boxed()
}

/// Any statement.
pub fn statement() -> BoxedStrategy<String> {
    prop_oneof![
        3 => upward(),
        1 => (1..6u8).prop_map(|v| format!("DELETE FROM schema_migrations WHERE version = '{v}'")),
    ]
    .boxed()
}

/// Statements whose text shows nothing of what they do.
pub fn hidden() -> BoxedStrategy<String> {
    prop_oneof![
        3 => statement(),
        1 => (1..6u8).prop_map(|v| format!("HIDE '{v}'")),
        1 => (1..6u8).prop_map(|v| format!("HIDE '+{v}'")),
    ]
    .boxed()
}

/// The same, but nothing is ever taken away.
pub fn hidden_upward() -> BoxedStrategy<String> {
    prop_oneof![3 => upward(), 1 => (1..6u8).prop_map(|v| format!("HIDE '+{v}'"))].boxed()
}

/// What our BEGIN makes possible in a pipeline, where it is an error directly: where answers are compared,
/// it is sent by Query.
fn needs_a_block(text: &str) -> bool {
    ["SAVEPOINT", "ROLLBACK TO", "AND CHAIN"]
        .iter()
        .any(|control| text.contains(control))
}

pub fn piece(one: BoxedStrategy<String>, savepoints: bool) -> impl Strategy<Value = Vec<u8>> {
    let name = prop_oneof![Just(""), Just("s"), Just("t")];
    prop_oneof![
        4 => prop::collection::vec(one.clone(), 1..4).prop_map(|list| query(&list.join("; "))),
        3 => (name.clone(), one.clone()).prop_map(move |(n, text)| {
            if !savepoints && needs_a_block(&text) || text == "LISTEN c" { query(&text) } else {
                [parse(n, &text), bind("", n), execute("")].concat()
            }
        }),
        1 => (name.clone(), one).prop_map(move |(n, text)| {
            if !savepoints && needs_a_block(&text) || text == "LISTEN c" { query(&text) } else { parse(n, &text) }
        }),
        1 => Just(message(b'C', b"Ss\0")),
        1 => name.prop_map(|n| [bind("p", n), execute("p")].concat()),
        3 => Just(sync()),
    ]
}

pub fn program(one: BoxedStrategy<String>, savepoints: bool) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(piece(one, savepoints), 1..12)
        .prop_map(|pieces| [pieces.concat(), sync()].concat())
}

pub fn cuts() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(1..40usize, 1..20)
}

/// Statements of a migration run: some change the schema, and nothing is ever taken from the versions.
pub fn migrating() -> BoxedStrategy<String> {
    let number = || 1..4u8;
    prop_oneof![
        4 => upward(),
        2 => number().prop_map(|n| format!("CREATE TABLE t{n}")),
        2 => number().prop_map(|n| format!("ALTER TABLE users ADD c{n}")),
        1 => number().prop_map(|n| format!("DROP TABLE t{n}")),
        1 => number().prop_map(|n| format!("INSERT INTO users VALUES ('{n}')")),
        1 => prop::sample::select(vec!["LISTEN c", "DEFER", "COMMIT AND CHAIN", "ROLLBACK AND CHAIN"])
            .prop_map(str::to_owned),
    ]
    .boxed()
}

/// The same, but versions are taken away, too.
pub fn migrating_both_ways() -> BoxedStrategy<String> {
    prop_oneof![3 => migrating(), 1 => statement()].boxed()
}

/// What most runs begin with.
fn first_change() -> impl Strategy<Value = Vec<Act>> {
    let create = one(Just("CREATE TABLE t9".to_owned()).boxed());
    prop_oneof![1 => Just(Vec::new()), 2 => create.prop_map(|act| vec![act])]
}

/// A migration run: it looks at the versions first, and leaves at the end. Between its messages time
/// passes, and others wait for it.
pub fn migration(one: BoxedStrategy<String>, savepoints: bool) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        16 => piece(one, savepoints).prop_map(Step::Send),
        2 => (1..4u32).prop_map(Step::Ticks),
        1 => Just(Step::Ticks(60)),
        1 => Just(Step::Wait),
    ];
    let steps = prop::collection::vec(step, 1..16);
    (first_change(), steps, any::<bool>()).prop_map(|(first, steps, terminates)| {
        let steps = first.iter().map(Act::step).chain(steps);
        let look = Step::Send(query("SELECT version FROM schema_migrations"));
        let last = if terminates {
            message(b'X', b"")
        } else {
            Vec::new()
        };
        let end = [Step::Send(sync()), Step::Send(last), Step::Leave];
        [look].into_iter().chain(steps).chain(end).collect()
    })
}

/// Statements of which none names the version table.
fn plain_statement() -> BoxedStrategy<String> {
    let number = || 1..4u8;
    prop_oneof![
        3 => number().prop_map(|n| format!("CREATE TABLE t{n}")),
        3 => number().prop_map(|n| format!("ALTER TABLE users ADD c{n}")),
        1 => number().prop_map(|n| format!("DROP TABLE t{n}")),
        2 => number().prop_map(|n| format!("INSERT INTO users VALUES ('{n}')")),
        1 => Just("SELECT 1".to_owned()),
        1 => Just("FAIL".to_owned()),
    ]
    .boxed()
}

/// A statement that changes the versions: up, or down.
fn record() -> BoxedStrategy<String> {
    prop_oneof![
        3 => (1..6u8).prop_map(|v| format!("INSERT INTO schema_migrations VALUES ('{v}')")),
        2 => (1..4u8).prop_map(|v| format!("DELETE FROM schema_migrations WHERE version = '{v}'")),
    ]
    .boxed()
}

/// One message of these statements.
fn say(texts: BoxedStrategy<Vec<String>>) -> BoxedStrategy<Act> {
    prop_oneof![
        texts.clone().prop_map(|texts| Act::Query(texts.join("; "))),
        texts.prop_map(Act::Batch),
    ]
    .boxed()
}

fn one(text: BoxedStrategy<String>) -> BoxedStrategy<Act> {
    say(text.prop_map(|text| vec![text]).boxed())
}

fn some(text: BoxedStrategy<String>) -> BoxedStrategy<Act> {
    say(prop::collection::vec(text, 1..4).boxed())
}

/// Statements, and a record behind them.
fn recorded() -> BoxedStrategy<Act> {
    let texts = (prop::collection::vec(plain_statement(), 0..2), record());
    say(texts
        .prop_map(|(texts, record)| [texts, vec![record]].concat())
        .boxed())
}

fn control(texts: &'static [&'static str]) -> BoxedStrategy<Act> {
    one(prop::sample::select(texts).prop_map(str::to_owned).boxed())
}

/// Most rows that are copied have nothing to do with versions.
fn copy() -> BoxedStrategy<Act> {
    prop_oneof![3 => Just("users"), 1 => Just("schema_migrations")]
        .prop_map(Act::Copy)
        .boxed()
}

/// One transaction of the client's.
fn transaction() -> BoxedStrategy<Vec<Act>> {
    let within = prop_oneof![
        4 => some(plain_statement()),
        3 => recorded(),
        3 => control(&["SAVEPOINT a", "ROLLBACK TO a", "RELEASE a", "DEFER"]),
        2 => control(&["SET LOCAL lock_timeout TO '7'", "SET LOCAL work_mem TO '8'", "SHOW lock_timeout"]),
        1 => copy(),
        1 => prop_oneof![Just(Act::Wait), Just(Act::Ticks(3))],
        1 => Just(Act::Query("LISTEN c".into())),
    ];
    let ends = control(&["COMMIT", "COMMIT", "COMMIT", "ROLLBACK", "COMMIT AND CHAIN"]);
    let block = (
        control(&["BEGIN"]),
        prop::collection::vec(within, 0..5),
        ends,
    );
    let setting = prop_oneof![Just(""), Just("SET LOCAL lock_timeout TO '7'; ")];
    let whole =
        (setting, prop::collection::vec(plain_statement(), 1..3)).prop_map(|(setting, texts)| {
            Act::Query(format!("BEGIN; {setting}{}; COMMIT", texts.join("; ")))
        });
    prop_oneof![
        4 => block.prop_map(|(begin, within, end)| {
            // What AND CHAIN begins is ended, too.
            let last = Act::Query("ROLLBACK".into());
            [vec![begin], within, vec![end, last]].concat()
        }),
        2 => some(plain_statement()).prop_map(|act| vec![act]),
        1 => whole.prop_map(|act| vec![act]),
        3 => recorded().prop_map(|act| vec![act]),
        1 => control(&["DEFER", "LISTEN c", "COMMIT", "ROLLBACK", "SAVEPOINT a"]).prop_map(|act| vec![act]),
        1 => control(&["SHOW lock_timeout", "SHOW work_mem"]).prop_map(|act| vec![act]),
        1 => copy().prop_map(|act| vec![act]),
    ]
    .boxed()
}

/// Whole transactions, and what happens between them.
pub fn transactions() -> impl Strategy<Value = Vec<Act>> {
    let hidden = prop_oneof![Just("HIDE '2'"), Just("HIDE '+4'")].prop_map(str::to_owned);
    let between = prop_oneof![
        3 => Just(vec![Act::Ticks(1)]),
        1 => Just(vec![Act::Ticks(60)]),
        2 => Just(vec![Act::Wait]),
        2 => Just(vec![Act::Wait, Act::Ticks(3)]),
    ];
    let step = prop_oneof![
        8 => transaction(),
        2 => between,
        1 => one(hidden.boxed()).prop_map(|act| vec![act]),
    ];
    (first_change(), prop::collection::vec(step, 1..8)).prop_map(|(first, steps)| {
        let look = Act::Query("SELECT version FROM schema_migrations".into());
        [vec![look], first, steps.concat()].concat()
    })
}
