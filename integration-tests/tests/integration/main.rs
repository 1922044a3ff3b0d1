//! pgpawl before a real PostgreSQL: the gate, the wire, the tools, the command line.

mod cli;
mod databases;
mod differential;
mod evasions;
mod faults;
mod gate;
mod held_beside;
mod matrix;
mod model;
mod rules;
mod tenants;
mod tools;
mod unseen;
mod wire;

use std::sync::LazyLock;

use pgpawl_integration_tests::pgpawl::Pgpawl;
use pgpawl_integration_tests::postgres::Postgres;

/// pgpawl as it is without any configuration, before the shared server: enforcing.
fn shared() -> &'static Pgpawl {
    static SHARED: LazyLock<Pgpawl> =
        LazyLock::new(|| Pgpawl::before(Postgres::shared().port()).start());
    &SHARED
}
