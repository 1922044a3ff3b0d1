//! What holds for any bytes: the logic of the fuzz targets, and of the smoke run in `proxy/tests`.

pub mod client_frames;
pub mod server;
pub mod server_frames;
pub mod session;
pub mod startup;
