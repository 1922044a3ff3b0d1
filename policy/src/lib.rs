//! May this pass? The question, the answer, and the map of this crate.
//!
//! Pure: no I/O, no clock, no wire. `screen` says which guarded tables a text may name, `statement`
//! what each statement in it is, `question` how to ask the server for the version sets, `version`,
//! `order` and `observed` how two sets compare, `rule` who gets which mode, `verdict` what follows.

pub mod guard;
pub mod screen;
pub mod statement;
pub mod question;
pub mod rule;
pub mod verdict;
