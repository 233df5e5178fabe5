//! Who may see and do what: every role, every verb.

use axum::http::StatusCode;
use curfew_core::phase::Phase;
use curfew_core::status::{EntryStatus, GrantStatus, OutcomeStatus};
use curfew_ports::StoredFact;
use serde_json::{Value, json};

use super::world::{World, at, body, status};

const PEOPLE: [&str; 5] = ["alice", "bob", "erin", "olga", "mallory"];

#[tokio::test]
async fn each_role_may_do_what_it_may_and_nothing_else() {
    // Requester, peer, auditor, operator, stranger.
    let matrix: [(&str, &str, [u16; 5]); 10] = [
        ("GET", "", [200, 404, 200, 200, 404]),
        ("GET", "/events", [200, 404, 200, 200, 404]),
        ("POST", ":withdraw", [200, 404, 403, 403, 404]),
        ("POST", ":revoke", [403, 404, 403, 200, 404]),
        ("POST", ":approve", [403, 404, 403, 403, 404]),
        ("POST", ":deny", [403, 404, 403, 403, 404]),
        ("POST", ":extend", [409, 404, 409, 409, 404]),
        ("POST", ":closeReview", [409, 404, 409, 409, 404]),
        ("POST", ":delete", [404, 404, 404, 404, 404]),
        ("POST", "", [404, 404, 404, 404, 404]),
    ];
    for (method, verb, expected) in matrix {
        for (person, code) in PEOPLE.into_iter().zip(expected) {
            let world = World::new().await;
            let id = world.filed().await;
            let path = format!("/v1/requests/{id}{verb}");
            let reply = if method == "GET" {
                world.get(person, &path).await
            } else {
                let is_decision = verb == ":approve" || verb == ":deny";
                let body = if is_decision {
                    json!({"digest": "0".repeat(64)})
                } else {
                    json!({"reason": "x"})
                };
                world.post(person, &path, &body).await
            };
            assert_eq!(reply.status.as_u16(), code, "{person} {method} {verb}: {}", reply.text());
            let wrote = world.store.n_writes() == 2;
            assert_eq!(wrote, method == "POST" && code == 200, "{person} {method} {verb}");
            if code == 409 {
                assert_eq!(reply.reason(), "NOT_OFFERED");
            }
        }
    }
}

#[tokio::test]
async fn an_id_of_another_shape_or_of_nothing_is_not_found() {
    let world = World::new().await;
    let id = world.filed().await;
    for other in [
        "x",
        "00000000000000000000000000",
        &id.to_uppercase(),
        &format!("{id}0"),
        "..%2f..%2f",
        &format!("%20{id}"),
        &id.replace('0', "o"),
    ] {
        let reply = world.get("olga", &format!("/v1/requests/{other}")).await;
        assert_eq!(
            (reply.status, reply.reason().as_str()),
            (StatusCode::NOT_FOUND, "NOT_FOUND"),
            "{other}"
        );
        let reply = world
            .post("olga", &format!("/v1/requests/{other}:revoke"), &json!({"reason": "x"}))
            .await;
        assert_eq!(reply.status, StatusCode::NOT_FOUND, "{other}");
    }
}

#[tokio::test]
async fn a_withdrawal_is_signed_shown_and_done_once() {
    let world = World::new().await;
    let id = world.filed().await;
    let path = format!("/v1/requests/{id}:withdraw");
    let first = world.post("alice", &path, &json!({"reason": "done"})).await.json();
    let entry = &first["entries"][0];
    assert_eq!(
        (entry["type"].as_str(), entry["reason"].as_str(), entry["counted"].as_bool()),
        (Some("WITHDRAW"), Some("done"), Some(false))
    );
    assert_eq!(
        (entry["why"].as_str(), entry["actor"]["email"].as_str()),
        (Some("NOT_SEEN_YET"), Some("alice@example.com"))
    );
    let again = world.post("alice", &path, &json!({"reason": "again"})).await;
    assert_eq!((again.status, again.json()), (StatusCode::OK, first.clone()));
    assert_eq!(world.store.n_writes(), 2);
    let nonce = entry["nonce"].as_str().unwrap().to_owned();
    let mut seen = status(Phase::Ended);
    seen.observed_entries = vec![EntryStatus { nonce, why_not: None }];
    world.set_status(&id, seen);
    assert_eq!(
        world.get("alice", &format!("/v1/requests/{id}")).await.json()["entries"][0]["counted"],
        true
    );
}

#[tokio::test]
async fn what_is_over_cannot_be_ended_again() {
    let world = World::new().await;
    let id = world.filed().await;
    let mut ended = status(Phase::Ended);
    ended.outcome = Some(OutcomeStatus {
        reason: "DURATION_ELAPSED".into(),
        at: at(0),
        by: None,
        message: "over".into(),
    });
    world.set_status(&id, ended);
    for (person, verb) in [("alice", "withdraw"), ("olga", "revoke")] {
        let reply =
            world.post(person, &format!("/v1/requests/{id}:{verb}"), &json!({"reason": "x"})).await;
        assert_eq!(
            (reply.status, reply.reason().as_str()),
            (StatusCode::CONFLICT, "ALREADY_OVER"),
            "{verb}"
        );
    }
}

#[tokio::test]
async fn a_natural_end_shows_by_the_clock() {
    let world = World::new().await;
    let id = world.filed().await;
    let mut active = status(Phase::Active);
    active.grant = Some(GrantStatus { starts_at: at(0), expires_at: at(60), bindings: vec![] });
    world.set_status(&id, active);
    let phase = async || {
        world.get("alice", &format!("/v1/requests/{id}")).await.json()["status"]["phase"].clone()
    };
    world.clock.pass(59);
    assert_eq!(phase().await, "ACTIVE");
    world.clock.pass(1);
    assert_eq!(phase().await, "ENDING");
}

#[tokio::test]
async fn an_edited_spec_is_not_shown_and_belongs_to_nobody() {
    let world = World::new().await;
    let id = world.filed().await;
    world.store.change(&id, |stored| {
        let spec = stored.spec.as_mut().unwrap();
        spec.payload = spec.payload.replace("BUG-1", "BUG-2");
    });
    assert_eq!(
        world.get("alice", &format!("/v1/requests/{id}")).await.status,
        StatusCode::NOT_FOUND
    );
    let shown = world.get("erin", &format!("/v1/requests/{id}")).await.json();
    assert_eq!((shown.get("spec"), shown.get("digest")), (None, None));
    assert_eq!(shown["status"]["conditions"][0]["type"], "Unverified");
    assert_eq!(shown["status"]["conditions"][0]["reason"], "BAD_SIGNATURE");
    // Ending access needs less than giving it.
    assert_eq!(
        world
            .post("olga", &format!("/v1/requests/{id}:revoke"), &json!({"reason": "x"}))
            .await
            .status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn a_forged_entry_is_shown_as_such_and_says_nothing() {
    let world = World::new().await;
    let id = world.filed().await;
    world
        .post("alice", &format!("/v1/requests/{id}:withdraw"), &json!({"reason": "SECRET WORDS"}))
        .await;
    world.store.change(&id, |stored| {
        for entry in stored.entries.values_mut() {
            entry.signature = "AAAA".into();
        }
        stored.entries.insert("not a nonce".into(), curfew_ports::StoredEnvelope::default());
    });
    let shown = world.get("alice", &format!("/v1/requests/{id}")).await.json();
    let entries = shown["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(
        (entries[0]["counted"].as_bool(), entries[0]["why"].as_str()),
        (Some(false), Some("BAD_SIGNATURE"))
    );
    assert!(!shown.to_string().contains("SECRET WORDS"));
}

#[tokio::test]
async fn signatures_and_macs_never_leave_the_store() {
    let world = World::new().await;
    let id = world.filed().await;
    world.store.change(&id, |stored| {
        stored.facts.push(StoredFact {
            n: 0,
            kind: "BOUND".into(),
            at: "2027-01-15T08:00:01.000000Z".into(),
            payload: "{\"expiresAt\":\"2027-01-15T08:30:00.000000Z\"}".into(),
            prev: "11".repeat(32),
            mac: "22".repeat(32),
        });
        stored.facts.push(StoredFact {
            n: 1,
            kind: "ENDED".into(),
            at: "no time".into(),
            payload: "<script>".into(),
            ..StoredFact::default()
        });
    });
    let signature = world
        .store
        .requests
        .lock()
        .unwrap()
        .values()
        .next()
        .unwrap()
        .spec
        .clone()
        .unwrap()
        .signature;
    for path in [
        format!("/v1/requests/{id}"),
        format!("/v1/requests/{id}/events"),
        format!("/requests/{id}"),
    ] {
        let text = world.get("erin", &path).await.text();
        assert!(!text.contains(&signature) && !text.contains(&"22".repeat(32)), "{path}");
    }
    let events = world.get("alice", &format!("/v1/requests/{id}/events")).await.json();
    let kinds: Vec<&str> = events["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["FILED", "BOUND", "ENDED"]);
    assert_eq!(
        events["events"][1]["message"],
        "the policy gives access until 2027-01-15 08:30:00 UTC"
    );
    assert_eq!(events["events"][2]["message"], "the stored fact cannot be read");
}

#[tokio::test]
async fn lists_show_ones_own_and_auditors_everything() {
    let world = World::new().await;
    let alices = world.filed().await;
    let bobs = world.post("bob", "/v1/requests", &body()).await.id();
    let names = |list: &Value| -> Vec<String> {
        list["requests"]
            .as_array()
            .unwrap()
            .iter()
            .map(|request| request["name"].as_str().unwrap().replace("requests/", ""))
            .collect()
    };
    let list =
        async |person: &str, query: &str| world.get(person, &format!("/v1/requests{query}")).await;
    assert_eq!(names(&list("alice", "").await.json()), std::slice::from_ref(&alices));
    assert_eq!(
        names(&list("alice", "?view=mine&requester=bob@example.com").await.json()),
        Vec::<String>::new()
    );
    let refused = list("alice", "?view=all").await;
    assert_eq!(
        (refused.status, refused.reason().as_str()),
        (StatusCode::FORBIDDEN, "NOT_AN_AUDITOR")
    );
    for person in ["erin", "olga"] {
        assert_eq!(names(&list(person, "?view=all").await.json()), [bobs.clone(), alices.clone()]);
    }
    assert_eq!(
        names(&list("erin", "?view=all&requester=alice@example.com").await.json()),
        std::slice::from_ref(&alices)
    );
    assert_eq!(names(&list("erin", "?view=all&phase=ACTIVE").await.json()), Vec::<String>::new());
    assert_eq!(
        names(&list("erin", "?view=all&resource=projects/demo-web&phase=PENDING").await.json())
            .len(),
        2
    );
    assert_eq!(names(&list("erin", "?view=inbox").await.json()), Vec::<String>::new());
    let first = list("erin", "?view=all&pageSize=1").await.json();
    let next = first["nextPageToken"].as_str().unwrap();
    let second = list("erin", &format!("?view=all&pageSize=1&pageToken={next}")).await.json();
    assert_eq!(
        (names(&first), names(&second), second.get("nextPageToken")),
        (vec![bobs], vec![alices], None)
    );
}

#[tokio::test]
async fn a_stranger_is_not_told_no_while_the_directory_is_down() {
    let world = World::new().await;
    let id = world.filed().await;
    world.directory.fails.set(true);
    assert_eq!(world.get("alice", &format!("/v1/requests/{id}")).await.status, StatusCode::OK);
    assert_eq!(
        world.get("olga", &format!("/v1/requests/{id}")).await.status,
        StatusCode::SERVICE_UNAVAILABLE
    );
}
