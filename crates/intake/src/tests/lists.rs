//! What people may ask for, and how fresh that is.

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::http::StatusCode;
use curfew_core::danger::Dangerous;
use curfew_core::resource::Resource;
use serde_json::{Value, json};

use super::world::{JIT, MPA, World, ZONE_A, ZONE_B};
use crate::ListSource;

fn offered(list: &Value) -> Vec<(String, String, String)> {
    let text = |entitlement: &Value, name: &str| entitlement[name].as_str().unwrap().to_owned();
    let all = list["entitlements"].as_array().unwrap().iter();
    all.map(|e| (text(e, "resource"), text(e, "role"), text(e, "resourceCondition"))).collect()
}

fn row(resource: &str, role: &str, condition: &str) -> (String, String, String) {
    (resource.to_owned(), format!("roles/{role}"), condition.to_owned())
}

#[tokio::test]
async fn people_see_what_their_names_and_groups_offer_in_scope() {
    let world = World::new().await;
    let alice = world.get("alice", "/v1/entitlements").await.json();
    assert_eq!(
        offered(&alice),
        [
            row("projects/demo-prod", "compute.instanceAdmin.v1", ""),
            row("projects/demo-prod", "compute.osLogin", ZONE_A),
            row("projects/demo-prod", "compute.osLogin", ZONE_B),
            // Nobody is shown `roles/pubsub.gone`, which IAM does not know.
            row("projects/demo-web", "compute.viewer", ""),
        ]
    );
    let carol = world.get("carol", "/v1/entitlements").await.json();
    assert_eq!(
        offered(&carol),
        [
            row("projects/demo-prod", "compute.osLogin", ZONE_B),
            row("projects/demo-prod", "logging.admin", ""),
            row("projects/demo-web", "logging.admin", ""),
            row("folders/2", "logging.admin", ""),
        ]
    );
    assert_eq!(offered(&world.get("mallory", "/v1/entitlements").await.json()), []);
}

#[tokio::test]
async fn an_entitlement_says_how_to_ask_for_it() {
    let world = World::new().await;
    let list = world.get("alice", "/v1/entitlements?role=roles/compute.viewer").await.json();
    let viewer = &list["entitlements"][0];
    assert!(viewer["name"].as_str().unwrap().starts_with("iam-"));
    assert_eq!(viewer["approval"], "SELF");
    assert_eq!(
        (viewer["defaultDuration"].as_str(), viewer["maxDuration"].as_str()),
        (Some("3600s"), Some("7200s"))
    );
    assert_eq!(
        viewer["justification"],
        json!({"required": true, "pattern": "", "hint": "Bug or case number"})
    );
    assert_eq!((viewer.get("activeRequest"), &viewer["warnings"]), (None, &json!([])));
    let peer =
        world.get("alice", "/v1/entitlements?query=INSTANCEadmin").await.json()["entitlements"][0]
            .clone();
    assert_eq!(peer["approval"], "PEER");
    let id = world.filed().await;
    let list = world.get("alice", "/v1/entitlements?resource=projects/demo-web").await.json();
    assert_eq!(list["entitlements"][0]["activeRequest"], format!("requests/{id}"));
    assert_eq!(list["asOf"], "2027-01-15T08:00:00Z");
}

#[tokio::test]
async fn lists_are_searched_and_paged() {
    let world = World::new().await;
    let mut paged = Vec::new();
    let mut path = "/v1/entitlements?pageSize=1".to_owned();
    let n_pages = loop {
        let page = world.get("alice", &path).await.json();
        paged.push(offered(&page));
        let Some(token) = page["nextPageToken"].as_str() else { break paged.len() };
        path = format!("/v1/entitlements?pageSize=1&pageToken={token}");
    };
    assert_eq!(n_pages, 4);
    assert_eq!(paged.concat(), offered(&world.get("alice", "/v1/entitlements").await.json()));
    let resources = world.get("alice", "/v1/resources?query=WEB").await.json();
    assert_eq!(
        resources["resources"],
        json!([{"name": "projects/demo-web", "displayName": "The projects/demo-web", "parent": "folders/2"}])
    );
    assert_eq!(world.get("mallory", "/v1/resources").await.json()["resources"], json!([]));
    let first = world.get("carol", "/v1/resources?pageSize=2").await.json();
    let token = first["nextPageToken"].as_str().unwrap();
    let second = world.get("carol", &format!("/v1/resources?pageToken={token}")).await.json();
    assert_eq!(second["resources"][0]["name"], "folders/2");
    assert_eq!(second["resources"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_page_goes_on_where_the_last_one_ended_whatever_comes_and_goes() {
    let world = World::new().await;
    let first = world.get("alice", "/v1/entitlements?pageSize=2").await.json();
    let token = first["nextPageToken"].as_str().unwrap();
    world.set_policy("projects/demo-prod", &[("roles/a.first", &["user:alice@example.com"], JIT)]);
    let second = world.get("alice", &format!("/v1/entitlements?pageToken={token}")).await.json();
    assert_eq!(offered(&second), [row("projects/demo-web", "compute.viewer", "")]);
    for (path, person) in [
        ("/v1/entitlements?pageToken=50", "alice"),
        ("/v1/entitlements?pageToken=%00", "alice"),
        (&format!("/v1/entitlements?pageToken={token}&query=web"), "alice"),
        (&format!("/v1/resources?pageToken={token}"), "alice"),
        (&format!("/?pageToken={token}x"), "alice"),
    ] {
        let reply = world.get(person, path).await;
        assert_eq!(
            (reply.status, reply.reason().as_str()),
            (StatusCode::BAD_REQUEST, "PAGE_TOKEN_INVALID"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_nearer_or_easier_binding_hides_the_same_offer() {
    let world = World::new().await;
    world.set_policy(
        "folders/2",
        &[
            ("roles/compute.instanceAdmin.v1", &["domain:example.com"], JIT),
            ("roles/compute.viewer", &["domain:example.com"], JIT),
        ],
    );
    let list = world
        .get(
            "alice",
            "/v1/entitlements?resource=projects/demo-prod&role=roles/compute.instanceAdmin.v1",
        )
        .await
        .json();
    assert_eq!(
        (offered(&list).len(), list["entitlements"][0]["approval"].as_str()),
        (1, Some("SELF"))
    );
    let list = world
        .get("alice", "/v1/entitlements?resource=projects/demo-web&role=roles/compute.viewer")
        .await
        .json();
    assert_eq!(offered(&list).len(), 1);
}

#[tokio::test]
async fn lists_stand_still_between_two_readings_and_then_tell_what_changed() {
    let world = World::new().await;
    let calls = (0..10).map(|_| world.get("alice", "/v1/entitlements"));
    for reply in futures_util::future::join_all(calls).await {
        assert_eq!(reply.status, StatusCode::OK);
    }
    assert_eq!(
        world.catalog.n_indexed.load(Ordering::SeqCst),
        2,
        "once for nodes, once for policies"
    );
    world.set_policy("projects/demo-web", &[]);
    world.holds_still();
    assert_eq!(offered(&world.get("alice", "/v1/entitlements").await.json()).len(), 4);
    world.refresh().await;
    assert_eq!(offered(&world.get("alice", "/v1/entitlements").await.json()).len(), 3);
    world.catalog.policies.lock().unwrap().remove(&Resource::parse("projects/demo-prod").unwrap());
    world.refresh().await;
    assert_eq!(
        offered(&world.get("alice", "/v1/entitlements").await.json()),
        [],
        "no policy at all"
    );
}

#[tokio::test]
async fn a_failed_reading_is_never_an_empty_list() {
    let world = World::new().await;
    world.catalog.index_fails.set(true);
    for path in ["/v1/entitlements", "/v1/resources", "/v1/me", "/"] {
        let reply = world.get("alice", path).await;
        assert_eq!(
            (reply.status, reply.reason().as_str()),
            (StatusCode::SERVICE_UNAVAILABLE, "LOOK_UP_FAILED"),
            "{path}"
        );
        assert!(reply.headers.contains_key("retry-after"));
    }
    assert_eq!(
        world.catalog.n_indexed.load(Ordering::SeqCst),
        1,
        "others do not queue for the same failure"
    );
    world.catalog.index_fails.set(false);
    world.refresh().await;
    assert_eq!(world.get("alice", "/v1/entitlements").await.status, StatusCode::OK);
    world.directory.fails.set(true);
    for path in ["/v1/entitlements", "/v1/resources", "/v1/me", "/"] {
        assert_eq!(
            world.get("alice", path).await.status,
            StatusCode::SERVICE_UNAVAILABLE,
            "{path}"
        );
    }
    world.directory.fails.set(false);
    world.store.fails.set(true);
    assert_eq!(world.get("alice", "/v1/entitlements").await.reason(), "STORE_UNAVAILABLE");
}

#[tokio::test]
async fn a_failed_reading_leaves_the_last_good_one_and_is_seen() {
    let world = World::new().await;
    assert_eq!(offered(&world.get("alice", "/v1/entitlements").await.json()).len(), 4);
    world.clock.pass(1_200);
    world.catalog.pages_fail.set(true);
    let pause = world.refresh().await;
    assert!((10..=12).contains(&pause.as_secs()), "{pause:?}");
    assert_eq!(offered(&world.get("alice", "/v1/entitlements").await.json()).len(), 4);
    assert_eq!(world.metric("curfew_eligibility_snapshot_age_seconds"), "1200");
    assert_eq!(
        world.metric("curfew_eligibility_refresh_failures_total{class=\"unavailable\"}"),
        "1"
    );
    assert!(world.page("alice", "/").await.text().contains("This list is 20 minutes old"));
    world.catalog.pages_fail.set(false);
    world.refresh().await;
    assert_eq!(world.metric("curfew_eligibility_snapshot_age_seconds"), "0");
    assert!(!world.page("alice", "/").await.text().contains("minutes old"));
}

#[tokio::test]
async fn the_age_counts_from_the_start_until_everything_was_read_once() {
    let world = World::new().await;
    world.holds_still();
    world.clock.pass(30);
    assert_eq!(world.metric("curfew_eligibility_snapshot_age_seconds"), "30");
}

#[tokio::test]
async fn before_the_first_reading_there_is_no_list_and_no_empty_one() {
    let world = World::new().await;
    world.holds_still();
    // The wait for the first reading is the only thing that waits.
    world.get("alice", "/health").await;
    tokio::time::pause();
    let reply = world.get("alice", "/v1/entitlements").await;
    assert_eq!(
        (reply.status, reply.reason().as_str()),
        (StatusCode::SERVICE_UNAVAILABLE, "LIST_NOT_READY")
    );
    assert!(reply.headers.contains_key("retry-after"));
}

#[tokio::test]
async fn a_resource_that_is_too_new_for_the_index_is_read_live_once() {
    let world = World::new().await;
    assert_eq!(offered(&world.get("alice", "/v1/entitlements").await.json()).len(), 4);
    let new = Resource::parse("projects/brand-new").unwrap();
    let parent = Some(Resource::parse("folders/2").unwrap());
    world.catalog.parents.lock().unwrap().insert(new, parent);
    world.set_policy("projects/brand-new", &[("roles/a.x", &["user:alice@example.com"], JIT)]);
    world.holds_still();
    let path = "/v1/entitlements?resource=projects/brand-new";
    assert_eq!(
        offered(&world.get("alice", path).await.json()),
        [row("projects/brand-new", "a.x", "")]
    );
    let n_asked = world.catalog.n_ancestries.load(Ordering::SeqCst);
    world.get("alice", path).await;
    world.get("carol", path).await;
    assert_eq!(world.catalog.n_ancestries.load(Ordering::SeqCst), n_asked, "known by now");
    for resource in ["projects/not-there", "projects/elsewhere"] {
        let path = format!("/v1/entitlements?resource={resource}");
        assert_eq!(offered(&world.get("alice", &path).await.json()), [], "{resource}");
    }
    world.catalog.ancestry_fails.set(true);
    let reply = world.get("alice", "/v1/entitlements?resource=projects/not-read").await;
    assert_eq!(reply.reason(), "LOOK_UP_FAILED");
}

#[tokio::test]
async fn made_up_resources_cost_few_look_ups() {
    let world = World::new().await;
    world.get("alice", "/v1/entitlements").await;
    let ask = async |n: usize| {
        let path = format!("/v1/entitlements?resource=projects/made-up-{n}");
        world.get("alice", &path).await.status
    };
    let n_before = world.catalog.n_ancestries.load(Ordering::SeqCst);
    for n in 0..60 {
        assert_eq!(ask(n).await, StatusCode::OK);
    }
    assert_eq!(ask(60).await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(ask(0).await, StatusCode::OK, "it was looked for a moment ago");
    assert_eq!(world.catalog.n_ancestries.load(Ordering::SeqCst), n_before + 60);
    world.clock.pass(60);
    assert_eq!(ask(60).await, StatusCode::OK);
}

#[tokio::test]
async fn dangerous_roles_are_warned_of_raised_or_hidden_as_configured() {
    for (dangerous, shown) in [
        (Dangerous::Warn, Some(("SELF", "DANGEROUS_ROLE"))),
        (Dangerous::Approval, Some(("PEER", "DANGEROUS_ROLE"))),
        (Dangerous::Refuse, None),
    ] {
        let world = World::with(|settings| settings.rules.dangerous = dangerous).await;
        world.set_role("roles/compute.viewer", &["iam.serviceAccounts.actAs"]);
        let list = world.get("alice", "/v1/entitlements?role=roles/compute.viewer").await.json();
        let found = list["entitlements"].get(0).map(|e| {
            (e["approval"].as_str().unwrap(), e["warnings"][0]["reason"].as_str().unwrap())
        });
        assert_eq!(found, shown, "{dangerous:?}");
        let page = world.page("alice", "/?query=compute.viewer").await.text();
        assert_eq!(page.contains("Powerful role"), shown.is_some());
    }
}

#[tokio::test]
async fn a_role_that_could_not_be_read_is_shown_as_such() {
    let world = World::new().await;
    world.catalog.permissions_fail.set(true);
    let warning = async || {
        let list = world.get("alice", "/v1/entitlements?query=viewer").await.json();
        list["entitlements"][0]["warnings"][0]["reason"].clone()
    };
    assert_eq!(warning().await, "ROLE_NOT_READ");
    world.catalog.permissions_fail.set(false);
    world.clock.pass(60);
    world.refresh().await;
    assert_eq!(warning().await, Value::Null);
    // What is known stays known.
    world.catalog.permissions_fail.set(true);
    world.clock.pass(3_600);
    world.refresh().await;
    assert_eq!(warning().await, Value::Null);
}

#[tokio::test]
async fn a_role_that_does_not_exist_is_not_offered_until_it_does() {
    let world = World::new().await;
    let path = "/v1/entitlements?role=roles/pubsub.gone";
    assert_eq!(offered(&world.get("alice", path).await.json()), []);
    let mut body = super::world::body();
    body["resource"] = "projects/demo-prod".into();
    body["roles"] = json!([{"role": "roles/pubsub.gone"}]);
    let filed = world.post("alice", "/v1/requests", &body).await;
    assert_eq!(filed.reason(), "UNKNOWN_ROLE", "what the list leaves out is refused");
    world.set_role("roles/pubsub.gone", &["pubsub.topics.get"]);
    world.clock.pass(60);
    world.refresh().await;
    assert_eq!(offered(&world.get("alice", path).await.json()).len(), 1);
    assert_eq!(world.post("alice", "/v1/requests", &body).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn below_a_protected_node_above_the_scope_nothing_is_offered_and_nothing_granted() {
    for (protected, depth) in [("folders/2", 1), ("organizations/1", 2)] {
        let world = World::with(|settings| {
            settings.rules.scope = Resource::parse("projects/demo-web").unwrap();
            settings.rules.protected = [Resource::parse(protected).unwrap()].into();
        })
        .await;
        let listed = world.get("alice", "/v1/entitlements").await.json();
        assert_eq!(offered(&listed), [], "{depth} above the scope");
        let filed = world.post("alice", "/v1/requests", &super::world::body()).await;
        assert_eq!(filed.reason(), "PROTECTED_RESOURCE", "{depth} above the scope");
    }
}

#[tokio::test]
async fn a_role_that_reaches_the_system_is_not_offered_above_it_however_it_is_known() {
    let world = World::with(|settings| {
        // Not among the nodes that are listed, and below one that is.
        settings.rules.protected = [Resource::parse("projects/hidden-one").unwrap()].into();
    })
    .await;
    world.set_role("roles/logging.admin", &["logging.logs.delete"]);
    world.catalog.unlisted.lock().unwrap().insert(
        Resource::parse("projects/hidden-one").unwrap(),
        Some(Resource::parse("folders/2").unwrap()),
    );
    let listed = offered(&world.get("carol", "/v1/entitlements").await.json());
    let role = "logging.admin";
    assert!(listed.contains(&row("projects/demo-web", role, "")), "{listed:?}");
    assert!(!listed.contains(&row("folders/2", role, "")), "{listed:?}");
    let mut body = super::world::body();
    body["resource"] = "folders/2".into();
    body["roles"] = json!([{"role": "roles/logging.admin"}]);
    assert_eq!(world.post("carol", "/v1/requests", &body).await.reason(), "PROTECTED_RESOURCE");
}

#[tokio::test]
async fn only_bindings_of_trusted_nodes_are_listed() {
    let folder = Resource::parse("folders/2").unwrap();
    let world = World::with(|settings| settings.rules.from = vec![folder]).await;
    assert_eq!(offered(&world.get("alice", "/v1/entitlements").await.json()), []);
    assert_eq!(offered(&world.get("carol", "/v1/entitlements").await.json()).len(), 3);
    let filed = world.post("alice", "/v1/requests", &super::world::body()).await;
    assert_eq!(filed.reason(), "NOT_ELIGIBLE");
}

#[tokio::test]
async fn bindings_that_make_nobody_eligible_are_counted() {
    let world = World::new().await;
    world.set_policy(
        "projects/demo-web",
        &[
            ("roles/owner", &["user:alice@example.com"], JIT),
            ("roles/a.x", &["user:alice@example.com"], "has({}.jitAccessConstraint) || true"),
            ("roles/a.y", &["user:alice@example.com"], JIT),
        ],
    );
    assert_eq!(
        offered(&world.get("alice", "/v1/entitlements?query=roles/a.").await.json()).len(),
        1
    );
    assert_eq!(world.metric("curfew_eligible_bindings_flawed"), "2");
    world.set_policy("projects/demo-web", &[]);
    world.refresh().await;
    assert_eq!(world.metric("curfew_eligible_bindings_flawed"), "0");
}

#[tokio::test]
async fn readings_rest_as_long_as_they_are_slow_and_failures_back_off() {
    let world = World::new().await;
    assert!((10..=12).contains(&world.refresh().await.as_secs()));
    world.catalog.reading_takes_s.store(4, Ordering::SeqCst);
    assert!((80..=90).contains(&world.refresh().await.as_secs()));
    world.catalog.reading_takes_s.store(60, Ordering::SeqCst);
    assert!(
        (300..=338).contains(&world.refresh().await.as_secs()),
        "never longer than five minutes"
    );
    world.catalog.index_fails.set(true);
    let mut failures = 0;
    let mut pauses = Vec::new();
    for _ in 0..7 {
        pauses.push(world.lists().refresh(&mut failures).await);
    }
    assert!(
        pauses[0] < Duration::from_secs(12) && pauses[6] >= Duration::from_mins(5),
        "{pauses:?}"
    );
}

#[tokio::test]
async fn people_learn_who_they_are_and_what_they_may_do() {
    let world = World::new().await;
    for (person, capabilities) in [
        ("alice", json!(["request", "approve"])),
        ("carol", json!(["request"])),
        ("erin", json!(["request", "audit"])),
        ("olga", json!(["request", "audit", "operate"])),
    ] {
        let me = world.get(person, "/v1/me").await.json();
        assert_eq!(me["capabilities"], capabilities);
        assert_eq!(me["principal"], format!("user:{person}@example.com"));
    }
    assert_eq!(world.get("alice", "/v1/me").await.json()["groups"], json!(["devs@example.com"]));
}

#[tokio::test]
async fn approvers_are_everybody_else_with_the_same_eligibility_and_no_robot() {
    let world = World::new().await;
    world.set_policy(
        "projects/demo-prod",
        &[
            ("roles/a.x", &["group:devs@example.com", "user:zoe@example.com", "domain:y.org"], MPA),
            ("roles/a.x", &["serviceAccount:r@p.iam.gserviceaccount.com"], MPA),
            ("roles/a.x", &["user:carol@example.com"], JIT),
            ("roles/a.y", &["user:carol@example.com"], MPA),
        ],
    );
    let list = world.get("alice", "/v1/entitlements?role=roles/a.x").await.json();
    let name = list["entitlements"][0]["name"].as_str().unwrap();
    let path = |query: &str| format!("/v1/entitlements/{name}:approvers{query}");
    let all = world.get("alice", &path("")).await.json();
    assert_eq!(
        all,
        json!({"approvers": [{"email": "bob@example.com"}, {"email": "zoe@example.com"}], "domains": ["y.org"]})
    );
    let bobs = world.get("bob", &path("?resource=projects/demo-prod&role=roles/a.x")).await.json();
    assert_eq!(bobs["approvers"][0]["email"], "alice@example.com");
    let found = world.get("alice", &path("?query=ZOE")).await.json();
    assert_eq!(found["approvers"], json!([{"email": "zoe@example.com"}]));
    let first = world.get("alice", &path("?pageSize=1")).await.json();
    let token = first["nextPageToken"].as_str().unwrap();
    let second = world.get("alice", &path(&format!("?pageToken={token}"))).await.json();
    assert_eq!(second["approvers"], json!([{"email": "zoe@example.com"}]));
    for (person, query) in [
        ("carol", ""),
        ("alice", "?role=roles/a.y"),
        ("alice", "?resource=projects/demo-web"),
        ("mallory", ""),
    ] {
        let reply = world.get(person, &path(query)).await;
        assert_eq!(
            (reply.status, reply.reason().as_str()),
            (StatusCode::NOT_FOUND, "ENTITLEMENT_UNKNOWN")
        );
    }
    world.directory.members_fail.set(true);
    let reply = world.get("alice", &path("")).await;
    assert_eq!(
        (reply.status, reply.reason().as_str()),
        (StatusCode::SERVICE_UNAVAILABLE, "LOOK_UP_FAILED")
    );
}

#[tokio::test]
async fn nobody_approves_what_is_activated_alone_and_other_verbs_are_not_there() {
    let world = World::new().await;
    let list = world.get("alice", "/v1/entitlements?query=viewer").await.json();
    let name = list["entitlements"][0]["name"].as_str().unwrap();
    let none = world.get("alice", &format!("/v1/entitlements/{name}:approvers")).await.json();
    assert_eq!(none["approvers"], json!([]));
    for path in [format!("/v1/entitlements/{name}"), format!("/v1/entitlements/{name}:delete")] {
        assert_eq!(world.get("alice", &path).await.reason(), "ROUTE_UNKNOWN", "{path}");
    }
}

#[tokio::test]
async fn policy_analyzers_answer_about_a_person_is_asked_for_once_a_minute() {
    let world = World::with(|settings| settings.lists_from = ListSource::PolicyAnalyzer).await;
    let listed = async || offered(&world.get("alice", "/v1/entitlements").await.json());
    let named = [
        row("projects/demo-prod", "compute.osLogin", ZONE_A),
        row("projects/demo-prod", "compute.osLogin", ZONE_B),
    ];
    assert_eq!(listed().await, named, "what the answer names her in");
    world.set_policy("projects/demo-prod", &[]);
    world.refresh().await;
    assert_eq!(listed().await, named, "a minute old at most");
    world.clock.pass(60);
    assert_eq!(listed().await, []);
    world.catalog.index_fails.set(true);
    world.clock.pass(60);
    assert_eq!(listed().await, [], "what is not too old stands");
    world.clock.pass(900);
    for person in ["alice", "carol"] {
        let reply = world.get(person, "/v1/entitlements").await;
        assert_eq!(
            (reply.status, reply.reason().as_str()),
            (StatusCode::SERVICE_UNAVAILABLE, "LOOK_UP_FAILED"),
            "nobody has an empty list for it"
        );
    }
}
