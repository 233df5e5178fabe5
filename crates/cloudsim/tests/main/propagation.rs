//! Policies that are enforced only some time after they are written.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::json;

use crate::harness::{Sim, binding, crowd};

const ROLE: &str = "roles/browser";

#[tokio::test]
async fn a_grant_and_its_end_are_enforced_after_the_lag_and_read_at_once() {
    let sim = lagging().await;
    sim.grant().await;
    assert_eq!(sim.policy("projects/p").await["bindings"][0]["members"], json!(["user:p0@x"]));
    assert!(!has_access(&sim).await, "not yet in force");
    sim.advance(TimeDelta::seconds(119));
    assert!(!has_access(&sim).await);
    sim.advance(TimeDelta::seconds(1));
    assert!(has_access(&sim).await);

    assert_eq!(sim.set_policy("projects/p", json!({})).await.status, 200);
    assert!(has_access(&sim).await, "still in force");
    sim.advance(TimeDelta::seconds(120));
    assert!(!has_access(&sim).await);
}

#[tokio::test]
async fn writes_within_the_lag_come_into_force_one_after_the_other() {
    let sim = lagging().await;
    sim.grant().await;
    sim.advance(TimeDelta::seconds(60));
    sim.set_policy("projects/p", json!({})).await;
    sim.advance(TimeDelta::seconds(60));
    assert!(has_access(&sim).await);
    sim.advance(TimeDelta::seconds(60));
    assert!(!has_access(&sim).await);
}

#[tokio::test]
async fn what_will_be_allowed_is_known_before() {
    let sim = lagging().await;
    sim.grant().await;
    let at = |at: &str| {
        sim.can_owned(
            json!({"principal": "user:p0@x", "role": ROLE, "resource": "projects/p", "at": at}),
        )
    };
    assert!(!at("2026-03-01T09:01:59Z").await);
    assert!(at("2026-03-01T09:02:00Z").await);
}

#[tokio::test]
async fn without_the_setting_a_policy_is_in_force_when_it_is_written() {
    let sim = Sim::seeded(&crowd(1, 0, "")).await;
    sim.grant().await;
    let request = json!({"principal": "user:p0@x", "role": ROLE, "resource": "projects/p"});
    assert!(sim.can(request).await);
}

impl Sim {
    async fn grant(&self) {
        let policy = json!({"bindings": [binding(ROLE, "user:p0@x")]});
        assert_eq!(self.set_policy("projects/p", policy).await.status, 200);
    }

    async fn can_owned(&self, request: serde_json::Value) -> bool {
        self.can(request).await
    }
}

async fn lagging() -> Sim {
    Sim::seeded(&crowd(1, 0, "settings: {policyLagSeconds: 120}")).await
}

/// Whether p0 may use the role, by the simulation's word and by what the API lets them do.
async fn has_access(sim: &Sim) -> bool {
    let request = json!({"principal": "user:p0@x", "role": ROLE, "resource": "projects/p"});
    let said = sim.can(request).await;
    let token = sim.token("p0@x");
    let read = sim.call(Method::GET, "v3/projects/p", None, Some(&token)).await;
    assert_eq!(said, read.status == 200);
    said
}
