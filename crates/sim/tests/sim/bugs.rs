//! Planted bugs: the oracle finds each, under the name that the table gives, and finds nothing without one.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use curfew_sim::{Bug, Catch, Detail, Invariant, Plan, Workload, shrink};

#[test]
fn every_planted_bug_is_found_and_each_invariant_finds_one_that_no_other_does() {
    let caught = hunt_all();
    let survivors: Vec<_> =
        caught.iter().filter(|(_, catch)| catch.is_none()).map(|(bug, _)| bug.name).collect();
    assert!(survivors.is_empty(), "these bugs survive: {survivors:?}");
    assert!(Bug::ALL.len() >= 30);
    for invariant in Invariant::ALL {
        let finds_alone = |(bug, catch): &(&Bug, Option<Catch>)| {
            bug.caught_by == invariant
                && catch.as_ref().is_some_and(|catch| catch.breaks_only(invariant))
        };
        assert!(caught.iter().any(finds_alone), "{invariant} alone finds no planted bug");
    }
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

/// On every core.
fn hunt_all() -> Vec<(&'static Bug, Option<Catch>)> {
    let (next, caught) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(bug) = Bug::ALL.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let catch = bug.hunt();
                    caught.lock().unwrap_or_else(PoisonError::into_inner).push((bug, catch));
                }
            });
        }
    });
    caught.into_inner().unwrap_or_else(PoisonError::into_inner)
}
