//! A stand-in for IAP: a key, and a loopback server that publishes it.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use axum::Router;
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

pub(super) const AUDIENCE: &str = "/projects/1/locations/europe-west1/services/curfew";

pub(super) struct Front {
    pair: EcdsaKeyPair,
    pub(super) url: String,
}

impl Front {
    pub(super) async fn start() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let point = pair.public_key().as_ref();
        let keys = json!({"keys": [{
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "k1",
            "x": URL_SAFE_NO_PAD.encode(&point[1..33]), "y": URL_SAFE_NO_PAD.encode(&point[33..65]),
        }]});
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        let routes =
            Router::new().route("/keys", get(move || std::future::ready(keys.to_string())));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { pair, url }
    }

    /// What IAP says of `name@example.com`.
    pub(super) fn claims(name: &str, now_s: i64) -> Value {
        let id: u64 = name.bytes().fold(1, |id, byte| id * 31 % 1_000_003 + u64::from(byte));
        json!({
            "iss": "https://cloud.google.com/iap", "aud": AUDIENCE, "sub": format!("accounts.google.com:{id}"),
            "email": format!("{name}@example.com"), "iat": now_s, "exp": now_s + 600,
        })
    }

    pub(super) fn token(&self, claims: &Value) -> String {
        let header = json!({"alg": "ES256", "typ": "JWT", "kid": "k1"}).to_string();
        let signed = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header),
            URL_SAFE_NO_PAD.encode(claims.to_string())
        );
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }
}
