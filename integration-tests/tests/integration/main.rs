//! pgpawl before a real PostgreSQL: the gate, the wire, the tools, the command line.

mod gate;
mod tools;
