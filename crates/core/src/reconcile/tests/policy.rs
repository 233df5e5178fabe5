//! What is asked of the policy while access lasts: altered, missing and planted bindings.

use super::{check, decide};
use crate::fact::{DriftKind, OutcomeReason};
use crate::fixture::{ADMIN, Filed, VIEWER, at, request, world};
use crate::plan::Reason;

fn granted() -> Filed {
    request().eligible().approved().granted()
}

fn bound() -> Filed {
    granted().bound()
}

#[test]
fn until_it_is_bound_a_grant_asks_for_its_live_form() {
    for world in [world(), world().unreadable(), world().bare(), world().holding(granted().dead())]
    {
        check(&granted(), &world, at("10:01:00"), "set live compute.viewer");
    }
    check(&granted(), &world().holding(granted().live()), at("10:01:00"), "BOUND");
}

#[test]
fn an_addition_takes_the_place_of_everything_of_ours_that_stands() {
    let strays = [granted().bound_until(at("12:00:00")), granted().dead().remove(0)];
    let seen = world().holding(strays.clone()).altered(granted().live().first().unwrap());
    let set = decide(&granted(), &seen, at("10:01:00")).bindings.unwrap();
    assert_eq!((set.bindings, set.replaces.len()), (granted().live(), 3));
}

#[test]
fn once_bound_nothing_is_put_back() {
    for time in ["10:00:10", "10:30:00", "10:59:59"] {
        for world in [world(), world().unreadable()] {
            check(&bound(), &world, at(time), "nothing");
        }
    }
    let known = bound().drifted(DriftKind::Missing);
    let plan = decide(&known, &world().bare(), at("10:30:00"));
    assert_eq!(
        (super::text::decision(&plan).as_str(), plan.reasons),
        ("nothing", vec![Reason::Missing])
    );
}

#[test]
fn a_stray_of_ours_goes_and_the_live_binding_stays() {
    let stray = bound().bound_until(at("12:00:00"));
    let both = world().holding(bound().live().into_iter().chain([stray.clone()]));
    check(&bound(), &both, at("10:10:00"), "set live compute.viewer");
    let only_the_stray = world().holding([stray]);
    check(&bound().drifted(DriftKind::Missing), &only_the_stray, at("10:10:00"), "remove 1");
    check(&bound(), &world().holding(bound().dead()), at("10:00:10"), "remove 1");
}

#[test]
fn bindings_of_ours_without_a_grant_are_removed() {
    let stray = request().bound_until(at("12:00:00"));
    check(&request(), &world().holding([stray.clone()]), at("10:00:01"), "remove 1");
    check(&request().eligible().approved(), &world().holding([stray]), at("10:00:01"), "remove 1");
}

#[test]
fn planted_bindings_are_not_ours_to_touch() {
    let plant = granted().bound_until(at("12:00:00"));
    check(&bound(), &world().holding(bound().live()).planted(&plant), at("10:30:00"), "nothing");
    check(&request(), &world().bare().planted(&plant), at("10:00:01"), "nothing");
    check(
        &bound(),
        &world().bare().planted(&plant),
        at("11:00:05"),
        "OUTCOME DURATION_ELAPSED, ENDED SEEN_GONE",
    );
}

#[test]
fn each_kind_of_drift_is_noted_once() {
    let live = bound().live().remove(0);
    check(&bound(), &world().bare(), at("10:30:00"), "DRIFT MISSING");
    check(&bound().drifted(DriftKind::Missing), &world().bare(), at("10:30:00"), "nothing");
    let altered = world().bare().altered(&live);
    check(&bound(), &altered, at("10:30:00"), "DRIFT ALTERED");
    check(&bound().drifted(DriftKind::Altered), &altered, at("10:30:00"), "nothing");
    check(&bound().drifted(DriftKind::Missing), &altered, at("10:30:00"), "DRIFT ALTERED");
    let besides = world().holding([live.clone()]).altered(&live);
    check(&bound(), &besides, at("10:30:00"), "DRIFT ALTERED");
    for world in [world(), world().unreadable(), world().holding([live])] {
        check(&bound(), &world, at("10:30:00"), "nothing");
    }
}

#[test]
fn drift_of_one_role_does_not_hide_that_of_another() {
    let bound = request().for_roles(&[VIEWER, ADMIN]).eligible().approved().granted().bound();
    let one_altered = world().bare().altered(bound.live().first().unwrap());
    check(&bound, &one_altered, at("10:30:00"), "DRIFT MISSING, DRIFT ALTERED");
    let one_stands = world().holding(bound.live().into_iter().take(1));
    check(&bound, &one_stands, at("10:30:00"), "DRIFT MISSING");
    check(&bound.drifted(DriftKind::Missing), &one_stands, at("10:30:00"), "nothing");
}

#[test]
fn an_ending_request_notes_no_drift() {
    let over = bound().over(OutcomeReason::Revoked);
    let altered = world().bare().altered(over.live().first().unwrap());
    check(&over, &altered, at("10:30:00"), "remove 1");
}

#[test]
fn an_altered_binding_goes_at_the_end() {
    let altered = world().bare().altered(bound().live().first().unwrap());
    check(&bound().drifted(DriftKind::Altered), &altered, at("10:59:59"), "nothing");
    check(&bound().drifted(DriftKind::Altered), &altered, at("11:00:05"), "remove 1");
}

#[test]
fn additions_are_ordered_by_when_they_were_granted() {
    let granted = request().eligible().approved().at(at("10:00:07.250")).granted();
    let set = decide(&granted, &world(), at("10:01:00")).bindings.unwrap();
    assert_eq!(set.decided_at, at("10:00:07.250"));
}
