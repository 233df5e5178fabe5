//! Another program that writes the policy which Curfew writes, at the same time.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::cli::Gcloud;
use crate::e2e::demo::{Demo, SOON, viewer};
use crate::eventually::eventually;

const WEB: &str = "projects/demo-web";

/// What gcloud leaves there, one binding in each round.
const KEPT: [(&str, &str); 2] = [
    ("roles/browser", "user:bob@example.com"),
    ("roles/cloudsql.client", "group:oncall@example.com"),
];

/// What gcloud adds and takes away again in each round: the role and a member that Curfew grants to, too.
const PASSING: [&str; 3] = [
    "--role=roles/compute.viewer",
    "--member=user:alice@example.com",
    r#"--condition=expression=request.time < timestamp("2031-01-01T00:00:00Z"),title=Not of Curfew"#,
];

/// How long a write is on its way that is to be overtaken: several times as long as the other's whole change takes.
const OVERTAKEN_MS: u64 = 6_000;

/// How often gcloud, which gives up at a conflict, is run for one change. Once it is overtaken by intent.
const ATTEMPTS_MAX: usize = 10;

/// For a change against a rival.
const LATER: Duration = Duration::from_mins(1);

#[tokio::test]
async fn gcloud_and_curfew_write_one_policy_and_no_write_of_either_is_lost() {
    let demo = Demo::start().await;
    let Some(gcloud) = Gcloud::of(&demo) else { return };
    let mut expected = bindings(&demo.foreign(WEB).await);
    for (role, member) in KEPT {
        let kept = [format!("--role={role}"), format!("--member={member}")];
        gcloud_is_overtaken(&demo, &gcloud, &kept).await;
        curfew_is_overtaken(&demo, &gcloud).await;
        tokio::join!(change(&gcloud, "remove", &PASSING), async {
            let request = granted(&demo, "bob").await;
            ended(&demo, "bob", &request).await;
        });
        expected.push(json!({"role": role, "members": [member]}));
    }
    expected.sort_by_key(Value::to_string);
    assert_eq!(bindings(&demo.foreign(WEB).await), expected);
    assert_eq!(bindings(&demo.policy(WEB).await), expected, "something of Curfew's is left");
    let [of_gcloud, of_curfew] = conflicts(&demo).await;
    assert!(of_gcloud > 0 && of_curfew > 0, "nobody was overtaken: {of_gcloud}, {of_curfew}");
}

/// While gcloud's binding is on its way, Curfew grants.
async fn gcloud_is_overtaken(demo: &Demo, gcloud: &Gcloud, kept: &[String; 2]) {
    delay_the_next_write(demo).await;
    let [role, member] = kept;
    let add = [role, member, "--condition=None"];
    let ((), request) = tokio::join!(change(gcloud, "add", &add), async {
        the_write_is_on_its_way(demo).await;
        granted(demo, "alice").await
    });
    let held = demo.bindings(WEB, &request).await;
    assert_eq!(held.len(), 1, "gcloud overwrote {request}");
    ended(demo, "alice", &request).await;
}

/// While the end of Curfew's binding is on its way, gcloud adds one.
async fn curfew_is_overtaken(demo: &Demo, gcloud: &Gcloud) {
    let request = granted(demo, "alice").await;
    delay_the_next_write(demo).await;
    tokio::join!(ended(demo, "alice", &request), async {
        the_write_is_on_its_way(demo).await;
        change(gcloud, "add", &PASSING).await;
    });
    let policy = demo.policy(WEB).await.to_string();
    assert!(policy.contains("Not of Curfew"), "Curfew overwrote gcloud's: {policy}");
}

async fn delay_the_next_write(demo: &Demo) {
    demo.faults(&json!([{
        "method": "setIamPolicy", "resource": WEB, "kind": "LATENCY", "delayMs": OVERTAKEN_MS, "count": 1,
    }]))
    .await;
}

async fn the_write_is_on_its_way(demo: &Demo) {
    let look = || async {
        let armed = demo.cloud(Method::GET, "/sim/v1/faults", None).await;
        armed.as_array().is_some_and(Vec::is_empty).then_some(())
    };
    eventually("the write is on its way", LATER, look).await;
}

/// Runs one change until nobody overtakes it.
async fn change(gcloud: &Gcloud, verb: &str, flags: &[&str]) {
    let verb = format!("{verb}-iam-policy-binding");
    let command = [&["projects", &verb, "demo-web"], flags].concat();
    for _ in 0..ATTEMPTS_MAX {
        match gcloud.run(&command).await {
            Ok(_) => return,
            Err(error) => assert!(error.contains("concurrent policy changes"), "{error}"),
        }
    }
    panic!("overtaken {ATTEMPTS_MAX} times: {command:?}");
}

/// A new request, active with exactly its binding.
async fn granted(demo: &Demo, person: &str) -> String {
    let id = demo.file(person, &viewer()).await;
    demo.until(person, &id, "ACTIVE", SOON).await;
    let [binding] = &demo.bindings(WEB, &id).await[..] else { panic!("{id}: not one binding") };
    assert_eq!(binding["members"], json!([format!("user:{person}@example.com")]));
    id
}

async fn ended(demo: &Demo, person: &str, id: &str) {
    demo.end(person, id, "withdraw").await;
    demo.until(person, id, "ENDED", LATER).await;
    assert_eq!(demo.bindings(WEB, id).await, Vec::<Value>::new());
}

/// How many writes of the policy gcloud and Curfew each lost to the other's.
async fn conflicts(demo: &Demo) -> [usize; 2] {
    let log = demo.cloud(Method::GET, "/sim/v1/log", None).await;
    let entries = log["entries"].as_array().unwrap();
    let lost = entries.iter().filter(|line| line["status"] == 409 && line["resource"] == WEB);
    let (gcloud, curfew): (Vec<_>, Vec<_>) =
        lost.partition(|line| line["caller"] == "olga@example.com");
    [gcloud.len(), curfew.len()]
}

fn bindings(policy: &Value) -> Vec<Value> {
    let mut bindings = policy["bindings"].as_array().unwrap().clone();
    bindings.sort_by_key(Value::to_string);
    bindings
}
