//! Every deadline a millisecond before, exactly then, and a millisecond after.

use chrono::{DateTime, Utc};

use super::{check, check_around, check_wake, minutes, ms, seconds};
use crate::fact::{DriftKind, Ending, OutcomeReason};
use crate::fixture::{at, failed, request, world};
use crate::request::Rejection;

const TIMED_OUT: &str = "OUTCOME APPROVAL_TIMED_OUT, ENDED NEVER_GRANTED";
const NOT_ACTIVATED: &str = "OUTCOME ACTIVATION_FAILED, ENDED NEVER_GRANTED";

#[test]
fn nothing_is_approved_from_its_deadline_on() {
    check_around(
        &request(),
        &world().eligible(),
        at("10:15:00"),
        "ELIGIBLE, APPROVAL, GRANT",
        TIMED_OUT,
    );
    check_around(&request(), &world().judging(failed()), at("10:15:00"), "nothing", TIMED_OUT);
    check_around(
        &request().eligible(),
        &world().eligible(),
        at("10:15:00"),
        "APPROVAL, GRANT",
        TIMED_OUT,
    );
}

#[test]
fn nothing_is_granted_from_a_quarter_of_an_hour_after_approval_on() {
    let approved = request().eligible().at(at("10:10:00")).approved();
    check_around(&approved, &world().eligible(), at("10:25:00"), "GRANT", NOT_ACTIVATED);
    check_around(&approved, &world().judging(failed()), at("10:25:00"), "nothing", NOT_ACTIVATED);
}

#[test]
fn a_scheduled_grant_has_its_quarter_of_an_hour_from_the_start_on() {
    let scheduled = request().starting(at("12:00:00")).eligible().approved();
    check_around(&scheduled, &world().eligible(), at("12:00:00"), "nothing", "GRANT");
    check_around(&scheduled, &world().eligible(), at("12:15:00"), "GRANT", NOT_ACTIVATED);
}

#[test]
fn a_start_before_the_approval_does_not_shorten_the_window() {
    let approved = request().starting(at("10:00:01")).eligible().at(at("10:10:00")).approved();
    check_around(&approved, &world().eligible(), at("10:25:00"), "GRANT", NOT_ACTIVATED);
}

#[test]
fn a_grant_that_is_not_bound_in_time_has_failed() {
    let granted = request().eligible().approved().granted();
    check_around(
        &granted,
        &world().bare(),
        at("10:15:00"),
        "set live compute.viewer",
        "OUTCOME ACTIVATION_FAILED",
    );
    check_around(
        &granted,
        &world().unreadable(),
        at("10:15:00"),
        "set live compute.viewer",
        "OUTCOME ACTIVATION_FAILED",
    );
    let bound = granted.clone().bound();
    check_around(&bound, &world().holding(granted.live()), at("10:15:00"), "nothing", "nothing");
}

#[test]
fn a_binding_that_was_written_before_a_restart_is_looked_for_before_it_is_given_up() {
    let granted = request().eligible().approved().granted();
    check_around(
        &granted,
        &world(),
        at("10:15:00"),
        "set live compute.viewer",
        "set live compute.viewer",
    );
    check_around(&granted, &world().holding(granted.live()), at("10:15:00"), "BOUND", "BOUND");
}

#[test]
fn nothing_is_added_from_the_end_on() {
    let granted = request().lasting(minutes(5)).eligible().approved().granted();
    check_around(&granted, &world().bare(), at("10:05:00"), "set live compute.viewer", "nothing");
    check_around(&granted, &world(), at("10:05:00"), "set live compute.viewer", "nothing");
}

#[test]
fn removal_at_the_natural_end_waits_five_seconds() {
    let bound = request().eligible().approved().granted().bound();
    check_around(&bound, &world().holding(bound.live()), at("11:00:00"), "nothing", "nothing");
    check_around(&bound, &world().holding(bound.live()), at("11:00:05"), "nothing", "remove 1");
    check_around(&bound, &world(), at("11:00:05"), "nothing", "remove 0");
}

#[test]
fn a_read_proves_absence_from_five_seconds_after_the_end_on() {
    let bound = request().eligible().approved().granted().bound().drifted(DriftKind::Missing);
    let ended = "OUTCOME DURATION_ELAPSED, ENDED SEEN_GONE";
    check_around(&bound, &world().bare(), at("11:00:05"), "nothing", ended);
    let over = bound.over(OutcomeReason::Revoked);
    check_around(
        &over,
        &world().bare(),
        at("11:00:05"),
        "fence with dead compute.viewer",
        "ENDED SEEN_GONE",
    );
}

#[test]
fn an_unreadable_policy_is_given_up_a_day_after_the_end() {
    let bound = request().eligible().approved().granted().bound();
    let deadline = at("11:00:00") + minutes(24 * 60);
    let ended = "OUTCOME DURATION_ELAPSED, ENDED EXPIRED_UNREADABLE";
    check_around(&bound, &world().unreadable(), deadline, "remove 0", ended);
    check_around(&bound, &world(), deadline, "remove 0", "remove 0");
    check_around(&bound, &world().holding(bound.live()), deadline, "remove 1", "remove 1");
    let over = bound.over(OutcomeReason::Revoked);
    check_around(&over, &world().unreadable(), deadline, "remove 0", "ENDED EXPIRED_UNREADABLE");
}

#[test]
fn drift_is_believed_half_a_minute_after_binding_and_not_after_the_end() {
    let bound = request().eligible().approved().granted().at(at("10:01:00")).bound();
    check_around(&bound, &world().bare(), at("10:01:30"), "nothing", "DRIFT MISSING");
    let altered = world().bare().altered(bound.live().first().unwrap());
    check_around(&bound, &altered, at("10:01:30"), "nothing", "DRIFT ALTERED");
    check_around(&bound, &world().bare(), at("11:00:00"), "DRIFT MISSING", "nothing");
}

#[test]
fn every_deadline_has_its_appointment() {
    let now = at("10:00:01");
    check_wake(&request(), &world(), now, Some(at("10:15:00")));
    check_wake(&request().eligible().approved(), &world(), now, Some(at("10:15:00")));
    let scheduled = request().starting(at("12:00:00")).eligible().approved();
    check_wake(&scheduled, &world(), now, Some(at("12:00:00")));
    check_wake(&scheduled, &world(), at("12:00:00"), Some(at("12:15:00")));
    let granted = request().eligible().approved().granted();
    check_wake(&granted, &world(), now, Some(at("10:15:00")));
    let bound = granted.clone().bound();
    check_wake(&bound, &world(), now, Some(at("10:00:30")));
    check_wake(&bound, &world(), at("10:00:30"), Some(at("11:00:05")));
    check_wake(&bound, &world(), at("11:00:05"), Some(at("11:00:00") + minutes(24 * 60)));
    check_wake(&granted.over(OutcomeReason::Revoked), &world(), now, Some(at("11:00:05")));
    let over = bound.over(OutcomeReason::Revoked);
    check_wake(&over, &world(), at("10:30:00"), Some(at("11:00:05")));
    check_wake(&over.ended(Ending::Answered), &world(), at("10:30:00"), None);
}

#[test]
fn an_appointment_never_lies_in_the_past() {
    let times = ["09:00:00", "10:00:00", "10:15:00", "11:00:00", "11:00:05", "23:59:59"].map(at);
    let granted = request().eligible().approved().granted();
    let filed = [
        request(),
        request().newer_fact(),
        request().unverifiable(Rejection::UnsupportedVersion),
        request().starting(at("10:30:00")).eligible().approved(),
        granted.clone(),
        granted.clone().newer_fact(),
        granted.clone().bound(),
        granted.bound().over(OutcomeReason::Revoked),
    ];
    for filed in &filed {
        for now in times.into_iter().flat_map(|at| [at - ms(1), at, at + ms(1)]) {
            for world in [world(), world().bare(), world().unreadable()] {
                super::decide(filed, &world, now);
            }
        }
    }
}

#[test]
fn the_end_of_time_is_no_trap() {
    let granted = request().eligible().approved().granted();
    for now in
        [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC, DateTime::<Utc>::MAX_UTC - seconds(1)]
    {
        for filed in [request(), request().starting(now), granted.clone(), granted.clone().bound()]
        {
            super::decide(&filed, &world().eligible().bare(), now);
        }
    }
    check(
        &request().lasting(chrono::TimeDelta::MAX),
        &world().eligible(),
        at("10:00:00"),
        "ELIGIBLE, APPROVAL, OUTCOME ACTIVATION_FAILED, ENDED NEVER_GRANTED",
    );
}
