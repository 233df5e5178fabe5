//! A controller that dies at any moment, and the next one that finds what it has left.

use curfew_core::fact::Ending;
use curfew_sim::{Call, Fault, Filing, Options, World, operator, person};

use crate::{assert_settled, mins, secs};

/// Grants and revokes with a controller that dies at moment `k`; says whether it came to that.
async fn grant_and_revoke(k: u64) -> bool {
    let mut world = World::new(&Options::default());
    world.start_controller(Some(k));
    let ids = [("alice", 0), ("bob", 0), ("carol", 1), ("bob", 2)]
        .map(|(who, project)| world.file(&Filing::by(who, project)));
    world.advance(secs(3)).await;
    world.revoke(&ids[0], &operator());
    world.withdraw(&ids[2], &person("carol"));
    world.advance(mins(3)).await;
    for (n, id) in ids.iter().enumerate() {
        let is_right = if n % 2 == 0 { world.has_ended(id) } else { world.is_active(id) };
        assert!(is_right, "crashed at {k}: {:?}", world.kinds(id));
    }
    world.advance(mins(10)).await;
    let unsettled = world.unsettled();
    assert!(unsettled.is_empty(), "crashed at {k}: {unsettled:#?}");
    world.n_crashes() == 1
}

#[tokio::test(start_paused = true)]
async fn a_crash_at_any_moment_of_a_grant_and_a_revocation_loses_nothing() {
    let mut crashed = 0;
    for k in 0..200 {
        crashed += u32::from(grant_and_revoke(k).await);
    }
    assert!(crashed > 150, "only {crashed} crashes");
}

#[tokio::test(start_paused = true)]
async fn an_intent_that_a_crash_left_open_is_closed_after_a_read_with_another_etag() {
    let mut world = World::started(&Options::default()).await;
    world.faults().once(Call::WritePolicy, "", Fault::Slow(secs(5)));
    let id = world.file(&Filing::by("alice", 0));
    world.advance(secs(2)).await;
    assert_eq!(world.with(|data| data.store.open_intents().count()), 1);
    world.crash();
    world.advance(mins(2)).await;
    assert!(world.is_active(&id));
    assert_eq!(world.with(|data| data.store.open_intents().count()), 0);
    assert_settled(&world);
}

#[tokio::test(start_paused = true)]
async fn a_write_of_a_dead_controller_that_lands_after_the_end_gives_no_access() {
    let mut world = World::started(&Options::default()).await;
    world.faults().once(Call::WritePolicy, "", Fault::Slow(secs(60)));
    let id = world.file(&Filing::by("alice", 0));
    world.advance(secs(2)).await;
    world.revoke(&id, &operator());
    world.crash();
    world.advance(secs(20)).await;
    assert_eq!(world.ending(&id), Some(Ending::Answered), "{:?}", world.kinds(&id));
    world.advance(mins(5)).await;
    assert!(world.bindings(&id).is_empty());
    assert_settled(&world);
}

#[tokio::test(start_paused = true)]
async fn a_controller_that_keeps_crashing_gets_there_all_the_same() {
    let mut world = World::started(&Options::default()).await;
    let id = world.file(&Filing::by("alice", 0));
    for n in 0..60 {
        world.advance(std::time::Duration::from_millis(20 + n)).await;
        world.crash();
    }
    world.advance(mins(2)).await;
    assert!(world.is_active(&id));
    assert_settled(&world);
}
