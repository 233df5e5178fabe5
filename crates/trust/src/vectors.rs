//! `proto/vectors/trust.json`: what another language needs to check that it makes and reads the same bytes.
//!
//! The test compares; with `UPDATE_EXPECT=1` it rewrites. ECDSA draws a random number for each signature, so a
//! signature that still verifies is kept.

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use curfew_core::fact::TagSubject;
use curfew_core::id::{Digest, Nonce, RequestId};
use curfew_core::resource::Resource;
use curfew_core::role::permissions_hash;
use curfew_ports::{FactSealer as _, StoredEnvelope, StoredFact};
use curfew_proto::payload::SPEC_TYPE;
use serde_json::{Value, json};

use crate::envelope::signed_bytes;
use crate::keys::{Algorithm, KeyConfig};
use crate::scene::{
    FACTS_KEY, INTAKE, Scene, WRITER, acts, entry_payload, facts, installation, noon, request_id,
    sealer, sign,
};

const ABOUT: &str = "Test vectors of Curfew's signatures, macs and identifiers. Every key here is public. \
    tests/python/check_vectors.py checks them without any of Curfew's code.";

#[test]
fn the_vectors_are_what_the_code_makes() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../proto/vectors/trust.json");
    let stored: Value = std::fs::read_to_string(&path)
        .map(|text| serde_json::from_str(&text).unwrap())
        .unwrap_or_default();
    let made = vectors(&stored);
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, format!("{made:#}\n")).unwrap();
    } else {
        assert!(
            stored == made,
            "proto/vectors/trust.json differs: run this test with UPDATE_EXPECT=1 and look at the change"
        );
    }
}

fn vectors(kept: &Value) -> Value {
    let mut scene = Scene::new();
    let spec = scene.stored.spec.clone().unwrap();
    let spec = keep_signature(&scene, kept, SPEC_TYPE, spec);
    scene.stored.spec = Some(spec.clone());
    let mut envelopes = vec![envelope(SPEC_TYPE, &spec)];
    for key_id in [INTAKE, WRITER] {
        for (n, act) in (1..).zip(acts()) {
            let (nonce, kind) = (Nonce::from_bits([n; 16]), act.kind().as_str());
            let signed = sign(key_id, kind, &entry_payload(&nonce, &act));
            envelopes.push(envelope(kind, &keep_signature(&scene, kept, kind, signed)));
        }
    }
    for fact in facts() {
        scene.record(noon() + TimeDelta::seconds(30), &[fact]);
    }
    json!({
        "about": ABOUT,
        "installation": installation().as_str(),
        "requestId": request_id().as_str(),
        "keys": scene.keys.iter().map(key).collect::<Vec<_>>(),
        "factsKey": URL_SAFE_NO_PAD.encode(FACTS_KEY),
        "envelopes": envelopes,
        "forgeries": forgeries(&spec),
        "chain": chain(&scene),
        "tags": tags(),
        "ledger": ledger(),
        "requestIds": request_ids(),
        "resourceIds": resource_ids(),
        "permissionsHashes": permissions_hashes(),
    })
}

/// The signature of the file, if it is one over the same bytes.
fn keep_signature(scene: &Scene, kept: &Value, kind: &str, made: StoredEnvelope) -> StoredEnvelope {
    let key = scene.keys.iter().find(|key| key.id == made.key_id).unwrap();
    let same = |old: &&Value| {
        old["type"] == kind && old["keyId"] == made.key_id && old["payload"] == made.payload
    };
    let old = kept["envelopes"].as_array().and_then(|all| all.iter().find(same));
    let signature = old.and_then(|old| old["signature"].as_str()).unwrap_or_default();
    let bytes = URL_SAFE_NO_PAD.decode(signature).unwrap_or_default();
    if key.public_key.verifies(&signed_bytes(kind, &made.payload), &bytes) {
        StoredEnvelope { signature: signature.into(), ..made }
    } else {
        made
    }
}

fn key(key: &KeyConfig) -> Value {
    let algorithm = match key.public_key.algorithm() {
        Algorithm::P256 => "P-256",
        Algorithm::Ed25519 => "Ed25519",
    };
    json!({"id": key.id, "algorithm": algorithm, "publicKey": key.public_key.to_spki_pem()})
}

fn envelope(kind: &str, envelope: &StoredEnvelope) -> Value {
    let digest = Digest::of(envelope.payload.as_bytes());
    json!({
        "type": kind, "keyId": envelope.key_id, "payload": envelope.payload, "signature": envelope.signature,
        "digest": digest.as_str(),
    })
}

/// Envelopes that must not verify.
fn forgeries(spec: &StoredEnvelope) -> Value {
    let forged = |why: &str, kind: &str, envelope: StoredEnvelope| {
        json!({
            "why": why, "type": kind, "keyId": envelope.key_id, "payload": envelope.payload, "signature": envelope.signature,
        })
    };
    let edited = spec.payload.replace("\"durationSeconds\":3600", "\"durationSeconds\":7200");
    json!([
        forged(
            "the payload was edited",
            SPEC_TYPE,
            StoredEnvelope { payload: edited, ..spec.clone() }
        ),
        forged("it was signed as another type", "DECISION", spec.clone()),
        forged(
            "another key signed",
            SPEC_TYPE,
            StoredEnvelope { key_id: WRITER.into(), ..spec.clone() }
        ),
    ])
}

fn chain(scene: &Scene) -> Value {
    let fact = |fact: &StoredFact| {
        json!({
            "n": fact.n, "kind": fact.kind, "at": fact.at, "payload": fact.payload, "prev": fact.prev, "mac": fact.mac,
        })
    };
    scene.stored.facts.iter().map(fact).collect()
}

fn tags() -> Value {
    let (installation, request) = (installation(), request_id());
    let cases = [
        (
            "projects/demo-web",
            "roles/compute.viewer",
            "user:alice@example.com",
            "(request.time < timestamp(\"2026-11-24T13:00:00Z\"))",
        ),
        (
            "folders/200000000001",
            "organizations/1/roles/a.b_C",
            "serviceAccount:d@demo-web.iam.gserviceaccount.com",
            "",
        ),
        (
            "organizations/1",
            "roles/x",
            "user:a@b.example",
            "resource.name == \"\u{e4}\u{1f4bd}\\\"\u{7f}\n\"",
        ),
    ];
    let tag = |(resource, role, member, expression): (&str, &str, &str, &str)| {
        let parsed = Resource::parse(resource).unwrap();
        let (installation, request, resource) = (&installation, &request, &parsed);
        let tag =
            sealer().tag(&TagSubject { installation, request, resource, role, member, expression });
        json!({"resource": resource.to_string(), "role": role, "member": member, "expression": expression, "tag": tag.as_str()})
    };
    cases.into_iter().map(tag).collect()
}

fn ledger() -> Value {
    let entry =
        sealer().seal_ledger([0x33; 16], "FORGED_FACTS", noon(), "{\"requestId\":\"x\"}".into());
    json!([{"id": entry.id, "kind": entry.kind, "at": entry.at, "payload": entry.payload, "mac": entry.mac}])
}

fn request_ids() -> Value {
    let cases = [
        ("accounts.google.com:117", "deploy-42"),
        ("accounts.google.com:117", ""),
        ("accounts.google.com:118", "\u{e4}\n\u{1f4bd}"),
    ];
    let id = |(subject, key): (&str, &str)| json!({"subject": subject, "idempotencyKey": key, "id": RequestId::idempotent(subject, key).as_str()});
    cases.into_iter().map(id).collect()
}

fn resource_ids() -> Value {
    let cases = [
        "projects/demo-web",
        "projects/example.com:demo-web",
        "folders/200000000001",
        "organizations/100000000001",
    ];
    let id =
        |name: &str| json!({"resource": name, "id": Resource::parse(name).unwrap().document_id()});
    cases.into_iter().map(id).collect()
}

fn permissions_hashes() -> Value {
    let cases: [&[&str]; 3] = [
        &[],
        &["compute.instances.get"],
        &["storage.buckets.list", "compute.instances.get", "iam.roles.get"],
    ];
    let hash = |permissions: &[&str]| {
        let set = permissions.iter().map(ToString::to_string).collect();
        json!({"permissions": permissions, "hash": permissions_hash(&set).as_str()})
    };
    cases.into_iter().map(hash).collect()
}
