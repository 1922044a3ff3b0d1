//! What holds for any bytes: the logic of the fuzz targets, and of the smoke run in `proxy/tests`.

pub mod frames;
pub mod server;
pub mod session;
pub mod startup;
