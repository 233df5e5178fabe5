//! Somebody else can write the store.

use curfew_core::fact::OutcomeReason;
use curfew_ports::StoredFact;
use curfew_sim::{Filing, Options, World};

use crate::{assert_settled, mins, secs, with_an_active_request};

#[tokio::test(start_paused = true)]
async fn a_rolled_back_document_ends_as_tampered_and_its_binding_goes() {
    let (mut world, id) = with_an_active_request().await;
    world.edit(&id, |stored| stored.facts.clear());
    world.advance(secs(10)).await;
    assert_eq!(world.outcome(&id), Some(OutcomeReason::Tampered));
    assert!(world.has_ended(&id) && world.bindings(&id).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_chain_cut_to_before_its_grant_gives_nothing_new() {
    let (mut world, id) = with_an_active_request().await;
    let grant = world.grant(&id);
    world.edit(&id, |stored| stored.facts.truncate(2));
    world.advance(secs(10)).await;
    assert_eq!(world.outcome(&id), Some(OutcomeReason::Tampered));
    assert_eq!(world.grant(&id), grant);
    assert!(world.bindings(&id).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_deleted_document_disturbs_nobody() {
    let (mut world, id) = with_an_active_request().await;
    world.delete(&id);
    let other = world.file(&Filing::by("bob", 0));
    world.advance(mins(10)).await;
    assert!(world.is_active(&other));
}

#[tokio::test(start_paused = true)]
async fn a_forged_live_flag_hides_no_request() {
    let (mut world, id) = with_an_active_request().await;
    world.edit(&id, |stored| stored.live = false);
    world.advance(mins(2)).await;
    assert!(world.with(|data| data.store.document(&id).unwrap().live));
    world.advance(mins(60)).await;
    assert!(world.has_ended(&id));
    assert_settled(&world);
}

#[tokio::test(start_paused = true)]
async fn forged_facts_are_ignored_cut_off_and_put_down() {
    let mut world = World::started(&Options::default()).await;
    let (mut donor_world, donor) = with_an_active_request().await;
    donor_world.advance(secs(1)).await;
    let borrowed = donor_world.with(|data| data.store.document(&donor).unwrap().facts.clone());
    let victim = world.file(&Filing::by("mallory", 0));
    let invented =
        StoredFact { n: 0, kind: "GRANT".into(), mac: "0".repeat(64), ..StoredFact::default() };
    world.edit(&victim, |stored| stored.facts = [vec![invented], borrowed].concat());
    world.advance(secs(70)).await;
    assert!(world.bindings(&victim).is_empty());
    assert_eq!(world.outcome(&victim), Some(OutcomeReason::Ineligible));
    let ledger = world
        .with(|data| data.store.ledger().map(|entry| entry.payload.clone()).collect::<Vec<_>>());
    assert!(
        ledger
            .iter()
            .any(|payload| payload.contains("FORGED_FACTS") && payload.contains(victim.as_str())),
        "{ledger:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn facts_of_another_request_do_not_count() {
    let (mut world, active) = with_an_active_request().await;
    let other = world.file(&Filing::by("mallory", 0));
    let facts = world.with(|data| data.store.document(&active).unwrap().facts.clone());
    world.edit(&other, |stored| stored.facts = facts);
    world.advance(mins(2)).await;
    assert!(world.bindings(&other).is_empty());
    assert_eq!(world.outcome(&other), Some(OutcomeReason::Ineligible));
    assert!(world.is_active(&active));
}

#[tokio::test(start_paused = true)]
async fn an_edited_request_ends_and_its_binding_goes() {
    let (mut world, id) = with_an_active_request().await;
    world.edit(&id, |stored| {
        if let Some(spec) = &mut stored.spec {
            spec.payload = spec.payload.replace("spec", "spec ");
        }
    });
    world.advance(mins(1)).await;
    assert_eq!(world.shown_outcome(&id).as_deref(), Some("INVALID"));
    assert!(world.has_ended(&id) && world.bindings(&id).is_empty());
    let version = |world: &World| world.with(|data| data.store.document(&id).unwrap().version);
    let settled_at = version(&world);
    world.advance(mins(5)).await;
    assert_eq!(version(&world), settled_at);
}

#[tokio::test(start_paused = true)]
async fn a_changed_signature_files_nothing() {
    let mut world = World::started(&Options::default()).await;
    world.kill();
    let id = world.file(&Filing::by("alice", 0));
    world.edit(&id, |stored| {
        if let Some(spec) = &mut stored.spec {
            spec.signature.push('x');
        }
    });
    world.start_controller(None);
    world.advance(mins(1)).await;
    assert_eq!(world.outcome(&id), Some(OutcomeReason::Invalid));
    assert_eq!(world.n_writes(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_title_alone_makes_a_binding_neither_ours_nor_removed() {
    let (mut world, id) = with_an_active_request().await;
    let mut planted = world.bindings(&id).remove(0);
    planted.members = vec!["user:mallory@example.com".into()];
    planted.condition.as_mut().unwrap().description = "v1 0 0".into();
    world.change_policy(&curfew_sim::project(0), |policy| policy.bindings.push(planted.clone()));
    world.revoke(&id, &curfew_sim::operator());
    world.advance(secs(10)).await;
    assert!(world.has_ended(&id));
    assert_eq!(world.bindings(&id), [planted]);
}
