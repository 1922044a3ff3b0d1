//! The one place that spawns, and the one place that reads the clock.
use std::{
    future::Future,
    io,
    pin::Pin,
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::{runtime::Builder, task::JoinHandle, time::Sleep};

/// Starts a thread of that name.
///
/// # Errors
/// When the system gives no thread.
pub fn thread<T: Send + 'static>(
    name: &str,
    body: impl FnOnce() -> T + Send + 'static,
) -> io::Result<thread::JoinHandle<T>> {
    thread::Builder::new().name(name.to_owned()).spawn(body)
}

/// Runs `future` to its end on a single-threaded runtime of this thread's own.
///
/// # Errors
/// When the system gives no event queue.
pub fn block_on<T>(future: impl Future<Output = T>) -> io::Result<T> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .thread_keep_alive(Duration::from_secs(2))
        .build()?;
    Ok(runtime.block_on(future))
}

/// Threads of one runtime that may sit in `getaddrinfo` or `fsync` at the same time.
const BLOCKING_THREADS_MAX: usize = 8;

/// Starts a task on this thread's runtime. A panic in it ends that task only.
#[expect(clippy::disallowed_methods, reason = "the one place that spawns")]
pub fn task<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    tokio::spawn(future)
}

/// Runs `body` on a thread where it may block.
///
/// # Errors
/// When `body` panicked.
pub async fn blocking<T: Send + 'static>(
    body: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(body)
        .await
        .map_err(io::Error::other)
}

/// Monotonic time, for durations.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the clock"
)]
pub fn now() -> Instant {
    Instant::now()
}

/// Time since 1970-01-01 UTC, for people.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the clock"
)]
pub fn unix_time() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// Waits on a thread that may block, between two looks at something outside of this process.
#[expect(
    clippy::disallowed_methods,
    reason = "a program outside cannot be awaited here"
)]
pub fn pause(time: Duration) {
    thread::sleep(time);
}

/// A timer that can be polled beside other things.
#[must_use]
pub fn timer(after: Duration) -> Pin<Box<Sleep>> {
    Box::pin(tokio::time::sleep(after))
}
