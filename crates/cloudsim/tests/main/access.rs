//! IAM enforced on callers, and the record of what they used.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{CONTROLLER, INTAKE, ORGANIZATION, Sim, binding, conditional};

#[tokio::test]
async fn no_token_a_foreign_token_and_an_expired_token_are_401() {
    let sim = Sim::start().await;
    let token = sim.token(CONTROLLER);
    let ask = |token: Option<String>| {
        let sim = &sim;
        async move {
            sim.call(Method::GET, "v3/projects/demo-web", None, token.as_deref()).await.error().0
        }
    };
    assert_eq!(ask(None).await, 401);
    assert_eq!(ask(Some("forged".into())).await, 401);
    assert_eq!(ask(Some(token.clone())).await, 200);
    sim.advance(TimeDelta::minutes(61));
    assert_eq!(ask(Some(token)).await, 401);
}

#[tokio::test]
async fn intake_writes_no_policy_and_the_controller_all_of_them() {
    let sim = Sim::start().await;
    let (intake, controller) = (sim.token(INTAKE), sim.token(CONTROLLER));
    for resource in [ORGANIZATION, "folders/200000000001", "projects/demo-web"] {
        let path = format!("v3/{resource}:setIamPolicy");
        let policy = sim.policy(resource).await;
        let body = json!({"policy": policy});
        let refused = sim.call(Method::POST, &path, Some(body.clone()), Some(&intake)).await;
        assert_eq!(refused.error(), (403, "PERMISSION_DENIED"), "{resource}");
        assert!(
            refused.message().contains("setIamPolicy' denied on resource"),
            "{}",
            refused.message()
        );
        let by_controller = sim.call(Method::POST, &path, Some(body), Some(&controller)).await;
        assert_eq!(by_controller.status, 200, "{resource}");
    }
}

#[tokio::test]
async fn what_does_not_exist_is_denied_like_what_may_not_be_seen() {
    let sim = Sim::start().await;
    let dave = sim.token("dave@example.com");
    for token in ["x", &dave] {
        let answer = sim.call(Method::GET, "v3/projects/no-such-project", None, Some(token)).await;
        assert_eq!(answer.error(), (403, "PERMISSION_DENIED"));
    }
}

#[tokio::test]
async fn used_and_refused_permissions_are_counted_per_principal_and_resource() {
    let sim = Sim::start().await;
    let intake = sim.token(INTAKE);
    for _ in 0..2 {
        sim.call(Method::GET, "v3/projects/demo-web", None, Some(&intake)).await;
        sim.call(
            Method::POST,
            "v3/projects/demo-web:setIamPolicy",
            Some(json!({"policy": {}})),
            Some(&intake),
        )
        .await;
        sim.call(
            Method::GET,
            "admin/directory/v1/groups?userKey=bob@example.com",
            None,
            Some(&intake),
        )
        .await;
    }
    let report = sim.get("sim/v1/permissions").await.body;
    let of_intake = report["principals"]
        .as_array()
        .unwrap()
        .iter()
        .find(|it| it["principal"] == format!("serviceAccount:{INTAKE}"))
        .unwrap();
    assert_eq!(
        of_intake["permissions"],
        json!([
            {"permission": "admin.groups.read", "granted": 2,
                "resources": [{"resource": "customers/C0demo001", "granted": 2}]},
            {"permission": "resourcemanager.projects.get", "granted": 2,
                "resources": [{"resource": "projects/demo-web", "granted": 2}]},
            {"permission": "resourcemanager.projects.setIamPolicy", "denied": 2,
                "resources": [{"resource": "projects/demo-web", "denied": 2}]},
        ])
    );
}

#[tokio::test]
async fn the_record_of_permissions_can_be_cleared() {
    let sim = Sim::start().await;
    sim.get("v3/projects/100000000101").await;
    sim.get("v3/folders/200000000001").await;
    let report = sim.get("sim/v1/permissions").await.body;
    assert_eq!(report["principals"][0]["principal"], "user:olga@example.com");
    assert_eq!(
        report["principals"][0]["permissions"][1]["resources"],
        json!([{"resource": "projects/demo-web", "granted": 1}]),
        "by one name for each resource"
    );
    let cleared = sim.call(Method::DELETE, "sim/v1/permissions", None, None).await;
    assert_eq!(cleared.status, 204);
    assert_eq!(sim.get("sim/v1/permissions").await.body, json!({"principals": []}));
    sim.get("v3/folders/200000000001").await;
    let report = sim.get("sim/v1/permissions").await.body;
    assert_eq!(report["principals"][0]["permissions"][0]["granted"], 1);
}

#[tokio::test]
async fn groups_are_for_groups_readers() {
    let sim = Sim::start().await;
    let alice = sim.token("alice@example.com");
    for path in [
        "v1/groups:lookup?groupKey.id=devs@example.com",
        "admin/directory/v1/groups/devs@example.com/members",
        "v1/groups/03devs00000001/memberships:checkTransitiveMembership?query=member_key_id%20==%20'bob@example.com'",
    ] {
        assert_eq!(sim.call(Method::GET, path, None, Some(&alice)).await.status, 403, "{path}");
        assert_eq!(sim.get(path).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn test_iam_permissions_answers_what_the_caller_holds() {
    let sim = Sim::start().await;
    let asked = json!({"permissions": ["resourcemanager.projects.setIamPolicy", "resourcemanager.projects.get", "storage.buckets.delete"]});
    let ask = |token: String| sim_test(&sim, asked.clone(), token);
    assert_eq!(
        ask(sim.token(INTAKE)).await,
        json!({"permissions": ["resourcemanager.projects.get"]})
    );
    let controller = ask(sim.token(CONTROLLER)).await;
    assert_eq!(controller["permissions"].as_array().unwrap().len(), 2);
}

async fn sim_test(sim: &Sim, body: Value, token: String) -> Value {
    sim.call(Method::POST, "v3/projects/demo-web:testIamPermissions", Some(body), Some(&token))
        .await
        .body
}

#[tokio::test]
async fn a_condition_can_limit_which_roles_an_administrator_grants() {
    let sim = Sim::start().await;
    let expression = "api.getAttribute('iam.googleapis.com/modifiedGrantsByRole', []).hasOnly(['roles/browser'])";
    let limited = conditional(
        "roles/resourcemanager.projectIamAdmin",
        "user:carol@example.com",
        "browser only",
        expression,
    );
    assert_eq!(sim.add_binding("projects/demo-web", limited).await.status, 200);
    let carol = sim.token("carol@example.com");
    for (role, expected) in
        [("roles/browser", 200), ("roles/compute.viewer", 403), ("roles/owner", 403)]
    {
        let mut policy = sim.policy("projects/demo-web").await;
        policy["bindings"].as_array_mut().unwrap().push(binding(role, "user:dave@example.com"));
        let answer = sim
            .call(
                Method::POST,
                "v3/projects/demo-web:setIamPolicy",
                Some(json!({"policy": policy})),
                Some(&carol),
            )
            .await;
        assert_eq!(answer.status, expected, "{role}: {}", answer.body);
    }
}

#[tokio::test]
async fn custom_roles_are_read_by_those_who_may_and_predefined_ones_by_all() {
    let sim = Sim::start().await;
    let dave = sim.token("dave@example.com");
    let custom = "v1/organizations/100000000001/roles/curfewController";
    assert_eq!(sim.call(Method::GET, custom, None, Some(&dave)).await.status, 403);
    let role = sim.call(Method::GET, custom, None, Some(&sim.token(INTAKE))).await.body;
    assert!(
        role["includedPermissions"]
            .as_array()
            .unwrap()
            .contains(&json!("resourcemanager.projects.setIamPolicy"))
    );

    let viewer = sim.call(Method::GET, "v1/roles/compute.viewer", None, Some(&dave)).await.body;
    assert_eq!(
        (&viewer["name"], &viewer["title"]),
        (&json!("roles/compute.viewer"), &json!("Compute Viewer"))
    );
    assert_eq!(
        sim.call(Method::GET, "v1/roles/no.such", None, Some(&dave)).await.error(),
        (404, "NOT_FOUND")
    );
    let basic = sim.get("v1/roles?view=BASIC&pageSize=5").await.body;
    assert_eq!(basic["roles"].as_array().unwrap().len(), 5);
    assert!(
        basic["roles"][0].get("includedPermissions").is_none()
            && basic["nextPageToken"].is_string()
    );
}

#[tokio::test]
async fn can_evaluates_conditions_groups_and_time() {
    let sim = Sim::start().await;
    let until = conditional(
        "roles/compute.instanceAdmin.v1",
        "group:sre@example.com",
        "curfew demo r1",
        "request.time < timestamp('2026-03-01T10:00:00Z') && resource.name.startsWith('projects/demo-prod/zones/z/instances/')",
    );
    assert_eq!(sim.add_binding("folders/200000000001", until).await.status, 200);
    let ask = |principal: &str, instance: &str, at: &str| {
        let request = json!({"principal": principal, "role": "roles/compute.instanceAdmin.v1", "resource": "projects/demo-prod",
            "resourceName": format!("projects/demo-prod/zones/z/instances/{instance}"), "at": at});
        let sim = &sim;
        async move { sim.can(request).await }
    };
    assert!(
        ask("user:carol@example.com", "i", "2026-03-01T09:59:59Z").await,
        "nested: carol in oncall in sre"
    );
    assert!(!ask("user:carol@example.com", "i", "2026-03-01T10:00:00Z").await);
    assert!(!ask("user:dave@example.com", "i", "2026-03-01T09:00:00Z").await);
    let elsewhere = json!({"principal": "user:carol@example.com", "role": "roles/compute.instanceAdmin.v1", "resource": "projects/demo-prod"});
    assert!(!sim.can(elsewhere).await);

    let marker = json!({"principal": "user:alice@example.com", "role": "roles/compute.viewer", "resource": "projects/demo-web"});
    let answer = sim.post("sim/v1/can", marker).await.body;
    assert_eq!(answer["allowed"], false);
    assert!(
        answer["because"][0].as_str().unwrap().contains("\"Developers may activate\" is not met")
    );
}
