//! Cloud KMS by a scripted server: what is sent, and that no answer but the whole and true one is believed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::routing::{get, post};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use curfew_core::id::sha256;
use curfew_ports::{MessageSigner as _, PortError, RetryClass};
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::fake::{Fake, Reply, error, ok, quick};
use crate::{Config, Endpoints, Google, GoogleKms, KeyName, KeyVersionName, TokenSource};

const KEY: &str = "projects/access-keys/locations/europe-west1/keyRings/curfew/cryptoKeys/intake";
const VERSION: &str = "projects/access-keys/locations/europe-west1/keyRings/curfew/cryptoKeys/intake/cryptoKeyVersions/1";
const MESSAGE: &[u8] = b"curfew/v1/spec\n{}";

/// r = 1, s = 2: the form of a signature is all that is looked at here.
const SIGNATURE: [u8; 8] = [0x30, 6, 2, 1, 1, 2, 1, 2];

/// What is put into an otherwise true answer (null takes a field away), and a part of the reason.
type Wrong = (Value, &'static str);

#[tokio::test]
async fn a_digest_is_sent_with_its_checksum_and_the_signature_becomes_two_numbers() {
    let fake = Fake::scripted([ok(signed().to_string())]).await;
    let signature = sign(&fake).await.unwrap();
    assert_eq!(
        (signature[31], signature[63], signature.iter().copied().map(u32::from).sum()),
        (1, 2, 3)
    );
    let [call] = &fake.seen()[..] else { panic!("one call") };
    assert_eq!(
        (call.method.as_str(), call.path.clone()),
        ("POST", format!("/v1/{VERSION}:asymmetricSign"))
    );
    let digest = sha256(&[MESSAGE]);
    let sent: Value = serde_json::from_str(&call.body).unwrap();
    let expected =
        json!({"digest": {"sha256": STANDARD.encode(digest)}, "digestCrc32c": sum(&digest)});
    assert_eq!(sent, expected);
}

#[tokio::test]
async fn a_signature_that_may_be_damaged_or_anothers_is_refused() {
    let other = VERSION.replace("Versions/1", "Versions/2");
    let short = &SIGNATURE[..7];
    let wrong: Vec<Wrong> = vec![
        (json!({"name": other}), "another key"),
        (json!({"name": null}), "another key"),
        (json!({"verifiedDigestCrc32c": null}), "not checked"),
        (json!({"verifiedDigestCrc32c": false}), "not checked"),
        (json!({"signatureCrc32c": null}), "checksum"),
        (json!({"signatureCrc32c": "0"}), "checksum"),
        (json!({"signatureCrc32c": 0}), "as documented"),
        (json!({"signature": null}), "checksum"),
        (json!({"signature": STANDARD.encode([7; 8])}), "checksum"),
        (json!({"signature": "%"}), "base64"),
        (json!({"signature": STANDARD.encode(short), "signatureCrc32c": sum(short)}), "ECDSA"),
        (json!({"signature": STANDARD.encode([7; 64]), "signatureCrc32c": sum(&[7; 64])}), "ECDSA"),
        (json!({"signature": "", "signatureCrc32c": "0"}), "ECDSA"),
    ];
    for (change, why) in wrong {
        let answer = changed(signed(), &change).to_string();
        let fake = Fake::answering(move |_| ok(answer.clone())).await;
        refused(sign(&fake).await, why, &change);
    }
}

#[tokio::test]
async fn each_refusal_has_its_class_and_only_passing_ones_are_repeated() {
    for (code, status, class, calls) in [
        (400, "INVALID_ARGUMENT", RetryClass::Invalid, 1),
        (400, "FAILED_PRECONDITION", RetryClass::Conflict, 1),
        (403, "PERMISSION_DENIED", RetryClass::Denied, 1),
        (404, "NOT_FOUND", RetryClass::NotFound, 1),
        (429, "RESOURCE_EXHAUSTED", RetryClass::RateLimited(None), 4),
        (500, "INTERNAL", RetryClass::Unavailable, 4),
        (503, "UNAVAILABLE", RetryClass::Unavailable, 4),
    ] {
        let fake = Fake::answering(move |_| error(code, status, "m")).await;
        let failed = sign(&fake).await.unwrap_err();
        assert_eq!((failed.class, fake.seen().len()), (class, calls), "{status}");
        assert!(failed.act.contains(VERSION), "{}", failed.act);
    }
}

#[tokio::test]
async fn signatures_under_way_are_bounded_and_all_have_their_turn() {
    const CALLS: usize = 40;
    let (now, most, gate) =
        (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    let (count, high, held) = (Arc::clone(&now), Arc::clone(&most), Arc::clone(&gate));
    let answer = async move || {
        high.fetch_max(count.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        let _pass = held.acquire().await.unwrap();
        count.fetch_sub(1, Ordering::SeqCst);
        signed().to_string()
    };
    let routes = Router::new().route("/ping", get(async || "pong")).fallback(post(answer));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let tokens = TokenSource::Fixed("secret".into());
    let config = Config { endpoints: Endpoints::all_at(&url), tokens, ..Config::default() };
    let signer = Google::with_patience(config, quick()).unwrap().kms().signer(version());
    let all = join_all((0..CALLS).map(|_| signer.sign_message(MESSAGE)));
    let open = async {
        while now.load(Ordering::SeqCst) < 16 {
            tokio::task::yield_now().await;
        }
        // Whatever else would come has come by then.
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        for _ in 0..50 {
            client.get(format!("{url}/ping")).send().await.unwrap();
        }
        gate.add_permits(CALLS);
    };
    let (signatures, ()) = tokio::join!(all, open);
    assert!(signatures.iter().all(Result::is_ok));
    assert_eq!(most.load(Ordering::SeqCst), 16);
}

#[tokio::test]
async fn a_public_key_is_believed_whole_and_of_the_right_algorithm_only() {
    const PEM: &str = "-----BEGIN PUBLIC KEY-----\nAA==\n-----END PUBLIC KEY-----\n";
    let published = || json!({"name": VERSION, "pem": PEM, "pemCrc32c": sum(PEM.as_bytes()), "algorithm": "EC_SIGN_P256_SHA256", "protectionLevel": "HSM"});
    let read = async |answer: Value| {
        let fake = Fake::scripted([ok(answer.to_string())]).await;
        let key = kms(&fake).public_key(&version()).await;
        assert_eq!(fake.seen()[0].path, format!("/v1/{VERSION}/publicKey"));
        key
    };
    let key = read(published()).await.unwrap();
    assert_eq!((key.pem.as_str(), key.protection_level.as_str()), (PEM, "HSM"));
    for (change, why) in [
        (json!({"name": KEY}), "another key"),
        (json!({"pem": PEM.replace("AA", "BB")}), "checksum"),
        (json!({"pemCrc32c": null}), "checksum"),
    ] {
        refused(read(changed(published(), &change)).await, why, &change);
    }
    let change = json!({"algorithm": "RSA_SIGN_PSS_2048_SHA256"});
    let error = read(changed(published(), &change)).await.unwrap_err();
    assert_eq!(error.class, RetryClass::Invalid);
    assert!(error.act.contains("RSA_SIGN_PSS_2048_SHA256"), "{}", error.act);
}

#[tokio::test]
async fn a_mac_is_believed_whole_only() {
    let macced = || json!({"name": VERSION, "mac": STANDARD.encode([9; 32]), "macCrc32c": sum(&[9; 32]), "verifiedDataCrc32c": true});
    let derive = async |answer: Value| {
        let fake = Fake::scripted([ok(answer.to_string())]).await;
        let mac = kms(&fake).mac(&version(), b"forms").await;
        let [call] = &fake.seen()[..] else { panic!("one call") };
        assert_eq!(call.path, format!("/v1/{VERSION}:macSign"));
        let sent: Value = serde_json::from_str(&call.body).unwrap();
        assert_eq!(sent, json!({"data": STANDARD.encode("forms"), "dataCrc32c": sum(b"forms")}));
        mac
    };
    assert_eq!(derive(macced()).await.unwrap().as_slice(), [9; 32]);
    for (change, why) in [
        (json!({"name": KEY}), "another key"),
        (json!({"verifiedDataCrc32c": null}), "not checked"),
        (json!({"mac": STANDARD.encode([8; 32])}), "checksum"),
        (json!({"macCrc32c": null}), "checksum"),
    ] {
        refused(derive(changed(macced(), &change)).await, why, &change);
    }
}

#[tokio::test]
async fn a_ciphertext_is_believed_whole_and_of_this_key_only() {
    let sealed = || {
        json!({"name": VERSION, "ciphertext": STANDARD.encode("sealed"), "ciphertextCrc32c": sum(b"sealed"),
            "verifiedPlaintextCrc32c": true, "verifiedAdditionalAuthenticatedDataCrc32c": true})
    };
    let wrap = async |answer: Value| {
        let fake = Fake::scripted([ok(answer.to_string())]).await;
        let wrapped = kms(&fake).encrypt(&key(), b"secret", b"context").await;
        let [call] = &fake.seen()[..] else { panic!("one call") };
        assert_eq!(call.path, format!("/v1/{KEY}:encrypt"));
        let sent: Value = serde_json::from_str(&call.body).unwrap();
        let expected = json!({
            "plaintext": STANDARD.encode("secret"), "plaintextCrc32c": sum(b"secret"),
            "additionalAuthenticatedData": STANDARD.encode("context"),
            "additionalAuthenticatedDataCrc32c": sum(b"context"),
        });
        assert_eq!(sent, expected);
        wrapped
    };
    assert_eq!(wrap(sealed()).await.unwrap(), b"sealed");
    for (change, why) in [
        (json!({"name": VERSION.replace("intake", "other")}), "another key"),
        (json!({"name": format!("{KEY}-2/cryptoKeyVersions/1")}), "another key"),
        (json!({"verifiedPlaintextCrc32c": null}), "not checked"),
        (json!({"verifiedAdditionalAuthenticatedDataCrc32c": null}), "not checked"),
        (json!({"ciphertext": STANDARD.encode("sealEd")}), "checksum"),
        (json!({"ciphertextCrc32c": null}), "checksum"),
    ] {
        refused(wrap(changed(sealed(), &change)).await, why, &change);
    }
}

#[tokio::test]
async fn a_plaintext_is_believed_whole_only() {
    let opened = || json!({"plaintext": STANDARD.encode("secret"), "plaintextCrc32c": sum(b"secret"), "usedPrimary": true});
    let unwrap = async |answer: Value| {
        let fake = Fake::scripted([ok(answer.to_string())]).await;
        let plaintext = kms(&fake).decrypt(&key(), b"sealed", b"context").await;
        let [call] = &fake.seen()[..] else { panic!("one call") };
        assert_eq!(call.path, format!("/v1/{KEY}:decrypt"));
        let sent: Value = serde_json::from_str(&call.body).unwrap();
        let expected = json!({
            "ciphertext": STANDARD.encode("sealed"), "ciphertextCrc32c": sum(b"sealed"),
            "additionalAuthenticatedData": STANDARD.encode("context"),
            "additionalAuthenticatedDataCrc32c": sum(b"context"),
        });
        assert_eq!(sent, expected);
        plaintext
    };
    assert_eq!(unwrap(opened()).await.unwrap().as_slice(), b"secret");
    for (change, why) in [
        (json!({"plaintext": STANDARD.encode("sEcret")}), "checksum"),
        (json!({"plaintext": "c2VjcmV0=="}), "base64"),
        (json!({"plaintextCrc32c": null}), "checksum"),
    ] {
        refused(unwrap(changed(opened(), &change)).await, why, &change);
    }
    // Nothing of what came is in an error, whatever it was.
    let fake = Fake::scripted([ok(r#"{"plaintext":"c2VjcmV0","plaintextCrc32c":"1"}"#)]).await;
    let error = kms(&fake).decrypt(&key(), b"sealed", b"context").await.unwrap_err();
    assert!(!error.chain().contains("c2VjcmV0"), "{}", error.chain());
}

#[tokio::test]
async fn an_answer_that_is_far_too_long_is_not_read() {
    let body = format!(r#"{{"name":"{}"}}"#, "x".repeat(300 << 10));
    let fake = Fake::answering(move |_| Reply::Is(200, vec![], body.clone().into())).await;
    refused(sign(&fake).await, "longer than", &Value::Null);
}

fn refused<T: std::fmt::Debug>(result: Result<T, PortError>, why: &str, change: &Value) {
    let error = result.unwrap_err();
    assert_eq!(error.class, RetryClass::Unavailable, "{change}: {}", error.chain());
    assert!(error.chain().contains(why), "{change}: {}", error.chain());
}

fn signed() -> Value {
    json!({"name": VERSION, "signature": STANDARD.encode(SIGNATURE), "signatureCrc32c": sum(&SIGNATURE),
        "verifiedDigestCrc32c": true, "protectionLevel": "HSM"})
}

fn changed(mut answer: Value, change: &Value) -> Value {
    for (name, value) in change.as_object().unwrap() {
        if value.is_null() {
            answer.as_object_mut().unwrap().remove(name);
        } else {
            answer[name] = value.clone();
        }
    }
    answer
}

async fn sign(fake: &Fake) -> Result<[u8; 64], PortError> {
    kms(fake).signer(version()).sign_message(MESSAGE).await
}

fn kms(fake: &Fake) -> GoogleKms {
    fake.google().kms()
}

fn version() -> KeyVersionName {
    KeyVersionName::parse(VERSION).unwrap()
}

fn key() -> KeyName {
    KeyName::parse(KEY).unwrap()
}

fn sum(bytes: &[u8]) -> String {
    crc32c::crc32c(bytes).to_string()
}
