//! Lists from Policy Analyzer, and what happens where intake may not ask it.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use super::demo::{Demo, SOON, Shape};
use super::in_both_shapes;
use super::seed::{FOLDER, ORGANIZATION, Seed};
use crate::eventually::eventually;

in_both_shapes! {
    lists_of_policy_analyzer_are_those_of_the_index,
}

const PERMISSION: &str = "cloudasset.assets.analyzeIamPolicy";
const CATALOG: &str = "catalog: PolicyAnalyzer";
const JIT: &str = "jitAccessConstraint";
const MPA: &str = "multiPartyApprovalConstraint";

/// Everything that can be offered in more than one way: by name, domain and nested group, on every kind of node, alone
/// and with a peer.
fn seed() -> Seed {
    Seed::new()
        .offering(ORGANIZATION, "roles/browser", "domain:example.com", JIT)
        .offering(FOLDER, "roles/pubsub.subscriber", "group:sre@example.com", MPA)
        .offering("projects/demo-prod", "roles/storage.objectViewer", "user:alice@example.com", JIT)
        .offering("projects/demo-prod", "roles/storage.objectViewer", "group:devs@example.com", MPA)
}

/// The seed in which intake's account may ask Policy Analyzer.
fn seed_with_permission() -> String {
    let (before, line) = ("curfewIntake\n    title: Curfew Intake\n    permissions:\n", "      - ");
    let text = seed().text().replace(before, &format!("{before}{line}{PERMISSION}\n"));
    assert!(text.contains(PERMISSION), "the seed's role of intake is another one");
    text
}

async fn lists_of_policy_analyzer_are_those_of_the_index(shape: Shape) {
    let index = Demo::start_seeded(shape, Some(seed().text())).await;
    let analyzer = Demo::start_configured(shape, &seed_with_permission(), CATALOG).await;
    let mut n_listed = 0;
    for who in ["alice", "bob", "carol", "dave", "erin"] {
        for path in ["/v1/entitlements", "/v1/resources", "/v1/entitlements?query=storage"] {
            let [expected, found] =
                [listed(&index, who, path).await, listed(&analyzer, who, path).await];
            assert_eq!(found, expected, "{who} {path}");
            n_listed += expected.len();
        }
    }
    assert!(n_listed > 60, "{n_listed}: too few lists to tell anything");
    assert!(permissions(&analyzer, "granted").await.contains(PERMISSION), "nobody asked it");
    assert!(!permissions(&index, "granted").await.contains(PERMISSION));
}

#[tokio::test]
async fn without_the_permission_there_is_no_list_and_the_log_alone_names_it() {
    let demo = Demo::start_logged(Shape::Split, seed().text(), CATALOG).await;
    let (status, reply) = demo.call("alice", Method::GET, "/v1/entitlements", None).await.unwrap();
    assert_eq!((status, &reply["error"]["details"][0]["reason"]), (503, &json!("LOOK_UP_FAILED")));
    assert!(!reply.to_string().contains("analyze") && !reply.to_string().contains("cloudasset"));
    assert!(permissions(&demo, "denied").await.contains(PERMISSION));
    let log = async || {
        let log = std::fs::read_to_string(demo.log()).ok()?;
        log.lines().find(|line| line.contains(PERMISSION)).map(str::to_owned)
    };
    eventually("the log names the permission", SOON, log).await;
    // Filing rests on live policies, and goes on.
    let id = demo.file("alice", &super::demo::viewer()).await;
    demo.until("alice", &id, "ACTIVE", SOON).await;
}

/// Every item of a list but for when it was read.
async fn listed(demo: &Demo, who: &str, path: &str) -> Vec<Value> {
    let reply = eventually(&format!("{path} is read"), SOON, async || {
        let (status, reply) = demo.call(who, Method::GET, path, None).await?;
        (status == 200).then_some(reply)
    })
    .await;
    assert_eq!(reply.get("nextPageToken"), None);
    let list = if path.starts_with("/v1/resources") { "resources" } else { "entitlements" };
    reply[list].as_array().unwrap().clone()
}

/// The permissions that were granted to, or denied, anybody so far.
async fn permissions(demo: &Demo, how: &str) -> BTreeSet<String> {
    let report = demo.cloud(Method::GET, "/sim/v1/permissions", None).await;
    let principals = report["principals"].as_array().unwrap().iter();
    let all = principals.flat_map(|it| it["permissions"].as_array().unwrap());
    let recorded = all.filter(|permission| permission.get(how).is_some());
    recorded.map(|it| it["permission"].as_str().unwrap().to_owned()).collect()
}
