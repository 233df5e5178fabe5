//! Random schedules: people, faults and crashes in any order. After they stop, all must come to rest.

use chrono::TimeDelta;
use curfew_core::id::RequestId;
use curfew_sim::{Filing, Options, Watching, World, operator, person};

use crate::mins;

const SCHEDULES: u64 = 2_000;

/// Replays one schedule: `CURFEW_SIM_SEED=<seed> cargo nextest run -p curfew-sim random_schedules`.
const SEED: &str = "CURFEW_SIM_SEED";

#[test]
fn random_schedules_break_nothing_and_come_to_rest() {
    let chosen = std::env::var(SEED).ok().and_then(|seed| seed.parse().ok());
    let seeds = chosen.map_or(0..SCHEDULES, |seed: u64| seed..seed + 1);
    std::thread::scope(|scope| {
        let half = seeds.start.midpoint(seeds.end);
        scope.spawn(move || (seeds.start..half).for_each(run));
        (half..seeds.end).for_each(run);
    });
}

fn run(seed: u64) {
    let schedule = std::panic::AssertUnwindSafe(|| {
        drop(runtime().block_on(schedule(seed)));
    });
    let ended = std::panic::catch_unwind(schedule);
    assert!(
        ended.is_ok(),
        "replay with {SEED}={seed} cargo nextest run -p curfew-sim random_schedules"
    );
}

async fn schedule(seed: u64) -> World {
    let mut world =
        World::new(&Options { seed, read_settled_every: mins(5), ..Options::default() });
    let crash_at = world.random().below(400);
    world.start_controller((crash_at > 100).then_some(crash_at));
    let one_in = [0, 40, 20, 8][world.random().index_below(4)];
    world.faults().one_in(one_in);
    let watching = [Watching::Reliable, Watching::Doubling, Watching::Dropping, Watching::Dead];
    let watching = watching[world.random().index_below(4)];
    world.with(|data| data.store.watching = watching);
    let mut ids = Vec::new();
    for _ in 0..world.random().below(12) + 3 {
        act(&mut world, &mut ids);
        let pause = world.random().millis_below(6_000);
        world.advance(pause).await;
    }
    world.faults().clear();
    // Late effects land, back-offs pass, a resync comes, and a read of each policy after one of the record of writes.
    world.advance(mins(8)).await;
    let unsettled = world.unsettled();
    assert!(unsettled.is_empty(), "{unsettled:#?}");
    world
}

#[expect(clippy::unwrap_used, reason = "without a runtime there is no test")]
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}

fn act(world: &mut World, ids: &mut Vec<RequestId>) {
    let people = ["alice", "bob", "carol", "mallory"];
    let pick = |n| world.random().index_below(n);
    let chosen = ids.get(pick(ids.len().max(1))).cloned();
    match (pick(10), chosen) {
        (0..=3, _) | (_, None) => {
            let duration = TimeDelta::seconds([60, 90, 3600][pick(3)]);
            let n_roles = 1 + pick(2);
            ids.push(world.file(&Filing {
                duration,
                n_roles,
                ..Filing::by(people[pick(4)], pick(2))
            }));
        }
        (4, Some(id)) => world.revoke(&id, &operator()),
        (5, Some(id)) => world.withdraw(&id, &person(people[pick(4)])),
        (6, Some(_)) => world.foreign_write(pick(2), &format!("user:u{}@example.com", pick(50))),
        (7, Some(_)) => world.crash(),
        (8, Some(_)) => world.lose_eligibility(people[pick(3)]),
        (_, Some(id)) => world.revoke(&id, &person(people[pick(4)])),
    }
}

#[test]
fn the_same_seed_gives_the_same_history() {
    for seed in [3, 7, 1_234] {
        assert_eq!(history(seed), history(seed), "seed {seed}");
    }
}

fn history(seed: u64) -> Vec<String> {
    let runtime = runtime();
    let world = runtime.block_on(schedule(seed));
    world.with(|data| {
        let writes = data.cloud.log().iter().map(|write| format!("{} {:?}", write.at, write.after));
        writes.chain(data.store.documents().map(|stored| format!("{stored:?}"))).collect()
    })
}
