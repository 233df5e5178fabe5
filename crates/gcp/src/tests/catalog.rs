use curfew_core::role::Role;
use curfew_ports::{Catalog, RetryClass};

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
async fn a_domain_scoped_project_is_escaped_in_paths() {
    let fake = Fake::answering(|call| match call.path.as_str() {
        "/v3/projects/example.com%3Aweb-app" => {
            ok(r#"{"name":"projects/7","projectId":"example.com:web-app","parent":"folders/10"}"#)
        }
        "/v3/projects/example.com%3Aweb-app:getIamPolicy" => ok(r#"{"etag":"e","version":3}"#),
        "/v1/projects/example.com%3Aweb-app/roles/reader" => {
            ok(r#"{"name":"projects/example.com:web-app/roles/reader"}"#)
        }
        _ => hierarchy(call),
    })
    .await;
    let (catalog, web) =
        (catalog(&fake, "organizations/1"), resource("projects/example.com:web-app"));
    let line = ["projects/example.com:web-app", "folders/10", "organizations/1"].map(resource);
    assert_eq!(catalog.ancestry(&web).await.unwrap(), line);
    assert_eq!(catalog.policy(&web).await.unwrap().etag, "e");
    let role = Role::parse("projects/example.com:web-app/roles/reader").unwrap();
    assert_eq!(catalog.permissions(&role).await.unwrap().unwrap().len(), 0);
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
