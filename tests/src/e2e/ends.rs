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
    // The grant's write is answered with an error and lands three seconds later, if its etag still stands. Nothing that
    // is written instead of it succeeds before the revocation.
    demo.faults(&json!([
        {"method": "setIamPolicy", "kind": "APPLIED_LATE", "delayMs": 3000, "count": 1},
        {"method": "setIamPolicy", "kind": "ERROR", "status": 503, "count": 1000},
    ]))
    .await;
    let id = demo.file("alice", &viewer()).await;
    let under_way = || async {
        let armed = demo.cloud(reqwest::Method::GET, "/sim/v1/faults", None).await;
        let kinds = armed.as_array()?.iter().map(|fault| fault["kind"].clone()).collect::<Vec<_>>();
        (kinds == ["ERROR"]).then_some(())
    };
    eventually("the write is under way", SOON, under_way).await;
    demo.end("olga", &id, "revoke").await;
    demo.faults(&json!([])).await;
    assert_eq!(demo.until("alice", &id, "ENDED", SOON).await, "REVOKED");
    let kinds = kinds(&demo.get("alice", &format!("/v1/requests/{id}/events")).await);
    let revoked = kinds.iter().position(|kind| kind == "REVOKE").unwrap();
    assert!(kinds[..revoked].contains(&"GRANT".to_owned()), "nothing was granted yet: {kinds:?}");
    assert!(!kinds[..revoked].contains(&"BOUND".to_owned()), "the write was not late: {kinds:?}");
    // Long after the write has had its chance to land.
    let landed_or_not = tokio::time::Instant::now() + std::time::Duration::from_secs(5);
    let quiet = || async {
        let bindings = demo.bindings("projects/demo-web", &id).await;
        assert!(bindings.is_empty(), "a late write gave access after the end: {bindings:?}");
        (tokio::time::Instant::now() > landed_or_not).then_some(())
    };
    eventually("five quiet seconds", SOON, quiet).await;
}

/// What happened to a request, in order.
fn kinds(events: &Value) -> Vec<String> {
    let events = events["events"].as_array().unwrap().iter();
    events.map(|event| event["kind"].as_str().unwrap().to_owned()).collect()
}
