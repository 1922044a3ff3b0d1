//! Any bytes from both sides, in any pieces: the session never panics, never names more bytes than it
//! was shown, never turns for ever without consuming any, never waits for nothing, wants and keeps no
//! more than its limits allow, and once over stays over.

use super::server::{GREETING, Server};
use pgpawl::session::{Action, Ending, Limits, Present, Seen, Session, Shared, Side, Stop};
use pgpawl_policy::{
    Guarding, Guards,
    observed::Observed,
    rule::{Coverage, RawRule, Rules},
    screen::Screen,
};
use std::{
    collections::VecDeque,
    fmt::{self, Write},
    sync::{Arc, LazyLock},
};

/// More actions than this, none of which takes a byte from a window, are an endless turn.
const IDLE_ACTIONS_MAX: usize = 1_024;
/// As the limits below say.
const STATEMENT_LEN_MAX: usize = 1 << 12;
/// The most bytes of the client's that a session may want before it decides: a statement, or a Bind
/// in steps that double.
const CLIENT_WANT_MAX: usize = 2 * STATEMENT_LEN_MAX + 64;
/// And of the server's: a setting, a status, an error.
const SERVER_WANT_MAX: usize = 64 * 1024;
/// The most that a session keeps, as the length of its `Debug` (a byte is up to five characters).
const KEPT_MAX: usize = 64 * 1024;
/// How often what is kept is measured: once in so many waits.
const MEASURED_EVERY: usize = 256;

/// One for each coverage.
static SHARED: LazyLock<[Arc<Shared>; 2]> =
    LazyLock::new(|| [Coverage::Statement, Coverage::Transaction].map(shared));

/// The length of `Debug` of a new session under each.
static EMPTY_LEN: LazyLock<[usize; 2]> = LazyLock::new(|| {
    SHARED
        .each_ref()
        .map(|shared| shown_len(&Session::new(shared.clone(), None)))
});

fn shared(coverage: Coverage) -> Arc<Shared> {
    let rule = RawRule {
        coverage: Some(coverage),
        ..RawRule::default()
    };
    let guards = Guards::builtin();
    let screen = Screen::new(guards.iter().map(|(id, guard)| (id, guard.table())));
    Arc::new(Shared {
        guarding: Guarding {
            beside: guards.beside(),
            guards,
            rules: Rules::try_from(vec![rule]).unwrap_or_default(),
            observed: Arc::new(Observed::default()),
            screen,
            origin: "fuzz:5432".into(),
        },
        limits: Limits {
            statement_len_max: STATEMENT_LEN_MAX,
            owed_max: 16,
            names_max: 8,
            answer_len_max: 1 << 12,
            hold_ticks_max: 50,
        },
        present: Arc::new(Present::default()),
        runs: Arc::default(),
        sight: pgpawl::session::Sight::default(),
        allow_replication: false,
        warn_in_log_mode: true,
    })
}

/// What happens next.
#[derive(Clone, PartialEq, Eq)]
pub enum Event {
    /// The client sends this.
    Client(Vec<u8>),
    /// The server sends this, whatever it was asked.
    Server(Vec<u8>),
    /// The server answers what it was sent; each byte says how.
    Answer(Vec<u8>),
    /// A side ends, or pgpawl stops.
    End(u8),
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(bytes) => write!(f, "client b\"{}\"", bytes.escape_ascii()),
            Self::Server(bytes) => write!(f, "server b\"{}\"", bytes.escape_ascii()),
            Self::Answer(choices) => write!(f, "answer {choices:?}"),
            Self::End(how) => write!(f, "end {how}"),
        }
    }
}

/// What a run came to, for a test that wants to know that something happened at all.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Reached {
    /// Bytes of the client's that went to the server.
    pub relayed: usize,
    /// Pieces of our own that went to the server.
    pub sent: usize,
    /// The most that was kept, as the length of its `Debug`.
    pub kept: usize,
}

/// A session between two streams.
struct Run<'a> {
    session: Session,
    /// What the session is shown, of the client and of the server.
    windows: [Vec<u8>; 2],
    /// What is on its way.
    coming: [VecDeque<u8>; 2],
    ended: [bool; 2],
    /// The startup packet is with the server.
    greeted: bool,
    server: Server,
    cuts: std::iter::Cycle<std::slice::Iter<'a, u8>>,
    /// The length of `Debug` of a session that keeps nothing.
    empty_len: usize,
    waits: usize,
    reached: Reached,
}

/// Holds for any events of a session that is open, whose streams come in pieces of `cuts` bytes.
pub fn hold(covers: bool, cuts: &[u8], events: &[Event]) -> Reached {
    let shared = &SHARED[usize::from(covers)];
    let mut guards = shared.guarding.guards.iter();
    let guard = guards.position(|(_, guard)| guard.tool() == "rails");
    let mut run = Run {
        session: Session::new(shared.clone(), None),
        windows: [Vec::new(), Vec::new()],
        coming: [VecDeque::new(), VecDeque::new()],
        ended: [false; 2],
        greeted: false,
        server: Server::new(guard.unwrap_or_default()),
        cuts: cuts.iter().cycle(),
        empty_len: EMPTY_LEN[usize::from(covers)],
        waits: 0,
        reached: Reached::default(),
    };
    let over = run.events(events).is_none();
    assert!(over, "both sides ended, and the session goes on");
    run.reached
}

impl Run<'_> {
    /// `None`: the session is over.
    fn events(&mut self, events: &[Event]) -> Option<()> {
        self.comes(Side::Client, b"\0\0\0\x10\0\x03\0\0user\0u\0\0")?;
        self.greeted = true;
        self.comes(Side::Server, GREETING)?;
        for event in events {
            match event {
                Event::Client(bytes) => self.comes(Side::Client, bytes)?,
                Event::Server(bytes) => self.comes(Side::Server, bytes)?,
                Event::Answer(choices) => self.answer(choices)?,
                Event::End(how) => self.end(*how)?,
            }
        }
        self.measure();
        self.end(0)?;
        self.end(1)
    }

    fn answer(&mut self, choices: &[u8]) -> Option<()> {
        let mut choices = choices.iter().copied();
        loop {
            let mut said = Vec::new();
            self.server.answer(&mut choices, &mut said);
            if said.is_empty() {
                return Some(());
            }
            self.comes(Side::Server, &said)?;
        }
    }

    fn end(&mut self, how: u8) -> Option<()> {
        match how % 4 {
            0 => self.ends(Side::Client),
            1 => self.ends(Side::Server),
            2 => self.session.stop(Stop::Drain),
            _ => self.session.stop(Stop::Now),
        }
        self.go_on()
    }

    fn ends(&mut self, side: Side) {
        self.coming[index(side)].clear();
        self.ended[index(side)] = true;
        self.session.ended(side);
    }

    /// Bytes of `side` are on their way, unless it ended; what is there is shown.
    fn comes(&mut self, side: Side, bytes: &[u8]) -> Option<()> {
        if !self.ended[index(side)] {
            self.coming[index(side)].extend(bytes);
        }
        self.go_on()
    }

    /// Shows the session what it wants, piece by piece, until it wants what is not there.
    fn go_on(&mut self) -> Option<()> {
        loop {
            let wants = self.turn()?;
            let mut came = false;
            for side in [0, 1] {
                if wants[side] > self.windows[side].len() && !self.coming[side].is_empty() {
                    let cut = self.cuts.next().copied().unwrap_or_default();
                    let most = self.coming[side].len();
                    let len = if cut == 0 { most } else { most.min(cut.into()) };
                    self.windows[side].extend(self.coming[side].drain(..len));
                    came = true;
                }
            }
            if !came {
                return Some(());
            }
        }
    }

    /// Takes actions until the session waits, and says what it wants. `None`: it is over.
    fn turn(&mut self) -> Option<[usize; 2]> {
        let mut idle = 0;
        while idle < IDLE_ACTIONS_MAX {
            idle += 1;
            match self.session.step(&self.windows[0], &self.windows[1]) {
                Action::Look(_) => self.session.looked(&Seen::Nothing),
                Action::Relay { from, len } => {
                    let bytes = self.consume(from, len);
                    if from == Side::Client && self.greeted {
                        self.server.send(&bytes);
                        self.reached.relayed += len;
                    }
                    idle = 0;
                }
                Action::Drop { from, len } => {
                    self.consume(from, len);
                    idle = 0;
                }
                Action::Send {
                    to: Side::Server,
                    bytes,
                } => {
                    self.server.send(&bytes);
                    self.reached.sent += 1;
                }
                Action::Connect => self.session.connected(),
                Action::Wait { client, server } => return Some(self.wait([client, server])),
                Action::Close(ending) => return self.latched(&ending),
                Action::Send { .. }
                | Action::Cancel { .. }
                | Action::Dismiss
                | Action::Record(_)
                | Action::Tell(_) => {}
            }
        }
        panic!("{IDLE_ACTIONS_MAX} actions without a byte");
    }

    fn consume(&mut self, from: Side, len: usize) -> Vec<u8> {
        let window = &mut self.windows[index(from)];
        assert!(
            len > 0 && len <= window.len(),
            "{len} bytes of {}",
            window.len()
        );
        window.drain(..len).collect()
    }

    fn wait(&mut self, wants: [usize; 2]) -> [usize; 2] {
        let may_come = |side: usize| !self.ended[side] && wants[side] > self.windows[side].len();
        assert!(
            may_come(0) || may_come(1),
            "a session waits for nothing: {wants:?}"
        );
        assert!(
            wants[0] <= CLIENT_WANT_MAX,
            "wants {} bytes of the client",
            wants[0]
        );
        assert!(
            wants[1] <= SERVER_WANT_MAX,
            "wants {} bytes of the server",
            wants[1]
        );
        self.waits += 1;
        if self.greeted && self.waits.is_multiple_of(MEASURED_EVERY) {
            self.measure();
        }
        wants
    }

    /// Whatever it kept is within its limits.
    fn measure(&mut self) {
        let kept = shown_len(&self.session).saturating_sub(self.empty_len);
        self.reached.kept = self.reached.kept.max(kept);
        assert!(kept <= KEPT_MAX, "{kept} characters of state");
    }

    fn latched(&mut self, ending: &Ending) -> Option<[usize; 2]> {
        let again = self.session.step(b"Q", b"Z");
        assert!(matches!(again, Action::Close(same) if same == *ending));
        None
    }
}

const fn index(side: Side) -> usize {
    match side {
        Side::Client => 0,
        Side::Server => 1,
    }
}

/// How long the `Debug` of a session is: it has all of its state.
fn shown_len(session: &Session) -> usize {
    struct Len(usize);
    impl fmt::Write for Len {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0 += text.len();
            Ok(())
        }
    }
    let mut len = Len(0);
    let _ = write!(len, "{session:?}");
    len.0
}
