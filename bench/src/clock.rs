//! The place of the benchmarks that reads the clock and lets time pass.
#![expect(
    clippy::disallowed_methods,
    reason = "a benchmark measures time: this is its one place"
)]

use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Now, for differences.
pub fn now() -> Instant {
    Instant::now()
}

/// Seconds since 1970, to date a result.
pub fn seconds_since_1970() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// Lets `span` pass where what is measured is rest: a session gives its buffers back in its own time.
pub fn rest(span: Duration) {
    thread::sleep(span);
}
