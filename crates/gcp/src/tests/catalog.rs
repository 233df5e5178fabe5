use curfew_core::role::Role;
use curfew_ports::{Catalog, PortError, RetryClass};
use serde_json::json;

use super::fake::{Fake, Reply, Seen, error, ok, resource};
use crate::GoogleCatalog;

#[tokio::test]
async fn the_ancestry_goes_up_to_the_organisation() {
    let fake = Fake::answering(hierarchy).await;
    let chain =
        catalog(&fake, "organizations/1").ancestry(&resource("projects/demo-web")).await.unwrap();
    assert_eq!(
        chain,
        ["projects/demo-web", "folders/20", "folders/10", "organizations/1"].map(resource)
    );
    assert_eq!(fake.seen().len(), 3);
}

#[tokio::test]
async fn the_ancestry_ends_at_the_scope() {
    let fake = Fake::answering(hierarchy).await;
    let chain =
        catalog(&fake, "folders/20").ancestry(&resource("projects/demo-web")).await.unwrap();
    assert_eq!(chain, ["projects/demo-web", "folders/20"].map(resource));
    let own =
        catalog(&fake, "projects/demo-web").ancestry(&resource("projects/demo-web")).await.unwrap();
    assert_eq!(own, [resource("projects/demo-web")]);
    assert_eq!(fake.seen().len(), 2);
}

#[tokio::test]
async fn a_project_or_organisation_without_a_parent_stands_alone() {
    let fake = Fake::answering(|_| ok(r#"{"name":"projects/7","projectId":"demo-alone"}"#)).await;
    let catalog = catalog(&fake, "organizations/1");
    assert_eq!(
        catalog.ancestry(&resource("projects/demo-alone")).await.unwrap(),
        [resource("projects/demo-alone")]
    );
    assert_eq!(
        catalog.ancestry(&resource("organizations/1")).await.unwrap(),
        [resource("organizations/1")]
    );
}

#[tokio::test]
async fn an_ancestry_that_cannot_be_read_is_an_error() {
    for (reply, class) in [
        (error(403, "PERMISSION_DENIED", "m"), RetryClass::Denied),
        (error(404, "NOT_FOUND", "m"), RetryClass::NotFound),
        (ok("{}"), RetryClass::Unavailable),
        (ok(r#"{"name":"folders/8","parent":"organizations/1"}"#), RetryClass::Unavailable),
        (ok(r#"{"name":"folders/7","parent":"projects/demo-web"}"#), RetryClass::Unavailable),
        (ok(r#"{"name":"folders/7","parent":"folders/"}"#), RetryClass::Unavailable),
        (ok(r#"{"name":"folders/7","parent":"folders/7"}"#), RetryClass::Unavailable),
    ] {
        let answer = reply.clone();
        let fake = Fake::answering(move |_| answer.clone()).await;
        let error =
            catalog(&fake, "organizations/1").ancestry(&resource("folders/7")).await.unwrap_err();
        assert_eq!(error.class, class, "{reply:?}");
        assert!(fake.seen().len() <= 12, "{reply:?}");
    }
}

#[tokio::test]
async fn every_page_of_projects_is_read() {
    let fake = Fake::answering(|call| {
        let page: usize = call.all("pageToken").first().map_or(0, |token| token.trim_start_matches("t&").parse().unwrap());
        let project = json!({"projectId": format!("demo-{page:02}"), "state": "ACTIVE", "displayName": format!("Demo {page}"), "parent": "folders/1"});
        let token = if page < 6 { format!("t&{}", page + 1) } else { String::new() };
        ok(json!({"projects": [project], "nextPageToken": token}).to_string())
    })
    .await;
    let projects = catalog(&fake, "organizations/1").projects().await.unwrap();
    let ids: Vec<_> = projects.iter().map(|project| project.resource.to_string()).collect();
    assert_eq!(ids, (0..7).map(|page| format!("projects/demo-{page:02}")).collect::<Vec<_>>());
    assert_eq!(
        (projects[3].display_name.as_str(), &projects[3].parent),
        ("Demo 3", &Some(resource("folders/1")))
    );
    for call in fake.seen() {
        assert_eq!(
            (call.path.as_str(), call.all("query")),
            ("/v3/projects:search", vec!["state:ACTIVE"])
        );
    }
}

#[tokio::test]
async fn an_empty_page_in_the_middle_does_not_end_the_list() {
    let page =
        |projects, token| ok(json!({"projects": projects, "nextPageToken": token}).to_string());
    let project = json!([{"projectId": "demo-web", "state": "ACTIVE"}]);
    let fake =
        Fake::scripted([page(json!([]), "a"), ok(r#"{"nextPageToken":"b"}"#), page(project, "")])
            .await;
    assert_eq!(catalog(&fake, "organizations/1").projects().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_list_that_breaks_off_or_never_ends_is_an_error() {
    let first =
        ok(r#"{"projects":[{"projectId":"demo-web","state":"ACTIVE"}],"nextPageToken":"a"}"#);
    let fake = Fake::scripted([first.clone(), error(403, "PERMISSION_DENIED", "m")]).await;
    assert_eq!(
        catalog(&fake, "organizations/1").projects().await.unwrap_err().class,
        RetryClass::Denied
    );
    let fake = Fake::answering(move |_| first.clone()).await;
    assert_eq!(
        catalog(&fake, "organizations/1").projects().await.unwrap_err().class,
        RetryClass::Unavailable
    );
    assert_eq!(fake.seen().len(), 200);
}

#[tokio::test]
async fn projects_that_no_request_can_name_are_left_out() {
    let fake = Fake::scripted([ok(json!({"projects": [
        {"projectId": "demo-web", "state": "ACTIVE"},
        {"projectId": "demo-gone", "state": "DELETE_REQUESTED"},
        {"projectId": "UPPER", "state": "ACTIVE"},
        {"projectId": "example.com:web-app", "state": "ACTIVE", "parent": "organizations/1"},
    ]})
    .to_string())])
    .await;
    let projects = catalog(&fake, "organizations/1").projects().await.unwrap();
    let ids: Vec<_> = projects.iter().map(|project| project.resource.to_string()).collect();
    assert_eq!(ids, ["projects/demo-web", "projects/example.com:web-app"]);
}

#[tokio::test]
async fn effective_policies_are_asked_for_twenty_at_a_time_and_kept_in_order() {
    let fake = Fake::answering(effective_by_name).await;
    let resources: Vec<_> =
        (0..45).map(|index| resource(&format!("projects/demo-{index:03}"))).collect();
    let effective = catalog(&fake, "folders/5").effective_policies(&resources).await.unwrap();
    let order: Vec<_> = effective.iter().map(|one| one.resource.clone()).collect();
    assert_eq!(order, resources);
    for one in &effective {
        let [(own, policy), (folder, _)] = one.policies.as_slice() else { panic!("{one:?}") };
        assert_eq!((own, folder), (&one.resource, &resource("folders/5")));
        assert_eq!(policy.bindings[0].role, format!("roles/{}", one.resource));
    }
    let mut sizes: Vec<_> = fake.seen().iter().map(|call| call.all("names").len()).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [5, 20, 20]);
    assert!(
        fake.seen().iter().all(|call| call.path == "/v1/folders/5/effectiveIamPolicies:batchGet")
    );
    assert_eq!(catalog(&fake, "folders/5").effective_policies(&[]).await.unwrap(), vec![]);
}

#[tokio::test]
async fn a_project_number_in_the_index_is_the_project_that_was_asked_for() {
    let full = "//cloudresourcemanager.googleapis.com/projects/123";
    let effective = effective_of(
        "projects/demo-web",
        full,
        &[full, "//cloudresourcemanager.googleapis.com/organizations/1"],
    )
    .await
    .unwrap();
    assert_eq!(effective, ["projects/demo-web", "organizations/1"]);
}

#[tokio::test]
async fn names_in_the_index_that_do_not_fit_are_an_error() {
    let crm = |name: &str| format!("//cloudresourcemanager.googleapis.com/{name}");
    let web = crm("projects/demo-web");
    for (asked, own, attached) in [
        ("projects/demo-web", crm("projects/demo-data"), web.clone()),
        ("projects/demo-web", crm("projects/123"), crm("projects/124")),
        ("projects/demo-web", web.clone(), crm("projects/demo-data")),
        ("projects/demo-web", web.clone(), "//storage.googleapis.com/projects/demo-web".into()),
        ("projects/demo-web", web.clone(), String::new()),
        ("projects/demo-web", web.clone(), crm("projects/99999999999999999999999999")),
        ("folders/7", crm("folders/7"), crm("projects/123")),
        ("folders/7", crm("projects/123"), crm("folders/7")),
    ] {
        let error = effective_of(asked, &own, &[&attached]).await.unwrap_err();
        assert_eq!(error.class, RetryClass::Unavailable, "{own} {attached}");
    }
}

#[tokio::test]
async fn a_batch_with_another_number_of_results_is_an_error() {
    for body in [r#"{"policyResults":[]}"#, "{}"] {
        let fake = Fake::answering(move |_| ok(body)).await;
        let error = catalog(&fake, "folders/5")
            .effective_policies(&[resource("folders/7")])
            .await
            .unwrap_err();
        assert_eq!(error.class, RetryClass::Unavailable);
    }
}

#[tokio::test]
async fn a_role_has_its_permissions_or_does_not_exist() {
    let fake = Fake::scripted([
        ok(r#"{"name":"roles/browser","includedPermissions":["b.c.d","a.b.c"]}"#),
        ok(r#"{"name":"roles/browser"}"#),
        ok(r#"{"name":"roles/browser","includedPermissions":["a.b.c"],"deleted":true}"#),
        error(404, "NOT_FOUND", "m"),
    ])
    .await;
    let (catalog, role) =
        (catalog(&fake, "organizations/1"), Role::parse("roles/browser").unwrap());
    let permissions = catalog.permissions(&role).await.unwrap().unwrap();
    assert_eq!(permissions.into_iter().collect::<Vec<_>>(), ["a.b.c", "b.c.d"]);
    assert_eq!(catalog.permissions(&role).await.unwrap().unwrap().len(), 0);
    assert_eq!(catalog.permissions(&role).await.unwrap(), None);
    assert_eq!(catalog.permissions(&role).await.unwrap(), None);
    assert!(fake.seen().iter().all(|call| call.path == "/v1/roles/browser"));
}

#[tokio::test]
async fn a_role_that_cannot_be_read_is_an_error() {
    for (reply, class) in [
        (error(403, "PERMISSION_DENIED", "m"), RetryClass::Denied),
        (ok("{}"), RetryClass::Unavailable),
        (ok(r#"{"name":"roles/owner","includedPermissions":[]}"#), RetryClass::Unavailable),
        (ok(r#"{"name":"roles/browser","includedPermissions":"a"}"#), RetryClass::Unavailable),
    ] {
        let fake = Fake::answering(move |_| reply.clone()).await;
        let error = catalog(&fake, "organizations/1")
            .permissions(&Role::parse("roles/browser").unwrap())
            .await
            .unwrap_err();
        assert_eq!(error.class, class);
    }
}

fn catalog(fake: &Fake, scope: &str) -> GoogleCatalog {
    fake.google().catalog(resource(scope))
}

fn hierarchy(call: &Seen) -> Reply {
    match call.path.as_str() {
        "/v3/projects/demo-web" => {
            ok(r#"{"name":"projects/7","projectId":"demo-web","parent":"folders/20"}"#)
        }
        "/v3/folders/20" => ok(r#"{"name":"folders/20","parent":"folders/10"}"#),
        "/v3/folders/10" => ok(r#"{"name":"folders/10","parent":"organizations/1"}"#),
        _ => error(403, "PERMISSION_DENIED", "m"),
    }
}

fn effective_by_name(call: &Seen) -> Reply {
    let results = call.all("names").into_iter().map(|name| {
        let id = name.trim_start_matches("//cloudresourcemanager.googleapis.com/");
        let policies = json!([
            {"attachedResource": name, "policy": {"bindings": [{"role": format!("roles/{id}"), "members": ["allUsers"]}]}},
            {"attachedResource": "//cloudresourcemanager.googleapis.com/folders/5", "policy": {}},
        ]);
        json!({"fullResourceName": name, "policies": policies})
    });
    ok(json!({"policyResults": results.collect::<Vec<_>>()}).to_string())
}

async fn effective_of(asked: &str, own: &str, attached: &[&str]) -> Result<Vec<String>, PortError> {
    let policies: Vec<_> =
        attached.iter().map(|name| json!({"attachedResource": name, "policy": {}})).collect();
    let body =
        json!({"policyResults": [{"fullResourceName": own, "policies": policies}]}).to_string();
    let fake = Fake::answering(move |_| ok(body.clone())).await;
    let effective =
        catalog(&fake, "organizations/1").effective_policies(&[resource(asked)]).await?;
    Ok(effective[0].policies.iter().map(|(node, _)| node.to_string()).collect())
}
