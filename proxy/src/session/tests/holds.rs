//! The session's invariants while commits are held: programs of migration runs, under both coverages.

use super::{
    Driver, Model, Step, drive, holding,
    invariants::{answers, count, never_lowers},
    lines,
    oracle::{Act, Oracle},
    programs::{cuts, migrating, migrating_both_ways, migration, transactions},
};
use crate::session::Fate;
use pgpawl_policy::{hold::Hold, rule::Coverage};
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};

fn coverage() -> impl Strategy<Value = Coverage> {
    prop::sample::select(vec![Coverage::Statement, Coverage::Transaction])
}

fn server() -> Model {
    Model::new(&["1", "2"])
}

/// What a direct connection to the model would see.
fn direct(steps: &[Step]) -> Model {
    let mut model = server();
    for step in steps {
        match step {
            Step::Send(bytes) => model.feed(bytes),
            Step::Leave => model.end(),
            Step::Ticks(_) | Step::Wait => {}
        }
    }
    model
}

/// All that the client sends.
fn sent(steps: &[Step]) -> Vec<u8> {
    let sent = steps.iter().filter_map(|step| match step {
        Step::Send(bytes) => Some(bytes.as_slice()),
        Step::Ticks(_) | Step::Wait | Step::Leave => None,
    });
    sent.collect::<Vec<_>>().concat()
}

/// Whether the states of `some` are among those of `all`, in their order.
fn is_within<T: PartialEq>(some: &[T], all: &[T]) -> bool {
    let mut all = all.iter();
    some.iter().all(|one| all.any(|other| other == one))
}

/// What was settled, and why, in programs of both kinds that are always the same.
fn fates(programs: usize) -> Vec<Vec<(Fate, &'static str)>> {
    let mut runner = TestRunner::deterministic();
    let strategy = (
        coverage(),
        migration(migrating_both_ways(), true),
        transactions(),
    );
    let mut fates = Vec::new();
    for _ in 0..programs {
        let (coverage, steps, acts) = strategy.new_tree(&mut runner).unwrap().current();
        let acts = acts.iter().map(Act::step).chain([Step::Leave]);
        for steps in [steps, acts.collect()] {
            fates.push(drive(coverage, server(), &steps, &[]).fates);
        }
    }
    fates
}

/// The programs of this file hold commits, and settle them in every way.
#[test]
fn programs_hold_commits() {
    let fates = fates(150);
    let share = |fate: &(Fate, &str)| {
        let with = fates.iter().filter(|told| told.contains(fate)).count();
        100 * with / fates.len()
    };
    let shares = [
        (Fate::Held, "schema", 50),
        (Fate::RolledBack, "refused", 5),
        (Fate::Committed, "version_table", 1),
        (Fate::Committed, "statement", 10),
        (Fate::Committed, "lock", 3),
        (Fate::Committed, "hold_max_ms", 3),
        (Fate::Committed, "session_end", 10),
    ];
    for (fate, why, least) in shares {
        let share = share(&(fate, why));
        assert!(share >= least, "{fate:?} {why} in {share} % only");
    }
    let lost = fates.iter().flatten().any(|(fate, _)| *fate == Fate::Lost);
    assert!(!lost, "the server could not commit what was held");
}

proptest! {
    #[test]
    fn a_run_gets_what_it_gets_directly(
        coverage in coverage(), program in migration(migrating(), false), cuts in cuts()
    ) {
        let run = drive(coverage, server(), &program, &cuts);
        let direct = direct(&program);
        prop_assert_eq!(answers(&run.client), answers(&direct.output));
        prop_assert_eq!(&run.model.committed, &direct.committed);
        prop_assert!(is_within(&run.model.history, &direct.history), "{:?}", run.model.history);
        prop_assert_eq!(run.refused, 0);
    }

    #[test]
    fn what_is_held_goes_with_its_record(
        hides in any::<bool>(), writes in any::<bool>(), acts in transactions(), leaves in any::<bool>(), cuts in cuts()
    ) {
        let coverage = if hides { Coverage::Transaction } else { Coverage::Statement };
        let shown = |act: &&Act| hides || !format!("{act:?}").contains("HIDE");
        let acts: Vec<Act> = acts.iter().filter(shown).cloned().collect();
        let mut oracle = Oracle::new(server(), writes);
        for act in &acts {
            oracle.act(act);
        }
        let mut steps: Vec<Step> = acts.iter().map(Act::step).collect();
        if leaves {
            steps.push(Step::Leave);
            oracle.leave();
        }
        let hold = if writes { Hold::Writes } else { Hold::Schema };
        let shared = holding(coverage, hold);
        let run = Driver::new(shared, server(), &cuts).run(&steps);
        prop_assert_eq!(answers(&run.client), oracle.answers);
        prop_assert_eq!(&run.model.history, &oracle.settled);
    }

    #[test]
    fn no_run_lowers(
        coverage in coverage(), program in migration(migrating_both_ways(), true), cuts in cuts()
    ) {
        let run = drive(coverage, server(), &program, &cuts);
        prop_assert!(never_lowers(&run.model), "{:?}", run.model.history);
        prop_assert!(run.held_max <= 64, "{} bytes were held", run.held_max);
    }

    #[test]
    fn fragmentation_does_not_matter_to_a_run(
        coverage in coverage(), program in migration(migrating_both_ways(), true), cuts in cuts()
    ) {
        let whole = drive(coverage, server(), &program, &[]);
        let cut = drive(coverage, server(), &program, &cuts);
        prop_assert_eq!(lines(&whole.client), lines(&cut.client));
        prop_assert_eq!(whole.model.history, cut.model.history);
        prop_assert_eq!(whole.fates, cut.fates);
        prop_assert_eq!(whole.refused, cut.refused);
    }

    #[test]
    fn answers_to_a_run_keep_their_order(
        coverage in coverage(), program in migration(migrating_both_ways(), true), cuts in cuts()
    ) {
        let run = drive(coverage, server(), &program, &cuts);
        let ready = lines(&run.client).iter().filter(|line| line.starts_with("Ready")).count();
        let sent = sent(&program);
        let (syncs, queries) = (count(&sent, b'S'), count(&sent, b'Q'));
        prop_assert!((syncs..=syncs + queries).contains(&ready));
    }

    #[test]
    fn status_is_the_servers_or_held(
        coverage in coverage(), mut program in migration(migrating_both_ways(), true), cuts in cuts()
    ) {
        // Before the client leaves.
        program.truncate(program.len() - 2);
        let run = drive(coverage, server(), &program, &cuts);
        let told = lines(&run.client).into_iter().rfind(|line| line.starts_with("Ready"));
        let status = run.model.status();
        let held = told.as_deref() == Some("ReadyForQuery I") && run.holds && status == 'T';
        prop_assert!(held || told == Some(format!("ReadyForQuery {status}")), "{told:?} in {status}");
    }

    #[test]
    fn same_run_same_output(
        coverage in coverage(), program in migration(migrating_both_ways(), true), cuts in cuts()
    ) {
        let first = drive(coverage, server(), &program, &cuts);
        let second = drive(coverage, server(), &program, &cuts);
        prop_assert_eq!(first.client, second.client);
        prop_assert_eq!(first.server, second.server);
    }
}
