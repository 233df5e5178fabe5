//! How access ends, and when that may be called ended.

use super::{check, decide, text};
use crate::fact::{Ending, OutcomeReason};
use crate::fixture::{ADMIN, Filed, VIEWER, at, request, world};
use crate::plan::{Purpose, Reason};
use crate::policy::Binding;
use crate::request::Rejection;

const FENCE: &str = "fence with dead compute.viewer";

fn bound() -> Filed {
    request().eligible().approved().granted().bound()
}

fn over() -> Filed {
    bound().over(OutcomeReason::Revoked)
}

#[test]
fn a_request_that_was_never_granted_ends_in_one_commit() {
    for filed in [request(), request().eligible(), request().eligible().approved()] {
        let filed = filed.withdrawn_by(1, "alice");
        let expect = "SEEN 1 WITHDRAW by alice@example.com, OUTCOME WITHDRAWN, ENDED NEVER_GRANTED";
        check(&filed, &world().eligible(), at("10:00:01"), expect);
    }
}

#[test]
fn the_outcome_of_a_grant_is_recorded_before_anything_is_removed() {
    let filed = bound().withdrawn_by(1, "alice");
    let expect = "SEEN 1 WITHDRAW by alice@example.com, OUTCOME WITHDRAWN";
    for world in [world(), world().unreadable(), world().bare(), world().holding(bound().live())] {
        check(&filed, &world, at("10:30:00"), expect);
    }
}

#[test]
fn what_stands_is_removed_and_the_answer_ends_the_request() {
    check(&over(), &world().holding(over().live()), at("10:30:00"), "remove 1");
    check(&over(), &world().bare().answered(over().n_facts()), at("10:30:00"), "ENDED ANSWERED");
}

#[test]
fn where_nothing_stands_the_dead_form_is_written_and_removed() {
    check(&over(), &world().bare(), at("10:30:00"), FENCE);
    let after_the_fence = world().holding(over().dead());
    check(&over(), &after_the_fence.clone().answered(over().n_facts()), at("10:30:00"), "remove 1");
    check(&over(), &after_the_fence, at("10:30:00"), "remove 1");
}

#[test]
fn a_write_from_a_read_before_the_outcome_proves_nothing() {
    let position = over().n_facts();
    for known in 0..position {
        check(&over(), &world().bare().answered(known), at("10:30:00"), FENCE);
    }
    for known in [position, position + 1] {
        check(&over(), &world().bare().answered(known), at("10:30:00"), "ENDED ANSWERED");
    }
}

#[test]
fn facts_after_the_outcome_do_not_move_what_must_have_been_known() {
    let position = over().n_facts();
    let filed = over().seen(1, crate::fact::Counted::No { why: "NOT_OFFERED".into() });
    check(&filed, &world().bare().answered(position), at("10:30:00"), "ENDED ANSWERED");
    check(&filed, &world().bare().answered(position - 1), at("10:30:00"), FENCE);
}

#[test]
fn a_write_that_leaves_something_of_ours_proves_nothing() {
    let n = over().n_facts();
    check(&over(), &world().holding(over().live()).answered(n), at("10:30:00"), "remove 1");
    let altered = world().bare().altered(over().live().first().unwrap());
    check(&over(), &altered.answered(n), at("10:30:00"), "remove 1");
    let planted = world().bare().planted(over().live().first().unwrap());
    check(&over(), &planted.answered(n), at("10:30:00"), "ENDED ANSWERED");
}

#[test]
fn an_answer_without_an_outcome_ends_nothing() {
    let n = bound().n_facts();
    check(&bound(), &world().holding(bound().live()).answered(n), at("10:30:00"), "nothing");
    let granted = request().eligible().approved().granted();
    check(
        &granted,
        &world().bare().answered(granted.n_facts()),
        at("10:00:01"),
        "set live compute.viewer",
    );
}

#[test]
fn before_the_end_a_read_alone_never_ends_a_request() {
    for world in [world().bare(), world().unreadable(), world()] {
        let decision = text::decision(&decide(&over(), &world, at("10:59:59")));
        assert!(!decision.contains("ENDED"), "{decision}");
    }
}

#[test]
fn an_unreadable_policy_never_delays_asking_for_the_removal() {
    check(&over(), &world().unreadable(), at("10:30:00"), "remove 0");
    check(&over(), &world(), at("10:30:00"), "remove 0");
    assert_eq!(
        decide(&over(), &world(), at("10:30:00")).bindings.unwrap().purpose,
        Purpose::Difference
    );
}

#[test]
fn at_a_natural_end_the_outcome_says_whether_it_ever_began() {
    check(&bound(), &world().bare(), at("11:00:05"), "OUTCOME DURATION_ELAPSED, ENDED SEEN_GONE");
    let short = request().lasting(super::minutes(5)).eligible().approved().granted();
    check(&short, &world().bare(), at("10:05:05"), "OUTCOME ACTIVATION_FAILED, ENDED SEEN_GONE");
    check(&short, &world().holding(short.live()), at("10:05:05"), "BOUND");
}

#[test]
fn a_natural_end_that_is_found_late_is_still_one() {
    let granted = request().eligible().approved().granted();
    check(&granted, &world(), at("13:00:00"), "remove 0");
    check(&granted, &world().holding(granted.live()), at("13:00:00"), "BOUND");
    check(&bound(), &world().holding(bound().live()), at("13:00:00"), "remove 1");
    check(&bound(), &world().bare(), at("13:00:00"), "OUTCOME DURATION_ELAPSED, ENDED SEEN_GONE");
}

#[test]
fn a_spec_that_cannot_be_believed_ends_what_it_was_granted() {
    let filed = bound().unverifiable(Rejection::BadSignature);
    check(&filed, &world(), at("10:30:00"), "OUTCOME INVALID");
    let over = filed.over(OutcomeReason::Invalid);
    check(&over, &world().holding(over.live()), at("10:30:00"), "remove 1");
    check(&over, &world().bare().answered(over.n_facts()), at("10:30:00"), "ENDED ANSWERED");
    for why in Rejection::ALL.into_iter().filter(|why| *why != Rejection::UnsupportedVersion) {
        let filed = request().unverifiable(why);
        check(&filed, &world().eligible(), at("10:00:01"), "OUTCOME INVALID, ENDED NEVER_GRANTED");
    }
}

#[test]
fn a_document_that_was_rolled_back_ends_as_tampered() {
    check(
        &request().rolled_back(),
        &world().eligible(),
        at("10:00:01"),
        "OUTCOME TAMPERED, ENDED NEVER_GRANTED",
    );
    check(
        &bound().rolled_back(),
        &world().holding(bound().live()),
        at("10:30:00"),
        "OUTCOME TAMPERED",
    );
    check(&over().rolled_back(), &world().holding(over().live()), at("10:30:00"), "remove 1");
    let ended = over().ended(Ending::Answered).rolled_back();
    check(&ended, &world().bare(), at("10:30:00"), "nothing");
}

#[test]
fn every_role_is_removed_and_fenced() {
    let over = request()
        .for_roles(&[VIEWER, ADMIN])
        .eligible()
        .approved()
        .granted()
        .bound()
        .over(OutcomeReason::Revoked);
    check(&over, &world().holding(over.live()), at("10:30:00"), "remove 2");
    check(&over, &world().holding(over.live().into_iter().skip(1)), at("10:30:00"), "remove 1");
    check(
        &over,
        &world().bare(),
        at("10:30:00"),
        "fence with dead compute.viewer and dead storage.admin",
    );
}

#[test]
fn what_appears_after_the_end_is_removed_and_the_request_stays_ended() {
    let ended = over().ended(Ending::Answered);
    let plan = decide(&ended, &world().eligible().holding(ended.live()), at("10:30:00"));
    assert_eq!(text::decision(&plan), "remove 1");
    assert_eq!(plan.reasons, [Reason::Unwanted { n: 1 }]);
    for world in [world(), world().unreadable(), world().bare()] {
        check(&ended, &world.eligible(), at("10:30:00"), "nothing");
    }
    let revoked_again = ended.revoked_by(7, "olga");
    check(&revoked_again, &world().bare(), at("10:30:00"), "nothing");
}

#[test]
fn a_removal_names_what_stands_as_it_stands() {
    let altered = over().live().remove(0);
    let set = decide(&over(), &world().holding(over().live()).altered(&altered), at("10:30:00"))
        .bindings
        .unwrap();
    let mut widened = Binding::from(&altered);
    widened.members.push("user:mallory@example.com".into());
    assert_eq!(set.replaces, [Binding::from(&altered), widened]);
}

#[test]
fn what_no_fact_grants_is_not_called_ended_while_bindings_of_it_stand_somewhere() {
    let filed = request().unverifiable(Rejection::BadSignature);
    check(&filed, &world(), at("10:00:01"), "OUTCOME INVALID, ENDED NEVER_GRANTED");
    for world in [world().astray(&["projects/demo-web"]), world().unsearched()] {
        check(&filed, &world, at("10:00:01"), "OUTCOME INVALID");
    }
    let over = filed.over(OutcomeReason::Invalid);
    check(&over, &world().astray(&["projects/demo-web"]), at("10:00:01"), "remove 0");
    check(&over, &world().unsearched(), at("10:00:01"), "nothing");
    for world in [world().astray(&["projects/demo-web"]), world().unsearched()] {
        assert!(decide(&over, &world, at("10:00:01")).is_blocked());
    }
}

#[test]
fn what_no_fact_grants_is_removed_where_it_stands_and_the_answer_ends_it() {
    let (live, over) = (
        bound().live(),
        request().unverifiable(Rejection::BadSignature).over(OutcomeReason::Invalid),
    );
    check(&over, &world().holding(live.clone()), at("10:30:00"), "remove 1");
    // An answer that leaves some of it, here or elsewhere, ends nothing.
    let answered = |world: crate::world::World| world.answered(over.n_facts());
    check(&over, &answered(world().holding(live)), at("10:30:00"), "remove 1");
    let elsewhere = world().bare().astray(&["projects/demo-db"]);
    check(&over, &answered(elsewhere), at("10:30:00"), "nothing");
    check(&over, &answered(world().bare()), at("10:30:00"), "ENDED ANSWERED");
    // From a read before the outcome it proves no more than that nothing stands.
    let early = world().bare().answered(over.n_facts() - 1);
    check(&over, &early, at("10:30:00"), "ENDED NEVER_GRANTED");
}

#[test]
fn what_cannot_be_searched_for_has_run_out_a_day_after_its_outcome() {
    let over = request()
        .unverifiable(Rejection::BadSignature)
        .at(at("10:00:00"))
        .over(OutcomeReason::Invalid);
    let deadline = at("10:00:00") + chrono::TimeDelta::hours(24);
    super::check_around(
        &over,
        &world().unsearched(),
        deadline,
        "nothing",
        "ENDED EXPIRED_UNREADABLE",
    );
}
