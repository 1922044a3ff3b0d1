//! Waiting for a condition: the only place of the tests that looks at the clock.
#![expect(
    clippy::disallowed_methods,
    reason = "this is the place that reads the clock and sleeps"
)]

use std::time::{Duration, Instant};

/// How long a condition may take on a busy machine of two cores.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How often a condition is looked at.
const PAUSE: Duration = Duration::from_millis(5);

/// What a polled condition says: not yet, or the value that was waited for.
pub type Poll<T> = Option<T>;

/// Waits until `look` gives a value. `what` completes the sentence "waited in vain until ...".
pub fn until<T>(what: &str, look: impl FnMut() -> Poll<T>) -> T {
    within(PATIENCE, look).unwrap_or_else(|| panic!("waited in vain until {what}"))
}

/// Waits until `holds`. `what` completes the sentence "waited in vain until ...".
pub fn until_true(what: &str, mut holds: impl FnMut() -> bool) {
    until(what, || holds().then_some(()));
}

/// Waits until `look` gives a value, for at most `limit`.
pub fn within<T>(limit: Duration, mut look: impl FnMut() -> Poll<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if start.elapsed() > limit {
            return None;
        }
        std::thread::sleep(PAUSE);
    }
}

/// How long `run` takes, with what it returns.
pub fn timed<T>(run: impl FnOnce() -> T) -> (Duration, T) {
    let start = Instant::now();
    let result = run();
    (start.elapsed(), result)
}
