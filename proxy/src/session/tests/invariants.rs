//! The session's nine invariants, over random programs and random cuts.

use super::{
    Cuts, Driver, Model, lines, of,
    programs::{cuts, hidden, hidden_upward, other, program, statement, upward},
    query, run, run_covering,
};
use pgpawl_policy::rule::Coverage;
use proptest::prelude::*;

/// What a direct connection to the model would see.
fn direct(program: &[u8]) -> Model {
    let mut model = Model::new(&["1", "2"]);
    model.feed(program);
    model
}

pub(super) fn never_lowers(model: &Model) -> bool {
    model
        .history
        .windows(2)
        .all(|pair| pair[1].versions.is_superset(&pair[0].versions))
}

proptest! {
    #[test]
    fn fragmentation_does_not_matter(program in program(statement(), true), cuts in cuts()) {
        let whole = run(Model::new(&["1", "2"]), &program, &[]);
        let cut = run(Model::new(&["1", "2"]), &program, &cuts);
        prop_assert_eq!(lines(&whole.client), lines(&cut.client));
        prop_assert_eq!(whole.model.history, cut.model.history);
        prop_assert_eq!(whole.refused, cut.refused);
    }

    #[test]
    fn allowed_traffic_is_untouched(program in program(other(), true), cuts in cuts()) {
        let run = run(Model::new(&["1", "2"]), &program, &cuts);
        let direct = direct(&program);
        // A Flush of ours may stand between: it changes nothing.
        prop_assert_eq!(without_flush(&run.server), program);
        prop_assert_eq!(run.client, direct.output);
    }

    #[test]
    fn refused_bytes_never_reach_the_server(program in program(statement(), true), cuts in cuts()) {
        let run = run(Model::new(&["1", "2"]), &program, &cuts);
        prop_assert!(never_lowers(&run.model), "{:?}", run.model.history);
    }

    #[test]
    fn an_upgrade_gives_what_it_gives_directly(program in program(upward(), false), cuts in cuts()) {
        let run = run(Model::new(&["1", "2"]), &program, &cuts);
        let direct = direct(&program);
        prop_assert_eq!(&run.model.history, &direct.history);
        prop_assert_eq!(answers(&run.client), answers(&direct.output));
    }

    #[test]
    fn nothing_hidden_lowers_under_transaction_coverage(program in program(hidden(), true), cuts in cuts()) {
        let run = run_covering(Model::new(&["1", "2"]), &program, &cuts);
        prop_assert!(never_lowers(&run.model), "{:?}", run.model.history);
        let last = lines(&run.client).into_iter().rfind(|l| l.starts_with("Ready"));
        prop_assert_eq!(last, Some(format!("ReadyForQuery {}", run.model.status())));
    }

    #[test]
    fn what_never_lowers_passes_under_transaction_coverage(program in program(hidden_upward(), false), cuts in cuts()) {
        let run = run_covering(Model::new(&["1", "2"]), &program, &cuts);
        let direct = direct(&program);
        prop_assert_eq!(&run.model.history, &direct.history);
        prop_assert_eq!(answers(&run.client), answers(&direct.output));
    }

    #[test]
    fn answers_keep_their_order(program in program(statement(), true), cuts in cuts()) {
        // Each Sync and each Query that the server did not skip is answered by one ReadyForQuery.
        let run = run(Model::new(&["1", "2"]), &program, &cuts);
        let ready = |stream: &[u8]| lines(stream).iter().filter(|l| l.starts_with("Ready")).count();
        let syncs = count(&program, b'S');
        let queries = count(&program, b'Q');
        prop_assert!((syncs..=syncs + queries).contains(&ready(&run.client)));
        prop_assert!(run.ending.is_none(), "{:?}", run.ending);
    }

    #[test]
    fn status_is_the_servers(program in program(statement(), true), cuts in cuts()) {
        let run = run(Model::new(&["1", "2"]), &program, &cuts);
        let last = lines(&run.client).into_iter().rfind(|l| l.starts_with("Ready"));
        prop_assert_eq!(last, Some(format!("ReadyForQuery {}", run.model.status())));
    }

    #[test]
    fn no_bytes_panic(client in prop::collection::vec(any::<u8>(), 0..200), server in prop::collection::vec(any::<u8>(), 0..200), cuts in cuts()) {
        let mut driver = Driver::new(of(Coverage::Statement), Model::new(&[]), &cuts);
        driver.client.extend_from_slice(b"\0\0\0\x10\0\x03\0\0user\0u\0\0");
        driver.client.extend_from_slice(&client);
        driver.model.greeted(&[]);
        let mut cuts = Cuts { sizes: &cuts, next: 0 };
        let mut left = &server[..];
        for _ in 0..2_000 {
            match driver.step() {
                Some(Ok(())) => {}
                Some(Err(_)) => break,
                None if left.is_empty() => break,
                None => {
                    let piece = cuts.piece(left.len());
                    driver.server.extend_from_slice(&left[..piece]);
                    left = &left[piece..];
                }
            }
        }
    }

    #[test]
    fn terminal_is_latched(client in prop::collection::vec(any::<u8>(), 1..80), cuts in cuts()) {
        let mut driver = Driver::new(of(Coverage::Statement), Model::new(&[]), &cuts);
        driver.client.extend_from_slice(b"\0\0\0\x08bad!");
        driver.client.extend_from_slice(&client);
        let ending = (0..100).find_map(|_| driver.step().and_then(Result::err));
        let ending = ending.expect("no startup packet");
        for _ in 0..3 {
            driver.client.extend_from_slice(&client);
            prop_assert_eq!(driver.step().and_then(Result::err), Some(ending.clone()));
        }
    }

    #[test]
    fn held_bytes_are_bounded(rows in 1..200usize, cuts in cuts()) {
        // However much a judged statement answers, only its last CommandComplete is held.
        let text = format!("INSERT INTO schema_migrations VALUES ('3'){}", "; SELECT 1".repeat(rows));
        let program = [query("BEGIN"), query(&text)].concat();
        let run = run(Model::new(&["1", "2"]), &program, &cuts);
        prop_assert_eq!(lines(&run.client).len(), 2 + 3 * rows + 2);
        prop_assert!(run.held_max <= 64, "{} bytes were held", run.held_max);
    }

    #[test]
    fn same_input_same_output(program in program(statement(), true), cuts in cuts()) {
        let first = run(Model::new(&["1", "2"]), &program, &cuts);
        let second = run(Model::new(&["1", "2"]), &program, &cuts);
        prop_assert_eq!(first.client, second.client);
        prop_assert_eq!(first.server, second.server);
    }
}

/// What a stream answers. The warnings of transaction control in a wrapped block differ.
pub(super) fn answers(stream: &[u8]) -> Vec<String> {
    let mut lines = lines(stream);
    lines.retain(|line| !line.starts_with("NoticeResponse"));
    lines
}

fn without_flush(mut stream: &[u8]) -> Vec<u8> {
    let mut kept = Vec::new();
    while let [tag, a, b, c, d, ..] = stream {
        let len = 1 + usize::try_from(u32::from_be_bytes([*a, *b, *c, *d])).unwrap();
        if *tag != b'H' {
            kept.extend_from_slice(&stream[..len]);
        }
        stream = &stream[len..];
    }
    kept
}

pub(super) fn count(mut stream: &[u8], wanted: u8) -> usize {
    let mut found = 0;
    while let [tag, a, b, c, d, ..] = stream {
        found += usize::from(*tag == wanted);
        stream = &stream[1 + usize::try_from(u32::from_be_bytes([*a, *b, *c, *d])).unwrap()..];
    }
    found
}
