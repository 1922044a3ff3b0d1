//! The binary: what was said on the command line, then run.
fn main() {}
