use curfew_ports::{Directory, RetryClass};
use serde_json::json;

use super::fake::{Fake, Reply, Seen, email, error, ok};

const LOOKUP: &str = "/v1/groups:lookup";

#[tokio::test]
async fn membership_is_asked_of_the_group_behind_the_address() {
    let fake = Fake::scripted([
        ok(r#"{"name":"groups/01abc"}"#),
        ok(r#"{"hasMembership":true}"#),
        ok("{}"),
    ])
    .await;
    let directory = fake.google().directory();
    assert!(
        directory.is_member(&email("devs@example.com"), &email("alice@example.com")).await.unwrap()
    );
    assert!(
        !directory.is_member(&email("devs@example.com"), &email("bob@example.com")).await.unwrap()
    );

    let [lookup, check, second] = fake.seen().try_into().unwrap();
    assert_eq!(
        (lookup.path.as_str(), lookup.all("groupKey.id")),
        (LOOKUP, vec!["devs@example.com"])
    );
    assert_eq!(check.path, "/v1/groups/01abc/memberships:checkTransitiveMembership");
    assert_eq!(check.all("query"), ["member_key_id == 'alice@example.com'"]);
    assert_eq!(second.all("query"), ["member_key_id == 'bob@example.com'"]);
}

#[tokio::test]
async fn a_group_that_does_not_exist_has_no_members() {
    let fake = Fake::answering(|_| error(404, "NOT_FOUND", "m")).await;
    let directory = fake.google().directory();
    for _ in 0..2 {
        assert!(
            !directory
                .is_member(&email("gone@example.com"), &email("alice@example.com"))
                .await
                .unwrap()
        );
    }
    assert_eq!(fake.seen().len(), 2, "an absent group is looked up each time");
}

#[tokio::test]
async fn a_recreated_group_is_looked_up_again() {
    let fake = Fake::scripted([
        ok(r#"{"name":"groups/old"}"#),
        ok("{}"),
        error(404, "NOT_FOUND", "m"),
        ok(r#"{"name":"groups/new"}"#),
        ok(r#"{"hasMembership":true}"#),
        ok("{}"),
    ])
    .await;
    let google = fake.google();
    let (devs, alice) = (email("devs@example.com"), email("alice@example.com"));
    assert!(!google.directory().is_member(&devs, &alice).await.unwrap());
    assert!(google.directory().is_member(&devs, &alice).await.unwrap());
    assert!(!google.directory().is_member(&devs, &alice).await.unwrap());
    assert!(fake.seen()[5].path.starts_with("/v1/groups/new/"));
}

#[tokio::test]
async fn a_failed_look_up_is_an_error_and_no_answer() {
    let denied = || error(403, "PERMISSION_DENIED", "Error(2028): Permission denied for resource");
    let found = || ok(r#"{"name":"groups/01abc"}"#);
    for (replies, class) in [
        (vec![denied(), denied()], RetryClass::Denied),
        (vec![found(), denied(), denied()], RetryClass::Denied),
        (vec![found(), error(400, "INVALID_ARGUMENT", "m")], RetryClass::Invalid),
    ] {
        let fake = Fake::scripted(replies).await;
        let error = fake
            .google()
            .directory()
            .is_member(&email("devs@example.com"), &email("alice@example.com"))
            .await;
        assert_eq!(error.unwrap_err().class, class);
    }
}

#[tokio::test]
async fn answers_of_another_shape_are_errors() {
    for lookup in [
        "{}",
        r#"{"name":""}"#,
        r#"{"name":"groups/"}"#,
        r#"{"name":"groups/../projects"}"#,
        r#"{"name":"groups/a?b"}"#,
        r#"{"name":"customers/1"}"#,
        r#"{"name":7}"#,
    ] {
        let fake = Fake::answering(move |_| ok(lookup)).await;
        let error = fake
            .google()
            .directory()
            .is_member(&email("devs@example.com"), &email("alice@example.com"))
            .await;
        assert_eq!(error.unwrap_err().class, RetryClass::Unavailable, "{lookup}");
        assert!(fake.seen().iter().all(|call| call.path == LOOKUP), "{lookup}");
    }
    for check in [
        "[]",
        "[true]",
        "true",
        r#"{"hasMembership":"true"}"#,
        r#"{"hasMembership":null}"#,
        r#"{"hasMembership":1}"#,
    ] {
        let fake = Fake::answering(move |call| {
            if call.path == LOOKUP { ok(r#"{"name":"groups/a"}"#) } else { ok(check) }
        })
        .await;
        let error = fake
            .google()
            .directory()
            .is_member(&email("devs@example.com"), &email("alice@example.com"))
            .await;
        assert_eq!(error.unwrap_err().class, RetryClass::Unavailable, "{check}");
    }
}

#[tokio::test]
async fn every_page_of_groups_is_read() {
    let fake = Fake::answering(groups_page).await;
    let groups = fake.google().directory().groups_of(&email("alice@example.com")).await.unwrap();
    let names: Vec<_> = groups.iter().map(curfew_core::principal::Email::as_str).collect();
    assert_eq!(names, ["devs@example.com", "oncall@example.com", "sre@example.com"]);
    for call in fake.seen() {
        assert_eq!(call.path, "/v1/groups/-/memberships:searchTransitiveGroups");
        let query = "member_key_id == 'alice@example.com' && 'cloudidentity.googleapis.com/groups.discussion_forum' in labels";
        assert_eq!(call.all("query"), [query]);
    }
    assert_eq!(fake.seen().len(), 3);
}

#[tokio::test]
async fn a_search_that_fails_midway_or_lacks_a_key_is_an_error() {
    let first =
        ok(r#"{"memberships":[{"groupKey":{"id":"devs@example.com"}}],"nextPageToken":"a"}"#);
    let denied = || error(403, "PERMISSION_DENIED", "m");
    let fake = Fake::scripted([first, denied(), denied()]).await;
    let error = fake.google().directory().groups_of(&email("alice@example.com")).await.unwrap_err();
    assert_eq!(error.class, RetryClass::Denied);
    let fake = Fake::answering(|_| ok(r#"{"memberships":[{"group":"groups/1"}]}"#)).await;
    let error = fake.google().directory().groups_of(&email("alice@example.com")).await.unwrap_err();
    assert_eq!(error.class, RetryClass::Unavailable);
}

#[tokio::test]
async fn an_address_with_a_quote_never_reaches_a_query() {
    let fake = Fake::answering(|_| ok(r#"{"name":"groups/a"}"#)).await;
    let (directory, obrien) = (fake.google().directory(), email("o'brien@example.com"));
    assert_eq!(directory.groups_of(&obrien).await.unwrap_err().class, RetryClass::Invalid);
    assert_eq!(
        directory.is_member(&email("devs@example.com"), &obrien).await.unwrap_err().class,
        RetryClass::Invalid
    );
    assert!(fake.seen().iter().all(|call| call.all("query").is_empty()));
}

fn groups_page(call: &Seen) -> Reply {
    let group = |id: &str| json!({"groupKey": {"id": id}, "relationType": "INDIRECT"});
    let foreign =
        json!({"groupKey": {"id": "not-an-address@example.com", "namespace": "identitysources/1"}});
    let body = match call.all("pageToken").as_slice() {
        [] => json!({"memberships": [group("devs@example.com"), foreign], "nextPageToken": "b"}),
        ["b"] => {
            json!({"memberships": [group("oncall@example.com"), group("no address")], "nextPageToken": "c"})
        }
        ["c"] => json!({"memberships": [group("SRE@example.com")]}),
        _ => return error(400, "INVALID_ARGUMENT", "page token"),
    };
    ok(body.to_string())
}
