//! The main job: ask, receive within a second, lose it on time.

use std::time::Duration;

use serde_json::{Value, json};

use super::demo::{Demo, SOON, Shape, viewer};
use super::in_both_shapes;
use crate::eventually::eventually;

in_both_shapes! {
    a_role_is_granted_marked_and_gone_after_its_time,
    a_role_is_inherited_from_the_folder_through_a_nested_group,
    the_documented_resource_conditions_are_carried_and_hold,
    what_is_not_ours_is_the_same_before_and_after_every_write,
    a_policy_that_conflicts_again_and_again_is_written_in_the_end,
    a_write_whose_reply_is_lost_is_found_and_not_doubled,
}

async fn a_role_is_granted_marked_and_gone_after_its_time(shape: Shape) {
    let demo = Demo::start_as(shape).await;
    let before = demo.foreign("projects/demo-web").await;
    let id = demo.file("alice", &viewer()).await;
    demo.until("alice", &id, "ACTIVE", SOON).await;

    let [binding] = &demo.bindings("projects/demo-web", &id).await[..] else {
        panic!("not one binding")
    };
    assert_eq!(binding["role"], "roles/compute.viewer");
    assert_eq!(binding["members"], json!(["user:alice@example.com"]));
    let request = demo.get("alice", &format!("/v1/requests/{id}")).await;
    let [start, end] =
        ["startsAt", "expiresAt"].map(|name| request["status"]["grant"][name].as_str().unwrap());
    let expression =
        format!("(request.time >= timestamp(\"{start}\") && request.time < timestamp(\"{end}\"))");
    assert_eq!(binding["condition"]["expression"], expression);
    let description = binding["condition"]["description"].as_str().unwrap();
    let digest = &request["digest"].as_str().unwrap()[..16];
    assert!(
        description.starts_with(&format!("v1 {digest} ")) && description.len() == 46,
        "{description}"
    );
    assert!(
        demo.can("user:alice@example.com", "roles/compute.viewer", "projects/demo-web", None).await
    );
    assert_eq!(demo.foreign("projects/demo-web").await, before);

    let reason = demo.until("alice", &id, "ENDED", Duration::from_secs(90)).await;
    assert_eq!(reason, "DURATION_ELAPSED");
    assert_eq!(demo.bindings("projects/demo-web", &id).await, Vec::<Value>::new());
    assert!(
        !demo
            .can("user:alice@example.com", "roles/compute.viewer", "projects/demo-web", None)
            .await
    );
    assert_eq!(demo.foreign("projects/demo-web").await, before);

    let events = demo.get("alice", &format!("/v1/requests/{id}/events")).await.to_string();
    for kind in ["GRANT", "BOUND", "OUTCOME", "ENDED"] {
        assert!(events.contains(kind), "{kind}: {events}");
    }
    let metrics = demo.metrics().await;
    assert!(metrics.contains("curfew_requests_total{outcome=\"DURATION_ELAPSED\"} 1"), "{metrics}");
    assert!(
        !metrics.contains("alice") && !metrics.contains(&id),
        "a metric names a person or a request"
    );
}

async fn a_role_is_inherited_from_the_folder_through_a_nested_group(shape: Shape) {
    let demo = Demo::start_as(shape).await;
    let entitlements = demo.get("bob", "/v1/entitlements?resource=projects/demo-data").await;
    let roles: Vec<&str> = entitlements["entitlements"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|e| e["role"].as_str())
        .collect();
    assert_eq!(roles, ["roles/logging.admin"]);
    let mut body = viewer();
    body["resource"] = "projects/demo-data".into();
    body["roles"] = json!([{"role": "roles/logging.admin"}]);
    let id = demo.file("bob", &body).await;
    demo.until("bob", &id, "ACTIVE", SOON).await;
    assert_eq!(demo.bindings("projects/demo-data", &id).await.len(), 1);
    assert!(
        !demo.can("user:bob@example.com", "roles/logging.admin", "projects/demo-web", None).await
    );
}

async fn the_documented_resource_conditions_are_carried_and_hold(shape: Shape) {
    let demo = Demo::start_as(shape).await;
    let mut body = viewer();
    body["resource"] = "projects/demo-data".into();
    body["roles"] = json!([{"role": "roles/secretmanager.secretAccessor"}]);
    let id = demo.file("alice", &body).await;
    demo.until("alice", &id, "ACTIVE", SOON).await;
    let bindings = demo.bindings("projects/demo-data", &id).await;
    let expression = bindings[0]["condition"]["expression"].as_str().unwrap();
    assert!(
        expression
            .ends_with("\")) && (resource.name.startsWith(\"projects/demo-data/secrets/app-\"))"),
        "{expression}"
    );
    let can = async |secret: &str| {
        let name = format!("projects/demo-data/secrets/{secret}");
        demo.can(
            "user:alice@example.com",
            "roles/secretmanager.secretAccessor",
            "projects/demo-data",
            Some(&name),
        )
        .await
    };
    assert!(can("app-database").await);
    assert!(!can("root-ca").await);

    let peer = demo.get("alice", "/v1/entitlements?resource=projects/demo-prod").await;
    let zone =
        "resource.name.startsWith(\"projects/demo-prod/zones/asia-southeast1-a/instances/\")";
    assert_eq!(peer["entitlements"][0]["resourceCondition"], zone);
    assert_eq!(peer["entitlements"][0]["approval"], "PEER");
}

async fn what_is_not_ours_is_the_same_before_and_after_every_write(shape: Shape) {
    let demo = Demo::start_as(shape).await;
    let mut policy = demo.policy("projects/demo-data").await;
    policy["futureField"] =
        json!({"n": 12_345_678_901_234_567_890_u64, "nested": [1, {"x": null}]});
    policy["bindings"][0]["futureField"] = json!("kept");
    let body = json!({"policy": policy, "updateMask": "bindings,etag,futureField"});
    demo.cloud(reqwest::Method::POST, "/v3/projects/demo-data:setIamPolicy", Some(&body)).await;
    let before = demo.foreign("projects/demo-data").await;
    assert!(
        before.get("auditConfigs").is_some() && before.get("futureField").is_some(),
        "{before}"
    );

    let mut body = viewer();
    body["resource"] = "projects/demo-data".into();
    body["roles"] = json!([{"role": "roles/secretmanager.secretAccessor"}]);
    let id = demo.file("alice", &body).await;
    demo.until("alice", &id, "ACTIVE", SOON).await;
    assert_eq!(demo.foreign("projects/demo-data").await, before);
    demo.end("alice", &id, "withdraw").await;
    demo.until("alice", &id, "ENDED", SOON).await;
    assert_eq!(demo.foreign("projects/demo-data").await, before);
}

async fn a_policy_that_conflicts_again_and_again_is_written_in_the_end(shape: Shape) {
    let demo = Demo::start_as(shape).await;
    demo.faults(&json!([{"method": "setIamPolicy", "kind": "ERROR", "status": 409, "count": 8}]))
        .await;
    let id = demo.file("alice", &viewer()).await;
    demo.until("alice", &id, "ACTIVE", SOON).await;
    assert_eq!(demo.bindings("projects/demo-web", &id).await.len(), 1);
    let metrics = demo.metrics().await;
    assert!(metrics.contains("curfew_policy_conflicts_total 8"), "{metrics}");
}

async fn a_write_whose_reply_is_lost_is_found_and_not_doubled(shape: Shape) {
    let demo = Demo::start_as(shape).await;
    demo.faults(&json!([{"method": "setIamPolicy", "kind": "REPLY_LOST", "count": 1}])).await;
    let id = demo.file("alice", &viewer()).await;
    demo.until("alice", &id, "ACTIVE", SOON).await;
    let one = || async { (demo.bindings("projects/demo-web", &id).await.len() == 1).then_some(()) };
    eventually("one binding", SOON, one).await;
}
