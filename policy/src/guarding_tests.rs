//! Two sets and what follows, as tables.
use std::collections::BTreeMap;
use std::sync::Arc;

use super::*;
use crate::{
    alembic,
    guard::GuardId,
    question::{Touch, Trace},
    rule::{OneOrMany, RawRule},
    statement::Odd,
    verdict::Verdict,
    version::Number,
};

#[path = "guarding_doubt_tests.rs"]
mod doubt;

fn guarding(rules: Vec<RawRule>) -> Guarding {
    let guards = Guards::builtin();
    let screen = Screen::new(guards.tables());
    Guarding {
        beside: guards.beside(),
        guards,
        rules: Rules::try_from(rules).unwrap(),
        observed: Observed::default().into(),
        screen,
        origin: "db:5432".into(),
    }
}

fn who() -> Who {
    Who {
        database: "orders".into(),
        user: "app".into(),
        application_name: String::new(),
        client: None,
    }
}

fn guard_of(guarding: &Guarding, tool: &str) -> GuardId {
    guarding
        .guards
        .iter()
        .find(|(_, g)| g.tool() == tool)
        .unwrap()
        .0
}

/// `-` no table, `{}` an empty one, `!word` unreadable, `!word+` unreadable and touched,
/// else versions: `v`, `scope/v`, or of numbers `4`, `4!` (dirty), `scope/4`.
fn snapshot(guarding: &Guarding, tool: &str, text: &str) -> Snapshot {
    let guard = guard_of(guarding, tool);
    let mut snapshot = Snapshot {
        asked: [guard].into_iter().collect(),
        histories: BTreeMap::new(),
    };
    let text = text.trim();
    if text == "-" {
        return snapshot;
    }
    let numbers = guarding.guards.guard(guard).unwrap().profile.kind == Kind::Number;
    let reading = match text.strip_prefix('!') {
        Some(word) => {
            let words = ["no_privilege", "row_security", "has_children"];
            Err(words
                .into_iter()
                .find(|w| *w == word.trim_end_matches('+'))
                .unwrap())
        }
        None => Ok(if numbers {
            number_set(text)
        } else {
            row_set(text)
        }),
    };
    let trace = Trace {
        oid: b"1".as_slice().into(),
        filenode: b"1".as_slice().into(),
        counters: if text.ends_with('+') { b"1" } else { b"0" }
            .as_slice()
            .into(),
        xmin: b"1".as_slice().into(),
    };
    let key = HistoryKey {
        guard,
        schema: b"public".as_slice().into(),
        table: guarding
            .guards
            .guard(guard)
            .unwrap()
            .table()
            .as_bytes()
            .into(),
    };
    let history = History {
        trace,
        touch: Touch::default(),
        reading,
    };
    snapshot.histories.insert(key, history);
    snapshot
}

fn parts(text: &str) -> impl Iterator<Item = (Scope, &str)> {
    text.split_whitespace().filter(|w| *w != "{}").map(|word| {
        let (scope, version) = word.split_once('/').unwrap_or(("", word));
        (scope.as_bytes().into(), version)
    })
}

fn row_set(text: &str) -> VersionSet {
    let mut rows: BTreeMap<Scope, BTreeSet<Version>> = BTreeMap::new();
    for (scope, version) in parts(text) {
        rows.entry(scope)
            .or_default()
            .insert(version.as_bytes().into());
    }
    VersionSet::Rows(rows)
}

fn number_set(text: &str) -> VersionSet {
    let number = |text: &str| Number {
        value: Decimal::parse(text.trim_end_matches('!').as_bytes()).unwrap(),
        dirty: text.ends_with('!'),
    };
    VersionSet::Numbers(
        parts(text)
            .map(|(scope, text)| (scope, number(text)))
            .collect(),
    )
}

/// `allow` or `refuse`, and the change of the finding.
fn told(judgement: &Judgement) -> String {
    let verdict = match &judgement.verdict {
        Verdict::Allow(_) => "allow",
        Verdict::Refuse(_) => "refuse",
    };
    let change = judgement.findings.first();
    let change = change.map_or("Same".to_owned(), |f| format!("{:?}", f.change));
    format!("{verdict} {change}")
}

/// Lines of `[tool] before -> after : verdict change`. All lines of a table share what is observed;
/// a step that was allowed has happened.
fn check(guarding: &Guarding, stage: Stage, table: &str) {
    for line in table.lines().map(str::trim).filter(|l| !l.is_empty()) {
        let (tool, rest) = line.split_once('|').unwrap();
        let (sets, expected) = rest.rsplit_once(" : ").unwrap();
        let (before, after) = sets.split_once("->").unwrap();
        let [before, after] = [before, after].map(|set| snapshot(guarding, tool.trim(), set));
        let judgement = guarding.judge(&who(), stage, &before, &after);
        assert_eq!(told(&judgement), expected.trim(), "{line}");
    }
}

#[test]
fn sets() {
    let table = "
        rails | 1 2     -> 1 2     : allow Same
        rails | 1 2     -> 1 2 3   : allow Raised
        rails | 1 3     -> 1 2 3   : allow Raised
        rails | 1 2 3   -> 1 3     : refuse Lowered
        rails | 1 2     -> 1 3     : refuse Lowered
        rails | 1 2     -> {}      : refuse Lowered
        rails | 1 2     -> -       : refuse Lowered
        rails | {}      -> -       : allow Same
        rails | -       -> 1       : allow Raised
        rails | -       -> {}      : allow Same
        rails | -       -> -       : allow Same
        django | a/1 b/1 -> a/1 a/2 b/1 : allow Raised
        django | a/1 b/1 -> a/1 a/2     : refuse Lowered
        django | a/1 a/2 b/1 -> a/1 b/1 b/2 : refuse Lowered
        flyway | 1 2 3 -> 1 2      : refuse Lowered
        flyway | 1 2   -> 1 2 2.1  : allow Raised
        liquibase | cl/3::me -> cl/3::me cl/4::me : allow Raised
        liquibase | cl/3::me -> dl/3::me : refuse Lowered";
    let guarding = guarding(vec![]);
    check(&guarding, Stage::Transaction, table);
    check(&guarding, Stage::Statement, table);
}

#[test]
fn what_cannot_be_read_may_not_change() {
    let table = "
        rails | !no_privilege  -> !no_privilege   : allow Same
        rails | !no_privilege  -> !no_privilege+  : refuse Unverifiable
        rails | 1              -> !no_privilege   : allow Same
        rails | 1              -> !row_security+  : refuse Unverifiable
        rails | !row_security+ -> 1               : refuse Unverifiable
        rails | !has_children  -> !has_children   : refuse Unverifiable
        rails | !no_privilege  -> -               : refuse Unverifiable
        rails | -              -> !no_privilege   : allow Raised";
    check(&guarding(vec![]), Stage::Transaction, table);
}

#[test]
fn golang_migrate() {
    // up, a failing up and its force, no-op: never lower. down: lower at its first write.
    let table = "
        golang-migrate | {}  -> 1!  : allow Raised
        golang-migrate | 1!  -> 1   : allow Raised
        golang-migrate | 3   -> 4!  : allow Same
        golang-migrate | 4!  -> 4   : allow Raised
        golang-migrate | 4!  -> 3   : allow Same
        golang-migrate | 4!  -> 2   : refuse Lowered
        golang-migrate | 3   -> 2!  : refuse Lowered
        golang-migrate | 3   -> 3!  : refuse Lowered
        golang-migrate | 3   -> 2   : refuse Lowered
        golang-migrate | 1   -> {}  : refuse Lowered
        golang-migrate | 9   -> 10  : allow Raised
        golang-migrate | 3   -> 3   : allow Same
        golang-migrate | 3   -> 5!  : allow Raised
        golang-migrate | 5!  -> 3   : allow Same
        golang-migrate | 3   -> 4   : allow Raised
        golang-migrate | 4   -> 5!  : allow Same
        golang-migrate | 5!  -> 3   : refuse Lowered";
    check(&guarding(vec![]), Stage::Transaction, table);
    check(
        &guarding(vec![]),
        Stage::Statement,
        "golang-migrate | 3 -> {} : allow Same",
    );
}

#[test]
fn a_failed_step_of_timestamps_goes_back_to_where_it_began() {
    let table = "
        golang-migrate | 20230101000003 -> 20230101000009! : allow Raised
        golang-migrate | 20230101000009! -> 20230101000002 : refuse Lowered
        golang-migrate | 20230101000009! -> 20230101000003 : allow Same
        golang-migrate | {} -> 20230101000001! : allow Raised
        golang-migrate | 20230101000001! -> {} : allow Same";
    check(&guarding(vec![]), Stage::Transaction, table);
    // Another pgpawl that did not see the step cannot know where it began.
    let unseen = "golang-migrate | 20230101000009! -> 20230101000003 : refuse Lowered";
    check(&guarding(vec![]), Stage::Transaction, unseen);
}

#[test]
fn heads_by_files() {
    let mut guarding = guarding(vec![]);
    let files = [
        ("r1.py", "revision='r1'\ndown_revision=None"),
        ("r2.py", "revision='r2'\ndown_revision='r1'"),
        ("a.py", "revision='r4a'\ndown_revision='r2'"),
        ("b.py", "revision='r4b'\ndown_revision='r2'"),
        ("m.py", "revision='r5m'\ndown_revision=('r4a','r4b')"),
        (
            "x1.py",
            "revision='x1'\ndown_revision=None\nbranch_labels='x'",
        ),
        (
            "x2.py",
            "revision='x2'\ndown_revision='x1'\ndepends_on='r5m'",
        ),
    ];
    let graph = Arc::new(alembic::graph(files).unwrap());
    let id = guard_of(&guarding, "alembic");
    let with = |(i, g): (GuardId, &Guard)| Guard {
        graph: (i == id).then(|| Arc::clone(&graph)),
        ..g.clone()
    };
    guarding.guards = Guards::new(guarding.guards.iter().map(with).collect()).unwrap();
    let table = "
        alembic | {}      -> r1      : allow Raised
        alembic | r1      -> r2      : allow Raised
        alembic | r2      -> r1      : refuse Lowered
        alembic | r4a r4b -> r5m     : allow Raised
        alembic | r5m     -> r4a r4b : refuse Lowered
        alembic | r5m x1  -> x2      : allow Raised
        alembic | x2      -> x1      : refuse Lowered
        alembic | r4a     -> r4b     : refuse Lowered
        alembic | r2      -> r5m     : allow Raised
        alembic | r5m     -> r6new   : allow Unknown
        alembic | r6new   -> r5m     : refuse Lowered
        alembic | r1      -> {}      : refuse Lowered
        alembic | r1      -> -       : refuse Lowered";
    check(&guarding, Stage::Transaction, table);
    check(
        &guarding,
        Stage::Statement,
        "alembic | r2 -> {} : allow Same",
    );
}

#[test]
fn heads_by_what_was_seen() {
    let table = "
        alembic | r1      -> r2      : allow Unknown
        alembic | r2      -> r1      : refuse Lowered
        alembic | r2      -> r4a     : allow Unknown
        alembic | r4a     -> r4a r4b : allow Raised
        alembic | r4a r4b -> r5m     : allow Unknown
        alembic | r5m     -> r4a r4b : refuse Lowered
        alembic | r5m     -> r1      : refuse Lowered
        alembic | r4b r4a -> r5m     : allow Raised
        alembic | r1      -> r5m     : allow Raised";
    let guarding = guarding(vec![]);
    check(&guarding, Stage::Transaction, table);
    // What the journal's lines say is the same.
    let file = guarding.observed.compacted().join("\n") + "\n";
    let again = Guarding {
        observed: Observed::load(file.as_bytes()).unwrap().observed.into(),
        ..guarding
    };
    let last = "
        alembic | r5m -> r4a r4b : refuse Lowered
        alembic | r1  -> r5m     : allow Raised";
    check(&again, Stage::Transaction, last);
}

#[test]
fn steps_are_remembered_only_when_they_stand() {
    let guarding = guarding(vec![]);
    let step = |before, after, stage| {
        let [before, after] = [before, after].map(|s| snapshot(&guarding, "alembic", s));
        guarding
            .judge(&who(), stage, &before, &after)
            .observations
            .len()
    };
    assert_eq!(step("r1", "r2", Stage::Statement), 0);
    assert_eq!(step("r1", "r2", Stage::Transaction), 1);
    assert_eq!(step("r1", "r2", Stage::Transaction), 0, "nothing new");
    assert_eq!(step("r2", "r1", Stage::Transaction), 0, "refused");
}
