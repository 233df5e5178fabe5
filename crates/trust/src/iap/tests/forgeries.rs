//! Assertions that are not IAP's, or not for us, or not now: each is refused, and for its reason.

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::header::{HeaderMap, HeaderValue};
use serde_json::{Value, json};

use super::front::{AUDIENCE, Front, Key, NOW_S};
use crate::iap::ASSERTION_HEADER;
use crate::iap::verdicts::Verdicts;

#[tokio::test]
async fn forged_claims_are_refused() {
    let front = Front::start().await;
    let cases: [(&str, Value, &str); 32] = [
        ("iss", json!("https://accounts.google.com"), "WRONG_ISSUER"),
        ("iss", json!("https://cloud.google.com/iap/"), "WRONG_ISSUER"),
        ("iss", json!(["https://cloud.google.com/iap"]), "MALFORMED"),
        ("iss", Value::Null, "MALFORMED"),
        ("aud", json!("/projects/1/locations/europe-west1/services/other"), "WRONG_AUDIENCE"),
        ("aud", json!("/projects/1"), "WRONG_AUDIENCE"),
        ("aud", json!(format!("{AUDIENCE}/")), "WRONG_AUDIENCE"),
        ("aud", json!([AUDIENCE]), "MALFORMED"),
        ("aud", json!([AUDIENCE, "other"]), "MALFORMED"),
        ("aud", json!(""), "WRONG_AUDIENCE"),
        ("aud", Value::Null, "MALFORMED"),
        ("exp", json!(NOW_S - 30), "EXPIRED"),
        ("exp", json!(NOW_S + 631), "LIFETIME_TOO_LONG"),
        ("exp", json!(NOW_S + 3_600), "LIFETIME_TOO_LONG"),
        ("exp", json!(i64::MAX), "LIFETIME_TOO_LONG"),
        ("exp", json!((NOW_S + 600).to_string()), "MALFORMED"),
        ("exp", json!(1.8e9), "MALFORMED"),
        ("exp", Value::Null, "MALFORMED"),
        ("iat", json!(NOW_S + 31), "NOT_YET_VALID"),
        ("iat", json!(i64::MIN), "LIFETIME_TOO_LONG"),
        ("iat", Value::Null, "MALFORMED"),
        ("nbf", json!(NOW_S + 31), "NOT_YET_VALID"),
        ("sub", Value::Null, "MALFORMED"),
        ("sub", json!("117"), "NOT_A_PERSON"),
        ("sub", json!("accounts.google.com:"), "NOT_A_PERSON"),
        ("sub", json!("accounts.google.com:117 "), "NOT_A_PERSON"),
        ("sub", json!("sts.google.com:117"), "NOT_A_PERSON"),
        ("email", Value::Null, "MALFORMED"),
        ("email", json!("alice"), "MALFORMED"),
        ("email", json!("аlice@example.com"), "MALFORMED"),
        ("email", json!("alice@example.com,bob@example.com"), "MALFORMED"),
        ("google", json!({"access_levels": "office"}), "MALFORMED"),
    ];
    for (claim, value, expected) in cases {
        let mut claims = front.claims();
        claims[claim] = value.clone();
        assert_eq!(refusal(&front, &front.token(&claims)).await, expected, "{claim} = {value}");
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(claim);
            assert_eq!(refusal(&front, &front.token(&claims)).await, expected, "without {claim}");
        }
    }
}

#[tokio::test]
async fn a_claim_that_stands_twice_is_refused() {
    let front = Front::start().await;
    for claim in ["iss", "aud", "sub", "email", "exp", "iat"] {
        let claims = front.claims();
        let text =
            claims.to_string().replacen('{', &format!("{{\"{claim}\":{},", claims[claim]), 1);
        assert_eq!(refusal(&front, &front.key.token(&text)).await, "MALFORMED", "{claim}");
    }
    for text in ["", "null", "[]", "{}", "{\"exp\":1", "\u{feff}{}"] {
        assert_eq!(refusal(&front, &front.key.token(text)).await, "MALFORMED", "{text}");
    }
}

#[tokio::test]
async fn forged_headers_are_refused() {
    let front = Front::start().await;
    let cases = [
        (json!({"alg": "none", "kid": "k1"}), "MALFORMED"),
        (json!({"alg": "NONE", "kid": "k1"}), "MALFORMED"),
        (json!({"alg": "es256", "kid": "k1"}), "MALFORMED"),
        (json!({"alg": ["ES256"], "kid": "k1"}), "MALFORMED"),
        (json!({"kid": "k1"}), "MALFORMED"),
        (json!({"alg": "HS256", "kid": "k1"}), "ALGORITHM"),
        (json!({"alg": "RS256", "kid": "k1"}), "ALGORITHM"),
        (json!({"alg": "ES384", "kid": "k1"}), "ALGORITHM"),
        (json!({"alg": "EdDSA", "kid": "k1"}), "ALGORITHM"),
        (json!({"alg": "ES256"}), "KEY_ID_MISSING"),
        (json!({"alg": "ES256", "kid": ""}), "KEY_ID_MISSING"),
        (json!({"alg": "ES256", "kid": "k2"}), "UNKNOWN_KEY"),
        (json!({"alg": "ES256", "kid": "K1"}), "UNKNOWN_KEY"),
        (json!({"alg": "ES256", "kid": "../k1"}), "UNKNOWN_KEY"),
        (json!({"alg": "ES256", "kid": 1}), "MALFORMED"),
        (json!({"alg": "ES256", "kid": "k1", "jku": "http://127.0.0.1:1/"}), "HEADER_NOT_ALLOWED"),
        (json!({"alg": "ES256", "kid": "k1", "x5u": "http://127.0.0.1:1/"}), "HEADER_NOT_ALLOWED"),
        (json!({"alg": "ES256", "kid": "k1", "x5c": ["MA=="]}), "HEADER_NOT_ALLOWED"),
        (json!({"alg": "ES256", "kid": "k1", "jwk": Key::new("k1").jwk()}), "HEADER_NOT_ALLOWED"),
        (json!({"alg": "ES256", "kid": "k1", "crit": ["exp"]}), "HEADER_NOT_ALLOWED"),
        (json!({"alg": "ES256", "kid": "k1", "b64": false}), "HEADER_NOT_ALLOWED"),
        (json!({"alg": "ES256", "kid": "k1", "zip": "DEF"}), "HEADER_NOT_ALLOWED"),
    ];
    for (header, expected) in cases {
        let token = front.key.token_with(&header.to_string(), &front.claims().to_string());
        assert_eq!(refusal(&front, &token).await, expected, "{header}");
    }
    let twice = "{\"alg\":\"none\",\"alg\":\"ES256\",\"kid\":\"k1\"}";
    assert_eq!(
        refusal(&front, &front.key.token_with(twice, &front.claims().to_string())).await,
        "MALFORMED"
    );
}

#[tokio::test]
async fn forged_signatures_are_refused() {
    let front = Front::start().await;
    let token = front.token(&front.claims());
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    for bit in 0..512 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let forged = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(flipped));
        assert_eq!(refusal(&front, &forged).await, "BAD_SIGNATURE", "bit {bit}");
    }
    let key = Key::new("k1");
    let der = EcdsaKeyPair::from_pkcs8(
        &ECDSA_P256_SHA256_ASN1_SIGNING,
        front.key.pair.to_pkcs8v1().unwrap().as_ref(),
    )
    .unwrap();
    let der = der.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
    let secret = hmac::Key::new(hmac::HMAC_SHA256, front.key.pair.public_key().as_ref());
    let mut other = front.claims();
    other["email"] = json!("mallory@example.com");
    let other = front.token(&other);
    let forgeries = [
        ("another key under the same id", key.token(&front.claims().to_string())),
        ("DER", format!("{signed}.{}", URL_SAFE_NO_PAD.encode(der.as_ref()))),
        (
            "an HMAC with the public key",
            format!("{signed}.{}", URL_SAFE_NO_PAD.encode(hmac::sign(&secret, signed.as_bytes()))),
        ),
        ("r = s = 0", format!("{signed}.{}", URL_SAFE_NO_PAD.encode([0; 64]))),
        (
            "s = 0",
            format!("{signed}.{}", URL_SAFE_NO_PAD.encode([&bytes[..32], &[0; 32]].concat())),
        ),
        ("nothing", format!("{signed}.")),
        ("padding", format!("{token}==")),
        (
            "the signature of other claims",
            format!("{signed}.{}", other.rsplit_once('.').unwrap().1),
        ),
        ("other claims under the signature", {
            let parts: Vec<&str> = token.split('.').collect();
            format!("{}.{}.{}", parts[0], other.split('.').nth(1).unwrap(), parts[2])
        }),
    ];
    for (name, forged) in forgeries {
        assert_eq!(refusal(&front, &forged).await, "BAD_SIGNATURE", "{name}");
    }
    assert_eq!(front.server.n_asked(), 1);
}

#[tokio::test]
async fn what_is_no_token_is_refused() {
    let front = Front::start().await;
    let token = front.token(&front.claims());
    let cases = [
        ("one part", "abc".to_owned(), "MALFORMED"),
        ("two parts", token.rsplit_once('.').unwrap().0.to_owned(), "MALFORMED"),
        ("four parts", format!("{token}.x"), "MALFORMED"),
        ("a part before", format!("x.{token}"), "MALFORMED"),
        ("a scheme", format!("Bearer {token}"), "MALFORMED"),
        ("two tokens in one header", format!("{token}, {token}"), "MALFORMED"),
        ("a space behind", format!("{token} "), "BAD_SIGNATURE"),
        ("a tab inside", token.replacen('.', "\t.", 1), "MALFORMED"),
        ("8 KiB and a byte", "a".repeat(8 * 1024 + 1), "TOO_LONG"),
        ("empty", String::new(), "MISSING"),
    ];
    for (name, forged, expected) in cases {
        assert_eq!(refusal(&front, &forged).await, expected, "{name}");
    }
}

#[tokio::test]
async fn exactly_one_header_counts_and_no_other_name() {
    let front = Front::start().await;
    let token = HeaderValue::from_str(&front.token(&front.claims())).unwrap();
    let none = HeaderMap::new();
    let mut unsigned = HeaderMap::new();
    unsigned.insert(
        "x-goog-authenticated-user-email",
        HeaderValue::from_static("accounts.google.com:alice@example.com"),
    );
    unsigned.insert(
        "x-goog-authenticated-user-id",
        HeaderValue::from_static("accounts.google.com:117"),
    );
    unsigned.insert("authorization", token.clone());
    let mut two = HeaderMap::new();
    two.append(ASSERTION_HEADER, token.clone());
    two.append("X-Goog-IAP-JWT-Assertion", token.clone());
    let mut second_empty = HeaderMap::new();
    second_empty.append(ASSERTION_HEADER, token);
    second_empty.append(ASSERTION_HEADER, HeaderValue::from_static(""));
    let mut bytes = HeaderMap::new();
    bytes.insert(ASSERTION_HEADER, HeaderValue::from_bytes(b"\xff\xfe").unwrap());
    for (headers, expected) in [
        (none, "MISSING"),
        (unsigned, "MISSING"),
        (two, "REPEATED"),
        (second_empty, "REPEATED"),
        (bytes, "MALFORMED"),
    ] {
        let error = front.verify_headers(&headers, NOW_S).await.unwrap_err();
        assert_eq!(error.as_str(), expected, "{headers:?}");
    }
}

#[test]
fn remembered_verdicts_are_bounded() {
    let claims = |exp: i64| {
        let value = json!({"exp": exp, "iat": 0, "iss": "", "aud": "", "sub": "", "email": ""});
        serde_json::from_value::<crate::iap::claims::Claims>(value).unwrap()
    };
    let digest = |n: u32| curfew_core::id::Digest::of(&n.to_be_bytes());
    let verdicts = Verdicts::default();
    let now = super::at(1_000);
    for n in 0..4_096 {
        verdicts.put(digest(n), claims(if n == 7 { 2_000 } else { 500 }), now);
    }
    verdicts.put(digest(4_096), claims(2_000), now);
    let held: Vec<u32> = (0..=4_096).filter(|n| verdicts.get(&digest(*n)).is_some()).collect();
    assert_eq!(held, [7, 4_096], "what is over goes first");
    for n in 5_000..10_000 {
        verdicts.put(digest(n), claims(2_000), now);
    }
    let held = (0..10_000).filter(|n| verdicts.get(&digest(*n)).is_some()).count();
    assert!((1..=4_096).contains(&held), "{held}");
}

async fn refusal(front: &Front, token: &str) -> &'static str {
    match front.verify(token).await {
        Ok(_) => "accepted",
        Err(error) => error.as_str(),
    }
}
