//! Injected faults.

use std::time::Duration;

use curfew_cloudsim::{Cloud, Latency, Options};
use reqwest::Method;
use serde_json::{Value, json};

use tokio_util::sync::CancellationToken;

use crate::harness::{ANALYST, ORGANIZATION, Sim, binding, eventually, listen};

const WEB: &str = "projects/demo-web";

#[tokio::test]
async fn an_error_has_no_effect_and_applies_as_often_as_counted() {
    let sim = Sim::start().await;
    let before = sim.policy(WEB).await;
    sim.arm(json!([{"method": "setIamPolicy", "resource": "projects/100000000101", "kind": "ERROR", "status": 500, "count": 2}])).await;
    for _ in 0..2 {
        assert_eq!(sim.set_policy(WEB, before.clone()).await.error(), (500, "INTERNAL"));
    }
    assert_eq!(sim.policy(WEB).await, before);
    assert_eq!(sim.get("sim/v1/faults").await.body, json!([]));
    assert_eq!(sim.set_policy(WEB, before).await.status, 200);
}

#[tokio::test]
async fn a_fault_of_one_resource_leaves_others_alone() {
    let sim = Sim::start().await;
    sim.arm(json!([{"method": "getIamPolicy", "resource": "projects/demo-data", "kind": "ERROR"}]))
        .await;
    sim.policy(WEB).await;
    let refused = sim.post("v3/projects/demo-data:getIamPolicy", json!({})).await;
    assert_eq!(refused.error(), (503, "UNAVAILABLE"));
}

#[tokio::test]
async fn a_lost_reply_closes_the_connection_after_the_effect() {
    let sim = Sim::start().await;
    sim.arm(json!([{"method": "setIamPolicy", "kind": "REPLY_LOST"}])).await;
    let lost = sim
        .send(
            Method::POST,
            "v3/projects/demo-web:setIamPolicy",
            Some(changed(&sim).await),
            Some("x"),
        )
        .await;
    assert!(lost.is_err(), "no answer may arrive");
    assert!(has_change(&sim).await);
}

#[tokio::test]
async fn a_lost_reply_with_a_status_answers_it_after_the_effect() {
    let sim = Sim::start().await;
    sim.arm(json!([{"method": "setIamPolicy", "kind": "REPLY_LOST", "status": 503}])).await;
    let body = changed(&sim).await;
    assert_eq!(sim.post("v3/projects/demo-web:setIamPolicy", body).await.status, 503);
    assert!(has_change(&sim).await);
}

#[tokio::test]
async fn a_late_write_lands_after_its_error() {
    let sim = Sim::start().await;
    sim.arm(json!([{"method": "setIamPolicy", "kind": "APPLIED_LATE", "delayMs": 300}])).await;
    let body = changed(&sim).await;
    assert_eq!(
        sim.post("v3/projects/demo-web:setIamPolicy", body).await.error(),
        (504, "DEADLINE_EXCEEDED")
    );
    assert!(!has_change(&sim).await, "not yet");
    eventually("the late write lands", || has_change(&sim)).await;
    assert_eq!(sim.log().await.last().unwrap()["status"], 200);
}

#[tokio::test]
async fn a_late_write_loses_to_a_write_before_it() {
    let sim = Sim::start().await;
    sim.arm(
        json!([{"method": "setIamPolicy", "kind": "APPLIED_LATE", "delayMs": 200, "status": 503}]),
    )
    .await;
    let body = changed(&sim).await;
    assert_eq!(sim.post("v3/projects/demo-web:setIamPolicy", body).await.status, 503);
    let policy = sim.policy(WEB).await;
    assert_eq!(sim.set_policy(WEB, policy).await.status, 200);
    let landed = || async { sim.log().await.last().unwrap()["status"] == 409 };
    eventually("the late write is refused", landed).await;
    assert!(!has_change(&sim).await);
}

#[tokio::test]
async fn latency_delays_the_answer() {
    let sim = Sim::start().await;
    sim.arm(json!([{"method": "get", "resource": WEB, "kind": "LATENCY", "delayMs": 60_000}]))
        .await;
    let slow =
        tokio::time::timeout(Duration::from_millis(100), sim.get("v3/projects/demo-web")).await;
    assert!(slow.is_err(), "still waiting");
    assert_eq!(sim.get("v3/projects/demo-web").await.status, 200);
}

#[tokio::test]
async fn google_takes_its_time() {
    let latency = Latency::Google;
    let cloud = Cloud::open(Options { latency, ..Options::default() }).unwrap();
    let (listener, base) = listen().await;
    tokio::spawn(cloud.serve(listener, CancellationToken::new()));
    let asked = || {
        reqwest::Client::new().get(format!("{base}/v3/projects/demo-web")).bearer_auth("x").send()
    };
    assert!(
        tokio::time::timeout(Duration::from_millis(50), asked()).await.is_err(),
        "a read takes longer"
    );
    assert_eq!(asked().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_stale_read_shows_the_policy_one_write_back() {
    let sim = Sim::start().await;
    let before = sim.policy(WEB).await;
    sim.add_binding(WEB, binding("roles/browser", "user:carol@example.com")).await;
    sim.arm(json!([{"method": "getIamPolicy", "kind": "STALE_READ"}])).await;
    assert_eq!(sim.policy(WEB).await, before);
    assert_ne!(sim.policy(WEB).await, before);
    assert_eq!(sim.set_policy(WEB, before).await.status, 409);
}

#[tokio::test]
async fn a_reused_etag_hides_a_write() {
    let sim = Sim::start().await;
    let before = sim.policy(WEB).await;
    sim.arm(json!([{"method": "setIamPolicy", "kind": "ETAG_REUSED"}])).await;
    sim.add_binding(WEB, binding("roles/browser", "user:carol@example.com")).await;
    let after = sim.policy(WEB).await;
    assert_eq!(after["etag"], before["etag"]);
    assert_ne!(after["bindings"], before["bindings"]);
}

#[tokio::test]
async fn who_read_before_a_reused_etag_overwrites_a_write_that_was_never_seen() {
    let sim = Sim::start().await;
    let before = sim.policy(WEB).await;
    sim.arm(
        json!([{"method": "setIamPolicy", "resource": WEB, "kind": "ETAG_REUSED", "count": 1}]),
    )
    .await;
    sim.add_binding(WEB, binding("roles/browser", "user:carol@example.com")).await;
    assert!(has_change(&sim).await);
    assert_eq!(sim.set_policy(WEB, before.clone()).await.status, 200);
    assert!(!has_change(&sim).await, "lost");
    let now = sim.policy(WEB).await;
    assert_ne!(now["etag"], before["etag"], "the next write has a new etag again");
    assert_eq!(sim.set_policy(WEB, before).await.status, 409);
}

#[tokio::test]
async fn effective_policies_are_read_as_they_were_too() {
    let sim = Sim::start().await;
    let ask = format!(
        "v1/{ORGANIZATION}/effectiveIamPolicies:batchGet?names=//cloudresourcemanager.googleapis.com/{WEB}"
    );
    let as_intake =
        || async { sim.call(Method::GET, &ask, None, Some(&sim.token(ANALYST))).await.body };
    let before = as_intake().await;
    sim.add_binding(WEB, binding("roles/browser", "user:carol@example.com")).await;
    sim.arm(json!([{"method": "batchGet", "kind": "STALE_READ", "count": 1}])).await;
    assert_eq!(as_intake().await, before);
    assert_ne!(as_intake().await, before);
}

#[tokio::test]
async fn a_stale_read_of_a_policy_that_was_never_written_is_the_policy() {
    let sim = Sim::start().await;
    let policy = sim.policy(WEB).await;
    sim.arm(json!([{"method": "getIamPolicy", "kind": "STALE_READ", "count": 1}])).await;
    assert_eq!(sim.policy(WEB).await, policy);
}

#[tokio::test]
async fn keys_topics_and_secrets_fail_by_their_names() {
    let sim = Sim::start().await;
    let key = "projects/demo-prod/locations/global/keyRings/r/cryptoKeys/k";
    sim.arm(json!([
        {"method": "encrypt", "resource": key.replace("demo-prod", "100000000103"), "kind": "ERROR", "status": 500},
        {"method": "publish", "kind": "ERROR", "status": 503},
        {"method": "access", "kind": "REPLY_LOST", "status": 504},
    ]))
    .await;
    let other = format!("v1/{}:encrypt", key.replace("/k", "/other"));
    assert_eq!(sim.post(&other, json!({})).await.status, 404);
    assert_eq!(sim.post(&format!("v1/{key}:encrypt"), json!({})).await.error(), (500, "INTERNAL"));
    let topic = "v1/projects/demo-prod/topics/t:publish";
    assert_eq!(sim.post(topic, json!({})).await.error(), (503, "UNAVAILABLE"));
    let secret = "v1/projects/demo-prod/secrets/s/versions/latest:access";
    assert_eq!(sim.get(secret).await.error(), (504, "DEADLINE_EXCEEDED"));
    assert_eq!(sim.get(secret).await.error(), (404, "NOT_FOUND"));
}

#[tokio::test]
async fn other_methods_fail_too() {
    let sim = Sim::start().await;
    sim.arm(json!([
        {"method": "checkTransitiveMembership", "resource": "groups/devs@example.com", "kind": "ERROR", "status": 500},
        {"method": "search", "kind": "ERROR", "status": 429},
    ]))
    .await;
    let check = "v1/groups/03devs00000001/memberships:checkTransitiveMembership?query=member_key_id=='bob@example.com'";
    assert_eq!(sim.get(check).await.status, 500);
    assert_eq!(sim.get("v3/projects:search").await.error(), (429, "RESOURCE_EXHAUSTED"));
    assert_eq!(sim.get(check).await.status, 200);
}

#[tokio::test]
async fn faults_that_make_no_sense_are_400_by_the_field_and_leave_the_armed_ones() {
    let sim = Sim::start().await;
    sim.arm(json!([{"method": "get", "kind": "ERROR", "count": 3}])).await;
    for (wrong, field) in [
        (json!({"method": "get", "kind": "ERROR"}), ""),
        (json!([{"kind": "ERROR"}]), "method"),
        (json!([{"method": "", "kind": "ERROR"}]), "[0].method"),
        (json!([{"method": "projects.get", "kind": "ERROR"}]), "[0].method"),
        (json!([{"method": "get"}]), "kind"),
        (json!([{"method": "get", "kind": "NONSENSE"}]), "[0].kind"),
        (
            json!([{"method": "get", "kind": "ERROR"}, {"method": "get", "kind": "ERROR", "status": 200}]),
            "[1].status",
        ),
        (json!([{"method": "get", "kind": "ERROR", "status": "500"}]), "[0].status"),
        (json!([{"method": "get", "kind": "LATENCY", "delayMs": 5, "status": 500}]), "[0].status"),
        (json!([{"method": "get", "kind": "LATENCY"}]), "[0].delayMs"),
        (json!([{"method": "setIamPolicy", "kind": "APPLIED_LATE"}]), "[0].delayMs"),
        (json!([{"method": "get", "kind": "LATENCY", "delayMs": 600_001}]), "[0].delayMs"),
        (json!([{"method": "get", "kind": "LATENCY", "delayMs": -1}]), "[0].delayMs"),
        (json!([{"method": "getIamPolicy", "kind": "STALE_READ", "delayMs": 1}]), "[0].delayMs"),
        (json!([{"method": "get", "kind": "STALE_READ"}]), "[0].method"),
        (json!([{"method": "getIamPolicy", "kind": "ETAG_REUSED"}]), "[0].method"),
        (json!([{"method": "get", "kind": "ERROR", "count": 0}]), "[0].count"),
        (json!([{"method": "get", "kind": "ERROR", "colour": "red"}]), "colour"),
    ] {
        let refused = sim.call(Method::PUT, "sim/v1/faults", Some(wrong.clone()), None).await;
        assert_eq!(refused.error(), (400, "INVALID_ARGUMENT"), "{wrong}");
        assert!(refused.message().contains(field), "{wrong}: {}", refused.message());
    }
    assert_eq!(sim.get("sim/v1/faults").await.body[0]["count"], 3);
    sim.arm(json!([])).await;
    assert_eq!(sim.get("sim/v1/faults").await.body, json!([]));
}

async fn changed(sim: &Sim) -> Value {
    let mut policy = sim.policy(WEB).await;
    policy["bindings"]
        .as_array_mut()
        .unwrap()
        .push(binding("roles/browser", "user:dave@example.com"));
    json!({"policy": policy})
}

async fn has_change(sim: &Sim) -> bool {
    let policy = sim.policy(WEB).await;
    policy["bindings"].as_array().unwrap().iter().any(|it| it["role"] == "roles/browser")
}
