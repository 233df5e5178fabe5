//! What a peer must approve: whose word counts, for how long, and what becomes of it until the grant.

use super::{check, check_around, check_wake, decide, minutes, text};
use crate::entry::{Act, Verdict};
use crate::fact::{Counted, OutcomeReason};
use crate::fixture::{Filed, at, failed, not_asked, request, world};
use crate::id::Digest;
use crate::request::Rejection;
use crate::world::{Observed, Standing, World};

const PEER: Observed<Standing> = Observed::Known(Standing::Peer);
const NOBODY: Observed<Standing> = Observed::Known(Standing::None);

/// A peer must approve, and that is recorded.
fn waiting() -> Filed {
    request().eligible_by_peers()
}

/// Bob's approval has counted.
fn approved() -> Filed {
    waiting().approved_by(1, "bob").seen_decision(1, "bob").approved_on(&[1])
}

fn peers() -> World {
    world().eligible_by_peers()
}

#[test]
fn nothing_is_granted_before_a_peer_has_approved() {
    check(&request(), &peers(), at("10:00:01"), "ELIGIBLE");
    check(&waiting(), &peers(), at("10:00:01"), "nothing");
    check_wake(&waiting(), &peers(), at("10:00:01"), Some(at("11:00:00")));
}

#[test]
fn one_approval_suffices() {
    let filed = waiting().approved_by(1, "bob");
    let world = peers().standing(1, PEER);
    check(&filed, &world, at("10:05:00"), "SEEN 1 DECISION by bob@example.com, APPROVAL 1, GRANT");
}

#[test]
fn a_decision_waits_until_it_is_known_that_one_is_needed() {
    let filed = request().approved_by(1, "bob");
    check(&filed, &world().judging(failed()).standing(1, PEER), at("10:00:01"), "nothing");
    check(&filed, &peers().standing(1, PEER), at("10:00:01"), "ELIGIBLE");
}

#[test]
fn a_request_that_nobody_has_to_approve_takes_no_decision() {
    for filed in
        [request().eligible().approved_by(1, "bob"), request().eligible().denied_by(1, "bob")]
    {
        let world = world().eligible().standing(1, PEER);
        let expect = "SEEN 1 NO_APPROVAL_NEEDED, APPROVAL, GRANT";
        check(&filed, &world, at("10:00:01"), expect);
    }
}

#[test]
fn nobody_decides_about_their_own_request() {
    for filed in [waiting().approved_by(1, "alice"), waiting().denied_by(1, "alice")] {
        check(&filed, &peers().standing(1, PEER), at("10:05:00"), "SEEN 1 SELF_APPROVAL");
    }
}

#[test]
fn a_person_is_known_by_the_immutable_id_and_by_the_address() {
    let renamed = waiting().approved_as(1, "alice", "somebody-else");
    let other_account = waiting().approved_as(1, "somebody-else", "alice");
    for filed in [renamed, other_account] {
        check(&filed, &peers().standing(1, PEER), at("10:05:00"), "SEEN 1 SELF_APPROVAL");
    }
}

#[test]
fn who_is_no_peer_decides_nothing() {
    for (standing, why) in [
        (Standing::None, "NOT_A_PEER"),
        (Standing::Operator, "NOT_A_PEER"),
        (Standing::PeerByWeakEvidence, "EVIDENCE_TOO_WEAK"),
    ] {
        for filed in [waiting().approved_by(1, "bob"), waiting().denied_by(1, "bob")] {
            let world = peers().standing(1, Observed::Known(standing));
            check(&filed, &world, at("10:05:00"), &format!("SEEN 1 {why}"));
        }
    }
}

#[test]
fn an_unanswered_look_up_neither_counts_a_decision_nor_uses_it_up() {
    for filed in [waiting().approved_by(1, "bob"), waiting().denied_by(1, "bob")] {
        for standing in [failed(), not_asked()] {
            check(&filed, &peers().standing(1, standing), at("10:05:00"), "nothing");
        }
        check(&filed, &peers(), at("10:05:00"), "nothing");
    }
}

#[test]
fn only_those_who_were_chosen_decide_if_some_were() {
    let chosen = |actor| waiting().choosing(&["carol"]).approved_by(1, actor);
    let world = peers().standing(1, PEER);
    check(&chosen("bob"), &world, at("10:05:00"), "SEEN 1 NOT_CHOSEN");
    let expect = "SEEN 1 DECISION by carol@example.com, APPROVAL 1, GRANT";
    check(&chosen("carol"), &world, at("10:05:00"), expect);
}

#[test]
fn a_decision_about_something_else_does_not_count() {
    let target = Digest::of(b"another spec");
    for verdict in [Verdict::Approve, Verdict::Deny] {
        let act = Act::Decide { verdict, comment: String::new(), target: target.clone() };
        let filed = waiting().entry(1, "bob", act);
        check(&filed, &peers().standing(1, PEER), at("10:05:00"), "SEEN 1 WRONG_TARGET");
    }
}

#[test]
fn an_approval_must_be_fresh_when_it_is_first_looked_at_and_a_denial_need_not() {
    let world = peers().standing(1, PEER);
    let (approval, denial) = (waiting().approved_by(1, "bob"), waiting().denied_by(1, "bob"));
    let counts = "SEEN 1 DECISION by bob@example.com, APPROVAL 1, GRANT";
    check(&approval, &world, at("10:10:00"), counts);
    check(&approval, &world, at("10:10:00.001"), "SEEN 1 TOO_OLD");
    let denied = "SEEN 1 DECISION by bob@example.com, OUTCOME DENIED, ENDED NEVER_GRANTED";
    check(&denial, &world, at("10:59:00"), denied);
}

#[test]
fn an_approval_from_the_future_does_not_count() {
    let world = peers().standing(1, PEER);
    check(&waiting().approved_by(1, "bob"), &world, at("09:49:59"), "SEEN 1 TOO_OLD");
}

#[test]
fn a_denial_beats_an_approval_that_was_not_granted_yet() {
    let denied = "SEEN 2 DECISION by carol@example.com, OUTCOME DENIED, ENDED NEVER_GRANTED";
    let both = waiting().approved_by(1, "bob").denied_by(2, "carol");
    check(
        &both,
        &peers().standing(1, PEER).standing(2, PEER),
        at("10:05:00"),
        &format!("SEEN 1 DECISION by bob@example.com, {denied}"),
    );
    let later = approved().denied_by(2, "carol");
    check(&later, &peers().standing(1, PEER).standing(2, PEER), at("10:05:00"), denied);
}

#[test]
fn a_denial_after_the_grant_revokes() {
    let filed = approved().granted().denied_by(2, "carol");
    let expect = "SEEN 2 DECISION by carol@example.com, OUTCOME REVOKED";
    check(&filed, &peers().standing(2, PEER), at("10:05:00"), expect);
}

#[test]
fn who_approved_may_revoke_and_another_peer_may_not() {
    let world = peers().standing(2, NOBODY);
    let filed = |actor| approved().granted().bound().revoked_by(2, actor);
    let expect = "SEEN 2 REVOKE by bob@example.com, OUTCOME REVOKED";
    check(&filed("bob"), &world, at("10:30:00"), expect);
    check(&filed("carol"), &world, at("10:30:00"), "SEEN 2 NOT_AN_OPERATOR");
}

#[test]
fn no_approval_counts_after_the_deadline() {
    let filed = waiting();
    let over = "OUTCOME APPROVAL_TIMED_OUT, ENDED NEVER_GRANTED";
    check_around(&filed, &peers(), at("11:00:00"), "nothing", over);
}

#[test]
fn a_request_first_looked_at_late_still_has_its_whole_time_for_approval() {
    check(&request(), &peers(), at("10:20:00"), "ELIGIBLE");
    let over = "OUTCOME APPROVAL_TIMED_OUT, ENDED NEVER_GRANTED";
    check_around(&request(), &peers(), at("11:00:00"), "ELIGIBLE", over);
}

#[test]
fn the_requester_is_judged_again_when_a_peer_has_approved() {
    let filed = waiting().approved_by(1, "bob");
    let world = world().ineligible().standing(1, PEER);
    let expect = "SEEN 1 DECISION by bob@example.com, OUTCOME INELIGIBLE, ENDED NEVER_GRANTED";
    check(&filed, &world, at("10:05:00"), expect);
    let unknown = world_with(failed());
    check(&filed, &unknown, at("10:05:00"), "SEEN 1 DECISION by bob@example.com");
}

fn world_with(eligibility: Observed<crate::judge::Eligibility>) -> World {
    world().judging(eligibility).standing(1, PEER)
}

#[test]
fn the_approver_is_judged_again_at_the_grant() {
    check(&approved(), &peers().standing(1, PEER), at("10:05:00"), "GRANT");
    let lost = "OUTCOME NO_LONGER_ELIGIBLE, ENDED NEVER_GRANTED";
    check(&approved(), &peers().standing(1, NOBODY), at("10:05:00"), lost);
    check(&approved(), &peers().standing(1, failed()), at("10:05:00"), "nothing");
    check(&approved(), &peers(), at("10:05:00"), "nothing");
}

#[test]
fn an_approver_who_was_lost_before_the_approval_was_recorded_is_no_approver() {
    let filed = waiting().approved_by(1, "bob").seen_decision(1, "bob");
    check(&filed, &peers().standing(1, NOBODY), at("10:05:00"), "nothing");
    let second = filed.approved_by(2, "carol");
    check(
        &second,
        &peers().standing(1, NOBODY).standing(2, PEER),
        at("10:05:00"),
        "SEEN 2 DECISION by carol@example.com, APPROVAL 2, GRANT",
    );
}

#[test]
fn an_approval_whose_entry_has_vanished_grants_nothing() {
    let filed = waiting().seen_decision(1, "bob").approved_on(&[1]);
    check(&filed, &peers(), at("10:05:00"), "nothing");
    let over = "OUTCOME ACTIVATION_FAILED, ENDED NEVER_GRANTED";
    check(&filed, &peers(), at("10:00:00") + minutes(15), over);
}

#[test]
fn a_recorded_self_activation_does_not_activate_what_a_peer_must_approve() {
    check(&waiting().approved(), &peers(), at("10:05:00"), "nothing");
}

#[test]
fn a_refused_decision_is_not_counted_later() {
    let filed = waiting().approved_by(1, "bob").seen(1, Counted::No { why: "NOT_A_PEER".into() });
    check(&filed, &peers().standing(1, PEER), at("10:05:00"), "nothing");
}

#[test]
fn a_withdrawal_beats_a_denial() {
    let filed = waiting().denied_by(1, "bob").withdrawn_by(2, "alice");
    let world = peers().standing(1, PEER);
    let reason = OutcomeReason::Withdrawn;
    let expect = format!(
        "SEEN 1 DECISION by bob@example.com, SEEN 2 WITHDRAW by alice@example.com, OUTCOME {}, ENDED NEVER_GRANTED",
        reason.as_str()
    );
    check(&filed, &world, at("10:05:00"), &expect);
}

#[test]
fn a_denial_whose_author_is_not_known_yet_holds_the_grant_back() {
    let both = waiting().approved_by(1, "bob").denied_by(2, "carol");
    let world = peers().standing(1, PEER).standing(2, failed());
    check(&both, &world, at("10:05:00"), "SEEN 1 DECISION by bob@example.com");
    let seen = both.seen_decision(1, "bob");
    check(&seen, &world, at("10:05:00"), "nothing");
    let start = at("12:00:00");
    let scheduled = approved().starting(start).denied_by(2, "carol");
    check(&scheduled, &world, start, "nothing");
    let stranger = peers().standing(1, PEER).standing(2, NOBODY);
    check(&scheduled, &stranger, start, "SEEN 2 NOT_A_PEER, GRANT");
}

#[test]
fn a_denial_after_the_grant_is_not_delayed_by_an_unanswered_look_up() {
    let filed = approved().granted().bound().denied_by(2, "carol");
    let expect = "SEEN 2 DECISION by carol@example.com, OUTCOME REVOKED";
    check(&filed, &peers().standing(2, failed()), at("10:05:00"), expect);
}

#[test]
fn an_unanswered_look_up_of_an_approver_is_asked_again_soon() {
    let world = peers().standing(1, failed()).standing(2, failed());
    let denied = approved().denied_by(2, "carol");
    for filed in [waiting().approved_by(1, "bob"), approved(), denied] {
        assert!(decide(&filed, &world, at("10:05:00")).is_blocked());
    }
    assert!(!decide(&waiting(), &peers(), at("10:05:00")).is_blocked());
}

#[test]
fn an_old_approval_counts_no_more_after_the_facts_were_rolled_back() {
    let filed = waiting().approved_by(1, "bob").seen_decision(1, "bob");
    let world = peers().standing(1, PEER);
    check_around(&filed, &world, at("10:25:00"), "APPROVAL 1, GRANT", "nothing");
}

#[test]
fn a_recorded_need_of_approval_stays_although_the_rules_loosen() {
    check(&waiting(), &world().eligible(), at("10:05:00"), "nothing");
    let filed = waiting().approved_by(1, "bob");
    let expect = "SEEN 1 DECISION by bob@example.com, APPROVAL 1, GRANT";
    check(&filed, &world().eligible().standing(1, PEER), at("10:05:00"), expect);
}

#[test]
fn what_does_not_count_crowds_out_no_decision() {
    let crowded = |filed: Filed| {
        (100..200)
            .fold(filed, |filed, n| filed.forged(n, Rejection::BadSignature))
            .denied_by(1, "carol")
    };
    let plan = decide(&crowded(waiting()), &peers().standing(1, PEER), at("10:05:00"));
    assert!(text::decision(&plan).contains("OUTCOME DENIED"));
    let full =
        (100..164).fold(waiting(), |filed, n| filed.seen(n, Counted::No { why: "X".into() }));
    let expect = "SEEN 1 DECISION by carol@example.com, OUTCOME DENIED, ENDED NEVER_GRANTED";
    check(&full.denied_by(1, "carol"), &peers().standing(1, PEER), at("10:05:00"), expect);
}

#[test]
fn a_grant_ends_when_the_key_of_its_approval_is_distrusted() {
    let filed = approved().granted().bound();
    let distrusted = filed.clone().forged(1, Rejection::KeyOutOfWindow);
    check(&distrusted, &peers(), at("10:05:00"), "OUTCOME INVALID");
    // Whoever writes the database can spoil an entry; that is no word of ours about its key.
    let spoiled = filed.forged(1, Rejection::BadSignature);
    check(&spoiled, &peers().holding(spoiled.live()), at("10:05:00"), "nothing");
}
