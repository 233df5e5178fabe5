use std::sync::{Arc, Mutex};
use std::time::Duration;

use curfew_core::id::WriteId;
use curfew_core::policy::Policy;
use curfew_ports::{Catalog, PolicyClient, RetryClass};

use super::fake::{Fake, Reply, error, ok, quick, resource};
use crate::caller::Patience;
use crate::{Config, ConfigError, Endpoints, Google, Timeouts, TokenSource};

const POLICY: &str = r#"{"version":3,"etag":"e"}"#;

#[tokio::test]
async fn a_read_is_repeated_until_it_succeeds() {
    let limited = Reply::Is(429, vec![("retry-after", "0")], b"{}".to_vec());
    let fake =
        Fake::scripted([error(503, "UNAVAILABLE", ""), ok("<html>"), limited, ok(POLICY)]).await;
    assert!(fake.google().policies().get(&resource("projects/demo-web")).await.is_ok());
    assert_eq!(fake.seen().len(), 4);
}

#[tokio::test]
async fn a_read_is_given_up_after_four_attempts() {
    let fake = Fake::answering(|_| error(503, "UNAVAILABLE", "try later")).await;
    let error = fake.google().policies().get(&resource("projects/demo-web")).await.unwrap_err();
    assert_eq!(error.class, RetryClass::Unavailable);
    assert_eq!(
        error.act,
        "read the policy of projects/demo-web: answered 503 UNAVAILABLE: try later"
    );
    assert_eq!(fake.seen().len(), 4);
}

#[tokio::test]
async fn a_read_that_will_not_succeed_is_sent_once() {
    for (code, status, class) in [
        (400, "INVALID_ARGUMENT", RetryClass::Invalid),
        (401, "UNAUTHENTICATED", RetryClass::Denied),
        (403, "PERMISSION_DENIED", RetryClass::Denied),
        (404, "NOT_FOUND", RetryClass::NotFound),
        (409, "ABORTED", RetryClass::Conflict),
    ] {
        let fake = Fake::answering(move |_| error(code, status, "m")).await;
        let error = fake.google().policies().get(&resource("projects/demo-web")).await.unwrap_err();
        assert_eq!((error.class, fake.seen().len()), (class, 1), "{code}");
    }
}

#[tokio::test]
async fn a_wait_beyond_the_deadline_is_handed_on_at_once() {
    let fake =
        Fake::answering(|_| Reply::Is(429, vec![("retry-after", "55")], b"{}".to_vec())).await;
    let error = fake.google().policies().get(&resource("projects/demo-web")).await.unwrap_err();
    assert_eq!(error.class, RetryClass::RateLimited(Some(Duration::from_secs(55))));
    assert_eq!(fake.seen().len(), 1);
}

#[tokio::test]
async fn no_answer_is_unavailable_and_a_write_is_not_repeated() {
    let fake = Fake::answering(|_| Reply::Never).await;
    let patience = Patience { write: Duration::from_millis(500), ..quick() };
    let policies = Google::with_patience(fake.config(), patience).unwrap().policies();
    let policy = Policy { etag: "e".into(), ..Policy::default() };
    let error = policies
        .set(&resource("projects/demo-web"), &policy, &WriteId::from_bits([1; 16]))
        .await
        .unwrap_err();
    assert_eq!(error.class, RetryClass::Unavailable);
    assert_eq!(error.act, "write the policy of projects/demo-web: no answer within 500 ms");
    assert_eq!(fake.seen().len(), 1);
}

#[tokio::test]
async fn a_read_without_answers_ends_by_its_deadline() {
    let fake = Fake::answering(|_| Reply::Never).await;
    let patience = Patience {
        read_attempt: Duration::from_millis(200),
        read_total: Duration::from_millis(500),
        repeats: 1000,
        ..quick()
    };
    let policies = Google::with_patience(fake.config(), patience).unwrap().policies();
    let error = policies.get(&resource("projects/demo-web")).await.unwrap_err();
    assert_eq!(error.class, RetryClass::Unavailable);
    let attempts = fake.seen().len();
    assert!((2..=4).contains(&attempts), "{attempts}");
}

#[tokio::test]
async fn a_call_waits_as_long_as_is_configured() {
    let fake = Fake::answering(|_| Reply::Never).await;
    let timeouts = Timeouts {
        read: Duration::from_millis(150),
        write: Duration::from_millis(250),
        ..Timeouts::default()
    };
    let google = Google::new(Config { timeouts, ..fake.config() }).unwrap();
    let error = google.policies().get(&resource("projects/demo-web")).await.unwrap_err();
    assert!(error.act.contains("no answer within 1"), "{}", error.act);
    let policy = Policy { etag: "e".into(), ..Policy::default() };
    let (web, write) = (resource("projects/demo-web"), WriteId::from_bits([1; 16]));
    let error = google.policies().set(&web, &policy, &write).await.unwrap_err();
    assert_eq!(error.act, "write the policy of projects/demo-web: no answer within 250 ms");
}

#[tokio::test]
async fn a_refused_connection_is_unavailable() {
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", closed.local_addr().unwrap());
    drop(closed);
    let config = Config {
        endpoints: Endpoints::all_at(&url),
        tokens: TokenSource::Fixed("t".into()),
        ..Config::default()
    };
    let google = Google::with_patience(config, quick()).unwrap();
    let error = google.policies().get(&resource("projects/demo-web")).await.unwrap_err();
    assert_eq!(error.class, RetryClass::Unavailable);
    assert!(!error.chain().contains(&url), "{}", error.chain());
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let target = Fake::answering(|_| ok(POLICY)).await;
    let location: &'static str = Box::leak(target.url.clone().into_boxed_str());
    let fake = Fake::answering(move |_| Reply::Is(307, vec![("location", location)], vec![])).await;
    let error = fake.google().policies().get(&resource("projects/demo-web")).await.unwrap_err();
    assert_eq!(error.class, RetryClass::Unavailable);
    assert!(target.seen().is_empty());
}

#[tokio::test]
async fn each_attempt_is_reported_by_name_and_code() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let calls = Arc::clone(&log);
    let fake = Fake::scripted([
        error(503, "", ""),
        ok("{"),
        error(302, "", ""),
        ok(POLICY),
        error(404, "", ""),
    ])
    .await;
    let google = fake
        .google_observed(Arc::new(move |name, code, _| calls.lock().unwrap().push((name, code))));
    google.policies().get(&resource("projects/demo-web")).await.unwrap();
    assert!(
        google.catalog(resource("organizations/1")).ancestry(&resource("folders/1")).await.is_err()
    );
    let get = "resourcemanager.getIamPolicy";
    let expected = [
        (get, "503"),
        (get, "200"),
        (get, "other"),
        (get, "200"),
        ("resourcemanager.folders.get", "404"),
    ];
    assert_eq!(*log.lock().unwrap(), expected);
}

#[tokio::test]
async fn an_attempt_without_an_answer_is_reported_as_none() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let calls = Arc::clone(&log);
    let fake = Fake::answering(|_| Reply::Never).await;
    let on_call: crate::OnCall =
        Arc::new(move |_, code, elapsed| calls.lock().unwrap().push((code, elapsed)));
    let patience = Patience { read_attempt: Duration::from_millis(100), repeats: 0, ..quick() };
    let google =
        Google::with_patience(Config { on_call: Some(on_call), ..fake.config() }, patience)
            .unwrap();
    assert!(google.policies().get(&resource("projects/demo-web")).await.is_err());
    let [(code, elapsed)] = log.lock().unwrap().clone().try_into().unwrap();
    assert_eq!(code, "none");
    assert!(elapsed >= Duration::from_millis(100));
}

#[tokio::test]
async fn tokens_come_from_the_metadata_server() {
    let fake = Fake::answering(|call| {
        if call.path.starts_with("/computeMetadata/") {
            assert_eq!(call.header("metadata-flavor"), Some("Google"));
            return ok(
                r#"{"access_token":"from-metadata","expires_in":3600,"token_type":"Bearer"}"#,
            );
        }
        ok(POLICY)
    })
    .await;
    let google =
        Google::new(Config { tokens: TokenSource::Metadata(fake.url.clone()), ..fake.config() })
            .unwrap();
    for _ in 0..3 {
        google.policies().get(&resource("projects/demo-web")).await.unwrap();
    }
    let (token_calls, calls): (Vec<_>, Vec<_>) =
        fake.seen().into_iter().partition(|call| call.path.starts_with("/computeMetadata/"));
    assert_eq!(token_calls.len(), 1);
    assert!(token_calls[0].all("scopes").join(",").contains("cloud-platform"));
    assert!(calls.iter().all(|call| call.header("authorization") == Some("Bearer from-metadata")));
}

#[tokio::test]
async fn tokens_are_only_sent_to_google_or_loopback() {
    let at =
        |endpoints, tokens| Google::new(Config { endpoints, tokens, ..Config::default() }).err();
    let fixed = || TokenSource::Fixed("t".into());
    assert!(at(Endpoints::default(), fixed()).is_none());
    let error = at(Endpoints { iam: "http://example.com".into(), ..Endpoints::default() }, fixed());
    assert!(matches!(error, Some(ConfigError::Endpoint { service: "iam", .. })));
    for metadata in ["http://169.254.169.254", "http://localhost:1", "https://iam.googleapis.com"] {
        let error = at(Endpoints::default(), TokenSource::Metadata(metadata.into()));
        assert!(
            matches!(error, Some(ConfigError::Endpoint { service: "metadata", .. })),
            "{metadata}"
        );
    }
    assert!(matches!(
        at(Endpoints::default(), TokenSource::Fixed("a\nb".into())),
        Some(ConfigError::FixedToken)
    ));
}
