//! What a client sees, line by line, for the ways in which a version can be lowered.

use super::{Model, bind, execute, lines, message, parse, query, run, sync};

const UP: &str = "INSERT INTO schema_migrations VALUES ('3')";
const DOWN: &str = "DELETE FROM schema_migrations WHERE version = '2'";

/// Runs a program and compares what the client gets, and what is committed at the end.
fn check(program: &[Vec<u8>], expect: &[&str], committed: &[&str]) {
    let program = program.concat();
    for sizes in [&[][..], &[1], &[7, 1, 100]] {
        let run = run(Model::new(&["1", "2"]), &program, sizes);
        assert_eq!(
            lines(&run.client),
            expect,
            "cuts {sizes:?}, server did {:?}",
            run.model.executed
        );
        let set = &run.model.committed.versions;
        assert!(set.iter().eq(committed), "{set:?}");
        assert!(run.ending.is_none());
    }
}

#[test]
fn an_upgrade_in_autocommit_passes() {
    check(
        &[query(UP)],
        &["CommandComplete INSERT 0 1", "ReadyForQuery I"],
        &["1", "2", "3"],
    );
}

#[test]
fn a_downgrade_in_autocommit_is_refused() {
    check(
        &[query(DOWN)],
        &["ErrorResponse 42501", "ReadyForQuery I"],
        &["1", "2"],
    );
}

#[test]
fn a_downgrade_in_a_block_is_refused_at_its_statement_and_aborts_the_block() {
    check(
        &[
            query("BEGIN"),
            query(DOWN),
            query("SELECT 1"),
            query("COMMIT"),
            query("SELECT 1"),
        ],
        &[
            "CommandComplete BEGIN",
            "ReadyForQuery T",
            "ErrorResponse 42501",
            "ReadyForQuery E",
            "ErrorResponse 25P02",
            "ReadyForQuery E",
            "CommandComplete ROLLBACK",
            "ReadyForQuery I",
            "T",
            "D",
            "CommandComplete SELECT 1",
            "ReadyForQuery I",
        ],
        &["1", "2"],
    );
}

#[test]
fn a_string_with_its_own_commit_is_refused_before_it_commits() {
    let text = format!("BEGIN; {DOWN}; COMMIT; SELECT 1");
    check(
        &[query(&text)],
        &[
            "CommandComplete BEGIN",
            "ErrorResponse 42501",
            "ReadyForQuery E",
        ],
        &["1", "2"],
    );
    let text = format!("SELECT 1; {UP}; COMMIT; {DOWN}");
    check(
        &[query(&text)],
        &[
            "T",
            "D",
            "CommandComplete SELECT 1",
            "CommandComplete INSERT 0 1",
            "NoticeResponse 25P01",
            "CommandComplete COMMIT",
            "ErrorResponse 42501",
            "ReadyForQuery I",
        ],
        &["1", "2", "3"],
    );
}

#[test]
fn an_error_within_a_string_rolls_back_what_is_implicit() {
    let text = format!("{UP}; FAIL; SELECT 1");
    check(
        &[query(&text), query("SELECT 1")],
        &[
            "CommandComplete INSERT 0 1",
            "ErrorResponse XX000",
            "ReadyForQuery I",
            "T",
            "D",
            "CommandComplete SELECT 1",
            "ReadyForQuery I",
        ],
        &["1", "2"],
    );
}

#[test]
fn an_extended_downgrade_is_refused_where_it_would_have_run() {
    check(
        &[
            parse("", DOWN),
            bind("", ""),
            execute(""),
            sync(),
            query("SELECT 1"),
        ],
        &[
            "1",
            "2",
            "ErrorResponse 42501",
            "ReadyForQuery I",
            "T",
            "D",
            "CommandComplete SELECT 1",
            "ReadyForQuery I",
        ],
        &["1", "2"],
    );
}

#[test]
fn an_extended_upgrade_in_a_pipeline_passes_unchanged() {
    check(
        &[
            parse("s", UP),
            bind("", "s"),
            execute(""),
            parse("", "SELECT 1"),
            bind("", ""),
            execute(""),
            sync(),
        ],
        &[
            "1",
            "2",
            "CommandComplete INSERT 0 1",
            "1",
            "2",
            "D",
            "CommandComplete SELECT 1",
            "ReadyForQuery I",
        ],
        &["1", "2", "3"],
    );
}

#[test]
fn a_statement_prepared_long_ago_is_refused_when_it_is_executed() {
    check(
        &[
            parse("down", DOWN),
            sync(),
            parse("c", "COMMIT"),
            sync(),
            query("BEGIN"),
            query(UP),
            bind("", "c"),
            execute(""),
            sync(),
            bind("", "down"),
            execute(""),
            sync(),
        ],
        &[
            "1",
            "ReadyForQuery I",
            "1",
            "ReadyForQuery I",
            "CommandComplete BEGIN",
            "ReadyForQuery T",
            "CommandComplete INSERT 0 1",
            "ReadyForQuery T",
            "2",
            "CommandComplete COMMIT",
            "ReadyForQuery I",
            "2",
            "ErrorResponse 42501",
            "ReadyForQuery I",
        ],
        &["1", "2", "3"],
    );
}

#[test]
fn a_skipped_parse_does_not_hide_a_downgrade() {
    check(
        &[
            parse("", DOWN),
            sync(),
            parse("x", "BAD"),
            parse("", "SELECT 1"),
            sync(),
            bind("", ""),
            execute(""),
            sync(),
        ],
        &[
            "1",
            "ReadyForQuery I",
            "ErrorResponse 42601",
            "ReadyForQuery I",
            "2",
            "ErrorResponse 42501",
            "ReadyForQuery I",
        ],
        &["1", "2"],
    );
}

#[test]
fn a_failing_statement_in_a_wrapped_pipeline_leaves_the_session_idle() {
    check(
        &[
            parse("", UP),
            bind("", ""),
            execute(""),
            parse("", "FAIL"),
            bind("", ""),
            execute(""),
            sync(),
            query("SELECT 1"),
        ],
        &[
            "1",
            "2",
            "CommandComplete INSERT 0 1",
            "1",
            "2",
            "ErrorResponse XX000",
            "ReadyForQuery I",
            "T",
            "D",
            "CommandComplete SELECT 1",
            "ReadyForQuery I",
        ],
        &["1", "2"],
    );
}

#[test]
fn a_copy_into_the_table_is_checked_at_its_end() {
    check(
        &[
            query("COPY schema_migrations FROM STDIN"),
            message(b'd', b"x\n"),
            message(b'c', b""),
            query("SELECT 1"),
        ],
        &[
            "G",
            "CommandComplete COPY 1",
            "ReadyForQuery I",
            "T",
            "D",
            "CommandComplete SELECT 1",
            "ReadyForQuery I",
        ],
        &["1", "2", "copied"],
    );
}

#[test]
fn what_cannot_be_read_is_refused_and_the_session_lives() {
    let program = [query("BEGIN"), query(UP), query("ROLLBACK"), query(UP)].concat();
    let mut model = Model::new(&["1", "2"]);
    model.readable = false;
    let run = run(model, &program, &[]);
    assert_eq!(
        lines(&run.client),
        [
            "CommandComplete BEGIN",
            "ReadyForQuery T",
            "ErrorResponse 42501",
            "ReadyForQuery E",
            "CommandComplete ROLLBACK",
            "ReadyForQuery I",
            "ErrorResponse 42501",
            "ReadyForQuery I",
        ]
    );
}

#[test]
fn a_new_transaction_by_chain_is_read_anew() {
    check(
        &[
            query("BEGIN"),
            query(UP),
            query("COMMIT AND CHAIN"),
            query(DOWN),
            query("ROLLBACK"),
        ],
        &[
            "CommandComplete BEGIN",
            "ReadyForQuery T",
            "CommandComplete INSERT 0 1",
            "ReadyForQuery T",
            "CommandComplete COMMIT",
            "ReadyForQuery T",
            "ErrorResponse 42501",
            "ReadyForQuery E",
            "CommandComplete ROLLBACK",
            "ReadyForQuery I",
        ],
        &["1", "2", "3"],
    );
}

#[test]
fn a_failed_block_that_is_ended_by_a_prepared_statement_is_over() {
    check(
        &[
            query("BEGIN"),
            query(DOWN),
            parse("", "COMMIT"),
            bind("", ""),
            execute(""),
            parse("", DOWN),
            bind("", ""),
            execute(""),
            sync(),
        ],
        &[
            "CommandComplete BEGIN",
            "ReadyForQuery T",
            "ErrorResponse 42501",
            "ReadyForQuery E",
            "1",
            "2",
            "CommandComplete ROLLBACK",
            "1",
            "2",
            "ErrorResponse 42501",
            "ReadyForQuery I",
        ],
        &["1", "2"],
    );
}

#[test]
fn a_failed_block_that_goes_on_from_a_savepoint_is_watched() {
    check(
        &[
            query("BEGIN"),
            query("SAVEPOINT a"),
            query("FAIL"),
            parse("", "ROLLBACK TO a"),
            bind("", ""),
            execute(""),
            parse("", DOWN),
            bind("", ""),
            execute(""),
            sync(),
            query("COMMIT"),
        ],
        &[
            "CommandComplete BEGIN",
            "ReadyForQuery T",
            "CommandComplete SAVEPOINT",
            "ReadyForQuery T",
            "ErrorResponse XX000",
            "ReadyForQuery E",
            "1",
            "2",
            "CommandComplete ROLLBACK",
            "1",
            "2",
            "ErrorResponse 42501",
            "ReadyForQuery E",
            "CommandComplete ROLLBACK",
            "ReadyForQuery I",
        ],
        &["1", "2"],
    );
}
