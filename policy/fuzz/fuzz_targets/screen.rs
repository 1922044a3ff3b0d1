//! A name that stands in a text between blanks is found, whatever is around it.
#![no_main]
use libfuzzer_sys::fuzz_target;
use pgpawl_policy::{Guards, screen::Screen};

fuzz_target!(|texts: (&[u8], &[u8])| {
    let guards = Guards::builtin();
    let screen = Screen::new(guards.iter().map(|(id, guard)| (id, guard.table())));
    for (id, guard) in guards.iter() {
        let text = [texts.0, b" ", guard.table().as_bytes(), b" ", texts.1].concat();
        assert!(screen.mentions(&text).contains(id));
    }
});
