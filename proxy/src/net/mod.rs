//! All I/O: sockets in, the pure session between them, sockets out.
mod clock;
mod counted;
mod errand;
mod farewell;
pub mod journal;
mod lane;
mod listener;
mod look;
mod open_files;
mod pump;
mod registry;
pub mod server;
mod socket;
pub mod upstream;
mod worker;
pub mod world;
