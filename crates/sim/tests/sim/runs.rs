//! Workloads under plans, a small part of what `cargo xtask sim` runs in an optimised build.

use curfew_sim::{Detail, Plan, Run, Trials, Workload, run, singles};

/// As many random plans as an unoptimised build runs in a few seconds.
const SEEDS: u64 = 150;

fn play(workload: &Workload, plan: &Plan) -> Run {
    run(workload, plan, Detail::default())
}

fn assert_clean(workload: &Workload, plan: &Plan) -> Run {
    let run = play(workload, plan);
    assert!(
        run.violations.is_empty(),
        "cargo xtask sim --workload {} --replay '{plan}': {:#?}",
        workload.name,
        run.violations
    );
    run
}

#[expect(clippy::unwrap_used, reason = "a name that no workload has fails the test")]
fn named(name: &str) -> &'static Workload {
    Workload::named(name).unwrap()
}

#[test]
fn every_workload_without_a_fault_breaks_nothing() {
    for workload in Workload::ALL {
        let run = assert_clean(workload, &Plan::calm(1));
        assert!(run.seen.iter().any(|n| *n > 0), "{} does nothing", workload.name);
    }
}

#[test]
fn every_single_fault_on_one_grant_breaks_nothing() {
    let seen = assert_clean(named("single"), &Plan::calm(0)).seen;
    let steps = singles(&seen, 1);
    assert_eq!(steps.len(), 86, "each side effect, with each fault that is new there");
    for step in steps {
        assert_clean(named("single"), &Plan::of(0, [step]));
    }
}

#[test]
fn random_plans_break_nothing() {
    for (seed, workload) in
        (0..SEEDS).zip(Workload::ALL.iter().filter(|w| w.trials >= Trials::Seeds).cycle())
    {
        assert_clean(workload, &Plan::random(seed));
    }
}

#[test]
fn the_same_plan_gives_the_same_run_and_another_seed_another_one() {
    for workload in Workload::ALL {
        let plan = Plan::random(3);
        let detail = Detail { trace: true, ..Detail::default() };
        let (first, second) = (run(workload, &plan, detail), run(workload, &plan, detail));
        assert_eq!(first.lines, second.lines, "{}", workload.name);
        assert_eq!(first.hash, second.hash, "{}", workload.name);
        assert_ne!(first.hash, play(workload, &Plan { seed: 4, ..plan }).hash, "{}", workload.name);
    }
}

#[test]
fn a_planned_crash_happens_where_the_plan_says() {
    let plan: Plan = "0 intent:0:crash-after".parse().unwrap();
    let run = run(named("single"), &plan, Detail { trace: true, ..Detail::default() });
    assert_eq!(run.n_crashes, 1);
    let struck = run.lines.iter().position(|line| line.contains("STRUCK: crash-after")).unwrap();
    assert!(run.lines[struck].contains("intent"), "{}", run.lines[struck]);
    assert!(run.lines[struck + 1..].iter().any(|line| line.contains("controller 1")));
}
