//! Real migration tools: each goes up, up again, does nothing, and down.
//!
//! Each runs directly first, which shows that its way down would lower; then through pgpawl in each mode.

mod journey;

mod alembic;
mod django;
mod golang_migrate;
mod psql;
