//! The same clients against the simulated cloud, which shares no code with them.

use std::collections::BTreeSet;

use curfew_cloudsim::{Cloud, Options};
use curfew_core::id::WriteId;
use curfew_core::policy::{Binding, Condition};
use curfew_core::role::Role;
use curfew_ports::{Catalog, Directory, PolicyClient, RetryClass};
use futures_util::TryStreamExt;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::fake::{email, quick, resource};
use crate::{Config, Endpoints, Google, TokenSource};

const CONTROLLER: &str = "controller@demo-curfew.iam.gserviceaccount.com";
const INTAKE: &str = "intake@demo-curfew.iam.gserviceaccount.com";
/// What intake may do, and Policy Analyzer.
const ANALYST: &str = "analyst@demo-curfew.iam.gserviceaccount.com";

#[tokio::test]
async fn a_binding_is_added_and_the_rest_stays() {
    let google = simulated(CONTROLLER).await;
    let (policies, data) = (google.policies(), resource("projects/demo-data"));
    let before = policies.get(&data).await.unwrap();
    assert!(before.rest.0.contains("auditConfigs"));
    let mut wanted = before.clone();
    wanted.bindings.push(conditional());
    let written = policies.set(&data, &wanted, &write(1)).await.unwrap();
    let after = policies.get(&data).await.unwrap();
    assert_eq!(written, after);
    assert_eq!(after.version, 3);
    assert!(after.bindings.contains(&conditional()));
    let ours = |binding: &Binding| *binding == conditional();
    assert_eq!(after.foreign(ours), before.foreign(ours));
}

#[tokio::test]
async fn policies_of_folders_and_organisations_are_written_as_those_of_projects() {
    let policies = simulated("olga@example.com").await.policies();
    for node in ["folders/200000000001", "organizations/100000000001"].map(resource) {
        let before = policies.get(&node).await.unwrap();
        let mut wanted = before.clone();
        wanted.bindings.push(conditional());
        let written = policies.set(&node, &wanted, &write(1)).await.unwrap();
        assert_eq!(written, policies.get(&node).await.unwrap());
        assert_eq!(written.foreign(|it| *it == conditional()), before.foreign(|_| false));
        assert!(written.bindings.contains(&conditional()));
    }
}

#[tokio::test]
async fn a_write_over_somebody_elses_is_a_conflict() {
    let google = simulated(CONTROLLER).await;
    let (policies, web) = (google.policies(), resource("projects/demo-web"));
    let mut policy = policies.get(&web).await.unwrap();
    policy.bindings.push(conditional());
    policies.set(&web, &policy, &write(1)).await.unwrap();
    policy.bindings.pop();
    assert_eq!(
        policies.set(&web, &policy, &write(2)).await.unwrap_err().class,
        RetryClass::Conflict
    );
    assert!(policies.get(&web).await.unwrap().bindings.contains(&conditional()));
}

#[tokio::test]
async fn what_iam_refuses_is_invalid_or_denied() {
    let google = simulated(CONTROLLER).await;
    let web = resource("projects/demo-web");
    let mut policy = google.policies().get(&web).await.unwrap();
    policy.bindings.push(Binding { role: "roles/owner".into(), ..conditional() });
    assert_eq!(
        google.policies().set(&web, &policy, &write(1)).await.unwrap_err().class,
        RetryClass::Invalid
    );
    policy.bindings.pop();
    let stranger = simulated("alice@example.com").await.policies();
    assert_eq!(stranger.set(&web, &policy, &write(1)).await.unwrap_err().class, RetryClass::Denied);
}

#[tokio::test]
async fn a_lost_reply_is_unavailable_and_leaves_the_write() {
    let (cloud, url) = serve().await;
    let token = TokenSource::Fixed(cloud.token_for(CONTROLLER).unwrap());
    let (policies, web) = (google(&url, token).policies(), resource("projects/demo-web"));
    let mut policy = policies.get(&web).await.unwrap();
    policy.bindings.push(conditional());
    for status in [json!(503), Value::Null] {
        arm(&url, &json!([{"method": "setIamPolicy", "kind": "REPLY_LOST", "status": status}]))
            .await;
        let error = policies.set(&web, &policy, &write(1)).await.unwrap_err();
        assert_eq!(error.class, RetryClass::Unavailable, "{}", error.chain());
        let stored = policies.get(&web).await.unwrap();
        assert_ne!(stored.etag, policy.etag);
        assert_eq!(
            stored.bindings.contains(&conditional()),
            policy.bindings.contains(&conditional())
        );
        policy = stored;
        policy.bindings.retain(|binding| *binding != conditional());
    }
}

#[tokio::test]
async fn a_read_outlasts_passing_faults() {
    let (cloud, url) = serve().await;
    let token = TokenSource::Fixed(cloud.token_for(CONTROLLER).unwrap());
    let policies = google(&url, token).policies();
    arm(&url, &json!([{"method": "getIamPolicy", "kind": "ERROR", "status": 503, "count": 3}]))
        .await;
    assert!(policies.get(&resource("projects/demo-web")).await.is_ok());
    arm(&url, &json!([{"method": "getIamPolicy", "kind": "ERROR", "status": 503, "count": 4}]))
        .await;
    let error = policies.get(&resource("projects/demo-web")).await.unwrap_err();
    assert_eq!(error.class, RetryClass::Unavailable);
}

#[tokio::test]
async fn the_hierarchy_and_the_nodes_are_the_seeds() {
    let catalog = simulated(INTAKE).await.catalog(resource("organizations/100000000001"));
    let chain = catalog.ancestry(&resource("projects/demo-web")).await.unwrap();
    assert_eq!(
        chain,
        ["projects/demo-web", "folders/200000000001", "organizations/100000000001"].map(resource)
    );
    let nodes = catalog.nodes().await.unwrap();
    let names: BTreeSet<String> = nodes.iter().map(|node| node.resource.to_string()).collect();
    let expected = [
        "organizations/100000000001",
        "folders/200000000001",
        "projects/demo-curfew",
        "projects/demo-data",
        "projects/demo-prod",
        "projects/demo-web",
    ];
    assert_eq!((names, nodes.len()), (expected.map(str::to_owned).into(), expected.len()));
    let web = nodes.iter().find(|node| node.resource == resource("projects/demo-web")).unwrap();
    assert_eq!(
        (web.display_name.as_str(), &web.parent),
        ("Web shop", &Some(resource("folders/200000000001")))
    );
    let top = nodes.iter().find(|node| node.resource == resource(expected[0])).unwrap();
    assert_eq!((top.display_name.as_str(), &top.parent), ("example.com", &None));
}

#[tokio::test]
async fn lists_are_limited_to_the_projects_that_the_query_finds() {
    let (cloud, url) = serve().await;
    let tokens = TokenSource::Fixed(cloud.token_for(INTAKE).unwrap());
    let projects_query = Some("state:ACTIVE labels.env:prod".to_owned());
    let config =
        Config { endpoints: Endpoints::all_at(&url), tokens, projects_query, ..Config::default() };
    let catalog = Google::with_patience(config, quick())
        .unwrap()
        .catalog(resource("organizations/100000000001"));
    let nodes = catalog.nodes().await.unwrap();
    let names: BTreeSet<String> = nodes.iter().map(|node| node.resource.to_string()).collect();
    let expected = [
        "organizations/100000000001",
        "folders/200000000001",
        "projects/demo-curfew",
        "projects/demo-prod",
    ];
    assert_eq!(names, expected.map(str::to_owned).into());
}

#[tokio::test]
async fn the_index_has_the_policies_that_are_there() {
    let google = simulated(INTAKE).await;
    let catalog = google.catalog(resource("organizations/100000000001"));
    let pages: Vec<_> = catalog.search_policies().try_collect().await.unwrap();
    let found: Vec<_> = pages.into_iter().flatten().collect();
    assert_eq!(found.len(), 6);
    for (node, policy) in &found {
        assert_eq!(policy.bindings, catalog.policy(node).await.unwrap().bindings, "{node}");
    }
    let below = google.catalog(resource("projects/demo-web"));
    let only: Vec<_> = below.search_policies().try_collect::<Vec<_>>().await.unwrap().concat();
    assert_eq!(
        only.iter().map(|(node, _)| node).collect::<Vec<_>>(),
        [&resource("projects/demo-web")]
    );
}

#[tokio::test]
async fn the_analysis_follows_groups() {
    let catalog = simulated(ANALYST).await.catalog(resource("organizations/100000000001"));
    let found = catalog.policies_naming(&email("bob@example.com")).await.unwrap();
    let has = |node: &str, role: &str| {
        let node = resource(node);
        let mut bindings =
            found.iter().filter(|(it, _)| *it == node).flat_map(|(_, it)| &it.bindings);
        bindings.any(|binding| binding.role == role && binding.condition.is_some())
    };
    // By devs@ itself, and by oncall@ inside sre@.
    assert!(has("projects/demo-web", "roles/compute.viewer"));
    assert!(has("folders/200000000001", "roles/logging.admin"));
    assert!(!has("projects/demo-data", "roles/secretmanager.secretAccessor"));
    let robot = catalog.policies_naming(&email("deployer@demo-web.iam.gserviceaccount.com")).await;
    assert!(robot.unwrap().iter().any(|(node, _)| *node == resource("projects/demo-web")));
}

#[tokio::test]
async fn groups_are_the_same_with_and_without_the_licence() {
    let seed = "
organization: {id: 1, displayName: example.com, customer: C1}
projects: [{id: home-base, number: 11, displayName: Home, parent: organizations/1}]
people:
  - {email: alice@example.com, name: Alice, id: '1'}
  - {email: bob@example.com, name: Bob, id: '2'}
  - {email: carol@example.com, name: Carol, id: '3'}
serviceAccounts:
  - {email: reader@home-base.iam.gserviceaccount.com, id: '4', project: home-base, groupsReader: true}
groups:
  - {email: inner@example.com, name: Inner, id: g1, members: [alice@example.com, outer@example.com, reader@home-base.iam.gserviceaccount.com]}
  - {email: middle@example.com, name: Middle, id: g2, members: [inner@example.com, bob@example.com]}
  - {email: outer@example.com, name: Outer, id: g3, members: [middle@example.com, carol@example.com]}
  - {email: other@example.com, name: Other, id: g4, members: [carol@example.com]}
settings: {cloudIdentityFree: FREE, maxPageSize: 1}
";
    let mut answers = Vec::new();
    for free in ["false", "true"] {
        let options = Options { seed: Some(seed.replace("FREE", free)), ..Options::default() };
        let (cloud, url) = serve_with(options).await;
        let token = cloud.token_for("reader@home-base.iam.gserviceaccount.com").unwrap();
        let directory = google(&url, TokenSource::Fixed(token)).directory();
        let mut found = Vec::new();
        for group in ["inner", "middle", "outer", "other", "gone"] {
            let group = email(&format!("{group}@example.com"));
            for person in ["alice", "bob", "carol", "nobody"] {
                let person = email(&format!("{person}@example.com"));
                let is_member = directory.is_member(&group, &person).await.unwrap();
                found.push(format!("{person} in {group}: {is_member}"));
            }
            found.push(format!("{group}: {:?}", directory.members_of(&group).await.unwrap()));
        }
        for person in ["alice", "bob", "carol", "nobody"] {
            let person = email(&format!("{person}@example.com"));
            found.push(format!("{person}: {:?}", directory.groups_of(&person).await.unwrap()));
        }
        answers.push(found);
    }
    assert_eq!(answers[0], answers[1]);
    // The three groups contain each other, so whoever is in one is in all.
    assert!(answers[1].contains(&"bob@example.com in inner@example.com: true".to_owned()));
    assert!(answers[1].contains(&"bob@example.com in other@example.com: false".to_owned()));
}

#[tokio::test]
async fn roles_are_known_or_not() {
    let catalog = simulated(INTAKE).await.catalog(resource("organizations/100000000001"));
    let permissions =
        async |role: &str| catalog.permissions(&Role::parse(role).unwrap()).await.unwrap();
    assert!(permissions("roles/compute.viewer").await.unwrap().contains("compute.instances.get"));
    assert!(
        permissions("organizations/100000000001/roles/curfewController")
            .await
            .unwrap()
            .contains("iam.roles.get")
    );
    assert_eq!(permissions("roles/compute.nobody").await, None);
    assert_eq!(permissions("projects/demo-web/roles/nobody").await, None);
}

#[tokio::test]
async fn nested_groups_count() {
    let directory = simulated(INTAKE).await.directory();
    let member =
        async |group: &str, person: &str| directory.is_member(&email(group), &email(person)).await;
    assert!(member("sre@example.com", "bob@example.com").await.unwrap());
    assert!(!member("sre@example.com", "alice@example.com").await.unwrap());
    let groups = directory.groups_of(&email("bob@example.com")).await.unwrap();
    let names: Vec<_> = groups.iter().map(curfew_core::principal::Email::as_str).collect();
    assert_eq!(names, ["devs@example.com", "oncall@example.com", "sre@example.com"]);
}

#[tokio::test]
async fn a_service_account_gets_its_token_from_the_metadata_server() {
    let (cloud, url) = serve().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let metadata = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(cloud.serve_metadata(CONTROLLER.into(), listener, CancellationToken::new()));
    let google = google(&url, TokenSource::Metadata(metadata));
    assert!(google.policies().get(&resource("projects/demo-web")).await.is_ok());
}

async fn simulated(account: &str) -> Google {
    let (cloud, url) = serve().await;
    google(&url, TokenSource::Fixed(cloud.token_for(account).unwrap()))
}

fn google(url: &str, tokens: TokenSource) -> Google {
    Google::with_patience(
        Config { endpoints: Endpoints::all_at(url), tokens, ..Config::default() },
        quick(),
    )
    .unwrap()
}

async fn serve() -> (Cloud, String) {
    serve_with(Options::default()).await
}

async fn serve_with(options: Options) -> (Cloud, String) {
    let cloud = Cloud::open(options).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(cloud.clone().serve(listener, CancellationToken::new()));
    (cloud, url)
}

async fn arm(url: &str, faults: &Value) {
    let sent = reqwest::Client::builder()
        .no_proxy()
        .build()
        .unwrap()
        .put(format!("{url}/sim/v1/faults"))
        .json(faults)
        .send();
    assert!(sent.await.unwrap().status().is_success());
}

fn conditional() -> Binding {
    Binding {
        role: "roles/compute.viewer".into(),
        members: vec!["user:bob@example.com".into()],
        condition: Some(Condition {
            title: "curfew demo 0000000000000000000000000".into(),
            description: "v1 x".into(),
            expression: r#"(request.time >= timestamp("2031-01-01T00:00:00Z") && request.time < timestamp("2031-01-01T01:00:00Z"))"#.into(),
            ..Condition::default()
        }),
        ..Binding::default()
    }
}

fn write(number: u8) -> WriteId {
    WriteId::from_bits([number; 16])
}
