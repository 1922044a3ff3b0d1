//! What light batches rely on.

use super::{
    Model, Step, bind, drive, execute, invariants::answers, model::FOREIGN, parse, query, sync,
};
use pgpawl_policy::rule::Coverage;

#[test]
fn behind_a_pooler_the_check_is_parsed_each_time() {
    let mut model = Model::new(&["1", "2"]);
    model.pooled = true;
    let select = [parse("", "SELECT 1"), bind("", ""), execute(""), sync()].concat();
    let program = [query("SELECT 1"), select.clone(), query("SELECT 1"), select];
    let steps: Vec<Step> = program.into_iter().map(Step::Send).collect();
    let run = drive(Coverage::Transaction, model, &steps, &[]);
    assert!(run.ending.is_none());
    let done = answers(&run.client);
    let selected = done
        .iter()
        .filter(|line| *line == "CommandComplete SELECT 1");
    assert_eq!(selected.count(), 4, "{done:?}");
    let executed = &run.model.executed;
    assert!(!executed.iter().any(|text| text == FOREIGN), "{executed:?}");
}
