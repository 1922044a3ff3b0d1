//! A first packet is read, wants more bytes than there are, or is a violation; it has no more bytes
//! than came.

use pgpawl::wire::startup::first;

/// More bytes than any first packet has.
const LEN_MAX: usize = 10_000;

/// Holds for any start of a connection.
pub fn hold(window: &[u8]) {
    match first(window) {
        Ok(Ok((_, len))) => assert!((8..=window.len()).contains(&len)),
        Ok(Err(needed)) => assert!(needed > window.len() && needed <= LEN_MAX),
        Err(_) => {}
    }
}
