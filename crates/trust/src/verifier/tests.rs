//! Documents that a writer of the store could make: each forged part is refused for its reason.

use std::collections::BTreeSet;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use curfew_core::entry::{Act, Verdict};
use curfew_core::fact::Counted;
use curfew_core::id::Digest;
use curfew_proto::payload::PAYLOAD_BYTES_MAX;

use super::*;
use crate::scene::{
    INTAKE, INTAKE_PKCS8, Scene, WRITER, acts, entry_payload, facts, installation, noon,
    request_id, sign, spec, spec_payload,
};

type Forge = fn(&mut Scene);

#[test]
fn a_genuine_request_verifies() {
    let mut scene = Scene::new();
    let nonces: Vec<Nonce> = (1..).zip(acts()).map(|(n, act)| scene.act(INTAKE, n, &act)).collect();
    scene.record(noon() + TimeDelta::seconds(9), &facts());
    let request = scene.verify();
    let verified = request.spec.unwrap();
    assert_eq!(*verified, Spec { digest: Digest::of(spec_payload(&spec()).as_bytes()), ..spec() });
    for (nonce, act) in nonces.iter().zip(acts()) {
        let entry = request.entries[nonce].as_ref().unwrap();
        assert_eq!((&entry.act, entry.level, &entry.nonce), (&act, Level::Session, nonce));
        assert_eq!(entry.digest, Digest::of(entry_payload(nonce, &act).as_bytes()));
    }
    assert_eq!((request.facts.len(), request.facts.rejected(), request.rolled_back), (8, 0, false));
}

/// Name, forgery, refusal.
const FORGED_SPECS: [(&str, Forge, Rejection); 32] = [
    (
        "too long to be verified at all",
        |s| envelope(s).payload.push_str(&" ".repeat(PAYLOAD_BYTES_MAX)),
        Rejection::Malformed,
    ),
    ("none", |s| s.stored.spec = None, Rejection::Malformed),
    ("empty", |s| s.stored.spec = Some(StoredEnvelope::default()), Rejection::UnknownKey),
    ("unknown key", |s| envelope(s).key_id = "intake-2".into(), Rejection::UnknownKey),
    ("key id in another case", |s| envelope(s).key_id = "Intake-1".into(), Rejection::UnknownKey),
    (
        "edited",
        |s| envelope(s).payload = envelope(s).payload.replace("3600", "9999"),
        Rejection::BadSignature,
    ),
    ("a space behind", |s| envelope(s).payload.push(' '), Rejection::BadSignature),
    ("no signature", |s| envelope(s).signature.clear(), Rejection::BadSignature),
    ("a signature with padding", |s| envelope(s).signature.push_str("=="), Rejection::BadSignature),
    ("a signature in DER", |s| envelope(s).signature = der_signature(s), Rejection::BadSignature),
    (
        "a signature of zeros",
        |s| envelope(s).signature = URL_SAFE_NO_PAD.encode([0; 64]),
        Rejection::BadSignature,
    ),
    (
        "another key's signature",
        |s| envelope(s).signature = sign(WRITER, "spec", &spec_payload(&spec())).signature,
        Rejection::BadSignature,
    ),
    (
        "a P-256 signature under an Ed25519 key",
        |s| envelope(s).key_id = WRITER.into(),
        Rejection::BadSignature,
    ),
    (
        "signed as another type",
        |s| *envelope(s) = sign(INTAKE, "DECISION", &spec_payload(&spec())),
        Rejection::BadSignature,
    ),
    (
        "signed without a type",
        |s| *envelope(s) = sign(INTAKE, "", &spec_payload(&spec())),
        Rejection::BadSignature,
    ),
    (
        "key not yet valid",
        |s| s.key(INTAKE).from = noon() + TimeDelta::microseconds(1),
        Rejection::KeyOutOfWindow,
    ),
    ("key no longer valid", |s| s.key(INTAKE).until = noon(), Rejection::KeyOutOfWindow),
    (
        "key distrusted by then",
        |s| s.key(INTAKE).distrusted_from = Some(noon()),
        Rejection::KeyOutOfWindow,
    ),
    (
        "key may not file",
        |s| s.key(INTAKE).verbs = [Verb::Decide, Verb::Direct, Verb::Control].into(),
        Rejection::VerbNotAllowed,
    ),
    (
        "another installation",
        |s| s.respec(|p| p.replace("\"installation\":\"demo\"", "\"installation\":\"prod\"")),
        Rejection::OtherInstallation,
    ),
    (
        "copied under another id",
        |s| s.stored.id = RequestId::from_bits([0x12; 16]),
        Rejection::OtherRequest,
    ),
    ("an entry in its place", |s| *envelope(s) = an_entry(), Rejection::OtherType),
    (
        "a newer schema",
        |s| s.respec(|p| p.replace("\"schema\":1", "\"schema\":2")),
        Rejection::UnsupportedVersion,
    ),
    (
        "a newer schema with more in it",
        |s| {
            s.respec(|p| p.replace("\"schema\":1", "\"schema\":2,\"steps\":[{\"type\":\"x\"}]"));
        },
        Rejection::UnsupportedVersion,
    ),
    ("an unknown field", |s| s.respec(|p| p.replacen('{', "{\"a\":1,", 1)), Rejection::Malformed),
    (
        "a field twice",
        |s| s.respec(|p| p.replacen('{', "{\"breakGlass\":true,", 1)),
        Rejection::Malformed,
    ),
    (
        "a type twice",
        |s| s.respec(|p| p.replacen('{', "{\"type\":\"spec\",", 1)),
        Rejection::Malformed,
    ),
    ("not canonical", |s| s.respec(|p| p.replacen(':', ": ", 1)), Rejection::Malformed),
    ("a fraction", |s| s.respec(|p| p.replace("3600", "3600.5")), Rejection::Malformed),
    (
        "too long",
        |s| s.respec(|p| p.replacen("BUG-1", &"x".repeat(PAYLOAD_BYTES_MAX), 1)),
        Rejection::Malformed,
    ),
    (
        "asked long before",
        |s| s.stored.created_at += TimeDelta::microseconds(60_000_001),
        Rejection::RequestedAtImplausible,
    ),
    (
        "asked long after",
        |s| s.stored.created_at -= TimeDelta::microseconds(60_000_001),
        Rejection::RequestedAtImplausible,
    ),
];

#[test]
fn forged_specs_are_refused() {
    for (name, forge, expected) in FORGED_SPECS {
        let mut scene = Scene::new();
        forge(&mut scene);
        assert_eq!(scene.verify().spec, Err(expected), "{name}");
    }
}

/// Name, forgery, refusal.
const FORGED_ENTRIES: [(&str, Forge, Rejection); 22] = [
    ("empty", |s| *entry(s) = StoredEnvelope::default(), Rejection::UnknownKey),
    ("unknown key", |s| entry(s).key_id = "chat-2".into(), Rejection::UnknownKey),
    (
        "edited",
        |s| entry(s).payload = entry(s).payload.replace("APPROVE", "DENY"),
        Rejection::BadSignature,
    ),
    ("the key of somebody else", |s| entry(s).key_id = WRITER.into(), Rejection::BadSignature),
    (
        "signed as another type",
        |s| *entry(s) = sign(INTAKE, "WITHDRAW", &entry(s).payload.clone()),
        Rejection::BadSignature,
    ),
    (
        "signed as a spec",
        |s| *entry(s) = sign(INTAKE, "spec", &entry(s).payload.clone()),
        Rejection::BadSignature,
    ),
    (
        "unsigned and newer",
        |s| entry(s).payload = entry(s).payload.replace("\"schema\":1", "\"schema\":2"),
        Rejection::BadSignature,
    ),
    ("a spec in its place", |s| *entry(s) = s.stored.spec.clone().unwrap(), Rejection::OtherType),
    (
        "an unknown type",
        |s| resign(s, "NUDGE", |p| p.replace("DECISION", "NUDGE")),
        Rejection::OtherType,
    ),
    (
        "a newer type",
        |s| {
            resign(s, "NUDGE", |p| {
                p.replace("DECISION", "NUDGE").replace("\"schema\":1", "\"schema\":2")
            });
        },
        Rejection::UnsupportedVersion,
    ),
    (
        "a type with a line feed",
        |s| resign(s, "DECISION\n", |p| p.replace("DECISION", "DECISION\\n")),
        Rejection::Malformed,
    ),
    ("no JSON", |s| resign(s, "DECISION", |_| "DECISION".into()), Rejection::Malformed),
    (
        "fields of another type",
        |s| resign(s, "WITHDRAW", |p| p.replace("DECISION", "WITHDRAW")),
        Rejection::Malformed,
    ),
    (
        "a null",
        |s| resign(s, "DECISION", |p| p.replace("\"comment\":\"ok\"", "\"comment\":null")),
        Rejection::Malformed,
    ),
    (
        "another installation",
        |s| {
            resign(s, "DECISION", |p| {
                p.replace("\"installation\":\"demo\"", "\"installation\":\"prod\"")
            });
        },
        Rejection::OtherInstallation,
    ),
    (
        "another request's",
        |s| {
            resign(s, "DECISION", |p| {
                p.replace(request_id().as_str(), RequestId::from_bits([9; 16]).as_str())
            });
        },
        Rejection::OtherRequest,
    ),
    (
        "counted twice",
        |s| {
            *entry(s) = {
                let other = Nonce::from_bits([9; 16]);
                sign(INTAKE, "DECISION", &entry_payload(&other, &acts()[0]))
            }
        },
        Rejection::OtherNonce,
    ),
    (
        "key not yet valid",
        |s| s.key(INTAKE).from = noon() + TimeDelta::microseconds(1_000_001),
        Rejection::KeyOutOfWindow,
    ),
    (
        "key no longer valid",
        |s| s.key(INTAKE).until = noon() + TimeDelta::seconds(1),
        Rejection::KeyOutOfWindow,
    ),
    (
        "key distrusted by then",
        |s| s.key(INTAKE).distrusted_from = Some(noon() + TimeDelta::seconds(1)),
        Rejection::KeyOutOfWindow,
    ),
    (
        "a version that is no time",
        |s| s.stored.version = curfew_ports::Version(i64::MAX),
        Rejection::KeyOutOfWindow,
    ),
    (
        "key may not decide",
        |s| s.key(INTAKE).verbs = [Verb::Request, Verb::Direct, Verb::Control].into(),
        Rejection::VerbNotAllowed,
    ),
];

#[test]
fn forged_entries_are_refused() {
    for (name, forge, expected) in FORGED_ENTRIES {
        let mut scene = Scene::new();
        let nonce = scene.act(INTAKE, 7, &acts()[0]);
        forge(&mut scene);
        assert_eq!(scene.verify().entries[&nonce], Err(expected), "{name}");
    }
}

#[test]
fn every_flipped_bit_breaks_a_signature() {
    for key_id in [INTAKE, WRITER] {
        let mut scene = Scene::new();
        let nonce = scene.act(key_id, 7, &acts()[2]);
        let genuine =
            URL_SAFE_NO_PAD.decode(&scene.stored.entries[nonce.as_str()].signature).unwrap();
        for bit in 0..512 {
            let mut flipped = genuine.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            entry(&mut scene).signature = URL_SAFE_NO_PAD.encode(flipped);
            assert_eq!(
                scene.verify().entries[&nonce],
                Err(Rejection::BadSignature),
                "{key_id} bit {bit}"
            );
        }
    }
}

#[test]
fn the_latest_skew_is_still_plausible() {
    for skew in [REQUESTED_AT_SKEW_MAX, -REQUESTED_AT_SKEW_MAX] {
        let mut scene = Scene::new();
        scene.stored.created_at += skew;
        assert!(scene.verify().spec.is_ok(), "{skew}");
    }
}

#[test]
fn every_act_needs_its_verb() {
    for act in acts() {
        let mut scene = Scene::new();
        let nonce = scene.act(WRITER, 7, &act);
        let verb = if matches!(act, Act::Decide { .. }) { Verb::Decide } else { Verb::Direct };
        scene.key(WRITER).verbs = [verb].into();
        assert!(scene.verify().entries[&nonce].is_ok(), "{act:?}");
        scene.key(WRITER).verbs = Verb::ALL.into_iter().filter(|other| *other != verb).collect();
        assert_eq!(scene.verify().entries[&nonce], Err(Rejection::VerbNotAllowed), "{act:?}");
    }
}

#[test]
fn a_writer_never_decides_on_what_it_filed() {
    for act in acts() {
        let mut scene = Scene::filed_by_the_writer();
        let nonce = scene.act(WRITER, 7, &act);
        let is_decision = matches!(act, Act::Decide { .. });
        assert_eq!(scene.verify().entries[&nonce].is_err(), is_decision, "{act:?}");
    }
    let mut scene = Scene::filed_by_the_writer();
    let by_a_session = scene.act(INTAKE, 7, &acts()[0]);
    assert!(scene.verify().spec.is_ok());
    assert!(scene.verify().entries[&by_a_session].is_ok());
}

#[test]
fn an_owner_of_two_writer_keys_files_with_one_and_decides_with_neither() {
    let decides = |owner: &str| {
        let mut scene = Scene::filed_by_the_writer();
        let other = scene.key(INTAKE);
        other.level = Level::Writer;
        other.owner = owner.into();
        let nonce = scene.act(INTAKE, 7, &acts()[0]);
        scene.verify().entries[&nonce].is_ok()
    };
    assert!(!decides(WRITER));
    assert!(decides("somebody-else"));
}

#[test]
fn the_level_comes_from_the_key() {
    let mut scene = Scene::new();
    let nonce = scene.act(WRITER, 7, &acts()[0]);
    assert_eq!(scene.verify().entries[&nonce].as_ref().unwrap().level, Level::Writer);
}

#[test]
fn the_time_that_a_signer_claims_plays_no_part() {
    let mut scene = Scene::new();
    let nonce = scene.act(INTAKE, 7, &acts()[0]);
    // The payload claims noon and five seconds; the store has it a minute later.
    scene.stored.version.0 = (noon() + TimeDelta::seconds(60)).timestamp_micros();
    scene.key(INTAKE).until = noon() + TimeDelta::seconds(30);
    assert_eq!(scene.verify().entries[&nonce], Err(Rejection::KeyOutOfWindow));
}

#[test]
fn an_entry_that_was_seen_in_time_stays_valid() {
    let seen_at = noon() + TimeDelta::seconds(10);
    let mut scene = Scene::new();
    let nonce = scene.act(INTAKE, 7, &acts()[0]);
    let counted = Counted::No { why: "ANY".into() };
    scene.record(seen_at, &[Fact::Seen { nonce: nonce.clone(), counted: counted.clone() }]);
    scene.record(seen_at + TimeDelta::days(60), &[Fact::Seen { nonce: nonce.clone(), counted }]);
    assert!(
        scene.verify().entries[&nonce].is_ok(),
        "the first SEEN counts, not the document's version"
    );
    scene.key(INTAKE).distrusted_from = Some(seen_at + TimeDelta::microseconds(1));
    assert!(scene.verify().entries[&nonce].is_ok());
    scene.key(INTAKE).distrusted_from = Some(seen_at);
    assert_eq!(scene.verify().entries[&nonce], Err(Rejection::KeyOutOfWindow));
    // A forged SEEN fact is none: the version counts again.
    scene.key(INTAKE).distrusted_from = None;
    scene.stored.facts[0].mac.replace_range(..1, "x");
    assert_eq!(scene.verify().entries[&nonce], Err(Rejection::KeyOutOfWindow));
}

#[test]
fn a_key_that_is_no_nonce_is_dropped_and_counted() {
    let mut scene = Scene::new();
    let nonce = scene.act(INTAKE, 7, &acts()[0]);
    for key in ["", "x", "NONCE", "../7", "`a`"] {
        let envelope = scene.stored.entries[nonce.as_str()].clone();
        scene.add(key, envelope);
    }
    assert_eq!(scene.verify().entries.keys().collect::<Vec<_>>(), [&nonce]);
    assert_eq!(entries_without_nonce(&scene.stored), 5);
}

#[test]
fn without_the_macs_key_no_fact_is_believed() {
    let mut scene = Scene::new();
    scene.record(noon(), &facts());
    let keys = KeySet::new(scene.keys.clone()).unwrap();
    let request = EnvelopeVerifier::new(installation(), keys).verify(&scene.stored);
    assert!(request.spec.is_ok());
    assert_eq!((request.facts.len(), request.facts.rejected()), (0, 8));
}

#[test]
fn one_bad_part_spoils_no_other() {
    let mut scene = Scene::new();
    let good = scene.act(INTAKE, 1, &acts()[1]);
    let bad = scene.act(INTAKE, 2, &acts()[2]);
    scene.stored.entries.get_mut(bad.as_str()).unwrap().signature.clear();
    scene.stored.spec = None;
    let request = scene.verify();
    assert_eq!(request.spec, Err(Rejection::Malformed));
    assert!(request.entries[&good].is_ok());
    assert!(request.entries[&bad].is_err());
}

#[test]
fn verifying_is_total_on_garbage() {
    let texts = [
        "",
        "{",
        "\u{0}",
        "{\"type\":\"spec\"}",
        "[[[[",
        "\u{1f4a3}",
        "{\"type\":\"DECISION\",\"schema\":1e999}",
    ];
    let mut rejections = BTreeSet::new();
    for payload in texts {
        for key_id in ["", INTAKE, "\u{1f4a3}"] {
            for signature in ["", "AA", "\u{1f4a3}", "!!!!"] {
                let mut scene = Scene::new();
                let nonce = scene.act(
                    INTAKE,
                    7,
                    &Act::Decide {
                        verdict: Verdict::Deny,
                        comment: String::new(),
                        target: Digest::of(b""),
                    },
                );
                let garbage = StoredEnvelope {
                    payload: payload.into(),
                    key_id: key_id.into(),
                    signature: signature.into(),
                };
                scene.stored.spec = Some(garbage.clone());
                *entry(&mut scene) = garbage;
                let request = scene.verify();
                rejections.insert(request.spec.unwrap_err());
                rejections.insert(request.entries[&nonce].clone().unwrap_err());
            }
        }
    }
    assert_eq!(
        rejections,
        [Rejection::Malformed, Rejection::UnknownKey, Rejection::BadSignature].into()
    );
}

fn envelope(scene: &mut Scene) -> &mut StoredEnvelope {
    scene.stored.spec.as_mut().unwrap()
}

fn entry(scene: &mut Scene) -> &mut StoredEnvelope {
    scene.stored.entries.values_mut().next().unwrap()
}

fn an_entry() -> StoredEnvelope {
    sign(INTAKE, "DECISION", &entry_payload(&Nonce::from_bits([7; 16]), &acts()[0]))
}

fn resign(scene: &mut Scene, kind: &str, change: impl Fn(&str) -> String) {
    let payload = change(&entry(scene).payload);
    *entry(scene) = sign(INTAKE, kind, &payload);
}

fn der_signature(scene: &Scene) -> String {
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &INTAKE_PKCS8).unwrap();
    let payload = &scene.stored.spec.as_ref().unwrap().payload;
    let signed = crate::envelope::signed_bytes("spec", payload);
    URL_SAFE_NO_PAD.encode(pair.sign(&SystemRandom::new(), &signed).unwrap().as_ref())
}
