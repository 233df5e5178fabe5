//! Each method needs exactly the permissions that Google documents for it.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{INTAKE, ORGANIZATION, Sim};

const FULL: &str = "//cloudresourcemanager.googleapis.com/";
const PROBE: &str = "v1/organizations/100000000001/roles/probe";

/// Google's documentation of each method, in an order in which all of them can succeed.
#[tokio::test]
async fn each_method_needs_its_permissions_and_names_the_one_that_is_missing() {
    let sim = Sim::start().await;
    let token = probe(&sim).await;
    let policy = json!({"policy": sim.policy("projects/demo-data").await});
    let all_of_asset = [
        "cloudasset.assets.analyzeIamPolicy",
        "cloudasset.assets.searchAllResources",
        "cloudasset.assets.searchAllIamPolicies",
    ];
    let analysis = format!(
        "v1/{ORGANIZATION}:analyzeIamPolicy?analysisQuery.resourceSelector.fullResourceName={FULL}projects/demo-web"
    );
    let effective =
        format!("v1/{ORGANIZATION}/effectiveIamPolicies:batchGet?names={FULL}projects/demo-web");
    let role = json!({"roleId": "made", "role": {"includedPermissions": ["iam.roles.get"]}});
    let get = |path: &str| (Method::GET, path.to_owned(), None);
    let post = |path: &str, body: &Value| (Method::POST, path.to_owned(), Some(body.clone()));
    let made = "v1/projects/demo-web/roles/made";
    let none = json!({});
    for ((method, path, body), permissions) in [
        (get("v3/projects/demo-web"), &["resourcemanager.projects.get"][..]),
        (get("v1/projects/demo-web"), &["resourcemanager.projects.get"]),
        (post("v1/projects/demo-web:getAncestry", &none), &["resourcemanager.projects.get"]),
        (get("v3/folders/200000000001"), &["resourcemanager.folders.get"]),
        (get("v3/organizations/100000000001"), &["resourcemanager.organizations.get"]),
        (get("v3/projects?parent=folders/200000000001"), &["resourcemanager.projects.list"]),
        (get("v3/folders?parent=organizations/100000000001"), &["resourcemanager.folders.list"]),
        (
            post("v3/projects/demo-data:getIamPolicy", &none),
            &["resourcemanager.projects.getIamPolicy"],
        ),
        (
            post("v3/folders/200000000001:getIamPolicy", &none),
            &["resourcemanager.folders.getIamPolicy"],
        ),
        (
            post("v3/projects/demo-data:setIamPolicy", &policy),
            &["resourcemanager.projects.setIamPolicy"],
        ),
        (
            get(&format!("v1/{ORGANIZATION}:searchAllIamPolicies")),
            &["cloudasset.assets.searchAllIamPolicies"],
        ),
        (
            get(&format!("v1/{ORGANIZATION}:searchAllResources")),
            &["cloudasset.assets.searchAllResources"],
        ),
        (get(&analysis), &all_of_asset),
        (get(&effective), &all_of_asset),
        (get("v1/projects/demo-web/roles"), &["iam.roles.list"]),
        (post("v1/projects/demo-web/roles", &role), &["iam.roles.create"]),
        (get(made), &["iam.roles.get"]),
        ((Method::PATCH, made.to_owned(), Some(json!({"title": "t"}))), &["iam.roles.update"]),
        ((Method::DELETE, made.to_owned(), None), &["iam.roles.delete"]),
        (post(&format!("{made}:undelete"), &none), &["iam.roles.undelete"]),
    ] {
        for missing in permissions {
            let held: Vec<&&str> = permissions.iter().filter(|it| it != &missing).collect();
            give(&sim, json!(held)).await;
            let refused = sim.call(method.clone(), &path, body.clone(), Some(&token)).await;
            assert_eq!(refused.error(), (403, "PERMISSION_DENIED"), "{method} {path}");
            let metadata = &refused.body["error"]["details"][0]["metadata"];
            assert_eq!(metadata["permission"], *missing, "{method} {path}");
        }
        give(&sim, json!(permissions)).await;
        let answered = sim.call(method.clone(), &path, body, Some(&token)).await;
        assert_eq!(answered.status, 200, "{method} {path}: {}", answered.body);
    }
}

#[tokio::test]
async fn searches_and_tests_of_permissions_refuse_nobody_and_show_only_what_is_held() {
    let sim = Sim::start().await;
    let token = probe(&sim).await;
    give(&sim, json!([])).await;
    let search = || sim.call(Method::GET, "v3/projects:search", None, Some(&token));
    assert_eq!(search().await.body, json!({}));
    give(&sim, json!(["resourcemanager.projects.get"])).await;
    assert_eq!(search().await.body["projects"].as_array().unwrap().len(), 4);
    let asked = json!({"permissions": ["resourcemanager.projects.get", "iam.roles.get"]});
    let path = "v3/projects/demo-web:testIamPermissions";
    let held = sim.call(Method::POST, path, Some(asked), Some(&token)).await;
    assert_eq!(held.body, json!({"permissions": ["resourcemanager.projects.get"]}));
}

#[tokio::test]
async fn an_administrator_role_for_groups_does_not_read_users() {
    let sim = Sim::start().await;
    let intake = sim.token(INTAKE);
    let ask = |path: &'static str| sim.call(Method::GET, path, None, Some(&intake));
    assert_eq!(ask("admin/directory/v1/groups/devs@example.com").await.status, 200);
    assert_eq!(ask("admin/directory/v1/users/bob@example.com").await.status, 403);
    let report = sim.get("sim/v1/permissions").await.body.to_string();
    assert!(report.contains("admin.groups.read") && report.contains("admin.users.read"));
}

/// The token of a service account whose only role is the custom role [`PROBE`] on the organisation.
async fn probe(sim: &Sim) -> String {
    let body = json!({"project": "demo-curfew"});
    let member = "serviceAccount:probe@demo-curfew.iam.gserviceaccount.com";
    let path = format!("sim/v1/principals/{member}");
    assert_eq!(sim.call(Method::PUT, &path, Some(body), None).await.status, 201);
    let role = json!({"roleId": "probe", "role": {"stage": "GA"}});
    let created = sim.post("v1/organizations/100000000001/roles", role).await;
    assert_eq!(created.status, 200, "{}", created.body);
    let binding = json!({"role": "organizations/100000000001/roles/probe", "members": [member]});
    assert_eq!(sim.add_binding(ORGANIZATION, binding).await.status, 200);
    sim.token("probe@demo-curfew.iam.gserviceaccount.com")
}

async fn give(sim: &Sim, permissions: Value) {
    let path = format!("{PROBE}?updateMask=includedPermissions");
    let body = json!({"includedPermissions": permissions});
    let given = sim.call(Method::PATCH, &path, Some(body), Some("x")).await;
    assert_eq!(given.status, 200, "{}", given.body);
}
