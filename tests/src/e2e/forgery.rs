//! Documents that somebody writes straight into the store.

use std::collections::BTreeMap;

use curfew_core::id::Digest;
use gcloud_sdk::google::firestore::v1::Value as Stored;
use gcloud_sdk::google::firestore::v1::value::ValueType;
use serde_json::{Value, json};

use super::demo::{Demo, SOON, Shape, viewer};
use super::in_both_shapes;
use crate::eventually::eventually;
use crate::store::raw::{Raw, boolean, integer, list, map, text};

in_both_shapes! {
    what_nobody_offers_is_refused_and_not_stored,
    a_request_without_a_true_envelope_is_never_granted,
    a_forged_grant_has_no_effect,
    a_well_formed_grant_with_a_false_mac_has_no_effect,
}

async fn what_nobody_offers_is_refused_and_not_stored(shape: Shape) {
    let demo = Demo::start_as(shape).await;
    let mut body = viewer();
    body["roles"] = json!([{"role": "roles/storage.admin"}]);
    let (status, reply) =
        demo.call("alice", reqwest::Method::POST, "/v1/requests", Some(&body)).await.unwrap();
    assert_eq!(
        (status, &reply["error"]["details"][0]["reason"]),
        (403, &json!("NOT_ELIGIBLE")),
        "{reply}"
    );
    let (status, reply) =
        demo.call("dave", reqwest::Method::POST, "/v1/requests", Some(&viewer())).await.unwrap();
    assert_eq!(status, 403, "{reply}");
    assert_eq!(demo.get("erin", "/v1/requests?view=all").await["requests"], json!([]));
}

async fn a_request_without_a_true_envelope_is_never_granted(shape: Shape) {
    let demo = Demo::start_as(shape).await;
    let before = demo.foreign("projects/demo-web").await;
    let store = demo.store().await;
    let envelope = true_envelope(&demo, &store).await;
    let edited = |from: &str, to: &str| {
        let payload = envelope.payload.replace(from, to);
        assert_ne!(payload, envelope.payload, "{from}");
        Envelope { payload, ..envelope.clone() }
    };
    let forged = [
        ("11111111111111111111111111", None),
        // A true envelope, in the wrong place.
        ("22222222222222222222222222", Some(envelope.clone())),
        ("33333333333333333333333333", Some(edited(&envelope.id, "33333333333333333333333333"))),
        ("44444444444444444444444444", Some(edited("roles/compute.viewer", "roles/compute.admin"))),
        (
            "55555555555555555555555555",
            Some(Envelope { key_id: "writer-1".into(), ..envelope.clone() }),
        ),
        (
            "66666666666666666666666666",
            Some(Envelope { key_id: "nobody".into(), ..envelope.clone() }),
        ),
        (
            "77777777777777777777777777",
            Some(Envelope { signature: String::new(), ..envelope.clone() }),
        ),
    ];
    for (id, envelope) in &forged {
        let spec = envelope.as_ref().map_or_else(|| text("trust me"), Envelope::to_value);
        let status = map([("phase", text("ACTIVE"))]);
        store
            .set(
                &format!("requests/{id}"),
                [("live", boolean(true)), ("spec", spec), ("status", status)],
            )
            .await;
    }
    for (id, _) in &forged {
        let ended = || async { (phase(&store, id).await == "ENDED").then_some(()) };
        eventually(&format!("{id} is INVALID"), SOON, ended).await;
        assert_eq!(demo.bindings("projects/demo-web", id).await, Vec::<Value>::new());
    }
    assert_eq!(demo.foreign("projects/demo-web").await, before);
    let metrics = demo.metrics().await;
    assert!(
        metrics.contains("curfew_forgery_rejections_total{reason=\"BAD_SIGNATURE\"}"),
        "{metrics}"
    );
}

async fn a_forged_grant_has_no_effect(shape: Shape) {
    let demo = Demo::start_as(shape).await;
    // Starts tomorrow: nothing is granted before, whatever the store says.
    let mut body = viewer();
    let tomorrow = now() + chrono::TimeDelta::days(1);
    body["startAt"] = tomorrow.to_rfc3339_opts(chrono::SecondsFormat::Secs, true).into();
    let id = demo.file("alice", &body).await;
    demo.until("alice", &id, "SCHEDULED", SOON).await;
    let store = demo.store().await;
    let path = format!("requests/{id}");
    let mut document = store.get(&path).await.unwrap();
    let zeros = "0".repeat(64);
    let fact = map([
        ("n", integer(2)),
        ("kind", text("GRANT")),
        ("at", text("2026-01-01T00:00:00.000000Z")),
        ("payload", text("{\"bindings\":[]}")),
        ("prev", text(&zeros)),
        ("mac", text(&zeros)),
    ]);
    document.fields.insert("facts".into(), list(vec![fact]));
    document.fields.insert("status".into(), map([("phase", text("ACTIVE"))]));
    store.put(document).await;
    // Facts that this controller remembers are gone from the document: it ends, with nothing granted.
    assert_eq!(demo.until("alice", &id, "ENDED", SOON).await, "TAMPERED");
    assert_eq!(demo.bindings("projects/demo-web", &id).await, Vec::<Value>::new());
    assert!(
        !demo
            .can("user:alice@example.com", "roles/compute.viewer", "projects/demo-web", None)
            .await
    );
}

async fn a_well_formed_grant_with_a_false_mac_has_no_effect(shape: Shape) {
    let demo = Demo::start_as(shape).await;
    let store = demo.store().await;
    let granted = demo.file("alice", &viewer()).await;
    demo.until("alice", &granted, "ACTIVE", SOON).await;
    let mut body = viewer();
    let tomorrow = now() + chrono::TimeDelta::days(1);
    body["startAt"] = tomorrow.to_rfc3339_opts(chrono::SecondsFormat::Secs, true).into();
    let id = demo.file("alice", &body).await;
    demo.until("alice", &id, "SCHEDULED", SOON).await;

    // What the controller itself would write, but for the mac: after the true facts, chained to the last of them.
    let grant = facts(&store, &granted).await.into_iter().find(|fact| fact["kind"] == "GRANT");
    let payload = grant.unwrap()["payload"].as_str().unwrap().replace(&granted, &id);
    let stands = facts(&store, &id).await;
    let last = stands.last().unwrap();
    let covered: BTreeMap<&str, Value> = ["n", "kind", "at", "payload", "prev"]
        .map(|name| (name, last[name].clone()))
        .into_iter()
        .chain([("installation", json!("demo")), ("requestId", json!(id))])
        .collect();
    let input = format!("curfew/v1/fact\n{}", serde_json::to_string(&covered).unwrap());
    let forged = map([
        ("n", integer(i64::try_from(stands.len()).unwrap())),
        ("kind", text("GRANT")),
        ("at", text(last["at"].as_str().unwrap())),
        ("payload", text(&payload)),
        ("prev", text(Digest::of(input.as_bytes()).as_str())),
        ("mac", text(&"0".repeat(64))),
    ]);
    let path = format!("requests/{id}");
    let mut document = store.get(&path).await.unwrap();
    let Some(ValueType::ArrayValue(all)) =
        &mut document.fields.get_mut("facts").unwrap().value_type
    else {
        panic!("no facts")
    };
    all.values.push(forged);
    store.put(document).await;

    let counted = async || {
        let line = "curfew_forgery_rejections_total{reason=\"FORGED_FACTS\"} 1";
        demo.metrics().await.contains(line).then_some(())
    };
    eventually("the forgery is counted", SOON, counted).await;
    demo.end("alice", &id, "withdraw").await;
    assert_eq!(demo.until("alice", &id, "ENDED", SOON).await, "WITHDRAWN");
    assert_eq!(demo.bindings("projects/demo-web", &id).await, Vec::<Value>::new());
    let kinds: Vec<Value> =
        facts(&store, &id).await.iter().map(|fact| fact["kind"].clone()).collect();
    assert!(!kinds.contains(&json!("GRANT")), "the forged fact is cut off: {kinds:?}");
}

/// The stored facts, oldest first.
async fn facts(store: &Raw, id: &str) -> Vec<Value> {
    let document = store.get(&format!("requests/{id}")).await.unwrap();
    let Some(ValueType::ArrayValue(all)) = &document.fields["facts"].value_type else {
        panic!("{document:?}")
    };
    let fact = |value: &Stored| {
        let Some(ValueType::MapValue(fact)) = &value.value_type else { panic!("{value:?}") };
        let plain = |value: &Stored| match &value.value_type {
            Some(ValueType::IntegerValue(number)) => json!(number),
            _ => json!(string(value)),
        };
        fact.fields.iter().map(|(name, value)| (name.clone(), plain(value))).collect()
    };
    all.values.iter().map(fact).collect()
}

#[derive(Clone)]
struct Envelope {
    id: String,
    payload: String,
    key_id: String,
    signature: String,
}

impl Envelope {
    fn to_value(&self) -> Stored {
        map([
            ("payload", text(&self.payload)),
            ("keyId", text(&self.key_id)),
            ("signature", text(&self.signature)),
        ])
    }
}

/// The envelope of a request that alice filed and withdrew.
async fn true_envelope(demo: &Demo, store: &Raw) -> Envelope {
    let id = demo.file("alice", &viewer()).await;
    demo.end("alice", &id, "withdraw").await;
    demo.until("alice", &id, "ENDED", SOON).await;
    let document = store.get(&format!("requests/{id}")).await.unwrap();
    let Some(ValueType::MapValue(spec)) = &document.fields["spec"].value_type else {
        panic!("{document:?}")
    };
    let field = |name: &str| string(&spec.fields[name]);
    Envelope {
        payload: field("payload"),
        key_id: field("keyId"),
        signature: field("signature"),
        id,
    }
}

async fn phase(store: &Raw, id: &str) -> String {
    let document = store.get(&format!("requests/{id}")).await.unwrap();
    let Some(ValueType::MapValue(status)) = &document.fields["status"].value_type else {
        return String::new();
    };
    status.fields.get("phase").map(string).unwrap_or_default()
}

fn string(value: &Stored) -> String {
    let Some(ValueType::StringValue(text)) = &value.value_type else { panic!("{value:?}") };
    text.clone()
}

#[expect(clippy::disallowed_methods, reason = "a real process is asked about real time")]
fn now() -> chrono::DateTime<chrono::Utc> {
    std::time::SystemTime::now().into()
}
