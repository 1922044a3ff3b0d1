//! Stands in for PostgreSQL where thousands of sessions or gigabytes are wanted.
