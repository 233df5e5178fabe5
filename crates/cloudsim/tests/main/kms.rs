//! Cloud KMS: keys, what they sign and encrypt, and who may use them.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ED25519, UnparsedPublicKey, VerificationAlgorithm,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, INTAKE, Sim, binding, conditional};

const PROJECT: &str = "projects/demo-prod";
const LOCATION: &str = "v1/projects/demo-prod/locations/europe-west1";
const RING: &str = "v1/projects/demo-prod/locations/europe-west1/keyRings/curfew";
const SIGNING: &str = "EC_SIGN_P256_SHA256";

#[tokio::test]
async fn a_p256_signature_over_a_digest_verifies_with_the_published_key() {
    let sim = with_ring().await;
    let version = sim.signing_key("intake", SIGNING).await;
    let sha256 = digest(&SHA256, b"message");
    let signed = sim
        .post(
            &format!("{version}:asymmetricSign"),
            json!({
                "digest": {"sha256": STANDARD.encode(sha256.as_ref())},
                "digestCrc32c": crc32c(sha256.as_ref()),
            }),
        )
        .await;
    assert_eq!(signed.status, 200, "{}", signed.body);
    assert_eq!(signed.body["name"], version.trim_start_matches("v1/"));
    assert_eq!(signed.body["verifiedDigestCrc32c"], true);
    assert_eq!(signed.body["protectionLevel"], "SOFTWARE");
    let signature = bytes(&signed.body["signature"]);
    assert_eq!(signed.body["signatureCrc32c"], crc32c(&signature));
    let public = sim.public_key(&version).await;
    assert_eq!(verify(&ECDSA_P256_SHA256_ASN1, &public, b"message", &signature), Ok(()));
    assert!(verify(&ECDSA_P256_SHA256_ASN1, &public, b"other", &signature).is_err());

    let of_data = sim
        .post(&format!("{version}:asymmetricSign"), json!({"data": STANDARD.encode("message")}))
        .await;
    let signature = bytes(&of_data.body["signature"]);
    assert_eq!(of_data.body.get("verifiedDataCrc32c"), None);
    assert_eq!(verify(&ECDSA_P256_SHA256_ASN1, &public, b"message", &signature), Ok(()));
}

#[tokio::test]
async fn an_ed25519_key_signs_data_and_no_digest() {
    let sim = with_ring().await;
    let version = sim.signing_key("ed", "EC_SIGN_ED25519").await;
    let signed = sim
        .post(
            &format!("{version}:asymmetricSign"),
            json!({"data": STANDARD.encode("message"), "dataCrc32c": crc32c(b"message")}),
        )
        .await;
    assert_eq!(signed.body["verifiedDataCrc32c"], true, "{}", signed.body);
    let public = sim.public_key(&version).await;
    // The last 32 bytes of an Ed25519 SubjectPublicKeyInfo are the key, RFC 8410.
    let key = &public[public.len() - 32..];
    assert_eq!(verify(&ED25519, key, b"message", &bytes(&signed.body["signature"])), Ok(()));
    let digest = json!({"digest": {"sha256": STANDARD.encode([0; 32])}});
    assert_eq!(sim.post(&format!("{version}:asymmetricSign"), digest).await.status, 400);
}

#[tokio::test]
async fn a_mac_is_the_same_at_every_time_and_another_with_another_version() {
    let sim = with_ring().await;
    let body = json!({"purpose": "MAC", "versionTemplate": {"algorithm": "HMAC_SHA256"}});
    let created = sim.post(&format!("{RING}/cryptoKeys?cryptoKeyId=forms"), body).await;
    assert_eq!((created.status, created.body.get("primary")), (200, None), "{}", created.body);
    let key = format!("{RING}/cryptoKeys/forms");
    sim.post(&format!("{key}/cryptoKeyVersions"), json!({})).await;
    let mac = async |version: u32, data: &str| {
        let path = format!("{key}/cryptoKeyVersions/{version}:macSign");
        let body = json!({"data": STANDARD.encode(data), "dataCrc32c": crc32c(data.as_bytes())});
        let answer = sim.post(&path, body).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.body["name"], path.trim_start_matches("v1/").replace(":macSign", ""));
        assert_eq!(answer.body["verifiedDataCrc32c"], true);
        let mac = bytes(&answer.body["mac"]);
        assert_eq!((mac.len(), &answer.body["macCrc32c"]), (32, &json!(crc32c(&mac))));
        mac
    };
    assert_eq!(mac(1, "forms").await, mac(1, "forms").await);
    assert_ne!(mac(1, "forms").await, mac(2, "forms").await);
    assert_ne!(mac(1, "forms").await, mac(1, "other").await);

    let first = format!("{key}/cryptoKeyVersions/1");
    let wrong = json!({"data": "AA==", "dataCrc32c": "1"});
    assert_eq!(sim.post(&format!("{first}:macSign"), wrong).await.error().1, "INVALID_ARGUMENT");
    let large = json!({"data": STANDARD.encode(vec![0; 64 * 1024 + 1])});
    assert_eq!(sim.post(&format!("{first}:macSign"), large).await.error().1, "INVALID_ARGUMENT");
    assert_eq!(sim.get(&format!("{first}/publicKey")).await.error().1, "FAILED_PRECONDITION");
    let signing = sim.signing_key("intake", SIGNING).await;
    let other = sim.post(&format!("{signing}:macSign"), json!({"data": "AA=="})).await;
    assert_eq!(other.error(), (400, "FAILED_PRECONDITION"));
    let body = json!({"digest": {"sha256": STANDARD.encode([7; 32])}});
    let other = sim.post(&format!("{first}:asymmetricSign"), body).await;
    assert_eq!(other.error(), (400, "FAILED_PRECONDITION"));
}

#[tokio::test]
async fn a_public_key_comes_as_pem_with_its_checksum() {
    let sim = with_ring().await;
    let version = sim.signing_key("intake", SIGNING).await;
    let answer = sim.get(&format!("{version}/publicKey")).await;
    let pem = answer.body["pem"].as_str().unwrap();
    assert!(pem.starts_with("-----BEGIN PUBLIC KEY-----\nM"), "{pem}");
    assert!(pem.ends_with("\n-----END PUBLIC KEY-----\n"), "{pem}");
    assert!(pem.lines().all(|line| line.len() <= 64));
    assert_eq!(answer.body["pemCrc32c"], crc32c(pem.as_bytes()));
    assert_eq!(answer.body["algorithm"], SIGNING);
    let der = sim.get(&format!("{version}/publicKey?publicKeyFormat=DER")).await;
    assert_eq!(der.error(), (400, "INVALID_ARGUMENT"));
}

#[tokio::test]
async fn what_cannot_be_signed_is_refused() {
    let sim = with_ring().await;
    let version = sim.signing_key("intake", SIGNING).await;
    let digest = STANDARD.encode([7; 32]);
    for wrong in [
        json!({}),
        json!({"digest": {"sha256": STANDARD.encode([7; 31])}}),
        json!({"digest": {"sha512": STANDARD.encode([7; 64])}}),
        json!({"digest": {"sha256": digest}, "data": "AA=="}),
        json!({"digest": {"sha256": "%"}}),
        json!({"digest": {"sha256": digest}, "digestCrc32c": "1"}),
        json!({"digest": {"sha256": digest}, "digestCrc32c": "many"}),
        json!({"digest": {"sha256": digest}, "unknown": 1}),
        json!({"data": STANDARD.encode(vec![0; 64 * 1024 + 1])}),
    ] {
        let refused = sim.post(&format!("{version}:asymmetricSign"), wrong.clone()).await;
        assert_eq!(refused.error(), (400, "INVALID_ARGUMENT"), "{wrong}");
    }
    let encrypting = sim.symmetric_key("facts").await;
    let sign = format!("{encrypting}/cryptoKeyVersions/1:asymmetricSign");
    let refused = sim.post(&sign, json!({"digest": {"sha256": digest}})).await;
    assert_eq!(refused.error(), (400, "FAILED_PRECONDITION"));
}

#[tokio::test]
async fn what_was_encrypted_is_decrypted_with_the_same_additional_data_only() {
    let sim = with_ring().await;
    let key = sim.symmetric_key("facts").await;
    let sealed = sim
        .post(
            &format!("{key}:encrypt"),
            json!({
                "plaintext": STANDARD.encode("key"), "plaintextCrc32c": crc32c(b"key"),
                "additionalAuthenticatedData": STANDARD.encode("facts"),
                "additionalAuthenticatedDataCrc32c": crc32c(b"facts"),
            }),
        )
        .await;
    assert_eq!(sealed.status, 200, "{}", sealed.body);
    assert!(sealed.body["name"].as_str().unwrap().ends_with("/facts/cryptoKeyVersions/1"));
    assert_eq!(sealed.body["verifiedPlaintextCrc32c"], true);
    assert_eq!(sealed.body["verifiedAdditionalAuthenticatedDataCrc32c"], true);
    let ciphertext = bytes(&sealed.body["ciphertext"]);
    assert_eq!(sealed.body["ciphertextCrc32c"], crc32c(&ciphertext));

    let decrypt = |ciphertext: &[u8], aad: &str| {
        sim.post_owned(
            format!("{key}:decrypt"),
            json!({
                "ciphertext": STANDARD.encode(ciphertext),
                "additionalAuthenticatedData": STANDARD.encode(aad),
            }),
        )
    };
    let opened = decrypt(&ciphertext, "facts").await;
    assert_eq!(bytes(&opened.body["plaintext"]), b"key");
    assert_eq!(opened.body["plaintextCrc32c"], crc32c(b"key"));
    assert_eq!(opened.body["usedPrimary"], true);
    let message = "Decryption failed: verify that 'name' refers to the correct CryptoKey.";
    let mut damaged = ciphertext.clone();
    *damaged.last_mut().unwrap() ^= 1;
    for refused in [
        decrypt(&ciphertext, "other").await,
        decrypt(&damaged, "facts").await,
        decrypt(b"", "facts").await,
        decrypt(&ciphertext[..9], "facts").await,
    ] {
        assert_eq!((refused.error(), refused.message()), ((400, "INVALID_ARGUMENT"), message));
    }
    let other = sim.symmetric_key("other").await;
    let body = json!({"ciphertext": STANDARD.encode(&ciphertext)});
    assert_eq!(sim.post(&format!("{other}:decrypt"), body).await.error().0, 400);
    let body = json!({"ciphertext": STANDARD.encode(&ciphertext), "ciphertextCrc32c": 1});
    assert!(
        sim.post(&format!("{key}:decrypt"), body).await.message().contains("ciphertext_crc32c")
    );
}

#[tokio::test]
async fn a_plaintext_above_64_kib_is_refused() {
    let sim = with_ring().await;
    let key = sim.symmetric_key("facts").await;
    let encrypt = |length: usize| {
        let body = json!({"plaintext": STANDARD.encode(vec![1; length])});
        sim.post_owned(format!("{key}:encrypt"), body)
    };
    assert_eq!(encrypt(64 * 1024).await.status, 200);
    assert_eq!(encrypt(64 * 1024 + 1).await.error(), (400, "INVALID_ARGUMENT"));
}

#[tokio::test]
async fn a_new_primary_encrypts_and_the_old_version_still_decrypts() {
    let sim = with_ring().await;
    let key = sim.symmetric_key("facts").await;
    let old = sim.encrypt(&key).await;
    let second = sim.post(&format!("{key}/cryptoKeyVersions"), json!({})).await;
    assert_eq!(second.body["state"], "ENABLED", "{}", second.body);
    let still = sim.encrypt(&key).await;
    assert!(still.body["name"].as_str().unwrap().ends_with("/1"), "a new version is no primary");
    let set = json!({"cryptoKeyVersionId": "2"});
    let primary = sim.post(&format!("{key}:updatePrimaryVersion"), set).await;
    assert_eq!(primary.body["primary"]["name"], second.body["name"]);
    assert!(sim.encrypt(&key).await.body["name"].as_str().unwrap().ends_with("/2"));
    let opened = sim.decrypt(&key, &old).await;
    assert_eq!((opened.status, opened.body.get("usedPrimary")), (200, None));
}

#[tokio::test]
async fn a_key_rotates_when_its_time_has_come_and_once_for_each_time() {
    let sim = with_ring().await;
    let body = json!({
        "purpose": "ENCRYPT_DECRYPT", "rotationPeriod": "86400s",
        "nextRotationTime": "2026-03-02T09:00:00Z",
    });
    let created = sim.post(&format!("{RING}/cryptoKeys?cryptoKeyId=facts"), body).await;
    assert_eq!(created.status, 200, "{}", created.body);
    let key = format!("{RING}/cryptoKeys/facts");
    let old = sim.encrypt(&key).await;
    sim.advance(TimeDelta::hours(23));
    assert_eq!(sim.get(&key).await.body["primary"]["name"], created.body["primary"]["name"]);
    sim.advance(TimeDelta::hours(50));
    let rotated = sim.get(&key).await.body;
    assert!(rotated["primary"]["name"].as_str().unwrap().ends_with("/2"), "{rotated}");
    assert_eq!(rotated["nextRotationTime"], "2026-03-05T09:00:00.000000Z");
    assert!(sim.encrypt(&key).await.body["name"].as_str().unwrap().ends_with("/2"));
    assert_eq!(sim.decrypt(&key, &old).await.status, 200);
    sim.advance(TimeDelta::days(1));
    assert!(sim.encrypt(&key).await.body["name"].as_str().unwrap().ends_with("/3"));
    let versions = sim.get(&format!("{key}/cryptoKeyVersions")).await.body;
    assert_eq!(
        (&versions["totalSize"], versions["cryptoKeyVersions"].as_array().unwrap().len()),
        (&json!(3), 3)
    );
}

#[tokio::test]
async fn versions_that_are_not_enabled_are_not_used() {
    let sim = with_ring().await;
    let version = sim.signing_key("intake", SIGNING).await;
    let sign = || sim.post_owned(format!("{version}:asymmetricSign"), json!({"data": "AA=="}));
    let patch = |state: &str| {
        sim.patch_owned(format!("{version}?updateMask=state"), json!({"state": state}))
    };
    assert_eq!(patch("DISABLED").await.body["state"], "DISABLED");
    let refused = sign().await;
    assert_eq!(refused.error(), (400, "FAILED_PRECONDITION"));
    assert!(refused.message().ends_with("is not enabled, current state is: DISABLED."));
    let violation = &refused.body["error"]["details"][0]["violations"][0];
    assert_eq!(violation["type"], "KEY_DISABLED");
    assert_eq!(sim.get(&format!("{version}/publicKey")).await.error().1, "FAILED_PRECONDITION");
    assert_eq!(patch("DESTROYED").await.error(), (400, "INVALID_ARGUMENT"));
    assert_eq!(patch("ENABLED").await.body["state"], "ENABLED");
    assert_eq!(sign().await.status, 200);

    let destroyed = sim.post(&format!("{version}:destroy"), json!({})).await;
    assert_eq!(destroyed.body["state"], "DESTROY_SCHEDULED");
    assert_eq!(destroyed.body["destroyTime"], "2026-03-31T09:00:00.000000Z");
    assert!(sign().await.message().ends_with("current state is: DESTROY_SCHEDULED."));
    let restored = sim.post(&format!("{version}:restore"), json!({})).await;
    assert_eq!(
        (&restored.body["state"], restored.body.get("destroyTime")),
        (&json!("DISABLED"), None)
    );
    sim.post(&format!("{version}:destroy"), json!({})).await;
    sim.advance(TimeDelta::days(30));
    let gone = sim.get(&version).await.body;
    assert_eq!(gone["state"], "DESTROYED");
    assert!(gone["destroyEventTime"].is_string());
    for late in ["restore", "destroy"] {
        let refused = sim.post(&format!("{version}:{late}"), json!({})).await;
        assert_eq!(refused.error(), (400, "FAILED_PRECONDITION"), "{late}");
    }
    assert!(sign().await.message().ends_with("current state is: DESTROYED."));
}

#[tokio::test]
async fn rings_and_keys_are_created_once_listed_in_pages_and_described() {
    let sim = with_ring().await;
    let again = sim.post(&format!("{LOCATION}/keyRings?keyRingId=curfew"), json!({})).await;
    assert_eq!(again.error(), (409, "ALREADY_EXISTS"));
    sim.signing_key("intake", SIGNING).await;
    sim.symmetric_key("facts").await;
    let body = json!({"purpose": "ENCRYPT_DECRYPT", "labels": {"a": "b"}});
    let empty = format!("{RING}/cryptoKeys?cryptoKeyId=empty&skipInitialVersionCreation=true");
    let empty = sim.post(&empty, body).await;
    assert_eq!((&empty.body["labels"], empty.body.get("primary")), (&json!({"a": "b"}), None));
    let refused = sim.post(&format!("{RING}/cryptoKeys/empty:encrypt"), json!({})).await;
    assert_eq!(refused.error(), (400, "FAILED_PRECONDITION"));

    let rings = sim.get(&format!("{LOCATION}/keyRings")).await.body;
    assert_eq!(rings["keyRings"][0]["name"], RING.trim_start_matches("v1/"));
    let first = sim.get(&format!("{RING}/cryptoKeys?pageSize=2")).await.body;
    assert_eq!(
        (&first["totalSize"], first["cryptoKeys"].as_array().unwrap().len()),
        (&json!(3), 2)
    );
    let token = first["nextPageToken"].as_str().unwrap();
    let last = sim.get(&format!("{RING}/cryptoKeys?pageSize=2&pageToken={token}")).await.body;
    let intake = &last["cryptoKeys"][0];
    assert_eq!(
        intake["versionTemplate"],
        json!({"algorithm": SIGNING, "protectionLevel": "SOFTWARE"})
    );
    assert_eq!((&intake["purpose"], intake.get("primary")), (&json!("ASYMMETRIC_SIGN"), None));
    let by_number = RING.replace("demo-prod", "100000000103");
    assert_eq!(sim.get(&by_number).await.body["name"], RING.trim_start_matches("v1/"));
}

#[tokio::test]
async fn keys_that_make_no_sense_are_refused() {
    let sim = with_ring().await;
    for (id, body) in [
        ("", json!({"purpose": "ENCRYPT_DECRYPT"})),
        ("a.b", json!({"purpose": "ENCRYPT_DECRYPT"})),
        ("k", json!({})),
        ("k", json!({"purpose": "MAC"})),
        ("k", json!({"purpose": "MAC", "versionTemplate": {"algorithm": SIGNING}})),
        ("k", json!({"purpose": "RAW_ENCRYPT_DECRYPT"})),
        ("k", json!({"purpose": "ASYMMETRIC_SIGN"})),
        ("k", json!({"purpose": "ENCRYPT_DECRYPT", "versionTemplate": {"algorithm": SIGNING}})),
        ("k", json!({"purpose": "ENCRYPT_DECRYPT", "rotationPeriod": "86400s"})),
        (
            "k",
            json!({"purpose": "ENCRYPT_DECRYPT", "rotationPeriod": "60s", "nextRotationTime": "2026-03-02T09:00:00Z"}),
        ),
        (
            "k",
            json!({"purpose": "ASYMMETRIC_SIGN", "versionTemplate": {"algorithm": SIGNING}, "nextRotationTime": "2026-03-02T09:00:00Z"}),
        ),
        ("k", json!({"purpose": "ENCRYPT_DECRYPT", "colour": "red"})),
    ] {
        let refused = sim.post(&format!("{RING}/cryptoKeys?cryptoKeyId={id}"), body.clone()).await;
        assert_eq!(refused.error(), (400, "INVALID_ARGUMENT"), "{id} {body}");
    }
    let other = format!("{LOCATION}/keyRings/none/cryptoKeys?cryptoKeyId=k");
    assert_eq!(sim.post(&other, json!({"purpose": "ENCRYPT_DECRYPT"})).await.status, 404);
    assert_eq!(sim.get(&format!("{RING}/cryptoKeys/none/cryptoKeyVersions/1")).await.status, 404);
}

#[tokio::test]
async fn a_key_is_used_by_those_who_may_and_each_use_is_recorded() {
    let sim = with_ring().await;
    let version = sim.signing_key("intake", SIGNING).await;
    let token = sim.token(INTAKE);
    let sign = || async {
        let path = format!("{version}:asymmetricSign");
        sim.call(Method::POST, &path, Some(json!({"data": "AA=="})), Some(&token)).await
    };
    let refused = sign().await;
    assert_eq!(refused.error(), (403, "PERMISSION_DENIED"));
    let metadata = &refused.body["error"]["details"][0]["metadata"];
    assert_eq!(metadata["permission"], "cloudkms.cryptoKeyVersions.useToSign");
    assert_eq!(metadata["resource"], version.trim_start_matches("v1/"));

    let member = format!("serviceAccount:{INTAKE}");
    let other = r#"resource.name.endsWith("/cryptoKeys/other/cryptoKeyVersions/1")"#;
    let role = "roles/cloudkms.signerVerifier";
    assert_eq!(
        sim.add_binding(PROJECT, conditional(role, &member, "other", other)).await.status,
        200
    );
    assert_eq!(sign().await.status, 403, "a condition on another key");
    let this = r#"resource.name.endsWith("/cryptoKeys/intake/cryptoKeyVersions/1") && resource.type == "cloudkms.googleapis.com/CryptoKeyVersion""#;
    assert_eq!(
        sim.add_binding(PROJECT, conditional(role, &member, "this", this)).await.status,
        200
    );
    assert_eq!(sign().await.status, 200);
    let recorded = sim.get("sim/v1/permissions").await.body.to_string();
    assert!(recorded.contains("cloudkms.cryptoKeyVersions.useToSign"), "{recorded}");
}

#[tokio::test]
async fn encrypting_does_not_allow_to_decrypt() {
    let sim = with_ring().await;
    let key = sim.symmetric_key("facts").await;
    let sealed = sim.encrypt(&key).await;
    let token = sim.token(INTAKE);
    let member = format!("serviceAccount:{INTAKE}");
    let role = "roles/cloudkms.signerVerifier";
    sim.add_binding(PROJECT, binding(role, &member)).await;
    for (verb, body) in [
        ("encrypt", json!({"plaintext": "AA=="})),
        ("decrypt", json!({"ciphertext": sealed.body["ciphertext"]})),
    ] {
        let path = format!("{key}:{verb}");
        let refused = sim.call(Method::POST, &path, Some(body), Some(&token)).await;
        assert_eq!(refused.status, 403, "{verb}");
    }
}

#[tokio::test]
async fn keys_survive_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_owned();
    let first = Sim::start_with(None, Some(path.clone())).await;
    first.post(&format!("{LOCATION}/keyRings?keyRingId=curfew"), json!({})).await;
    let version = first.signing_key("intake", SIGNING).await;
    let key = first.symmetric_key("facts").await;
    let sealed = first.encrypt(&key).await;
    let public = first.public_key(&version).await;
    first.stop().await;

    let second = Sim::start_with(None, Some(path)).await;
    assert_eq!(second.public_key(&version).await, public);
    assert_eq!(bytes(&second.decrypt(&key, &sealed).await.body["plaintext"]), b"text");
    let signed = second.post(&format!("{version}:asymmetricSign"), json!({"data": "AA=="})).await;
    let signature = bytes(&signed.body["signature"]);
    assert_eq!(verify(&ECDSA_P256_SHA256_ASN1, &public, &[0], &signature), Ok(()));
}

impl Sim {
    /// A new signing key; answers the path of its first version.
    async fn signing_key(&self, id: &str, algorithm: &str) -> String {
        let body =
            json!({"purpose": "ASYMMETRIC_SIGN", "versionTemplate": {"algorithm": algorithm}});
        let created = self.post(&format!("{RING}/cryptoKeys?cryptoKeyId={id}"), body).await;
        assert_eq!(created.status, 200, "{}", created.body);
        format!("{RING}/cryptoKeys/{id}/cryptoKeyVersions/1")
    }

    /// A new symmetric key; answers its path.
    async fn symmetric_key(&self, id: &str) -> String {
        let body = json!({"purpose": "ENCRYPT_DECRYPT"});
        let created = self.post(&format!("{RING}/cryptoKeys?cryptoKeyId={id}"), body).await;
        assert_eq!(created.status, 200, "{}", created.body);
        format!("{RING}/cryptoKeys/{id}")
    }

    /// `SubjectPublicKeyInfo` of the version.
    async fn public_key(&self, version: &str) -> Vec<u8> {
        let answer = self.get(&format!("{version}/publicKey")).await;
        let pem = answer.body["pem"].as_str().unwrap();
        let lines: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        STANDARD.decode(lines).unwrap()
    }

    async fn encrypt(&self, key: &str) -> Answer {
        self.post(&format!("{key}:encrypt"), json!({"plaintext": STANDARD.encode("text")})).await
    }

    async fn decrypt(&self, key: &str, sealed: &Answer) -> Answer {
        let body = json!({"ciphertext": sealed.body["ciphertext"]});
        self.post(&format!("{key}:decrypt"), body).await
    }

    async fn post_owned(&self, path: String, body: Value) -> Answer {
        self.post(&path, body).await
    }

    async fn patch_owned(&self, path: String, body: Value) -> Answer {
        self.call(Method::PATCH, &path, Some(body), Some("x")).await
    }
}

async fn with_ring() -> Sim {
    let sim = Sim::start().await;
    let ring = sim.post(&format!("{LOCATION}/keyRings?keyRingId=curfew"), json!({})).await;
    assert_eq!(ring.status, 200, "{}", ring.body);
    sim
}

fn verify(
    algorithm: &'static dyn VerificationAlgorithm,
    key: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Result<(), aws_lc_rs::error::Unspecified> {
    UnparsedPublicKey::new(algorithm, key).verify(message, signature)
}

fn bytes(value: &Value) -> Vec<u8> {
    STANDARD.decode(value.as_str().unwrap()).unwrap()
}

/// CRC-32C bit by bit, so that the tests do not lean on the library that they check.
fn crc32c(data: &[u8]) -> String {
    let mut crc = u32::MAX;
    for byte in data {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
        }
    }
    (!crc).to_string()
}
