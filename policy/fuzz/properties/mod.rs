//! What holds for any text: the logic of the fuzz targets, and of the smoke run in `policy/tests`.

pub mod screen;
pub mod statements;
