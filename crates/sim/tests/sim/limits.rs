//! How far whoever can write the store gets, and what a full policy means: the limits that the documents state.

use chrono::TimeDelta;
use curfew_core::fact::{Ending, OutcomeReason};
use curfew_core::id::RequestId;
use curfew_core::phase::Phase;
use curfew_core::status::Status;
use curfew_ports::{RetryClass, StoredRequest};
use curfew_sim::{Call, Effect, Fault, Filing, Options, World, person};

use crate::{assert_settled, mins, secs, with_an_active_request};

/// Somebody changes the stored request while no controller runs; then one starts.
async fn changed_before_a_start(
    world: &mut World,
    id: &RequestId,
    change: impl FnOnce(&mut StoredRequest),
) {
    world.kill();
    world.edit(id, change);
    world.start_controllers();
    let ends = world.comes_true(mins(2), |world| world.has_ended(id)).await;
    assert!(ends, "{:?}", world.kinds(id));
}

fn break_the_spec(stored: &mut StoredRequest) {
    if let Some(spec) = &mut stored.spec {
        spec.payload.push(' ');
    }
}

#[tokio::test(start_paused = true)]
async fn an_edited_request_is_called_ended_only_when_its_binding_was_found_and_removed() {
    let (mut world, id) = with_an_active_request().await;
    changed_before_a_start(&mut world, &id, break_the_spec).await;
    assert_eq!(world.outcome(&id), Some(OutcomeReason::Invalid));
    assert_eq!(world.ending(&id), Some(Ending::Answered), "{:?}", world.kinds(&id));
    assert!(world.bindings(&id).is_empty());
    assert_settled(&world);
}

#[tokio::test(start_paused = true)]
async fn the_binding_of_an_edited_request_is_found_without_its_facts() {
    let (mut world, id) = with_an_active_request().await;
    changed_before_a_start(&mut world, &id, |stored| {
        break_the_spec(stored);
        stored.facts.clear();
    })
    .await;
    assert_eq!(world.ending(&id), Some(Ending::Answered), "{:?}", world.kinds(&id));
    assert!(world.bindings(&id).is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_binding_of_an_edited_request_is_found_without_the_record_of_policy_writes() {
    let (mut world, id) = with_an_active_request().await;
    world.kill();
    world.with(|data| data.store.forget_resources());
    changed_before_a_start(&mut world, &id, break_the_spec).await;
    assert_eq!(world.ending(&id), Some(Ending::Answered), "{:?}", world.kinds(&id));
    assert!(world.bindings(&id).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_grant_whose_mac_is_forged_is_looked_for_where_it_was_asked_for() {
    let (mut world, id) = with_an_active_request().await;
    world.kill();
    // Too late to be granted anew.
    world.advance(mins(16)).await;
    changed_before_a_start(&mut world, &id, |stored| {
        for fact in stored.facts.iter_mut().filter(|fact| fact.kind == "GRANT") {
            fact.mac = "0".repeat(64);
        }
    })
    .await;
    assert_eq!(world.ending(&id), Some(Ending::Answered), "{:?}", world.kinds(&id));
    assert!(world.bindings(&id).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_chain_that_is_broken_is_forgotten_by_a_crash_after_the_outcome_and_its_binding_goes() {
    let (mut world, id) = with_an_active_request().await;
    world.kill();
    // Too late to be granted anew.
    world.advance(mins(16)).await;
    world.faults().once(Call::Commit, "", Fault::CrashAfter);
    changed_before_a_start(&mut world, &id, |stored| {
        for fact in stored.facts.iter_mut().filter(|fact| fact.kind == "APPROVAL") {
            fact.mac = "0".repeat(64);
        }
    })
    .await;
    assert_eq!(world.n_crashes(), 1);
    assert_eq!(world.ending(&id), Some(Ending::NeverGranted), "{:?}", world.kinds(&id));
    let goes = world.comes_true(mins(1), |world| world.bindings(&id).is_empty()).await;
    assert!(goes, "{:?}", world.bindings(&id));
}

#[tokio::test(start_paused = true)]
async fn who_holds_a_grant_and_waits_for_a_place_has_the_policy_read_ever_more_rarely() {
    let mut world = World::started(&Options::default()).await;
    // All of them are judged on one reading, and one more than IAM takes.
    let ids: Vec<RequestId> = (0..21).map(|_| world.file(&Filing::by("alice", 0))).collect();
    world.advance(mins(1)).await;
    assert!(ids.iter().all(|id| world.grant(id).is_some()));
    assert_eq!(ids.iter().filter(|id| world.is_active(id)).count(), 20);
    let before = seen(&world, Effect::Read);
    world.advance(mins(5)).await;
    let n = seen(&world, Effect::Read) - before;
    assert!((10..=30).contains(&n), "{n} reads in five minutes");
    assert_settled(&world);
}

#[tokio::test(start_paused = true)]
async fn an_edited_request_that_never_was_granted_ends_as_such() {
    let mut world = World::started(&Options::default()).await;
    let start_at = Some(world.now() + TimeDelta::minutes(30));
    let id = world.file(&Filing { start_at, ..Filing::by("alice", 0) });
    world.advance(secs(3)).await;
    changed_before_a_start(&mut world, &id, break_the_spec).await;
    assert_eq!(world.outcome(&id), Some(OutcomeReason::Invalid));
    assert_eq!(world.ending(&id), Some(Ending::NeverGranted));
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_cannot_be_read_leaves_it_open_whether_an_edited_request_was_granted() {
    let (mut world, id) = with_an_active_request().await;
    world.kill();
    world.edit(&id, break_the_spec);
    world.faults().always(Call::ReadPolicy, "", Fault::Refuse(RetryClass::Unavailable));
    world.start_controllers();
    world.advance(mins(5)).await;
    assert_eq!(world.phase(&id), Some(Phase::Ending), "{:?}", world.kinds(&id));
    world.faults().clear();
    world.advance(mins(2)).await;
    assert_eq!(world.ending(&id), Some(Ending::Answered), "{:?}", world.kinds(&id));
    assert_settled(&world);
}

#[tokio::test(start_paused = true)]
async fn forged_documents_cause_one_read_a_second_at_most_and_delay_nobody() {
    let mut world = World::started(&Options { n_projects: 40, ..Options::default() }).await;
    let before = look_ups(&world);
    for n in 0..40 {
        let id = world.file(&Filing::by("mallory", n));
        world.edit(&id, |stored| {
            if let Some(spec) = &mut stored.spec {
                spec.signature.push('x');
            }
        });
    }
    let honest = world.file(&Filing::by("alice", 0));
    world.advance(secs(10)).await;
    assert!(world.is_active(&honest));
    // What judging one honest request takes, and the named policies.
    let n = look_ups(&world) - before;
    assert!((10..=11 + 6).contains(&n), "{n} look-ups");
    world.advance(mins(3)).await;
    assert_settled(&world);
}

fn look_ups(world: &World) -> u32 {
    seen(world, Effect::LookUp)
}

fn seen(world: &World, what: Effect) -> u32 {
    let seen = *world.faults().seen();
    let counts = Effect::ALL.iter().zip(seen);
    counts.filter(|(effect, _)| **effect == what).map(|(_, n)| n).sum()
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_place_in_a_full_policy_and_gives_up_has_ended_at_once() {
    let mut world = World::started(&Options::default()).await;
    // Twenty are what IAM takes of one role for one member.
    for _ in 0..20 {
        world.file(&Filing::by("alice", 0));
    }
    world.advance(secs(10)).await;
    let id = world.file(&Filing::by("alice", 0));
    world.advance(secs(10)).await;
    assert!(world.grant(&id).is_none(), "{:?}", world.kinds(&id));
    world.withdraw(&id, &person("alice"));
    world.advance(secs(5)).await;
    assert_eq!(world.ending(&id), Some(Ending::NeverGranted), "{:?}", world.kinds(&id));
    assert_settled(&world);
}

#[tokio::test(start_paused = true)]
async fn a_place_that_becomes_free_is_taken_within_half_a_minute() {
    let mut world = World::started(&Options::default()).await;
    let ids: Vec<RequestId> = (0..20).map(|_| world.file(&Filing::by("alice", 0))).collect();
    world.advance(secs(10)).await;
    let waiting = world.file(&Filing::by("alice", 0));
    world.advance(mins(2)).await;
    world.withdraw(&ids[0], &person("alice"));
    let comes = world.comes_true(secs(40), |world| world.is_active(&waiting)).await;
    assert!(comes, "{:?}", world.kinds(&waiting));
}

#[tokio::test(start_paused = true)]
async fn an_erased_or_forged_status_is_put_right_and_a_settled_one_is_left_alone() {
    let (mut world, id) = with_an_active_request().await;
    world.advance(secs(70)).await;
    let shown = status(&world, &id);
    assert!(shown.is_some());
    let settled = commits(&world);
    world.edit(&id, |stored| stored.status = None);
    world.advance(secs(70)).await;
    assert_eq!(status(&world, &id), shown);
    assert_eq!(commits(&world), settled + 1);
    world.edit(&id, |stored| {
        if let Some(status) = &mut stored.status {
            status.phase = Phase::Ended;
        }
    });
    world.advance(mins(10)).await;
    assert_eq!(status(&world, &id), shown);
    assert_eq!(commits(&world), settled + 2);
    assert!(world.is_active(&id));
}

#[tokio::test(start_paused = true)]
async fn a_status_that_is_forged_again_and_again_is_put_right_ever_more_rarely() {
    let (mut world, id) = with_an_active_request().await;
    let before = commits(&world);
    for _ in 0..30 * 60 {
        world.edit(&id, |stored| stored.status = None);
        world.advance(secs(1)).await;
    }
    // At once, and then after 1, 2, 4, 8 and 16 minutes, each up to a resync late.
    let n = commits(&world) - before;
    assert!((4..=6).contains(&n), "{n} commits in half an hour");
}

#[tokio::test(start_paused = true)]
async fn a_rollback_across_a_restart_of_every_controller_grants_anew_until_its_deadline_and_not_after()
 {
    for (wait, is_granted) in [(14 * 60 + 50, true), (15 * 60, false)] {
        let mut world = World::started(&Options::default()).await;
        let filed_at = world.now();
        let id = world.file(&Filing::by("alice", 0));
        let filed = world.backup();
        world.advance(secs(5)).await;
        let first = world.grant(&id).unwrap();
        world.kill();
        world.advance(secs(wait - 5)).await;
        world.restore(&filed);
        world.start_controllers();
        world.advance(mins(1)).await;
        assert_eq!(world.grant(&id).is_some(), is_granted, "{:?}", world.kinds(&id));
        if let Some(second) = world.grant(&id) {
            assert!(second.expires_at > first.expires_at);
            let most = filed_at + TimeDelta::minutes(15) + (first.expires_at - first.starts_at);
            assert!(second.expires_at <= most, "prolonged beyond the deadline of approval");
            assert_eq!(world.bindings(&id).len(), 1);
        } else {
            assert_eq!(world.outcome(&id), Some(OutcomeReason::ApprovalTimedOut));
            assert!(world.bindings(&id).is_empty(), "what was granted before has gone");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_controller_that_goes_on_running_grants_nothing_anew_after_a_rollback() {
    let mut world = World::started(&Options { n_controllers: 2, ..Options::default() }).await;
    let id = world.file(&Filing::by("alice", 0));
    let filed = world.backup();
    world.advance(secs(5)).await;
    let first = world.grant(&id);
    world.restore(&filed);
    world.advance(mins(1)).await;
    assert_eq!(world.grant(&id), first);
    assert_eq!(world.outcome(&id), Some(OutcomeReason::Tampered));
    assert!(world.bindings(&id).is_empty());
}

fn commits(world: &World) -> u64 {
    world.with(|data| data.store.n_commits())
}

fn status(world: &World, id: &RequestId) -> Option<Status> {
    world.with(|data| data.store.document(id).and_then(|stored| stored.status.clone()))
}
