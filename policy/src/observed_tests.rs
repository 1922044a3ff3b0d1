//! What lines say, and what a torn or damaged one does.
use super::*;
use crate::guard::GuardId;

fn place(origin: &str) -> Place {
    let key = HistoryKey {
        guard: GuardId(0),
        schema: b"caf\xe9".as_slice().into(),
        table: b"alembic_version".as_slice().into(),
    };
    Place::new(origin, &key, b"")
}

fn set(words: &str) -> BTreeSet<Version> {
    words
        .split_whitespace()
        .map(|w| w.as_bytes().into())
        .collect()
}

fn file() -> String {
    let observed = Observed::default();
    let steps = [("r1", "r2"), ("r2", "a r2"), ("a r2", "m")];
    let line = |(b, a)| {
        observed
            .learn(&place("db/x"), (&set(b), &set(a)))
            .unwrap()
            .line
    };
    let lines: Vec<String> = steps.into_iter().map(line).collect();
    let dirty = Decimal::parse(b"9").unwrap();
    let floor = Decimal::parse(b"4").unwrap();
    let number = observed
        .learn_floor(&place("db/y"), &dirty, Some(&floor))
        .unwrap();
    format!("{}\n{}\n", lines.join("\n"), number.line)
}

fn step(observed: &Observed, origin: &str, before: &str, after: &str) -> Step {
    observed.step(&place(origin), None, (&set(before), &set(after)))
}

#[test]
fn lines_say_what_was_learned() {
    let loaded = Observed::load(file().as_bytes()).unwrap();
    assert_eq!(loaded.good_len, file().len());
    let compacted = loaded.observed.compacted().join("\n") + "\n";
    for text in [file(), compacted] {
        let seen = Observed::load(text.as_bytes()).unwrap().observed;
        assert_eq!(step(&seen, "db/x", "r1", "m"), Step::Covers);
        assert_eq!(step(&seen, "db/x", "m", "a r2"), Step::Loses);
        assert_eq!(step(&seen, "db/other", "m", "a r2"), Step::Unknown);
        let [dirty, floor] = [b"9", b"4"].map(|n| Decimal::parse(n).unwrap());
        assert_eq!(
            seen.floor(&place("db/y"), &dirty),
            Some(Some(floor.clone()))
        );
        assert_eq!(seen.floor(&place("db/y"), &floor), None);
    }
}

#[test]
fn a_torn_last_line_is_cut_off() {
    let file = file();
    let last = file.trim_end().rfind('\n').unwrap() + 1;
    for end in last + 1..file.len() {
        let loaded = Observed::load(&file.as_bytes()[..end]).unwrap();
        assert_eq!(loaded.good_len, last, "{end}");
    }
    assert_eq!(Observed::load(b"").unwrap().good_len, 0);
}

#[test]
fn damage_before_the_end_is_an_error() {
    let file = file();
    let second = file.find('\n').unwrap() + 1;
    for at in [second + 40, second + 70] {
        let mut bytes = file.clone().into_bytes();
        bytes[at] ^= 1;
        assert_eq!(Observed::load(&bytes).unwrap_err().line, 2);
    }
}

#[test]
fn memory_is_bounded() {
    let observed = Observed::default();
    let many: BTreeSet<Version> = (0..NODES_MAX)
        .map(|i| i.to_string().into_bytes().into())
        .collect();
    assert!(
        observed
            .learn(&place("a"), (&BTreeSet::new(), &many))
            .is_none(),
        "graph limit"
    );
    let observed = Observed::default();
    for i in 0..HISTORIES_MAX {
        assert!(
            observed
                .learn(&place(&i.to_string()), (&set("a"), &set("b")))
                .is_some()
        );
    }
    assert!(
        observed
            .learn(&place("more"), (&set("a"), &set("b")))
            .is_none()
    );
    assert!(
        observed
            .learn(&place("0"), (&set("b"), &set("c")))
            .is_some()
    );
}
