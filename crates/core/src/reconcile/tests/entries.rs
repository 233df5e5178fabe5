//! What people do about a request, and how much of it is looked at.

use super::{check, decide};
use crate::entry::{Act, ActKind, DIRECTIVES_MAX, ENDING_DIRECTIVES_RESERVE, REFUSED_MAX};
use crate::fact::{Counted, Fact};
use crate::fixture::{Filed, at, failed, nonce, not_asked, request, world};
use crate::request::Rejection;
use crate::world::{Observed, Standing, World};

const OPERATOR: Observed<Standing> = Observed::Known(Standing::Operator);
const NOBODY: Observed<Standing> = Observed::Known(Standing::None);

fn bound() -> Filed {
    request().eligible().approved().granted().bound()
}

fn counted(act: ActKind) -> Counted {
    Counted::Yes { act, by: "x@example.com".into() }
}

/// How many `SEEN` facts a decision records.
fn n_seen(filed: &Filed, world: &World) -> usize {
    let plan = decide(filed, world, at("10:30:00"));
    plan.facts.iter().filter(|fact| matches!(fact, Fact::Seen { .. })).count()
}

#[test]
fn an_operator_ends_access_and_somebody_else_does_not() {
    let filed = bound().revoked_by(1, "olga");
    check(
        &filed,
        &world().standing(1, OPERATOR),
        at("10:30:00"),
        "SEEN 1 REVOKE by olga@example.com, OUTCOME REVOKED",
    );
    check(&filed, &world().standing(1, NOBODY), at("10:30:00"), "SEEN 1 NOT_AN_OPERATOR");
}

#[test]
fn an_unanswered_look_up_does_not_delay_a_revocation() {
    let filed = bound().revoked_by(1, "olga");
    let expect = "SEEN 1 REVOKE by olga@example.com, OUTCOME REVOKED";
    check(&filed, &world().standing(1, failed()), at("10:30:00"), expect);
    check(&filed, &world().standing(1, not_asked()), at("10:30:00"), expect);
    check(&filed, &world(), at("10:30:00"), expect);
}

#[test]
fn only_the_requester_withdraws() {
    check(
        &bound().withdrawn_by(1, "alice"),
        &world(),
        at("10:30:00"),
        "SEEN 1 WITHDRAW by alice@example.com, OUTCOME WITHDRAWN",
    );
    check(
        &bound().withdrawn_by(1, "mallory"),
        &world(),
        at("10:30:00"),
        "SEEN 1 NOT_THE_REQUESTER",
    );
}

#[test]
fn the_requester_revokes_only_as_an_operator() {
    let filed = bound().revoked_by(1, "alice");
    check(&filed, &world().standing(1, NOBODY), at("10:30:00"), "SEEN 1 NOT_AN_OPERATOR");
}

#[test]
fn a_revocation_that_was_seen_ends_access_even_if_its_outcome_was_lost() {
    let filed =
        bound().seen(1, Counted::Yes { act: ActKind::Revoke, by: "olga@example.com".into() });
    check(&filed, &world(), at("10:30:00"), "OUTCOME REVOKED");
    let Some(Fact::Outcome(outcome)) = decide(&filed, &world(), at("10:30:00")).facts.pop() else {
        panic!()
    };
    assert_eq!(outcome.by.as_deref(), Some("olga@example.com"));
}

#[test]
fn an_entry_counts_once() {
    let refused =
        bound().revoked_by(1, "olga").seen(1, Counted::No { why: "NOT_AN_OPERATOR".into() });
    check(&refused, &world().standing(1, OPERATOR), at("10:30:00"), "nothing");
    let seen_twice =
        bound().seen(1, Counted::No { why: "FORGED".into() }).seen(1, counted(ActKind::Revoke));
    check(&seen_twice, &world(), at("10:30:00"), "nothing");
}

#[test]
fn acts_that_are_not_offered_are_seen_and_do_nothing() {
    let acts = [
        Act::Extend { duration: super::minutes(5), justification: String::new() },
        Act::CloseReview { findings: String::new() },
    ];
    for act in acts {
        check(&bound().entry(1, "olga", act), &world(), at("10:30:00"), "SEEN 1 NOT_OFFERED");
    }
}

#[test]
fn every_rejection_is_seen_under_its_name_but_what_a_newer_version_wrote() {
    for why in Rejection::ALL {
        let expect = match why {
            Rejection::UnsupportedVersion => "nothing".to_owned(),
            why => format!("SEEN 1 {why}"),
        };
        check(&bound().forged(1, why), &world(), at("10:30:00"), &expect);
    }
}

#[test]
fn entries_are_seen_in_the_commit_of_what_they_cause() {
    let filed = request()
        .eligible()
        .approved()
        .granted()
        .revoked_by(2, "olga")
        .forged(1, Rejection::BadSignature);
    let expect = "SEEN 1 BAD_SIGNATURE, SEEN 2 REVOKE by olga@example.com, BOUND, OUTCOME REVOKED";
    check(&filed, &world().holding(filed.live()), at("10:01:00"), expect);
    let granting = request().forged(1, Rejection::BadSignature);
    check(
        &granting,
        &world().eligible(),
        at("10:00:01"),
        "SEEN 1 BAD_SIGNATURE, ELIGIBLE, APPROVAL, GRANT",
    );
}

#[test]
fn entries_of_an_ending_request_are_seen_and_change_nothing() {
    let over = bound().over(crate::fact::OutcomeReason::Withdrawn).revoked_by(1, "olga");
    check(
        &over,
        &world().standing(1, OPERATOR),
        at("10:30:00"),
        "SEEN 1 REVOKE by olga@example.com",
    );
    check(
        &over,
        &world().bare().standing(1, OPERATOR).answered(5),
        at("10:30:00"),
        "SEEN 1 REVOKE by olga@example.com, ENDED ANSWERED",
    );
}

#[test]
fn what_does_not_count_shares_its_places() {
    let filed = (0..2 * REFUSED_MAX as u128).fold(bound(), |filed, n| match n % 2 {
        0 => filed.approved_by(n, "olga"),
        _ => filed.forged(n, Rejection::BadSignature),
    });
    assert_eq!(n_seen(&filed, &world()), REFUSED_MAX);
    let full = (0..REFUSED_MAX as u128)
        .fold(bound(), |filed, n| filed.seen(n, Counted::No { why: "X".into() }));
    check(&full.clone().approved_by(1_000, "olga"), &world(), at("10:30:00"), "nothing");
    check(&full.forged(1_000, Rejection::BadSignature), &world(), at("10:30:00"), "nothing");
}

#[test]
fn forgeries_never_crowd_out_an_end() {
    let crowd = (0..1_000).fold(bound(), |filed, n| filed.forged(n, Rejection::BadSignature));
    let filed = crowd.revoked_by(u128::MAX, "olga");
    let plan = decide(&filed, &world(), at("10:30:00"));
    assert!(super::text::decision(&plan).ends_with("REVOKE by olga@example.com, OUTCOME REVOKED"));
}

#[test]
fn people_who_may_not_end_access_cannot_crowd_out_those_who_may() {
    let mut seen = world().standing(u128::MAX, OPERATOR);
    let mut filed = bound().revoked_by(u128::MAX, "olga");
    for n in 0..1_000 {
        filed = if n % 2 == 0 {
            filed.revoked_by(n, "mallory")
        } else {
            filed.withdrawn_by(n, "mallory")
        };
        seen = seen.standing(n, NOBODY);
    }
    assert_eq!(n_seen(&filed, &seen), REFUSED_MAX + 1);
    let plan = decide(&filed, &seen, at("10:30:00"));
    assert!(super::text::decision(&plan).ends_with("OUTCOME REVOKED"));
}

#[test]
fn sixteen_places_are_kept_for_acts_that_end_access() {
    let extended =
        |n: usize| (0..n as u128).fold(bound(), |filed, n| filed.seen(n, counted(ActKind::Extend)));
    let revoked =
        |n: usize| (0..n as u128).fold(bound(), |filed, n| filed.seen(n, counted(ActKind::Revoke)));
    let with = |filed: Filed| filed.revoked_by(u128::MAX, "olga");
    assert_eq!(n_seen(&with(extended(DIRECTIVES_MAX)), &world()), 1);
    let all = DIRECTIVES_MAX + ENDING_DIRECTIVES_RESERVE;
    assert_eq!(n_seen(&with(revoked(all - 1)), &world()), 1);
    assert_eq!(n_seen(&with(revoked(all)), &world()), 0);
}

#[test]
fn the_facts_of_a_flooded_request_stay_few() {
    let filed = (0..1_000).fold(bound(), |filed, n| filed.revoked_by(n, "olga"));
    assert_eq!(n_seen(&filed, &world()), DIRECTIVES_MAX + ENDING_DIRECTIVES_RESERVE);
    let plan = decide(&filed, &world(), at("10:30:00"));
    let outcomes = plan.facts.iter().filter(|fact| matches!(fact, Fact::Outcome(_))).count();
    assert_eq!(outcomes, 1);
    let first = Counted::Yes { act: ActKind::Revoke, by: "olga@example.com".into() };
    assert_eq!(plan.facts.first(), Some(&Fact::Seen { nonce: nonce(0), counted: first }));
}
