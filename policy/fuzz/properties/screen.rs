//! A name that stands in a text between blanks is found, whatever is around it.

use pgpawl_policy::{Guards, explain::explain, fingerprint::fingerprint, screen::Screen};
use std::sync::LazyLock;

static GUARDS: LazyLock<Guards> = LazyLock::new(Guards::builtin);
static SCREEN: LazyLock<Screen> =
    LazyLock::new(|| Screen::new(GUARDS.iter().map(|(id, guard)| (id, guard.table()))));

/// Holds for any two texts around the name.
pub fn hold(left: &[u8], right: &[u8]) {
    for (id, guard) in GUARDS.iter() {
        let text = [left, b" ", guard.table().as_bytes(), b" ", right].concat();
        assert!(
            SCREEN.mentions(&text).contains(id),
            "{} is missed",
            guard.table()
        );
    }
    let text = [left, right].concat();
    let found = SCREEN.mentions(&text);
    assert_eq!(found.union(SCREEN.names_in(&text)), found);
    let _ = (
        fingerprint(&text),
        explain(&SCREEN, |id| format!("{id:?}"), &text).to_string(),
    );
}
