//! Planted bugs: the oracle finds each, under the name that the table gives, and finds nothing without one.

use curfew_sim::{Bug, Detail, Invariant, Plan, Workload, shrink};

#[test]
fn every_planted_bug_is_found_by_the_invariant_that_is_named_for_it() {
    let survivors: Vec<_> =
        Bug::ALL.iter().filter(|bug| bug.hunt().is_none()).map(|bug| bug.name).collect();
    assert!(survivors.is_empty(), "these bugs survive: {survivors:?}");
    assert!(Bug::ALL.len() >= 30);
}

#[test]
fn without_a_bug_the_hunting_grounds_are_clean() {
    for bug in Bug::ALL {
        assert!(bug.is_quiet_unless_planted(), "{} is not clean", bug.workload);
    }
}

#[test]
fn a_failing_plan_is_shortened_to_the_fault_that_matters() {
    let workload = Workload::named("single").unwrap();
    let plan: Plan = "0 beat:3:late commit:0:error resync:1:drop look-up:2:slow".parse().unwrap();
    curfew_core::planted::plant(Some("no-answer-is-success"));
    let shortest = shrink(workload, &plan, Invariant::S1, Detail::default());
    curfew_core::planted::plant(None);
    assert_eq!(shortest.to_string(), "0 commit:0:error");
}
