//! The properties of `proxy/fuzz` over recordings of real tools and golden frames, with some of their
//! bytes changed, and over noise.

#[path = "../fuzz/properties/mod.rs"]
mod properties;
#[path = "fuzz_smoke/seeds.rs"]
mod seeds;
#[path = "../../policy/tests/support/mutated.rs"]
mod support;

use std::sync::{
    LazyLock,
    atomic::{AtomicUsize, Ordering},
};

use properties::session::{Event, Reached, hold};
use properties::{client_frames, server_frames, startup};
use proptest::prelude::*;
use proptest::sample::Index;
use support::{mutated, rounds};

/// The messages of each recorded connection.
static RECORDED: LazyLock<Vec<Vec<Vec<u8>>>> = LazyLock::new(seeds::recorded);

/// A few messages of a recorded connection, in order.
fn excerpt() -> impl Strategy<Value = Vec<u8>> {
    (any::<Index>(), any::<Index>(), 1..24_usize).prop_map(|(which, from, len)| {
        let messages = which.get(RECORDED.as_slice());
        let from = from.index(messages.len());
        let to = messages.len().min(from + len);
        messages[from..to].concat()
    })
}

/// One message of a client's, or something like it.
fn from_client() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => excerpt(),
        16 => prop::sample::select(seeds::of_client()),
        // Many of the same: what grows shows.
        1 => (prop::sample::select(seeds::of_client()), 1..600_usize)
            .prop_map(|(frame, times)| frame.repeat(times)),
        1 => numbered(),
        3 => mutated(seeds::of_client()),
        1 => prop::collection::vec(any::<u8>(), 0..40),
    ]
}

/// Many of the same, each with another name.
fn numbered() -> impl Strategy<Value = Vec<u8>> {
    (0..4_u8, 1..600_usize).prop_map(|(what, times)| {
        let frames = (0..times).map(|n| match what {
            0 => seeds::parse(&format!("n{n}"), "DELETE FROM schema_migrations"),
            1 => seeds::parse(&format!("n{n}"), "DELETE FROM t"),
            2 => seeds::query(&format!("PREPARE n{n} AS DELETE FROM schema_migrations")),
            _ => seeds::bind(&format!("n{n}"), "s"),
        });
        frames.collect::<Vec<_>>().concat()
    })
}

fn event() -> impl Strategy<Value = Event> {
    let choices = prop::collection::vec(prop_oneof![6 => Just(0), 2 => any::<u8>()], 0..24);
    prop_oneof![
        12 => from_client().prop_map(Event::Client),
        8 => choices.prop_map(Event::Answer),
        1 => prop_oneof![mutated(seeds::of_server()), prop::collection::vec(any::<u8>(), 0..40)]
            .prop_map(Event::Server),
        1 => any::<u8>().prop_map(Event::End),
    ]
}

fn cuts() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![Just(Vec::new()), prop::collection::vec(any::<u8>(), 1..8)]
}

proptest! {
    #![proptest_config(rounds(3_000))]

    #[test]
    fn any_first_packet(window in mutated(seeds::of_startup())) {
        startup::hold(&window);
    }

    #[test]
    fn any_stream_of_a_client(stream in prop_oneof![from_client(), mutated(seeds::of_client())]) {
        client_frames::hold(&stream);
    }

    #[test]
    fn any_stream_of_a_server(stream in mutated(seeds::of_server())) {
        server_frames::hold(&stream);
    }
}

#[test]
fn any_streams_through_a_session() {
    let reached = [const { AtomicUsize::new(0) }; 3];
    let note = |run: Reached| {
        for (most, now) in reached.iter().zip([run.relayed, run.sent, run.kept]) {
            most.fetch_max(now, Ordering::Relaxed);
        }
    };
    proptest!(rounds(250), |(
        covers: bool,
        cuts in cuts(),
        events in prop::collection::vec(event(), 1..40),
    )| note(hold(covers, &cuts, &events)));
    let [relayed, sent, kept] = reached.map(AtomicUsize::into_inner);
    assert!(
        relayed > 10_000 && sent > 20,
        "no run got far: {relayed} bytes, {sent} of ours"
    );
    println!("{relayed} bytes relayed, {sent} pieces of our own, {kept} characters of state");
}
