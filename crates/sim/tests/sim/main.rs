//! The controller in simulated worlds. Every test's world is watched by the oracle at every effect.

#[cfg(feature = "planted-bugs")]
mod bugs;
mod crashes;
mod endings;
mod failures;
mod hostile;
mod life;
mod limits;
mod runs;

use std::time::Duration;

use curfew_core::id::RequestId;
use curfew_sim::{Filing, Options, World};

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn mins(n: u64) -> Duration {
    Duration::from_mins(n)
}

/// A world in which Alice's request is active.
async fn with_an_active_request() -> (World, RequestId) {
    let mut world = World::started(&Options::default()).await;
    let id = world.file(&Filing::by("alice", 0));
    assert!(
        world.comes_true(secs(5), |world| world.is_active(&id)).await,
        "{:?}",
        world.kinds(&id)
    );
    (world, id)
}

fn assert_settled(world: &World) {
    let unsettled = world.unsettled();
    assert!(unsettled.is_empty(), "{unsettled:#?}");
}
