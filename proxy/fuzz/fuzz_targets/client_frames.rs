//! Any client's stream.
#![no_main]
#[path = "../properties/client_frames.rs"]
mod client_frames;

libfuzzer_sys::fuzz_target!(|stream: &[u8]| client_frames::hold(stream));
