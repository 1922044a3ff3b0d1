//! Any bytes of both sides, in any pieces, after a login.
#![no_main]
#[path = "../properties/server.rs"]
mod server;
#[path = "../properties/session.rs"]
mod session;

use session::{Event, hold};

/// A number and bytes, as an event.
fn event((what, bytes): (u8, Vec<u8>)) -> Event {
    match what % 8 {
        0..=2 => Event::Client(bytes),
        3 => Event::Server(bytes),
        4..=6 => Event::Answer(bytes),
        _ => Event::End(what / 8),
    }
}

/// Whether every transaction is checked, how the streams are cut, and what happens.
type Run = (bool, Vec<u8>, Vec<(u8, Vec<u8>)>);

libfuzzer_sys::fuzz_target!(|run: Run| {
    let events: Vec<Event> = run.2.into_iter().map(event).collect();
    hold(run.0, &run.1, &events);
});
