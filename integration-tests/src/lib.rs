//! The harness: a throw-away PostgreSQL, pgpawl before it, and the clients that go through both.
//!
//! - `postgres` and `pgpawl` start the two programs, `tool` runs any other one to its end.
//! - `wire` is a client that sends and shows single protocol messages.
//! - `matrix` puts real migration tools through their ways with `hold`; `snapshot` compares databases.
//! - `case` runs the cases of `cases/*.case`: what a client sends, what it is answered.
//! - `fake_server` stands in for PostgreSQL where thousands of sessions or gigabytes are wanted.
//! - `wait` is the only place that looks at the clock: tests wait for conditions, not for time.
//!
//! A harness reports failure by panicking, with what was seen.
#![expect(clippy::missing_panics_doc, reason = "a harness fails by panicking")]
#![expect(
    clippy::must_use_candidate,
    clippy::return_self_not_must_use,
    reason = "what waits or runs something is often called for that alone"
)]

pub mod case;
pub mod fake_server;
pub mod http;
pub mod keeper;
pub mod matrix;
pub mod paths;
pub mod pgpawl;
pub mod port;
pub mod postgres;
pub mod snapshot;
pub mod tool;
pub mod wait;
pub mod wire;
