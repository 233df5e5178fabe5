//! The verifier against a front that serves keys over loopback and signs whatever it is told to.

mod fetching;
mod forgeries;
mod front;

use serde_json::json;

use self::front::{AUDIENCE, Front, NOW_S, at};
use super::{GOOGLE_KEY_URL, IapConfig, IapError, IapVerifier};

#[tokio::test]
async fn an_assertion_of_iap_signs_a_person_in() {
    let front = Front::start().await;
    let mut claims = front.claims();
    claims["hd"] = json!("example.com");
    claims["google"] = json!({"access_levels": ["accessPolicies/1/accessLevels/office"], "device_id": "d-1", "new": 1});
    claims["a claim that nobody reads"] = json!({"deep": [1, 2.5, null]});
    let token = front.token(&claims);
    let assertion = front.verify(&token).await.unwrap();
    assert_eq!(assertion.person.subject.as_str(), "accounts.google.com:117");
    assert_eq!(assertion.person.email.as_str(), "alice@example.com");
    assert_eq!(assertion.expires_at, at(NOW_S + 600));
    let authentication = assertion.authentication;
    assert_eq!(
        authentication.assertion_digest,
        Some(curfew_core::id::Digest::of(token.as_bytes()))
    );
    assert_eq!(authentication.hosted_domain.as_deref(), Some("example.com"));
    assert_eq!(authentication.access_levels, ["accessPolicies/1/accessLevels/office"]);
    assert_eq!(authentication.device_id.as_deref(), Some("d-1"));
    assert_eq!(authentication.issued_at, Some(at(NOW_S)));
}

#[tokio::test]
async fn the_address_may_carry_its_provider_and_is_canonical() {
    let front = Front::start().await;
    let mut claims = front.claims();
    claims["email"] = json!("accounts.google.com:Alice@Example.com");
    assert_eq!(
        front.verify(&front.token(&claims)).await.unwrap().person.email.as_str(),
        "alice@example.com"
    );
}

#[tokio::test]
async fn clocks_may_differ_by_half_a_minute() {
    let front = Front::start().await;
    for (iat, exp) in [(30, 600), (-600, -29), (0, 630)] {
        let mut claims = front.claims();
        claims["iat"] = json!(NOW_S + iat);
        claims["exp"] = json!(NOW_S + exp);
        front
            .verify(&front.token(&claims))
            .await
            .unwrap_or_else(|error| panic!("iat {iat}, exp {exp}: {error}"));
    }
}

#[tokio::test]
async fn a_remembered_assertion_still_expires() {
    let front = Front::start().await;
    let token = front.token(&front.claims());
    front.verify_at(&token, NOW_S).await.unwrap();
    front.verify_at(&token, NOW_S + 629).await.unwrap();
    let late = front.verify_at(&token, NOW_S + 630).await;
    assert!(matches!(late, Err(IapError::Expired)), "{late:?}");
}

#[tokio::test]
async fn a_required_domain_is_required() {
    let front = Front::start().await.with_domains(&["Example.com", "example.org"]);
    for (hd, admitted) in [
        (json!("example.com"), true),
        (json!("EXAMPLE.ORG"), true),
        (json!("evil.example"), false),
        (json!(null), false),
        (json!("example.com.evil.example"), false),
    ] {
        let mut claims = front.claims();
        claims["hd"] = hd.clone();
        assert_eq!(front.verify(&front.token(&claims)).await.is_ok(), admitted, "{hd}");
    }
}

#[tokio::test]
async fn a_service_account_signs_in_as_such_and_its_addresss_domain_stands_for_a_hosted_one() {
    let own = "demo-web.iam.gserviceaccount.com";
    for (domains, admitted) in
        [(&[][..], true), (&["example.com", own], true), (&["example.com"], false)]
    {
        let front = Front::start().await.with_domains(domains);
        let mut claims = front.claims();
        claims["email"] = json!(format!("accounts.google.com:robot@{own}"));
        // Not a claim of IAP's for service accounts: it does not make one a member of a domain.
        claims["hd"] = json!("example.com");
        let verified = front.verify(&front.token(&claims)).await;
        assert_eq!(verified.is_ok(), admitted, "{domains:?}");
        if let Ok(assertion) = verified {
            let principal = assertion.person.principal().to_string();
            assert_eq!(principal, format!("serviceAccount:robot@{own}"));
        }
    }
}

#[test]
fn a_verifier_without_an_audience_is_refused() {
    for audience in ["", " ", "projects/1/apps/x", "/projects/1/apps/x "] {
        let config = IapConfig {
            audience: audience.into(),
            hosted_domains: Vec::new(),
            key_url: GOOGLE_KEY_URL.into(),
        };
        assert!(IapVerifier::new(config, front::clock()).is_err(), "{audience:?}");
    }
}

#[test]
fn keys_come_from_google_or_from_this_machine() {
    let with = |url: &str| {
        let config = IapConfig {
            audience: AUDIENCE.into(),
            hosted_domains: Vec::new(),
            key_url: url.into(),
        };
        IapVerifier::new(config, front::clock())
    };
    for url in
        [GOOGLE_KEY_URL, "http://127.0.0.1:8420/keys", "http://[::1]:1/", "https://127.8.8.8/k"]
    {
        assert!(with(url).is_ok(), "{url}");
    }
    for url in [
        "",
        "keys.json",
        "file:///etc/passwd",
        "http://www.gstatic.com/iap/verify/public_key-jwk",
        "https://evil.example/keys",
        "https://www.gstatic.com/iap/verify/public_key-jwk?x",
        "http://localhost/keys",
        "http://127.0.0.1@evil.example/",
        "http://127.0.0.1.evil.example/",
        "http://10.0.0.1/",
        "http://169.254.169.254/",
        "http://[::ffff:8.8.8.8]/",
        "ftp://127.0.0.1/",
    ] {
        assert!(with(url).is_err(), "{url}");
    }
}

#[tokio::test]
async fn the_assertion_is_in_no_debug_text() {
    let front = Front::start().await;
    let token = front.token(&front.claims());
    let assertion = front.verify(&token).await.unwrap();
    let refused = front.verify(&format!("{token}x")).await.unwrap_err();
    let text = format!("{assertion:?} {:?} {refused:?} {refused}", front.verifier);
    for part in token.split('.') {
        assert!(!text.contains(part), "{text}");
    }
}
