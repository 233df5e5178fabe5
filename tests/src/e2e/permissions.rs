//! What the two service accounts are allowed is what they use, to the last permission.

use std::collections::BTreeSet;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::demo::{Demo, Part, SOON, Shape, viewer};
use crate::eventually::eventually;

const CONTROLLER: &str = include_str!("../../../deploy/controller-permissions.txt");
const INTAKE: &str = include_str!("../../../deploy/intake-permissions.txt");

/// How the simulated cloud records a look at groups: an administrator role allows it, which is no IAM role.
const GROUPS_READER: &str = "admin.groups.read";

/// A role of the organisation's own, which `devs@` may activate on `demo-web`.
const CUSTOM: &str = "organizations/100000000001/roles/stockTaker";

const WEB: &str = "projects/demo-web";
const FOLDER: &str = "folders/200000000001";
const ORGANIZATION: &str = "organizations/100000000001";

/// The grant's minute, and then some.
const NATURAL_END: Duration = Duration::from_secs(90);

#[tokio::test]
async fn each_account_uses_exactly_the_permissions_that_its_file_lists() {
    let demo = Demo::start_as(Shape::Split).await;
    offer_custom_role(&demo).await;
    let until_its_end = demo.file("alice", &viewer()).await;
    look_at_every_list(&demo).await;
    refuse_what_is_not_offered(&demo).await;
    grant_and_end_early(&demo).await;
    grant_with_a_peer(&demo).await;
    meet_conflict_drift_and_a_new_controller(&demo).await;
    let reason = demo.until("alice", &until_its_end, "ENDED", NATURAL_END).await;
    assert_eq!(reason, "DURATION_ELAPSED");
    look_at_every_list(&demo).await;

    for part in [Part::Intake, Part::Controller] {
        let used = Used::by(&demo, part).await;
        let none: BTreeSet<String> = BTreeSet::new();
        assert_eq!(used.denied, none, "{part:?} asked for what it may not do");
        assert!(used.reads_groups, "{part:?} never looked at a group");
        assert_eq!(differences(&used.granted, &listed(part)), none, "{part:?}");
        let seeded = role_permissions(&demo, part).await;
        assert_eq!(differences(&seeded, &listed(part)), none, "{part:?} in the demo's seed");
    }
    let by_intake = Used::by(&demo, Part::Intake).await.granted;
    let changes: Vec<&String> = by_intake.iter().filter(|name| !only_reads(name)).collect();
    assert!(changes.is_empty(), "intake changed something: {changes:?}");
}

#[test]
fn one_permission_more_or_less_is_a_difference() {
    let used: BTreeSet<String> = ["a.b.get", "a.b.set"].map(str::to_owned).into();
    let differ = |listed: &[&'static str]| differences(&used, &listed.iter().copied().collect());
    assert_eq!(differ(&["a.b.get", "a.b.set"]).len(), 0);
    assert_eq!(differ(&["a.b.get"]), ["used and not listed: a.b.set".to_owned()].into());
    assert_eq!(
        differ(&["a.b.get", "a.b.list", "a.b.set"]),
        ["listed and not used: a.b.list".to_owned()].into()
    );
}

#[test]
fn the_files_are_sorted_and_each_line_is_one_permission() {
    for (part, text) in [(Part::Intake, INTAKE), (Part::Controller, CONTROLLER)] {
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(lines, Vec::from_iter(listed(part)), "{part:?}: sorted, nothing twice");
        for line in lines {
            let parts: Vec<&str> = line.split('.').collect();
            let is_word = |part: &&str| part.bytes().all(|byte| byte.is_ascii_alphanumeric());
            assert!(parts.len() == 3 && parts.iter().all(is_word), "{part:?}: {line:?}");
        }
    }
    assert!(listed(Part::Intake).into_iter().all(only_reads));
}

/// The other direction: nothing that is listed could be left out.
#[tokio::test]
async fn without_any_one_of_its_permissions_the_controller_grants_nothing() {
    let demo = Demo::start_as(Shape::Split).await;
    offer_custom_role(&demo).await;
    for missing in listed(Part::Controller) {
        allow(&demo, Part::Controller, Some(missing)).await;
        // What it looked up before would still be believed for some seconds.
        demo.kill_part(Part::Controller).await;
        let node = match missing {
            "resourcemanager.folders.setIamPolicy" => FOLDER,
            "resourcemanager.organizations.setIamPolicy" => ORGANIZATION,
            _ => WEB,
        };
        let id = demo.file("alice", &custom_on(node)).await;
        let denied =
            async || Used::by(&demo, Part::Controller).await.denied.contains(missing).then_some(());
        eventually(&format!("{missing} is missed"), SOON, denied).await;
        assert!(demo.bindings(node, &id).await.is_empty(), "granted without {missing}");
        allow(&demo, Part::Controller, None).await;
        demo.until("alice", &id, "ACTIVE", SOON).await;
    }
}

#[tokio::test]
async fn without_any_one_of_its_permissions_intake_refuses_to_list_or_to_file() {
    let demo = Demo::start_as(Shape::Split).await;
    offer_custom_role(&demo).await;
    for missing in listed(Part::Intake) {
        allow(&demo, Part::Intake, Some(missing)).await;
        demo.kill_part(Part::Intake).await;
        let list = list_once_read(&demo).await;
        let body = custom();
        let (filed, _) =
            demo.call("alice", Method::POST, "/v1/requests", Some(&body)).await.unwrap();
        assert!(list != 200 || filed != 201, "nobody missed {missing}");
        allow(&demo, Part::Intake, None).await;
    }
    demo.kill_part(Part::Intake).await;
    demo.get("bob", "/v1/entitlements").await;
    demo.file("bob", &custom()).await;
}

/// The status of the list, once everything was read or could not be.
async fn list_once_read(demo: &Demo) -> u16 {
    let answered = async || {
        let answer = demo.call("alice", Method::GET, "/v1/entitlements", None).await?;
        let reason = answer.1["error"]["details"][0]["reason"].clone();
        (reason != "LIST_NOT_READY").then_some(answer.0)
    };
    eventually("the list is there, or is not to be had", SOON, answered).await
}

/// The permissions of a part's file.
pub(super) fn listed(part: Part) -> BTreeSet<&'static str> {
    let text = match part {
        Part::Intake => INTAKE,
        Part::Controller => CONTROLLER,
    };
    text.lines().filter(|line| !line.starts_with('#')).collect()
}

/// What the simulated cloud has recorded of one account.
#[derive(Default)]
struct Used {
    granted: BTreeSet<String>,
    denied: BTreeSet<String>,
    reads_groups: bool,
}

impl Used {
    async fn by(demo: &Demo, part: Part) -> Self {
        let report = demo.cloud(Method::GET, "/sim/v1/permissions", None).await;
        let principals = report["principals"].as_array().unwrap();
        let mine = principals.iter().find(|principal| principal["principal"] == part.member());
        let Some(mine) = mine else { return Self::default() };
        let having = |count: &str| -> BTreeSet<String> {
            let permissions = mine["permissions"].as_array().unwrap().iter();
            let recorded = permissions.filter(|permission| permission.get(count).is_some());
            recorded.map(|it| it["permission"].as_str().unwrap().to_owned()).collect()
        };
        let mut granted = having("granted");
        let reads_groups = granted.remove(GROUPS_READER);
        Self { granted, denied: having("denied"), reads_groups }
    }
}

/// One line for each permission that stands on one side only.
fn differences(used: &BTreeSet<String>, listed: &BTreeSet<&str>) -> BTreeSet<String> {
    let unlisted = used.iter().filter(|name| !listed.contains(name.as_str()));
    let unused = listed.iter().filter(|name| !used.contains(**name));
    let unlisted = unlisted.map(|name| format!("used and not listed: {name}"));
    unlisted.chain(unused.map(|name| format!("listed and not used: {name}"))).collect()
}

/// By the verb that a permission ends with; one that is not known counts as a change.
fn only_reads(permission: &str) -> bool {
    let verb = permission.rsplit('.').next().unwrap();
    ["get", "list", "search", "analyze"].iter().any(|reads| verb.starts_with(reads))
}

fn role(part: Part) -> String {
    let name = match part {
        Part::Intake => "curfewIntake",
        Part::Controller => "curfewController",
    };
    format!("/v1/organizations/100000000001/roles/{name}")
}

async fn role_permissions(demo: &Demo, part: Part) -> BTreeSet<String> {
    let role = demo.cloud(Method::GET, &role(part), None).await;
    serde_json::from_value(role["includedPermissions"].clone()).unwrap()
}

/// Gives the part what its file lists, but for one.
pub(super) async fn allow(demo: &Demo, part: Part, missing: Option<&str>) {
    let permissions: Vec<&str> =
        listed(part).into_iter().filter(|name| Some(*name) != missing).collect();
    let path = format!("{}?updateMask=includedPermissions", role(part));
    let body = json!({"includedPermissions": permissions});
    demo.cloud(Method::PATCH, &path, Some(&body)).await;
}

/// Only a custom role must be looked up with a permission; predefined ones are everybody's to read.
async fn offer_custom_role(demo: &Demo) {
    let role = json!({"title": "Stock taker", "includedPermissions": ["compute.instances.list"], "stage": "GA"});
    let body = json!({"roleId": "stockTaker", "role": role});
    demo.cloud(Method::POST, "/v1/organizations/100000000001/roles", Some(&body)).await;
    let condition =
        json!({"title": "Developers may activate", "expression": "has({}.jitAccessConstraint)"});
    let binding =
        json!({"role": CUSTOM, "members": ["group:devs@example.com"], "condition": condition});
    // On the organisation too, so that there is something to ask for on every kind of node.
    for node in [WEB, ORGANIZATION] {
        edit(demo, node, |bindings| bindings.push(binding.clone())).await;
    }
}

/// Changes a policy as its administrator.
async fn edit(demo: &Demo, resource: &str, change: impl FnOnce(&mut Vec<Value>)) {
    let mut policy = demo.policy(resource).await;
    change(policy["bindings"].as_array_mut().unwrap());
    policy["version"] = 3.into();
    let body = json!({"policy": policy});
    demo.cloud(Method::POST, &format!("/v3/{resource}:setIamPolicy"), Some(&body)).await;
}

fn custom() -> Value {
    custom_on(WEB)
}

fn custom_on(node: &str) -> Value {
    let mut body = viewer();
    body["resource"] = node.into();
    body["roles"] = json!([{"role": CUSTOM}]);
    body["duration"] = "1h".into();
    body
}

async fn look_at_every_list(demo: &Demo) {
    for person in ["alice", "bob", "carol", "dave", "erin", "olga"] {
        for path in ["/v1/me", "/v1/entitlements", "/v1/resources", "/v1/requests?view=mine"] {
            demo.get(person, path).await;
        }
    }
    demo.get("erin", "/v1/requests?view=all").await;
}

async fn refuse_what_is_not_offered(demo: &Demo) {
    for (person, resource, role) in [
        ("alice", WEB, "roles/storage.admin"),
        ("dave", WEB, "roles/compute.viewer"),
        ("carol", "projects/demo-prod", "roles/compute.instanceAdmin.v1"),
        ("olga", "projects/demo-curfew", "roles/datastore.user"),
        ("alice", FOLDER, "roles/compute.viewer"),
        ("bob", ORGANIZATION, "roles/logging.admin"),
    ] {
        let mut body = viewer();
        body["resource"] = resource.into();
        body["roles"] = json!([{"role": role}]);
        let answer = demo.call(person, Method::POST, "/v1/requests", Some(&body)).await;
        let (status, reply) = answer.unwrap();
        assert!((400..500).contains(&status), "{resource} {role}: {status} {reply}");
    }
}

/// On the project itself, by a role of the organisation, by a binding on the folder above through nested groups, and
/// on a folder and the organisation themselves.
async fn grant_and_end_early(demo: &Demo) {
    let mut of_folder = viewer();
    of_folder["resource"] = "projects/demo-data".into();
    of_folder["roles"] = json!([{"role": "roles/logging.admin"}]);
    for (person, body, by, verb) in [
        ("alice", viewer(), "alice", "withdraw"),
        ("alice", custom(), "olga", "revoke"),
        ("bob", of_folder, "bob", "withdraw"),
        ("alice", custom_on(FOLDER), "alice", "withdraw"),
        ("alice", custom_on(ORGANIZATION), "alice", "withdraw"),
    ] {
        let id = demo.file(person, &body).await;
        demo.until(person, &id, "ACTIVE", SOON).await;
        demo.get(person, &format!("/v1/requests/{id}/events")).await;
        demo.end(by, &id, verb).await;
        demo.until(person, &id, "ENDED", SOON).await;
    }
}

/// Alone, a request waits; the approver's standing is asked of the cloud by intake and by the controller.
async fn grant_with_a_peer(demo: &Demo) {
    let mut body = viewer();
    body["resource"] = "projects/demo-prod".into();
    body["roles"] = json!([{"role": "roles/compute.instanceAdmin.v1"}]);
    body["chosenApprovers"] = json!(["bob@example.com"]);
    for (verb, phase) in [("approve", "ACTIVE"), ("deny", "ENDED")] {
        let id = demo.file("alice", &body).await;
        demo.until("alice", &id, "AWAITING_APPROVAL", SOON).await;
        demo.get("bob", "/v1/requests?view=inbox").await;
        let digest = demo.get("bob", &format!("/v1/requests/{id}")).await["digest"].clone();
        let (path, decision) = (format!("/v1/requests/{id}:{verb}"), json!({"digest": digest}));
        let answer = demo.call("bob", Method::POST, &path, Some(&decision)).await.unwrap();
        assert_eq!(answer.0, 200, "{verb}: {}", answer.1);
        demo.until("alice", &id, phase, SOON).await;
        if phase == "ACTIVE" {
            demo.end("bob", &id, "revoke").await;
            demo.until("alice", &id, "ENDED", SOON).await;
        }
    }
}

async fn meet_conflict_drift_and_a_new_controller(demo: &Demo) {
    demo.faults(&json!([{"method": "setIamPolicy", "kind": "ERROR", "status": 409, "count": 2}]))
        .await;
    let id = demo.file("bob", &custom()).await;
    demo.until("bob", &id, "ACTIVE", SOON).await;
    let title = format!("curfew demo {id}");
    edit(demo, WEB, |bindings| bindings.retain(|binding| binding["condition"]["title"] != *title))
        .await;
    // A new one sweeps everything that is there.
    demo.kill_part(Part::Controller).await;
    demo.end("bob", &id, "withdraw").await;
    demo.until("bob", &id, "ENDED", SOON).await;
}
