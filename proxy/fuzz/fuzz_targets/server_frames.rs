//! Any server's stream.
#![no_main]
#[path = "../properties/frames.rs"]
mod frames;

libfuzzer_sys::fuzz_target!(|stream: &[u8]| frames::hold_of_server(stream));
