//! What pgpawl costs, side by side with direct connections.
fn main() {}
