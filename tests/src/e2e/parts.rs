//! Intake and the controller as two processes: each with its own secret, each replaced when it dies, neither without
//! the demo.

use super::demo::{Demo, Part, SOON, Shape, viewer};
use crate::eventually::eventually;

#[tokio::test]
async fn a_part_that_is_killed_is_started_again_and_the_other_goes_on() {
    let demo = Demo::start_as(Shape::Split).await;
    for (killed, other) in [(Part::Intake, Part::Controller), (Part::Controller, Part::Intake)] {
        let before = demo.process(other);
        demo.kill_part(killed).await;
        assert_eq!(demo.process(other), before, "{killed:?} took the other with it");
        let id = demo.file("alice", &viewer()).await;
        demo.until("alice", &id, "ACTIVE", SOON).await;
    }
}

#[tokio::test]
async fn the_parts_die_with_the_demo_whatever_it_dies_of() {
    let mut demo = Demo::start_as(Shape::Split).await;
    demo.kill();
    eventually("its parts are gone", SOON, async || demo.is_gone().then_some(())).await;
    demo.restart().await;
    assert!(demo.terminate().await);
    assert!(demo.is_gone());
}

#[tokio::test]
async fn each_part_runs_without_the_secret_of_the_other() {
    let demo = Demo::start_as(Shape::Split).await;
    for (part, secret) in [(Part::Intake, "facts.key"), (Part::Controller, "intake.key")] {
        let away = demo.data("away");
        std::fs::rename(demo.data(secret), &away).unwrap();
        demo.kill_part(part).await;
        let id = demo.file("alice", &viewer()).await;
        demo.until("alice", &id, "ACTIVE", SOON).await;
        demo.end("olga", &id, "revoke").await;
        demo.until("alice", &id, "ENDED", SOON).await;
        std::fs::rename(&away, demo.data(secret)).unwrap();
    }
}

#[tokio::test]
async fn a_request_outlives_the_change_from_one_process_to_more_and_back() {
    let mut demo = Demo::start_as(Shape::Single).await;
    let id = demo.file("alice", &viewer()).await;
    demo.until("alice", &id, "ACTIVE", SOON).await;
    demo.restart_as(Shape::Split).await;
    assert_eq!(demo.stands("alice", &id).await.0, "ACTIVE");
    assert_eq!(demo.bindings("projects/demo-web", &id).await.len(), 1);
    demo.end("alice", &id, "withdraw").await;
    demo.until("alice", &id, "ENDED", SOON).await;
    demo.restart_as(Shape::Single).await;
    assert_eq!(demo.stands("alice", &id).await.1, "WITHDRAWN");
    assert!(demo.bindings("projects/demo-web", &id).await.is_empty());
}
