//! The gate, by the cases of `cases/*.case`: each directly, and through pgpawl in each mode.

use std::sync::LazyLock;

use pgpawl_integration_tests::case::{Route, run_file};
use pgpawl_integration_tests::pgpawl::Pgpawl;
use pgpawl_integration_tests::postgres::Postgres;

fn start(arguments: &[&str]) -> Pgpawl {
    Pgpawl::before(Postgres::shared().port())
        .args(arguments)
        .start()
}

// One of each for all files: cases are told apart by their databases.
static OFF: LazyLock<Pgpawl> = LazyLock::new(|| start(&["--mode", "off"]));
static LOG: LazyLock<Pgpawl> =
    LazyLock::new(|| start(&["--mode", "log", "--coverage", "statement"]));
static ENFORCE: LazyLock<Pgpawl> =
    LazyLock::new(|| start(&["--mode", "enforce", "--coverage", "statement"]));
static EVERY_TRANSACTION: LazyLock<Pgpawl> =
    LazyLock::new(|| start(&["--mode", "enforce", "--coverage", "transaction"]));

/// Whoever writes cases shows first that they mean what they say: `PGPAWL_TEST_DIRECT=1 cargo test gate`.
fn check(text: &str) {
    if std::env::var_os("PGPAWL_TEST_DIRECT").is_some() {
        return run_file(Postgres::shared(), text, &[]);
    }
    let routes = [
        Route::Off(&OFF),
        Route::Log(&LOG),
        Route::Enforce(&ENFORCE),
        Route::EveryTransaction(&EVERY_TRANSACTION),
    ];
    run_file(Postgres::shared(), text, &routes);
}

macro_rules! case_files {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            check(include_str!(concat!("../../cases/", stringify!($name), ".case")));
        })*
    };
}

case_files! {
    autocommit
    copy
    early
    extended
    hold
    light
    replaced
    surroundings
    tables
    transactions
    upkeep
}
