//! What a peer must approve: yes, no, both at once, neither in time, and by those who may not.

use chrono::TimeDelta;
use curfew_core::entry::Verdict;
use curfew_core::id::{Nonce, RequestId};
use curfew_ports::{Entropy as _, RetryClass};

use super::{ms, secs};
use crate::fault::{Call, Fault};
use crate::oracle::Invariant;
use crate::scene::{Filing, disguised, operator, person};
use crate::trust::{FORMER_KEY, SESSION_KEY, WRITER_KEY};
use crate::world::{Decision, Signed, World};

/// Anywhere in what a grant takes, from an approval to its binding.
const MOMENTS: u64 = 30;

/// Longer than answers of the cloud are shared, and not much longer.
const BEYOND_SHARING: u64 = 7;

/// Longer than an approval counts that was not recorded: ten minutes until it is looked at, fifteen until the grant.
const APPROVAL_IS_OUT_OF_DATE: u64 = 26 * 60;

async fn a_moment(world: &mut World) {
    let moment = world.random().millis_below(MOMENTS);
    world.advance(moment).await;
}

fn must(world: &World, holds: bool, invariant: Invariant, what: &str) {
    if world.is_calm() && !holds {
        world.wrong(invariant, what);
    }
}

pub(super) async fn approval(world: &mut World) {
    let id = world.file(&Filing::of_peers("alice", 0));
    world.advance(secs(2)).await;
    must(world, world.grant(&id).is_none(), Invariant::S1, "granted before anybody approved it");
    world.approve(&id, &person("bob"));
    world.advance(secs(3)).await;
    must(world, world.is_active(&id), Invariant::L1, "approved, and not active after 3 s");
    // Whoever has approved takes the word back.
    world.revoke(&id, &person("bob"));
    world.advance(secs(3)).await;
    must(world, world.has_ended(&id), Invariant::S6, "revoked by its approver, and not ended");
}

/// A yes and a no at once, in either order, and a no while the grant is made.
pub(super) async fn deny_race(world: &mut World) {
    let ids = ["alice", "bob"].map(|who| world.file(&Filing::of_peers(who, 0)));
    world.advance(ms(500)).await;
    for id in &ids {
        let is_yes_first = world.random().below(2) == 0;
        if is_yes_first {
            world.approve(id, &person("carol"));
            a_moment(world).await;
            world.deny(id, &person("dave"));
        } else {
            world.deny(id, &person("dave"));
            a_moment(world).await;
            world.approve(id, &person("carol"));
        }
    }
    world.advance(secs(5)).await;
    let is_over = ids.iter().all(|id| world.has_ended(id));
    must(world, is_over, Invariant::S6, "denied, and not ended");
}

/// A yes, and whoever may end it does.
pub(super) async fn approve_end_race(world: &mut World) {
    let ids = [0, 1, 2].map(|n| world.file(&Filing::of_peers("alice", n % 2)));
    world.advance(ms(500)).await;
    for (n, id) in ids.iter().enumerate() {
        world.approve(id, &person("bob"));
        a_moment(world).await;
        match n {
            0 => world.withdraw(id, &person("alice")),
            1 => world.revoke(id, &operator()),
            _ => world.revoke(id, &person("bob")),
        }
    }
    world.advance(secs(5)).await;
}

/// Approved in advance; whoever approved, or asked, is no longer eligible when the time has come.
pub(super) async fn lost_approver(world: &mut World) {
    let start_at = Some(world.now() + TimeDelta::seconds(40));
    let scheduled = |who, project| Filing { start_at, ..Filing::of_peers(who, project) };
    let of_the_lost = world.file(&scheduled("alice", 0));
    let of_both = world.file(&scheduled("alice", 1));
    let by_the_lost = world.file(&scheduled("dave", 0));
    world.advance(secs(2)).await;
    world.approve(&of_the_lost, &person("dave"));
    world.approve(&of_both, &person("carol"));
    world.approve(&by_the_lost, &person("bob"));
    let at_once = world.file(&Filing::of_peers("bob", 2));
    world.advance(secs(2)).await;
    // Another grant has asked about him a moment before.
    world.approve(&at_once, &person("dave"));
    world.advance(secs(36 - BEYOND_SHARING)).await;
    world.file(&Filing::by("dave", 2));
    world.advance(ms(500)).await;
    world.lose_eligibility("dave");
    world.advance(secs(BEYOND_SHARING + 4)).await;
    must(world, world.is_active(&of_both), Invariant::L1, "still approved, and not active");
}

/// An approver leaves just about when the grant is made.
pub(super) async fn leaving_approver(world: &mut World) {
    let ids = [0, 1].map(|n| world.file(&Filing::of_peers("alice", n)));
    world.advance(secs(1)).await;
    world.approve(&ids[0], &person("dave"));
    a_moment(world).await;
    world.lose_eligibility("dave");
    world.approve(&ids[1], &person("dave"));
    world.advance(secs(10)).await;
    world.approve(&ids[1], &person("bob"));
    world.advance(secs(3)).await;
}

/// Nobody decides in time, or just too late.
pub(super) async fn undecided(world: &mut World) {
    let never = world.file(&Filing::of_peers("alice", 0));
    let late = world.file(&Filing::of_peers("bob", 0));
    let in_time = world.file(&Filing::of_peers("carol", 1));
    world.advance(secs(30 * 60 - 150)).await;
    world.approve(&in_time, &person("bob"));
    world.advance(secs(151)).await;
    world.approve(&late, &person("carol"));
    world.advance(secs(10)).await;
    let is_over = world.has_ended(&never) && world.has_ended(&late);
    must(world, is_over, Invariant::L1, "not approved in time, and not ended");
    must(world, world.is_active(&in_time), Invariant::L1, "approved in time, and not active");
}

/// The requester turns to some people; others answer.
pub(super) async fn chosen(world: &mut World) {
    let chosen = |who, chosen| Filing { chosen, ..Filing::of_peers(who, 0) };
    let id = world.file(&chosen("alice", vec!["carol", "mallory"]));
    let denied_by_others = world.file(&chosen("alice", vec!["carol"]));
    let of_oneself = world.file(&chosen("bob", vec!["bob"]));
    world.advance(secs(1)).await;
    for by in ["bob", "mallory"] {
        world.approve(&id, &person(by));
    }
    world.approve(&of_oneself, &person("bob"));
    world.deny(&denied_by_others, &person("bob"));
    world.advance(secs(3)).await;
    must(world, world.grant(&id).is_none(), Invariant::S1, "granted on the word of the others");
    for id in [&id, &denied_by_others] {
        world.approve(id, &person("carol"));
    }
    world.advance(secs(3)).await;
}

/// The requester approves under every name, and people do who may not.
pub(super) async fn disguise(world: &mut World) {
    for name in ["alice-of-old", "alice+admin"] {
        world.join(name);
    }
    let ids = [0, 1].map(|n| world.file(&Filing::of_peers("alice", n)));
    world.advance(secs(1)).await;
    let herself = [
        person("alice"),
        disguised("alice", "alice-of-old"),
        disguised("another-account", "alice"),
        disguised("third-account", "alice+admin"),
    ];
    for by in herself.iter().chain([&operator(), &person("mallory")]) {
        world.approve(&ids[0], by);
        a_moment(world).await;
    }
    for by in [&herself[1], &operator(), &person("mallory")] {
        world.deny(&ids[1], by);
    }
    world.advance(secs(3)).await;
    must(world, world.grant(&ids[0]).is_none(), Invariant::S1, "granted on her own word");
    world.approve(&ids[1], &person("bob"));
    world.advance(secs(3)).await;
    must(world, world.is_active(&ids[1]), Invariant::L1, "denied by nobody, and not active");
}

/// Whoever writes the store puts approvals there that were given to something else, or by nobody.
pub(super) async fn forged_approvals(world: &mut World) {
    let yes = |by: &str| Decision::of(&person(by), Verdict::Approve);
    let donor = world.file(&Filing::of_peers("bob", 1));
    let victim = world.file(&Filing::of_peers("alice", 0));
    let other = world.file(&Filing::of_peers("alice", 1));
    world.advance(secs(1)).await;
    let given = world.sign(&donor, yes("carol"));
    world.submit(&donor, given.clone());
    // Given to another request; under another key; in other words; by nobody.
    world.slip_in(&victim, &given.entry.nonce, &given.envelope);
    let no = world.sign(&other, Decision::of(&person("dave"), Verdict::Deny));
    slip_in_under_another_key(world, &other, &no);
    let mut spoiled = world.sign(&victim, yes("carol"));
    spoiled.envelope.payload.push(' ');
    world.slip_in(&victim, &spoiled.entry.nonce, &spoiled.envelope);
    let mut invented = world.sign(&victim, yes("carol"));
    invented.envelope.signature = "A".repeat(86);
    world.slip_in(&victim, &invented.entry.nonce, &invented.envelope);
    a_moment(world).await;
    // Signed in all form, but for something else, or by what only speaks for people.
    let target = world.with(|data| data.oracle.digest_of(&donor));
    world.decide(&victim, Decision { target, ..yes("carol") });
    world.decide(&victim, Decision { key: WRITER_KEY, ..yes("carol") });
    let long_ago = Some(world.now() - TimeDelta::minutes(11));
    world.decide(&victim, Decision { at: long_ago, ..yes("carol") });
    world.advance(secs(3)).await;
    let is_refused = world.grant(&victim).is_none() && world.grant(&other).is_none();
    must(world, is_refused, Invariant::S1, "granted on forged approvals");
    world.approve(&other, &person("bob"));
    world.advance(secs(3)).await;
    must(world, world.is_active(&other), Invariant::L1, "approved after all, and not active");
}

fn slip_in_under_another_key(world: &World, id: &RequestId, signed: &Signed) {
    let key = Nonce::from_bits(world.random().bits());
    world.slip_in(id, &key, &signed.envelope);
}

/// An approval that was signed in time is held back, and put into the store when it is old.
pub(super) async fn held_back(world: &mut World) {
    let id = world.file(&Filing::of_peers("alice", 0));
    world.advance(secs(1)).await;
    let signed = world.sign(&id, Decision::of(&person("bob"), Verdict::Approve));
    world.advance(secs(10 * 60 + 5)).await;
    world.submit(&id, signed);
    world.advance(secs(3)).await;
    must(world, world.grant(&id).is_none(), Invariant::S7, "granted on an old approval");
    world.deny(&id, &person("carol"));
    world.advance(secs(3)).await;
}

/// What was approved is exchanged, or its id filed anew with the approval that the old one had.
pub(super) async fn edit_approved(world: &mut World) {
    let start_at = Some(world.now() + TimeDelta::seconds(20));
    let scheduled = |who, project| Filing { start_at, ..Filing::of_peers(who, project) };
    let waiting = world.file(&scheduled("alice", 0));
    let exchanged = world.file(&scheduled("alice", 1));
    let again = world.file(&scheduled("bob", 0));
    let wider = world.file(&Filing { start_at, ..Filing::of_peers("alice", 2) });
    world.advance(secs(1)).await;
    let given = world.sign(&again, Decision::of(&person("carol"), Verdict::Approve));
    world.submit(&again, given.clone());
    for id in [&waiting, &exchanged] {
        world.approve(id, &person("carol"));
    }
    world.advance(secs(2)).await;
    let spec = world.with(|data| data.store.document(&wider).and_then(|it| it.spec.clone()));
    world.edit(&exchanged, |stored| stored.spec = spec);
    world.edit(&waiting, |stored| {
        if let Some(spec) = &mut stored.spec {
            spec.payload.push(' ');
        }
    });
    world.delete(&again);
    a_moment(world).await;
    world.file(&Filing { id: Some(again.clone()), ..Filing::of_peers("mallory", 0) });
    world.slip_in(&again, &given.entry.nonce, &given.envelope);
    world.delete(&wider);
    world.file(&Filing { id: Some(wider.clone()), ..Filing::of_peers("bob", 2) });
    world.slip_in(&wider, &given.entry.nonce, &given.envelope);
    world.advance(secs(25)).await;
}

/// The role permits more than when it was approved.
pub(super) async fn role_changed(world: &mut World) {
    let start_at = Some(world.now() + TimeDelta::seconds(20));
    let waiting = world.file(&Filing { start_at, ..Filing::of_peers("alice", 0) });
    let active = world.file(&Filing::of_peers("bob", 0));
    let undecided = world.file(&Filing::of_peers("carol", 1));
    world.advance(secs(1)).await;
    for id in [&waiting, &active] {
        world.approve(id, &person("dave"));
    }
    world.advance(secs(2)).await;
    world.change_role();
    world.advance(secs(6)).await;
    world.approve(&undecided, &person("dave"));
    world.advance(secs(20)).await;
}

/// A key is distrusted by which approvals were signed.
pub(super) async fn distrusted(world: &mut World) {
    let start_at = Some(world.now() + TimeDelta::seconds(20));
    let waiting = world.file(&Filing { start_at, ..Filing::of_peers("alice", 0) });
    let ids = [("bob", 0), ("carol", 1), ("alice", 1)]
        .map(|(who, project)| world.file(&Filing::of_peers(who, project)));
    world.advance(secs(1)).await;
    let yes = |key| Decision { key, ..Decision::of(&person("dave"), Verdict::Approve) };
    world.decide(&waiting, yes(FORMER_KEY));
    world.decide(&ids[0], yes(FORMER_KEY));
    world.decide(&ids[1], yes(SESSION_KEY));
    world.advance(secs(2)).await;
    world.decide(&ids[2], yes(FORMER_KEY));
    a_moment(world).await;
    world.distrust(FORMER_KEY);
    world.advance(secs(25)).await;
    must(world, world.is_active(&ids[1]), Invariant::S4, "ended for another's key");
}

/// Nobody says who is a peer while people decide.
pub(super) async fn unanswered_approver(world: &mut World) {
    let ids = ["alice", "bob", "alice"].map(|who| world.file(&Filing::of_peers(who, 0)));
    world.advance(secs(1)).await;
    world.approve(&ids[2], &person("carol"));
    world.advance(secs(BEYOND_SHARING)).await;
    let call = [Call::Membership, Call::JudgePolicy][world.random().index_below(2)];
    let of_whom = if call == Call::Membership { "dave" } else { "" };
    world.faults().always(call, of_whom, Fault::Refuse(RetryClass::Unavailable));
    world.approve(&ids[0], &person("dave"));
    world.deny(&ids[1], &person("dave"));
    a_moment(world).await;
    world.approve(&ids[1], &person("carol"));
    // Who is no peer cannot be told, and what is over is over.
    world.deny(&ids[2], &person("dave"));
    world.advance(secs(20)).await;
    must(world, world.grant(&ids[0]).is_none(), Invariant::S10, "granted without an answer");
    must(world, world.has_ended(&ids[2]), Invariant::S6, "denied after its grant, and not ended");
    world.faults().clear_rules();
    world.advance(secs(40)).await;
}

/// An approval was looked at, and what it led to is undone: the store is what it was, and the approval is old.
pub(super) async fn restore_approved(world: &mut World) {
    let start_at = Some(world.now() + TimeDelta::minutes(10));
    let id = world.file(&Filing { start_at, ..Filing::of_peers("alice", 0) });
    world.advance(secs(BEYOND_SHARING)).await;
    // Whether she is still eligible is not known while he approves.
    let unavailable = Fault::Refuse(RetryClass::Unavailable);
    world.faults().always(Call::Membership, "alice@", unavailable);
    world.approve(&id, &person("bob"));
    world.advance(ms(50)).await;
    let early = world.backup();
    world.faults().clear_rules();
    world.advance(secs(3)).await;
    let late = world.backup();
    world.withdraw(&id, &person("alice"));
    world.advance(secs(5)).await;
    world.kill();
    world.advance(secs(APPROVAL_IS_OUT_OF_DATE)).await;
    world.restore(if world.random().below(2) == 0 { &early } else { &late });
    world.start_controllers();
    world.advance(secs(5)).await;
    world.revoke(&id, &operator());
    world.advance(secs(5)).await;
}

/// Longer, shorter and later than anybody may have it.
pub(super) async fn bounds(world: &mut World) {
    let most = crate::scene::DURATION_MAX;
    for (n, over) in [0, 1, 3_600].into_iter().enumerate() {
        world.file(&Filing::by("alice", n).lasting(most + TimeDelta::seconds(over)));
        let id = world.file(&Filing::of_peers("bob", n).lasting(most + TimeDelta::seconds(over)));
        world.advance(ms(200)).await;
        world.approve(&id, &person("carol"));
    }
    world.file(&Filing::by("carol", 0).lasting(TimeDelta::seconds(59)));
    world.advance(secs(5)).await;
}
