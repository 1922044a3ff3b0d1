//! Results for people: a table for the terminal, a page with plots.

mod html;
mod plot;
mod table;

pub use html::html;
pub use table::table;
