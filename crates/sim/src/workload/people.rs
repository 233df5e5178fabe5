//! Requests and their ends.

use chrono::TimeDelta;
use curfew_ports::RetryClass;

use super::{ms, secs};
use crate::fault::{Call, Fault};
use crate::scene::{Filing, operator, person};
use crate::world::World;

pub(super) async fn single(world: &mut World) {
    let id = world.file(&Filing::by("alice", 0));
    world.advance(secs(3)).await;
    world.revoke(&id, &operator());
    world.advance(secs(3)).await;
}

pub(super) async fn natural_end(world: &mut World) {
    world.file(&Filing::by("alice", 0).lasting(TimeDelta::seconds(60)));
    world.advance(secs(75)).await;
}

pub(super) async fn burst(world: &mut World) {
    let people = ["alice", "bob", "carol"];
    let filings = (0..8).map(|n| Filing::by(people[n % 3], 0));
    let ids = filings.map(|filing| world.file(&filing)).collect::<Vec<_>>();
    world.advance(ms(40)).await;
    world.file(&Filing::by("carol", 0));
    world.advance(secs(3)).await;
    world.revoke(&ids[1], &operator());
    world.withdraw(&ids[3], &person("alice"));
    world.advance(secs(3)).await;
}

pub(super) async fn many_projects(world: &mut World) {
    let people = ["alice", "bob", "carol"];
    let filings = (0..12).map(|n| Filing::by(people[n % 3], n % 6));
    let ids = filings.map(|filing| world.file(&filing)).collect::<Vec<_>>();
    world.advance(secs(3)).await;
    for id in ids.iter().step_by(4) {
        world.revoke(id, &operator());
    }
    world.advance(secs(3)).await;
}

pub(super) async fn siblings(world: &mut World) {
    let first = world.file(&Filing::by("alice", 0).lasting(TimeDelta::seconds(90)));
    let second = world.file(&Filing::by("alice", 0));
    let both = world.file(&Filing { n_roles: 2, ..Filing::by("alice", 0) });
    world.advance(secs(3)).await;
    world.withdraw(&second, &person("alice"));
    world.advance(secs(2)).await;
    world.revoke(&both, &person("bob"));
    world.revoke(&first, &operator());
    world.file(&Filing { n_roles: 2, ..Filing::by("alice", 0) });
    world.advance(secs(3)).await;
}

pub(super) async fn revoke_race(world: &mut World) {
    let mut ids = Vec::new();
    for n in 0..3 {
        ids.push(world.file(&Filing::by(["alice", "bob", "carol"][n], n % 2)));
    }
    for (n, id) in ids.iter().enumerate() {
        // Anywhere in what a grant takes from its filing to its binding.
        let moment = world.random().millis_below(20);
        world.advance(moment).await;
        if n == 1 {
            world.withdraw(id, &person("bob"));
        } else {
            world.revoke(id, &operator());
        }
    }
    world.advance(secs(5)).await;
}

pub(super) async fn late_write(world: &mut World) {
    let late = [ms(30), secs(2), secs(18)][world.random().index_below(3)];
    world.faults().once(Call::WritePolicy, "", Fault::Late(late));
    let id = world.file(&Filing::by("alice", 0));
    let moment = ms(15) + world.random().millis_below(30);
    world.advance(moment).await;
    world.revoke(&id, &operator());
    world.advance(secs(20)).await;
}

/// Between what a turn has read and its write, more time passes than that may be old.
pub(super) async fn slow_intent(world: &mut World) {
    let slow = [secs(4), secs(6)][world.random().index_below(2)];
    world.faults().once(Call::OpenIntent, "", Fault::Slow(slow));
    let id = world.file(&Filing::by("alice", 0));
    let moment = ms(20) + world.random().millis_below(4_000);
    world.advance(moment).await;
    world.revoke(&id, &operator());
    world.advance(secs(15)).await;
}

pub(super) async fn scheduled(world: &mut World) {
    let start_at = Some(world.now() + TimeDelta::seconds(50));
    world.file(&Filing { start_at, ..Filing::by("alice", 0) });
    world.file(&Filing { start_at, ..Filing::by("bob", 0) });
    let given_up = world.file(&Filing { start_at, ..Filing::by("carol", 1) });
    let later = Some(world.now() + TimeDelta::hours(1));
    world.file(&Filing { start_at: later, ..Filing::by("carol", 2) });
    world.advance(secs(10)).await;
    world.lose_eligibility("bob");
    world.withdraw(&given_up, &person("carol"));
    world.advance(secs(45)).await;
}

pub(super) async fn expiry_storm(world: &mut World) {
    let people = ["alice", "bob", "carol"];
    for n in 0..9 {
        world.file(&Filing::by(people[n % 3], n % 2).lasting(TimeDelta::seconds(60)));
    }
    world.advance(secs(59)).await;
    world.file(&Filing::by("alice", 0));
    world.advance(secs(20)).await;
}

pub(super) async fn restart(world: &mut World) {
    let first = world.file(&Filing::by("alice", 0));
    let moment = world.random().millis_below(60);
    world.advance(moment).await;
    world.stop().await;
    let second = world.file(&Filing::by("bob", 0));
    world.start_controllers();
    world.advance(secs(2)).await;
    world.revoke(&first, &operator());
    let moment = world.random().millis_below(40);
    world.advance(moment).await;
    world.crash();
    world.advance(secs(2)).await;
    world.withdraw(&second, &person("bob"));
    world.kill();
    world.advance(secs(5)).await;
    world.start_controllers();
    world.advance(secs(5)).await;
}

/// Every policy was looked at as a whole just now, and will not be for an hour: what two controllers leave there while
/// they end the same requests is found by nobody else.
pub(super) async fn read_seldom(world: &mut World) {
    for n in 0..2 {
        world.file(&Filing::by("dave", n));
    }
    world.advance(secs(15)).await;
    for n in 0..4 {
        let ids = ["alice", "bob"].map(|who| world.file(&Filing::by(who, n % 2)));
        let moment = world.random().millis_below(60);
        world.advance(moment).await;
        world.revoke(&ids[0], &operator());
        let moment = world.random().millis_below(30);
        world.advance(moment).await;
        world.withdraw(&ids[1], &person("bob"));
        // A turn that comes just then does not get to see the policy.
        let moment = world.random().millis_below(30);
        world.advance(moment).await;
        let unavailable = Fault::Refuse(RetryClass::Unavailable);
        world.faults().times(Call::ReadPolicy, "", unavailable, n % 3);
        world.advance(secs(2)).await;
        world.faults().clear_rules();
    }
}

pub(super) async fn together(world: &mut World) {
    let ids = [("alice", 0), ("bob", 0), ("carol", 1), ("bob", 1)]
        .map(|(who, project)| world.file(&Filing::by(who, project)));
    let moment = world.random().millis_below(60);
    world.advance(moment).await;
    world.revoke(&ids[0], &operator());
    world.advance(secs(2)).await;
    world.withdraw(&ids[2], &person("carol"));
    world.file(&Filing::by("carol", 0).lasting(TimeDelta::seconds(60)));
    world.advance(secs(70)).await;
}
