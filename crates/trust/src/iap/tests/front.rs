//! A stand-in for IAP: a key server on loopback with faults, and a signer of anything.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use curfew_ports::Clock;
use reqwest::header::{HeaderMap, HeaderValue};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore};

use crate::iap::{ASSERTION_HEADER, Assertion, IapConfig, IapError, IapVerifier};

pub(super) const AUDIENCE: &str = "/projects/1/locations/europe-west1/services/curfew";
pub(super) const NOW_S: i64 = 1_800_000_000;

/// Longer than any step of a test takes; only a hanging test gets there.
const DEADLINE: Duration = Duration::from_secs(20);

pub(super) struct Front {
    pub(super) verifier: Arc<IapVerifier>,
    pub(super) server: Arc<Server>,
    pub(super) key: Key,
    clock: Arc<FakeClock>,
    url: String,
}

impl Front {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        let key = Key::new("k1");
        let server = Arc::new(Server::serving(&[&key]));
        tokio::spawn(Arc::clone(&server).run(listener));
        let clock = Arc::new(FakeClock::default());
        let verifier = Arc::new(verifier(&url, &[], &clock));
        Self { verifier, server, key, clock, url }
    }

    pub(super) fn with_domains(mut self, domains: &[&str]) -> Self {
        self.verifier = Arc::new(verifier(&self.url, domains, &self.clock));
        self
    }

    pub(super) fn pass(&self, seconds: u64) {
        self.clock.seconds.fetch_add(seconds, Ordering::SeqCst);
    }

    /// What IAP says of alice.
    #[expect(clippy::unused_self, reason = "reads as the front's")]
    pub(super) fn claims(&self) -> Value {
        json!({
            "iss": "https://cloud.google.com/iap", "aud": AUDIENCE, "sub": "accounts.google.com:117",
            "email": "alice@example.com", "iat": NOW_S, "exp": NOW_S + 600,
        })
    }

    pub(super) fn token(&self, claims: &Value) -> String {
        self.key.token(&claims.to_string())
    }

    pub(super) async fn verify(&self, token: &str) -> Result<Assertion, IapError> {
        self.verify_at(token, NOW_S).await
    }

    pub(super) async fn verify_at(&self, token: &str, now_s: i64) -> Result<Assertion, IapError> {
        let mut headers = HeaderMap::new();
        headers.insert(ASSERTION_HEADER, HeaderValue::from_str(token).unwrap());
        self.verify_headers(&headers, now_s).await
    }

    pub(super) async fn verify_headers(
        &self,
        headers: &HeaderMap,
        now_s: i64,
    ) -> Result<Assertion, IapError> {
        tokio::time::timeout(DEADLINE, self.verifier.verify(headers, at(now_s))).await.unwrap()
    }
}

/// A private key with its id.
pub(super) struct Key {
    pub(super) id: String,
    pub(super) pair: EcdsaKeyPair,
}

impl Key {
    pub(super) fn new(id: &str) -> Self {
        Self {
            id: id.into(),
            pair: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
        }
    }

    pub(super) fn jwk(&self) -> Value {
        let point = self.pair.public_key().as_ref();
        let coordinate = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        json!({
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": self.id,
            "x": coordinate(&point[1..33]), "y": coordinate(&point[33..65]),
        })
    }

    /// A token of these claims, as they stand.
    pub(super) fn token(&self, claims: &str) -> String {
        self.token_with(&json!({"alg": "ES256", "typ": "JWT", "kid": self.id}).to_string(), claims)
    }

    pub(super) fn token_with(&self, header: &str, claims: &str) -> String {
        let signed =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }
}

/// Serves a key set over HTTP/1.1, one answer per connection.
pub(super) struct Server {
    answer: Mutex<Vec<u8>>,
    pub(super) n_asked: AtomicUsize,
    asked: Notify,
    gate: Semaphore,
}

impl Server {
    fn serving(keys: &[&Key]) -> Self {
        let server = Self {
            answer: Mutex::default(),
            n_asked: AtomicUsize::new(0),
            asked: Notify::new(),
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
        };
        server.publish(keys);
        server
    }

    pub(super) fn publish(&self, keys: &[&Key]) {
        let keys: Vec<Value> = keys.iter().map(|key| key.jwk()).collect();
        self.answer_with("200 OK", &json!({ "keys": keys }).to_string());
    }

    pub(super) fn answer_with(&self, status: &str, body: &str) {
        let head =
            format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n", body.len());
        *self.answer.lock().unwrap() =
            format!("{head}location: /elsewhere\r\n\r\n{body}").into_bytes();
    }

    pub(super) fn break_down(&self) {
        self.answer.lock().unwrap().clear();
    }

    pub(super) fn n_asked(&self) -> usize {
        self.n_asked.load(Ordering::SeqCst)
    }

    /// No answer leaves until the returned guard is dropped.
    pub(super) fn hold_answers(&self) -> tokio::sync::SemaphorePermit<'_> {
        self.gate
            .try_acquire_many(u32::try_from(Semaphore::MAX_PERMITS >> 3).unwrap_or(u32::MAX))
            .unwrap()
    }

    /// Waits until the server was asked this often.
    pub(super) async fn was_asked(&self, n: usize) {
        let wait = async {
            while self.n_asked() < n {
                self.asked.notified().await;
            }
        };
        tokio::time::timeout(DEADLINE, wait).await.unwrap();
    }

    async fn run(self: Arc<Self>, listener: TcpListener) {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(Arc::clone(&self).answer_one(stream));
        }
    }

    async fn answer_one(self: Arc<Self>, mut stream: TcpStream) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        self.n_asked.fetch_add(1, Ordering::SeqCst);
        self.asked.notify_one();
        let _open = self.gate.acquire().await.unwrap();
        let answer = self.answer.lock().unwrap().clone();
        // The client hangs up on an answer that is too long.
        drop(stream.write_all(&answer).await);
    }
}

#[derive(Default)]
struct FakeClock {
    seconds: AtomicU64,
}

impl Clock for FakeClock {
    fn now(&self) -> DateTime<Utc> {
        at(NOW_S)
    }

    fn elapsed(&self) -> Duration {
        Duration::from_secs(self.seconds.load(Ordering::SeqCst))
    }
}

pub(super) fn clock() -> Arc<dyn Clock> {
    Arc::new(FakeClock::default())
}

pub(super) fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap()
}

fn verifier(url: &str, domains: &[&str], clock: &Arc<FakeClock>) -> IapVerifier {
    let hosted_domains = domains.iter().map(ToString::to_string).collect();
    let config = IapConfig { audience: AUDIENCE.into(), hosted_domains, key_url: url.into() };
    let clock: Arc<FakeClock> = Arc::clone(clock);
    IapVerifier::new(config, clock).unwrap()
}
