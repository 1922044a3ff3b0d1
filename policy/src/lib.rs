//! May this pass? The question, the answer, and the map of this crate.
//!
//! Pure: no I/O, no clock, no wire. `screen` says which guarded tables a text may name, `statement`
//! what each statement in it is, `question` how to ask the server for the version sets, `answer` how
//! to read what it says, `version`, `order` and `observed` how two sets compare, `rule` who gets
//! which mode, `guarding` judges, `verdict` and `refusal` say what follows.
#![cfg_attr(
    not(test),
    warn(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic
    )
)]

pub mod alembic;
pub mod answer;
pub mod base;
pub mod called;
pub mod claim;
pub mod effect;
pub mod explain;
pub mod facts;
pub mod fingerprint;
pub mod footing;
mod footprint;
pub mod guard;
pub mod guarding;
pub mod harmless;
pub mod hold;
pub mod inert;
pub mod kind;
pub mod lexer;
pub mod lexical;
pub mod name;
pub mod observed;
pub mod order;
mod outcome;
pub mod parser;
pub mod profile;
mod python;
pub mod question;
mod raw_guard;
mod reading;
mod refusal;
pub mod rule;
pub mod screen;
pub mod setting;
pub mod snapshot;
pub mod statement;
pub mod token;
pub mod upkeep;
pub mod verdict;
pub mod version;
pub mod visible;

pub use guard::{GuardId, GuardSet, Guards};
pub use guarding::Guarding;
