//! Clouds, clocks and stores that make it hard.

use chrono::TimeDelta;
use curfew_core::id::RequestId;
use curfew_core::policy::Binding;
use curfew_ports::RetryClass;

use super::{ms, secs};
use crate::cloud::{PRINCIPALS_MAX, n_principals};
use crate::fault::{Call, Fault};
use crate::nodes::project;
use crate::oracle::Invariant;
use crate::scene::{Filing, operator, person};
use crate::world::World;

/// What a resync and its work take at most, with the watch dead.
const RESYNC_AND_TEN_SECONDS: u64 = 70;

pub(super) async fn foreign_edits(world: &mut World) {
    let first = world.file(&Filing::by("alice", 0));
    world.file(&Filing::by("bob", 0));
    for n in 0..12 {
        world.foreign_write(0, &format!("user:u{n}@example.com"));
        let pause = world.random().millis_below(25);
        world.advance(pause).await;
    }
    world.advance(secs(2)).await;
    world.revoke(&first, &operator());
    for n in 0..6 {
        world.foreign_write(0, &format!("user:v{n}@example.com"));
        let pause = world.random().millis_below(25);
        world.advance(pause).await;
    }
    world.advance(secs(3)).await;
}

pub(super) async fn drift(world: &mut World) {
    let removed = world.file(&Filing::by("alice", 0));
    let altered = world.file(&Filing::by("bob", 0));
    let revoked = world.file(&Filing::by("carol", 1));
    world.advance(secs(5)).await;
    world.remove_bindings(&removed);
    world.alter_bindings(&altered);
    world.alter_bindings(&revoked);
    world.advance(secs(2)).await;
    world.revoke(&revoked, &operator());
    world.advance(secs(40)).await;
}

pub(super) async fn policy_full(world: &mut World) {
    // Twenty are what IAM takes of one role for one member.
    let ids = (0..24).map(|_| world.file(&Filing::by("alice", 0))).collect::<Vec<_>>();
    world.advance(secs(5)).await;
    for id in ids.iter().take(2) {
        world.withdraw(id, &person("alice"));
    }
    world.advance(secs(5)).await;
}

/// The policy names as many members as IAM takes, but two.
pub(super) async fn crowded(world: &mut World) {
    let role = "roles/browser";
    world.change_policy(&project(0), |policy| {
        let n = PRINCIPALS_MAX.saturating_sub(n_principals(policy)).saturating_sub(2);
        let members = (0..n).map(|n| format!("user:m{n}@example.com")).collect();
        policy.bindings.push(Binding { role: role.into(), members, ..Binding::default() });
    });
    let ids = [("alice", 1), ("bob", 2), ("carol", 1), ("dave", 1)]
        .map(|(who, n_roles)| world.file(&Filing { n_roles, ..Filing::by(who, 0) }));
    world.advance(secs(5)).await;
    world.change_policy(&project(0), |policy| {
        let others = policy.bindings.iter_mut().filter(|binding| binding.role == role);
        others.for_each(|binding| drop(binding.members.pop()));
    });
    world.advance(secs(35)).await;
    for (id, who) in ids.iter().zip(["alice", "bob"]) {
        world.withdraw(id, &person(who));
    }
    world.advance(secs(5)).await;
}

pub(super) async fn refused(world: &mut World) {
    world.with(|data| data.cloud.refused_members.insert("user:bob@example.com".into()));
    for n in 0..6 {
        world.file(&Filing::by(["alice", "bob", "carol"][n % 3], 0));
    }
    world.advance(secs(10)).await;
}

pub(super) async fn clock_jump(world: &mut World) {
    let first = world.file(&Filing::by("alice", 0).lasting(TimeDelta::seconds(60)));
    world.advance(secs(2)).await;
    // As much as is tolerated, then more.
    for offset in [1_500, 90_000, -90_000, 0] {
        world.put_clock(TimeDelta::milliseconds(offset));
        let filing = Filing::by("bob", 1);
        world.file(&filing);
        world.advance(secs(8)).await;
    }
    world.revoke(&first, &operator());
    world.advance(secs(5)).await;
}

pub(super) async fn unanswering(world: &mut World) {
    let known = world.file(&Filing::by("carol", 1));
    world.advance(secs(2)).await;
    for call in [Call::JudgePolicy, Call::Membership] {
        world.faults().always(call, "", Fault::Refuse(RetryClass::Unavailable));
    }
    world.file(&Filing::by("alice", 0));
    world.file(&Filing::by("mallory", 0));
    world.revoke(&known, &operator());
    world.advance(secs(16 * 60)).await;
}

/// Nobody answers for some minutes, and then everything does, for longer than requests wait.
pub(super) async fn recovering(world: &mut World) {
    let calls = [Call::JudgePolicy, Call::Membership, Call::Commit, Call::ReadPolicy];
    let call = calls[world.random().index_below(4)];
    world.faults().always(call, "", Fault::Refuse(RetryClass::Unavailable));
    let start_at = Some(world.now() + TimeDelta::minutes(2));
    world.file(&Filing::by("alice", 0));
    world.file(&Filing { start_at, ..Filing::by("carol", 1) });
    let of_peers = world.file(&Filing::of_peers("bob", 0));
    world.advance(secs(4 * 60)).await;
    world.approve(&of_peers, &person("carol"));
    world.advance(secs(60)).await;
    world.faults().clear_rules();
    world.advance(secs(16 * 60)).await;
}

pub(super) async fn poisoned(world: &mut World) {
    let of_project = project(0).to_string();
    let calls = [Call::ReadPolicy, Call::WritePolicy, Call::JudgePolicy];
    let call = calls[world.random().index_below(3)];
    world.faults().always(call, &of_project, Fault::Refuse(RetryClass::Denied));
    for n in 0..12 {
        world.file(&Filing::by(["alice", "bob", "carol"][n % 3], 0));
    }
    world.advance(secs(20)).await;
    let well = world.file(&Filing::by("bob", 1));
    world.advance(secs(5)).await;
    if world.is_calm() && !world.is_active(&well) {
        world.wrong(Invariant::L3, "a project that fails delays another one");
    }
}

pub(super) async fn outage(world: &mut World) {
    let people = ["alice", "bob", "carol"];
    let ends = |n: usize| Filing::by(people[n % 3], n).lasting(TimeDelta::seconds(60));
    let over = (0..8).map(|n| world.file(&ends(n))).collect::<Vec<_>>();
    let revoked = world.file(&Filing::by("bob", 0));
    world.advance(secs(3)).await;
    world.kill();
    world.advance(secs(600)).await;
    let wanted = (8..16).map(|n| world.file(&Filing::by(people[n % 3], n))).collect::<Vec<_>>();
    world.revoke(&revoked, &operator());
    world.start_controllers();
    world.advance(secs(10)).await;
    let last_removal = over.iter().map(|id| last_change(world, id)).max();
    let first_grant = wanted.iter().map(|id| last_change(world, id)).min();
    if world.is_calm() && last_removal > first_grant {
        world.wrong(Invariant::L4, "a grant came before a removal that was due");
    }
}

/// The place in the log of policy writes of the last change of a request's bindings.
fn last_change(world: &World, id: &RequestId) -> Option<usize> {
    let title = crate::scene::installation().title(id);
    world.with(|data| {
        data.cloud.log().iter().rposition(|write| {
            let has = |policy: &curfew_core::policy::Policy| {
                policy.bindings.iter().any(|binding| binding.title() == title)
            };
            has(&write.before) != has(&write.after)
        })
    })
}

pub(super) async fn overtaking(world: &mut World) {
    let revoked = world.file(&Filing::by("alice", 0));
    world.advance(secs(3)).await;
    world.faults().always(Call::Commit, "", Fault::Slow(secs(1)));
    let waiting = (0..30).map(|n| world.file(&Filing::by("bob", n % 10))).collect::<Vec<_>>();
    world.revoke(&revoked, &operator());
    world.comes_true(secs(8), |world| !world.gives_access(&revoked)).await;
    let granted = waiting.iter().filter(|id| world.grant(id).is_some()).count();
    if world.is_calm() && (world.gives_access(&revoked) || granted > 12) {
        world.wrong(Invariant::L5, format!("{granted} grants went before a revocation"));
    }
    world.faults().clear();
    world.advance(secs(20)).await;
}

pub(super) async fn blind(world: &mut World) {
    // Just after a resync.
    world.advance(secs(1)).await;
    let id = world.file(&Filing::by("alice", 0));
    world.advance(secs(RESYNC_AND_TEN_SECONDS)).await;
    if world.is_calm() && !world.is_active(&id) {
        world.wrong(Invariant::L2, "no grant within a resync and ten seconds");
    }
    world.revoke(&id, &operator());
    world.advance(secs(RESYNC_AND_TEN_SECONDS)).await;
    if world.is_calm() && !world.has_ended(&id) {
        world.wrong(Invariant::L2, "no end within a resync and ten seconds");
    }
    world.advance(ms(10)).await;
}
