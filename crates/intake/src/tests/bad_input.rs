//! The catalogue of bad requests: each is refused by name, none is a fault of the server, nothing is stored.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::bad_rows::rows;
use super::world::{Reply, World, body};
use crate::JustificationPattern;

#[tokio::test]
async fn every_wrong_field_is_refused_by_name_and_stores_nothing() {
    let rows = rows();
    assert!(rows.len() >= 190);
    let mut world = World::new().await;
    for (position, (field, value, status, reason, named)) in rows.into_iter().enumerate() {
        // A person may send 60 changes a minute; every world has its own time.
        if position % 50 == 49 {
            world = World::new().await;
        }
        let mut body = body();
        body[field] = value.clone();
        let reply = world.post("alice", "/v1/requests", &body).await;
        let got = (reply.status.as_u16(), reply.reason(), reply.field());
        assert_eq!(
            got,
            (status, reason.to_owned(), named.to_owned()),
            "{field} = {value}: {}",
            reply.text()
        );
        let error = &reply.json()["error"];
        assert_eq!(error["code"], status);
        assert_eq!(error["details"][0]["domain"], "curfew");
        assert!(
            error["message"].as_str().is_some_and(|message| message.ends_with('.')),
            "{}",
            reply.text()
        );
        assert!(reply.body.len() < 4_000, "{field}: a caller's text is not sent back whole");
        assert_eq!(world.store.n_writes(), 0, "{field} = {value}");
    }
}

/// Every field, with a value that is fine.
fn every_field() -> [(&'static str, Value); 10] {
    [
        ("resource", json!("projects/demo-web")),
        ("roles", json!([{"role": "roles/compute.viewer"}])),
        ("resourceNames", json!(["projects/demo-web/zones/a/instances/i"])),
        ("duration", json!("1800s")),
        ("startAt", json!("2027-01-15T09:00:00Z")),
        ("justification", json!("BUG-1")),
        ("ticket", json!("BUG-1")),
        ("chosenApprovers", json!([])),
        ("breakGlass", json!(false)),
        ("principal", json!("user:alice@example.com")),
    ]
}

#[tokio::test]
async fn a_field_that_stands_twice_is_refused_by_name_whatever_it_says() {
    let world = World::new().await;
    for (field, value) in every_field() {
        for again in [value.clone(), Value::Null] {
            let mut body = body();
            body[field] = value.clone();
            let text = body.to_string().replacen('{', &format!("{{\"{field}\":{again},"), 1);
            let reply = world.post_with("alice", "/v1/requests", &[], text.clone()).await;
            let got = (reply.status.as_u16(), reply.reason(), reply.field());
            assert_eq!(got, (400, "FIELD_INVALID".into(), field.into()), "{text}");
        }
    }
    let nested = body().to_string().replace("{\"role\":", "{\"role\":\"roles/x\",\"role\":");
    let reply = world.post_with("alice", "/v1/requests", &[], nested).await;
    assert_eq!((reply.status.as_u16(), reply.field().as_str()), (400, "roles[0].role"));
    assert_eq!(world.store.n_writes(), 0);
}

#[tokio::test]
async fn null_says_of_every_field_that_it_is_left_out() {
    let world = World::new().await;
    let filed = |mut body: Value, field: &'static str| {
        body[field] = Value::Null;
        let world = &world;
        async move { (field, world.post("alice", "/v1/requests", &body).await) }
    };
    let spec = |reply: &Reply| {
        let mut spec = reply.json()["spec"].clone();
        // What no two requests have in common.
        for own in ["requestId", "nonce", "bodyDigest", "authentication"] {
            assert!(spec.as_object_mut().unwrap().remove(own).is_some(), "{own}");
        }
        spec
    };
    let plain = spec(&world.post("alice", "/v1/requests", &body()).await);
    for field in
        ["resourceNames", "startAt", "ticket", "chosenApprovers", "breakGlass", "principal"]
    {
        let (_, reply) = filed(body(), field).await;
        assert_eq!(reply.status, StatusCode::CREATED, "{field}: {}", reply.text());
        assert_eq!(spec(&reply), plain, "{field}");
    }
    let (_, reply) = filed(body(), "duration").await;
    assert_eq!(reply.json()["spec"]["duration"], "3600s", "the default");
    let n_writes = world.store.n_writes();
    for (field, reason) in [
        ("resource", "FIELD_REQUIRED"),
        ("roles", "ROLES_OUT_OF_BOUNDS"),
        ("justification", "FIELD_REQUIRED"),
    ] {
        let (_, reply) = filed(body(), field).await;
        assert_eq!((reply.status.as_u16(), reply.reason().as_str()), (400, reason), "{field}");
        assert_eq!(reply.field(), field);
    }
    assert_eq!(world.store.n_writes(), n_writes);
}

#[tokio::test]
async fn a_justification_matches_the_configured_pattern_as_a_whole() {
    let pattern = JustificationPattern::parse(r"BUG-\d+").unwrap();
    let world = World::with(|settings| settings.justification_pattern = Some(pattern)).await;
    for wrong in ["bug-1", "see BUG-1", "BUG-1 and more", "BUG-1\n"] {
        let mut body = body();
        body["justification"] = json!(wrong);
        let reply = world.post("alice", "/v1/requests", &body).await;
        let got = (reply.status.as_u16(), reply.reason(), reply.field());
        assert_eq!(got, (400, "JUSTIFICATION_NOT_ACCEPTED".into(), "justification".into()));
        let message = reply.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains("Bug or case number"), "{message}");
        assert_eq!(reply.json()["error"]["details"][0]["metadata"]["pattern"], r"BUG-\d+");
    }
    assert_eq!(world.store.n_writes(), 0);
    assert_eq!(world.post("alice", "/v1/requests", &body()).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn an_unknown_role_is_refused_by_its_own_reason() {
    let world = World::new().await;
    for (role, status, reason) in [("roles/pubsub.gone", 403, "UNKNOWN_ROLE")] {
        let mut body = body();
        body["resource"] = json!("projects/demo-prod");
        body["roles"] = json!([{"role": role}]);
        let reply = world.post("alice", "/v1/requests", &body).await;
        assert_eq!(
            (reply.status.as_u16(), reply.reason().as_str()),
            (status, reason),
            "{}",
            reply.text()
        );
    }
    assert_eq!(world.store.n_writes(), 0);
}

#[tokio::test]
async fn bodies_that_are_no_json_object_are_refused() {
    let world = World::new().await;
    let deep = format!("{}{}", "[".repeat(30_000), "]".repeat(30_000));
    let keys: Vec<String> = (0..4_000).map(|n| format!("\"k{n}\":1")).collect();
    let text = body().to_string();
    let twice = text.replacen('{', "{\"resource\":\"projects/demo-prod\",", 1);
    let bodies: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b"null".to_vec(),
        b"[]".to_vec(),
        b"1".to_vec(),
        b"\"x\"".to_vec(),
        b"{".to_vec(),
        b"{}x".to_vec(),
        b"{/* a comment */}".to_vec(),
        b"{\"resource\": NaN}".to_vec(),
        b"{'resource': 'x'}".to_vec(),
        [b"\xef\xbb\xbf", text.as_bytes()].concat(),
        b"{\"justification\": \"\xff\xfe\"}".to_vec(),
        b"{\"justification\": \"\\ud800\"}".to_vec(),
        b"{\"justification\": \"a\nb\"}".to_vec(),
        b"resource=projects/demo-web".to_vec(),
        b"\x1f\x8b\x08\x00\x00\x00\x00\x00".to_vec(),
        deep.into_bytes(),
        format!("{{{}}}", keys.join(",")).into_bytes(),
        twice.into_bytes(),
        text.as_bytes()[..text.len() - 1].to_vec(),
    ];
    for body in bodies {
        let shown = String::from_utf8_lossy(&body).chars().take(40).collect::<String>();
        let reply = world.post_with("alice", "/v1/requests", &[], body).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{shown}: {}", reply.text());
        assert!(
            ["BODY_MALFORMED", "FIELD_INVALID", "FIELD_REQUIRED"]
                .contains(&reply.reason().as_str()),
            "{shown}: {}",
            reply.text()
        );
    }
    assert_eq!(world.store.n_writes(), 0);
}

#[tokio::test]
async fn a_body_is_bounded_and_declared() {
    let world = World::new().await;
    let token = world.token("alice");
    let mut large = body();
    large["justification"] = json!("x".repeat(64 * 1024));
    let reply = world.post("alice", "/v1/requests", &large).await;
    assert_eq!(
        (reply.status, reply.reason().as_str()),
        (StatusCode::PAYLOAD_TOO_LARGE, "BODY_TOO_LARGE")
    );
    for more in [
        &[][..],
        &[("content-type", "text/plain")],
        &[("content-type", "application/x-www-form-urlencoded")],
        &[("content-type", "application/json; charset=utf-16")],
        &[("content-type", "application/json"), ("content-encoding", "gzip")],
    ] {
        let headers = [&[(curfew_trust::iap::ASSERTION_HEADER, token.as_str())], more].concat();
        let reply = world.send("POST", "/v1/requests", &headers, body().to_string()).await;
        assert_eq!(
            (reply.status, reply.reason().as_str()),
            (StatusCode::UNSUPPORTED_MEDIA_TYPE, "CONTENT_TYPE"),
            "{more:?}"
        );
    }
    assert_eq!(world.store.n_writes(), 0);
    let charset = [
        (curfew_trust::iap::ASSERTION_HEADER, token.as_str()),
        ("content-type", "application/json; charset=UTF-8"),
    ];
    assert_eq!(
        world.send("POST", "/v1/requests", &charset, body().to_string()).await.status,
        StatusCode::CREATED
    );
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up() {
    let world = World::new().await;
    // The keys are there before the time stands still.
    assert_eq!(world.get("alice", "/v1/me").await.status, StatusCode::OK);
    tokio::time::pause();
    let never = axum::body::Body::from_stream(futures_util::stream::pending::<
        Result<Vec<u8>, std::io::Error>,
    >());
    let reply = world.post_with("alice", "/v1/requests", &[], never).await;
    assert_eq!(
        (reply.status, reply.reason().as_str()),
        (StatusCode::REQUEST_TIMEOUT, "BODY_TIMEOUT")
    );
}

#[tokio::test]
async fn bad_parameters_are_refused_by_name() {
    let world = World::new().await;
    let id = world.filed().await;
    for (path, field) in [
        ("/v1/me?x=1", "x"),
        ("/v1/entitlements?resource=demo-web", "resource"),
        ("/v1/entitlements?role=owner", "role"),
        ("/v1/entitlements?pageSize=-1", "pageSize"),
        ("/v1/entitlements?pageToken=%00", "pageToken"),
        ("/v1/resources?query=a&query=b", "query"),
        ("/v1/requests?view=everything", "view"),
        ("/v1/requests?phase=active", "phase"),
        ("/v1/requests?resource=projects/-", "resource"),
        ("/v1/requests?requester=a@b", "requester"),
        ("/v1/requests?pageToken=nonsense", "pageToken"),
        ("/v1/requests?pageSize=1e9", "pageSize"),
    ] {
        let reply = world.get("alice", path).await;
        assert_eq!(
            (reply.status, reply.field().as_str()),
            (StatusCode::BAD_REQUEST, field),
            "{path}: {}",
            reply.text()
        );
    }
    let reply = world.get("alice", &format!("/v1/requests/{id}?alt=json")).await;
    assert_eq!((reply.status, reply.field().as_str()), (StatusCode::BAD_REQUEST, "alt"));
}

#[tokio::test]
async fn bad_reasons_are_refused_by_name() {
    let world = World::new().await;
    let id = world.filed().await;
    for (body, field) in [
        (json!({"reason": "a\u{0}"}), "reason"),
        (json!({"reason": "x".repeat(1_001)}), "reason"),
        (json!({"reason": 1}), "reason"),
        (json!({"digest": "x"}), "digest"),
    ] {
        let reply = world.post("alice", &format!("/v1/requests/{id}:withdraw"), &body).await;
        assert_eq!(
            (reply.status, reply.field().as_str()),
            (StatusCode::BAD_REQUEST, field),
            "{body}"
        );
    }
    let reply = world.post("olga", &format!("/v1/requests/{id}:revoke"), &json!({})).await;
    assert_eq!(
        (reply.status, reply.reason().as_str()),
        (StatusCode::BAD_REQUEST, "FIELD_REQUIRED")
    );
}
