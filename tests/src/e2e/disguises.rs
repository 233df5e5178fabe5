//! Self-approval under every name, and where each refused decision is put down.

use gcloud_sdk::google::firestore::v1::Value as Stored;
use gcloud_sdk::google::firestore::v1::value::ValueType;
use reqwest::Method;
use serde_json::{Value, json};

use super::approval::Decision;
use super::demo::{Demo, SOON, Shape};
use super::in_both_shapes;
use super::seed::Seed;
use crate::eventually::eventually;

in_both_shapes! {
    nobody_approves_their_own_request_in_any_disguise,
}

const PROD: &str = "projects/demo-prod";
const ROLE: &str = "roles/pubsub.subscriber";
const ALICES_SUBJECT: &str = "accounts.google.com:101000000000000000001";
const ZOES_SUBJECT: &str = "accounts.google.com:101000000000000000007";

async fn nobody_approves_their_own_request_in_any_disguise(shape: Shape) {
    // alice is a peer by a group in a group, by another group, and by name; and so is zoe, by a consumer account.
    let seed = Seed::new()
        .with("people", "{email: zo.e@gmail.com, name: Zoe, id: '101000000000000000007'}")
        .with("people", "{email: zoe@googlemail.com, name: Zoe, id: '101000000000000000008'}")
        .with("people", "{email: alice+approver@example.com, name: Alice, id: '101000000000000000009'}")
        .with("groups", "{email: all@example.com, name: All, id: 03all00000005, members: [devs@example.com, alice+approver@example.com, zo.e@gmail.com, zoe@googlemail.com]}")
        .offering(PROD, ROLE, "group:all@example.com", "multiPartyApprovalConstraint");
    let demo = Demo::start_seeded(shape, Some(seed.text())).await;
    by_the_api(&demo).await;

    let store = demo.store().await;
    for (who, disguises) in [
        (
            "alice",
            [
                ("alice@example.com", ""),
                ("alice@example.com", "chat:somebody-else"),
                ("alice+approver@example.com", ""),
                // An address that is a peer's, and the subject of the requester.
                ("bob@example.com", ALICES_SUBJECT),
            ],
        ),
        (
            "zo.e@gmail.com",
            [
                ("zo.e@gmail.com", ""),
                ("zoe@googlemail.com", ""),
                ("z.o.e@gmail.com", ""),
                ("bob@example.com", ZOES_SUBJECT),
            ],
        ),
    ] {
        let (id, digest) = waiting(&demo, who).await;
        for (email, subject) in disguises {
            let decision = Decision { email, subject, ..Decision::new(&id, &digest) };
            decision.write(&demo, &store).await;
            let key = decision.key.to_string();
            let why = eventually(&format!("{email} {subject} is looked at"), SOON, async || {
                looked_at(&demo, who, &id, &key).await
            })
            .await;
            assert_eq!(why, "SELF_APPROVAL", "{email} {subject} for {who}");
            let stored = store.get(&format!("requests/{id}")).await.unwrap();
            assert!(put_down(&stored.fields["facts"], &key, &why));
        }
        assert_eq!(demo.stands(who, &id).await.0, "AWAITING_APPROVAL");
        assert_eq!(demo.bindings(PROD, &id).await, Vec::<Value>::new());
        // A true one still counts.
        Decision::new(&id, &digest).write(&demo, &store).await;
        demo.until(who, &id, "ACTIVE", SOON).await;
    }
}

async fn by_the_api(demo: &Demo) {
    let (id, digest) = waiting(demo, "alice").await;
    for who in ["alice", "ALICE@Example.com", "alice+approver@example.com"] {
        let path = format!("/v1/requests/{id}:approve");
        let body = json!({"digest": digest});
        let (status, reply) = demo.call(who, Method::POST, &path, Some(&body)).await.unwrap();
        let reason = reply["error"]["details"][0]["reason"].as_str().unwrap_or_default();
        assert_eq!((status, reason), (403, "SELF_APPROVAL"), "{who}: {reply}");
    }
    let chosen = json!({"resource": PROD, "roles": [{"role": ROLE}], "duration": "1h",
        "justification": "BUG-1", "chosenApprovers": ["alice+approver@example.com"]});
    let (status, reply) =
        demo.call("alice", Method::POST, "/v1/requests", Some(&chosen)).await.unwrap();
    let reason = reply["error"]["details"][0]["reason"].as_str().unwrap_or_default();
    assert_eq!((status, reason), (400, "APPROVERS_NOT_ALLOWED"), "{reply}");
    demo.end("alice", &id, "withdraw").await;
    demo.until("alice", &id, "ENDED", SOON).await;
}

async fn waiting(demo: &Demo, who: &str) -> (String, String) {
    let body = json!({"resource": PROD, "roles": [{"role": ROLE}], "duration": "1h", "justification": "BUG-1"});
    let id = demo.file(who, &body).await;
    demo.until(who, &id, "AWAITING_APPROVAL", SOON).await;
    let digest = demo.get(who, &format!("/v1/requests/{id}")).await["digest"].clone();
    (id, digest.as_str().unwrap().to_owned())
}

async fn looked_at(demo: &Demo, who: &str, id: &str, key: &str) -> Option<String> {
    let request = demo.get(who, &format!("/v1/requests/{id}")).await;
    let entry = request["entries"].as_array()?.iter().find(|entry| entry["nonce"] == *key)?.clone();
    entry["why"].as_str().filter(|why| *why != "NOT_SEEN_YET").map(str::to_owned)
}

/// Whether one of the controller's own facts says of the entry that it did not count, and why.
fn put_down(facts: &Stored, key: &str, why: &str) -> bool {
    let Some(ValueType::ArrayValue(facts)) = &facts.value_type else { panic!("{facts:?}") };
    facts.values.iter().any(|fact| {
        let Some(ValueType::MapValue(fact)) = &fact.value_type else { panic!("{fact:?}") };
        let text = |name: &str| match &fact.fields[name].value_type {
            Some(ValueType::StringValue(text)) => text.clone(),
            other => panic!("{name}: {other:?}"),
        };
        let payload = text("payload");
        text("kind") == "SEEN" && payload.contains(key) && payload.contains(why)
    })
}
