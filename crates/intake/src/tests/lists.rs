//! What people may ask for.

use std::sync::atomic::Ordering;

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::world::{JIT, World, ZONE_A, ZONE_B};

fn offered(list: &Value) -> Vec<(String, String, String)> {
    let text = |entitlement: &Value, name: &str| entitlement[name].as_str().unwrap().to_owned();
    let all = list["entitlements"].as_array().unwrap().iter();
    all.map(|e| (text(e, "resource"), text(e, "role"), text(e, "resourceCondition"))).collect()
}

#[tokio::test]
async fn people_see_what_their_names_and_groups_offer_in_scope() {
    let world = World::new().await;
    let alice = world.get("alice", "/v1/entitlements").await.json();
    let row = |resource: &str, role: &str, condition: &str| {
        (format!("projects/{resource}"), format!("roles/{role}"), condition.to_owned())
    };
    assert_eq!(
        offered(&alice),
        [
            row("demo-prod", "compute.instanceAdmin.v1", ""),
            row("demo-prod", "compute.osLogin", ZONE_A),
            row("demo-prod", "compute.osLogin", ZONE_B),
            row("demo-prod", "pubsub.gone", ""),
            row("demo-web", "compute.viewer", ""),
        ]
    );
    let carol = world.get("carol", "/v1/entitlements").await.json();
    assert_eq!(
        offered(&carol),
        [
            row("demo-prod", "compute.osLogin", ZONE_B),
            row("demo-prod", "logging.admin", ""),
            row("demo-web", "logging.admin", ""),
        ]
    );
    assert_eq!(offered(&world.get("mallory", "/v1/entitlements").await.json()), []);
}

#[tokio::test]
async fn an_entitlement_says_how_to_ask_for_it() {
    let world = World::new().await;
    let list = world.get("alice", "/v1/entitlements?role=roles/compute.viewer").await.json();
    let viewer = &list["entitlements"][0];
    assert!(viewer["name"].as_str().unwrap().starts_with("iam-"));
    assert_eq!(viewer["approval"], "SELF");
    assert_eq!(
        (viewer["defaultDuration"].as_str(), viewer["maxDuration"].as_str()),
        (Some("3600s"), Some("7200s"))
    );
    assert_eq!(
        viewer["justification"],
        json!({"required": true, "pattern": "", "hint": "Bug or case number"})
    );
    assert_eq!(viewer.get("activeRequest"), None);
    let peer =
        world.get("alice", "/v1/entitlements?query=INSTANCEadmin").await.json()["entitlements"][0]
            .clone();
    assert_eq!(peer["approval"], "PEER");
    let id = world.filed().await;
    let list = world.get("alice", "/v1/entitlements?resource=projects/demo-web").await.json();
    assert_eq!(list["entitlements"][0]["activeRequest"], format!("requests/{id}"));
}

#[tokio::test]
async fn lists_are_searched_and_paged() {
    let world = World::new().await;
    let first = world.get("alice", "/v1/entitlements?pageSize=2").await.json();
    let token = first["nextPageToken"].as_str().unwrap().to_owned();
    let second =
        world.get("alice", &format!("/v1/entitlements?pageSize=2&pageToken={token}")).await.json();
    let third = world.get("alice", "/v1/entitlements?pageSize=2&pageToken=4").await.json();
    let all = [offered(&first), offered(&second), offered(&third)].concat();
    assert_eq!((all.len(), third.get("nextPageToken")), (5, None));
    assert_eq!(all, offered(&world.get("alice", "/v1/entitlements").await.json()));
    let resources = world.get("alice", "/v1/resources?query=WEB").await.json();
    assert_eq!(
        resources["resources"],
        json!([{"name": "projects/demo-web", "displayName": "The projects/demo-web", "parent": "folders/2"}])
    );
    assert_eq!(world.get("mallory", "/v1/resources").await.json()["resources"], json!([]));
}

#[tokio::test]
async fn a_nearer_or_easier_binding_hides_the_same_offer() {
    let world = World::new().await;
    world.set_policy(
        "folders/2",
        &[
            ("roles/compute.instanceAdmin.v1", &["domain:example.com"], JIT),
            ("roles/compute.viewer", &["domain:example.com"], JIT),
        ],
    );
    let list = world
        .get(
            "alice",
            "/v1/entitlements?resource=projects/demo-prod&role=roles/compute.instanceAdmin.v1",
        )
        .await
        .json();
    assert_eq!(
        (offered(&list).len(), list["entitlements"][0]["approval"].as_str()),
        (1, Some("SELF"))
    );
    let list = world
        .get("alice", "/v1/entitlements?resource=projects/demo-web&role=roles/compute.viewer")
        .await
        .json();
    assert_eq!(offered(&list).len(), 1);
}

#[tokio::test]
async fn the_index_is_made_once_for_many_and_anew_after_ten_seconds() {
    let world = World::new().await;
    let calls = (0..10).map(|_| world.get("alice", "/v1/entitlements"));
    for reply in futures_util::future::join_all(calls).await {
        assert_eq!(reply.status, StatusCode::OK);
    }
    assert_eq!(world.catalog.n_indexed.load(Ordering::SeqCst), 1);
    world.set_policy("projects/demo-web", &[]);
    assert_eq!(offered(&world.get("alice", "/v1/entitlements").await.json()).len(), 5);
    world.clock.pass(10);
    assert_eq!(offered(&world.get("alice", "/v1/entitlements").await.json()).len(), 4);
    assert_eq!(world.catalog.n_indexed.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_failed_look_up_is_never_an_empty_list() {
    let world = World::new().await;
    world.catalog.index_fails.set(true);
    for path in ["/v1/entitlements", "/v1/resources", "/"] {
        let reply = world.get("alice", path).await;
        assert_eq!(
            (reply.status, reply.reason().as_str()),
            (StatusCode::SERVICE_UNAVAILABLE, "LOOK_UP_FAILED"),
            "{path}"
        );
        assert!(reply.headers.contains_key("retry-after"));
    }
    assert_eq!(
        world.catalog.n_indexed.load(Ordering::SeqCst),
        1,
        "others do not queue for the same failure"
    );
    world.catalog.index_fails.set(false);
    world.clock.pass(1);
    assert_eq!(world.get("alice", "/v1/entitlements").await.status, StatusCode::OK);
    world.directory.fails.set(true);
    for path in ["/v1/entitlements", "/v1/resources", "/v1/me", "/"] {
        assert_eq!(
            world.get("alice", path).await.status,
            StatusCode::SERVICE_UNAVAILABLE,
            "{path}"
        );
    }
    world.directory.fails.set(false);
    world.store.fails.set(true);
    assert_eq!(world.get("alice", "/v1/entitlements").await.reason(), "STORE_UNAVAILABLE");
}

#[tokio::test]
async fn people_learn_who_they_are_and_what_they_may_do() {
    let world = World::new().await;
    for (person, capabilities) in [
        ("alice", json!(["request", "approve"])),
        ("carol", json!(["request"])),
        ("erin", json!(["request", "audit"])),
        ("olga", json!(["request", "audit", "operate"])),
    ] {
        let me = world.get(person, "/v1/me").await.json();
        assert_eq!(me["capabilities"], capabilities);
        assert_eq!(me["principal"], format!("user:{person}@example.com"));
    }
    assert_eq!(world.get("alice", "/v1/me").await.json()["groups"], json!(["devs@example.com"]));
}
