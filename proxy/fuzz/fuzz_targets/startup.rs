//! The start of any connection.
#![no_main]
#[path = "../properties/startup.rs"]
mod startup;

libfuzzer_sys::fuzz_target!(|window: &[u8]| startup::hold(window));
