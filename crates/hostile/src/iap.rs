//! Assertions of IAP and the keys that verify them: nobody is signed in whom the published keys do not vouch for.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _,
    UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use curfew_ports::Clock;
use curfew_trust::iap::ASSERTION_HEADER;
use curfew_trust::{Assertion, IapConfig, IapVerifier};
use reqwest::header::{HeaderMap, HeaderValue};
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use crate::choices::{Choices, damage};

const AUDIENCE: &str = "/projects/1/locations/europe-west1/services/curfew";

/// When everything here happens.
const NOW_S: i64 = 1_800_000_000;

/// How far IAP's clock may be off, and how long its assertions live, seconds.
const SKEW_S: i64 = 30;
const LIFETIME_MAX_S: i64 = 600;

const FRAGMENTS: &[&str] = &[
    ".",
    "..",
    "=",
    "A",
    "_",
    "-",
    "eyJhbGciOiJub25lIn0",
    "\"",
    "{",
    "}",
    ",",
    ":",
    "[",
    "]",
    "null",
    "0",
    "k1",
    "k2",
    "\"alg\":\"none\"",
    "\"alg\":\"HS256\",",
    "\"crit\":[\"b64\"],",
    "\"kid\":\"k2\",",
    "\"jku\":\"http://127.0.0.1/\",",
    "1800000000",
    "1800000631",
    "-1",
    "1e10",
    "\"hd\":\"x.org\",",
    "accounts.google.com:",
    "sub",
    "aud",
    "\\u0000",
    "é",
    "\"exp\":9999999999,",
    "\"iat\":0,",
    "robot@p.iam.gserviceaccount.com",
    "P-384",
    "RSA",
    "enc",
    "\"use\":\"enc\",",
];

/// A token in some form: damaged, signed with claims that are damaged, or the bytes themselves.
pub fn check_assertion(data: &[u8]) -> bool {
    static FRONT: LazyLock<Front> = LazyLock::new(|| Front::publishing(good_keys().to_string()));
    let mut choices = Choices::new(data);
    let (header, claims) = (header("k1").to_string(), claims().to_string());
    let token = match choices.below(4) {
        0 => choices.rest().to_vec(),
        1 => damage(&KEYS[0].token(&header, &claims), FRAGMENTS, 3, &mut choices).into_bytes(),
        2 => KEYS[0].token(&damage(&header, FRAGMENTS, 2, &mut choices), &claims).into_bytes(),
        _ => KEYS[0].token(&header, &damage(&claims, FRAGMENTS, 3, &mut choices)).into_bytes(),
    };
    let Ok(value) = HeaderValue::from_bytes(&token) else { return false };
    let Some(assertion) = FRONT.verify(value) else { return false };
    let token = String::from_utf8_lossy(&token);
    check_accepted(&token, &assertion, &KEYS[0]);
    true
}

/// A published set of keys, damaged: whoever is signed in by it is so by a key that stands in it.
pub fn check_keys(data: &[u8]) -> bool {
    let mut choices = Choices::new(data);
    let body = match choices.below(4) {
        0 => String::from_utf8_lossy(choices.rest()).into_owned(),
        _ => damage(&good_keys().to_string(), FRAGMENTS, 3, &mut choices),
    };
    let front = Front::publishing(body.clone());
    let mut any = false;
    for (key, id) in [(0, "k1"), (1, "k1"), (1, "k2"), (0, "k2")] {
        let key = &KEYS[key];
        let token = key.token(&header(id).to_string(), &claims().to_string());
        let value = HeaderValue::from_str(&token).expect("a token is a header");
        if let Some(assertion) = front.verify(value) {
            check_accepted(&token, &assertion, key);
            assert!(vouches(&body, id, key), "{id} is not published so: {body:?}");
            any = true;
        }
    }
    any
}

/// What the standards and IAP's documentation ask of a token, read by other means.
fn check_accepted(token: &str, assertion: &Assertion, key: &Key) {
    let [header, payload, signature] = token.split('.').collect::<Vec<_>>()[..] else {
        panic_with("not three parts", token)
    };
    let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).unwrap_or_default();
    let signed = format!("{header}.{payload}");
    let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &key.public);
    let is_signed = public.verify(signed.as_bytes(), &decoded(signature)).is_ok();
    assert!(is_signed, "nobody signed {token:?}");

    let header: Value = serde_json::from_slice(&decoded(header)).expect("a header in JSON");
    assert_eq!(header["alg"], "ES256", "{header}");
    for foreign in ["crit", "jku", "jwk", "x5u", "x5c", "b64", "enc", "zip"] {
        assert!(header[foreign].is_null(), "{header}");
    }
    let claims: Value = serde_json::from_slice(&decoded(payload)).expect("claims in JSON");
    assert_eq!(
        (&claims["iss"], &claims["aud"]),
        (&json!("https://cloud.google.com/iap"), &json!(AUDIENCE))
    );
    let (issued, expires) = (claims["iat"].as_i64(), claims["exp"].as_i64());
    let (issued, expires) = (issued.expect("a number"), expires.expect("a number"));
    assert!(issued <= NOW_S + SKEW_S && NOW_S < expires + SKEW_S, "{claims}");
    assert!(expires.saturating_sub(issued) <= LIFETIME_MAX_S + SKEW_S, "{claims}");
    let id = claims["sub"].as_str().and_then(|sub| sub.strip_prefix("accounts.google.com:"));
    assert!(
        id.is_some_and(|id| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit())),
        "{claims}"
    );
    assert_eq!(Some(assertion.person.subject.as_str()), claims["sub"].as_str());
    // Service accounts pass IAP as people do; what they may ask for is judged elsewhere.
    let address = claims["email"].as_str().expect("an address");
    let address = address.strip_prefix("accounts.google.com:").unwrap_or(address);
    assert_eq!(assertion.person.email.as_str(), address.to_ascii_lowercase(), "{claims}");
    assert_eq!(assertion.expires_at.timestamp(), expires);
}

/// Whether the set holds this key under this id, for ES256 signatures.
fn vouches(body: &str, id: &str, key: &Key) -> bool {
    let Ok(set) = serde_json::from_str::<Value>(body) else { return false };
    let (x, y) = key.coordinates();
    let absent_or = |value: &Value, text: &str| value.is_null() || value == text;
    set["keys"].as_array().into_iter().flatten().any(|it| {
        it["kid"] == id
            && it["kty"] == "EC"
            && it["crv"] == "P-256"
            && (&it["x"], &it["y"]) == (&json!(x), &json!(y))
            && absent_or(&it["use"], "sig")
            && absent_or(&it["alg"], "ES256")
    })
}

#[expect(clippy::panic, reason = "this is how a fuzz target says what it found")]
fn panic_with(what: &str, token: &str) -> ! {
    panic!("accepted, and {what}: {token:?}")
}

fn header(id: &str) -> Value {
    json!({"alg": "ES256", "typ": "JWT", "kid": id})
}

fn claims() -> Value {
    json!({
        "iss": "https://cloud.google.com/iap", "aud": AUDIENCE, "sub": "accounts.google.com:117",
        "email": "alice@example.com", "iat": NOW_S, "exp": NOW_S + LIFETIME_MAX_S, "hd": "example.com",
    })
}

fn good_keys() -> Value {
    let entry = |id: &str, key: &Key| {
        let (x, y) = key.coordinates();
        json!({"kid": id, "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "x": x, "y": y})
    };
    let rsa =
        json!({"kid": "r", "kty": "RSA", "alg": "RS256", "use": "sig", "n": "AQAB", "e": "AQAB"});
    json!({"keys": [entry("k1", &KEYS[0]), rsa, entry("k2", &KEYS[1])]})
}

static KEYS: LazyLock<[Key; 2]> = LazyLock::new(|| [Key::new(), Key::new()]);

struct Key {
    pair: EcdsaKeyPair,
    /// `04 x y`
    public: Vec<u8>,
}

impl Key {
    fn new() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a fresh key");
        Self { public: pair.public_key().as_ref().to_vec(), pair }
    }

    fn coordinates(&self) -> (String, String) {
        let (x, y) = self.public[1..].split_at(32);
        (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y))
    }

    fn token(&self, header: &str, claims: &str) -> String {
        let signed =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature =
            self.pair.sign(&SystemRandom::new(), signed.as_bytes()).expect("a signature");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// A verifier, and the server on loopback that publishes its keys.
struct Front {
    verifier: IapVerifier,
    runtime: Mutex<Runtime>,
}

impl Front {
    fn publishing(body: String) -> Self {
        let config = IapConfig {
            audience: AUDIENCE.to_owned(),
            hosted_domains: Vec::new(),
            key_url: serve(body),
        };
        let verifier = IapVerifier::new(config, Arc::new(Still)).expect("a good configuration");
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        Self { verifier, runtime: Mutex::new(runtime) }
    }

    fn verify(&self, token: HeaderValue) -> Option<Assertion> {
        let headers = HeaderMap::from_iter([(ASSERTION_HEADER.parse().ok()?, token)]);
        let now = Still.now();
        let runtime = self.runtime.lock().unwrap_or_else(PoisonError::into_inner);
        runtime.block_on(self.verifier.verify(&headers, now)).ok()
    }
}

/// Serves one answer to one caller, which is as often as a verifier with this clock asks; a caller that does not come
/// costs a thread that waits.
fn serve(body: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        let Ok((stream, _)) = listener.accept() else { return };
        drop(answer(stream, &body));
    });
    format!("http://{address}/keys")
}

fn answer(mut stream: TcpStream, body: &str) -> std::io::Result<()> {
    let mut asked = Vec::new();
    let mut buffer = [0; 1024];
    while !asked.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            n => asked.extend_from_slice(&buffer[..n]),
        }
    }
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())
}

/// A clock that stands still.
struct Still;

impl Clock for Still {
    fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp(NOW_S, 0).expect("a time")
    }

    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runs::{corpus, seeded};

    #[test]
    fn nobody_is_signed_in_whom_the_key_does_not_vouch_for() {
        let accepted = seeded(0x1a9, 5_000, 60).filter(|data| check_assertion(data)).count();
        assert!(accepted > 100, "{accepted}: the damage is too great to test anything");
        for data in corpus("iap") {
            check_assertion(&data);
        }
    }

    #[test]
    fn only_published_keys_sign_anybody_in() {
        let accepted = seeded(0x3e75, 150, 40).filter(|data| check_keys(data)).count();
        assert!(accepted > 20, "{accepted}: the damage is too great to test anything");
        for data in corpus("jwks") {
            check_keys(&data);
        }
    }

    #[test]
    fn a_key_vouches_for_its_own_id_only() {
        let front = Front::publishing(good_keys().to_string());
        let signed_in = |key: usize, id: &str| {
            let token = KEYS[key].token(&header(id).to_string(), &claims().to_string());
            front.verify(HeaderValue::from_str(&token).unwrap()).is_some()
        };
        assert_eq!([signed_in(0, "k1"), signed_in(1, "k2")], [true, true]);
        assert_eq!([signed_in(0, "k2"), signed_in(1, "k1"), signed_in(0, "r")], [false; 3]);
    }
}
