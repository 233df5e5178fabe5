//! Access on folders, on the organisation and on projects of every name; never sideways, upward or above the system.

use curfew_core::condition::Carried;
use curfew_core::eligible::entitlement_name;
use curfew_core::id::{Digest, Installation, Nonce, RequestId};
use curfew_core::principal::{Email, Person, Principal, Subject};
use curfew_core::resource::Resource;
use curfew_core::role::{Role, permissions_hash};
use curfew_core::spec::{Authentication, RequestedRole, Spec};
use curfew_ports::EnvelopeSigner as _;
use curfew_proto::payload;
use curfew_trust::KeyFileSigner;
use reqwest::Method;
use serde_json::{Value, json};

use super::demo::{Demo, SOON, Shape, viewer};
use super::in_both_shapes;
use super::seed::{FOLDER, ORGANIZATION, Seed};
use crate::eventually::eventually;
use crate::store::raw::{boolean, map, text};

in_both_shapes! {
    access_on_a_folder_covers_what_lies_below_and_ends,
    access_on_the_organisation_is_offered_on_every_node_below,
    a_domain_scoped_project_is_a_project,
    a_custom_role_is_granted_where_iam_grants_it,
    no_binding_counts_sideways_or_upward,
    an_intake_that_lies_about_where_a_binding_counts_changes_nothing,
    what_would_reach_the_system_from_above_is_refused,
}

const JIT: &str = "jitAccessConstraint";

async fn access_on_a_folder_covers_what_lies_below_and_ends(shape: Shape) {
    let demo = Demo::start_as(shape).await;
    let before = demo.foreign(FOLDER).await;
    let id = demo.file("bob", &asking(FOLDER, "roles/logging.admin")).await;
    demo.until("bob", &id, "ACTIVE", SOON).await;
    assert_eq!(demo.bindings(FOLDER, &id).await.len(), 1);
    for below in [FOLDER, "projects/demo-web", "projects/demo-prod"] {
        assert!(demo.can("user:bob@example.com", "roles/logging.admin", below, None).await);
    }
    for elsewhere in [ORGANIZATION, "projects/demo-curfew"] {
        assert!(!demo.can("user:bob@example.com", "roles/logging.admin", elsewhere, None).await);
    }
    demo.end("bob", &id, "withdraw").await;
    assert_eq!(demo.until("bob", &id, "ENDED", SOON).await, "WITHDRAWN");
    assert_eq!(demo.bindings(FOLDER, &id).await, Vec::<Value>::new());
    assert_eq!(demo.foreign(FOLDER).await, before);
}

async fn access_on_the_organisation_is_offered_on_every_node_below(shape: Shape) {
    const ROLE: &str = "roles/monitoring.editor";
    let seed = Seed::new().offering(ORGANIZATION, ROLE, "group:devs@example.com", JIT);
    let demo = Demo::start_seeded(shape, Some(seed.text())).await;
    let listed = demo.get("alice", "/v1/entitlements").await;
    let on: Vec<&str> = listed["entitlements"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|offer| offer["role"] == ROLE)
        .map(|offer| offer["resource"].as_str().unwrap())
        .collect();
    for node in [ORGANIZATION, FOLDER, "projects/demo-web"] {
        assert!(on.contains(&node), "{node} is not among {on:?}");
        let before = demo.foreign(node).await;
        let id = demo.file("alice", &asking(node, ROLE)).await;
        demo.until("alice", &id, "ACTIVE", SOON).await;
        assert_eq!(demo.bindings(node, &id).await.len(), 1);
        assert!(demo.can("user:alice@example.com", ROLE, node, None).await, "{node}");
        demo.end("olga", &id, "revoke").await;
        demo.until("alice", &id, "ENDED", SOON).await;
        assert_eq!(demo.foreign(node).await, before);
        assert!(!demo.can("user:alice@example.com", ROLE, node, None).await, "{node}");
    }
    assert!(!on.contains(&"projects/demo-curfew"), "the system itself is listed");
    let refusal = refusal(&demo, "alice", &asking("projects/demo-curfew", ROLE)).await;
    assert_eq!(refusal, "PROTECTED_RESOURCE");
}

async fn a_domain_scoped_project_is_a_project(shape: Shape) {
    const LEGACY: &str = "projects/example.com:legacy-app";
    let seed = Seed::new()
        .with("projects", "{id: 'example.com:legacy-app', number: 100000000199, displayName: Legacy, parent: folders/200000000001}")
        .offering(LEGACY, "roles/compute.viewer", "user:alice@example.com", JIT);
    let demo = Demo::start_seeded(shape, Some(seed.text())).await;
    let listed = demo.get("alice", &format!("/v1/entitlements?resource={LEGACY}")).await;
    assert_eq!(listed["entitlements"][0]["resource"], LEGACY, "{listed}");
    let id = demo.file("alice", &asking(LEGACY, "roles/compute.viewer")).await;
    demo.until("alice", &id, "ACTIVE", SOON).await;
    let escaped = "projects/example.com%3Alegacy-app";
    assert_eq!(demo.bindings(escaped, &id).await.len(), 1);
    // The folder's binding is inherited as on every project, and on this one too.
    let inherited = demo.file("bob", &asking(LEGACY, "roles/logging.admin")).await;
    demo.until("bob", &inherited, "ACTIVE", SOON).await;
    demo.end("alice", &id, "withdraw").await;
    demo.until("alice", &id, "ENDED", SOON).await;
    assert_eq!(demo.bindings(escaped, &id).await, Vec::<Value>::new());
    for other in ["projects/legacy-app", "projects/EXAMPLE.com:legacy-app", escaped] {
        let refusal = refusal(&demo, "alice", &asking(other, "roles/compute.viewer")).await;
        assert!(["RESOURCE_UNKNOWN", "FIELD_INVALID"].contains(&refusal.as_str()), "{refusal}");
    }
}

async fn a_custom_role_is_granted_where_iam_grants_it(shape: Shape) {
    const OF_PROJECT: &str = "projects/demo-web/roles/restarter";
    const OF_ORGANIZATION: &str = "organizations/100000000001/roles/stockTaker";
    let role =
        |name: &str| format!("{{name: {name}, title: T, permissions: [compute.instances.list]}}");
    let seed = Seed::new()
        .with("roles", &role(OF_PROJECT))
        .with("roles", &role(OF_ORGANIZATION))
        .offering("projects/demo-web", OF_PROJECT, "user:alice@example.com", JIT)
        .offering(FOLDER, OF_ORGANIZATION, "user:alice@example.com", JIT);
    let demo = Demo::start_seeded(shape, Some(seed.text())).await;
    for (node, role) in [
        ("projects/demo-web", OF_PROJECT),
        ("projects/demo-data", OF_ORGANIZATION),
        (FOLDER, OF_ORGANIZATION),
    ] {
        let id = demo.file("alice", &asking(node, role)).await;
        demo.until("alice", &id, "ACTIVE", SOON).await;
        assert_eq!(demo.bindings(node, &id).await[0]["role"], role);
    }
    for (node, role) in [("projects/demo-data", OF_PROJECT), (FOLDER, OF_PROJECT)] {
        let refusal = refusal(&demo, "alice", &asking(node, role)).await;
        let refused = ["ROLE_NOT_GRANTABLE_HERE", "NOT_ELIGIBLE"];
        assert!(refused.contains(&refusal.as_str()), "{node} {role}: {refusal}");
    }
}

async fn no_binding_counts_sideways_or_upward(shape: Shape) {
    let demo = Demo::start_as(shape).await;
    for (who, node, role) in [
        ("alice", "projects/demo-data", "roles/compute.viewer"),
        ("alice", FOLDER, "roles/compute.viewer"),
        ("alice", ORGANIZATION, "roles/compute.viewer"),
        ("bob", "projects/demo-curfew", "roles/compute.viewer"),
        ("bob", ORGANIZATION, "roles/monitoring.viewer"),
    ] {
        let refusal = refusal(&demo, who, &asking(node, role)).await;
        let refused = ["NOT_ELIGIBLE", "PROTECTED_RESOURCE"];
        assert!(refused.contains(&refusal.as_str()), "{who} {role} on {node}: {refusal}");
    }
    for (elsewhere, why) in [
        ("folders/200000000002", "RESOURCE_UNKNOWN"),
        ("organizations/2", "OUT_OF_SCOPE"),
        ("projects/not-there", "RESOURCE_UNKNOWN"),
    ] {
        let refusal = refusal(&demo, "alice", &asking(elsewhere, "roles/compute.viewer")).await;
        assert_eq!(refusal, why, "{elsewhere}");
    }
    assert_eq!(demo.get("erin", "/v1/requests?view=all").await["requests"], json!([]));
}

/// What intake refuses, signed all the same with its own key: the controller judges for itself.
async fn an_intake_that_lies_about_where_a_binding_counts_changes_nothing(shape: Shape) {
    let demo = Demo::start_as(shape).await;
    let store = demo.store().await;
    let nodes = ["projects/demo-data", "projects/demo-prod", FOLDER, ORGANIZATION];
    let mut before = Vec::new();
    for node in nodes {
        before.push(demo.policy(node).await);
    }
    for (n, node) in (1..).zip(nodes) {
        let spec = lying_spec(&demo, n, node).await;
        let digest = Digest::of(b"body");
        let installation = Installation::parse("demo").unwrap();
        let payload = payload::spec(&spec, &installation, &digest, None);
        let signer = KeyFileSigner::open(&demo.data("intake.key"), "intake-1").unwrap();
        let envelope = signer.sign(payload::SPEC_TYPE, payload).await.unwrap();
        let envelope = map([
            ("payload", text(&envelope.payload)),
            ("keyId", text(&envelope.key_id)),
            ("signature", text(&envelope.signature)),
        ]);
        let path = format!("requests/{}", spec.id);
        store.set(&path, [("live", boolean(true)), ("spec", envelope)]).await;
        let id = spec.id.to_string();
        let ended = async || {
            let (phase, reason) = demo.stands("alice", &id).await;
            (phase == "ENDED").then_some(reason)
        };
        assert_eq!(eventually(&format!("{node} is refused"), SOON, ended).await, "INELIGIBLE");
    }
    for (node, before) in nodes.into_iter().zip(before) {
        assert_eq!(demo.policy(node).await, before, "{node} was written");
    }
}

/// Alice may activate the role on `demo-web`; this asks for it on another node by the same eligibility.
async fn lying_spec(demo: &Demo, n: u8, node: &str) -> Spec {
    const ROLE: &str = "roles/compute.viewer";
    let alice = Email::parse("alice@example.com").unwrap();
    let web = Resource::parse("projects/demo-web").unwrap();
    let role = demo.cloud(Method::GET, &format!("/v1/{ROLE}"), None).await;
    let permissions = serde_json::from_value(role["includedPermissions"].clone()).unwrap();
    Spec {
        id: RequestId::from_bits([n; 16]),
        digest: Digest::of(b"unknown before it is signed"),
        requester: Person {
            subject: Subject::parse("accounts.google.com:101000000000000000001").unwrap(),
            email: alice.clone(),
        },
        principal: Principal::User(alice),
        resource: Resource::parse(node).unwrap(),
        roles: vec![RequestedRole {
            role: Role::parse(ROLE).unwrap(),
            resource_condition: Carried::NONE.to_string(),
            entitlement: entitlement_name(&web, ROLE, "has({}.jitAccessConstraint)"),
            permissions_hash: permissions_hash(&permissions),
        }],
        resource_names: Vec::new(),
        duration: chrono::TimeDelta::minutes(5),
        start_at: None,
        justification: "BUG-1".into(),
        ticket: None,
        chosen_approvers: Vec::new(),
        break_glass: false,
        requested_at: now(),
        nonce: Nonce::from_bits([n; 16]),
        authentication: Authentication::default(),
    }
}

async fn what_would_reach_the_system_from_above_is_refused(shape: Shape) {
    const NESTED: &str = "folders/200000000009";
    let reaching = ["roles/logging.admin", "roles/storage.admin", "roles/iam.roleViewer"];
    let mut seed = Seed::new()
        .with(
            "folders",
            "{id: 200000000009, displayName: Tools, parent: organizations/100000000001}",
        )
        .offering(ORGANIZATION, "roles/compute.viewer", "user:alice@example.com", JIT);
    for role in reaching {
        seed = seed.offering(ORGANIZATION, role, "user:alice@example.com", JIT);
    }
    let demo = Demo::start_seeded(shape, Some(seed.text())).await;
    for role in reaching {
        let refusal = refusal(&demo, "alice", &asking(ORGANIZATION, role)).await;
        assert_eq!(refusal, "PROTECTED_RESOURCE", "{role}");
        // On a folder that the system does not lie below, the same role may be had.
        let id = demo.file("alice", &asking(NESTED, role)).await;
        demo.until("alice", &id, "ACTIVE", SOON).await;
    }
    let harmless = demo.file("alice", &asking(ORGANIZATION, "roles/compute.viewer")).await;
    demo.until("alice", &harmless, "ACTIVE", SOON).await;
}

fn asking(node: &str, role: &str) -> Value {
    let mut body = viewer();
    body["resource"] = node.into();
    body["roles"] = json!([{"role": role}]);
    body["duration"] = "5m".into();
    body
}

async fn refusal(demo: &Demo, who: &str, body: &Value) -> String {
    let (status, reply) = demo.call(who, Method::POST, "/v1/requests", Some(body)).await.unwrap();
    assert!((400..500).contains(&status), "{body}: {status} {reply}");
    reply["error"]["details"][0]["reason"].as_str().unwrap_or_default().to_owned()
}

#[expect(clippy::disallowed_methods, reason = "the processes under test have the machine's clock")]
fn now() -> chrono::DateTime<chrono::Utc> {
    std::time::SystemTime::now().into()
}
