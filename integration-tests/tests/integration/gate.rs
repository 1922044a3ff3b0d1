//! The gate, by the cases of `cases/*.case`: each directly, and through pgpawl in each mode.

use std::sync::LazyLock;

use pgpawl_integration_tests::case::{Route, run_file};
use pgpawl_integration_tests::pgpawl::Pgpawl;
use pgpawl_integration_tests::postgres::Postgres;

/// One pgpawl per mode for all files: cases are told apart by their databases.
static IN_MODE: LazyLock<[Pgpawl; 3]> = LazyLock::new(|| {
    let upstream = Postgres::shared().port();
    ["off", "log", "enforce"].map(|mode| Pgpawl::before(upstream).mode(mode).start())
});

fn check(text: &str) {
    if std::env::var_os("PGPAWL_DIRECT").is_some() {
        return run_file(Postgres::shared(), text, &[]);
    }
    let [off, log, enforce] = &*IN_MODE;
    run_file(
        Postgres::shared(),
        text,
        &[Route::Off(off), Route::Log(log), Route::Enforce(enforce)],
    );
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
    surroundings
    tables
    transactions
}
