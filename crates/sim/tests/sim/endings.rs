//! Ending access early, while writes are under way, late or lost.

use curfew_core::fact::{Ending, OutcomeReason};
use curfew_sim::{Call, Fault, Filing, Options, World, operator, person};

use crate::{assert_settled, mins, secs, with_an_active_request};

#[tokio::test(start_paused = true)]
async fn a_revocation_removes_the_binding_at_once() {
    let (mut world, id) = with_an_active_request().await;
    world.revoke(&id, &operator());
    assert!(world.comes_true(secs(2), |world| world.has_ended(&id)).await);
    assert_eq!(
        (world.outcome(&id), world.ending(&id)),
        (Some(OutcomeReason::Revoked), Some(Ending::Answered))
    );
    assert_settled(&world);
}

#[tokio::test(start_paused = true)]
async fn only_an_operator_revokes_and_only_the_requester_withdraws() {
    let (mut world, id) = with_an_active_request().await;
    world.revoke(&id, &person("bob"));
    world.withdraw(&id, &person("bob"));
    world.advance(mins(3)).await;
    assert!(world.is_active(&id));
    assert_eq!(world.kinds(&id), ["ELIGIBLE", "APPROVAL", "GRANT", "BOUND", "SEEN", "SEEN"]);
}

#[tokio::test(start_paused = true)]
async fn a_withdrawal_before_the_grant_leaves_no_trace_in_any_policy() {
    let mut world = World::started(&Options::default()).await;
    world.faults().once(Call::JudgePolicy, "", Fault::Slow(secs(3)));
    let id = world.file(&Filing::by("alice", 0));
    world.advance(secs(1)).await;
    world.withdraw(&id, &person("alice"));
    world.advance(secs(10)).await;
    assert_eq!(
        (world.outcome(&id), world.ending(&id)),
        (Some(OutcomeReason::Withdrawn), Some(Ending::NeverGranted))
    );
    assert_eq!(world.n_writes(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_revocation_while_a_write_is_in_flight_wins() {
    for in_flight in [Fault::Slow(secs(3)), Fault::LoseReply, Fault::Late(secs(3))] {
        let mut world = World::started(&Options::default()).await;
        world.faults().once(Call::WritePolicy, "", in_flight);
        let id = world.file(&Filing::by("alice", 0));
        world.advance(secs(1)).await;
        world.revoke(&id, &operator());
        world.advance(secs(15)).await;
        assert!(world.has_ended(&id), "{in_flight:?}: {:?}", world.kinds(&id));
        world.advance(mins(10)).await;
        assert_settled(&world);
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_lands_after_the_revocation_never_gives_access_after_the_end() {
    let mut world = World::started(&Options::default()).await;
    world.faults().times(Call::WritePolicy, "", Fault::Late(secs(40)), 1);
    world.faults().always(Call::ReadPolicy, "", Fault::Slow(secs(1)));
    let id = world.file(&Filing::by("alice", 0));
    assert!(world.comes_true(secs(10), |world| world.kinds(&id).contains(&"GRANT".into())).await);
    world.revoke(&id, &operator());
    assert!(
        world.comes_true(secs(15), |world| world.has_ended(&id)).await,
        "{:?}",
        world.kinds(&id)
    );
    assert_eq!(world.ending(&id), Some(Ending::Answered));
    world.advance(mins(10)).await;
    assert!(world.bindings(&id).is_empty());
    assert_settled(&world);
}

#[tokio::test(start_paused = true)]
async fn a_revocation_overtakes_the_grants_that_wait() {
    let options = Options { n_projects: 40, ..Options::default() };
    let mut world = World::started(&options).await;
    let revoked = world.file(&Filing::by("alice", 0));
    world.advance(secs(5)).await;
    world.faults().always(Call::Commit, "", Fault::Slow(secs(1)));
    let waiting: Vec<_> = (0..400).map(|n| world.file(&Filing::by("bob", n % 40))).collect();
    world.revoke(&revoked, &operator());
    assert!(world.comes_true(secs(15), |world| !world.gives_access(&revoked)).await);
    let granted = waiting.iter().filter(|id| world.grant(id).is_some()).count();
    assert!(granted < 200, "{granted} grants went before the revocation");
}

#[tokio::test(start_paused = true)]
async fn access_ends_although_nobody_can_be_asked_whether_the_actor_may() {
    let (mut world, id) = with_an_active_request().await;
    world.faults().always(
        Call::Membership,
        "",
        Fault::Refuse(curfew_ports::RetryClass::Unavailable),
    );
    world.faults().always(
        Call::JudgePolicy,
        "",
        Fault::Refuse(curfew_ports::RetryClass::Unavailable),
    );
    world.revoke(&id, &operator());
    assert!(world.comes_true(secs(5), |world| world.has_ended(&id)).await);
}

#[tokio::test(start_paused = true)]
async fn a_removal_from_outside_is_noted_once_and_not_undone() {
    let (mut world, id) = with_an_active_request().await;
    world.advance(secs(60)).await;
    world.remove_bindings(&id);
    world.advance(mins(20)).await;
    assert_eq!(world.kinds(&id).iter().filter(|kind| *kind == "DRIFT").count(), 1);
    assert!(world.bindings(&id).is_empty());
    world.advance(mins(60)).await;
    assert!(world.has_ended(&id));
    assert_settled(&world);
}
