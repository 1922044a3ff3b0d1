//! The properties of `policy/fuzz` over the corpus with some of its bytes changed, and over noise.

#[path = "../fuzz/properties/mod.rs"]
mod properties;
#[path = "support/mutated.rs"]
mod support;

use std::{fs, path::Path};

use properties::{screen, statements};
use proptest::prelude::*;
use support::{mutated, rounds};

/// The texts of the corpus.
fn seeds() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut seeds = Vec::new();
    for entry in fs::read_dir(folder).expect("the corpus") {
        let text = fs::read_to_string(entry.expect("a file").path()).expect("a text");
        let is_sql = |line: &&str| !line.is_empty() && !line.starts_with(['#', '=']);
        seeds.extend(
            text.lines()
                .filter(is_sql)
                .map(|line| line.replace('␤', "\n").into_bytes()),
        );
    }
    seeds.sort();
    assert!(seeds.len() > 500, "only {} texts", seeds.len());
    seeds
}

fn texts() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        9 => mutated(seeds()),
        1 => prop::collection::vec(any::<u8>(), 0..60),
    ]
}

proptest! {
    #![proptest_config(rounds(3_000))]

    #[test]
    fn any_text_has_statements_or_is_odd(text in texts()) {
        statements::hold(&text);
    }
}

proptest! {
    #![proptest_config(rounds(500))]

    #[test]
    fn a_name_between_any_texts_is_found(left in texts(), right in texts()) {
        screen::hold(&left, &right);
    }
}
