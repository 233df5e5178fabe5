//! The same clients against the simulated cloud, which shares no code with them.

use curfew_cloudsim::{Cloud, Options};
use curfew_core::id::WriteId;
use curfew_core::policy::{Binding, Condition};
use curfew_core::role::Role;
use curfew_ports::{Catalog, Directory, PolicyClient, RetryClass};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::fake::{email, quick, resource};
use crate::{Config, Endpoints, Google, TokenSource};

const CONTROLLER: &str = "controller@demo-curfew.iam.gserviceaccount.com";
const INTAKE: &str = "intake@demo-curfew.iam.gserviceaccount.com";

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
async fn the_hierarchy_and_the_projects_are_the_seeds() {
    let catalog = simulated(INTAKE).await.catalog(resource("organizations/100000000001"));
    let chain = catalog.ancestry(&resource("projects/demo-web")).await.unwrap();
    assert_eq!(
        chain,
        ["projects/demo-web", "folders/200000000001", "organizations/100000000001"].map(resource)
    );
    let projects = catalog.projects().await.unwrap();
    let web =
        projects.iter().find(|project| project.resource == resource("projects/demo-web")).unwrap();
    assert_eq!(
        (web.display_name.as_str(), &web.parent),
        ("Web shop", &Some(resource("folders/200000000001")))
    );
    assert_eq!(projects.len(), 4);
}

#[tokio::test]
async fn effective_policies_are_those_of_the_chain() {
    let catalog = simulated(INTAKE).await.catalog(resource("organizations/100000000001"));
    let asked = ["projects/demo-web", "projects/demo-prod"].map(resource);
    let effective = catalog.effective_policies(&asked).await.unwrap();
    for (resource, one) in asked.iter().zip(&effective) {
        let nodes: Vec<_> = one.policies.iter().map(|(node, _)| node.clone()).collect();
        assert_eq!((resource, &nodes), (&one.resource, &catalog.ancestry(resource).await.unwrap()));
    }
    assert!(
        effective[0].policies[0]
            .1
            .bindings
            .iter()
            .any(|binding| binding.title() == "Developers may activate")
    );
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
        Config { endpoints: Endpoints::all_at(url), tokens, on_call: None },
        quick(),
    )
    .unwrap()
}

async fn serve() -> (Cloud, String) {
    let cloud = Cloud::open(Options::default()).unwrap();
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
