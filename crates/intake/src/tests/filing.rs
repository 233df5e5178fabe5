//! Filing: what is stored, how often, and when not.

use axum::http::StatusCode;
use curfew_core::id::RequestId;
use curfew_core::role::permissions_hash;
use curfew_proto::payload::read_spec;
use serde_json::json;

use super::fakes::CreateFault;
use super::world::{World, ZONE_A, ZONE_B, body};

#[tokio::test]
async fn a_request_is_signed_stored_and_shown() {
    let world = World::new().await;
    let mut body = body();
    body["ticket"] = json!("CASE 7/é");
    body["resourceNames"] = json!(["projects/demo-web/zones/a/instances/i"]);
    let reply = world.post("alice", "/v1/requests", &body).await;
    assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());
    let id = reply.id();
    assert_eq!(reply.headers["location"], format!("/v1/requests/{id}"));
    let shown = reply.json();
    assert_eq!(shown["spec"]["requester"]["email"], "alice@example.com");
    assert_eq!(shown["spec"]["ticket"], "CASE 7/é");
    assert_eq!(shown["status"]["phase"], "PENDING");
    let stored =
        world.store.requests.lock().unwrap().get(&RequestId::parse(&id).unwrap()).unwrap().clone();
    let payload = stored.spec.unwrap().payload;
    let filed = read_spec(&payload).unwrap();
    assert_eq!(filed.installation.as_str(), "demo");
    assert_eq!(filed.spec.id.as_str(), id);
    assert_eq!(filed.spec.principal.to_string(), "user:alice@example.com");
    assert_eq!(filed.spec.duration.num_seconds(), 1_800);
    assert_eq!(filed.spec.justification, "BUG-1");
    assert!(filed.spec.roles[0].entitlement.starts_with("iam-"));
    assert_eq!(
        filed.spec.roles[0].permissions_hash,
        permissions_hash(&["roles/compute.viewer.use".to_owned()].into())
    );
    assert_eq!(filed.spec.authentication.assertion_digest.unwrap().as_str().len(), 64);
    assert!(!payload.contains(&world.token("alice")), "the assertion is never stored");
    assert_eq!(shown["digest"], filed.spec.digest.as_str());
    assert_eq!(world.get("alice", &format!("/v1/requests/{id}")).await.json(), shown);
}

#[tokio::test]
async fn what_is_left_out_has_its_default() {
    let world = World::new().await;
    let body = json!({"resource": "projects/demo-web", "roles": [{"role": "roles/compute.viewer"}], "duration": null, "justification": "x"});
    let spec = world.post("alice", "/v1/requests", &body).await.json()["spec"].clone();
    assert_eq!(
        (spec["duration"].as_str(), spec["principal"].as_str()),
        (Some("3600s"), Some("user:alice@example.com"))
    );
    assert_eq!(spec["roles"][0]["resourceCondition"], "");
}

#[tokio::test]
async fn the_same_key_and_body_file_one_request() {
    let world = World::new().await;
    let key = [("idempotency-key", "5f0c-1")];
    let first = world.post_with("alice", "/v1/requests", &key, body().to_string()).await;
    let again = world.post_with("alice", "/v1/requests", &key, body().to_string()).await;
    assert_eq!((first.status, again.status), (StatusCode::CREATED, StatusCode::OK));
    assert_eq!(first.json(), again.json());
    assert_eq!(first.headers["location"], again.headers["location"]);
    // The bytes count, not what they say.
    let spaced = format!(" {}", body());
    let other = world.post_with("alice", "/v1/requests", &key, spaced).await;
    assert_eq!(
        (other.status, other.reason().as_str(), other.field().as_str()),
        (StatusCode::CONFLICT, "IDEMPOTENCY_KEY_REUSED", "Idempotency-Key")
    );
    // The key is the caller's own.
    let bob = world.post_with("bob", "/v1/requests", &key, body().to_string()).await;
    assert_eq!(bob.status, StatusCode::CREATED);
    assert_eq!(world.store.n_requests(), 2);
}

#[tokio::test]
async fn a_repeated_key_is_answered_though_limits_are_reached_and_the_cloud_is_gone() {
    let world = World::new().await;
    let key = [("idempotency-key", "k")];
    let first = world.post_with("alice", "/v1/requests", &key, body().to_string()).await;
    world.catalog.ancestry_fails.set(true);
    let again = world.post_with("alice", "/v1/requests", &key, body().to_string()).await;
    assert_eq!((again.status, again.id()), (StatusCode::OK, first.id()));
}

#[tokio::test]
async fn many_at_once_under_one_key_file_one_request() {
    let world = World::new().await;
    let key = [("idempotency-key", "k")];
    let calls = (0..20).map(|_| world.post_with("alice", "/v1/requests", &key, body().to_string()));
    let replies = futures_util::future::join_all(calls).await;
    assert_eq!(replies.iter().filter(|reply| reply.status == StatusCode::CREATED).count(), 1);
    assert_eq!(replies.iter().filter(|reply| reply.status == StatusCode::OK).count(), 19);
    assert_eq!(world.store.n_requests(), 1);
}

#[tokio::test]
async fn a_key_of_another_grammar_is_refused() {
    let world = World::new().await;
    let long = "k".repeat(129);
    for key in ["", "a b", "é", &long, "a\tb"] {
        let reply = world
            .post_with("alice", "/v1/requests", &[("idempotency-key", key)], body().to_string())
            .await;
        assert_eq!(
            (reply.status, reply.reason().as_str()),
            (StatusCode::BAD_REQUEST, "IDEMPOTENCY_KEY_INVALID"),
            "{key:?}"
        );
    }
    let twice = [("idempotency-key", "a"), ("idempotency-key", "a")];
    assert_eq!(
        world.post_with("alice", "/v1/requests", &twice, body().to_string()).await.status,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(world.store.n_requests(), 0);
}

#[tokio::test]
async fn a_lost_reply_of_the_store_does_not_lose_or_double_the_request() {
    for fault in [CreateFault::Lost, CreateFault::ReplyLost] {
        let world = World::new().await;
        world.store.create_faults.lock().unwrap().push(fault);
        let reply = world.post("alice", "/v1/requests", &body()).await;
        assert!(reply.status.is_success(), "{}", reply.text());
        assert_eq!(world.store.n_requests(), 1);
    }
}

#[tokio::test]
async fn of_several_conditions_one_must_be_chosen() {
    let world = World::new().await;
    let ask = |condition: Option<&str>| {
        let mut body = body();
        body["resource"] = json!("projects/demo-prod");
        body["roles"] = json!([{"role": "roles/compute.osLogin"}]);
        if let Some(condition) = condition {
            body["roles"][0]["resourceCondition"] = json!(condition);
        }
        body
    };
    let open = world.post("alice", "/v1/requests", &ask(None)).await;
    assert_eq!(
        (open.status, open.reason().as_str(), open.field().as_str()),
        (StatusCode::BAD_REQUEST, "RESOURCE_CONDITION_REQUIRED", "roles[0].resourceCondition")
    );
    assert!(open.json()["error"]["message"].as_str().unwrap().contains(ZONE_A));
    let metadata = open.json()["error"]["details"][0]["metadata"].clone();
    assert_eq!(
        (metadata["resourceCondition0"].as_str(), metadata["resourceCondition1"].as_str()),
        (Some(ZONE_A), Some(ZONE_B))
    );
    for condition in [
        "",
        "true",
        "resource.name.startsWith(\"projects/demo-prod/zones/a/\") ",
        "(request.time < timestamp(\"2099-01-01T00:00:00Z\"))",
        "true || true",
    ] {
        let reply = world.post("alice", "/v1/requests", &ask(Some(condition))).await;
        assert_eq!(
            (reply.status, reply.reason().as_str()),
            (StatusCode::FORBIDDEN, "RESOURCE_CONDITION_NOT_OFFERED"),
            "{condition:?}"
        );
    }
    assert_eq!(world.store.n_requests(), 0);
    let chosen = world.post("alice", "/v1/requests", &ask(Some(ZONE_A))).await;
    assert_eq!(chosen.status, StatusCode::CREATED, "{}", chosen.text());
    assert_eq!(chosen.json()["spec"]["roles"][0]["resourceCondition"], ZONE_A);
    // Bob is offered one of the two, so he need not choose.
    let only = world.post("bob", "/v1/requests", &ask(None)).await;
    assert_eq!(only.json()["spec"]["roles"][0]["resourceCondition"], ZONE_B);
}

#[tokio::test]
async fn without_a_peer_comes_before_with_one() {
    let world = World::new().await;
    world.set_policy(
        "folders/2",
        &[("roles/compute.instanceAdmin.v1", &["domain:example.com"], super::world::JIT)],
    );
    let mut body = body();
    body["resource"] = json!("projects/demo-prod");
    body["roles"] = json!([{"role": "roles/compute.instanceAdmin.v1"}]);
    let reply = world.post("alice", "/v1/requests", &body).await;
    assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());
}

#[tokio::test]
async fn a_failed_look_up_is_an_outage_and_never_a_refusal() {
    let world = World::new().await;
    let faults = [
        &world.catalog.ancestry_fails,
        &world.catalog.policy_fails,
        &world.catalog.permissions_fail,
        &world.directory.fails,
        &world.store.fails,
        &world.signer.fails,
    ];
    for fault in faults {
        fault.set(true);
        let reply = world.post("alice", "/v1/requests", &body()).await;
        fault.set(false);
        assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE, "{}", reply.text());
        assert!(reply.headers.contains_key("retry-after"));
        assert!(!reply.text().contains("internal-host"), "{}", reply.text());
    }
    assert_eq!(world.store.n_requests(), 0);
    assert_eq!(world.post("alice", "/v1/requests", &body()).await.status, StatusCode::CREATED);
}
