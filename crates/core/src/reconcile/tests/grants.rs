//! From filing to the bindings in the policy.

use super::{check, decide, minutes, ms, seconds};
use crate::condition::{Carried, ResourceName, narrowing, read_granted};
use crate::fact::{Fact, OutcomeReason};
use crate::fixture::{ADMIN, VIEWER, at, failed, not_asked, request, world, yes};
use crate::judge::Eligibility;
use crate::phase::Phase;
use crate::plan::Reason;
use crate::world::Observed;

const GRANTED: &str = "ELIGIBLE, APPROVAL, GRANT";

#[test]
fn a_known_eligibility_carries_a_request_to_its_grant_in_one_commit() {
    check(&request(), &world().eligible(), at("10:00:00.250"), GRANTED);
    check(&request().eligible(), &world().eligible(), at("10:00:00.250"), "APPROVAL, GRANT");
    check(&request().eligible().approved(), &world().eligible(), at("10:00:00.250"), "GRANT");
}

#[test]
fn an_unknown_eligibility_advances_nothing() {
    for filed in [request(), request().eligible(), request().eligible().approved()] {
        for eligibility in [failed(), not_asked()] {
            check(&filed, &world().judging(eligibility), at("10:00:01"), "nothing");
        }
    }
}

#[test]
fn a_failed_look_up_blocks_and_one_that_was_not_made_does_not() {
    assert!(decide(&request(), &world().judging(failed()), at("10:00:01")).is_blocked());
    assert!(!decide(&request(), &world(), at("10:00:01")).is_blocked());
    let granted = request().eligible().approved().granted();
    assert!(decide(&granted, &world().unreadable(), at("10:00:01")).is_blocked());
}

#[test]
fn a_known_no_ends_the_request_before_the_grant_and_not_after() {
    check(
        &request(),
        &world().ineligible(),
        at("10:00:01"),
        "OUTCOME INELIGIBLE, ENDED NEVER_GRANTED",
    );
    check(
        &request().eligible(),
        &world().ineligible(),
        at("10:00:01"),
        "OUTCOME INELIGIBLE, ENDED NEVER_GRANTED",
    );
    let approved = request().eligible().approved();
    check(
        &approved,
        &world().ineligible(),
        at("10:00:01"),
        "OUTCOME NO_LONGER_ELIGIBLE, ENDED NEVER_GRANTED",
    );
    let bound = approved.granted().bound();
    check(&bound, &world().ineligible().holding(bound.live()), at("10:00:01"), "nothing");
}

#[test]
fn a_request_is_granted_once_whatever_the_eligibility_is_later() {
    let granted = request().eligible().approved().granted();
    check(&granted, &world().eligible(), at("10:00:01"), "set live compute.viewer");
    let bound = granted.bound();
    check(&bound, &world().eligible().bare(), at("10:00:01"), "nothing");
    let over = bound.over(OutcomeReason::Revoked);
    check(&over, &world().eligible(), at("10:00:01"), "remove 0");
}

#[test]
fn access_starts_in_the_running_second_and_lasts_as_asked_for() {
    let plan = decide(&request(), &world().eligible(), at("10:00:07.900"));
    let Some(Fact::Grant(grant)) = plan.facts.last() else { panic!("no grant") };
    assert_eq!((grant.starts_at, grant.expires_at), (at("10:00:07"), at("11:00:07")));
    assert_eq!(grant.activate_by, at("10:15:07.900"));
    let binding = grant.bindings.first().unwrap();
    let [live, dead] =
        [&binding.live, &binding.dead].map(|form| read_granted(&form.expression).unwrap());
    assert_eq!((live.starts_at, live.ends_at), (at("10:00:07"), at("11:00:07")));
    assert_eq!((dead.starts_at, dead.ends_at), (at("10:00:07"), at("10:00:07")));
}

#[test]
fn a_later_start_is_waited_for_after_approval() {
    let filed = request().starting(at("12:00:00"));
    let plan = decide(&filed, &world().eligible(), at("10:00:00"));
    assert_eq!(super::text::decision(&plan), "ELIGIBLE, APPROVAL");
    assert_eq!((plan.phase, plan.wake_at), (Phase::Scheduled, Some(at("12:00:00"))));
    let scheduled = filed.eligible().approved();
    check(&scheduled, &world().eligible(), at("12:00:00") - ms(1), "nothing");
    check(&scheduled, &world().eligible(), at("12:00:00"), "GRANT");
}

#[test]
fn access_that_starts_late_lasts_as_long_as_asked_for() {
    let scheduled = request().starting(at("12:00:00")).eligible().approved();
    let plan = decide(&scheduled, &world().eligible(), at("12:10:00.500"));
    let Some(Fact::Grant(grant)) = plan.facts.first() else { panic!("no grant") };
    assert_eq!((grant.starts_at, grant.expires_at), (at("12:10:00"), at("13:10:00")));
}

#[test]
fn every_role_is_granted_in_one_fact_and_one_write() {
    let filed = request().for_roles(&[VIEWER, ADMIN]);
    let plan = decide(&filed, &world().eligible_for(2), at("10:00:00"));
    let Some(Fact::Grant(grant)) = plan.facts.last() else { panic!("no grant") };
    let roles: Vec<_> = grant.bindings.iter().map(|binding| binding.live.role.as_str()).collect();
    assert_eq!(roles, [VIEWER, ADMIN]);
    let granted = filed.eligible().approved().granted();
    check(
        &granted,
        &world().bare(),
        at("10:00:01"),
        "set live compute.viewer and live storage.admin",
    );
}

#[test]
fn until_all_roles_stand_the_request_is_not_bound() {
    let granted = request().for_roles(&[VIEWER, ADMIN]).eligible().approved().granted();
    let one = world().holding(granted.live().into_iter().take(1));
    check(&granted, &one, at("10:00:01"), "set live compute.viewer and live storage.admin");
    check(&granted, &world().holding(granted.live()), at("10:00:01"), "BOUND");
    let deadline = at("10:15:00");
    check(&granted, &one, deadline, "OUTCOME ACTIVATION_FAILED");
}

#[test]
fn the_narrowed_condition_goes_into_both_forms() {
    let name = ResourceName::parse("projects/demo-web/zones/z/instances/i").unwrap();
    let carried = narrowing(&[name]).unwrap();
    let Eligibility::Yes(mut basis) = yes(1) else { unreachable!() };
    basis.carried = vec![carried.clone()];
    let world = world().judging(Observed::Known(Eligibility::Yes(basis)));
    let plan = decide(&request(), &world, at("10:00:00"));
    let Some(Fact::Grant(grant)) = plan.facts.last() else { panic!("no grant") };
    let binding = grant.bindings.first().unwrap();
    for form in [&binding.live, &binding.dead] {
        assert_eq!(read_granted(&form.expression).unwrap().resource_condition, carried);
    }
    assert_ne!(carried, Carried::NONE);
}

#[test]
fn a_grant_that_cannot_be_written_down_fails_at_once() {
    let filed = request().lasting(ms(90_500));
    let expect = "ELIGIBLE, APPROVAL, OUTCOME ACTIVATION_FAILED, ENDED NEVER_GRANTED";
    check(&filed, &world().eligible(), at("10:00:00"), expect);
}

#[test]
fn a_refused_binding_has_failed_unless_it_stands() {
    let granted = request().eligible().approved().granted();
    check(&granted, &world().bare().refused(), at("10:00:01"), "OUTCOME ACTIVATION_FAILED");
    check(&granted, &world().holding(granted.live()).refused(), at("10:00:01"), "BOUND");
    let bound = granted.clone().bound();
    check(&bound, &world().holding(granted.live()).refused(), at("10:00:01"), "nothing");
    check(&request().eligible().approved(), &world().refused(), at("10:00:01"), "nothing");
}

#[test]
fn nothing_is_granted_or_ended_that_a_newer_version_filed() {
    use crate::request::Rejection::UnsupportedVersion;
    let filed = request().unverifiable(UnsupportedVersion).withdrawn_by(1, "alice");
    for time in ["10:00:01", "10:15:00", "23:00:00"] {
        let plan = decide(&filed, &world().eligible().bare(), at(time));
        assert_eq!(super::text::decision(&plan), "nothing", "{time}");
        assert_eq!(plan.reasons, [Reason::Unsupported]);
    }
    let bound = request().eligible().approved().granted().bound().unverifiable(UnsupportedVersion);
    check(&bound, &world().bare(), at("10:30:00"), "nothing");
    check(&bound, &world().holding(bound.live()), at("11:00:05"), "remove 1");
    check(&bound, &world().bare(), at("11:00:05"), "OUTCOME DURATION_ELAPSED, ENDED SEEN_GONE");
}

#[test]
fn a_fact_that_is_not_understood_stops_every_decision() {
    check(&request().newer_fact(), &world().eligible().bare(), at("10:00:01"), "nothing");
    check(&request().newer_fact(), &world().ineligible().bare(), at("23:00:00"), "nothing");
    let granted = request().eligible().approved().granted().newer_fact().revoked_by(1, "olga");
    check(&granted, &world().bare(), at("10:00:01"), "nothing");
    check(&granted, &world().holding(granted.live()), at("10:00:01"), "nothing");
}

#[test]
fn what_a_newer_version_may_have_prolonged_runs_on() {
    let bound = request().eligible().approved().granted().bound().newer_fact();
    let prolonged = bound.bound_until(at("12:00:00"));
    check(&bound, &world().holding([prolonged.clone()]), at("11:00:05"), "nothing");
    let both = bound.live().into_iter().chain([prolonged.clone()]);
    check(&bound, &world().holding(both), at("11:00:05"), "set live compute.viewer");
    check(&bound, &world().holding([prolonged.clone()]), at("12:00:05") - ms(1), "nothing");
    check(&bound, &world().holding([prolonged]), at("12:00:05"), "remove 1");
    check(&bound, &world(), at("11:00:05"), "remove 0");
    check(&bound, &world().bare(), at("11:00:05"), "OUTCOME DURATION_ELAPSED, ENDED SEEN_GONE");
}

#[test]
fn that_access_is_over_is_carried_out_even_where_something_is_not_understood() {
    let over = request().eligible().approved().granted().newer_fact().over(OutcomeReason::Revoked);
    check(&over, &world().holding(over.live()), at("10:30:00"), "remove 1");
    check(&over, &world().bare(), at("10:30:00"), "fence with dead compute.viewer");
    check(&over, &world().bare().answered(over.n_facts()), at("10:30:00"), "ENDED ANSWERED");
    let never_granted = request().newer_fact().over(OutcomeReason::Revoked);
    check(&never_granted, &world().bare(), at("10:30:00"), "nothing");
}

#[test]
fn phases_follow_the_facts() {
    let filed = request();
    let phase = |filed: &crate::fixture::Filed| decide(filed, &world(), at("10:00:01")).phase;
    assert_eq!(phase(&filed), Phase::Pending);
    assert_eq!(phase(&filed.clone().eligible()), Phase::AwaitingApproval);
    assert_eq!(phase(&filed.clone().eligible().approved()), Phase::Activating);
    assert_eq!(
        phase(&filed.clone().starting(at("10:00:00") + seconds(1)).approved()),
        Phase::Scheduled
    );
    assert_eq!(
        phase(&filed.clone().starting(at("10:00:00") - minutes(1)).approved()),
        Phase::Activating
    );
    let granted = filed.eligible().approved().granted();
    assert_eq!(phase(&granted), Phase::Activating);
    assert_eq!(phase(&granted.clone().bound()), Phase::Active);
    let over = granted.bound().over(OutcomeReason::Revoked);
    assert_eq!(phase(&over), Phase::Ending);
    assert_eq!(phase(&over.ended(crate::fact::Ending::Answered)), Phase::Ended);
}

#[test]
fn a_grant_waits_for_its_place_in_the_policy_and_fails_when_its_time_is_over() {
    let approved = request().eligible().approved();
    let full = world().eligible().full();
    check(&request(), &full, at("10:00:01"), "ELIGIBLE, APPROVAL");
    check(&approved, &full, at("10:00:01"), "nothing");
    let plan = decide(&approved, &full, at("10:00:01"));
    assert!(plan.is_blocked());
    assert!(plan.reasons.iter().any(|reason| matches!(reason, Reason::Full(_))), "{plan:?}");
    check(&approved, &world().eligible(), at("10:14:59"), "GRANT");
    let failed = "OUTCOME ACTIVATION_FAILED, ENDED NEVER_GRANTED";
    check(&approved, &full, at("10:15:00"), failed);
}

#[test]
fn who_gives_up_while_waiting_for_a_place_has_nothing_to_be_removed() {
    let approved = request().eligible().approved().withdrawn_by(1, "alice");
    let expect = "SEEN 1 WITHDRAW by alice@example.com, OUTCOME WITHDRAWN, ENDED NEVER_GRANTED";
    check(&approved, &world().eligible().full(), at("10:00:01"), expect);
}

#[test]
fn whether_it_fits_must_be_known_before_it_is_granted() {
    let approved = request().eligible().approved();
    let unknown = crate::world::World { room: failed(), ..world().eligible() };
    check(&approved, &unknown, at("10:00:01"), "nothing");
    assert!(decide(&approved, &unknown, at("10:00:01")).is_blocked());
}
