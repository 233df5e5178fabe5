//! A data directory outlives its process.

use curfew_cloudsim::{Cloud, OpenError, Options, SeedError};
use reqwest::Method;
use serde_json::Value;

use crate::harness::{CONTROLLER, Sim, binding};

const WEB: &str = "projects/demo-web";

#[tokio::test]
async fn policies_tokens_people_keys_and_the_log_survive() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_owned();
    let first = Sim::start_with(None, Some(path.clone())).await;
    first.add_binding(WEB, binding("roles/browser", "user:dave@example.com")).await;
    first.call(Method::DELETE, "sim/v1/principals/user:alice@example.com", None, None).await;
    let (policy, token) = (first.policy(WEB).await, first.token(CONTROLLER));
    let (log, uses) = (first.log().await, first.get("sim/v1/permissions").await.body);
    let keys = first.get("iap/verify/public_key-jwk").await.body;
    first.stop().await;

    let second = Sim::start_with(Some("not even read".to_owned()), Some(path)).await;
    assert_eq!(second.policy(WEB).await, policy);
    assert_eq!(second.token(CONTROLLER), token);
    assert_eq!(
        second.call(Method::GET, "v3/projects/demo-web", None, Some(&token)).await.status,
        200
    );
    assert!(!second.cloud.people().iter().any(|person| person.email == "alice@example.com"));
    assert_eq!(second.log().await, log);
    assert_eq!(second.get("iap/verify/public_key-jwk").await.body, keys);
    let recorded = names(&second.get("sim/v1/permissions").await.body);
    assert!(names(&uses).iter().all(|used| recorded.contains(used)));
    assert_eq!(
        second.set_policy(WEB, policy).await.status,
        200,
        "the etag is still the current one"
    );
}

/// Principal, permission and resource of all that was used.
fn names(report: &Value) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let items = |value: &Value| value.as_array().unwrap().clone();
    let mut names = Vec::new();
    for principal in items(&report["principals"]) {
        for permission in items(&principal["permissions"]) {
            for resource in items(&permission["resources"]) {
                names.push((
                    text(&principal["principal"]),
                    text(&permission["permission"]),
                    text(&resource["resource"]),
                ));
            }
        }
    }
    names
}

#[test]
fn a_refused_seed_leaves_an_empty_directory_seedable() {
    let directory = tempfile::tempdir().unwrap();
    let open = |seed: Option<&str>| {
        Cloud::open(Options {
            data_dir: Some(directory.path().to_owned()),
            seed: seed.map(str::to_owned),
            ..Options::default()
        })
    };
    assert!(matches!(open(Some("organization: 1")), Err(OpenError::Seed(SeedError::Yaml(_)))));
    assert_eq!(open(None).unwrap().people().len(), 6);
}

#[test]
fn a_directory_that_cannot_be_used_is_an_error_with_its_path() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error =
        Cloud::open(Options { data_dir: Some(file.path().join("below")), ..Options::default() })
            .unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("below"), "{source}");
}
