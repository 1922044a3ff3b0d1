//! What a client sees of held commits, line by line.

use super::{
    Model, Run, Step, bind, data::Data, drive, execute, invariants::answers, parse, query, sync,
};
use crate::session::Fate;
use pgpawl_policy::rule::Coverage;

const LOOK: &str = "SELECT version FROM schema_migrations";
const UP: &str = "INSERT INTO schema_migrations VALUES ('3')";
const DOWN: &str = "DELETE FROM schema_migrations WHERE version = '2'";

/// A run of these messages under both coverages: what the client gets behind its first look, and what
/// there is in the end, before the client leaves.
fn check(program: &[Vec<u8>], expect: &[&str], schema: &[&str], fates: &[(Fate, &str)]) {
    for coverage in [Coverage::Statement, Coverage::Transaction] {
        let run = run(coverage, program);
        let told = answers(&run.client);
        assert_eq!(told[4..], *expect, "server did {:?}", run.model.executed);
        let Data { schema: found, .. } = &run.model.committed;
        assert_eq!(found.iter().collect::<Vec<_>>(), schema);
        assert_eq!(run.fates, fates);
        assert!(run.ending.is_none());
    }
}

fn run(coverage: Coverage, program: &[Vec<u8>]) -> Run {
    let all = [vec![query(LOOK)], program.to_vec()].concat();
    let steps: Vec<Step> = all.into_iter().map(Step::Send).collect();
    drive(coverage, Model::new(&["1", "2"]), &steps, &[])
}

fn extended(texts: &[&str]) -> Vec<u8> {
    let one = |text: &&str| [parse("", text), bind("", ""), execute("")].concat();
    let all: Vec<Vec<u8>> = texts.iter().map(one).collect();
    [all.concat(), sync()].concat()
}

/// A held transaction that set a savepoint.
fn held() -> Vec<u8> {
    query("BEGIN; SAVEPOINT a; CREATE TABLE t1; COMMIT")
}

const HELD: [&str; 5] = [
    "CommandComplete BEGIN",
    "CommandComplete SAVEPOINT",
    "CommandComplete CREATE TABLE",
    "CommandComplete COMMIT",
    "ReadyForQuery I",
];

/// Between a held transaction and its record comes what is answered by `told`, and leaves what is held as it
/// was.
fn check_between(between: &[Vec<u8>], told: &[&str]) {
    let recorded = ["CommandComplete INSERT 0 1", "ReadyForQuery I"];
    check(
        &[&[held()], between, &[query(UP)]].concat(),
        &[&HELD, told, &recorded].concat(),
        &["t1"],
        &[(Fate::Held, "schema")],
    );
}

#[test]
fn a_schema_change_is_held_until_it_is_recorded() {
    check(&[held()], &HELD, &[], &[(Fate::Held, "schema")]);
    check_between(&[], &[]);
}

#[test]
fn a_schema_change_goes_with_the_refused_record() {
    let refused = ["ErrorResponse 42501", "ReadyForQuery I"];
    check(
        &[held(), query(DOWN)],
        &[&HELD[..], &refused].concat(),
        &[],
        &[(Fate::Held, "schema"), (Fate::RolledBack, "refused")],
    );
}

/// Records in a row, of which the second is expected: it is committed in one flight with its check.
#[test]
fn a_record_that_is_expected_goes_with_its_commit() {
    let steps = [
        LOOK,
        UP,
        "CREATE TABLE t1",
        "INSERT INTO schema_migrations VALUES ('4')",
        "SELECT 1",
    ];
    let steps: Vec<Step> = steps.map(|text| Step::Send(query(text))).into();
    let run = drive(Coverage::Transaction, Model::new(&["1", "2"]), &steps, &[]);
    let told = answers(&run.client);
    let inserted = ["CommandComplete INSERT 0 1", "ReadyForQuery I"];
    let created = ["CommandComplete CREATE TABLE", "ReadyForQuery I"];
    let selected = ["CommandComplete SELECT 1", "ReadyForQuery I"];
    let expect = [&inserted[..], &created, &inserted, &["T", "D"], &selected].concat();
    assert_eq!(told[told.len() - expect.len()..], *expect);
    assert_eq!(run.fates, [(Fate::Held, "schema")]);
    assert_eq!(run.model.committed.versions.len(), 4);
    assert!(run.model.committed.schema.contains("t1"));
    assert_eq!(run.model.records, 1);
}

#[test]
fn what_lasts_longer_in_a_longer_transaction_is_not_held() {
    for lasting in ["LISTEN c", "SET LOCAL ROLE owner"] {
        for coverage in [Coverage::Statement, Coverage::Transaction] {
            let program = ["BEGIN", lasting, "CREATE TABLE t1", "COMMIT"].map(query);
            let run = run(coverage, &program);
            assert_eq!(run.fates, [], "{lasting}");
            assert!(run.model.committed.schema.contains("t1"));
        }
    }
}

#[test]
fn a_savepoint_of_an_earlier_transaction_is_not_found_behind_one_that_is_released() {
    check_between(
        &[
            query("BEGIN; SAVEPOINT a; RELEASE a"),
            query("ROLLBACK TO a"),
            query("ROLLBACK"),
        ],
        &[
            "CommandComplete BEGIN",
            "CommandComplete SAVEPOINT",
            "CommandComplete RELEASE",
            "ReadyForQuery T",
            "ErrorResponse 3B001",
            "ReadyForQuery E",
            "CommandComplete ROLLBACK",
            "ReadyForQuery I",
        ],
    );
}

#[test]
fn a_savepoint_that_a_failed_transaction_cannot_set_is_none() {
    check_between(
        &[
            query("BEGIN"),
            query("FAIL"),
            query("SAVEPOINT a"),
            query("RELEASE a"),
            query("ROLLBACK TO a"),
            query("COMMIT"),
        ],
        &[
            "CommandComplete BEGIN",
            "ReadyForQuery T",
            "ErrorResponse XX000",
            "ReadyForQuery E",
            "ErrorResponse 25P02",
            "ReadyForQuery E",
            "ErrorResponse 25P02",
            "ReadyForQuery E",
            "ErrorResponse 3B001",
            "ReadyForQuery E",
            "CommandComplete ROLLBACK",
            "ReadyForQuery I",
        ],
    );
}

#[test]
fn a_savepoint_of_an_earlier_transaction_is_not_found_by_a_pipeline() {
    check_between(
        &[extended(&["CREATE TABLE t2", "ROLLBACK TO a"])],
        &[
            "1",
            "2",
            "CommandComplete CREATE TABLE",
            "1",
            "2",
            "ErrorResponse 3B001",
            "ReadyForQuery I",
        ],
    );
}

#[test]
fn a_commit_that_fails_leaves_what_is_held() {
    for commit in [query("COMMIT"), extended(&["COMMIT"])] {
        let bound: &[&str] = if commit[0] == b'P' { &["1", "2"] } else { &[] };
        check_between(
            &[query("BEGIN; CREATE TABLE t2; DEFER"), commit],
            &[
                &[
                    "CommandComplete BEGIN",
                    "CommandComplete CREATE TABLE",
                    "CommandComplete INSERT 0 1",
                    "ReadyForQuery T",
                ],
                bound,
                &["ErrorResponse 23503", "ReadyForQuery I"],
            ]
            .concat(),
        );
    }
}

#[test]
fn a_query_without_a_block_cannot_chain() {
    let failed = ["ErrorResponse 25P01", "ReadyForQuery I"];
    for chain in ["COMMIT AND CHAIN", "ROLLBACK AND CHAIN"] {
        check(
            &[held(), query(&format!("CREATE TABLE t2; {chain}"))],
            &[&HELD[..], &["CommandComplete CREATE TABLE"], &failed].concat(),
            &["t1"],
            &[(Fate::Held, "schema"), (Fate::Committed, "statement")],
        );
    }
    check(
        &[query(&format!("{UP}; COMMIT AND CHAIN"))],
        &[&["CommandComplete INSERT 0 1"][..], &failed].concat(),
        &[],
        &[],
    );
}

#[test]
fn a_batch_that_comes_to_change_the_schema_ends_at_its_sync() {
    check(
        &[
            extended(&["INSERT INTO users VALUES ('1')", "CREATE TABLE t1"]),
            query(UP),
        ],
        &[
            "1",
            "2",
            "CommandComplete INSERT 0 1",
            "1",
            "2",
            "CommandComplete CREATE TABLE",
            "ReadyForQuery I",
            "CommandComplete INSERT 0 1",
            "ReadyForQuery I",
        ],
        &["t1"],
        &[(Fate::Held, "schema")],
    );
}
