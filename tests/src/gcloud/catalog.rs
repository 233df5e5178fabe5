//! The hierarchy and the asset index, as gcloud shows them.

use serde_json::{Value, json};

use super::cli::Gcloud;
use crate::e2e::demo::Demo;

const ORGANIZATION: &str = "organizations/100000000001";

#[tokio::test]
async fn gcloud_lists_and_describes_the_hierarchy() {
    let demo = Demo::start().await;
    let Some(gcloud) = Gcloud::of(&demo) else { return };
    let projects = gcloud.json(&["projects", "list", "--sort-by=projectId"]).await;
    let ids = ["demo-curfew", "demo-data", "demo-prod", "demo-web"];
    assert_eq!(every(&projects, "/projectId"), ids);
    let filter = "--filter=labels.env=prod";
    let production = gcloud.json(&["projects", "list", filter, "--sort-by=projectId"]).await;
    assert_eq!(every(&production, "/projectId"), ["demo-curfew", "demo-prod"]);

    let web = gcloud.json(&["projects", "describe", "demo-web"]).await;
    assert_eq!(
        (&web["projectNumber"], &web["lifecycleState"], &web["parent"]),
        (
            &json!("100000000101"),
            &json!("ACTIVE"),
            &json!({"id": "200000000001", "type": "folder"})
        )
    );
    let chain = gcloud.json(&["projects", "get-ancestors", "demo-web"]).await;
    assert_eq!(every(&chain, "/id"), ["demo-web", "200000000001", "100000000001"]);
    let folders =
        gcloud.json(&["resource-manager", "folders", "list", "--organization=100000000001"]).await;
    assert_eq!(every(&folders, "/displayName"), ["Workloads"]);
    let organizations = gcloud.json(&["organizations", "list"]).await;
    assert_eq!(every(&organizations, "/name"), [ORGANIZATION]);
}

#[tokio::test]
async fn gcloud_searches_and_analyses_the_asset_index() {
    let demo = Demo::start().await;
    let Some(gcloud) = Gcloud::of(&demo) else { return };
    let denied = gcloud.refusal(&["asset", "search-all-resources", "--scope", ORGANIZATION]).await;
    assert!(denied.contains("cloudasset.assets.searchAllResources"), "{denied}");
    let flags = ["--member=user:olga@example.com", "--role=roles/cloudasset.viewer"];
    let add = ["organizations", "add-iam-policy-binding", "100000000001", "--condition=None"];
    gcloud.json(&[&add[..], &flags].concat()).await;

    let policies = ["asset", "search-all-iam-policies", "--scope", ORGANIZATION];
    let found = gcloud.json(&[&policies[..], &["--query=policy:bob@example.com"]].concat()).await;
    let data = "//cloudresourcemanager.googleapis.com/projects/demo-data";
    assert_eq!(every(&found, "/resource"), [data]);
    assert_eq!(every(&found, "/policy/bindings/0/role"), ["roles/storage.objectViewer"]);

    let projects = "--asset-types=cloudresourcemanager.googleapis.com/Project";
    let resources = ["asset", "search-all-resources", "--scope", ORGANIZATION, projects];
    let found = gcloud.json(&[&resources[..], &["--order-by=name"]].concat()).await;
    let names = ["curfew", "data", "prod", "web"]
        .map(|name| format!("//cloudresourcemanager.googleapis.com/projects/demo-{name}"));
    assert_eq!(every(&found, "/name"), names);

    let analyze = ["asset", "analyze-iam-policy", "--organization=100000000001"];
    let analysis =
        gcloud.json(&[&analyze[..], &["--identity=user:dave@example.com"]].concat()).await;
    let text = analysis.to_string();
    assert!(text.contains(data) && text.contains("roles/bigquery.dataViewer"), "{analysis}");
    assert!(!text.contains("roles/run.admin"), "{analysis}");
}

/// The texts at a pointer of every item of a list.
fn every(list: &Value, pointer: &str) -> Vec<String> {
    let items = list.as_array().unwrap_or_else(|| panic!("no list: {list}"));
    let text = |item: &Value| item.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    items.iter().filter_map(text).collect()
}
