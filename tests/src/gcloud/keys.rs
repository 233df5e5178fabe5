//! Keys of the KMS: made, used for signatures and wrapping, rotated and disabled by gcloud.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::{Value, json};

use super::cli::Gcloud;
use crate::e2e::demo::Demo;

const LOCATION: &str = "--location=europe-west1";
const RING: &str = "projects/demo-web/locations/europe-west1/keyRings/ring";

#[tokio::test]
async fn gcloud_signs_with_a_key_and_the_signature_verifies() {
    let demo = Demo::start().await;
    let Some(gcloud) = Gcloud::of(&demo) else { return };
    let kms = Keys::make(&demo, &gcloud, "signer", &SIGNING).await;
    let rings = gcloud.json(&["kms", "keyrings", "list", LOCATION]).await;
    assert_eq!(names(&rings), [RING]);
    let versions = kms.run(&["kms", "keys", "versions", "list", "--key=signer"]).await;
    assert_eq!(names(&versions), [format!("{RING}/cryptoKeys/signer/cryptoKeyVersions/1")]);
    assert_eq!(versions[0]["algorithm"], "EC_SIGN_P256_SHA256");

    let pem = gcloud.path("public.pem");
    let public =
        ["kms", "keys", "versions", "get-public-key", "1", "--key=signer", "--output-file"];
    kms.run(&[&public[..], &[&pem]].concat()).await;
    let message = b"what was approved";
    let (input, signature) = (gcloud.file("message", message), gcloud.path("signature"));
    let sign =
        ["kms", "asymmetric-sign", "--key=signer", "--version=1", "--digest-algorithm=sha256"];
    let files = ["--input-file", &input, "--signature-file", &signature];
    kms.run(&[&sign[..], &files].concat()).await;

    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, der(&pem));
    let signature = std::fs::read(signature).unwrap();
    key.verify(message, &signature).unwrap();
    key.verify(b"what was not approved", &signature).unwrap_err();
    let path = format!("/v1/{RING}/cryptoKeys/signer/cryptoKeyVersions/1/publicKey");
    let served = demo.cloud(Method::GET, &path, None).await;
    let saved = std::fs::read_to_string(pem).unwrap();
    assert_eq!(served["pem"].as_str().map(str::trim), Some(saved.trim()));
}

#[tokio::test]
async fn gcloud_wraps_and_unwraps_and_a_rotation_keeps_what_was_wrapped() {
    let demo = Demo::start().await;
    let Some(gcloud) = Gcloud::of(&demo) else { return };
    let kms = Keys::make(&demo, &gcloud, "wrapper", &["--purpose=encryption"]).await;
    let secret = gcloud.file("secret", b"facts key");
    let (wrapped, unwrapped) = (gcloud.path("wrapped"), gcloud.path("unwrapped"));
    let encrypt = ["kms", "encrypt", "--key=wrapper", "--plaintext-file", &secret];
    kms.run(&[&encrypt[..], &["--ciphertext-file", &wrapped]].concat()).await;
    assert_ne!(std::fs::read(&wrapped).unwrap(), b"facts key");

    let rotate = ["kms", "keys", "versions", "create", "--key=wrapper", "--primary"];
    kms.run(&rotate).await;
    let path = format!("/v1/{RING}/cryptoKeys/wrapper");
    let stored = demo.cloud(Method::GET, &path, None).await;
    assert_eq!(stored["primary"]["name"], format!("{RING}/cryptoKeys/wrapper/cryptoKeyVersions/2"));
    let decrypt = ["kms", "decrypt", "--key=wrapper", "--ciphertext-file", &wrapped];
    let decrypt = [&decrypt[..], &["--plaintext-file", &unwrapped]].concat();
    kms.run(&decrypt).await;
    assert_eq!(std::fs::read(&unwrapped).unwrap(), b"facts key");

    kms.run(&["kms", "keys", "versions", "disable", "1", "--key=wrapper"]).await;
    let error = gcloud.refusal(&in_ring(&decrypt)).await;
    assert!(error.contains("FAILED_PRECONDITION"), "{error}");
    let keys = kms.run(&["kms", "keys", "list"]).await;
    assert_eq!(names(&keys), [format!("{RING}/cryptoKeys/wrapper")]);
}

const SIGNING: [&str; 2] =
    ["--purpose=asymmetric-signing", "--default-algorithm=ec-sign-p256-sha256"];

/// gcloud on the keys of one ring.
struct Keys<'a>(&'a Gcloud);

impl<'a> Keys<'a> {
    /// A ring with one key, and an administrator who may use it.
    async fn make(demo: &Demo, gcloud: &'a Gcloud, key: &str, flags: &[&str]) -> Self {
        let mut policy = demo.policy("projects/demo-web").await;
        for role in ["admin", "signerVerifier", "cryptoKeyEncrypterDecrypter"] {
            let role = format!("roles/cloudkms.{role}");
            let binding = json!({"role": role, "members": ["user:olga@example.com"]});
            policy["bindings"].as_array_mut().unwrap().push(binding);
        }
        let body = json!({"policy": policy});
        demo.cloud(Method::POST, "/v3/projects/demo-web:setIamPolicy", Some(&body)).await;
        gcloud.json(&["kms", "keyrings", "create", "ring", LOCATION]).await;
        let keys = Self(gcloud);
        keys.run(&[&["kms", "keys", "create", key], flags].concat()).await;
        keys
    }

    async fn run(&self, arguments: &[&str]) -> Value {
        self.0.json(&in_ring(arguments)).await
    }
}

fn in_ring<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    [arguments, &["--keyring=ring", LOCATION]].concat()
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().filter_map(|item| item["name"].as_str()).collect()
}

/// The bytes in a PEM file.
fn der(pem: &str) -> Vec<u8> {
    let text = std::fs::read_to_string(pem).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with("-----"));
    STANDARD.decode(lines.collect::<String>()).unwrap()
}
