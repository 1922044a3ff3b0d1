//! What must pass beside the matrix: ways back that an operator allows, and two runs at once.

use pgpawl_integration_tests::matrix::{Hold, Journey, Way};
use pgpawl_integration_tests::pgpawl::Pgpawl;
use pgpawl_integration_tests::postgres::Postgres;
use pgpawl_integration_tests::snapshot;
use pgpawl_integration_tests::tool::Tool;

use crate::{alembic, knex, rails, sequelize, sqitch};

/// pgpawl with a rule that lets this role go down: nothing of it is held.
fn allowing(config: &str) -> Pgpawl {
    let rule = "[[rule]]\nuser = \"owner\"\nmode = \"log\"\n";
    Pgpawl::before(Postgres::shared().port())
        .config(&[Hold::Schema.line(), rule, config].concat())
        .start()
}

/// Up to the third version, and again by `redo`: everything is as it was, and an event tells of it.
fn assert_redone(journey: &Journey, redo: &[fn(u16, &str) -> Tool]) {
    let postgres = Postgres::shared();
    let pgpawl = allowing(&(journey.config)());
    let database = postgres.database(&format!("{}_redo", journey.tool));
    let third = Way::Up { to: 3, count: 3 };
    (journey.command)(third, pgpawl.port(), &database)
        .run()
        .succeeded("up");
    let before = snapshot::without_rows_of(&database, journey.own);
    for command in redo {
        command(pgpawl.port(), &database).run().succeeded("redo");
    }
    let after = snapshot::without_rows_of(&database, journey.own);
    snapshot::assert_same("a version that is redone", &after, &before);
    let _ = pgpawl.wait_for_event(&[("database", &database), ("verdict", "would-refuse")]);
}

#[test]
fn rails_redoes_a_version() {
    assert_redone(
        &rails::by_default::JOURNEY,
        &[|port, database| rails::redo("on", port, database)],
    );
    assert_redone(
        &rails::without_ddl_transactions::JOURNEY,
        &[|port, database| rails::redo("off", port, database)],
    );
}

#[test]
fn alembic_goes_down_and_up() {
    let journey = &alembic::blocks_by_psycopg2::JOURNEY;
    assert_redone(
        journey,
        &[
            |port, database| {
                (alembic::blocks_by_psycopg2::JOURNEY.command)(Way::Down, port, database)
            },
            |port, database| {
                let third = Way::Up { to: 3, count: 1 };
                (alembic::blocks_by_psycopg2::JOURNEY.command)(third, port, database)
            },
        ],
    );
}

#[test]
fn sqitch_rebases() {
    assert_redone(&sqitch::without_verify::JOURNEY, &[sqitch::rebase]);
}

/// Its lock is a row.
#[test]
fn two_of_knex() {
    knex::by_default::JOURNEY.two_at_once();
}

/// Its lock is an advisory one, on a connection of its own.
#[test]
fn two_of_rails() {
    rails::by_default::JOURNEY.two_at_once();
    rails::without_ddl_transactions::JOURNEY.two_at_once();
}

/// It has none: the server's locks decide.
#[test]
fn two_of_sequelize() {
    sequelize::by_default::JOURNEY.two_at_once();
}
