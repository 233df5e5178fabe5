//! A project that moves over from JIT Access: what that gave is shown, and left as it is.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use reqwest::Method;
use serde_json::{Value, json};

use super::demo::{Demo, SOON, Shape, viewer};
use super::in_both_shapes;
use super::listing::explain;
use crate::eventually::eventually;

in_both_shapes! {
    what_jit_access_gave_is_shown_and_never_touched,
}

const WEB: &str = "projects/demo-web";
const VIEWER: &str = "roles/compute.viewer";

async fn what_jit_access_gave_is_shown_and_never_touched(shape: Shape) {
    let demo = Demo::start_as(shape).await;
    let from = now() - TimeDelta::minutes(1);
    let until = from + TimeDelta::minutes(30);
    // In force; over; somebody else's; and one that only its title makes look like one.
    let (alices, over) = (
        activation("user:alice@example.com", from, until),
        activation("user:bob@example.com", from - TimeDelta::hours(2), from),
    );
    let mut look_alike = activation("user:alice@example.com", from, until);
    look_alike["role"] = "roles/logging.viewer".into();
    look_alike["condition"]["expression"] =
        "request.time < timestamp(\"2031-01-01T00:00:00Z\")".into();
    let written = [alices.clone(), over, look_alike];
    let mut policy = demo.policy(WEB).await;
    policy["bindings"].as_array_mut().unwrap().extend(written.clone());
    policy["version"] = 3.into();
    let body = json!({"policy": policy});
    demo.cloud(Method::POST, &format!("/v3/{WEB}:setIamPolicy"), Some(&body)).await;
    let foreign = demo.foreign(WEB).await;

    let shown = until.to_rfc3339_opts(SecondsFormat::Secs, true);
    let path = format!("/v1/entitlements?resource={WEB}");
    let elsewhere = async |who: &str| {
        demo.get(who, &path).await["entitlements"][0].get("activatedElsewhere").cloned()
    };
    let listed = eventually("it is listed", SOON * 2, async || elsewhere("alice").await).await;
    assert_eq!(listed, json!({"until": shown, "resource": WEB}));
    assert_eq!(elsewhere("bob").await, None, "his is over");
    let dry = demo.call("alice", Method::POST, "/v1/requests:validate", Some(&viewer())).await;
    let (status, dry) = dry.unwrap();
    assert_eq!((status, &dry["verdict"]), (200, &json!("ACCEPTED")), "{dry}");
    assert_eq!(dry["warnings"][0]["reason"], "ACTIVATED_ELSEWHERE", "{dry}");
    assert!(dry["warnings"][0]["message"].as_str().unwrap().contains(&shown), "{dry}");

    // A grant beside it comes and goes; every foreign binding stays, field by field.
    let id = demo.file("alice", &viewer()).await;
    demo.until("alice", &id, "ACTIVE", SOON).await;
    assert_eq!(demo.bindings(WEB, &id).await.len(), 1);
    assert_eq!(demo.foreign(WEB).await, foreign);
    if shape == Shape::Split {
        let told = explain(&demo, &id).await;
        assert_eq!(told["jitAccessGave"], json!([{"role": VIEWER, "until": shown}]), "{told}");
    }
    demo.end("alice", &id, "withdraw").await;
    demo.until("alice", &id, "ENDED", SOON).await;
    assert_eq!(demo.bindings(WEB, &id).await, Vec::<Value>::new());
    assert_eq!(demo.foreign(WEB).await, foreign);
    for binding in &written {
        assert!(
            foreign["bindings"].as_array().unwrap().contains(binding),
            "{binding} in {foreign}"
        );
    }
    assert!(demo.can("user:alice@example.com", VIEWER, WEB, None).await, "by JIT Access's binding");
}

/// What JIT Access 1.8 writes for an activation that its owner approved.
fn activation(member: &str, from: DateTime<Utc>, until: DateTime<Utc>) -> Value {
    let text = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
    json!({
        "role": VIEWER,
        "members": [member],
        "condition": {
            "title": "JIT access activation",
            "description": "Self-approved, justification: BUG-7",
            "expression": format!(
                "(request.time >= timestamp(\"{}\") && request.time < timestamp(\"{}\"))",
                text(from),
                text(until)
            ),
        },
    })
}

/// In whole seconds, as policies have it.
#[expect(clippy::disallowed_methods, reason = "the processes under test have the machine's clock")]
fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(Utc::now().timestamp(), 0).unwrap()
}
