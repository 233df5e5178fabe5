//! Answers that no honest server gives: each is an error, quickly, and never a panic.

use curfew_core::id::WriteId;
use curfew_core::policy::Policy;
use curfew_core::role::Role;
use curfew_ports::{Catalog, Directory, PolicyClient, PortError, RetryClass};
use futures_util::StreamExt as _;

use super::fake::{Fake, Reply, email, ok, resource};

#[tokio::test]
async fn no_answer_makes_a_client_panic_or_believe() {
    for (name, body) in bodies() {
        for error in every_call(ok(body)).await {
            assert_eq!(error.class, RetryClass::Unavailable, "{name}: {}", error.chain());
            assert!(
                error.chain().len() < 1000 && !error.chain().contains(['\n', '\u{1b}']),
                "{name}: {:?}",
                error.chain()
            );
        }
    }
}

#[tokio::test]
async fn no_error_page_makes_a_client_panic() {
    for (name, body) in bodies() {
        for error in every_call(Reply::Is(400, vec![("retry-after", "never")], body)).await {
            assert_eq!(error.class, RetryClass::Invalid, "{name}");
            assert!(
                error.chain().len() < 1000 && !error.chain().contains(['\n', '\u{1b}']),
                "{name}: {:?}",
                error.chain()
            );
        }
    }
}

#[tokio::test]
async fn a_policy_of_more_than_a_mebibyte_is_not_read() {
    let padding = "x".repeat(1 << 20);
    let fake =
        Fake::answering(move |_| ok(format!(r#"{{"etag":"e","version":3,"x":"{padding}"}}"#)))
            .await;
    let error = fake.google().policies().get(&resource("projects/demo-web")).await.unwrap_err();
    assert_eq!(error.class, RetryClass::Unavailable);
    assert!(error.act.ends_with("the answer is longer than 1048576 bytes"), "{}", error.act);
}

/// Bodies that none of the calls may accept.
fn bodies() -> Vec<(&'static str, Vec<u8>)> {
    let nested = |open: &str, close: &str, depth: usize| {
        format!("{}1{}", open.repeat(depth), close.repeat(depth))
    };
    let everywhere = |value: &str| {
        let names = [
            "etag",
            "bindings",
            "projects",
            "results",
            "mainAnalysis",
            "members",
            "groups",
            "memberships",
            "name",
            "hasMembership",
            "version",
        ];
        format!("{{{}}}", names.map(|name| format!("\"{name}\":{value}")).join(","))
    };
    vec![
        ("empty", vec![]),
        ("html", b"<!doctype html>\r\n<title>502</title>\x1b[31m".to_vec()),
        ("array", b"[]".to_vec()),
        ("null", b"null".to_vec()),
        ("number", b"1e999999".to_vec()),
        ("text", b"\"{}\"".to_vec()),
        ("cut off", br#"{"etag":"#.to_vec()),
        ("two values", b"{}{}".to_vec()),
        ("not utf-8", b"{\"\xff\":1}".to_vec()),
        ("lone surrogate", everywhere(r#""\ud800""#).into_bytes()),
        ("wrong type", everywhere(r#"{"a\n\u001b":1}"#).into_bytes()),
        (
            "long wrong type",
            everywhere(&format!("\"{}\"", "y\\n".repeat(20_000)))
                .replace("\"name\"", "\"x\"")
                .into_bytes(),
        ),
        ("deep arrays", everywhere(&nested("[", "]", 20_000)).into_bytes()),
        ("deep objects", everywhere(&nested("{\"a\":", "}", 5_000)).into_bytes()),
        ("null fields", everywhere("null").into_bytes()),
        ("members without fields", everywhere("[{}, {}, {}]").into_bytes()),
    ]
}

/// What each call makes of one answer.
async fn every_call(reply: Reply) -> Vec<PortError> {
    let fake = Fake::answering(move |_| reply.clone()).await;
    let google = fake.google();
    let (catalog, policies, directory) =
        (google.catalog(resource("organizations/1")), google.policies(), google.directory());
    let (web, alice) = (resource("projects/demo-web"), email("alice@example.com"));
    let policy = Policy { etag: "e".into(), ..Policy::default() };
    vec![
        policies.get(&web).await.unwrap_err(),
        policies.set(&web, &policy, &WriteId::from_bits([1; 16])).await.unwrap_err(),
        catalog.policy(&web).await.unwrap_err(),
        catalog.ancestry(&web).await.unwrap_err(),
        catalog.ancestry(&resource("folders/7")).await.unwrap_err(),
        catalog.nodes().await.unwrap_err(),
        catalog.search_policies().next().await.unwrap().unwrap_err(),
        catalog.policies_naming(&alice).await.unwrap_err(),
        catalog.permissions(&Role::parse("roles/browser").unwrap()).await.unwrap_err(),
        directory.is_member(&email("devs@example.com"), &alice).await.unwrap_err(),
        directory.groups_of(&alice).await.unwrap_err(),
        directory.members_of(&email("devs@example.com")).await.unwrap_err(),
    ]
}
