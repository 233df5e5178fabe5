use curfew_core::id::WriteId;
use curfew_core::policy::{Binding, Policy, Rest};
use curfew_ports::{PolicyClient, RetryClass};
use serde_json::{Value, json};

use super::fake::{Fake, error, ok, resource};

const STORED: &str = concat!(
    r#"{"auditConfigs":[{"auditLogConfigs":[{"logType":"DATA_READ"}],"service":"allServices"}],"#,
    r#""bindings":[{"condition":{"expression":"true","location":"x","title":"t"},"future":12345678901234567890123,"members":["user:a@example.com"],"role":"roles/viewer"}],"#,
    r#""etag":"BwXyz=","newer":{"a":1.0},"version":3}"#,
);

#[tokio::test]
async fn a_policy_is_read_as_version_3() {
    let fake =
        Fake::scripted([ok(STORED), ok(r#"{"etag":"ACAB"}"#), ok(r#"{"etag":"ACAB"}"#)]).await;
    let policies = fake.google().policies();
    let policy = policies.get(&resource("projects/demo-web")).await.unwrap();
    assert_eq!((policy.version, policy.etag.as_str(), policy.bindings.len()), (3, "BwXyz=", 1));
    assert_eq!(policies.get(&resource("folders/12")).await.unwrap().bindings, vec![]);
    policies.get(&resource("organizations/9")).await.unwrap();

    let paths: Vec<_> =
        fake.seen().into_iter().map(|call| (call.method.to_string(), call.path)).collect();
    let expected = [
        "/v3/projects/demo-web:getIamPolicy",
        "/v3/folders/12:getIamPolicy",
        "/v3/organizations/9:getIamPolicy",
    ];
    assert_eq!(paths, expected.map(|path| ("POST".to_owned(), path.to_owned())));
    for call in fake.seen() {
        assert_eq!(call.body, r#"{"options":{"requestedPolicyVersion":3}}"#);
        assert_eq!(call.header("authorization"), Some("Bearer secret"));
        assert_eq!(call.header("content-type"), Some("application/json"));
        assert_eq!(call.header("x-goog-request-reason"), None);
    }
}

#[tokio::test]
async fn a_policy_goes_back_as_it_came_with_mask_and_reason() {
    let fake = Fake::scripted([ok(STORED), ok(STORED)]).await;
    let policies = fake.google().policies();
    let policy = policies.get(&resource("projects/demo-web")).await.unwrap();
    let write = WriteId::from_bits([5; 16]);
    assert_eq!(
        policies.set(&resource("projects/demo-web"), &policy, &write).await.unwrap(),
        policy
    );

    let [_, set] = fake.seen().try_into().unwrap();
    assert_eq!(set.path, "/v3/projects/demo-web:setIamPolicy");
    assert_eq!(set.body, format!(r#"{{"policy":{STORED},"updateMask":"bindings,etag"}}"#));
    assert_eq!(set.header("x-goog-request-reason"), Some(format!("curfew {write}").as_str()));
}

#[tokio::test]
async fn a_policy_read_as_version_1_is_written_as_version_3() {
    let fake = Fake::scripted([ok(r#"{"etag":"ACAB","version":1}"#), ok(STORED)]).await;
    let policies = fake.google().policies();
    let mut policy = policies.get(&resource("projects/demo-web")).await.unwrap();
    policy.bindings.push(Binding {
        role: "roles/viewer".into(),
        members: vec!["user:a@example.com".into()],
        ..Binding::default()
    });
    policies.set(&resource("projects/demo-web"), &policy, &write()).await.unwrap();
    let body: Value = serde_json::from_str(&fake.seen()[1].body).unwrap();
    let binding = json!({"role": "roles/viewer", "members": ["user:a@example.com"]});
    assert_eq!(body["policy"], json!({"version": 3, "etag": "ACAB", "bindings": [binding]}));
}

#[tokio::test]
async fn no_policy_is_written_without_an_etag() {
    let fake = Fake::scripted([]).await;
    let policy = Policy { version: 3, ..Policy::default() };
    let error = fake
        .google()
        .policies()
        .set(&resource("projects/demo-web"), &policy, &write())
        .await
        .unwrap_err();
    assert_eq!(error.class, RetryClass::Invalid);
    assert!(fake.seen().is_empty());
}

#[tokio::test]
async fn a_policy_whose_rest_is_no_object_is_not_written() {
    let fake = Fake::scripted([]).await;
    let policy = Policy { etag: "e".into(), rest: Rest("[]".into()), ..Policy::default() };
    let error = fake
        .google()
        .policies()
        .set(&resource("projects/demo-web"), &policy, &write())
        .await
        .unwrap_err();
    assert_eq!(error.class, RetryClass::Invalid);
    assert!(fake.seen().is_empty());
}

#[tokio::test]
async fn an_answer_without_an_etag_is_no_policy() {
    let fake = Fake::answering(|_| ok(r#"{"version":3,"bindings":[]}"#)).await;
    let policies = fake.google().policies();
    let read = policies.get(&resource("projects/demo-web")).await.unwrap_err();
    assert_eq!(read.class, RetryClass::Unavailable);
    assert!(read.chain().contains("no etag"), "{}", read.chain());
    let policy = Policy { etag: "e".into(), ..Policy::default() };
    let written =
        policies.set(&resource("projects/demo-web"), &policy, &write()).await.unwrap_err();
    assert_eq!(written.class, RetryClass::Unavailable);
}

#[tokio::test]
async fn every_failed_write_is_sent_exactly_once() {
    use RetryClass::{Conflict, Denied, Invalid, NotFound, RateLimited, Unavailable};
    for (reply, class) in [
        (error(409, "ABORTED", "There were concurrent policy changes."), Conflict),
        (error(412, "", ""), Conflict),
        (error(400, "FAILED_PRECONDITION", "m"), Conflict),
        (error(400, "INVALID_ARGUMENT", "m"), Invalid),
        (error(401, "UNAUTHENTICATED", "m"), Denied),
        (error(403, "PERMISSION_DENIED", "m"), Denied),
        (error(404, "NOT_FOUND", "m"), NotFound),
        (error(429, "RESOURCE_EXHAUSTED", "m"), RateLimited(None)),
        (error(500, "INTERNAL", "m"), Unavailable),
        (error(503, "UNAVAILABLE", "m"), Unavailable),
        (ok("<html>"), Unavailable),
        (ok(""), Unavailable),
    ] {
        let fake = Fake::scripted([reply.clone(), ok(STORED)]).await;
        let policy = Policy { etag: "e".into(), ..Policy::default() };
        let error = fake
            .google()
            .policies()
            .set(&resource("projects/demo-web"), &policy, &write())
            .await
            .unwrap_err();
        assert_eq!(error.class, class, "{reply:?}");
        assert_eq!(fake.seen().len(), 1, "{reply:?}");
        assert!(error.act.starts_with("write the policy of projects/demo-web: "), "{}", error.act);
    }
}

fn write() -> WriteId {
    WriteId::from_bits([1; 16])
}
