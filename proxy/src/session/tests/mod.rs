//! The session against a model server: its invariants over random programs and random cuts, and
//! transcripts.

mod answer;
mod data;
mod driver;
mod held;
mod holds;
mod invariants;
mod light;
mod model;
mod oracle;
mod programs;
mod recordings;
mod transcripts;

use super::{Limits, Shared};
use driver::{Cuts, Driver, Run, Step};
use model::Model;
use pgpawl_policy::{
    Guarding, Guards,
    hold::Hold,
    observed::Observed,
    rule::{Coverage, RawRule, Rules},
    screen::Screen,
};
use std::{cell::RefCell, sync::Arc};

/// The index of the guard `rails` among the built-in ones.
fn rails() -> usize {
    of(Coverage::Statement)
        .guarding
        .guards
        .iter()
        .position(|(_, guard)| guard.tool() == "rails")
        .unwrap()
}

/// One for all runs of a thread: what is guarded here learns nothing that lasts, and no session of another
/// test belongs to its runs.
fn of(coverage: Coverage) -> Arc<Shared> {
    holding(coverage, Hold::Schema)
}

/// The same for a run of which so much is held.
fn holding(coverage: Coverage, hold: Hold) -> Arc<Shared> {
    thread_local! {
        static ALL: RefCell<Vec<(Coverage, Hold, Arc<Shared>)>> = const { RefCell::new(Vec::new()) };
    }
    let shared = ALL.with_borrow_mut(|all| {
        let known = all.iter().find(|one| (one.0, one.1) == (coverage, hold));
        if let Some((_, _, shared)) = known {
            return Arc::clone(shared);
        }
        let new = shared(coverage, hold);
        all.push((coverage, hold, Arc::clone(&new)));
        new
    });
    shared.sight.forget();
    shared
}

fn shared(coverage: Coverage, hold: Hold) -> Arc<Shared> {
    let rule = RawRule {
        coverage: Some(coverage),
        hold: Some(hold),
        ..RawRule::default()
    };
    let guards = Guards::builtin();
    let screen = Screen::new(guards.iter().map(|(id, guard)| (id, guard.table())));
    Arc::new(Shared {
        guarding: Guarding {
            beside: guards.beside(),
            guards,
            rules: Rules::try_from(vec![rule]).unwrap(),
            observed: Arc::new(Observed::default()),
            screen,
            origin: "model:5432".into(),
        },
        limits: Limits {
            statement_len_max: 1 << 20,
            owed_max: 64,
            names_max: 16,
            answer_len_max: 1 << 20,
            hold_ticks_max: 50,
        },
        present: Arc::default(),
        runs: Arc::default(),
        sight: super::Sight::default(),
        allow_replication: false,
        warn_in_log_mode: false,
    })
}

/// A message of the client's.
fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let len = u32::try_from(body.len() + 4).unwrap();
    [&[tag][..], &len.to_be_bytes(), body].concat()
}

fn query(text: &str) -> Vec<u8> {
    message(b'Q', &[text.as_bytes(), b"\0"].concat())
}

fn parse(name: &str, text: &str) -> Vec<u8> {
    message(b'P', format!("{name}\0{text}\0\0\0").as_bytes())
}

fn bind(portal: &str, statement: &str) -> Vec<u8> {
    message(
        b'B',
        format!("{portal}\0{statement}\0\0\0\0\0\0\0").as_bytes(),
    )
}

fn execute(portal: &str) -> Vec<u8> {
    message(b'E', format!("{portal}\0\0\0\0\0").as_bytes())
}

fn sync() -> Vec<u8> {
    message(b'S', b"")
}

/// Drives a session between a client that sends `program` at once and a model server.
fn run(model: Model, program: &[u8], sizes: &[usize]) -> Run {
    drive(Coverage::Statement, model, &[Step::send(program)], sizes)
}

/// The same under transaction coverage.
fn run_covering(model: Model, program: &[u8], sizes: &[usize]) -> Run {
    drive(Coverage::Transaction, model, &[Step::send(program)], sizes)
}

/// The same for a client that does several things, one after another.
fn drive(coverage: Coverage, model: Model, steps: &[Step], sizes: &[usize]) -> Run {
    Driver::new(of(coverage), model, sizes).run(steps)
}

/// The frames of a stream as lines: type and what identifies it.
fn lines(mut stream: &[u8]) -> Vec<String> {
    let mut lines = Vec::new();
    while let [tag, a, b, c, d, rest @ ..] = stream {
        let len = usize::try_from(u32::from_be_bytes([*a, *b, *c, *d])).unwrap() - 4;
        let body = &rest[..len];
        stream = &rest[len..];
        let text = |bytes: &[u8]| {
            let parts = bytes
                .split(|b| *b == 0)
                .map(|s| String::from_utf8_lossy(s).into_owned());
            parts.collect::<Vec<_>>()
        };
        lines.push(match tag {
            b'Z' => format!("ReadyForQuery {}", char::from(body[0])),
            b'C' => format!("CommandComplete {}", text(body)[0]),
            b'E' | b'N' => {
                let fields = text(body);
                let code = fields
                    .iter()
                    .find_map(|f| f.strip_prefix('C'))
                    .unwrap_or("?");
                format!(
                    "{} {code}",
                    if *tag == b'E' {
                        "ErrorResponse"
                    } else {
                        "NoticeResponse"
                    }
                )
            }
            other => format!("{}", char::from(*other)),
        });
    }
    assert!(stream.is_empty(), "a frame is cut off");
    lines
}
