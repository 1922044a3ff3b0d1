//! Any text.
#![no_main]
#[path = "../properties/statements.rs"]
mod statements;

libfuzzer_sys::fuzz_target!(|text: &[u8]| statements::hold(text));
