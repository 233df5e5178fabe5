//! What would happen: the same checks as filing, all of them, and nothing stored.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::world::{World, ZONE_A, body};

const PATH: &str = "/v1/requests:validate";

/// Names of the checks that went so.
fn went(reply: &Value, outcome: &str) -> Vec<String> {
    let checks = reply["checks"].as_array().unwrap().iter();
    checks
        .filter(|check| check["outcome"] == outcome)
        .map(|check| check["name"].as_str().unwrap().to_owned())
        .collect()
}

fn reasons(reply: &Value) -> Vec<&str> {
    let checks = reply["checks"].as_array().unwrap().iter();
    checks.filter_map(|check| check["reason"].as_str()).collect()
}

#[tokio::test]
async fn a_good_request_passes_every_check_and_shows_what_it_would_write() {
    let world = World::new().await;
    let mut body = body();
    body["resource"] = "projects/demo-prod".into();
    body["roles"] = json!([{"role": "roles/compute.osLogin", "resourceCondition": ZONE_A}]);
    let reply = world.post("alice", PATH, &body).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
    let reply = reply.json();
    assert_eq!(reply["verdict"], "ACCEPTED");
    assert_eq!(went(&reply, "PASSED").len(), reply["checks"].as_array().unwrap().len());
    assert_eq!((&reply["approval"], &reply["approvalsRequired"]), (&json!("SELF"), &json!(0)));
    assert_eq!(
        reply["bindings"],
        json!([{
            "resource": "projects/demo-prod",
            "role": "roles/compute.osLogin",
            "member": "user:alice@example.com",
            "expression": format!(
                "(request.time >= timestamp(\"2027-01-15T08:00:00Z\") && request.time < timestamp(\"2027-01-15T08:30:00Z\")) && ({ZONE_A})"
            ),
        }])
    );
    assert_eq!((world.store.n_requests(), world.store.n_writes()), (0, 0));
}

#[tokio::test]
async fn it_says_which_approval_it_would_take_and_what_deserves_a_thought() {
    let world = World::new().await;
    world.set_role("roles/compute.instanceAdmin.v1", &["iam.serviceAccounts.actAs"]);
    let mut body = body();
    body["resource"] = "projects/demo-prod".into();
    body["roles"] = json!([{"role": "roles/compute.instanceAdmin.v1"}]);
    let reply = world.post("alice", PATH, &body).await.json();
    assert_eq!((&reply["verdict"], &reply["approval"]), (&json!("ACCEPTED"), &json!("PEER")));
    assert_eq!((&reply["approvalsRequired"], &reply["decideWithin"]), (&json!(1), &json!("3600s")));
    assert_eq!(reply["warnings"][0]["reason"], "DANGEROUS_ROLE");
    body["chosenApprovers"] = json!(["carol@example.com"]);
    let reply = world.post("alice", PATH, &body).await.json();
    assert_eq!(went(&reply, "FAILED"), ["the chosen approvers may approve"]);
}

#[tokio::test]
async fn every_failure_is_told_and_not_only_the_first() {
    let world = World::new().await;
    let mut body = body();
    body["duration"] = "100h".into();
    body["startAt"] = "2020-01-01T00:00:00Z".into();
    body["breakGlass"] = true.into();
    body["roles"] = json!([{"role": "roles/storage.admin"}]);
    let reply = world.post("alice", PATH, &body).await.json();
    assert_eq!(reply["verdict"], "REFUSED");
    assert_eq!(
        reasons(&reply),
        [
            "BREAK_GLASS_NOT_OFFERED",
            "DURATION_OUT_OF_BOUNDS",
            "START_OUT_OF_BOUNDS",
            "NOT_ELIGIBLE"
        ]
    );
    assert_eq!(reply.get("bindings").unwrap(), &json!([]));
    let check = reply["checks"]
        .as_array()
        .unwrap()
        .iter()
        .find(|it| it["reason"] == "DURATION_OUT_OF_BOUNDS");
    assert_eq!(check.unwrap()["field"], "duration");
}

#[tokio::test]
async fn fields_that_cannot_be_read_are_told_together_and_the_rest_is_not_reached() {
    let world = World::new().await;
    let body = json!({"resource": "projects/-", "roles": [{"role": "roles/owner"}], "duration": "soon", "justification": ""});
    let reply = world.post("alice", PATH, &body).await.json();
    assert_eq!(
        went(&reply, "FAILED"),
        [
            "the resource can be read",
            "the roles can be read",
            "the duration can be read",
            "the justification is accepted",
        ]
    );
    assert!(went(&reply, "NOT_REACHED").contains(&"the roles are offered to the requester".into()));
    assert_eq!(
        world.post("alice", PATH, &json!({"nonsense": 1})).await.status,
        StatusCode::BAD_REQUEST
    );
}

/// Filing refuses with the first check that the dry run did not pass, and files where all passed.
#[tokio::test]
async fn filing_and_the_dry_run_never_disagree() {
    let world = World::new().await;
    let changes: [(&str, Value); 14] = [
        ("duration", "30m".into()),
        ("duration", "3h".into()),
        ("duration", "never".into()),
        ("resource", "projects/elsewhere".into()),
        ("resource", "projects/demo-curfew".into()),
        ("resource", "projects/not-there".into()),
        ("resource", "".into()),
        ("resource", "folders/2".into()),
        ("roles", json!([])),
        ("roles", json!([{"role": "roles/owner"}])),
        ("roles", json!([{"role": "roles/compute.viewer", "resourceCondition": "other"}])),
        ("resourceNames", json!(["a\"b"])),
        ("chosenApprovers", json!(["bob@example.com"])),
        ("principal", "user:bob@example.com".into()),
    ];
    for (field, value) in changes {
        let mut body = body();
        body[field] = value;
        let dry = world.post("alice", PATH, &body).await.json();
        let filed = world.post("alice", "/v1/requests", &body).await;
        let first = reasons(&dry).first().map(ToString::to_string);
        let said = (filed.status != StatusCode::CREATED).then(|| filed.reason());
        assert_eq!(first, said, "{body}");
        assert_eq!(dry["verdict"] == "ACCEPTED", said.is_none(), "{body}");
    }
}

#[tokio::test]
async fn a_failed_look_up_is_an_open_question_and_no_refusal() {
    let world = World::new().await;
    world.catalog.policy_fails.set(true);
    let reply = world.post("alice", PATH, &body()).await.json();
    assert_eq!(reply["verdict"], "UNANSWERED");
    assert_eq!(went(&reply, "UNANSWERED"), ["the resource and what is offered there can be read"]);
    assert!(!reply.to_string().contains("internal-host"));
    world.catalog.policy_fails.set(false);
    world.directory.fails.set(true);
    let reply = world.post("alice", PATH, &body()).await.json();
    assert_eq!(
        (&reply["verdict"], reasons(&reply)),
        (&json!("UNANSWERED"), vec!["LOOK_UP_FAILED"])
    );
    let mut wrong = body();
    wrong["duration"] = "100h".into();
    assert_eq!(world.post("alice", PATH, &wrong).await.json()["verdict"], "REFUSED");
}

#[tokio::test]
async fn limits_are_told_without_being_used_up() {
    let world = World::new().await;
    for _ in 0..10 {
        world.filed().await;
    }
    let reply = world.post("alice", PATH, &body()).await.json();
    assert_eq!(reply["verdict"], "REFUSED");
    assert_eq!(reasons(&reply), ["TOO_MANY_NEW", "TOO_MANY_OPEN"]);
    assert_eq!(world.store.n_requests(), 10);
}
