//! Workloads of many sessions: storms of short ones, and many at rest.

use std::io;
use std::thread;
use std::time::Duration;

use pgpawl_integration_tests::wire::{Client, message};

use super::session::client;
use super::{Driven, Rest, Site};
use crate::{clock, process, server};

/// Clients that connect at the same time.
const STORM_CLIENTS: usize = 8;

/// Threads that open sessions to be held.
const OPENERS: usize = 4;

/// How long sessions rest before the proxy's memory is looked at: it may give buffers back a while later.
const REST: Duration = Duration::from_secs(3);

/// Sessions of one query each, one after another, by several clients; each is timed from its connection
/// to its answer.
///
/// # Errors
/// When a session fails.
pub fn storm(site: &Site) -> io::Result<Driven> {
    let began = clock::now();
    let all = in_threads(STORM_CLIENTS, |_| {
        let mut micros = Vec::new();
        while began.elapsed() < site.effort.span {
            let session_began = clock::now();
            let mut session = client(site.port, server::DATABASE)?;
            one_query(&mut session)?;
            micros.push(session_began.elapsed().as_secs_f64() * 1e6);
            // As libpq does: says so and goes.
            session.send(&message::terminate());
        }
        Ok(micros)
    })?;
    let micros = all.concat();
    Ok(Driven {
        operations: u64::try_from(micros.len()).map_err(io::Error::other)?,
        seconds: began.elapsed().as_secs_f64(),
        micros,
        rest: None,
    })
}

/// Opens many sessions of one query each, holds them, and looks at the proxy's memory.
///
/// # Errors
/// When a session fails.
pub fn idle(site: &Site) -> io::Result<Driven> {
    let resident = || site.proxy.map(process::resident_kib).transpose();
    let empty_kib = resident()?;
    let began = clock::now();
    let held = in_threads(OPENERS, |opener| {
        let mine = (opener..site.effort.sessions).step_by(OPENERS);
        mine.map(|_| {
            let mut session = client(site.port, server::DATABASE)?;
            one_query(&mut session)?;
            Ok(session)
        })
        .collect::<io::Result<Vec<Client>>>()
    })?;
    let took = began.elapsed();
    clock::rest(if site.effort.quick {
        Duration::ZERO
    } else {
        REST
    });
    let held_kib = resident()?;
    let sessions = held.iter().map(Vec::len).sum();
    drop(held);
    Ok(Driven {
        operations: u64::try_from(sessions).map_err(io::Error::other)?,
        seconds: took.as_secs_f64(),
        micros: Vec::new(),
        rest: empty_kib.zip(held_kib).map(|(empty_kib, held_kib)| Rest {
            sessions,
            empty_kib,
            held_kib,
        }),
    })
}

fn one_query(session: &mut Client) -> io::Result<()> {
    session.send(&message::query(b"SELECT 1"));
    session
        .wait_for_ready()
        .map(|_| ())
        .map_err(io::Error::other)
}

/// Runs `work` in some threads, each with its number, and returns what all of them return.
fn in_threads<T: Send>(
    count: usize,
    work: impl Fn(usize) -> io::Result<T> + Sync,
) -> io::Result<Vec<T>> {
    thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = (0..count)
            .map(|number| scope.spawn(move || work(number)))
            .collect();
        let results = threads.into_iter().map(|thread| {
            let died = |_| Err(io::Error::other("a client's thread panicked"));
            thread.join().unwrap_or_else(died)
        });
        results.collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_thread_has_its_number_and_one_failure_is_all() {
        let mut numbers = in_threads(3, Ok).expect("no failure");
        numbers.sort_unstable();
        assert_eq!(numbers, [0, 1, 2]);
        let failing = |number| {
            if number == 1 {
                Err(io::Error::other("one"))
            } else {
                Ok(number)
            }
        };
        assert!(in_threads(3, failing).is_err());
    }
}
