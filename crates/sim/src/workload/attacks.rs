//! Somebody who can write the store.

use chrono::TimeDelta;
use curfew_ports::{RetryClass, StoredFact};

use super::{ms, secs};
use crate::fault::{Call, Fault};
use crate::scene::{Filing, operator, person};
use crate::world::World;

pub(super) async fn recreate(world: &mut World) {
    let pending = world.file(&Filing {
        start_at: Some(world.now() + TimeDelta::minutes(5)),
        ..Filing::by("alice", 0)
    });
    let ended = world.file(&Filing::by("alice", 1));
    world.advance(secs(3)).await;
    world.withdraw(&ended, &person("alice"));
    world.advance(secs(5)).await;
    for (id, project) in [(&pending, 0), (&ended, 1)] {
        world.delete(id);
        let pause = world.random().millis_below(10);
        world.advance(pause).await;
        world.file(&Filing { id: Some(id.clone()), ..Filing::by("bob", project) });
    }
    world.advance(secs(5)).await;
    let active = world.file(&Filing::by("carol", 2));
    world.advance(secs(3)).await;
    world.delete(&active);
    world.file(&Filing { id: Some(active), ..Filing::by("mallory", 2) });
    world.advance(secs(5)).await;
}

pub(super) async fn edit(world: &mut World) {
    let start_at = Some(world.now() + TimeDelta::seconds(20));
    let waiting = world.file(&Filing { start_at, ..Filing::by("alice", 0) });
    let active = world.file(&Filing::by("bob", 0));
    let exchanged = world.file(&Filing::by("carol", 1));
    let other = world.file(&Filing::by("alice", 1));
    world.advance(secs(3)).await;
    for id in [&waiting, &active] {
        world.edit(id, |stored| {
            if let Some(spec) = &mut stored.spec {
                spec.payload = spec.payload.replace("spec", "spec ");
            }
        });
    }
    // What somebody else has signed for another request.
    let theirs =
        world.with(|data| data.store.document(&other).and_then(|stored| stored.spec.clone()));
    world.edit(&exchanged, |stored| stored.spec = theirs);
    world.advance(secs(25)).await;
}

/// A document that does not verify names two policies, and for a while nobody says what stands there.
pub(super) async fn two_places(world: &mut World) {
    let active = world.file(&Filing::by("alice", 0));
    let other = world.file(&Filing::by("bob", 1));
    world.advance(secs(3)).await;
    let theirs =
        world.with(|data| data.store.document(&other).and_then(|stored| stored.spec.clone()));
    world.kill();
    world.edit(&active, |stored| stored.spec = theirs);
    world.faults().always(Call::JudgePolicy, "demo", Fault::Refuse(RetryClass::Unavailable));
    world.start_controllers();
    let pause = secs(15) + world.random().millis_below(15_000);
    world.advance(pause).await;
    world.faults().clear_rules();
    world.advance(secs(30)).await;
}

pub(super) async fn restore(world: &mut World) {
    let short = TimeDelta::seconds(60);
    let over = world.file(&Filing::by("alice", 0).lasting(short));
    let filed_before = world.file(&Filing::by("mallory", 1));
    world.advance(ms(4)).await;
    let early = world.backup();
    world.advance(secs(3)).await;
    let late = world.backup();
    world.revoke(&over, &operator());
    let filed_after = world.file(&Filing::by("bob", 1).lasting(short));
    world.advance(secs(90)).await;
    // The grants of the backup are over by now; what was filed since is gone, ended or not.
    world.restore(&late);
    world.advance(secs(5)).await;
    let moment = world.random().millis_below(40);
    world.advance(moment).await;
    // Before anybody was granted anything, and longer ago than a grant may wait.
    world.kill();
    world.advance(secs(16 * 60)).await;
    world.restore(&early);
    world.start_controllers();
    world.advance(secs(5)).await;
    for id in [&over, &filed_before, &filed_after] {
        world.revoke(id, &operator());
    }
}

pub(super) async fn forged(world: &mut World) {
    let donor = world.file(&Filing::by("alice", 0));
    world.advance(secs(3)).await;
    let victim = world.file(&Filing::by("mallory", 0));
    let other = world.file(&Filing::by("bob", 1));
    let borrowed = world
        .with(|data| data.store.document(&donor).map(|stored| stored.facts.clone()))
        .unwrap_or_default();
    let invented =
        StoredFact { n: 0, kind: "GRANT".into(), mac: "0".repeat(64), ..StoredFact::default() };
    world.edit(&victim, |stored| stored.facts.push(invented.clone()));
    world.advance(secs(1)).await;
    world.edit(&victim, |stored| stored.facts.clone_from(&borrowed));
    world.edit(&other, |stored| stored.live = false);
    world.advance(secs(2)).await;
    // A chain that is cut, and then put back.
    world.edit(&donor, |stored| stored.facts.truncate(2));
    world.advance(secs(2)).await;
    world.edit(&other, |stored| {
        stored.facts.push(invented);
        stored.status = None;
    });
    world.advance(secs(5)).await;
}
