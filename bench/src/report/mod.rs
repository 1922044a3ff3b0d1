//! Results for people: a table for the terminal, a page with plots.

mod table;

pub use table::table;
