//! Inputs that are nearly right: seeds with some of their bytes changed.

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, RngSeed};

/// The most bytes that one change adds.
const ADDED_LEN_MAX: usize = 8;

/// One change.
#[derive(Clone, Debug)]
enum Change {
    Set(Index, u8),
    Flip(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, Index),
    /// A piece is there twice.
    Repeat(Index, Index),
    Cut(Index),
    /// Goes on with another seed, from some place on.
    Splice(Index, Index, Index),
}

/// The seeds as they are (one in four), and changed.
pub fn mutated(seeds: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let changes = prop_oneof![
        1 => Just(Vec::new()),
        3 => prop::collection::vec(change(), 1..6),
    ];
    (any::<Index>(), changes).prop_map(move |(seed, changes)| {
        let mut bytes = seed.get(&seeds).clone();
        for change in changes {
            apply(&change, &mut bytes, &seeds);
        }
        bytes
    })
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<Index>;
    prop_oneof![
        3 => (at(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        3 => (at(), 0..8u8).prop_map(|(at, bit)| Change::Flip(at, bit)),
        2 => (at(), prop::collection::vec(any::<u8>(), 1..ADDED_LEN_MAX))
            .prop_map(|(at, added)| Change::Insert(at, added)),
        2 => (at(), at()).prop_map(|(from, to)| Change::Remove(from, to)),
        1 => (at(), at()).prop_map(|(from, to)| Change::Repeat(from, to)),
        1 => at().prop_map(Change::Cut),
        2 => (at(), at(), at()).prop_map(|(at, seed, from)| Change::Splice(at, seed, from)),
    ]
}

fn apply(change: &Change, bytes: &mut Vec<u8>, seeds: &[Vec<u8>]) {
    let len = bytes.len();
    let place = |at: &Index| at.index(len + 1);
    match change {
        Change::Set(at, byte) => {
            if let Some(old) = bytes.get_mut(place(at)) {
                *old = *byte;
            }
        }
        Change::Flip(at, bit) => {
            if let Some(old) = bytes.get_mut(place(at)) {
                *old ^= 1 << bit;
            }
        }
        Change::Insert(at, added) => {
            let at = place(at);
            bytes.splice(at..at, added.iter().copied());
        }
        Change::Remove(from, to) => {
            let (from, to) = (place(from), place(to));
            bytes.drain(from.min(to)..from.max(to));
        }
        Change::Repeat(from, to) => {
            let (from, to) = (place(from), place(to));
            let piece = bytes[from.min(to)..from.max(to)].to_vec();
            bytes.splice(from..from, piece);
        }
        Change::Cut(at) => bytes.truncate(place(at)),
        Change::Splice(at, seed, from) => {
            let other = seed.get(seeds);
            bytes.truncate(place(at));
            bytes.extend_from_slice(&other[from.index(other.len() + 1)..]);
        }
    }
}

/// `usual` rounds, the same at every run; as many as `PGPAWL_TEST_FUZZ_ROUNDS` says, with `usual` as its
/// unit, and other ones each time: `PGPAWL_TEST_FUZZ_ROUNDS=100 cargo test fuzz`.
pub fn rounds(usual: u32) -> Config {
    const SEED: u64 = 0x7067_7061_776c;
    let times = std::env::var_os("PGPAWL_TEST_FUZZ_ROUNDS")
        .and_then(|times| times.to_str()?.parse::<u32>().ok());
    Config {
        cases: usual.saturating_mul(times.unwrap_or(1)),
        rng_seed: times.map_or(RngSeed::Fixed(SEED), |_| RngSeed::Random),
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..Config::default()
    }
}
