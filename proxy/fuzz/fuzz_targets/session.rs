//! Any bytes from both sides, in any pieces: the session never panics, never names more bytes than
//! it was shown, never turns for ever without consuming any, and once over stays over.
#![no_main]
use libfuzzer_sys::fuzz_target;
use pgpawl::session::{Action, Limits, Present, Session, Shared, Side};
use pgpawl_policy::{Guarding, Guards, observed::Observed, rule::Rules, screen::Screen};
use std::sync::{Arc, LazyLock};

/// More actions than this, none of which takes a byte from a window, are an endless turn.
const IDLE_ACTIONS_MAX: usize = 4_096;

static SHARED: LazyLock<Arc<Shared>> = LazyLock::new(|| {
    let guards = Guards::builtin();
    let screen = Screen::new(guards.iter().map(|(id, guard)| (id, guard.table())));
    Arc::new(Shared {
        guarding: Guarding {
            guards,
            rules: Rules::default(),
            observed: Arc::new(Observed::default()),
            screen,
            origin: "fuzz:5432".into(),
        },
        limits: Limits {
            statement_len_max: 1 << 16,
            owed_max: 16,
            names_max: 8,
            answer_len_max: 1 << 12,
        },
        present: Arc::new(Present::default()),
        allow_replication: false,
        warn_in_log_mode: true,
    })
});

/// Takes actions until the session waits. `None`: it is over.
fn turn(session: &mut Session, windows: &mut [Vec<u8>; 2]) -> Option<()> {
    let mut idle = 0;
    while idle < IDLE_ACTIONS_MAX {
        idle += 1;
        match session.step(&windows[0], &windows[1]) {
            Action::Relay { from, len } | Action::Drop { from, len } => {
                let window = &mut windows[usize::from(from == Side::Server)];
                assert!(len > 0 && len <= window.len());
                window.drain(..len);
                idle = 0;
            }
            Action::Connect => session.connected(),
            Action::Wait { .. } => return Some(()),
            Action::Close(ending) => {
                let again = session.step(b"Q", b"Z");
                assert!(matches!(again, Action::Close(same) if same == ending));
                return None;
            }
            Action::Send { .. } | Action::Cancel { .. } | Action::Record(_) | Action::Tell(_) => {}
        }
    }
    panic!("{IDLE_ACTIONS_MAX} actions without a byte");
}

// Pieces, and whose they are; the client's first packet is given.
fuzz_target!(|pieces: Vec<(bool, Vec<u8>)>| {
    let mut session = Session::new(SHARED.clone(), None);
    let mut windows = [b"\0\0\0\x10\0\x03\0\0user\0u\0\0".to_vec(), Vec::new()];
    windows[0][3] = u8::try_from(windows[0].len()).unwrap_or_default();
    for (from_server, piece) in pieces {
        windows[usize::from(from_server)].extend(piece);
        if turn(&mut session, &mut windows).is_none() {
            return;
        }
    }
    session.ended(Side::Client);
    session.ended(Side::Server);
    assert!(
        turn(&mut session, &mut windows).is_none(),
        "both sides ended"
    );
});
