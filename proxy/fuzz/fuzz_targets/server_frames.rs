//! Any server's stream.
#![no_main]
#[path = "../properties/server_frames.rs"]
mod server_frames;

libfuzzer_sys::fuzz_target!(|stream: &[u8]| server_frames::hold(stream));
