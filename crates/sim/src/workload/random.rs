//! Anybody does anything, in any order.

use chrono::TimeDelta;
use curfew_core::id::RequestId;

use crate::nodes::nodes_of_the_system;
use crate::scene::{Filing, operator, person};
use crate::store::Watching;
use crate::world::World;

const PEOPLE: [&str; 5] = ["alice", "bob", "carol", "mallory", "dave"];

pub(super) async fn anything(world: &mut World) {
    let watching = [Watching::Reliable, Watching::Doubling, Watching::Dropping, Watching::Dead];
    let watching = watching[world.random().index_below(4)];
    world.with(|data| data.store.watching = watching);
    let mut ids = Vec::new();
    let n_acts = world.random().index_below(12).saturating_add(3).min(world.acts_max());
    for _ in 0..n_acts {
        act(world, &mut ids);
        let pause = match world.random().below(3) {
            0 => world.random().millis_below(40),
            _ => world.random().millis_below(6_000),
        };
        world.advance(pause).await;
    }
}

fn act(world: &mut World, ids: &mut Vec<RequestId>) {
    let pick = |n| world.random().index_below(n);
    let chosen = ids.get(pick(ids.len().max(1))).cloned();
    let somebody = || person(PEOPLE[pick(5)]);
    match (pick(15), chosen) {
        (0..=4, _) | (_, None) => ids.push(file(world)),
        (11 | 12, Some(id)) => world.approve(&id, &somebody()),
        (13, Some(id)) => world.deny(&id, &somebody()),
        (5, Some(id)) => world.revoke(&id, &operator()),
        (6, Some(id)) => world.withdraw(&id, &somebody()),
        (7, Some(_)) => world.foreign_write(pick(2), &format!("user:u{}@example.com", pick(50))),
        (8, Some(_)) => world.crash(),
        (9, Some(_)) => world.lose_eligibility(PEOPLE[pick(3)]),
        (10, Some(id)) => world.revoke(&id, &somebody()),
        (_, Some(id)) => world.remove_bindings(&id),
    }
}

fn file(world: &World) -> RequestId {
    let pick = |n| world.random().index_below(n);
    let duration = TimeDelta::seconds([60, 90, 3600][pick(3)]);
    let n_roles = pick(2).saturating_add(1);
    let of_peers = pick(3) == 0;
    let filing = Filing { n_roles, duration, of_peers, ..Filing::by(PEOPLE[pick(4)], pick(2)) };
    let nodes = nodes_of_the_system();
    match nodes.get(pick(40)) {
        Some(node) => world.file(&filing.on(node.clone())),
        None => world.file(&filing),
    }
}
