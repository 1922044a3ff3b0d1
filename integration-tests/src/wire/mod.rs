//! A client that sends and shows single protocol messages: PostgreSQL's documentation, chapter
//! "Frontend/Backend Protocol", is its only model. It understands no SQL and hides nothing.

mod client;
mod frame;
pub mod message;
mod show;

pub use client::{Client, Received};
pub use frame::Frame;
pub use show::{brief, error_fields, full};
