//! pgpawl: a PostgreSQL wire proxy that makes schema versions turn one way only.
pub mod session;
