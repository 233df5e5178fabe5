//! A request's life when nothing goes wrong.

use chrono::TimeDelta;
use curfew_core::fact::{Ending, OutcomeReason};
use curfew_sim::{Filing, Options, World};

use crate::{assert_settled, mins, secs, with_an_active_request};

#[tokio::test(start_paused = true)]
async fn a_self_activation_is_granted_bound_and_ended() {
    let (mut world, id) = with_an_active_request().await;
    assert!(world.gives_access(&id));
    assert_eq!(world.n_writes(), 1);
    world.advance(mins(62)).await;
    assert_eq!(world.kinds(&id), ["ELIGIBLE", "APPROVAL", "GRANT", "BOUND", "OUTCOME", "ENDED"]);
    assert_eq!(world.outcome(&id), Some(OutcomeReason::DurationElapsed));
    assert_eq!(world.ending(&id), Some(Ending::SeenGone));
    assert_settled(&world);
}

#[tokio::test(start_paused = true)]
async fn many_requests_at_once_on_one_project_cost_at_most_three_writes() {
    let mut world = World::started(&Options::default()).await;
    let people = ["alice", "bob", "carol"];
    let ids: Vec<_> = (0..18).map(|n| world.file(&Filing::by(people[n % 3], 0))).collect();
    assert!(world.comes_true(secs(20), |world| ids.iter().all(|id| world.is_active(id))).await);
    assert!(world.n_writes() <= 3, "{} writes", world.n_writes());
    assert_settled(&world);
}

#[tokio::test(start_paused = true)]
async fn a_natural_end_removes_the_binding_within_a_minute_and_never_early() {
    let (mut world, id) = with_an_active_request().await;
    let expires_at = world.grant(&id).unwrap().expires_at;
    world.advance((expires_at - world.now()).to_std().unwrap()).await;
    assert_eq!(world.bindings(&id).len(), 1);
    assert!(world.comes_true(mins(2), |world| world.bindings(&id).is_empty()).await);
    let removed_after = world.now() - expires_at;
    assert!(
        (TimeDelta::zero()..TimeDelta::seconds(60)).contains(&removed_after),
        "{removed_after}"
    );
    world.advance(secs(5)).await;
    assert_settled(&world);
}

#[tokio::test(start_paused = true)]
async fn two_roles_stand_together_and_end_together() {
    let mut world = World::started(&Options::default()).await;
    let id = world.file(&Filing { n_roles: 2, ..Filing::by("bob", 1) });
    world.advance(secs(5)).await;
    assert_eq!(world.bindings(&id).len(), 2);
    world.withdraw(&id, &curfew_sim::person("bob"));
    world.advance(secs(5)).await;
    assert!(world.has_ended(&id));
    assert_settled(&world);
}

#[tokio::test(start_paused = true)]
async fn a_start_in_the_future_is_waited_for() {
    let mut world = World::started(&Options::default()).await;
    let start_at = Some(world.now() + TimeDelta::minutes(30));
    let id = world.file(&Filing { start_at, ..Filing::by("alice", 0) });
    world.advance(mins(29)).await;
    assert!(world.grant(&id).is_none());
    world.advance(mins(2)).await;
    assert!(world.gives_access(&id));
    assert_settled(&world);
}

#[tokio::test(start_paused = true)]
async fn who_is_not_eligible_is_told_so_and_gets_nothing() {
    let mut world = World::started(&Options::default()).await;
    let id = world.file(&Filing::by("mallory", 0));
    world.advance(secs(5)).await;
    assert_eq!(world.outcome(&id), Some(OutcomeReason::Ineligible));
    assert_eq!(world.ending(&id), Some(Ending::NeverGranted));
    assert_eq!(world.n_writes(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_settled_world_stays_as_it_is_for_a_day() {
    let mut world = World::started(&Options::default()).await;
    let ids = [0, 1, 2]
        .map(|n| world.file(&Filing { duration: TimeDelta::hours(1), ..Filing::by("alice", n) }));
    world.advance(mins(65)).await;
    assert!(ids.iter().all(|id| world.has_ended(id)));
    let (writes, versions) = (world.n_writes(), versions(&world));
    world.advance(mins(24 * 60)).await;
    assert_eq!((world.n_writes(), self::versions(&world)), (writes, versions));
    assert_settled(&world);
}

#[tokio::test(start_paused = true)]
async fn a_graceful_stop_abandons_before_the_write_and_the_next_run_finishes() {
    let mut world = World::started(&Options::default()).await;
    world.faults().once(curfew_sim::Call::OpenIntent, "", curfew_sim::Fault::Slow(secs(2)));
    let id = world.file(&Filing::by("alice", 0));
    world.advance(secs(1)).await;
    assert!(world.grant(&id).is_some(), "{:?}", world.kinds(&id));
    world.stop().await;
    assert_eq!(world.n_writes(), 0);
    assert_eq!(world.with(|data| data.store.open_intents().count()), 0);
    world.start_controller(None);
    world.advance(secs(5)).await;
    assert!(world.is_active(&id));
    assert_settled(&world);
}

fn versions(world: &World) -> Vec<i64> {
    world.with(|data| data.store.documents().map(|stored| stored.version.0).collect())
}
