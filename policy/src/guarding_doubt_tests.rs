//! Modes, refusals and doubt.
use super::*;
use crate::guard::Unknown;

fn rule(tool: &str, mode: Mode, unknown: Option<Unknown>) -> RawRule {
    RawRule {
        tool: Some(OneOrMany::One(tool.into())),
        mode: Some(mode),
        unknown,
        ..RawRule::default()
    }
}

#[test]
fn the_mode_decides() {
    let guarding = guarding(vec![
        rule("rails", Mode::Log, None),
        rule("django", Mode::Off, None),
        rule("alembic", Mode::Enforce, Some(Unknown::Refuse)),
    ]);
    let table = "
        rails   | 1 2     -> 1       : allow Lowered
        rails   | !no_privilege -> - : allow Unverifiable
        django  | a/1 a/2 -> a/1     : allow Same
        alembic | r1      -> r2      : refuse Unknown
        flyway  | 1 2     -> 1       : refuse Lowered";
    check(&guarding, Stage::Transaction, table);
}

#[test]
fn the_refusal_names_everything() {
    let guarding = guarding(vec![]);
    let refusal = |tool, before, after| {
        let [before, after] = [before, after].map(|s| snapshot(&guarding, tool, s));
        match guarding
            .judge(&who(), Stage::Transaction, &before, &after)
            .verdict
        {
            Verdict::Refuse(refusal) => (refusal.message, refusal.detail.unwrap_or_default()),
            Verdict::Allow(_) => (String::new(), String::new()),
        }
    };
    let (message, detail) = refusal("rails", "9 10 11", "9");
    assert!(message.ends_with("\"orders\" (rails, public.schema_migrations) from 11 to 9"));
    assert_eq!(detail, "Versions that would go: 10, 11.");
    let (message, _) = refusal("django", "shop/1 shop/2 a/1", "shop/1 a/1");
    assert!(message.ends_with("from shop 2 to shop 1"), "{message}");
    let (message, detail) = refusal("golang-migrate", "2", "1!");
    assert!(message.ends_with("from 2 to 1 (dirty)"), "{message}");
    assert_eq!(detail, "");
    let (message, detail) = refusal("rails", "1", "-");
    assert!(message.ends_with("from 1 to none"), "{message}");
    assert_eq!(
        detail,
        "The version table is gone. Versions that would go: 1."
    );
}

#[test]
fn doubt_refuses() {
    let guarding = guarding(vec![
        rule("rails", Mode::Log, None),
        rule("django", Mode::Off, None),
    ]);
    let set = |tools: &[&str]| {
        tools
            .iter()
            .map(|t| guard_of(&guarding, t))
            .collect::<GuardSet>()
    };
    let table: [(&[&str], &str, usize); 5] = [
        (&["rails"], "allow Unverifiable", 1),
        (&["django"], "allow Same", 0),
        (&["django", "rails"], "allow Unverifiable", 1),
        (&["flyway", "rails"], "refuse Unverifiable", 1),
        (&[], "refuse Unverifiable", 1),
    ];
    for (tools, expected, findings) in table {
        let why = Unverifiable::Boundaries(Odd::Unterminated);
        let judgement = guarding.unverifiable(&who(), set(tools), &why);
        assert_eq!(told(&judgement), expected, "{tools:?}");
        assert_eq!(judgement.findings.len(), findings);
    }
    for (state, told) in [("57014", "57014"), ("40P01", "40P01"), ("42P01", "42501")] {
        let why = Unverifiable::QuestionFailed {
            sqlstate: state.into(),
            message: "no".into(),
        };
        let judgement = guarding.unverifiable(&who(), set(&["flyway"]), &why);
        let Verdict::Refuse(refusal) = judgement.verdict else {
            panic!("allowed")
        };
        assert_eq!(refusal.sqlstate, told);
    }
}

#[test]
fn a_guard_is_read_twice_or_in_doubt() {
    let guarding = guarding(vec![]);
    let before = snapshot(&guarding, "rails", "1");
    let judged = |stage| told(&guarding.judge(&who(), stage, &before, &Snapshot::default()));
    assert_eq!(judged(Stage::Transaction), "refuse Unverifiable");
    assert_eq!(judged(Stage::Statement), "allow Same");
}
