//! Nobody gets in without IAP; what every reply carries.

use axum::body::Body;
use axum::http::StatusCode;
use curfew_trust::iap::ASSERTION_HEADER;
use serde_json::json;

use super::front::Front;
use super::world::{World, body};

#[tokio::test]
async fn nothing_but_health_is_served_without_an_assertion() {
    let world = World::new().await;
    for path in [
        "/",
        "/requests",
        "/v1/me",
        "/v1/entitlements",
        "/v1/requests",
        "/v1/nothing",
        "/assets/x",
        "/ui/requests",
        "/HEALTH",
        "/health/",
        "//health",
    ] {
        let reply = world.send("GET", path, &[], Body::empty()).await;
        assert_eq!(
            (reply.status, reply.reason().as_str()),
            (StatusCode::UNAUTHORIZED, "NOT_SIGNED_IN"),
            "{path}"
        );
    }
    let health = world.send("GET", "/health", &[], Body::empty()).await;
    assert_eq!((health.status, health.text().as_str()), (StatusCode::OK, "ok\n"));
}

#[tokio::test]
async fn only_one_assertion_that_iap_signed_for_this_service_signs_in() {
    let world = World::new().await;
    let now = super::fakes::START_S;
    let good = world.token("alice");
    let with = |name: &str, value: serde_json::Value| {
        let mut claims = Front::claims("alice", now);
        claims[name] = value;
        world.front.token(&claims)
    };
    let other_front = Front::start().await.token(&Front::claims("alice", now));
    let mut flipped = good.clone();
    flipped
        .replace_range(good.len() - 4..good.len() - 3, if good.ends_with('A') { "B" } else { "A" });
    for (token, status) in [
        (other_front, 401),
        (flipped, 401),
        (String::new(), 401),
        ("x.y.z".into(), 401),
        (with("aud", json!("/projects/1/locations/europe-west1/services/other")), 401),
        (with("iss", json!("https://accounts.google.com")), 401),
        (with("exp", json!(now - 60)), 401),
        (with("iat", json!(now + 600)), 401),
        (with("sub", json!("sts.google.com:1")), 403),
    ] {
        let reply = world.send("GET", "/v1/me", &[(ASSERTION_HEADER, &token)], Body::empty()).await;
        assert_eq!(reply.status.as_u16(), status, "{token} {}", reply.text());
        assert!(token.is_empty() || !reply.text().contains(&token), "an assertion came back");
    }
    let twice = [(ASSERTION_HEADER, good.as_str()), (ASSERTION_HEADER, good.as_str())];
    assert_eq!(
        world.send("GET", "/v1/me", &twice, Body::empty()).await.status,
        StatusCode::UNAUTHORIZED
    );
    let unsigned = [("x-goog-authenticated-user-email", "accounts.google.com:alice@example.com")];
    assert_eq!(
        world.send("GET", "/v1/me", &unsigned, Body::empty()).await.status,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(world.get("alice", "/v1/me").await.status, StatusCode::OK);
}

#[tokio::test]
async fn an_assertion_that_has_expired_signs_nobody_in() {
    let world = World::new().await;
    let token = world.token("alice");
    world.clock.pass(631);
    let reply = world.send("GET", "/v1/me", &[(ASSERTION_HEADER, &token)], Body::empty()).await;
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn every_reply_carries_the_security_headers() {
    let world = World::new().await;
    let replies = [
        world.send("GET", "/health", &[], Body::empty()).await,
        world.send("GET", "/v1/me", &[], Body::empty()).await,
        world.get("alice", "/v1/me").await,
        world.get("alice", "/v1/nothing").await,
        world.page("alice", "/").await,
        world.post("alice", "/v1/requests", &json!({})).await,
        world
            .send("DELETE", "/v1/me", &[(ASSERTION_HEADER, &world.token("alice"))], Body::empty())
            .await,
    ];
    for reply in replies {
        let header = |name: &str| {
            reply
                .headers
                .get(name)
                .map(|value| value.to_str().unwrap().to_owned())
                .unwrap_or_default()
        };
        let policy = header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{reply:?}"
        );
        assert!(!policy.contains("script") && !policy.contains("unsafe"), "{policy}");
        assert!(header("strict-transport-security").contains("31536000"));
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("referrer-policy"), "same-origin");
        assert_eq!(header("cross-origin-opener-policy"), "same-origin");
        assert_eq!(header("cache-control"), "no-store");
        assert!(
            !reply.headers.keys().any(|name| name.as_str().starts_with("access-control")),
            "no CORS"
        );
    }
}

#[tokio::test]
async fn a_change_from_another_site_is_refused_and_stores_nothing() {
    let world = World::new().await;
    for (name, value) in [
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ] {
        let reply =
            world.post_with("alice", "/v1/requests", &[(name, value)], body().to_string()).await;
        assert_eq!(
            (reply.status, reply.reason().as_str()),
            (StatusCode::FORBIDDEN, "CROSS_SITE"),
            "{name} {value}"
        );
    }
    assert_eq!(world.store.n_writes(), 0);
    let ours = [("origin", "https://access.example.com"), ("sec-fetch-site", "same-origin")];
    assert_eq!(
        world.post_with("alice", "/v1/requests", &ours, body().to_string()).await.status,
        StatusCode::CREATED
    );
}

#[tokio::test]
async fn unknown_paths_and_methods_are_refused_in_json() {
    let world = World::new().await;
    let token = world.token("alice");
    for path in [
        "/v1",
        "/v1/requests/",
        "/v1/requests:purge",
        "/v2/me",
        "/v1/requests/x/y",
        "/.git/config",
        "/v1/%2e%2e/health",
        "/ui",
        "/metrics",
    ] {
        let reply = world.get("alice", path).await;
        assert_eq!(
            (reply.status, reply.reason().as_str()),
            (StatusCode::NOT_FOUND, "ROUTE_UNKNOWN"),
            "{path}"
        );
    }
    for (method, path) in [
        ("DELETE", "/v1/requests"),
        ("PUT", "/v1/me"),
        ("POST", "/v1/me"),
        ("PATCH", "/"),
        ("OPTIONS", "/v1/requests"),
        ("TRACE", "/v1/me"),
        ("BREW", "/v1/me"),
        ("GET", "/ui/requests"),
        ("POST", "/requests"),
    ] {
        let reply = world.send(method, path, &[(ASSERTION_HEADER, &token)], Body::empty()).await;
        assert_eq!(
            (reply.status, reply.reason().as_str()),
            (StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED"),
            "{method} {path}"
        );
        assert!(reply.headers.contains_key("allow"), "{method} {path}");
    }
    assert_eq!(
        world.send("POST", "/health", &[], Body::empty()).await.status,
        StatusCode::METHOD_NOT_ALLOWED
    );
}

#[tokio::test]
async fn a_panic_is_a_reply_that_tells_nothing() {
    let world = World::new().await;
    world.directory.panics.store(true, std::sync::atomic::Ordering::SeqCst);
    let reply = world.get("alice", "/v1/me").await;
    assert_eq!(
        (reply.status, reply.reason().as_str()),
        (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL")
    );
    assert!(
        !reply.text().contains("SECRET") && reply.headers.contains_key("content-security-policy")
    );
    world.directory.panics.store(false, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(world.get("alice", "/v1/me").await.status, StatusCode::OK);
}
