//! Histories that once went wrong, or easily could.

use super::minutes;
use super::properties::{Step, after};
use super::simulator::{Fate, Simulation};
use crate::entry::ActKind;
use crate::fixture::{at, request};

/// Granted and bound, and everybody is well.
fn bound() -> Simulation {
    after(Simulation::new(request()), &[Step::Pass { commit_lost: false }, Step::Turn(Fate::Well)])
}

#[test]
fn an_addition_that_lands_after_a_revocation_is_kept_out_by_the_fence() {
    let mut world = after(
        Simulation::new(request()),
        &[Step::Pass { commit_lost: false }, Step::Turn(Fate::Late)],
    );
    world.act("olga", ActKind::Revoke);
    world.pass(false);
    assert!(!world.has("ENDED"), "a read that shows nothing proves nothing");
    world.turn(Fate::Well);
    world.land_late(0);
    assert!(!world.has("ENDED"));
    world.turn(Fate::Well);
    assert!(world.has("ENDED") && world.observed().is_clear());
}

#[test]
fn an_addition_that_lands_before_the_fence_is_removed() {
    let mut world = after(
        Simulation::new(request()),
        &[Step::Pass { commit_lost: false }, Step::Turn(Fate::Late)],
    );
    world.act("olga", ActKind::Revoke);
    world.pass(false);
    world.land_late(0);
    world.turn(Fate::Well);
    assert!(world.has("ENDED") && world.observed().is_clear());
}

#[test]
fn an_answer_to_a_write_from_before_the_outcome_does_not_end_the_request() {
    let mut world = after(
        Simulation::new(request()),
        &[Step::Pass { commit_lost: false }, Step::Turn(Fate::LateAndAnswered)],
    );
    world.act("olga", ActKind::Revoke);
    world.pass(false);
    world.land_late(0);
    assert!(!world.has("ENDED") && !world.observed().is_clear());
    world.turn(Fate::Well);
    assert!(world.has("ENDED") && world.observed().is_clear());
}

#[test]
fn a_turn_that_began_before_the_outcome_does_not_end_the_request_by_its_removal() {
    let mut world = bound();
    world.turn_between(Fate::Well, |world| {
        world.act("olga", ActKind::Revoke);
        world.pass(false);
    });
    assert!(!world.has("ENDED") && world.observed().is_clear());
    world.turn(Fate::Well);
    world.turn(Fate::Well);
    assert!(world.has("ENDED"));
}

#[test]
fn a_binding_that_was_written_before_a_long_outage_is_kept_until_its_end() {
    let mut world = after(
        Simulation::new(request()),
        &[Step::Pass { commit_lost: false }, Step::Turn(Fate::ReplyLost)],
    );
    world.wait(minutes(30));
    world.pass(false);
    assert!(!world.has("OUTCOME"), "nobody has looked at the policy yet");
    world.turn(Fate::Well);
    assert!(world.has("BOUND") && !world.has("OUTCOME"));
    world.wait(at("11:00:05") - world.now);
    world.turn(Fate::Well);
    assert!(world.has("ENDED"));
}

#[test]
fn a_grant_that_was_not_written_before_a_long_outage_is_not_written_after_it() {
    let mut world = after(
        Simulation::new(request()),
        &[Step::Pass { commit_lost: false }, Step::Turn(Fate::WriteFails)],
    );
    world.wait(minutes(30));
    world.pass(false);
    world.turn(Fate::Well);
    assert!(world.has("OUTCOME") && world.observed().is_clear());
}

#[test]
fn a_removal_whose_answer_is_lost_is_proved_anew() {
    let mut world = bound();
    world.act("alice", ActKind::Withdraw);
    world.pass(false);
    world.turn(Fate::ReplyLost);
    assert!(world.observed().is_clear() && !world.has("ENDED"));
    world.turn(Fate::Well);
    assert_eq!(world.observed().ours.len(), 1, "the dead form");
    world.turn(Fate::Well);
    assert!(world.has("ENDED") && world.observed().is_clear());
}
