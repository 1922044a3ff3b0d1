//! Could this text concern a guarded table? Lexical, conservative, one scan over raw bytes.
use crate::guard::GuardSet;

/// The compiled names of all guarded tables.
#[derive(Debug)]
pub struct Screen {}

impl Screen {
    /// The guards whose table `text` may name, in whatever way it is quoted, escaped or embedded
    /// in a string, under whatever `client_encoding` and `standard_conforming_strings`.
    /// All guards where the text can hide a name. Empty for nearly all traffic.
    #[must_use]
    pub fn mentions(&self, text: &[u8]) -> GuardSet {
        let _ = text;
        todo!()
    }
}
