//! Decisions of peers: who may make them, about what, and where they are found.

use axum::http::StatusCode;
use curfew_core::phase::Phase;
use curfew_core::principal::Email;
use curfew_core::status::EntryStatus;
use serde_json::{Value, json};

use super::world::{MPA, World, at, status};

const ADMIN: &str = "roles/compute.instanceAdmin.v1";

/// Alice's request for what a peer must approve.
fn body() -> Value {
    json!({
        "resource": "projects/demo-prod",
        "roles": [{"role": ADMIN}],
        "duration": "1800s",
        "justification": "BUG-1",
    })
}

/// Filed by alice with these fields more, and judged; its id and digest.
async fn waiting(world: &World, more: Value) -> (String, String) {
    let mut body = body();
    for (field, value) in more.as_object().unwrap() {
        body[field] = value.clone();
    }
    let reply = world.post("alice", "/v1/requests", &body).await;
    assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());
    let mut judged = status(Phase::AwaitingApproval);
    judged.steps_required = Some(1);
    judged.decide_by = Some(at(3_600));
    world.set_status(&reply.id(), judged);
    (reply.id(), reply.json()["digest"].as_str().unwrap().to_owned())
}

async fn decide(
    world: &World,
    who: &str,
    id: &str,
    verb: &str,
    body: Value,
) -> (u16, String, Value) {
    let reply = world.post(who, &format!("/v1/requests/{id}:{verb}"), &body).await;
    let reason = if reply.status.is_success() { String::new() } else { reply.reason() };
    (reply.status.as_u16(), reason, reply.json())
}

#[tokio::test]
async fn a_peer_approves_once_and_what_is_signed_names_what_was_seen() {
    let world = World::new().await;
    let (id, digest) = waiting(&world, json!({})).await;
    let body = json!({"digest": digest, "comment": "go on"});
    let (code, _, first) = decide(&world, "bob", &id, "approve", body.clone()).await;
    assert_eq!(code, 200, "{first}");
    let entry = &first["entries"][0];
    assert_eq!((&entry["type"], &entry["verdict"]), (&json!("DECISION"), &json!("APPROVE")));
    assert_eq!((&entry["comment"], &entry["why"]), (&json!("go on"), &json!("NOT_SEEN_YET")));
    assert_eq!(entry["target"], digest);
    let (code, _, again) = decide(&world, "bob", &id, "approve", body).await;
    assert_eq!((code, again), (200, first));
    assert_eq!(world.store.n_writes(), 2);
}

#[tokio::test]
async fn a_denial_follows_an_approval_of_the_same_person() {
    let world = World::new().await;
    let (id, digest) = waiting(&world, json!({})).await;
    decide(&world, "bob", &id, "approve", json!({"digest": digest})).await;
    let (code, _, reply) = decide(&world, "bob", &id, "deny", json!({"digest": digest})).await;
    assert_eq!((code, reply["entries"].as_array().unwrap().len()), (200, 2), "{reply}");
}

#[tokio::test]
async fn who_may_not_decide_is_told_why() {
    let world = World::new().await;
    let (id, digest) = waiting(&world, json!({})).await;
    // Requester; auditor, operator (who see it); one without any standing.
    for (who, code, reason) in [
        ("alice", 403, "SELF_APPROVAL"),
        ("erin", 403, "NOT_A_PEER"),
        ("olga", 403, "NOT_A_PEER"),
        ("carol", 404, "NOT_FOUND"),
    ] {
        for verb in ["approve", "deny"] {
            let refused = decide(&world, who, &id, verb, json!({"digest": digest})).await;
            assert_eq!((refused.0, refused.1.as_str()), (code, reason), "{who} {verb}");
        }
    }
    assert_eq!(world.store.n_writes(), 1);
}

#[tokio::test]
async fn a_decision_needs_the_digest_of_what_was_shown() {
    let world = World::new().await;
    let (id, digest) = waiting(&world, json!({})).await;
    let other = "0".repeat(64);
    for (body, code, reason) in [
        (json!({}), 400, "FIELD_REQUIRED"),
        (json!({"digest": ""}), 400, "FIELD_REQUIRED"),
        (json!({"digest": "x"}), 400, "FIELD_INVALID"),
        (json!({"digest": digest.to_uppercase()}), 400, "FIELD_INVALID"),
        (json!({"digest": 1}), 400, "FIELD_INVALID"),
        (json!({"digest": other}), 409, "DIGEST_MISMATCH"),
        (json!({"digest": digest, "target": other}), 409, "DIGEST_MISMATCH"),
        (json!({"digest": digest, "target": "x"}), 400, "FIELD_INVALID"),
        (json!({"digest": digest, "comment": "x".repeat(1_001)}), 400, "FIELD_INVALID"),
        (json!({"digest": digest, "reason": "x"}), 400, "FIELD_INVALID"),
        (json!({"digest": digest, "verdict": "APPROVE"}), 400, "FIELD_INVALID"),
    ] {
        let refused = decide(&world, "bob", &id, "approve", body.clone()).await;
        assert_eq!((refused.0, refused.1.as_str()), (code, reason), "{body}: {}", refused.2);
    }
    let told = decide(&world, "bob", &id, "approve", json!({"digest": other})).await.2;
    assert_eq!(told["error"]["details"][0]["metadata"]["digest"], digest);
    assert_eq!(world.store.n_writes(), 1);
}

#[tokio::test]
async fn only_the_chosen_decide_where_some_were_chosen() {
    let world = World::new().await;
    world.directory.groups.lock().unwrap().values_mut().for_each(|members| {
        members.insert(Email::parse("carol@example.com").unwrap());
    });
    let (id, digest) = waiting(&world, json!({"chosenApprovers": ["carol@example.com"]})).await;
    let shown = world.get("alice", &format!("/v1/requests/{id}")).await.json();
    assert_eq!(shown["status"]["approvals"]["waitingFor"], json!(["carol@example.com"]));
    let refused = decide(&world, "bob", &id, "approve", json!({"digest": digest})).await;
    assert_eq!((refused.0, refused.1.as_str()), (404, "NOT_FOUND"));
    let done = decide(&world, "carol", &id, "approve", json!({"digest": digest})).await;
    assert_eq!(done.0, 200, "{}", done.2);
}

#[tokio::test]
async fn who_may_not_approve_cannot_be_chosen() {
    let world = World::new().await;
    let mut body = body();
    body["chosenApprovers"] = json!(["bob@example.com", "mallory@example.com"]);
    let reply = world.post("alice", "/v1/requests", &body).await;
    assert_eq!(
        (reply.status.as_u16(), reply.reason(), reply.field()),
        (400, "APPROVERS_NOT_ALLOWED".to_owned(), "chosenApprovers[1]".to_owned()),
        "{}",
        reply.text()
    );
    assert_eq!(world.store.n_writes(), 0);
}

#[tokio::test]
async fn nothing_is_approved_that_does_not_wait_for_it() {
    let world = World::new().await;
    let (id, digest) = waiting(&world, json!({})).await;
    for (phase, steps, approve, deny) in [
        (Phase::Pending, None, (404, "NOT_FOUND"), (404, "NOT_FOUND")),
        (Phase::Activating, Some(1), (409, "NOT_AWAITING_APPROVAL"), (200, "")),
    ] {
        let mut now = status(phase);
        now.steps_required = steps;
        world.set_status(&id, now);
        for (verb, (code, reason)) in [("approve", approve), ("deny", deny)] {
            let got = decide(&world, "bob", &id, verb, json!({"digest": digest})).await;
            assert_eq!((got.0, got.1.as_str()), (code, reason), "{phase:?} {verb}: {}", got.2);
        }
    }
    let self_activated = world.filed().await;
    let digest =
        world.get("alice", &format!("/v1/requests/{self_activated}")).await.json()["digest"]
            .clone();
    let refused =
        decide(&world, "bob", &self_activated, "approve", json!({"digest": digest})).await;
    assert_eq!(refused.0, 404);
}

#[tokio::test]
async fn a_failed_look_up_is_an_outage_and_never_a_refusal_or_an_approval() {
    let world = World::new().await;
    let (id, digest) = waiting(&world, json!({})).await;
    world.directory.fails.set(true);
    let got = decide(&world, "bob", &id, "approve", json!({"digest": digest})).await;
    assert_eq!((got.0, got.1.as_str()), (503, "LOOK_UP_FAILED"));
    assert_eq!(world.store.n_writes(), 1);
}

#[tokio::test]
async fn who_lost_the_role_decides_nothing() {
    let world = World::new().await;
    let (id, digest) = waiting(&world, json!({})).await;
    world.set_policy("projects/demo-prod", &[(ADMIN, &["user:alice@example.com"], MPA)]);
    let got = decide(&world, "bob", &id, "approve", json!({"digest": digest})).await;
    assert_eq!(got.0, 404);
}

#[tokio::test]
async fn the_inbox_holds_what_one_may_decide_and_nothing_of_ones_own() {
    let world = World::new().await;
    let (id, _) = waiting(&world, json!({})).await;
    world.filed().await;
    let inbox = async |who: &str| {
        let list = world.get(who, "/v1/requests?view=inbox").await.json();
        let names = list["requests"].as_array().cloned().unwrap_or_default();
        names.iter().map(|request| request["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(inbox("bob").await, [format!("requests/{id}")]);
    for who in ["alice", "carol", "erin", "olga", "mallory"] {
        assert!(inbox(who).await.is_empty(), "{who}");
    }
    let page = world.page("bob", "/approvals").await.text();
    assert!(page.contains(&format!("/requests/{id}")) && page.contains(ADMIN));
    assert!(world.page("carol", "/approvals").await.text().contains("Nobody waits for you"));
}

#[tokio::test]
async fn who_approved_may_revoke_and_another_peer_may_not() {
    let world = World::new().await;
    let (id, _) = waiting(&world, json!({})).await;
    let mut active = status(Phase::Active);
    active.steps_required = Some(1);
    active.approved_by = vec!["bob@example.com".into()];
    world.set_status(&id, active.clone());
    let path = format!("/v1/requests/{id}:revoke");
    let shown = world.get("bob", &format!("/v1/requests/{id}")).await.json();
    let approvals = json!({"required": 1, "given": 1, "by": ["bob@example.com"], "waitingFor": []});
    assert_eq!(shown["status"]["approvals"], approvals);
    assert_eq!(world.post("bob", &path, &json!({"reason": "x"})).await.status, StatusCode::OK);
    active.approved_by.clear();
    world.set_status(&id, active);
    assert_eq!(
        world.post("erin", &path, &json!({"reason": "x"})).await.reason(),
        "NOT_AN_OPERATOR"
    );
}

#[tokio::test]
async fn a_peer_decides_on_the_page_and_only_about_what_it_shows() {
    let world = World::new().await;
    let (id, digest) = waiting(&world, json!({})).await;
    let page = world.page("bob", &format!("/requests/{id}")).await.text();
    assert!(page.contains(&digest) && page.contains(">Approve<") && page.contains(">Deny<"));
    assert!(!page.contains("http-equiv=\"refresh\""), "a page does not reload under a form");
    assert!(!world.page("alice", &format!("/requests/{id}")).await.text().contains(">Approve<"));
    let tokens: Vec<&str> = page.split("name=\"token\" value=\"").skip(1).collect();
    let [approve, deny] = [0, 1].map(|n| tokens[n].split_once('"').unwrap().0);
    let send = async |verb: &str, token: &str, digest: &str| {
        let path = format!("/ui/requests/{id}/{verb}");
        world.form("bob", &path, &[("token", token), ("digest", digest), ("comment", "ok")]).await
    };
    // A token is for one act about one digest.
    for (verb, token, digest) in [
        ("approve", deny, digest.as_str()),
        ("deny", approve, &digest),
        ("approve", approve, &"0".repeat(64)),
    ] {
        assert_eq!(send(verb, token, digest).await.status, StatusCode::FORBIDDEN, "{verb}");
    }
    assert_eq!(world.store.n_writes(), 1);
    assert_eq!(send("approve", approve, &digest).await.status, StatusCode::SEE_OTHER);
    assert!(world.page("bob", &format!("/requests/{id}")).await.text().contains("approved: ok"));
}

#[tokio::test]
async fn a_decision_that_was_refused_can_be_made_again() {
    let world = World::new().await;
    let (id, digest) = waiting(&world, json!({})).await;
    let first = decide(&world, "bob", &id, "approve", json!({"digest": digest})).await.2;
    let nonce = first["entries"][0]["nonce"].as_str().unwrap().to_owned();
    let mut refused = status(Phase::AwaitingApproval);
    refused.steps_required = Some(1);
    refused.observed_entries = vec![EntryStatus { nonce, why_not: Some("TOO_OLD".into()) }];
    world.set_status(&id, refused);
    let again = decide(&world, "bob", &id, "approve", json!({"digest": digest})).await.2;
    assert_eq!(again["entries"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn what_a_peer_must_approve_is_asked_for_on_the_page() {
    let world = World::new().await;
    let page = world.page("alice", "/?query=instanceAdmin").await.text();
    assert!(page.contains("Needs approval") && page.contains("name=\"approvers\""));
    let token = page.split("name=\"token\" value=\"").nth(1).unwrap().split_once('"').unwrap().0;
    let fields = [
        ("token", token),
        ("resource", "projects/demo-prod"),
        ("role", ADMIN),
        ("resourceCondition", ""),
        ("duration", "900s"),
        ("justification", "x"),
        ("ticket", ""),
        ("approvers", " bob@example.com,\r\n"),
    ];
    let filed = world.form("alice", "/ui/requests", &fields).await;
    assert_eq!(filed.status, StatusCode::SEE_OTHER, "{}", filed.text());
    let location = filed.headers["location"].to_str().unwrap();
    let shown = world.get("alice", &format!("/v1{location}")).await.json();
    assert_eq!(shown["spec"]["chosenApprovers"], json!(["bob@example.com"]));
}

#[tokio::test]
async fn the_page_shows_everything_that_an_approver_signs_for() {
    let world = World::new().await;
    let more = json!({
        "startAt": "2027-01-16T03:00:00Z",
        "resourceNames": ["projects/demo-prod/zones/a/instances/db"],
        "ticket": "CASE-7",
        "chosenApprovers": ["bob@example.com"],
    });
    let (id, digest) = waiting(&world, more).await;
    let page = world.page("bob", &format!("/requests/{id}")).await.text();
    for shown in [
        "alice@example.com",
        "projects/demo-prod",
        ADMIN,
        "on all of it",
        "projects/demo-prod/zones/a/instances/db",
        "30 min",
        "2027-01-16 03:00",
        "BUG-1",
        "CASE-7",
        "bob@example.com can approve it",
        &digest,
    ] {
        assert!(page.contains(shown), "{shown} is not shown: {page}");
    }
}

#[tokio::test]
async fn an_outage_takes_away_no_form_that_ends_access_and_hides_nothing_from_who_approved() {
    let world = World::new().await;
    let (id, digest) = waiting(&world, json!({})).await;
    let path = format!("/requests/{id}");
    assert_eq!(decide(&world, "bob", &id, "approve", json!({"digest": digest})).await.0, 200);
    world.catalog.ancestry_fails.set(true);
    let page = world.page("olga", &path).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text().contains("could not be checked") && page.text().contains("end=1"));
    assert_eq!(world.page("bob", &path).await.status, StatusCode::OK);
    assert_eq!(world.page("carol", &path).await.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn an_approval_that_is_too_old_to_count_can_be_given_again() {
    let world = World::new().await;
    let (id, digest) = waiting(&world, json!({})).await;
    for (wait, entries) in [(0, 1), (600, 1), (1, 2)] {
        world.clock.pass(wait);
        let reply = decide(&world, "bob", &id, "approve", json!({"digest": digest})).await.2;
        assert_eq!(reply["entries"].as_array().unwrap().len(), entries, "{wait}");
    }
}
