//! People who come and go.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Sim, binding};

const WEB: &str = "projects/demo-web";

#[tokio::test]
async fn a_deleted_person_is_renamed_in_policies_and_gone_from_groups() {
    let sim = Sim::start().await;
    let token = sim.token("bob@example.com");
    let both = json!({"role": "roles/browser", "members": ["user:alice@example.com", "user:bob@example.com"]});
    sim.add_binding(WEB, both).await;
    let before = sim.policy(WEB).await;
    assert_eq!(
        sim.call(Method::DELETE, "sim/v1/principals/user:bob@example.com", None, None).await.status,
        204
    );

    let after = sim.policy(WEB).await;
    assert_eq!(
        members(&after, "roles/browser"),
        ["deleted:user:bob@example.com?uid=101000000000000000002", "user:alice@example.com"]
    );
    assert_eq!(after["etag"], before["etag"]);
    let of_group = sim.get("admin/directory/v1/groups/devs@example.com/members").await.body;
    assert_eq!(of_group["members"].as_array().unwrap().len(), 1);
    assert_eq!(sim.call(Method::GET, "v3/projects/demo-web", None, Some(&token)).await.status, 401);

    assert_eq!(
        sim.set_policy(WEB, before).await.error(),
        (400, "INVALID_ARGUMENT"),
        "the old name is nobody's"
    );
    assert_eq!(sim.set_policy(WEB, after).await.status, 200, "the new name may stay");
}

#[tokio::test]
async fn a_new_person_with_an_old_address_gets_a_new_id_and_none_of_the_access() {
    let sim = Sim::start().await;
    sim.add_binding(WEB, binding("roles/compute.viewer", "user:bob@example.com")).await;
    let can = json!({"principal": "user:bob@example.com", "role": "roles/compute.viewer", "resource": WEB});
    assert!(sim.can(can.clone()).await);
    sim.call(Method::DELETE, "sim/v1/principals/user:bob@example.com", None, None).await;
    let created = sim
        .call(
            Method::PUT,
            "sim/v1/principals/user:Bob@example.com",
            Some(json!({"name": "Bobby"})),
            None,
        )
        .await;
    assert_eq!((created.status, &created.body["email"]), (201, &json!("bob@example.com")));
    assert_ne!(created.body["id"], "101000000000000000002");
    assert_eq!(created.body["id"].as_str().unwrap().len(), 21);
    assert!(!sim.can(can).await);
    assert_eq!(
        sim.call(Method::PUT, "sim/v1/principals/user:bob@example.com", None, None).await.status,
        409
    );
}

#[tokio::test]
async fn service_accounts_and_groups_are_deleted_as_people_are() {
    let sim = Sim::start().await;
    let robot = "serviceAccount:pipeline@demo-data.iam.gserviceaccount.com";
    let both = json!({"role": "roles/browser", "members": [robot, "group:oncall@example.com"]});
    assert_eq!(sim.add_binding(WEB, both).await.status, 200);
    let token = sim.token("pipeline@demo-data.iam.gserviceaccount.com");
    for member in [robot, "group:oncall@example.com"] {
        let path = format!("sim/v1/principals/{member}");
        assert_eq!(sim.call(Method::DELETE, &path, None, None).await.status, 204);
        assert_eq!(sim.call(Method::DELETE, &path, None, None).await.status, 404);
    }
    let after = sim.policy(WEB).await;
    assert_eq!(
        members(&after, "roles/browser"),
        [
            "deleted:group:oncall@example.com?uid=03oncall000002".to_owned(),
            format!("deleted:{robot}?uid=102000000000000000005"),
        ]
    );
    assert_eq!(sim.set_policy(WEB, after).await.status, 200, "kept when it is written back");
    assert_eq!(sim.call(Method::GET, "v3/projects/demo-web", None, Some(&token)).await.status, 401);
    assert!(sim.cloud.token_for("pipeline@demo-data.iam.gserviceaccount.com").is_err());
    assert_eq!(sim.get("v1/groups:lookup?groupKey.id=oncall@example.com").await.status, 404);
    let sre = sim.get("admin/directory/v1/groups/sre@example.com/members").await.body;
    assert_eq!(sre.get("members"), None, "the deleted group was its only member");
    let gone = json!({"principal": "carol@example.com", "role": "roles/monitoring.viewer", "resource": WEB});
    assert!(!sim.can(gone).await, "carol was in sre through oncall");

    let new = sim.add_binding(WEB, binding("roles/compute.viewer", robot)).await;
    assert_eq!(new.error(), (400, "INVALID_ARGUMENT"));
    assert!(new.message().contains("does not exist"), "{}", new.message());
}

#[tokio::test]
async fn principals_made_again_have_new_ids_and_none_of_the_access() {
    let sim = Sim::start().await;
    for (member, role, body, old_id) in [
        (
            "serviceAccount:pipeline@demo-data.iam.gserviceaccount.com",
            "roles/bigquery.admin",
            json!({"project": "demo-data"}),
            "102000000000000000005",
        ),
        (
            "group:leads@example.com",
            "roles/storage.admin",
            json!({"name": "Team leads", "members": ["dave@example.com"]}),
            "03leads0000004",
        ),
    ] {
        assert_eq!(sim.add_binding(WEB, binding(role, member)).await.status, 200);
        let can = json!({"principal": member, "role": role, "resource": WEB});
        assert!(sim.can(can.clone()).await, "{member}");
        let path = format!("sim/v1/principals/{member}");
        sim.call(Method::DELETE, &path, None, None).await;
        assert!(!sim.can(can.clone()).await, "{member} is gone");
        let made = sim.call(Method::PUT, &path, Some(body.clone()), None).await;
        assert_eq!(made.status, 201, "{}", made.body);
        assert_ne!(made.body["id"], old_id);
        assert!(!sim.can(can.clone()).await, "{member} is somebody else");
        assert_eq!(sim.call(Method::PUT, &path, Some(body), None).await.status, 409);

        assert_eq!(sim.add_binding(WEB, binding(role, member)).await.status, 200);
        let both = members(&sim.policy(WEB).await, role);
        assert_eq!(both, [format!("deleted:{member}?uid={old_id}"), member.to_owned()]);
        assert!(sim.can(can).await);
    }
    let dave = json!({"principal": "user:dave@example.com", "role": "roles/storage.admin", "resource": WEB});
    assert!(sim.can(dave).await, "through the new group");
}

#[tokio::test]
async fn principals_that_cannot_be_are_refused() {
    let sim = Sim::start().await;
    for (member, body) in [
        ("domain:example.com", json!({})),
        ("bob@example.com", json!({})),
        ("user:nobody", json!({})),
        ("serviceAccount:s@x.example", json!({})),
        ("serviceAccount:s@x.example", json!({"project": "no-such-project"})),
        ("group:g@example.com", json!({"members": ["who@example.com"]})),
        ("deleted:user:bob@example.com?uid=1", json!({})),
    ] {
        let path = format!("sim/v1/principals/{}", member.replace('?', "%3F"));
        let refused = sim.call(Method::PUT, &path, Some(body), None).await;
        assert_eq!(refused.status, 400, "{member}: {}", refused.body);
    }
    let as_group = json!({"principal": "group:bob@example.com", "role": "roles/logging.viewer", "resource": WEB});
    assert!(!sim.can(as_group).await, "bob is no group");
}

#[tokio::test]
async fn leaving_a_group_ends_what_came_through_it() {
    let sim = Sim::start().await;
    let can = json!({"principal": "alice@example.com", "role": "roles/monitoring.viewer", "resource": WEB});
    assert!(sim.can(can.clone()).await);
    let member = "sim/v1/groups/devs@example.com/members/alice@example.com";
    assert_eq!(sim.call(Method::DELETE, member, None, None).await.status, 204);
    assert!(!sim.can(can.clone()).await);
    assert_eq!(sim.call(Method::DELETE, member, None, None).await.status, 404);
    assert_eq!(sim.call(Method::PUT, member, None, None).await.status, 204);
    assert!(sim.can(can).await);
    let stranger = "sim/v1/groups/devs@example.com/members/who@example.com";
    assert_eq!(sim.call(Method::PUT, stranger, None, None).await.status, 404);
}

#[tokio::test]
async fn the_page_shows_live_policies_escaped_and_marks_our_bindings() {
    let sim = Sim::start().await;
    let ours = json!({"role": "roles/browser", "members": ["user:alice@example.com"],
        "condition": {"title": "curfew demo r1", "description": "<script>alert(1)</script>", "expression": "true"}});
    assert_eq!(sim.add_binding(WEB, ours).await.status, 200);
    let response = sim.client.get(&sim.base).send().await.unwrap();
    assert!(
        response.headers()["content-security-policy"]
            .to_str()
            .unwrap()
            .starts_with("default-src 'none'")
    );
    let page = response.text().await.unwrap();
    assert!(page.contains("curfew demo r1") && page.contains("binding own"));
    assert!(!page.contains("<script>"), "escaped");
    assert_eq!(page.matches("class=\"card").count(), 6, "one card per node");
}

fn members(policy: &Value, role: &str) -> Vec<String> {
    let bindings =
        policy["bindings"].as_array().unwrap().iter().filter(|binding| binding["role"] == role);
    bindings
        .flat_map(|it| it["members"].as_array().unwrap())
        .map(|it| it.as_str().unwrap().to_owned())
        .collect()
}
