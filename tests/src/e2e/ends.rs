//! Access that ends before its time, and stays ended.

use serde_json::{Value, json};

use super::demo::{Demo, SOON, Shape, viewer};
use super::in_both_shapes;
use crate::eventually::eventually;

in_both_shapes! {
    a_requester_gives_access_back,
    an_operator_revokes_and_nobody_else_does,
    one_request_ending_leaves_its_sibling_alone,
    a_write_that_lands_after_the_revocation_gives_nothing,
}

async fn a_requester_gives_access_back(shape: Shape) {
    let demo = Demo::start_as(shape).await;
    let id = demo.file("alice", &viewer()).await;
    demo.until("alice", &id, "ACTIVE", SOON).await;
    demo.end("alice", &id, "withdraw").await;
    assert_eq!(demo.until("alice", &id, "ENDED", SOON).await, "WITHDRAWN");
    assert_eq!(demo.bindings("projects/demo-web", &id).await, Vec::<Value>::new());
}

async fn an_operator_revokes_and_nobody_else_does(shape: Shape) {
    let demo = Demo::start_as(shape).await;
    let id = demo.file("alice", &viewer()).await;
    demo.until("alice", &id, "ACTIVE", SOON).await;
    for (person, status) in [("alice", 403), ("erin", 403), ("bob", 404)] {
        let path = format!("/v1/requests/{id}:revoke");
        let body = json!({"reason": "mine now"});
        let (got, reply) =
            demo.call(person, reqwest::Method::POST, &path, Some(&body)).await.unwrap();
        assert_eq!(got, status, "{person}: {reply}");
    }
    assert_eq!(demo.stands("alice", &id).await.0, "ACTIVE");
    demo.end("olga", &id, "revoke").await;
    assert_eq!(demo.until("alice", &id, "ENDED", SOON).await, "REVOKED");
    assert_eq!(demo.bindings("projects/demo-web", &id).await, Vec::<Value>::new());
}

async fn one_request_ending_leaves_its_sibling_alone(shape: Shape) {
    let demo = Demo::start_as(shape).await;
    let first = demo.file("alice", &viewer()).await;
    let second = demo.file("alice", &viewer()).await;
    demo.until("alice", &first, "ACTIVE", SOON).await;
    demo.until("alice", &second, "ACTIVE", SOON).await;
    demo.end("alice", &first, "withdraw").await;
    demo.until("alice", &first, "ENDED", SOON).await;
    assert_eq!(demo.bindings("projects/demo-web", &second).await.len(), 1);
    assert_eq!(demo.stands("alice", &second).await.0, "ACTIVE");
}

async fn a_write_that_lands_after_the_revocation_gives_nothing(shape: Shape) {
    let demo = Demo::start_as(shape).await;
    // The grant's write is answered with an error and lands three seconds later, if its etag still stands.
    demo.faults(
        &json!([{"method": "setIamPolicy", "kind": "APPLIED_LATE", "delayMs": 3000, "count": 1}]),
    )
    .await;
    let id = demo.file("alice", &viewer()).await;
    let refused = || async {
        let log = demo.cloud(reqwest::Method::GET, "/sim/v1/faults", None).await;
        log.as_array().is_some_and(Vec::is_empty).then_some(())
    };
    eventually("the write is under way", SOON, refused).await;
    demo.end("olga", &id, "revoke").await;
    assert_eq!(demo.until("alice", &id, "ENDED", SOON).await, "REVOKED");
    // Long after the write has had its chance to land.
    let landed_or_not = tokio::time::Instant::now() + std::time::Duration::from_secs(5);
    let quiet = || async {
        let bindings = demo.bindings("projects/demo-web", &id).await;
        assert!(bindings.is_empty(), "a late write gave access after the end: {bindings:?}");
        (tokio::time::Instant::now() > landed_or_not).then_some(())
    };
    eventually("five quiet seconds", SOON, quiet).await;
}
