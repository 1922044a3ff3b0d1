//! pgpawl: a PostgreSQL wire proxy that makes schema versions turn one way only.
pub mod admin;
pub mod cli;
pub mod commands;
pub mod config;
pub mod demo;
pub mod error;
pub mod net;
pub mod runtime;
pub mod session;
pub mod telemetry;
pub mod wire;
