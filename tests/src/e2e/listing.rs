//! Lists of thousands, kept fresh while people look at them; dry runs; and why a request stands where it stands.

use std::process::Stdio;

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::process::Command;

use super::demo::{Demo, Part, SOON, Shape, viewer};
use super::in_both_shapes;
use super::seed::{ORGANIZATION, Seed};
use crate::eventually::eventually;

in_both_shapes! {
    what_changes_in_a_policy_shows_in_the_list,
    a_dry_run_says_what_filing_says_and_stores_nothing,
    those_who_could_approve_are_listed,
}

const JIT: &str = "jitAccessConstraint";
const WEB: &str = "projects/demo-web";
const ADMIN: &str = "roles/compute.instanceAdmin.v1";

/// Projects of the large organisation; with two bindings each, the lists are of thousands.
const N_PROJECTS: usize = 1_200;

async fn what_changes_in_a_policy_shows_in_the_list(shape: Shape) {
    let demo = Demo::start_as(shape).await;
    let roles = async || {
        let list = demo.get("alice", &format!("/v1/entitlements?resource={WEB}")).await;
        let all = list["entitlements"].as_array().unwrap().clone();
        all.iter().map(|e| e["role"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(roles().await, ["roles/compute.viewer"]);
    let mut policy = demo.policy(WEB).await;
    let binding = json!({
        "role": "roles/logging.viewer",
        "members": ["user:alice@example.com"],
        "condition": {"title": "x", "expression": "has({}.jitAccessConstraint)"},
    });
    policy["bindings"].as_array_mut().unwrap().push(binding);
    let body = json!({"policy": policy});
    demo.cloud(Method::POST, &format!("/v3/{WEB}:setIamPolicy"), Some(&body)).await;
    let there =
        async || (roles().await == ["roles/compute.viewer", "roles/logging.viewer"]).then_some(());
    // Read anew every ten seconds or so.
    eventually("the new binding is listed", SOON * 2, there).await;
    let age = metric(&demo, "curfew_eligibility_snapshot_age_seconds").await;
    assert!((0.0..60.0).contains(&age), "{age}");
    // A reading that fails leaves the last good one.
    demo.faults(
        &json!([{"method": "searchAllIamPolicies", "kind": "ERROR", "status": 503, "count": 100}]),
    )
    .await;
    let failed = async || {
        let n = metric(&demo, "curfew_eligibility_refresh_failures_total").await;
        (n >= 1.0).then_some(())
    };
    eventually("a reading has failed", SOON * 3, failed).await;
    assert_eq!(roles().await.len(), 2);
}

async fn a_dry_run_says_what_filing_says_and_stores_nothing(shape: Shape) {
    let demo = Demo::start_as(shape).await;
    let dry = async |body: &Value| {
        let (status, reply) =
            demo.call("alice", Method::POST, "/v1/requests:validate", Some(body)).await.unwrap();
        assert_eq!(status, 200, "{reply}");
        reply
    };
    let good = dry(&viewer()).await;
    assert_eq!((&good["verdict"], &good["approval"]), (&json!("ACCEPTED"), &json!("SELF")));
    assert_eq!(good["bindings"][0]["member"], "user:alice@example.com");
    let mut bad = viewer();
    bad["duration"] = "100h".into();
    bad["roles"] = json!([{"role": "roles/storage.admin"}]);
    let refused = dry(&bad).await;
    let failed: Vec<&Value> = refused["checks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|check| check["outcome"] == "FAILED")
        .map(|check| &check["reason"])
        .collect();
    assert_eq!(failed, ["DURATION_OUT_OF_BOUNDS", "NOT_ELIGIBLE"]);
    let (status, reply) =
        demo.call("alice", Method::POST, "/v1/requests", Some(&bad)).await.unwrap();
    assert_eq!(
        (status, &reply["error"]["details"][0]["reason"]),
        (400, &json!("DURATION_OUT_OF_BOUNDS"))
    );
    assert_eq!(demo.get("alice", "/v1/requests").await["requests"], json!([]));
    assert_eq!(shown_and_written(&demo, &viewer(), "").await, 1);
    // A carried condition and a narrowed one: the longest expression that is written for anybody here.
    let narrowed = json!({
        "resource": "projects/demo-data",
        "roles": [{"role": "roles/secretmanager.secretAccessor"}],
        "resourceNames": ["projects/demo-data/secrets/app-key"],
        "duration": "7m",
        "justification": "BUG-1",
    });
    let carried = " && (resource.name.startsWith(\"projects/demo-data/secrets/app-\")) && (";
    assert_eq!(shown_and_written(&demo, &narrowed, carried).await, 1);
}

/// Shows a request, files it, and compares every field of every binding that is then in the policy, but for the seconds
/// that passed between. How many there are.
async fn shown_and_written(demo: &Demo, body: &Value, carries: &str) -> usize {
    let (_, dry) =
        demo.call("alice", Method::POST, "/v1/requests:validate", Some(body)).await.unwrap();
    let resource = body["resource"].as_str().unwrap();
    let id = demo.file("alice", body).await;
    demo.until("alice", &id, "ACTIVE", SOON).await;
    let written = demo.bindings(resource, &id).await;
    let shown = dry["bindings"].as_array().unwrap();
    assert_eq!(shown.len(), written.len(), "{dry}");
    let asked = curfew_proto::parse_duration(body["duration"].as_str().unwrap()).unwrap();
    for (shown, written) in shown.iter().zip(&written) {
        assert_eq!(shown["resource"], resource);
        assert_eq!(
            (&shown["role"], json!([shown["member"]])),
            (&written["role"], written["members"].clone())
        );
        let fields: Vec<&String> = shown.as_object().unwrap().keys().collect();
        assert_eq!(
            fields,
            ["expression", "member", "resource", "role"],
            "nothing is left uncompared"
        );
        let (planned, real) =
            (Times::of(&shown["expression"]), Times::of(&written["condition"]["expression"]));
        assert_eq!(planned.around, real.around, "but for the times, letter by letter");
        assert!(real.around[2].contains(carries) || carries.is_empty(), "{real:?}");
        assert_eq!((planned.lasts(), real.lasts()), (asked, asked));
        let late = real.start - planned.start;
        assert!((TimeDelta::zero()..=TimeDelta::seconds(20)).contains(&late), "{late}");
    }
    written.len()
}

/// A granted expression: its two times, and the text around them.
#[derive(Debug)]
struct Times {
    around: [String; 3],
    start: DateTime<Utc>,
    end: DateTime<Utc>,
}

impl Times {
    fn of(expression: &Value) -> Self {
        let parts: Vec<&str> = expression.as_str().unwrap().splitn(5, '"').collect();
        let [before, start, between, end, after] = parts[..] else { panic!("{expression}") };
        let time = |text: &str| text.parse().unwrap_or_else(|_| panic!("{text}: {expression}"));
        Self {
            around: [before, between, after].map(str::to_owned),
            start: time(start),
            end: time(end),
        }
    }

    fn lasts(&self) -> TimeDelta {
        self.end - self.start
    }
}

async fn those_who_could_approve_are_listed(shape: Shape) {
    let demo = Demo::start_as(shape).await;
    let list = demo.get("alice", &format!("/v1/entitlements?role={ADMIN}")).await;
    let name = list["entitlements"][0]["name"].as_str().unwrap();
    let found = demo.get("alice", &format!("/v1/entitlements/{name}:approvers")).await;
    assert_eq!(found["approvers"], json!([{"email": "bob@example.com"}]));
    let (status, _) = demo
        .call("dave", Method::GET, &format!("/v1/entitlements/{name}:approvers"), None)
        .await
        .unwrap();
    assert_eq!(status, 404);
}

#[tokio::test]
async fn an_organisation_of_thousands_is_listed_page_by_page_and_whole() {
    let demo = Demo::start_seeded(Shape::Single, Some(large().text())).await;
    let mut seen = Vec::new();
    let mut path = "/v1/entitlements?pageSize=100".to_owned();
    loop {
        let page = demo.get("alice", &path).await;
        for e in page["entitlements"].as_array().unwrap() {
            seen.push((e["resource"].to_string(), e["role"].to_string()));
        }
        let Some(token) = page["nextPageToken"].as_str() else { break };
        path = format!("/v1/entitlements?pageSize=100&pageToken={token}");
    }
    // Her own group's role on each project, everybody's on each project and on the folder, and the usual three.
    assert_eq!(seen.len(), 2 * N_PROJECTS + 1 + 3);
    let mut sorted = seen.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!(sorted.len(), seen.len(), "nothing twice");
    let found = demo.get("alice", "/v1/entitlements?query=number%20777").await;
    assert_eq!(found["entitlements"].as_array().unwrap().len(), 2);
    let page = page(&demo, "alice", "/?query=team-0777").await;
    assert!(page.contains("team-0777") && !page.contains("team-0778"));
}

#[tokio::test]
async fn explain_says_why_a_request_stands_where_it_stands() {
    let demo = Demo::start_as(Shape::Split).await;
    let body = json!({
        "resource": "projects/demo-prod",
        "roles": [{"role": ADMIN}],
        "duration": "1h",
        "justification": "BUG-1",
    });
    let id = demo.file("alice", &body).await;
    demo.until("alice", &id, "AWAITING_APPROVAL", SOON).await;
    let told = explain(&demo, &id).await;
    assert_eq!(told["phase"], "AWAITING_APPROVAL");
    assert_eq!(told["asked"]["requester"], "user:alice@example.com");
    assert_eq!(told["facts"]["rejected"], 0);
    let checks = told["checks"].as_array().unwrap();
    assert!(checks.len() > 10 && checks.iter().all(|check| check["outcome"] == "PASSED"), "{told}");
    assert_eq!(told["mayDecide"], json!(["group:devs@example.com"]));
    assert!(told["waitsFor"][0].as_str().unwrap().starts_with("an approval, until "), "{told}");
    assert_eq!(told["policy"]["ours"], json!([]));

    let digest = demo.get("alice", &format!("/v1/requests/{id}")).await["digest"].clone();
    let path = format!("/v1/requests/{id}:approve");
    let (status, _) =
        demo.call("bob", Method::POST, &path, Some(&json!({"digest": digest}))).await.unwrap();
    assert_eq!(status, 200);
    demo.until("alice", &id, "ACTIVE", SOON).await;
    let told = explain(&demo, &id).await;
    assert_eq!(told["policy"]["ours"][0]["members"], json!(["user:alice@example.com"]));
    assert_eq!(told["entries"][0]["verdict"], "COUNTS");

    // The policy's condition is gone: the same checks say what is wrong now.
    let policy = json!({"policy": {"version": 3, "bindings": [], "etag": demo.policy("projects/demo-prod").await["etag"]}});
    demo.cloud(Method::POST, "/v3/projects/demo-prod:setIamPolicy", Some(&policy)).await;
    let told = explain(&demo, &id).await;
    let failed: Vec<&Value> =
        told["checks"].as_array().unwrap().iter().filter(|it| it["outcome"] == "FAILED").collect();
    assert_eq!(failed.len(), 1, "{told}");
    assert_eq!(failed[0]["reason"], "NOT_ELIGIBLE");

    let text = run_explain(&demo, &[&id]).await;
    assert!(text.0 && text.1.starts_with(&format!("requests/{id} is ")), "{}", text.1);
    assert!(!run_explain(&demo, &["00000000000000000000000000"]).await.0);
    assert!(!run_explain(&demo, &["nonsense"]).await.0);
}

/// The production binary under the controller's configuration, as an operator runs it.
pub(super) async fn explain(demo: &Demo, id: &str) -> Value {
    let (is_well, text) = run_explain(demo, &[id, "--json"]).await;
    assert!(is_well, "{text}");
    serde_json::from_str(&text).unwrap()
}

async fn run_explain(demo: &Demo, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(super::demo::binary("curfew"));
    command.arg("--config").arg(demo.data(&format!("{}.yaml", Part::Controller.name())));
    command.arg("explain").args(arguments).stdin(Stdio::null());
    let output = command.output().await.unwrap();
    (output.status.success(), String::from_utf8(output.stdout).unwrap())
}

/// The usual organisation with a folder of many projects; `devs@` may activate a role on each of them, and everybody
/// another one on all.
fn large() -> Seed {
    let folder = "folders/200000000009";
    let seed = Seed::new()
        .with(
            "folders",
            &format!("{{id: 200000000009, displayName: Teams, parent: {ORGANIZATION}}}"),
        )
        .offering(folder, "roles/browser", "domain:example.com", JIT);
    (0..N_PROJECTS).fold(seed, |seed, n| {
        let number = 100_000_010_000 + n;
        let project = format!(
            "{{id: team-{n:04}, number: {number}, displayName: \"Number {n}\", parent: {folder}}}"
        );
        let node = format!("projects/team-{n:04}");
        let seed = seed.with("projects", &project);
        seed.offering(&node, "roles/storage.objectViewer", "group:devs@example.com", JIT)
    })
}

/// The value of a metric over all its labels and all processes.
async fn metric(demo: &Demo, name: &str) -> f64 {
    let all = demo.metrics().await;
    let values = all.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?.strip_prefix(['{', ' '])?;
        rest.rsplit(['}', ' ']).next()?.parse::<f64>().ok()
    });
    values.sum()
}

/// A page as a browser of this person gets it.
async fn page(demo: &Demo, person: &str, path: &str) -> String {
    let request = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = request.get(demo.front("127.0.0.1", path));
    let request = request.header("X-Demo-User", format!("{person}@example.com"));
    request.header("Accept", "text/html").send().await.unwrap().text().await.unwrap()
}
