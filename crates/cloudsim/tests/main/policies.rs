//! Reading and writing policies: etags, versions, normal form and limits.

use serde_json::{Value, json};

use crate::harness::{Answer, Sim, binding, conditional, crowd};

const WEB: &str = "projects/demo-web";

#[tokio::test]
async fn an_old_etag_is_409_aborted_and_changes_nothing() {
    let sim = Sim::start().await;
    let old = sim.policy(WEB).await;
    assert_eq!(
        sim.add_binding(WEB, binding("roles/browser", "user:alice@example.com")).await.status,
        200
    );
    let now = sim.policy(WEB).await;
    assert_ne!(old["etag"], now["etag"]);

    let refused = sim.set_policy(WEB, old).await;
    assert_eq!(refused.error(), (409, "ABORTED"));
    assert!(refused.message().starts_with(
        "There were concurrent policy changes. Please retry the whole read-modify-write with exponential backoff."
    ));
    assert_eq!(sim.policy(WEB).await, now);
}

#[tokio::test]
async fn a_write_answers_the_policy_that_a_read_then_answers() {
    let sim = Sim::start().await;
    let written = sim
        .add_binding(WEB, conditional("roles/browser", "user:bob@example.com", "t", "true"))
        .await;
    assert_eq!(written.body, sim.policy(WEB).await);
}

#[tokio::test]
async fn concurrent_writers_lose_nothing_but_conflicts() {
    let sim = Sim::start().await;
    let policy = sim.policy(WEB).await;
    let writers = ["alice", "bob", "carol", "dave"].map(|name| {
        let mut policy = policy.clone();
        policy["bindings"]
            .as_array_mut()
            .unwrap()
            .push(binding("roles/browser", &format!("user:{name}@example.com")));
        sim.set_policy(WEB, policy)
    });
    let [a, b, c, d] = writers;
    let (a, b, c, d) = tokio::join!(a, b, c, d);
    let mut statuses = [a, b, c, d].map(|answer| answer.status);
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409, 409, 409]);
}

#[tokio::test]
async fn a_write_without_etag_overwrites_and_a_version_1_write_then_drops_conditions() {
    let sim = Sim::start().await;
    let only = json!({"bindings": [binding("roles/browser", "user:alice@example.com")]});
    assert_eq!(sim.set_policy(WEB, only.clone()).await.status, 200);
    let now = sim.policy(WEB).await;
    assert_eq!((&now["version"], &now["bindings"]), (&json!(1), &only["bindings"]));
}

#[tokio::test]
async fn a_version_1_write_with_the_etag_of_a_conditional_policy_is_refused() {
    let sim = Sim::start().await;
    let mut policy = sim.policy(WEB).await;
    policy["version"] = json!(1);
    policy["bindings"] = json!([]);
    let refused = sim.set_policy(WEB, policy).await;
    assert_eq!(refused.error(), (400, "INVALID_ARGUMENT"));
    assert!(refused.message().contains("(1) cannot be less than the existing policy version (3)"));
}

#[tokio::test]
async fn conditions_need_version_3_and_versions_are_0_1_or_3() {
    let sim = Sim::start().await;
    let conditional = conditional("roles/browser", "user:alice@example.com", "t", "true");
    for version in [json!(null), json!(0), json!(1), json!(2), json!(4)] {
        let mut policy = json!({"bindings": [conditional]});
        if !version.is_null() {
            policy["version"] = version.clone();
        }
        assert_eq!(
            sim.set_policy(WEB, policy).await.error(),
            (400, "INVALID_ARGUMENT"),
            "{version}"
        );
    }
    let asked = sim
        .post(
            "v3/projects/demo-web:getIamPolicy",
            json!({"options": {"requestedPolicyVersion": 2}}),
        )
        .await;
    assert_eq!(asked.status, 400);
}

#[tokio::test]
async fn a_reader_who_does_not_ask_for_version_3_sees_no_conditions() {
    let sim = Sim::start().await;
    for body in [json!({}), json!({"options": {"requestedPolicyVersion": 1}})] {
        let policy = sim.post("v1/projects/demo-web:getIamPolicy", body).await.body;
        assert_eq!(policy["version"], 1);
        let bindings = policy["bindings"].as_array().unwrap();
        assert!(bindings.iter().all(|binding| binding.get("condition").is_none()));
        assert!(bindings.iter().any(|binding| {
            binding["role"].as_str().unwrap().starts_with("roles/compute.viewer_withcond_")
        }));
    }
    let mut echoed = sim.post("v1/projects/demo-web:getIamPolicy", json!({})).await.body;
    echoed.as_object_mut().unwrap().remove("etag");
    assert_eq!(
        sim.set_policy(WEB, echoed).await.status,
        400,
        "withcond roles cannot be written back"
    );
}

#[tokio::test]
async fn equal_bindings_are_merged_reordered_and_their_members_counted_once() {
    let sim = Sim::seeded(&crowd(3, 0, "")).await;
    let sent = json!({"bindings": [
        {"role": "roles/viewer", "members": ["user:P1@X", "user:p0@x"]},
        {"role": "roles/browser", "members": ["user:p2@x"]},
        {"role": "roles/viewer", "members": ["user:p0@x", "user:p2@x"]},
    ]});
    let answer = sim.set_policy("projects/p", sent).await;
    assert_eq!(
        answer.body["bindings"],
        json!([
            {"role": "roles/browser", "members": ["user:p2@x"]},
            {"role": "roles/viewer", "members": ["user:p0@x", "user:p1@x", "user:p2@x"]},
        ])
    );
}

#[tokio::test]
async fn fields_outside_the_mask_stay_and_unknown_fields_are_kept() {
    let sim = Sim::start().await;
    let data = "projects/demo-data";
    let before = sim.policy(data).await;
    assert!(before["auditConfigs"].is_array());

    let mut policy = before.clone();
    policy["auditConfigs"] = json!([]);
    policy["bindings"][0]["futureField"] = json!({"deep": [1]});
    let after = sim.set_policy(data, policy).await.body;
    assert_eq!(after["auditConfigs"], before["auditConfigs"], "not in the default mask");
    assert_eq!(after["bindings"][0]["futureField"], json!({"deep": [1]}));

    let mut policy = after;
    policy["auditConfigs"] = json!([{"service": "allServices"}]);
    policy["newTop"] = json!("kept");
    let body = json!({"policy": policy, "updateMask": "bindings,etag,auditConfigs,newTop"});
    let masked = sim.post("v3/projects/demo-data:setIamPolicy", body).await.body;
    assert_eq!(masked["auditConfigs"], json!([{"service": "allServices"}]));
    let read = sim.policy(data).await;
    assert_eq!(
        (&read["newTop"], &read["bindings"][0]["futureField"]),
        (&json!("kept"), &json!({"deep": [1]}))
    );
}

#[tokio::test]
async fn members_and_roles_that_iam_does_not_know_are_refused() {
    let sim = Sim::start().await;
    for (role, member, message) in [
        ("roles/browser", "user:mallory@example.com", "User mallory@example.com does not exist."),
        ("roles/browser", "group:nobody@example.com", "Group nobody@example.com does not exist."),
        (
            "roles/browser",
            "serviceAccount:a@p.iam.gserviceaccount.com",
            "Service account a@p.iam.gserviceaccount.com does not exist.",
        ),
        ("roles/browser", "domain:nowhere.example", "Domain nowhere.example does not exist."),
        (
            "roles/browser",
            "user:devs@example.com",
            "Principal devs@example.com is of type \"group\"",
        ),
        ("roles/browser", "deleted:user:alice@example.com?uid=1", "does not exist."),
        ("roles/browser", "alice@example.com", "of an unknown type"),
        ("roles/browser", "allUsers", "allUsers are not supported"),
        (
            "roles/no.such",
            "user:alice@example.com",
            "Role roles/no.such is not supported for this resource.",
        ),
        (
            "projects/demo-data/roles/other",
            "user:alice@example.com",
            "does not exist in the resource's hierarchy.",
        ),
        ("", "user:alice@example.com", "is not supported for this resource."),
    ] {
        let refused = sim.add_binding(WEB, binding(role, member)).await;
        assert_eq!(refused.error(), (400, "INVALID_ARGUMENT"), "{role} {member}");
        assert!(refused.message().contains(message), "{}", refused.message());
    }
    let custom = "organizations/100000000001/roles/curfewController";
    assert_eq!(sim.add_binding(WEB, binding(custom, "user:alice@example.com")).await.status, 200);
}

#[tokio::test]
async fn conditions_that_iam_would_not_take_are_refused() {
    let sim = Sim::start().await;
    let thirteen = format!("true{}", " && true".repeat(13));
    for expression in [
        "",
        "request.time <",
        "nonsense == 1",
        "[1, 2].exists(x, x == 1)",
        &thirteen,
        &"(".repeat(9_000),
    ] {
        let refused = sim
            .add_binding(
                WEB,
                conditional("roles/browser", "user:alice@example.com", "t", expression),
            )
            .await;
        assert_eq!(refused.error(), (400, "INVALID_ARGUMENT"), "{expression:.40}");
    }
    for role in ["roles/owner", "roles/editor", "roles/viewer"] {
        let refused =
            sim.add_binding(WEB, conditional(role, "user:alice@example.com", "t", "true")).await;
        assert_eq!(refused.status, 400, "{role}");
    }
    let twelve = format!("true{}", " && true".repeat(12));
    assert_eq!(
        sim.add_binding(WEB, conditional("roles/browser", "user:alice@example.com", "t", &twelve))
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn at_most_1500_principals_counting_every_appearance_and_exemption() {
    let sim = Sim::seeded(&crowd(0, 0, "")).await;
    let pool = |n: usize| {
        format!("principal://iam.googleapis.com/locations/global/workforcePools/w/subject/{n}")
    };
    let policy = |first: usize, second: usize| {
        let members = |count: usize| (0..count).map(pool).collect::<Vec<_>>();
        json!({"bindings": [
            {"role": "roles/browser", "members": members(first)},
            {"role": "roles/viewer", "members": members(second)},
        ]})
    };
    assert_eq!(sim.set_policy("projects/p", policy(750, 750)).await.status, 200);
    let refused = sim.set_policy("projects/p", policy(750, 751)).await;
    assert!(
        refused.message().contains("(1,501) is larger than the maximum allowed size 1,500"),
        "{}",
        refused.message()
    );

    let mut exempting = policy(750, 750);
    exempting["auditConfigs"] = json!([{"service": "allServices", "auditLogConfigs": [{"logType": "DATA_READ", "exemptedMembers": ["user:root@x"]}]}]);
    let body = json!({"policy": exempting, "updateMask": "bindings,etag,auditConfigs"});
    assert_eq!(sim.post("v3/projects/p:setIamPolicy", body).await.status, 400);
}

#[tokio::test]
async fn at_most_250_groups_each_counted_once() {
    let sim = Sim::seeded(&crowd(0, 251, "")).await;
    let policy = |groups: usize| {
        let members: Vec<String> = (0..groups).map(|n| format!("group:g{n}@x")).collect();
        json!({"bindings": [{"role": "roles/browser", "members": members}, {"role": "roles/viewer", "members": members}]})
    };
    assert_eq!(sim.set_policy("projects/p", policy(250)).await.status, 200);
    assert_eq!(sim.set_policy("projects/p", policy(251)).await.error(), (400, "INVALID_ARGUMENT"));
}

#[tokio::test]
async fn at_most_20_conditions_for_one_role_and_principal() {
    let sim = Sim::start().await;
    let with = |count: usize| -> Value {
        let bindings: Vec<Value> = (0..count)
            .map(|n| {
                conditional("roles/browser", "user:alice@example.com", &format!("t{n}"), "true")
            })
            .collect();
        json!({"version": 3, "bindings": bindings})
    };
    assert_eq!(sim.set_policy(WEB, with(20)).await.status, 200);
    assert_eq!(sim.set_policy(WEB, with(21)).await.error(), (400, "INVALID_ARGUMENT"));
}

#[tokio::test]
async fn every_write_and_every_refusal_stands_in_the_log() {
    let sim = Sim::start().await;
    let old = sim.policy(WEB).await;
    let request = |policy: &Value, reason: &str| {
        let request =
            sim.client.post(format!("{}/v3/projects/100000000101:setIamPolicy", sim.base));
        request
            .bearer_auth("x")
            .header("x-goog-request-reason", reason)
            .json(&json!({"policy": policy}))
            .send()
    };
    let written: Answer = crate::harness::answer(request(&old, "request 42").await.unwrap()).await;
    request(&old, "request 43").await.unwrap();

    let log = sim.log().await;
    assert_eq!(log.len(), 2);
    assert_eq!(log[0]["caller"], "olga@example.com");
    assert_eq!(log[0]["resource"], WEB);
    assert_eq!(log[0]["reason"], "request 42");
    assert_eq!(
        (&log[0]["etagBefore"], &log[0]["etagAfter"]),
        (&old["etag"], &written.body["etag"])
    );
    assert_eq!(log[0]["time"], "2026-03-01T09:00:00.000000Z");
    assert_eq!((&log[0]["status"], &log[1]["status"]), (&json!(200), &json!(409)));
    assert_eq!(sim.get("sim/v1/log?after=1").await.body["entries"].as_array().unwrap().len(), 1);
}
