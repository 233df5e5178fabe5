//! Whole lives of requests as readable files beside this directory; `UPDATE_EXPECT=1` rewrites them.

use std::path::Path;

use super::simulator::{Fate, Simulation, alter};
use super::{minutes, ms, seconds};
use crate::entry::ActKind;
use crate::fixture::{ADMIN, Filed, VIEWER, at, failed, installation, no, request};
use crate::world::Observed;

/// Compares what was decided and done with the golden file of that name.
#[track_caller]
fn check_life(name: &str, filed: Filed, life: impl FnOnce(&mut Simulation)) {
    let mut world = Simulation::new(filed);
    life(&mut world);
    let story = world.story.join("\n") + "\n";
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/reconcile/goldens/{name}.txt"));
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::write(&path, &story).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(story == golden, "{} differs; UPDATE_EXPECT=1 rewrites it:\n{story}", path.display());
}

fn grant(world: &mut Simulation) {
    world.pass(false);
    world.wait(ms(250));
    world.turn(Fate::Well);
}

#[test]
fn access_for_an_hour() {
    check_life("access_for_an_hour", request(), |world| {
        grant(world);
        world.wait(seconds(30));
        world.pass(false);
        world.wait(at("11:00:05") - world.now);
        world.pass(false);
        world.turn(Fate::Well);
    });
}

#[test]
fn two_roles_scheduled_and_withdrawn() {
    let filed = request().for_roles(&[VIEWER, ADMIN]).starting(at("12:00:00"));
    check_life("two_roles_scheduled_and_withdrawn", filed, |world| {
        world.pass(false);
        world.wait(minutes(120));
        grant(world);
        world.wait(minutes(10));
        world.act("alice", ActKind::Withdraw);
        world.pass(false);
        world.turn(Fate::Well);
    });
}

#[test]
fn revoked_while_a_write_is_held_up() {
    check_life("revoked_while_a_write_is_held_up", request(), |world| {
        world.pass(false);
        world.turn(Fate::Late);
        world.wait(minutes(1));
        world.act("mallory", ActKind::Revoke);
        world.act("olga", ActKind::Revoke);
        world.pass(false);
        world.turn(Fate::Well);
        world.land_late(0);
        world.turn(Fate::Well);
    });
}

#[test]
fn never_eligible() {
    check_life("never_eligible", request(), |world| {
        world.eligibility = Observed::Known(no());
        world.pass(false);
    });
}

#[test]
fn never_answered() {
    check_life("never_answered", request(), |world| {
        world.eligibility = failed();
        world.pass(false);
        world.wait(minutes(15));
        world.pass(false);
    });
}

#[test]
fn changed_by_others() {
    check_life("changed_by_others", request(), |world| {
        grant(world);
        world.wait(minutes(5));
        let title = installation().title(&world.filed.request().id);
        world.edit(|bindings| alter(bindings, &title));
        world.turn(Fate::Well);
        world.wait(minutes(5));
        world.edit(|bindings| bindings.retain(|binding| binding.title() != title));
        world.turn(Fate::Well);
        world.wait(at("11:00:05") - world.now);
        world.turn(Fate::Well);
    });
}

#[test]
fn unreadable_to_the_end() {
    check_life("unreadable_to_the_end", request(), |world| {
        grant(world);
        world.wait(at("11:00:05") - world.now);
        world.turn(Fate::ReadFails);
        world.wait(minutes(24 * 60) - seconds(5));
        world.turn(Fate::ReadFails);
    });
}
