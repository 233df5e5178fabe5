//! Fetching keys: rarely, by one caller at a time, and never at the cost of keys that are held.

use std::sync::Arc;

use serde_json::json;

use super::front::{Front, Key, NOW_S};
use crate::iap::IapError;

#[tokio::test]
async fn twenty_cold_verifications_fetch_once() {
    let front = Arc::new(Front::start().await);
    let held = front.server.hold_answers();
    let verifications: Vec<_> = (0..20)
        .map(|n| {
            let front = Arc::clone(&front);
            let mut claims = front.claims();
            claims["sub"] = json!(format!("accounts.google.com:{n}"));
            tokio::spawn(async move { front.verify(&front.token(&claims)).await })
        })
        .collect();
    front.server.was_asked(1).await;
    drop(held);
    for verification in verifications {
        verification.await.unwrap().unwrap();
    }
    assert_eq!(front.server.n_asked(), 1);
}

#[tokio::test]
async fn invented_key_ids_fetch_once_a_minute() {
    let front = Front::start().await;
    front.verify(&front.token(&front.claims())).await.unwrap();
    for n in 0..10 {
        let invented = Key::new(&format!("invented-{n}")).token(&front.claims().to_string());
        assert!(matches!(front.verify(&invented).await, Err(IapError::UnknownKey)));
    }
    assert_eq!(front.server.n_asked(), 1);
    front.pass(60);
    let invented = Key::new("invented").token(&front.claims().to_string());
    assert!(matches!(front.verify(&invented).await, Err(IapError::UnknownKey)));
    assert!(matches!(front.verify(&invented).await, Err(IapError::UnknownKey)));
    assert_eq!(front.server.n_asked(), 2);
}

#[tokio::test]
async fn a_new_key_is_found_after_a_minute_at_most() {
    let front = Front::start().await;
    front.verify(&front.token(&front.claims())).await.unwrap();
    let next = Key::new("k2");
    front.server.publish(&[&front.key, &next]);
    let token = next.token(&front.claims().to_string());
    front.pass(59);
    assert!(matches!(front.verify(&token).await, Err(IapError::UnknownKey)));
    front.pass(1);
    front.verify(&token).await.unwrap();
}

#[tokio::test]
async fn old_keys_stay_when_a_fetch_fails() {
    let front = Front::start().await;
    front.verify(&front.token(&front.claims())).await.unwrap();
    for (status, body) in
        [("500 Internal Server Error", "{}"), ("200 OK", "{\"keys\": []}"), ("200 OK", "<html>")]
    {
        front.server.answer_with(status, body);
        front.pass(60);
        let unknown = Key::new("k2").token(&front.claims().to_string());
        assert!(matches!(front.verify(&unknown).await, Err(IapError::KeysUnavailable)), "{body}");
        let mut claims = front.claims();
        claims["nonce"] = json!(body);
        front.verify(&front.token(&claims)).await.unwrap();
    }
}

#[tokio::test]
async fn without_keys_nobody_is_refused_for_good() {
    let front = Front::start().await;
    let token = front.token(&front.claims());
    let long =
        format!("{{\"keys\": [{}], \"pad\": \"{}\"}}", front.key.jwk(), "x".repeat(5_000_000));
    let faults: [&dyn Fn(); 5] = [
        &|| front.server.break_down(),
        &|| front.server.answer_with("200 OK", &long),
        &|| front.server.answer_with("302 Found", &json!({"keys": [front.key.jwk()]}).to_string()),
        &|| front.server.answer_with("200 OK", "{\"keys\": {}}"),
        &|| front.server.publish(&[&front.key, &front.key]),
    ];
    for (n, fault) in faults.into_iter().enumerate() {
        fault();
        let asked = front.server.n_asked();
        let answer = front.verify(&token).await;
        assert!(matches!(answer, Err(IapError::KeysUnavailable)), "fault {n}: {answer:?}");
        assert!(front.verify(&token).await.is_err());
        assert_eq!(
            front.server.n_asked(),
            asked + 1,
            "fault {n}: followed a redirect or asked again at once"
        );
        front.pass(5);
    }
    front.server.publish(&[&front.key]);
    front.verify(&token).await.unwrap();
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_the_fetch_to_the_others() {
    let front = Front::start().await;
    let token = front.token(&front.claims());
    let held = front.server.hold_answers();
    tokio::select! {
        biased;
        answer = front.verify(&token) => panic!("answered without keys: {answer:?}"),
        () = front.server.was_asked(1) => {}
    }
    drop(held);
    front.verify(&token).await.unwrap();
    assert_eq!(front.server.n_asked(), 1);
}

#[tokio::test]
async fn a_withdrawn_key_stops_counting() {
    let front = Front::start().await;
    front.verify(&front.token(&front.claims())).await.unwrap();
    front.server.publish(&[&Key::new("k2")]);
    front.pass(3_600);
    let mut refused = false;
    for n in 0..10_000 {
        let mut claims = front.claims();
        claims["nonce"] = json!(n);
        refused = front.verify_at(&front.token(&claims), NOW_S).await.is_err();
        if refused {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert!(refused, "the key still counts after it was withdrawn and renewed");
    assert_eq!(front.server.n_asked(), 2);
}

#[tokio::test]
async fn keys_of_other_kinds_are_skipped() {
    let front = Front::start().await;
    let mut encryption = Key::new("k2").jwk();
    encryption["use"] = json!("enc");
    let mut curve = Key::new("k3").jwk();
    curve["crv"] = json!("P-384");
    let keys = json!({"keys": [
        {"kty": "RSA", "kid": "r", "n": "AQAB", "e": "AQAB", "alg": "RS256"}, {"kty": "new"}, encryption, curve, 7, front.key.jwk(),
    ]});
    front.server.answer_with("200 OK", &keys.to_string());
    front.verify(&front.token(&front.claims())).await.unwrap();
}
