//! How much is too much.

use axum::body::Body;
use axum::http::StatusCode;
use curfew_core::phase::Phase;
use prometheus::TextEncoder;
use serde_json::json;

use super::world::{World, body, status};

#[tokio::test]
async fn ten_new_requests_in_ten_minutes_and_no_more() {
    let world = World::new().await;
    for _ in 0..10 {
        let id = world.filed().await;
        world.set_status(&id, status(Phase::Ended));
    }
    world.clock.pass(100);
    let reply = world.post("alice", "/v1/requests", &body()).await;
    assert_eq!(
        (reply.status, reply.reason().as_str()),
        (StatusCode::TOO_MANY_REQUESTS, "TOO_MANY_NEW")
    );
    assert_eq!(reply.headers["retry-after"], "500");
    assert_eq!(
        world.post("bob", "/v1/requests", &body()).await.status,
        StatusCode::CREATED,
        "others are not concerned"
    );
    world.clock.pass(500);
    assert_eq!(world.post("alice", "/v1/requests", &body()).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn many_at_once_do_not_slip_past_the_count() {
    let world = World::new().await;
    let body = body();
    let calls = (0..30).map(|_| world.post("alice", "/v1/requests", &body));
    let replies = futures_util::future::join_all(calls).await;
    assert_eq!(replies.iter().filter(|reply| reply.status == StatusCode::CREATED).count(), 10);
    assert_eq!(world.store.n_requests(), 10);
}

#[tokio::test]
async fn ten_open_requests_for_one_entitlement_and_no_more() {
    let world = World::new().await;
    for n in 0..10 {
        world.filed().await;
        world.clock.pass(if n == 4 { 601 } else { 0 });
    }
    world.clock.pass(601);
    let reply = world.post("alice", "/v1/requests", &body()).await;
    assert_eq!(
        (reply.status, reply.reason().as_str()),
        (StatusCode::TOO_MANY_REQUESTS, "TOO_MANY_OPEN")
    );
    assert!(reply.headers.contains_key("retry-after"));
    let id = world.store.requests.lock().unwrap().keys().next().unwrap().to_string();
    world.set_status(&id, status(Phase::Ended));
    assert_eq!(world.post("alice", "/v1/requests", &body()).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn changes_that_come_too_fast_are_refused_even_if_they_are_bad() {
    let world = World::new().await;
    for _ in 0..60 {
        assert_eq!(
            world.post("alice", "/v1/requests", &json!({})).await.status,
            StatusCode::BAD_REQUEST
        );
    }
    let reply = world.post("alice", "/v1/requests", &json!({})).await;
    assert_eq!(
        (reply.status, reply.reason().as_str()),
        (StatusCode::TOO_MANY_REQUESTS, "TOO_MANY_ATTEMPTS")
    );
    assert_eq!(reply.headers["retry-after"], "1");
    assert_eq!(world.get("alice", "/v1/me").await.status, StatusCode::OK, "reading goes on");
    assert_eq!(world.post("bob", "/v1/requests", &json!({})).await.status, StatusCode::BAD_REQUEST);
    world.clock.pass(2);
    assert_eq!(
        world.post("alice", "/v1/requests", &json!({})).await.status,
        StatusCode::BAD_REQUEST
    );
}

#[tokio::test]
async fn a_request_holds_no_more_endings_than_the_controller_looks_at() {
    let world = World::new().await;
    let id = world.filed().await;
    let groups = &world.directory.groups;
    let people: Vec<String> = (0..49).map(|n| format!("op{n}")).collect();
    let emails = people
        .iter()
        .map(|name| curfew_core::principal::Email::parse(&format!("{name}@example.com")).unwrap());
    groups.lock().unwrap().insert(
        curfew_core::principal::Email::parse("platform@example.com").unwrap(),
        emails.collect(),
    );
    for (n, person) in people.iter().enumerate() {
        let reply =
            world.post(person, &format!("/v1/requests/{id}:revoke"), &json!({"reason": "x"})).await;
        let expected = if n < 48 { StatusCode::OK } else { StatusCode::TOO_MANY_REQUESTS };
        assert_eq!(reply.status, expected, "{n}: {}", reply.text());
    }
}

#[tokio::test]
async fn more_at_once_than_fit_are_shed() {
    let world = World::new().await;
    assert_eq!(world.get("alice", "/v1/me").await.status, StatusCode::OK);
    let never =
        || Body::from_stream(futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>());
    let names: Vec<String> = (0..512).map(|n| format!("p{n}")).collect();
    let waiting =
        names.iter().map(|name| Box::pin(world.post_with(name, "/v1/requests", &[], never())));
    let mut waiting = futures_util::future::select_all(waiting);
    assert!(futures_util::poll!(&mut waiting).is_pending(), "every slot waits for its body");
    let reply = world.get("alice", "/v1/me").await;
    assert_eq!(
        (reply.status, reply.reason().as_str()),
        (StatusCode::TOO_MANY_REQUESTS, "OVERLOADED")
    );
    assert!(reply.headers.contains_key("retry-after"));
    assert_eq!(world.send("GET", "/health", &[], "").await.status, StatusCode::OK);
    drop(waiting);
    assert_eq!(world.get("alice", "/v1/me").await.status, StatusCode::OK);
}

#[tokio::test]
async fn replies_are_counted_by_route_and_never_by_path() {
    let world = World::new().await;
    let id = world.filed().await;
    world.get("alice", &format!("/v1/requests/{id}")).await;
    world.get("alice", "/v1/secret-path").await;
    world.send("BREW", "/v1/me", &[], "").await;
    let text = TextEncoder::new().encode_to_string(&world.registry.gather()).unwrap();
    for labels in [
        "code=\"200\",method=\"GET\",route=\"/v1/requests/{id}\"",
        "code=\"201\",method=\"POST\",route=\"/v1/requests\"",
        "code=\"404\",method=\"GET\",route=\"unmatched\"",
        "code=\"401\",method=\"OTHER\",route=\"/v1/me\"",
    ] {
        assert!(
            text.contains(&format!("http_request_duration_seconds_count{{{labels}}} 1")),
            "{labels}\n{text}"
        );
    }
    assert!(!text.contains(&id) && !text.contains("secret-path"));
}
