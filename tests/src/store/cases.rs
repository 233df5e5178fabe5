//! Requests, resources and the ledger: what is written stands, and nothing else changes.

use std::collections::BTreeSet;

use chrono::DateTime;
use curfew_core::id::{ReplicaId, RequestId, WriteId};
use curfew_core::resource::Resource;
use curfew_firestore::FirestoreStore;
use curfew_ports::{
    Heartbeat, Intent, LedgerEntry, ListQuery, RequestStore, ResourceRecord, RetryClass,
    StoredFact, StoredRequest, Version,
};
use futures_util::future::join_all;
use gcloud_sdk::google::firestore::v1::value::ValueType;
use gcloud_sdk::google::firestore::v1::{Document, Value};

use super::backend::Backend;
use super::raw::{boolean, integer, list, map, text, time};
use super::samples::{Sample, assert_later, at, entry, fact, observed};

pub(super) async fn a_filed_request_is_read_back_as_it_was_written(backend: Backend) {
    let store = backend.store().await;
    let sample = Sample::new();
    let filed = store.create(&sample.id, &sample.spec()).await.unwrap();
    let found = read(&store, &sample).await;
    assert_eq!(found.spec, Some(sample.spec()));
    assert_eq!((found.version, found.created_at), (filed.version, filed.at));
    assert!(found.live && found.entries.is_empty() && found.facts.is_empty());
    assert_eq!(found.status, None);
    let document = backend.raw().await.get(&sample.path()).await.unwrap();
    assert_eq!(value(&document, &["specView", "requester", "subject"]), text(&sample.subject()));
    assert_eq!(value(&document, &["specView", "duration"]), integer(3_600));
    let requested_at = value(&document, &["specView", "requestedAt"]).value_type;
    let Some(ValueType::TimestampValue(requested_at)) = requested_at else { panic!("no time") };
    assert_eq!(requested_at.nanos, 123_456_000);
    assert_eq!(value(&document, &["live"]), boolean(true));
}

pub(super) async fn filing_twice_changes_nothing(backend: Backend) {
    let store = backend.store().await;
    let sample = Sample::new();
    store.create(&sample.id, &sample.spec()).await.unwrap();
    let before = read(&store, &sample).await;
    let other = Sample { person: "bob", ..sample.clone() };
    for spec in [sample.spec(), other.spec()] {
        let error = store.create(&sample.id, &spec).await.unwrap_err();
        assert_eq!(error.class, RetryClass::AlreadyExists, "{}", error.chain());
    }
    assert_eq!(read(&store, &sample).await, before);
}

pub(super) async fn a_spec_that_cannot_be_read_or_is_another_requests_is_not_filed(
    backend: Backend,
) {
    let store = backend.store().await;
    let (sample, other) = (Sample::new(), Sample::new());
    let mut malformed = sample.spec();
    malformed.payload.push(' ');
    for spec in [malformed, other.spec()] {
        let error = store.create(&sample.id, &spec).await.unwrap_err();
        assert_eq!(error.class, RetryClass::Invalid, "{}", error.chain());
    }
    assert_eq!(store.get(std::slice::from_ref(&sample.id)).await.unwrap().len(), 0);
}

pub(super) async fn an_act_on_no_request_is_not_found(backend: Backend) {
    let store = backend.store().await;
    let sample = Sample::new();
    let (nonce, act) = entry(1);
    let error = store.add_entry(&sample.id, &nonce, &act).await.unwrap_err();
    assert_eq!(error.class, RetryClass::NotFound, "{}", error.chain());
    assert_eq!(backend.raw().await.get(&sample.path()).await, None);
}

pub(super) async fn fifty_writers_lose_no_entry(backend: Backend) {
    let store = backend.store().await;
    let sample = Sample::new();
    store.create(&sample.id, &sample.spec()).await.unwrap();
    let writers = (0..50).map(|number| {
        let (store, id) = (store.clone(), sample.id.clone());
        tokio::spawn(async move {
            let (nonce, act) = entry(number);
            store.add_entry(&id, &nonce, &act).await.unwrap().version
        })
    });
    let versions: BTreeSet<Version> =
        join_all(writers).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(versions.len(), 50, "every write is a version of its own");
    let found = read(&store, &sample).await;
    assert_eq!(found.entries.len(), 50);
    for number in 0..50 {
        let (nonce, act) = entry(number);
        assert_eq!(found.entries.get(nonce.as_str()), Some(&act));
    }
    assert_eq!(Some(&found.version), versions.last());
    assert_eq!(found.spec, Some(sample.spec()));
}

pub(super) async fn adding_an_entry_again_is_no_new_version(backend: Backend) {
    let store = backend.store().await;
    let sample = Sample::new();
    store.create(&sample.id, &sample.spec()).await.unwrap();
    let (nonce, act) = entry(1);
    let first = store.add_entry(&sample.id, &nonce, &act).await.unwrap();
    let again = store.add_entry(&sample.id, &nonce, &act).await.unwrap();
    assert_eq!(again.version, first.version);
    assert_eq!(read(&store, &sample).await.version, first.version);
}

pub(super) async fn a_commit_replaces_the_controllers_fields_and_nothing_else(backend: Backend) {
    let store = backend.store().await;
    let sample = Sample::new();
    let filed = store.create(&sample.id, &sample.spec()).await.unwrap();
    let (nonce, act) = entry(1);
    let acted = store.add_entry(&sample.id, &nonce, &act).await.unwrap();
    assert_later(filed, acted);

    let ending = sample.ending(acted.version);
    let ended = store.commit(&ending).await.unwrap();
    assert_later(acted, ended);
    let found = read(&store, &sample).await;
    assert_eq!(found.facts, ending.facts);
    assert_eq!(found.status.as_ref(), Some(&ending.status));
    assert_eq!((found.live, found.version), (false, ended.version));
    assert_eq!(found.spec, Some(sample.spec()));
    assert_eq!(found.entries.get(nonce.as_str()), Some(&act));
    let raw = backend.raw().await;
    assert!(raw.get(&sample.path()).await.unwrap().fields.contains_key("purgeAt"));

    let open = sample.commit(ended.version);
    store.commit(&open).await.unwrap();
    let found = read(&store, &sample).await;
    assert_eq!((found.live, found.facts), (true, open.facts));
    let document = raw.get(&sample.path()).await.unwrap();
    assert!(!document.fields.contains_key("purgeAt"), "what is not given is removed");
    assert!(document.fields.contains_key("specView"), "what is not the controller's stays");
}

pub(super) async fn a_commit_on_another_version_is_a_conflict(backend: Backend) {
    let store = backend.store().await;
    let sample = Sample::new();
    let absent = store.commit(&sample.commit(Version(1_790_000_000_000_000))).await.unwrap_err();
    assert_eq!(absent.class, RetryClass::Conflict, "{}", absent.chain());
    let filed = store.create(&sample.id, &sample.spec()).await.unwrap();
    store.commit(&sample.commit(filed.version)).await.unwrap();
    let before = read(&store, &sample).await;
    let stale = store.commit(&sample.ending(filed.version)).await.unwrap_err();
    assert_eq!(stale.class, RetryClass::Conflict, "{}", stale.chain());
    assert_eq!(read(&store, &sample).await, before);
}

pub(super) async fn an_entry_between_read_and_commit_makes_a_conflict(backend: Backend) {
    let store = backend.store().await;
    let sample = Sample::new();
    store.create(&sample.id, &sample.spec()).await.unwrap();
    let judged = read(&store, &sample).await;
    let (nonce, act) = entry(1);
    let acted = store.add_entry(&sample.id, &nonce, &act).await.unwrap();
    let error = store.commit(&sample.commit(judged.version)).await.unwrap_err();
    assert_eq!(error.class, RetryClass::Conflict, "{}", error.chain());
    let mut commit = sample.commit(acted.version);
    commit.status.observed_entries = vec![observed(&nonce)];
    store.commit(&commit).await.unwrap();
    assert_eq!(read(&store, &sample).await.status, Some(commit.status));
}

pub(super) async fn absent_requests_are_absent_from_many(backend: Backend) {
    let store = backend.store().await;
    let samples: Vec<Sample> = (0..120).map(|_| Sample::new()).collect();
    let filing = samples.iter().map(|sample| {
        let store = &store;
        async move { store.create(&sample.id, &sample.spec()).await.unwrap() }
    });
    join_all(filing).await;
    let absent = RequestId::from_bits(rand::random());
    let ids: Vec<RequestId> =
        samples.iter().map(|sample| sample.id.clone()).chain([absent.clone()]).collect();
    let found = store.get(&ids).await.unwrap();
    assert_eq!(found.len(), 120);
    assert!(!found.contains_key(&absent));
    assert!(samples.iter().all(|sample| found[&sample.id].spec == Some(sample.spec())));
    assert!(store.get(&[]).await.unwrap().is_empty());
}

pub(super) async fn intents_of_two_writers_stand_side_by_side(backend: Backend) {
    let (one, other) = (backend.store().await, backend.store().await);
    let resource = Resource::parse("projects/demo-web").unwrap();
    let [first, second] = [1, 2].map(|number| WriteId::from_bits([number; 16]));
    let intent = |etag: &str| Intent {
        requests: vec![RequestId::from_bits([7; 16])],
        etag: etag.into(),
        at: at(0),
    };
    one.open_intent(&resource, &first, &intent("a")).await.unwrap();
    other.open_intent(&resource, &second, &intent("b")).await.unwrap();
    let both = [(first.clone(), intent("a")), (second.clone(), intent("b"))];
    let record = |intents| ResourceRecord { resource: resource.clone(), intents };
    assert_eq!(one.resources().await.unwrap(), [record(both.into())]);

    one.close_intents(&resource, std::slice::from_ref(&first)).await.unwrap();
    one.close_intents(&resource, std::slice::from_ref(&first)).await.unwrap();
    other.close_intents(&resource, &[]).await.unwrap();
    assert_eq!(other.resources().await.unwrap(), [record([(second.clone(), intent("b"))].into())]);
    other.close_intents(&resource, &[second, first]).await.unwrap();
    assert_eq!(one.resources().await.unwrap(), [record([].into())], "the resource stays known");
}

pub(super) async fn a_ledger_entry_stands_as_it_was_sealed(backend: Backend) {
    let store = backend.store().await;
    let entry = LedgerEntry {
        id: RequestId::from_bits([3; 16]).to_string(),
        kind: "FORGED_FACTS".into(),
        at: "2026-11-24T05:46:34.000000Z".into(),
        payload: r#"{"a":1}"#.into(),
        mac: "00".into(),
    };
    store.append_ledger(&entry).await.unwrap();
    store.append_ledger(&entry).await.unwrap();
    let document = backend.raw().await.get(&format!("ledger/{}", entry.id)).await.unwrap();
    let expected = [
        ("at", &entry.at),
        ("kind", &entry.kind),
        ("mac", &entry.mac),
        ("payload", &entry.payload),
    ];
    assert_eq!(
        document.fields,
        expected.map(|(name, value)| (name.to_owned(), text(value))).into()
    );
    let elsewhere = LedgerEntry { id: "../requests/x".into(), ..entry };
    let error = store.append_ledger(&elsewhere).await.unwrap_err();
    assert_eq!(error.class, RetryClass::Invalid);
}

pub(super) async fn a_heartbeat_tells_the_stores_time_and_can_be_taken_back(backend: Backend) {
    let store = backend.store().await;
    let replica = ReplicaId::from_bits([5; 16]);
    let whole = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
    let beat =
        |seconds| Heartbeat { replica: replica.clone(), started_at: whole(0), at: whole(seconds) };
    let first = store.beat(&beat(0)).await.unwrap();
    let second = store.beat(&beat(5)).await.unwrap();
    assert!(second.at > first.at, "each beat is a write of its own");
    let path = format!("replicas/{replica}");
    let document = backend.raw().await.get(&path).await.unwrap();
    assert_eq!(document.fields, [("startedAt", time(0)), ("beatAt", time(5))].map(owned).into());
    store.retire(&replica).await.unwrap();
    store.retire(&replica).await.unwrap();
    assert!(backend.raw().await.get(&path).await.is_none());
}

fn owned((name, value): (&str, Value)) -> (String, Value) {
    (name.to_owned(), value)
}

pub(super) async fn hostile_documents_spoil_nothing_beside_them(backend: Backend) {
    let (store, raw) = (backend.store().await, backend.raw().await);
    let good = Sample::new();
    store.create(&good.id, &good.spec()).await.unwrap();
    let live = || ("live", boolean(true));
    let [wrong, partly, deep] = [Sample::new(), Sample::new(), Sample::new()];
    raw.set("requests/hostile", [live(), ("spec", text("x"))]).await;
    raw.set("requests/HOSTILE0000000000000000000", [live()]).await;
    let fields = [
        live(),
        ("spec", integer(1)),
        ("specView", list(vec![])),
        ("entries", list(vec![text("x")])),
        ("facts", map([("a", text("b"))])),
        ("status", text("ENDED")),
        ("purgeAt", boolean(false)),
        ("unknown", time(0)),
    ];
    raw.set(&wrong.path(), fields).await;
    let fields = [
        live(),
        ("spec", map([("payload", integer(1)), ("keyId", text("k"))])),
        ("entries", map([("not a `nonce`", text("x")), ("b", map([("payload", text("p"))]))])),
        ("facts", list(vec![text("x"), map([("n", integer(7)), ("mac", text("m"))])])),
        ("status", map([("phase", text("NO_SUCH_PHASE"))])),
    ];
    raw.set(&partly.path(), fields).await;
    let nested = (0..15).fold(text("end"), |inner, _| map([("a", inner)]));
    raw.set(&deep.path(), [live(), ("facts", nested)]).await;

    let mut found: Vec<RequestId> =
        store.live().await.unwrap().into_iter().map(|request| request.id).collect();
    found.sort();
    let mut expected = [&good, &wrong, &partly, &deep].map(|sample| sample.id.clone());
    expected.sort();
    assert_eq!(found, expected);

    let nothing = read(&store, &wrong).await;
    assert_eq!((nothing.spec, nothing.entries.len(), nothing.facts.len()), (None, 0, 0));
    let some = read(&store, &partly).await;
    assert_eq!(some.spec.unwrap().payload, "", "what is malformed is empty and does not verify");
    assert_eq!(some.entries["b"].payload, "p");
    assert_eq!(some.entries["not a `nonce`"].payload, "");
    assert_eq!((some.facts.len(), some.facts[1].n, some.facts[1].mac.as_str()), (2, 7, "m"));
    assert_eq!(some.facts[0], StoredFact::default(), "a malformed fact keeps its place");
    assert_eq!(some.status, None);
    assert_eq!(read(&store, &good).await.spec, Some(good.spec()));
}

pub(super) async fn a_document_of_a_mebibyte_is_received_and_read(backend: Backend) {
    let (store, raw) = (backend.store().await, backend.raw().await);
    let [long, many] = [Sample::new(), Sample::new()];
    let payload = text(&"x".repeat(1_000_000));
    let fields = [("live", boolean(true)), ("spec", map([("payload", payload)]))];
    raw.set(&long.path(), fields).await;
    // A byte each in Firestore's own count, and four on the wire: more than gRPC clients take unasked.
    let bits = list(vec![boolean(true); 1_040_000]);
    raw.set(&many.path(), [("live", boolean(true)), ("facts", bits)]).await;

    assert_eq!(store.live().await.unwrap().len(), 2);
    assert_eq!(read(&store, &long).await.spec.unwrap().payload.len(), 1_000_000);
    assert!(read(&store, &many).await.facts.is_empty());
    let query = ListQuery { page_size: 10, ..Default::default() };
    assert!(store.list(&query).await.unwrap().requests.is_empty());
    let judged = read(&store, &many).await;
    let committed = store.commit(&many.ending(judged.version)).await.unwrap();
    let ended = read(&store, &many).await;
    assert_eq!((ended.version, ended.facts.first()), (committed.version, Some(&fact(0, "SEEN"))));
}

pub(super) async fn read(store: &FirestoreStore, sample: &Sample) -> StoredRequest {
    let mut found = store.get(std::slice::from_ref(&sample.id)).await.unwrap();
    found.remove(&sample.id).unwrap()
}

fn value(document: &Document, path: &[&str]) -> Value {
    let mut fields = document.fields.clone();
    for step in &path[..path.len() - 1] {
        let Some(ValueType::MapValue(map)) = fields.remove(*step).unwrap().value_type else {
            panic!("{step} is no map");
        };
        fields = map.fields;
    }
    fields.remove(path[path.len() - 1]).unwrap()
}
