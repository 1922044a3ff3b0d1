//! Transcripts and invariants of the session.
