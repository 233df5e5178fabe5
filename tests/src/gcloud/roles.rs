//! Roles, predefined and custom, as gcloud lists and changes them.

use reqwest::Method;
use serde_json::{Value, json};

use super::cli::Gcloud;
use crate::e2e::demo::Demo;

#[tokio::test]
async fn gcloud_lists_and_describes_predefined_roles() {
    let demo = Demo::start().await;
    let Some(gcloud) = Gcloud::of(&demo) else { return };
    let listed = gcloud.json(&["iam", "roles", "list"]).await;
    let names: Vec<_> = listed.as_array().unwrap().iter().map(|role| &role["name"]).collect();
    assert!(names.contains(&&json!("roles/compute.viewer")), "{names:?}");
    let viewer = gcloud.json(&["iam", "roles", "describe", "roles/compute.viewer"]).await;
    assert_eq!(viewer, demo.cloud(Method::GET, "/v1/roles/compute.viewer", None).await);
    let error = gcloud.refusal(&["iam", "roles", "describe", "roles/compute.nobody"]).await;
    assert!(error.contains("roles/compute.nobody was not found"), "{error}");
}

#[tokio::test]
async fn gcloud_makes_changes_and_deletes_a_custom_role() {
    let demo = Demo::start().await;
    let Some(gcloud) = Gcloud::of(&demo) else { return };
    let role = |verb: &'static str| {
        ["iam", "roles", verb, "incidentReader", "--organization=100000000001"]
    };
    let stored = || async {
        let path = "/v1/organizations/100000000001/roles/incidentReader";
        demo.cloud(Method::GET, path, None).await
    };
    let first = ["--title=Incident reader", "--permissions=logging.logs.list", "--stage=GA"];
    let made = gcloud.json(&[&role("create")[..], &first].concat()).await;
    assert_eq!(made["name"], "organizations/100000000001/roles/incidentReader");
    assert_eq!(permissions(&stored().await), ["logging.logs.list"]);
    let again = gcloud.refusal(&[&role("create")[..], &first].concat()).await;
    assert!(again.contains("already exists"), "{again}");

    let more = ["--add-permissions=compute.instances.list", "--title=Reader"];
    gcloud.json(&[&role("update")[..], &more].concat()).await;
    let changed = stored().await;
    assert_eq!(permissions(&changed), ["compute.instances.list", "logging.logs.list"]);
    assert_eq!(changed["title"], "Reader");
    assert_eq!(gcloud.json(&role("describe")).await, changed);

    let listed = gcloud.json(&["iam", "roles", "list", "--organization=100000000001"]).await;
    let is_listed =
        |list: &Value| list.as_array().unwrap().iter().any(|role| role["name"] == made["name"]);
    assert!(is_listed(&listed), "{listed}");
    let deleted = gcloud.json(&role("delete")).await;
    assert_eq!(deleted["deleted"], true, "{deleted}");
    assert_eq!(stored().await["deleted"], true);
    gcloud.json(&role("undelete")).await;
    assert_eq!(stored().await["deleted"], Value::Null);
}

fn permissions(role: &Value) -> Vec<String> {
    let all = role["includedPermissions"].as_array().into_iter().flatten();
    let mut names: Vec<_> = all.map(|name| name.as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}
