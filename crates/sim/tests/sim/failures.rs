//! Calls that fail: nothing is concluded from them, and nobody else waits for them.

use chrono::TimeDelta;
use curfew_core::fact::OutcomeReason;
use curfew_ports::RetryClass;
use curfew_sim::{Call, Fault, Filing, Options, Watching, World, operator, project};

use crate::{assert_settled, mins, secs, with_an_active_request};

#[tokio::test(start_paused = true)]
async fn lost_races_again_and_again_still_come_to_an_end() {
    let mut world = World::started(&Options::default()).await;
    let id = world.file(&Filing::by("alice", 0));
    for n in 0..200 {
        world.foreign_write(0, &format!("user:u{n}@example.com"));
        world.advance(std::time::Duration::from_millis(20)).await;
    }
    world.advance(secs(5)).await;
    assert!(world.is_active(&id), "{:?}", world.kinds(&id));
    assert_settled(&world);
}

#[tokio::test(start_paused = true)]
async fn a_binding_that_is_refused_fails_alone_and_the_others_are_granted() {
    let mut world = World::started(&Options::default()).await;
    world.with(|data| data.cloud.refused_members.insert("user:bob@example.com".into()));
    let culprit = world.file(&Filing::by("bob", 0));
    let others: Vec<_> =
        (0..6).map(|n| world.file(&Filing::by(["alice", "carol"][n % 2], 0))).collect();
    assert!(world.comes_true(secs(20), |world| others.iter().all(|id| world.is_active(id))).await);
    world.advance(mins(70)).await;
    assert_eq!(world.outcome(&culprit), Some(OutcomeReason::ActivationFailed));
    assert!(world.has_ended(&culprit));
    assert_settled(&world);
}

#[tokio::test(start_paused = true)]
async fn a_project_that_denies_delays_no_other_by_more_than_five_seconds() {
    for call in [Call::ReadPolicy, Call::WritePolicy, Call::JudgePolicy] {
        let mut world = World::started(&Options::default()).await;
        world.faults().always(call, &project(0).to_string(), Fault::Refuse(RetryClass::Denied));
        let poisoned: Vec<_> =
            (0..39).map(|n| world.file(&Filing::by(["alice", "bob", "carol"][n % 3], 0))).collect();
        world.advance(mins(2)).await;
        let well = world.file(&Filing::by("bob", 1));
        assert!(world.comes_true(secs(5), |world| world.is_active(&well)).await, "{call:?}");
        assert!(poisoned.iter().all(|id| !world.is_active(id)));
        world.faults().clear();
        world.advance(mins(2)).await;
        assert!(poisoned.iter().all(|id| world.is_active(id)), "{call:?}");
        assert_settled(&world);
    }
}

#[tokio::test(start_paused = true)]
async fn a_quota_is_waited_for() {
    let mut world = World::started(&Options::default()).await;
    let wait = std::time::Duration::from_secs(20);
    world.faults().once(Call::WritePolicy, "", Fault::Refuse(RetryClass::RateLimited(Some(wait))));
    let id = world.file(&Filing::by("alice", 0));
    world.advance(secs(19)).await;
    assert_eq!(world.n_writes(), 0);
    world.advance(secs(10)).await;
    assert!(world.is_active(&id));
    assert_settled(&world);
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_to_a_commit_doubles_no_fact() {
    for fault in [Fault::LoseReply, Fault::Late(secs(2)), Fault::Refuse(RetryClass::Unavailable)] {
        let mut world = World::started(&Options::default()).await;
        world.faults().times(Call::Commit, "", fault, 3);
        let id = world.file(&Filing::by("alice", 0));
        world.advance(mins(3)).await;
        assert_eq!(world.kinds(&id), ["ELIGIBLE", "APPROVAL", "GRANT", "BOUND"], "{fault:?}");
        world.revoke(&id, &operator());
        world.advance(mins(1)).await;
        assert!(world.has_ended(&id));
        assert_settled(&world);
    }
}

#[tokio::test(start_paused = true)]
async fn with_a_dead_watch_grants_still_come_within_a_resync_and_ten_seconds() {
    let mut world = World::started(&Options::default()).await;
    world.with(|data| data.store.watching = Watching::Dead);
    let id = world.file(&Filing::by("alice", 0));
    assert!(world.comes_true(secs(70), |world| world.is_active(&id)).await);
    world.revoke(&id, &operator());
    assert!(world.comes_true(secs(70), |world| world.has_ended(&id)).await);
    assert_settled(&world);
}

#[tokio::test(start_paused = true)]
async fn doubled_and_dropped_events_change_nothing() {
    for watching in [Watching::Doubling, Watching::Dropping] {
        let mut world = World::started(&Options::default()).await;
        world.with(|data| data.store.watching = watching);
        let ids = [0, 1, 2].map(|n| world.file(&Filing::by("alice", n)));
        world.advance(secs(70)).await;
        assert!(ids.iter().all(|id| world.is_active(id)), "{watching:?}");
        assert_settled(&world);
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_look_up_never_grants_and_never_ends() {
    for call in [Call::JudgePolicy, Call::Membership, Call::Ancestry, Call::Permissions] {
        let mut world = World::started(&Options::default()).await;
        world.faults().always(call, "", Fault::Refuse(RetryClass::Unavailable));
        let ids = ["alice", "mallory"].map(|who| world.file(&Filing::by(who, 0)));
        world.advance(mins(10)).await;
        assert!(ids.iter().all(|id| world.kinds(id).is_empty()), "{call:?}");
        world.faults().clear();
        world.advance(mins(1)).await;
        assert!(world.is_active(&ids[0]), "{call:?}");
        assert_eq!(world.outcome(&ids[1]), Some(OutcomeReason::Ineligible));
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_nobody_could_judge_in_time_is_over() {
    let mut world = World::started(&Options::default()).await;
    world.faults().always(Call::JudgePolicy, "", Fault::Refuse(RetryClass::Unavailable));
    let id = world.file(&Filing::by("alice", 0));
    world.advance(mins(16)).await;
    assert_eq!(world.outcome(&id), Some(OutcomeReason::ApprovalTimedOut));
}

#[tokio::test(start_paused = true)]
async fn who_stops_being_eligible_before_the_grant_gets_nothing() {
    let mut world = World::started(&Options::default()).await;
    let start_at = Some(world.now() + TimeDelta::minutes(5));
    let id = world.file(&Filing { start_at, ..Filing::by("alice", 0) });
    world.advance(mins(2)).await;
    world.lose_eligibility("alice");
    world.advance(mins(10)).await;
    assert_eq!(world.outcome(&id), Some(OutcomeReason::NoLongerEligible));
    assert_eq!(world.n_writes(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_wrong_acts_on_nothing_until_it_is_right_again() {
    let (mut world, first) = with_an_active_request().await;
    world.put_clock(TimeDelta::seconds(10));
    // Its first commit shows the difference.
    let second = world.file(&Filing::by("bob", 1));
    world.advance(secs(5)).await;
    assert!(!world.health().unwrap().is_ready());
    let (facts, writes) = (world.kinds(&second), world.n_writes());
    let third = world.file(&Filing::by("carol", 2));
    world.revoke(&first, &operator());
    world.advance(mins(5)).await;
    assert_eq!((world.kinds(&second), world.n_writes()), (facts, writes));
    assert!(world.kinds(&third).is_empty() && world.is_active(&first));
    world.put_clock(TimeDelta::zero());
    world.advance(mins(3)).await;
    assert!(world.health().unwrap().is_ready());
    assert!(world.has_ended(&first));
    assert_settled(&world);
}

#[tokio::test(start_paused = true)]
async fn a_process_whose_clock_is_wrong_from_the_start_does_nothing_at_all() {
    let mut world = World::new(&Options::default());
    world.put_clock(TimeDelta::seconds(-10));
    let id = world.file(&Filing::by("alice", 0));
    world.start_controller(None);
    world.advance(mins(2)).await;
    assert!(!world.health().unwrap().is_ready());
    assert!(world.kinds(&id).is_empty());
    world.put_clock(TimeDelta::zero());
    world.advance(mins(1)).await;
    assert!(world.is_active(&id));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_begun_before_the_clocks_were_compared() {
    let mut world = World::new(&Options::default());
    world.faults().times(Call::Beat, "", Fault::Refuse(RetryClass::Unavailable), 30);
    let id = world.file(&Filing::by("alice", 0));
    world.start_controller(None);
    world.advance(secs(20)).await;
    assert!(!world.health().unwrap().is_ready());
    assert!(world.kinds(&id).is_empty());
    world.advance(mins(1)).await;
    assert!(world.is_active(&id));
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_is_taken_back_by_who_stops_and_stays_of_who_is_killed() {
    let n_replicas = |world: &World| world.with(|data| data.store.replicas().count());
    let mut world = World::started(&Options::default()).await;
    assert_eq!(n_replicas(&world), 1);
    world.stop().await;
    assert_eq!(n_replicas(&world), 0);
    world.start_controller(None);
    world.advance(secs(1)).await;
    world.kill();
    assert_eq!(n_replicas(&world), 1);
}

#[tokio::test(start_paused = true)]
async fn an_intent_whose_end_could_not_be_recorded_is_closed_by_a_later_read() {
    for fault in [Fault::Refuse(RetryClass::Unavailable), Fault::Refuse(RetryClass::Denied)] {
        let mut world = World::started(&Options::default()).await;
        world.faults().times(Call::CloseIntents, "", fault, 2);
        let id = world.file(&Filing::by("alice", 0));
        world.advance(mins(12)).await;
        assert!(world.is_active(&id));
        assert_eq!(world.with(|data| data.store.open_intents().count()), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn an_intent_that_was_recorded_late_is_closed_by_a_later_read() {
    for fault in [Fault::LoseReply, Fault::Late(secs(3))] {
        let mut world = World::started(&Options::default()).await;
        world.faults().once(Call::OpenIntent, "", fault);
        let id = world.file(&Filing::by("alice", 0));
        world.advance(mins(12)).await;
        assert!(world.is_active(&id));
        assert_eq!(world.with(|data| data.store.open_intents().count()), 0, "{fault:?}");
    }
}
