use curfew_ports::{Catalog, NodeInfo, PortError, RetryClass};
use futures_util::{StreamExt, TryStreamExt};
use serde_json::{Value, json};

use super::fake::{Fake, Seen, email, error, ok, resource};
use crate::GoogleCatalog;

const CRM: &str = "//cloudresourcemanager.googleapis.com";
/// An analysis that found nothing.
const NOTHING: &str =
    r#"{"mainAnalysis":{"analysisQuery":{"scope":"organizations/1"},"fullyExplored":true}}"#;
const TYPES: [&str; 3] = [
    "cloudresourcemanager.googleapis.com/Organization",
    "cloudresourcemanager.googleapis.com/Folder",
    "cloudresourcemanager.googleapis.com/Project",
];

#[tokio::test]
async fn every_page_of_nodes_is_read() {
    let fake = Fake::answering(|call| {
        let page: u64 = token_of(call);
        let node = json!({"name": format!("{CRM}/folders/{}", page + 1), "state": "ACTIVE", "displayName": format!("Folder {page}"), "parentFullResourceName": format!("{CRM}/organizations/1")});
        ok(json!({"results": [node], "nextPageToken": next_token(page, 6)}).to_string())
    })
    .await;
    let nodes = catalog(&fake).nodes().await.unwrap();
    let names: Vec<_> = nodes.iter().map(|node| node.resource.to_string()).collect();
    assert_eq!(names, (1..8).map(|n| format!("folders/{n}")).collect::<Vec<_>>());
    assert_eq!(
        (nodes[3].display_name.as_str(), &nodes[3].parent),
        ("Folder 3", &Some(resource("organizations/1")))
    );
    for call in fake.seen() {
        assert_eq!(call.path, "/v1/organizations/1:searchAllResources");
        assert_eq!((call.all("assetTypes"), call.all("pageSize")), (TYPES.to_vec(), vec!["500"]));
    }
}

#[tokio::test]
async fn nodes_that_are_not_active_or_that_no_request_can_name_are_left_out() {
    let node = |name: &str, state: &str, id: &str| json!({"name": format!("{CRM}/{name}"), "state": state, "additionalAttributes": {"projectId": id}});
    let nodes = nodes_of(&[
        node("organizations/1", "ACTIVE", ""),
        node("projects/demo-web", "", "demo-web"),
        node("projects/demo-data", "ACTIVE", ""),
        node("projects/123", "ACTIVE", "demo-prod"),
        node("projects/example.com:web-app", "ACTIVE", "example.com:web-app"),
        node("projects/demo-gone", "DELETE_REQUESTED", "demo-gone"),
        node("folders/9", "DELETE_REQUESTED", ""),
        node("projects/UPPER", "ACTIVE", "UPPER"),
        node("projects/124", "ACTIVE", ""),
    ])
    .await
    .unwrap();
    let names: Vec<_> = nodes.iter().map(|node| node.resource.to_string()).collect();
    assert_eq!(
        names,
        [
            "organizations/1",
            "projects/demo-web",
            "projects/demo-data",
            "projects/demo-prod",
            "projects/example.com:web-app"
        ]
    );
}

#[tokio::test]
async fn a_parent_that_cannot_be_one_is_an_error() {
    for parent in [
        format!("{CRM}/projects/demo-web"),
        format!("{CRM}/folders/x"),
        "folders/1".to_owned(),
        "//storage.googleapis.com/folders/1".to_owned(),
    ] {
        let node = json!({"name": format!("{CRM}/folders/2"), "state": "ACTIVE", "parentFullResourceName": parent});
        let error = nodes_of(&[node]).await.unwrap_err();
        assert_eq!(error.class, RetryClass::Unavailable, "{parent}");
    }
}

#[tokio::test]
async fn a_list_of_nodes_that_breaks_off_or_never_ends_is_an_error() {
    let first = ok(json!({"results": [{"name": format!("{CRM}/folders/2"), "state": "ACTIVE"}], "nextPageToken": "a"}).to_string());
    let fake = Fake::scripted([first.clone(), error(403, "PERMISSION_DENIED", "m")]).await;
    assert_eq!(catalog(&fake).nodes().await.unwrap_err().class, RetryClass::Denied);
    let fake = Fake::answering(move |_| first.clone()).await;
    assert_eq!(catalog(&fake).nodes().await.unwrap_err().class, RetryClass::Unavailable);
    assert_eq!(fake.seen().len(), 1_000);
}

#[tokio::test]
async fn policies_come_page_by_page() {
    let fake = Fake::answering(|call| {
        let page: u64 = token_of(call);
        let result = found(&format!("{CRM}/folders/{}", page + 1), &format!("roles/r{page}"));
        ok(json!({"results": [result], "nextPageToken": next_token(page, 2)}).to_string())
    })
    .await;
    let google = catalog(&fake);
    let mut pages = google.search_policies();
    for page in 0..3 {
        let items = pages.next().await.unwrap().unwrap();
        let [(node, policy)] = items.as_slice() else { panic!("{items:?}") };
        assert_eq!(*node, resource(&format!("folders/{}", page + 1)));
        assert_eq!(policy.bindings[0].role, format!("roles/r{page}"));
        assert_eq!(fake.seen().len(), usize::try_from(page).unwrap() + 1, "read ahead");
    }
    assert!(pages.next().await.is_none());
    for call in fake.seen() {
        assert_eq!(call.path, "/v1/organizations/1:searchAllIamPolicies");
        assert_eq!((call.all("assetTypes"), call.all("query")), (TYPES.to_vec(), vec![]));
    }
}

#[tokio::test]
async fn a_failed_page_ends_the_policies_with_an_error() {
    for (second, class) in [
        (error(403, "PERMISSION_DENIED", "m"), RetryClass::Denied),
        (ok(r#"{"results":[{"policy":{}}]}"#), RetryClass::Unavailable),
        (ok(r#"{"results":[{"resource":"x","policy":{"bindings":7}}]}"#), RetryClass::Unavailable),
    ] {
        let first = ok(json!({"results": [], "nextPageToken": "a"}).to_string());
        let fake = Fake::answering(move |call| {
            if call.all("pageToken").is_empty() { first.clone() } else { second.clone() }
        })
        .await;
        let google = catalog(&fake);
        let mut pages = google.search_policies();
        assert_eq!(pages.next().await.unwrap().unwrap(), vec![]);
        assert_eq!(pages.next().await.unwrap().unwrap_err().class, class);
        assert!(pages.next().await.is_none());
    }
}

#[tokio::test]
async fn a_project_by_its_number_is_the_one_that_the_list_of_nodes_has() {
    let fake = Fake::answering(|call| {
        if call.path.ends_with(":searchAllResources") {
            let node = json!({"name": format!("{CRM}/projects/demo-web"), "project": "projects/123", "state": "ACTIVE"});
            return ok(json!({"results": [node]}).to_string());
        }
        let names = ["projects/123", "projects/124", "projects/demo-data"];
        let mut results: Vec<_> =
            names.iter().map(|it| found(&format!("{CRM}/{it}"), "roles/x")).collect();
        results.push(found("//storage.googleapis.com/a-bucket", "roles/x"));
        ok(json!({"results": results}).to_string())
    })
    .await;
    let pages: Vec<_> = catalog(&fake).search_policies().try_collect().await.unwrap();
    let nodes: Vec<_> = pages.concat().iter().map(|(node, _)| node.to_string()).collect();
    assert_eq!(nodes, ["projects/demo-web", "projects/demo-data"]);
    assert_eq!(fake.seen().len(), 2, "the list of nodes is read once");
}

#[tokio::test]
async fn an_analysis_is_asked_once_a_minute_and_person() {
    let result = json!({"attachedResourceFullName": format!("{CRM}/folders/5"), "iamBinding": binding("roles/a")});
    let other = json!({"attachedResourceFullName": format!("{CRM}/folders/5"), "iamBinding": binding("roles/b")});
    let bucket = json!({"attachedResourceFullName": "//storage.googleapis.com/b", "iamBinding": binding("roles/c")});
    let doubt = json!([{"code": "PERMISSION_DENIED", "cause": "cannot read group x"}]);
    let body = json!({"mainAnalysis": {"analysisQuery": {}, "analysisResults": [result, other, bucket], "nonCriticalErrors": doubt}});
    let fake = Fake::answering(move |_| ok(body.to_string())).await;
    let google = catalog(&fake);
    let found = google.policies_naming(&email("alice@example.com")).await.unwrap();
    let [(node, policy)] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(*node, resource("folders/5"));
    let roles: Vec<_> = policy.bindings.iter().map(|binding| binding.role.as_str()).collect();
    assert_eq!(roles, ["roles/a", "roles/b"]);
    google.policies_naming(&email("alice@example.com")).await.unwrap();
    google.clone().policies_naming(&email("bob@example.com")).await.unwrap();
    let identity = "analysisQuery.identitySelector.identity";
    let asked: Vec<_> = fake.seen().iter().map(|call| call.all(identity).concat()).collect();
    assert_eq!(asked, ["user:alice@example.com", "user:bob@example.com"]);
    assert_eq!(fake.seen()[0].path, "/v1/organizations/1:analyzeIamPolicy");
}

#[tokio::test]
async fn analyses_beyond_the_quota_are_refused_here() {
    let fake = Fake::answering(|_| ok(NOTHING)).await;
    let google = catalog(&fake);
    let mut refused = Vec::new();
    for n in 0..12 {
        let person = email(&format!("p{n}@example.com"));
        refused.extend(google.policies_naming(&person).await.err());
    }
    assert!(!refused.is_empty() && refused.len() <= 2, "{refused:?}");
    assert!(refused.iter().all(|error| matches!(error.class, RetryClass::RateLimited(Some(_)))));
    assert_eq!(fake.seen().len(), 12 - refused.len());
}

#[tokio::test]
async fn a_failed_analysis_is_an_error_and_is_not_kept() {
    let fake = Fake::scripted([error(403, "PERMISSION_DENIED", "m"), ok(NOTHING)]).await;
    let (google, alice) = (catalog(&fake), email("alice@example.com"));
    assert_eq!(google.policies_naming(&alice).await.unwrap_err().class, RetryClass::Denied);
    assert_eq!(google.policies_naming(&alice).await.unwrap(), vec![]);
}

fn catalog(fake: &Fake) -> GoogleCatalog {
    fake.google().catalog(resource("organizations/1"))
}

async fn nodes_of(results: &[Value]) -> Result<Vec<NodeInfo>, PortError> {
    let body = json!({"results": results}).to_string();
    let fake = Fake::answering(move |_| ok(body.clone())).await;
    catalog(&fake).nodes().await
}

fn binding(role: &str) -> Value {
    json!({"role": role, "members": ["user:alice@example.com"]})
}

fn found(name: &str, role: &str) -> Value {
    json!({"resource": name, "policy": {"bindings": [binding(role)]}})
}

fn token_of(call: &Seen) -> u64 {
    call.all("pageToken").first().map_or(0, |token| token.trim_start_matches("t&").parse().unwrap())
}

fn next_token(page: u64, last: u64) -> String {
    if page < last { format!("t&{}", page + 1) } else { String::new() }
}
