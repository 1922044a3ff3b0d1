//! The harness: a throw-away PostgreSQL, pgpawl before it, and clients.
