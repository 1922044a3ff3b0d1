//! What the micro benchmarks share: the steps that are timed by criterion and counted by callgrind.

pub mod micro;
