//! The simulated IAP, with a stand-in for intake that tells what it saw.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::response::Response;
use axum::routing::{any, get};
use curfew_cloudsim::{FrontOptions, ServeError};
use futures_util::{StreamExt, stream};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use reqwest::{StatusCode, redirect};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::harness::{Sim, listen};

const AUDIENCE: &str = "/projects/100000000104/locations/europe-west1/services/curfew";
const PROGRAM: (&str, &str) = ("X-Demo-User", "alice@example.com");

#[tokio::test]
async fn the_assertion_verifies_with_the_published_key_and_names_the_person() {
    let front = Front::start().await;
    let seen = front.ask("/v1/me", &[PROGRAM]).await.1;
    let claims = front.verify(&seen).await;
    assert_eq!(claims["iss"], "https://cloud.google.com/iap");
    assert_eq!(claims["aud"], AUDIENCE);
    assert_eq!(claims["sub"], "accounts.google.com:101000000000000000001");
    assert_eq!(
        (&claims["email"], &claims["hd"]),
        (&json!("alice@example.com"), &json!("example.com"))
    );
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 600);
    assert_eq!(
        header(&seen, "x-goog-authenticated-user-email"),
        ["accounts.google.com:alice@example.com"]
    );
}

#[tokio::test]
async fn headers_that_only_iap_may_send_are_stripped() {
    let front = Front::start().await;
    let forged = [
        PROGRAM,
        ("X-Goog-IAP-JWT-Assertion", "forged"),
        ("x-goog-iap-jwt-assertion", "forged twice"),
        ("X-Goog-Authenticated-User-Email", "accounts.google.com:olga@example.com"),
        ("X-Goog-Anything", "forged"),
        ("Cookie", "curfew_demo_user=olga@example.com; own=1"),
        ("X-Kept", "kept"),
    ];
    let seen = front.ask("/", &forged).await.1;
    assert_eq!(header(&seen, "x-goog-iap-jwt-assertion").len(), 1);
    assert_eq!(front.verify(&seen).await["email"], "alice@example.com");
    assert_eq!(
        header(&seen, "x-goog-authenticated-user-email"),
        ["accounts.google.com:alice@example.com"]
    );
    assert!(header(&seen, "x-goog-anything").is_empty() && header(&seen, "x-demo-user").is_empty());
    assert_eq!(
        (header(&seen, "cookie"), header(&seen, "x-kept")),
        (vec!["own=1".to_owned()], vec!["kept".to_owned()])
    );
}

#[tokio::test]
async fn method_path_query_and_body_arrive_as_sent() {
    let front = Front::start().await;
    let request =
        front.client.put(format!("{}/v1/a%2Fb?x=1&x=2", front.base)).header(PROGRAM.0, PROGRAM.1);
    let seen: Value = request.body("body text").send().await.unwrap().json().await.unwrap();
    assert_eq!(seen["method"], "PUT");
    assert_eq!(seen["uri"], "/v1/a%2Fb?x=1&x=2");
    assert_eq!(seen["body"], "body text");
}

#[tokio::test]
async fn names_sign_in_by_host_by_header_and_by_cookie() {
    let front = Front::start().await;
    let by_host = front.ask("/", &[("Host", "bob.localhost:8420")]).await.1;
    assert_eq!(front.verify(&by_host).await["email"], "bob@example.com");

    let form = front
        .client
        .post(format!("{}/_demo/sign-in", front.base))
        .form(&[("email", "carol@example.com")]);
    let signed_in = form.send().await.unwrap();
    assert_eq!(
        (signed_in.status(), signed_in.headers()["location"].to_str().unwrap()),
        (StatusCode::SEE_OTHER, "/")
    );
    let cookie =
        signed_in.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let by_cookie = front.ask("/", &[("Cookie", &cookie)]).await.1;
    assert_eq!(front.verify(&by_cookie).await["email"], "carol@example.com");
}

#[tokio::test]
async fn strangers_and_the_unknown_are_refused_with_help() {
    let front = Front::start().await;
    let unknown = front.ask("/", &[("X-Demo-User", "mallory@example.com")]).await;
    assert_eq!(unknown.0, 403);
    assert!(unknown.1.as_str().unwrap().contains("alice@example.com"));
    assert_eq!(front.ask("/", &[("Host", "mallory.localhost")]).await.0, 403);
    assert_eq!(front.ask("/v1/me", &[]).await.0, 401);
    assert_eq!(front.ask("/", &[("Accept", "text/html")]).await.0, 303);
    assert_eq!(front.ask("/", &[PROGRAM, ("X-Demo-User", "bob@example.com")]).await.0, 400);
}

#[tokio::test]
async fn other_hosts_are_refused_even_for_the_sign_in_page() {
    let front = Front::start().await;
    for host in
        ["evil.example", "localhost.evil.example", "192.168.1.1", "metadata.google.internal"]
    {
        assert_eq!(front.ask("/", &[("Host", host), PROGRAM]).await.0, 421, "{host}");
        assert_eq!(front.ask("/_demo/", &[("Host", host)]).await.0, 421, "{host}");
    }
    for host in ["localhost", "localhost:8420", "127.0.0.1:8420", "[::1]:8420"] {
        assert_eq!(front.ask("/", &[("Host", host), PROGRAM]).await.0, 200, "{host}");
    }
}

#[tokio::test]
async fn the_sign_in_page_lists_the_people_and_takes_forms_of_its_own_only() {
    let front = Front::start().await;
    let page = front.ask("/_demo/", &[("Host", "localhost:8420")]).await.1;
    let page = page.as_str().unwrap();
    for name in ["Alice Adams", "olga@example.com", "http://bob.localhost:8420/"] {
        assert!(page.contains(name), "{name}");
    }
    let form = front
        .client
        .post(format!("{}/_demo/sign-in", front.base))
        .form(&[("email", "carol@example.com")]);
    let cross_site = form.header("Sec-Fetch-Site", "cross-site").send().await.unwrap();
    assert_eq!(
        (cross_site.status(), cross_site.headers().get("set-cookie")),
        (StatusCode::FORBIDDEN, None)
    );
    let out = front.client.post(format!("{}/_demo/sign-out", front.base)).send().await.unwrap();
    assert!(out.headers()["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
}

#[tokio::test]
async fn answers_stream_through() {
    let front = Front::start().await;
    let request = front.client.get(format!("{}/stream", front.base)).header(PROGRAM.0, PROGRAM.1);
    let mut response = request.send().await.unwrap();
    let first =
        tokio::time::timeout(Duration::from_secs(10), response.chunk()).await.unwrap().unwrap();
    assert_eq!(first.unwrap(), "data: one\n\n", "the stream never ends, its first event is here");
}

#[tokio::test]
async fn a_dead_intake_is_502_and_a_wrong_address_refused() {
    let front = Front::to("http://127.0.0.1:1").await;
    assert_eq!(front.ask("/", &[PROGRAM]).await.0, 502);
    let (listener, _) = listen().await;
    let options =
        FrontOptions { audience: AUDIENCE.into(), intake: "https://example.com/x".into() };
    let served =
        front.sim.cloud.clone().serve_front(options, listener, CancellationToken::new()).await;
    assert!(matches!(served, Err(ServeError::IntakeAddress(_))));
}

struct Front {
    sim: Sim,
    base: String,
    client: reqwest::Client,
}

impl Front {
    async fn start() -> Self {
        let (listener, intake) = listen().await;
        let routes = Router::new().route("/stream", get(events)).fallback(any(echo));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self::to(&intake).await
    }

    async fn to(intake: &str) -> Self {
        let sim = Sim::start().await;
        let (listener, base) = listen().await;
        let options = FrontOptions { audience: AUDIENCE.to_owned(), intake: intake.to_owned() };
        tokio::spawn(sim.cloud.clone().serve_front(options, listener, CancellationToken::new()));
        let client = reqwest::Client::builder().redirect(redirect::Policy::none()).build().unwrap();
        Self { sim, base, client }
    }

    async fn ask(&self, path: &str, headers: &[(&str, &str)]) -> (u16, Value) {
        let request = self.client.get(format!("{}{path}", self.base));
        let request =
            headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let answer = crate::harness::answer(request.send().await.unwrap()).await;
        (answer.status, answer.body)
    }

    /// The claims of the assertion that intake saw, checked as intake checks them.
    async fn verify(&self, seen: &Value) -> Value {
        let token = header(seen, "x-goog-iap-jwt-assertion").concat();
        let keys: JwkSet =
            serde_json::from_value(self.sim.get("iap/verify/public_key-jwk").await.body).unwrap();
        let key = keys.find(&decode_header(&token).unwrap().kid.unwrap()).unwrap();
        let mut validation = Validation::new(Algorithm::ES256);
        validation.set_audience(&[AUDIENCE]);
        validation.set_issuer(&["https://cloud.google.com/iap"]);
        // The simulated clock stands still in the past; the times are compared with each other.
        validation.validate_exp = false;
        let _already_installed = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
        decode::<Value>(&token, &DecodingKey::from_jwk(key).unwrap(), &validation).unwrap().claims
    }
}

async fn echo(request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1_000_000).await.unwrap();
    let headers: Vec<(String, String)> = parts
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    let seen = json!({
        "method": parts.method.as_str(),
        "uri": parts.uri.to_string(),
        "headers": headers,
        "body": String::from_utf8_lossy(&body),
    });
    Response::new(Body::from(seen.to_string()))
}

/// One event, and then nothing for ever.
async fn events() -> Response {
    let first = stream::once(async { Ok::<_, Infallible>(Bytes::from_static(b"data: one\n\n")) });
    Response::new(Body::from_stream(first.chain(stream::pending())))
}

fn header(seen: &Value, name: &str) -> Vec<String> {
    let headers = seen["headers"].as_array().unwrap().iter();
    headers
        .filter(|pair| pair[0] == name)
        .map(|pair| pair[1].as_str().unwrap().to_owned())
        .collect()
}
