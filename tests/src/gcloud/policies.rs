//! Policies of all three kinds of node, read, written as a whole, and changed binding by binding.

use serde_json::{Value, json};

use super::cli::Gcloud;
use crate::e2e::demo::Demo;

/// A kind of node: gcloud's words for it, one node's id, and its name in the API.
struct Node {
    words: &'static [&'static str],
    id: &'static str,
    name: &'static str,
}

const PROJECT: Node = Node { words: &["projects"], id: "demo-data", name: "projects/demo-data" };
const FOLDER: Node = Node {
    words: &["resource-manager", "folders"],
    id: "200000000001",
    name: "folders/200000000001",
};
const ORGANIZATION: Node =
    Node { words: &["organizations"], id: "100000000001", name: "organizations/100000000001" };

#[tokio::test]
async fn gcloud_reads_and_writes_the_policy_of_a_project() {
    reads_and_writes(&PROJECT).await;
}

#[tokio::test]
async fn gcloud_reads_and_writes_the_policy_of_a_folder() {
    reads_and_writes(&FOLDER).await;
}

#[tokio::test]
async fn gcloud_reads_and_writes_the_policy_of_an_organisation() {
    reads_and_writes(&ORGANIZATION).await;
}

#[tokio::test]
async fn gcloud_is_refused_what_google_refuses() {
    let demo = Demo::start().await;
    let Some(gcloud) = Gcloud::of(&demo) else { return };
    let before = demo.policy(PROJECT.name).await;
    let nobody = add(&PROJECT, "user:nobody@example.com", "roles/browser", "None");
    let error = gcloud.refusal(&as_texts(&nobody)).await;
    assert!(error.contains("nobody@example.com"), "{error}");
    let broken = "expression=request.time <,title=Broken";
    let broken = add(&PROJECT, "user:bob@example.com", "roles/browser", broken);
    let error = gcloud.refusal(&as_texts(&broken)).await;
    assert!(error.contains("INVALID_ARGUMENT"), "{error}");
    let error = gcloud.refusal(&["projects", "get-iam-policy", "no-such-project"]).await;
    assert!(error.contains("resourcemanager.projects.getIamPolicy"), "{error}");
    assert_eq!(demo.policy(PROJECT.name).await, before);
}

const CONDITION: &str =
    r#"expression=request.time < timestamp("2031-01-01T00:00:00Z"),title=Until 2031"#;

async fn reads_and_writes(node: &Node) {
    let demo = Demo::start().await;
    let Some(gcloud) = Gcloud::of(&demo) else { return };
    let before = demo.policy(node.name).await;
    let get = command(node, "get-iam-policy", &[]);
    assert_eq!(gcloud.json(&as_texts(&get)).await, before);
    changes_bindings(&demo, &gcloud, node).await;
    writes_the_whole(&demo, &gcloud, node).await;
    let after = sorted(demo.policy(node.name).await);
    assert_eq!(after["auditConfigs"], before["auditConfigs"]);
}

/// Adds a binding with and one without a condition, and takes both away again.
async fn changes_bindings(demo: &Demo, gcloud: &Gcloud, node: &Node) {
    const MEMBER: &str = "user:bob@example.com";
    let before = sorted(demo.policy(node.name).await);
    for condition in ["None", CONDITION] {
        let written =
            gcloud.json(&as_texts(&add(node, MEMBER, "roles/run.invoker", condition))).await;
        assert_eq!(sorted(written), sorted(demo.policy(node.name).await));
    }
    let bindings = of_role(&demo.policy(node.name).await, "roles/run.invoker");
    let condition = json!({
        "expression": "request.time < timestamp(\"2031-01-01T00:00:00Z\")", "title": "Until 2031",
    });
    assert_eq!(bindings.len(), 2, "{bindings:?}");
    let added = |condition: &Value| {
        bindings.iter().any(|it| it["members"] == json!([MEMBER]) && it["condition"] == *condition)
    };
    assert!(added(&Value::Null) && added(&condition), "{bindings:?}");
    for condition in [CONDITION, "None"] {
        let member = format!("--member={MEMBER}");
        let condition = format!("--condition={condition}");
        let flags = [member.as_str(), "--role=roles/run.invoker", &condition];
        gcloud.json(&as_texts(&command(node, "remove-iam-policy-binding", &flags))).await;
    }
    assert_eq!(sorted(demo.policy(node.name).await), before);
}

/// Writes a changed file once; the second time its etag is old.
async fn writes_the_whole(demo: &Demo, gcloud: &Gcloud, node: &Node) {
    let mut policy = demo.policy(node.name).await;
    let added = json!({"role": "roles/run.invoker", "members": ["user:dave@example.com"]});
    policy["bindings"].as_array_mut().unwrap().push(added.clone());
    let file = gcloud.file("policy.json", policy.to_string().as_bytes());
    let set = command(node, "set-iam-policy", &[&file]);
    let written = gcloud.json(&as_texts(&set)).await;
    let stored = demo.policy(node.name).await;
    assert_eq!((&written, of_role(&stored, "roles/run.invoker")), (&stored, vec![added]));
    let error = gcloud.refusal(&as_texts(&set)).await;
    assert!(error.contains("concurrent policy changes"), "{error}");
    assert_eq!(demo.policy(node.name).await, stored);
}

fn add(node: &Node, member: &str, role: &str, condition: &str) -> Vec<String> {
    let flags = [
        format!("--member={member}"),
        format!("--role={role}"),
        format!("--condition={condition}"),
    ];
    command(node, "add-iam-policy-binding", &flags.each_ref().map(String::as_str))
}

fn command(node: &Node, verb: &str, rest: &[&str]) -> Vec<String> {
    let words = node.words.iter().chain([&verb, &node.id]).chain(rest);
    words.map(|word| (*word).to_owned()).collect()
}

fn as_texts(words: &[String]) -> Vec<&str> {
    words.iter().map(String::as_str).collect()
}

fn of_role(policy: &Value, role: &str) -> Vec<Value> {
    let all = policy["bindings"].as_array().unwrap();
    all.iter().filter(|binding| binding["role"] == role).cloned().collect()
}

/// Without what every write changes, and with the bindings in an order of their own.
fn sorted(mut policy: Value) -> Value {
    policy["etag"] = Value::Null;
    let bindings = policy["bindings"].as_array_mut().unwrap();
    bindings.sort_by_key(Value::to_string);
    policy
}
