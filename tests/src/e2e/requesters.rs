//! Who may ask: through groups that only the Directory tells, as a service account, and for dangerous roles.

use reqwest::Method;
use serde_json::{Value, json};

use super::demo::{Demo, SOON, Shape, viewer};
use super::in_both_shapes;
use super::seed::{FOLDER, Seed};

in_both_shapes! {
    without_the_licence_nested_groups_count_all_the_same,
    a_service_account_that_is_named_asks_for_itself_and_approves_nothing,
    dangerous_roles_are_refused_where_they_are_to_be,
    dangerous_roles_need_a_peer_where_they_are_to,
    only_bindings_of_trusted_nodes_count,
    what_jit_access_gave_stays_untouched,
}

const JIT: &str = "jitAccessConstraint";
const PEER: &str = "multiPartyApprovalConstraint";
const WEB: &str = "projects/demo-web";
const ROBOT: &str = "deployer@demo-web.iam.gserviceaccount.com";

/// Groups in each other, in a circle, listed one member a page, by a directory without transitive search.
async fn without_the_licence_nested_groups_count_all_the_same(shape: Shape) {
    let seed = Seed::new()
        .with("groups", "{email: ring@example.com, name: Ring, id: 03ring0000005, members: [outer@example.com, dave@example.com]}")
        .with("groups", "{email: outer@example.com, name: Outer, id: 03outer000006, members: [ring@example.com, leads@example.com]}")
        .offering(WEB, "roles/compute.admin", "group:outer@example.com", PEER)
        .behaving("{cloudIdentityFree: true, maxPageSize: 1}");
    let demo = Demo::start_seeded(shape, Some(seed.text())).await;
    let id = demo.file("bob", &asking(FOLDER, "roles/logging.admin")).await;
    demo.until("bob", &id, "ACTIVE", SOON).await;
    let listed = demo.get("bob", "/v1/entitlements?resource=projects/demo-data").await;
    assert_eq!(listed["entitlements"][0]["role"], "roles/logging.admin", "{listed}");

    // carol is in it by leads@, dave by leads@ and by the ring; alice is not.
    let id = demo.file("carol", &asking(WEB, "roles/compute.admin")).await;
    demo.until("carol", &id, "AWAITING_APPROVAL", SOON).await;
    let digest = demo.get("carol", &format!("/v1/requests/{id}")).await["digest"].clone();
    let path = format!("/v1/requests/{id}:approve");
    let decision = json!({"digest": digest});
    let by = async |who: &str| demo.call(who, Method::POST, &path, Some(&decision)).await.unwrap();
    assert_eq!(by("alice").await.0, 404);
    assert_eq!(by("dave").await.0, 200);
    demo.until("carol", &id, "ACTIVE", SOON).await;
    let body = asking(WEB, "roles/compute.admin");
    let refused = demo.call("alice", Method::POST, "/v1/requests", Some(&body)).await;
    assert_eq!(refused.unwrap().0, 403);
}

async fn a_service_account_that_is_named_asks_for_itself_and_approves_nothing(shape: Shape) {
    let named = format!("serviceAccount:{ROBOT}");
    let seed = Seed::new()
        .with("groups", &format!("{{email: robots@example.com, name: Robots, id: 03robots00005, members: [\"{ROBOT}\", alice@example.com]}}"))
        .offering(WEB, "roles/compute.osLogin", &named, JIT)
        .offering(WEB, "roles/pubsub.publisher", "group:robots@example.com", JIT)
        .offering(WEB, "roles/pubsub.subscriber", &named, PEER)
        .offering(WEB, "roles/pubsub.subscriber", "user:alice@example.com", PEER);
    let demo = Demo::start_seeded(shape, Some(seed.text())).await;
    let me = demo.get(ROBOT, "/v1/me").await;
    assert_eq!(me["principal"], named, "{me}");
    let id = demo.file(ROBOT, &asking(WEB, "roles/compute.osLogin")).await;
    demo.until(ROBOT, &id, "ACTIVE", SOON).await;
    assert_eq!(demo.bindings(WEB, &id).await[0]["members"], json!([named]));
    demo.end(ROBOT, &id, "withdraw").await;
    demo.until(ROBOT, &id, "ENDED", SOON).await;

    // A group never makes a service account eligible; it does make alice.
    let by_group = asking(WEB, "roles/pubsub.publisher");
    let (status, reply) =
        demo.call(ROBOT, Method::POST, "/v1/requests", Some(&by_group)).await.unwrap();
    assert_eq!(status, 403, "{reply}");
    let of_alice = demo.file("alice", &by_group).await;
    demo.until("alice", &of_alice, "ACTIVE", SOON).await;

    // Nor does it approve, not even where its peers may.
    let id = demo.file("alice", &asking(WEB, "roles/pubsub.subscriber")).await;
    demo.until("alice", &id, "AWAITING_APPROVAL", SOON).await;
    let digest = demo.get("alice", &format!("/v1/requests/{id}")).await["digest"].clone();
    let path = format!("/v1/requests/{id}:approve");
    let decision = json!({"digest": digest});
    let (status, reply) = demo.call(ROBOT, Method::POST, &path, Some(&decision)).await.unwrap();
    assert!([403, 404].contains(&status), "{status} {reply}");
    assert_eq!(demo.stands("alice", &id).await.0, "AWAITING_APPROVAL");
}

async fn dangerous_roles_are_refused_where_they_are_to_be(shape: Shape) {
    let demo = dangerous(shape, "dangerous: refuse").await;
    let body = asking(WEB, "roles/iam.serviceAccountTokenCreator");
    let (status, reply) =
        demo.call("alice", Method::POST, "/v1/requests", Some(&body)).await.unwrap();
    assert_eq!((status, &reply["error"]["details"][0]["reason"]), (403, &json!("DANGEROUS_ROLE")));
    let custom = asking(WEB, CUSTOM);
    let (status, _) =
        demo.call("alice", Method::POST, "/v1/requests", Some(&custom)).await.unwrap();
    assert_eq!(status, 403, "found by its permissions");
    let id = demo.file("alice", &viewer()).await;
    demo.until("alice", &id, "ACTIVE", SOON).await;
}

async fn dangerous_roles_need_a_peer_where_they_are_to(shape: Shape) {
    let demo = dangerous(shape, "dangerous: approval").await;
    for role in ["roles/iam.serviceAccountTokenCreator", CUSTOM] {
        let id = demo.file("alice", &asking(WEB, role)).await;
        demo.until("alice", &id, "AWAITING_APPROVAL", SOON).await;
        assert_eq!(demo.bindings(WEB, &id).await, Vec::<Value>::new());
        let digest = demo.get("bob", &format!("/v1/requests/{id}")).await["digest"].clone();
        let path = format!("/v1/requests/{id}:approve");
        let decision = json!({"digest": digest});
        let (status, reply) = demo.call("bob", Method::POST, &path, Some(&decision)).await.unwrap();
        assert_eq!(status, 200, "{reply}");
        demo.until("alice", &id, "ACTIVE", SOON).await;
    }
    let alone = demo.file("alice", &viewer()).await;
    demo.until("alice", &alone, "ACTIVE", SOON).await;
}

const CUSTOM: &str = "organizations/100000000001/roles/helper";

async fn dangerous(shape: Shape, eligible: &'static str) -> Demo {
    let custom = format!(
        "{{name: {CUSTOM}, title: T, permissions: [compute.instances.get, iam.serviceAccounts.actAs]}}"
    );
    let seed = Seed::new()
        .with("roles", &custom)
        .offering(WEB, CUSTOM, "group:devs@example.com", JIT)
        .offering(WEB, "roles/iam.serviceAccountTokenCreator", "group:devs@example.com", JIT);
    Demo::start_configured(shape, seed.text(), eligible).await
}

async fn only_bindings_of_trusted_nodes_count(shape: Shape) {
    let demo =
        Demo::start_configured(shape, Seed::new().text(), "from: [folders/200000000001]").await;
    let body = viewer();
    let (status, reply) =
        demo.call("alice", Method::POST, "/v1/requests", Some(&body)).await.unwrap();
    assert_eq!((status, &reply["error"]["details"][0]["reason"]), (403, &json!("NOT_ELIGIBLE")));
    let id = demo.file("bob", &asking(WEB, "roles/logging.admin")).await;
    demo.until("bob", &id, "ACTIVE", SOON).await;
    let listed = demo.get("bob", "/v1/entitlements").await;
    let offers = listed["entitlements"].as_array().unwrap();
    assert!(offers.iter().all(|offer| offer["role"] == "roles/logging.admin"), "{listed}");
}

/// A binding that JIT Access wrote lies beside ours: it is nobody's drift, and no sweep removes it.
async fn what_jit_access_gave_stays_untouched(shape: Shape) {
    let demo = Demo::start_as(shape).await;
    let given = json!({
        "role": "roles/compute.viewer",
        "members": ["user:alice@example.com"],
        "condition": {
            "title": "JIT access activation",
            "description": "Self-approved, justification: BUG-1",
            "expression": "(request.time >= timestamp(\"2026-01-01T00:00:00Z\") && request.time < timestamp(\"2126-01-01T00:00:00Z\"))",
        },
    });
    let mut policy = demo.policy(WEB).await;
    policy["bindings"].as_array_mut().unwrap().push(given.clone());
    demo.cloud(
        Method::POST,
        "/v3/projects/demo-web:setIamPolicy",
        Some(&json!({"policy": policy})),
    )
    .await;
    let before = demo.foreign(WEB).await;
    let id = demo.file("alice", &viewer()).await;
    demo.until("alice", &id, "ACTIVE", SOON).await;
    demo.end("alice", &id, "withdraw").await;
    demo.until("alice", &id, "ENDED", SOON).await;
    let after = demo.foreign(WEB).await;
    assert!(after["bindings"].as_array().unwrap().contains(&given), "{after}");
    assert_eq!(after, before);
}

fn asking(node: &str, role: &str) -> Value {
    let mut body = viewer();
    body["resource"] = node.into();
    body["roles"] = json!([{"role": role}]);
    body["duration"] = "5m".into();
    body
}
