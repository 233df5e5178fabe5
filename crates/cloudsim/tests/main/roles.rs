//! Custom roles from creation to the end of their bindings.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, ORGANIZATION, Sim, binding};

const WEB: &str = "projects/demo-web";
const ROLES: &str = "v1/projects/demo-web/roles";
const ROLE: &str = "projects/demo-web/roles/reader";

#[tokio::test]
async fn a_custom_role_is_created_read_listed_and_changed_under_its_etag() {
    let sim = seeded().await;
    let created = create(&sim, "reader", json!(["compute.instances.get"])).await;
    assert_eq!(created.status, 200, "{}", created.body);
    assert_eq!(
        (&created.body["name"], &created.body["stage"], &created.body["title"]),
        (&json!(ROLE), &json!("GA"), &json!("Reader"))
    );
    let first = created.body["etag"].clone();
    assert_eq!(sim.get(&format!("v1/{ROLE}")).await.body, created.body);

    let change =
        json!({"includedPermissions": ["compute.instances.list"], "stage": "BETA", "etag": first});
    let patch = |body: Value| patched(&sim, "", body);
    let changed = patch(change.clone()).await;
    assert_eq!(changed.status, 200, "{}", changed.body);
    assert_eq!(changed.body["includedPermissions"], json!(["compute.instances.list"]));
    assert_eq!(
        (&changed.body["stage"], &changed.body["title"]),
        (&json!("BETA"), &json!("Reader")),
        "what is not sent stays"
    );
    assert_ne!(changed.body["etag"], first);
    assert_eq!(patch(change).await.error(), (409, "ABORTED"), "the etag is an old one");

    let masked = patched(&sim, "?updateMask=title", json!({"title": "Other", "stage": "GA"})).await;
    assert_eq!(
        (&masked.body["title"], &masked.body["stage"]),
        (&json!("Other"), &json!("BETA")),
        "what is not in the mask stays"
    );
    assert_eq!(patched(&sim, "?updateMask=deleted", json!({})).await.status, 400);

    let listed = sim.get(ROLES).await.body;
    assert_eq!(listed["roles"].as_array().unwrap().len(), 1);
    assert!(listed["roles"][0].get("includedPermissions").is_none(), "the view is basic");
    let full = sim.get(&format!("{ROLES}?view=FULL")).await.body;
    assert_eq!(full["roles"][0]["includedPermissions"], json!(["compute.instances.list"]));
}

#[tokio::test]
async fn an_alpha_role_is_answered_without_its_stage() {
    let sim = seeded().await;
    let created = sim.post(ROLES, json!({"roleId": "early", "role": {"title": "Early"}})).await;
    assert_eq!((created.status, created.body.get("stage")), (200, None));
}

#[tokio::test]
async fn what_iam_refuses_in_a_role_is_refused() {
    let sim = seeded().await;
    for (id, permissions, why) in [
        ("ab", json!([]), "an id of two characters"),
        ("with-dash", json!([]), "an id with a dash"),
        ("fine", json!(["no.such.permission"]), "an unknown permission"),
        ("fine", json!(["resourcemanager.organizations.get"]), "not for projects"),
        ("fine", json!(["resourcemanager.projects.list"]), "not for projects"),
    ] {
        let refused = create(&sim, id, permissions).await;
        assert_eq!(refused.error(), (400, "INVALID_ARGUMENT"), "{why}");
    }
    let unknown = json!({"roleId": "fine", "role": {"permissions": ["compute.instances.get"]}});
    assert_eq!(sim.post(ROLES, unknown).await.status, 400, "an unknown field");
    assert_eq!(create(&sim, "fine", json!(["compute.instances.get"])).await.status, 200);
    assert_eq!(create(&sim, "fine", json!([])).await.error(), (409, "ALREADY_EXISTS"));
    let on_folder = sim.post("v1/folders/200000000001/roles", json!({"roleId": "fine"})).await;
    assert_eq!(on_folder.status, 404);
}

#[tokio::test]
async fn a_bound_custom_role_gives_its_permissions_until_it_is_disabled_or_deleted() {
    let sim = seeded().await;
    create(&sim, "reader", json!(["resourcemanager.projects.getIamPolicy"])).await;
    let bound = sim.add_binding(WEB, binding(ROLE, "user:dave@example.com")).await;
    assert_eq!(bound.status, 200, "{}", bound.body);
    let elsewhere = sim.add_binding("projects/demo-data", binding(ROLE, "user:dave@example.com"));
    assert_eq!(elsewhere.await.error(), (400, "INVALID_ARGUMENT"), "not in the hierarchy");
    revoke_browser(&sim).await;

    let dave = sim.token("dave@example.com");
    let reads = || async {
        let path = "v3/projects/demo-web:getIamPolicy";
        let read = sim.call(Method::POST, path, Some(json!({})), Some(&dave)).await.status == 200;
        let can = json!({"principal": "user:dave@example.com", "role": ROLE, "resource": WEB});
        assert_eq!(sim.can(can).await, read, "both ways of asking agree");
        read
    };
    assert!(reads().await);
    patched(&sim, "", json!({"stage": "DISABLED"})).await;
    assert!(!reads().await, "disabled");
    patched(&sim, "", json!({"stage": "GA"})).await;
    assert!(reads().await);

    let deleted = sim.call(Method::DELETE, &format!("v1/{ROLE}"), None, Some("x")).await;
    assert_eq!((deleted.status, &deleted.body["deleted"]), (200, &json!(true)));
    assert!(!reads().await, "deleted");
    let undeleted = sim.post(&format!("v1/{ROLE}:undelete"), json!({})).await;
    assert_eq!((undeleted.status, undeleted.body.get("deleted")), (200, None));
    assert!(reads().await, "undeleted");
}

#[tokio::test]
async fn a_deleted_role_keeps_its_bindings_and_takes_no_new_ones() {
    let sim = seeded().await;
    create(&sim, "reader", json!(["compute.instances.get"])).await;
    sim.add_binding(WEB, binding(ROLE, "user:dave@example.com")).await;
    sim.call(Method::DELETE, &format!("v1/{ROLE}"), None, Some("x")).await;

    let policy = sim.policy(WEB).await;
    assert_eq!(sim.set_policy(WEB, policy).await.status, 200, "written back as it was read");
    let new = sim.add_binding(WEB, binding(ROLE, "user:bob@example.com")).await;
    assert_eq!(new.error(), (400, "INVALID_ARGUMENT"));
    assert!(new.message().contains(ROLE), "{}", new.message());

    assert!(sim.get(ROLES).await.body.get("roles").is_none());
    let listed = sim.get(&format!("{ROLES}?showDeleted=true")).await.body;
    assert_eq!(listed["roles"][0]["deleted"], true);
    assert_eq!(create(&sim, "reader", json!([])).await.error(), (400, "FAILED_PRECONDITION"));
    assert_eq!(
        patched(&sim, "", json!({"title": "t"})).await.error(),
        (400, "FAILED_PRECONDITION")
    );
    let again = sim.call(Method::DELETE, &format!("v1/{ROLE}"), None, Some("x")).await;
    assert_eq!(again.error(), (400, "FAILED_PRECONDITION"));
}

#[tokio::test]
async fn a_role_can_be_undeleted_for_seven_days() {
    let sim = seeded().await;
    create(&sim, "reader", json!([])).await;
    sim.call(Method::DELETE, &format!("v1/{ROLE}"), None, Some("x")).await;
    sim.advance(TimeDelta::days(7) - TimeDelta::seconds(1));
    let undelete = || sim.post("v1/projects/demo-web/roles/reader:undelete", json!({}));
    assert_eq!(undelete().await.status, 200);
    assert_eq!(undelete().await.error(), (400, "FAILED_PRECONDITION"), "it is not deleted");

    sim.call(Method::DELETE, &format!("v1/{ROLE}"), None, Some("x")).await;
    sim.advance(TimeDelta::days(7));
    assert_eq!(undelete().await.error(), (404, "NOT_FOUND"));
    assert_eq!(sim.get(&format!("v1/{ROLE}")).await.status, 404);
    assert_eq!(create(&sim, "reader", json!([])).await.status, 200, "the name is free again");
}

#[tokio::test]
async fn grantable_roles_are_those_that_the_policy_may_bind() {
    let sim = seeded().await;
    create(&sim, "reader", json!(["compute.instances.get"])).await;
    let ask = |resource: &str| {
        let full = format!("//cloudresourcemanager.googleapis.com/{resource}");
        let body = json!({"fullResourceName": full, "pageSize": 3000});
        let sim = &sim;
        async move { names(&sim.post("v1/roles:queryGrantableRoles", body).await.body, "roles") }
    };
    let on_project = ask(WEB).await;
    let has = |names: &[String], name: &str| names.iter().any(|it| it == name);
    assert!(has(&on_project, "roles/browser") && has(&on_project, ROLE));
    assert!(has(&on_project, "organizations/100000000001/roles/curfewController"));
    assert!(!has(&on_project, "roles/resourcemanager.organizationAdmin"));
    let on_organization = ask(ORGANIZATION).await;
    assert!(has(&on_organization, "roles/resourcemanager.organizationAdmin"));
    assert!(!has(&on_organization, ROLE));

    let refused = binding("roles/resourcemanager.organizationAdmin", "user:dave@example.com");
    let answer = sim.add_binding(WEB, refused).await;
    assert_eq!(answer.error(), (400, "INVALID_ARGUMENT"));
    assert!(answer.message().contains("is not supported for this resource"));
}

#[tokio::test]
async fn testable_permissions_come_in_pages() {
    let sim = seeded().await;
    let ask = |token: Value| {
        let body = json!({"fullResourceName": format!("//cloudresourcemanager.googleapis.com/{WEB}"),
            "pageSize": 1000, "pageToken": token});
        sim.post("v1/permissions:queryTestablePermissions", body)
    };
    let mut found = Vec::new();
    let mut token = json!("");
    loop {
        let page = ask(token).await.body;
        found.extend(names(&page, "permissions"));
        token = page["nextPageToken"].clone();
        if token.is_null() {
            break;
        }
    }
    assert!(found.len() > 1_000 && found.is_sorted());
    assert!(found.contains(&"compute.instances.get".to_owned()));
    assert!(!found.contains(&"resourcemanager.organizations.get".to_owned()));
    let by_our_host = json!({"fullResourceName": format!("//127.0.0.1:8421/{WEB}")});
    let path = "v1/permissions:queryTestablePermissions";
    assert_eq!(sim.post(path, by_our_host).await.status, 200, "as gcloud names it");
    let other = json!({"fullResourceName": "//storage.googleapis.com/b"});
    assert_eq!(sim.post(path, other).await.status, 400);
}

/// The default seed, with olga in charge of the roles of demo-web.
async fn seeded() -> Sim {
    let sim = Sim::start().await;
    let answer =
        sim.add_binding(WEB, binding("roles/iam.roleAdmin", "user:olga@example.com")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    sim
}

/// Takes away what everybody of the domain may read.
async fn revoke_browser(sim: &Sim) {
    let mut policy = sim.policy(ORGANIZATION).await;
    policy["bindings"].as_array_mut().unwrap().retain(|it| it["role"] != "roles/browser");
    assert_eq!(sim.set_policy(ORGANIZATION, policy).await.status, 200);
}

async fn create(sim: &Sim, id: &str, permissions: Value) -> Answer {
    let role = json!({"title": "Reader", "stage": "GA", "includedPermissions": permissions});
    sim.post(ROLES, json!({"roleId": id, "role": role})).await
}

async fn patched(sim: &Sim, query: &str, body: Value) -> Answer {
    sim.call(Method::PATCH, &format!("v1/{ROLE}{query}"), Some(body), Some("x")).await
}

fn names(body: &Value, list: &str) -> Vec<String> {
    let items = body[list].as_array().unwrap().iter();
    items.map(|it| it["name"].as_str().unwrap().to_owned()).collect()
}
