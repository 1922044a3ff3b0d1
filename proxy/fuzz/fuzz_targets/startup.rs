//! A first packet is read, wants more bytes than there are, or is a violation; it has no more bytes
//! than came.
#![no_main]
use libfuzzer_sys::fuzz_target;
use pgpawl::wire::startup::first;

fuzz_target!(|window: &[u8]| match first(window) {
    Ok(Ok((_, len))) => assert!((8..=window.len()).contains(&len)),
    Ok(Err(needed)) => assert!(needed > window.len()),
    Err(_) => {}
});
