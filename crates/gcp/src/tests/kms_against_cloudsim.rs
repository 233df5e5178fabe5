//! Keys in the simulated Cloud KMS, whose signatures aws-lc verifies.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use curfew_cloudsim::{Cloud, Options};
use curfew_ports::{MessageSigner as _, RetryClass};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::fake::quick;
use crate::{Config, Endpoints, Google, GoogleKms, KeyName, KeyVersionName, TokenSource};

const RING: &str = "projects/demo-prod/locations/europe-west1/keyRings/curfew";

/// Who has all permissions in the project, by a token that the seed fixes.
const OWNER: &str = "olga@example.com";
const INTAKE: &str = "intake@demo-curfew.iam.gserviceaccount.com";

#[tokio::test]
async fn signatures_verify_with_the_published_key() {
    let place = Place::new().await;
    place.key("intake", "ASYMMETRIC_SIGN", "EC_SIGN_P256_SHA256").await;
    let kms = place.kms(OWNER);
    let version = version("intake", 1);
    let public = der(&kms.public_key(&version).await.unwrap().pem);
    let signer = kms.signer(version);
    // Both numbers of a signature begin with a zero byte now and then, which DER leaves out.
    for n in 0..300_u32 {
        let message = format!("message {n}");
        let signature = signer.sign_message(message.as_bytes()).await.unwrap();
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &public);
        key.verify(message.as_bytes(), &signature).unwrap();
    }
}

#[tokio::test]
async fn what_was_wrapped_opens_with_the_same_key_and_context_through_rotations() {
    let place = Place::new().await;
    place.key("facts", "ENCRYPT_DECRYPT", "GOOGLE_SYMMETRIC_ENCRYPTION").await;
    place.key("other", "ENCRYPT_DECRYPT", "GOOGLE_SYMMETRIC_ENCRYPTION").await;
    let (kms, facts, other) = (place.kms(OWNER), key("facts"), key("other"));
    let wrapped = kms.encrypt(&facts, &[7; 32], b"prod").await.unwrap();
    assert_eq!(kms.decrypt(&facts, &wrapped, b"prod").await.unwrap().as_slice(), [7; 32]);
    for wrong in [
        kms.decrypt(&facts, &wrapped, b"test").await,
        kms.decrypt(&other, &wrapped, b"prod").await,
        kms.decrypt(&facts, &wrapped[1..], b"prod").await,
    ] {
        assert_eq!(wrong.unwrap_err().class, RetryClass::Invalid);
    }
    place.post("cryptoKeys/facts/cryptoKeyVersions", json!({})).await;
    place.post("cryptoKeys/facts:updatePrimaryVersion", json!({"cryptoKeyVersionId": "2"})).await;
    assert_ne!(kms.encrypt(&facts, &[7; 32], b"prod").await.unwrap(), wrapped);
    assert_eq!(kms.decrypt(&facts, &wrapped, b"prod").await.unwrap().as_slice(), [7; 32]);
    place.disable("facts", 1).await;
    let error = kms.decrypt(&facts, &wrapped, b"prod").await.unwrap_err();
    assert_eq!(error.class, RetryClass::Conflict, "{}", error.chain());
}

#[tokio::test]
async fn who_may_use_a_mac_key_derives_the_same_secret() {
    let place = Place::new().await;
    place.key("forms", "MAC", "HMAC_SHA256").await;
    let (here, there) = (place.kms(OWNER), place.kms(OWNER));
    let derive = async |kms: &GoogleKms, data| kms.mac(&version("forms", 1), data).await.unwrap();
    assert_eq!(derive(&here, b"forms of prod").await, derive(&there, b"forms of prod").await);
    assert_ne!(derive(&here, b"forms of prod").await, derive(&here, b"forms of test").await);
    assert_eq!(derive(&here, b"").await.len(), 32);
}

#[tokio::test]
async fn a_key_that_cannot_be_used_says_why() {
    let place = Place::new().await;
    place.key("intake", "ASYMMETRIC_SIGN", "EC_SIGN_P256_SHA256").await;
    place.key("ed", "ASYMMETRIC_SIGN", "EC_SIGN_ED25519").await;
    let (owner, intake) = (place.kms(OWNER), place.kms(INTAKE));
    let sign = async |kms: &GoogleKms, version: KeyVersionName| {
        kms.signer(version).sign_message(b"m").await.unwrap_err()
    };
    let denied = sign(&intake, version("intake", 1)).await;
    assert_eq!(denied.class, RetryClass::Denied);
    assert!(denied.act.contains("cloudkms.cryptoKeyVersions.useToSign"), "{}", denied.act);
    assert_eq!(sign(&owner, version("intake", 2)).await.class, RetryClass::NotFound);
    assert_eq!(sign(&owner, version("ed", 1)).await.class, RetryClass::Invalid);
    let other = owner.public_key(&version("ed", 1)).await.unwrap_err();
    assert!(other.act.contains("EC_SIGN_ED25519"), "{}", other.act);
    place.disable("intake", 1).await;
    let disabled = sign(&owner, version("intake", 1)).await;
    assert_eq!(disabled.class, RetryClass::Conflict);
    assert!(disabled.act.contains("DISABLED"), "{}", disabled.act);
}

/// A simulated cloud with a key ring.
struct Place {
    cloud: Cloud,
    url: String,
    token: String,
}

impl Place {
    async fn new() -> Self {
        let cloud = Cloud::open(Options::default()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(cloud.clone().serve(listener, CancellationToken::new()));
        let token = cloud.token_for(OWNER).unwrap();
        let place = Self { cloud, url, token };
        let (location, _) = RING.rsplit_once("/keyRings").unwrap();
        place.send("POST", &format!("{location}/keyRings?keyRingId=curfew"), json!({})).await;
        place
    }

    async fn key(&self, id: &str, purpose: &str, algorithm: &str) {
        let body = json!({"purpose": purpose, "versionTemplate": {"algorithm": algorithm}});
        self.post(&format!("cryptoKeys?cryptoKeyId={id}"), body).await;
    }

    async fn disable(&self, id: &str, number: u32) {
        let version = version(id, number);
        let path = format!("{version}?updateMask=state");
        self.send("PATCH", &path, json!({"state": "DISABLED"})).await;
    }

    async fn post(&self, below: &str, body: Value) {
        self.send("POST", &format!("{RING}/{below}"), body).await;
    }

    async fn send(&self, method: &str, path: &str, body: Value) {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = client.request(method.parse().unwrap(), format!("{}/v1/{path}", self.url));
        let answer = request.bearer_auth(&self.token).json(&body).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.text().await.unwrap());
    }

    fn kms(&self, account: &str) -> GoogleKms {
        let tokens = TokenSource::Fixed(self.cloud.token_for(account).unwrap());
        let endpoints = Endpoints::all_at(&self.url);
        let config = Config { endpoints, tokens, ..Config::default() };
        Google::with_patience(config, quick()).unwrap().kms()
    }
}

fn key(id: &str) -> KeyName {
    KeyName::parse(&format!("{RING}/cryptoKeys/{id}")).unwrap()
}

fn version(id: &str, number: u32) -> KeyVersionName {
    KeyVersionName::parse(&format!("{}/cryptoKeyVersions/{number}", key(id))).unwrap()
}

fn der(pem: &str) -> Vec<u8> {
    let lines: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    STANDARD.decode(lines).unwrap()
}
