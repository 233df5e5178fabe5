//! Decisions, each as one line: what is recorded, or what is asked of the policy.

#![allow(clippy::arithmetic_side_effects, reason = "a test may panic: it then fails")]
#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks at the variants that it is about")]

mod approvals;
mod deadlines;
mod endings;
mod entries;
mod goldens;
mod grants;
mod policy;
mod precedence;
mod properties;
mod regressions;
mod simulator;
mod text;

use chrono::{DateTime, TimeDelta, Utc};

use super::reconcile;
use crate::fixture::{Filed, ms};
use crate::plan::Plan;
use crate::world::World;

/// Decides, and compares the decision's one line: facts, or else what is asked of the policy, or else `nothing`.
#[track_caller]
fn check(filed: &Filed, world: &World, now: DateTime<Utc>, expect: &str) {
    assert_eq!(text::decision(&decide(filed, world, now)), expect, "at {now}");
}

/// Decides 1 ms before, exactly at, and 1 ms after a deadline.
#[track_caller]
fn check_around(
    filed: &Filed,
    world: &World,
    deadline: DateTime<Utc>,
    before: &str,
    from_then_on: &str,
) {
    check(filed, world, deadline - ms(1), before);
    check(filed, world, deadline, from_then_on);
    check(filed, world, deadline + ms(1), from_then_on);
}

/// Decides, and compares the next appointment.
#[track_caller]
fn check_wake(filed: &Filed, world: &World, now: DateTime<Utc>, expect: Option<DateTime<Utc>>) {
    assert_eq!(decide(filed, world, now).wake_at, expect, "at {now}");
}

/// Decides, and checks what holds of every decision.
#[track_caller]
fn decide(filed: &Filed, world: &World, now: DateTime<Utc>) -> Plan {
    let plan = reconcile(&filed.request(), world, now);
    assert!(
        plan.facts.is_empty() || plan.bindings.is_none(),
        "a plan that records asks nothing of the policy"
    );
    assert!(
        plan.wake_at.is_none_or(|at| at > now),
        "an appointment in the past: {:?}",
        plan.wake_at
    );
    assert_eq!(
        plan,
        reconcile(&filed.request(), world, now),
        "the same question has the same answer"
    );
    plan
}

fn minutes(n: i64) -> TimeDelta {
    TimeDelta::minutes(n)
}

fn seconds(n: i64) -> TimeDelta {
    TimeDelta::seconds(n)
}
