//! A name between any two texts.
#![no_main]
#[path = "../properties/screen.rs"]
mod screen;

libfuzzer_sys::fuzz_target!(|texts: (&[u8], &[u8])| screen::hold(texts.0, texts.1));
