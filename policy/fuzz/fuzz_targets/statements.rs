//! Any text has statements in order and inside it, or is odd.
#![no_main]
use libfuzzer_sys::fuzz_target;
use pgpawl_policy::statement::{Lexical, first_kind, statements};

fuzz_target!(|text: &[u8]| {
    let mut end = 0;
    for statement in statements(text, Lexical::DEFAULT).unwrap_or_default() {
        assert!(end <= statement.range.start && statement.range.start < statement.range.end);
        end = statement.range.end;
    }
    assert!(end <= text.len());
    let _ = first_kind(text);
});
