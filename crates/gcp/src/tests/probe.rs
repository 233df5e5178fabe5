//! Looks at what this identity may do.

use std::collections::BTreeSet;

use curfew_cloudsim::{Cloud, Options};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::fake::{Fake, Reply, Seen, email, error, ok, quick, resource};
use crate::{Config, Database, Endpoints, Google, GoogleProbe, ProbeError, TokenSource};

const CONTROLLER: &str = "controller@demo-curfew.iam.gserviceaccount.com";

#[tokio::test]
async fn many_permissions_are_tested_a_hundred_at_once_and_nothing_unasked_counts() {
    let fake = Fake::answering(|seen| {
        let mut asked = asked(seen);
        asked.retain(|it| !it.ends_with("0.get"));
        asked.push("never.asked.for".into());
        ok(json!({"permissions": asked}).to_string())
    })
    .await;
    let names: Vec<String> = (0..250).map(|n| format!("a.b{n}.get")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let tested = fake.google().probe().held(&resource("folders/7"), &names).await.unwrap();
    let expected = names.iter().filter(|it| !it.ends_with("0.get")).map(|it| (*it).to_owned());
    assert_eq!(tested.held, expected.collect::<BTreeSet<_>>());
    let sizes: Vec<usize> = fake.seen().iter().map(|seen| asked(seen).len()).collect();
    assert_eq!(sizes, [100, 100, 50]);
    assert!(fake.seen().iter().all(|seen| seen.path == "/v3/folders/7:testIamPermissions"));
}

#[tokio::test]
async fn a_permission_that_such_a_node_does_not_know_is_told_apart() {
    let fake = Fake::answering(|seen| match asked(seen) {
        asked if asked.iter().any(|it| it == "x.y.odd") => {
            error(400, "INVALID_ARGUMENT", "Permission x.y.odd is not valid for this resource.")
        }
        asked => ok(json!({"permissions": asked}).to_string()),
    })
    .await;
    let (probe, node) = (fake.google().probe(), resource("projects/web-prod"));
    let tested = probe.held(&node, &["a.b.get", "x.y.odd"]).await.unwrap();
    assert_eq!(tested.held, ["a.b.get".to_owned()].into());
    assert_eq!(tested.untestable, ["x.y.odd".to_owned()].into());
}

#[tokio::test]
async fn none_held_is_an_empty_answer_and_a_refusal_is_none() {
    let fake = Fake::scripted([ok("{}"), error(403, "PERMISSION_DENIED", "m")]).await;
    let (probe, node) = (fake.google().probe(), resource("projects/web-prod"));
    let ask = || probe.held(&node, &["a.b.get"]);
    assert!(ask().await.unwrap().held.is_empty());
    assert!(matches!(ask().await, Err(ProbeError::Denied(_))));
}

#[tokio::test]
async fn an_api_that_is_not_enabled_is_told_by_its_name() {
    let info = json!({"reason": "SERVICE_DISABLED", "metadata": {"service": "iam.googleapis.com"}});
    let body = json!({"error": {"status": "PERMISSION_DENIED", "message": "m", "details": [info]}});
    let fake = Fake::answering(move |_| Reply::Is(403, vec![], body.to_string().into())).await;
    let probe = fake.google().probe();
    let is_disabled = |answer: Result<(), ProbeError>| matches!(answer, Err(ProbeError::Disabled { service, .. }) if service == "iam.googleapis.com");
    assert!(is_disabled(probe.roles().await));
    assert!(is_disabled(probe.assets(&resource("folders/7")).await));
    assert!(is_disabled(probe.transitive_groups(&email("a@example.com")).await));
    assert!(is_disabled(probe.directory_groups(&email("a@example.com")).await));
    assert!(is_disabled(probe.group(&email("g@example.com")).await));
    assert!(is_disabled(probe.account_keys(&email(CONTROLLER)).await.map(drop)));
    assert!(is_disabled(probe.database("web-prod", "(default)").await.map(drop)));
}

#[tokio::test]
async fn the_token_travels_in_a_body_and_stands_in_no_error() {
    let scopes = "https://www.googleapis.com/auth/cloud-platform openid";
    let told = json!({"scope": scopes, "email": "a@example.com"}).to_string();
    let refused = json!({"error": "invalid_token", "error_description": "secret"}).to_string();
    let fake =
        Fake::scripted([ok(told), Reply::Is(400, vec![], refused.into()), ok("[]"), ok("secret")])
            .await;
    let probe = fake.google().probe();
    let token = probe.token().await.unwrap();
    assert_eq!(token.email.as_deref(), Some("a@example.com"));
    assert_eq!(token.scopes, scopes.split(' ').map(str::to_owned).collect());
    assert!(!format!("{:?}", probe.token().await.unwrap_err()).contains("secret"));
    assert!(probe.token().await.unwrap().scopes.is_empty());
    assert!(!format!("{:?}", probe.token().await.unwrap_err()).contains("secret"));
    for seen in fake.seen() {
        assert_eq!((seen.path.as_str(), seen.query.len()), ("/tokeninfo", 0));
        assert_eq!(seen.body, "access_token=secret");
    }
}

#[tokio::test]
async fn a_database_is_looked_at_under_its_name_and_every_answer_has_a_date() {
    let database = json!({"type": "FIRESTORE_NATIVE", "locationId": "eur3", "uid": "7"});
    let fake = Fake::answering(move |_| ok(database.to_string())).await;
    let probe = fake.google().probe();
    let seen = probe.database("web-prod", "(default)").await.unwrap();
    assert_eq!(seen, Database { mode: "FIRESTORE_NATIVE".into(), location_id: "eur3".into() });
    assert_eq!(fake.seen()[0].path, "/v1/projects/web-prod/databases/(default)");
    let age = chrono::DateTime::<chrono::Utc>::from(std::time::UNIX_EPOCH);
    assert!(probe.date().await.unwrap() > age);
    assert!(fake.seen()[1].header("authorization").is_none(), "a question for the time needs none");
}

#[tokio::test]
async fn the_simulated_cloud_answers_them_all() {
    let probe = simulated(CONTROLLER).await;
    let organisation = resource("organizations/100000000001");
    let names = ["resourcemanager.projects.setIamPolicy", "cloudasset.assets.searchAllResources"];
    let tested = probe.held(&organisation, &names).await.unwrap();
    assert_eq!(tested.held, [names[0].to_owned()].into());
    let folder = resource("folders/200000000001");
    for below in [folder, resource("projects/demo-web")] {
        assert_eq!(probe.held(&below, &names).await.unwrap().held, [names[0].to_owned()].into());
    }
    assert!(matches!(probe.held(&resource("folders/9"), &names).await, Err(ProbeError::Denied(_))));
    probe.roles().await.unwrap();
    assert!(matches!(probe.assets(&organisation).await, Err(ProbeError::Denied(_))));
    probe.transitive_groups(&email(CONTROLLER)).await.unwrap();
    probe.directory_groups(&email(CONTROLLER)).await.unwrap();
    probe.group(&email("devs@example.com")).await.unwrap();
    assert!(matches!(probe.account_policy(&email(CONTROLLER)).await, Err(ProbeError::Denied(_))));
    let token = probe.token().await.unwrap();
    assert!(token.scopes.contains("https://www.googleapis.com/auth/cloud-platform"));
    probe.date().await.unwrap();
}

async fn simulated(account: &str) -> GoogleProbe {
    let cloud = Cloud::open(Options::default()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoints = Endpoints::all_at(&format!("http://{}", listener.local_addr().unwrap()));
    let tokens = TokenSource::Fixed(cloud.token_for(account).unwrap());
    tokio::spawn(cloud.serve(listener, CancellationToken::new()));
    let config = Config { endpoints, tokens, ..Config::default() };
    Google::with_patience(config, quick()).unwrap().probe()
}

fn asked(seen: &Seen) -> Vec<String> {
    let body: Value = serde_json::from_str(&seen.body).unwrap();
    serde_json::from_value(body["permissions"].clone()).unwrap()
}
