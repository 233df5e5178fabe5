//! The catalogue of bad requests: each is refused by name, none is a fault of the server, nothing is stored.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::world::{World, ZONE_A, body};

/// Field that is changed, its value, and the status, reason and field of the refusal.
type Row = (&'static str, Value, u16, &'static str, &'static str);

/// Fields that the server owns, or that do not exist at all.
const OWNED: [&str; 30] = [
    "name",
    "id",
    "requestId",
    "status",
    "phase",
    "approvals",
    "approvedBy",
    "requestedAt",
    "nonce",
    "digest",
    "bodyDigest",
    "requester",
    "subject",
    "email",
    "authentication",
    "facts",
    "entries",
    "live",
    "spec",
    "grant",
    "expiresAt",
    "installation",
    "schema",
    "type",
    "durationSeconds",
    "__proto__",
    "approver",
    "createdBy",
    "generation",
    "epoch",
];

fn rows() -> Vec<Row> {
    let owned = OWNED.map(|field| (field, json!({"x": 1}), 400, "FIELD_INVALID", field));
    [
        resource_rows(),
        role_rows(),
        role_rows_further(),
        narrowing_rows(),
        duration_rows(),
        start_rows(),
        text_rows(),
        people_rows(),
        spelling_rows(),
        owned.to_vec(),
    ]
    .concat()
}

fn long(length: usize) -> Value {
    json!("x".repeat(length))
}

fn role(role: &str) -> Value {
    json!([{"role": role}])
}

fn resource_rows() -> Vec<Row> {
    vec![
        ("resource", Value::Null, 400, "FIELD_INVALID", "resource"),
        ("resource", json!(""), 400, "FIELD_REQUIRED", "resource"),
        ("resource", json!(7), 400, "FIELD_INVALID", "resource"),
        ("resource", json!(["projects/demo-web"]), 400, "FIELD_INVALID", "resource"),
        ("resource", json!({"name": "projects/demo-web"}), 400, "FIELD_INVALID", "resource"),
        ("resource", json!("projects/123456"), 400, "FIELD_INVALID", "resource"),
        ("resource", json!("projects/-"), 400, "FIELD_INVALID", "resource"),
        ("resource", json!("projects/../demo-web"), 400, "FIELD_INVALID", "resource"),
        ("resource", json!("projects/Demo-Web"), 400, "FIELD_INVALID", "resource"),
        ("resource", json!("projects/demo-web/"), 400, "FIELD_INVALID", "resource"),
        ("resource", json!("projects/demo-web\n"), 400, "FIELD_INVALID", "resource"),
        ("resource", json!("projects/demo-web\u{0}"), 400, "FIELD_INVALID", "resource"),
        ("resource", json!("projects/dеmo-web"), 400, "FIELD_INVALID", "resource"),
        ("resource", json!("demo-web"), 400, "FIELD_INVALID", "resource"),
        (
            "resource",
            json!("//cloudresourcemanager.googleapis.com/projects/demo-web"),
            400,
            "FIELD_INVALID",
            "resource",
        ),
        ("resource", long(10_000), 400, "FIELD_INVALID", "resource"),
        ("resource", json!("folders/2"), 400, "RESOURCE_KIND_NOT_OFFERED", "resource"),
        ("resource", json!("organizations/1"), 400, "RESOURCE_KIND_NOT_OFFERED", "resource"),
        ("resource", json!("projects/no-such-project"), 403, "RESOURCE_UNKNOWN", "resource"),
        ("resource", json!("projects/elsewhere"), 403, "OUT_OF_SCOPE", "resource"),
        ("resource", json!("projects/demo-curfew"), 403, "PROTECTED_RESOURCE", "resource"),
        ("resource", json!("projects/demo-prod"), 403, "NOT_ELIGIBLE", "roles"),
    ]
}

fn role_rows() -> Vec<Row> {
    vec![
        ("roles", Value::Null, 400, "FIELD_INVALID", "roles"),
        ("roles", json!([]), 400, "ROLES_OUT_OF_BOUNDS", "roles"),
        ("roles", json!("roles/compute.viewer"), 400, "FIELD_INVALID", "roles"),
        ("roles", json!(["roles/compute.viewer"]), 400, "FIELD_INVALID", "roles[0]"),
        ("roles", json!([null]), 400, "FIELD_INVALID", "roles[0]"),
        ("roles", json!([{}]), 400, "FIELD_REQUIRED", "roles[0].role"),
        ("roles", json!([{"role": null}]), 400, "FIELD_INVALID", "roles[0].role"),
        ("roles", json!([{"role": 1}]), 400, "FIELD_INVALID", "roles[0].role"),
        (
            "roles",
            json!([{"role": "roles/compute.viewer", "entitlement": "iam-x"}]),
            400,
            "FIELD_INVALID",
            "roles[0].entitlement",
        ),
        (
            "roles",
            json!([{"role": "roles/compute.viewer", "permissionsHash": "0"}]),
            400,
            "FIELD_INVALID",
            "roles[0].permissionsHash",
        ),
        (
            "roles",
            json!([{"role": "roles/compute.viewer", "resourceCondition": 1}]),
            400,
            "FIELD_INVALID",
            "roles[0].resourceCondition",
        ),
        (
            "roles",
            json!([{"role": "roles/compute.viewer", "resourceCondition": "true"}]),
            403,
            "RESOURCE_CONDITION_NOT_OFFERED",
            "roles[0].resourceCondition",
        ),
        (
            "roles",
            json!([{"role": "roles/compute.viewer", "resourceCondition": ZONE_A}]),
            403,
            "RESOURCE_CONDITION_NOT_OFFERED",
            "roles[0].resourceCondition",
        ),
        (
            "roles",
            json!([{"role": "roles/compute.viewer", "resourceCondition": "has({}.jitAccessConstraint)"}]),
            403,
            "RESOURCE_CONDITION_NOT_OFFERED",
            "roles[0].resourceCondition",
        ),
    ]
}

fn role_rows_further() -> Vec<Row> {
    vec![
        (
            "roles",
            json!([{"role": "roles/compute.viewer", "resourceCondition": "a // "}]),
            403,
            "RESOURCE_CONDITION_NOT_OFFERED",
            "roles[0].resourceCondition",
        ),
        (
            "roles",
            json!([{"role": "roles/compute.viewer", "resourceCondition": "(".repeat(1_000)}]),
            403,
            "RESOURCE_CONDITION_NOT_OFFERED",
            "roles[0].resourceCondition",
        ),
        (
            "roles",
            json!([{"role": "roles/compute.viewer"}, {"role": "roles/compute.viewer"}]),
            400,
            "ROLES_OUT_OF_BOUNDS",
            "roles",
        ),
        (
            "roles",
            Value::Array(vec![json!({"role": "roles/compute.viewer"}); 4]),
            400,
            "ROLES_OUT_OF_BOUNDS",
            "roles",
        ),
        ("roles", role("roles/owner"), 400, "FIELD_INVALID", "roles[0].role"),
        ("roles", role("roles/editor"), 400, "FIELD_INVALID", "roles[0].role"),
        ("roles", role("roles/ Owner"), 400, "FIELD_INVALID", "roles[0].role"),
        ("roles", role("roles/compute.*"), 400, "FIELD_INVALID", "roles[0].role"),
        ("roles", role("ROLES/compute.viewer"), 400, "FIELD_INVALID", "roles[0].role"),
        (
            "roles",
            role("organizations/../roles/compute.viewer"),
            400,
            "FIELD_INVALID",
            "roles[0].role",
        ),
        ("roles", role("roles/compute.viewer\u{200b}"), 400, "FIELD_INVALID", "roles[0].role"),
        ("roles", role("roles/resourcemanager.projectIamAdmin"), 403, "NOT_ELIGIBLE", "roles"),
        ("roles", role("projects/demo-web/roles/mine"), 403, "NOT_ELIGIBLE", "roles"),
        ("roles", role("roles/logging.admin"), 403, "NOT_ELIGIBLE", "roles"),
    ]
}

fn narrowing_rows() -> Vec<Row> {
    vec![
        ("resourceNames", json!("projects/x"), 400, "FIELD_INVALID", "resourceNames"),
        ("resourceNames", json!([1]), 400, "FIELD_INVALID", "resourceNames[0]"),
        ("resourceNames", json!([""]), 400, "FIELD_INVALID", "resourceNames[0]"),
        (
            "resourceNames",
            json!(["a", "b\") || true || (\"\" == \""]),
            400,
            "FIELD_INVALID",
            "resourceNames[1]",
        ),
        ("resourceNames", json!(["a/../b"]), 400, "FIELD_INVALID", "resourceNames[0]"),
        ("resourceNames", json!(["a*"]), 400, "FIELD_INVALID", "resourceNames[0]"),
        (
            "resourceNames",
            json!(["a", "b", "c", "d"]),
            400,
            "RESOURCE_NAMES_NOT_ALLOWED",
            "resourceNames",
        ),
    ]
}

fn duration_rows() -> Vec<Row> {
    vec![
        ("duration", json!(3_600), 400, "FIELD_INVALID", "duration"),
        ("duration", json!(1e308), 400, "FIELD_INVALID", "duration"),
        ("duration", json!(""), 400, "FIELD_INVALID", "duration"),
        ("duration", json!("-1s"), 400, "FIELD_INVALID", "duration"),
        ("duration", json!("1h30"), 400, "FIELD_INVALID", "duration"),
        ("duration", json!("PT1H"), 400, "FIELD_INVALID", "duration"),
        ("duration", json!("NaN"), 400, "FIELD_INVALID", "duration"),
        ("duration", json!("1ms"), 400, "FIELD_INVALID", "duration"),
        ("duration", json!("9223372036854775808s"), 400, "FIELD_INVALID", "duration"),
        ("duration", json!("0s"), 400, "DURATION_OUT_OF_BOUNDS", "duration"),
        ("duration", json!("59s"), 400, "DURATION_OUT_OF_BOUNDS", "duration"),
        ("duration", json!("7201s"), 400, "DURATION_OUT_OF_BOUNDS", "duration"),
        ("duration", json!("2147483647s"), 400, "DURATION_OUT_OF_BOUNDS", "duration"),
    ]
}

fn start_rows() -> Vec<Row> {
    vec![
        ("startAt", json!("tomorrow"), 400, "FIELD_INVALID", "startAt"),
        ("startAt", json!(1_800_000_000), 400, "FIELD_INVALID", "startAt"),
        ("startAt", json!({"seconds": 1}), 400, "FIELD_INVALID", "startAt"),
        ("startAt", json!("2027-01-15T07:59:59Z"), 400, "START_OUT_OF_BOUNDS", "startAt"),
        ("startAt", json!("0001-01-01T00:00:00Z"), 400, "START_OUT_OF_BOUNDS", "startAt"),
        ("startAt", json!("9999-12-31T23:59:59Z"), 400, "START_OUT_OF_BOUNDS", "startAt"),
    ]
}

fn text_rows() -> Vec<Row> {
    vec![
        ("justification", Value::Null, 400, "FIELD_INVALID", "justification"),
        ("justification", json!(""), 400, "FIELD_REQUIRED", "justification"),
        ("justification", json!(" \n\t"), 400, "FIELD_REQUIRED", "justification"),
        ("justification", json!(["why"]), 400, "FIELD_INVALID", "justification"),
        ("justification", json!("a\u{0}b"), 400, "FIELD_INVALID", "justification"),
        ("justification", json!("a\rb"), 400, "FIELD_INVALID", "justification"),
        ("justification", json!("\u{1b}[2J"), 400, "FIELD_INVALID", "justification"),
        ("justification", json!("\u{202e}evil"), 400, "FIELD_INVALID", "justification"),
        ("justification", long(1_001), 400, "FIELD_INVALID", "justification"),
        ("ticket", json!(1), 400, "FIELD_INVALID", "ticket"),
        ("ticket", json!(""), 400, "FIELD_INVALID", "ticket"),
        ("ticket", json!("a\nb"), 400, "FIELD_INVALID", "ticket"),
        ("ticket", long(101), 400, "FIELD_INVALID", "ticket"),
    ]
}

fn people_rows() -> Vec<Row> {
    vec![
        ("principal", json!(""), 400, "FIELD_INVALID", "principal"),
        ("principal", json!("alice@example.com"), 400, "FIELD_INVALID", "principal"),
        ("principal", json!("allUsers"), 400, "FIELD_INVALID", "principal"),
        ("principal", json!("domain:example.com"), 400, "FIELD_INVALID", "principal"),
        ("principal", json!("group:devs@example.com"), 400, "FIELD_INVALID", "principal"),
        (
            "principal",
            json!("user:alice@example.com,user:bob@example.com"),
            400,
            "FIELD_INVALID",
            "principal",
        ),
        (
            "principal",
            json!("principalSet://iam.googleapis.com/x"),
            400,
            "FIELD_INVALID",
            "principal",
        ),
        ("principal", json!("user:bob@example.com"), 403, "RECEIVER_NOT_ALLOWED", "principal"),
        (
            "principal",
            json!("serviceAccount:d@demo-web.iam.gserviceaccount.com"),
            403,
            "RECEIVER_NOT_ALLOWED",
            "principal",
        ),
        (
            "chosenApprovers",
            json!(["bob@example.com"]),
            400,
            "APPROVERS_NOT_ALLOWED",
            "chosenApprovers",
        ),
        (
            "chosenApprovers",
            json!(["bob@example.com", "nobody"]),
            400,
            "FIELD_INVALID",
            "chosenApprovers[1]",
        ),
        (
            "chosenApprovers",
            json!(["alice@example.com"]),
            400,
            "APPROVERS_NOT_ALLOWED",
            "chosenApprovers",
        ),
        (
            "chosenApprovers",
            json!(vec!["b@x.io"; 11]),
            400,
            "APPROVERS_NOT_ALLOWED",
            "chosenApprovers",
        ),
        ("chosenApprovers", json!("bob@example.com"), 400, "FIELD_INVALID", "chosenApprovers"),
        ("breakGlass", json!(true), 400, "BREAK_GLASS_NOT_OFFERED", "breakGlass"),
        ("breakGlass", json!("true"), 400, "FIELD_INVALID", "breakGlass"),
    ]
}

fn spelling_rows() -> Vec<Row> {
    vec![
        ("start_at", json!("2027-01-15T09:00:00Z"), 400, "FIELD_INVALID", "start_at"),
        ("Resource", json!("projects/demo-web"), 400, "FIELD_INVALID", "Resource"),
    ]
}

#[tokio::test]
async fn every_wrong_field_is_refused_by_name_and_stores_nothing() {
    let rows = rows();
    assert!(rows.len() >= 120);
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
