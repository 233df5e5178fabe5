use curfew_ports::{Directory, RetryClass};
use serde_json::{Value, json};

use super::fake::{Fake, Reply, Seen, email, error, ok};

#[tokio::test]
async fn without_the_licence_nested_groups_are_followed_through_every_page() {
    let fake = Fake::answering(directory).await;
    let google = fake.google().directory();
    for (person, expected) in
        [("alice", true), ("bob", true), ("carol", true), ("dave", false), ("late", true)]
    {
        let person = email(&format!("{person}@example.com"));
        let outer = email("outer@example.com");
        assert_eq!(google.is_member(&outer, &person).await.unwrap(), expected, "{person}");
    }
    let people = google.members_of(&email("outer@example.com")).await.unwrap();
    let names: Vec<_> = people.iter().map(curfew_core::principal::Email::as_str).collect();
    assert_eq!(
        names,
        [
            "alice@example.com",
            "bob@example.com",
            "carol@example.com",
            "guest@other.org",
            "late@example.com"
        ]
    );
    let groups = google.groups_of(&email("alice@example.com")).await.unwrap();
    let names: Vec<_> = groups.iter().map(curfew_core::principal::Email::as_str).collect();
    assert_eq!(names, ["inner@example.com", "outer@example.com"]);
}

#[tokio::test]
async fn groups_that_contain_each_other_are_visited_once() {
    let fake = Fake::answering(|call| {
        licence(call).unwrap_or_else(|| {
            let other = if call.path.contains("/a%40") { "b@example.com" } else { "a@example.com" };
            members(&[("GROUP", other), ("GROUP", "a@example.com")], "")
        })
    })
    .await;
    let google = fake.google().directory();
    assert!(!google.is_member(&email("a@example.com"), &email("x@example.com")).await.unwrap());
    let visited = fake.seen().iter().filter(|call| call.path.starts_with("/admin/")).count();
    assert_eq!(visited, 2);
}

#[tokio::test]
async fn more_groups_than_the_bound_is_an_error_and_no_answer() {
    let fake = Fake::answering(|call| {
        licence(call).unwrap_or_else(|| {
            let at = call.path.split("/g").nth(2).and_then(|it| it.split('%').next());
            let n: u64 = at.and_then(|it| it.parse().ok()).unwrap_or_default();
            members(&[("GROUP", &format!("g{}@example.com", n + 1))], "")
        })
    })
    .await;
    let google = fake.google().directory();
    let error = google.members_of(&email("g1@example.com")).await.unwrap_err();
    assert_eq!(error.class, RetryClass::Unavailable);
    assert!(error.act.contains("more than 500"), "{}", error.act);
}

#[tokio::test]
async fn a_member_that_is_a_whole_customer_leaves_others_unknown() {
    let fake = Fake::answering(|call| {
        licence(call).unwrap_or_else(|| {
            ok(json!({"members": [{"type": "CUSTOMER", "id": "C1"}, {"type": "USER", "email": "alice@example.com"}]}).to_string())
        })
    })
    .await;
    let google = fake.google().directory();
    let all = email("all@example.com");
    assert!(google.is_member(&all, &email("alice@example.com")).await.unwrap());
    let error = google.is_member(&all, &email("bob@example.com")).await.unwrap_err();
    assert_eq!(error.class, RetryClass::Invalid);
    assert!(google.members_of(&all).await.is_err());
}

#[tokio::test]
async fn what_the_directory_refuses_too_stays_refused() {
    let fake = Fake::answering(|_| error(403, "PERMISSION_DENIED", "m")).await;
    let google = fake.google().directory();
    let (devs, alice) = (email("devs@example.com"), email("alice@example.com"));
    assert_eq!(google.is_member(&devs, &alice).await.unwrap_err().class, RetryClass::Denied);
    assert_eq!(google.groups_of(&alice).await.unwrap_err().class, RetryClass::Denied);
    assert_eq!(google.members_of(&devs).await.unwrap_err().class, RetryClass::Denied);
}

#[tokio::test]
async fn a_failure_in_the_middle_is_an_error() {
    let fake = Fake::answering(|call| {
        licence(call).unwrap_or_else(|| {
            if call.path.contains("inner") {
                return error(400, "INVALID_ARGUMENT", "m");
            }
            members(&[("GROUP", "inner@example.com"), ("USER", "bob@example.com")], "")
        })
    })
    .await;
    let google = fake.google().directory();
    let outer = email("outer@example.com");
    assert!(google.is_member(&outer, &email("bob@example.com")).await.unwrap());
    let error = google.is_member(&outer, &email("alice@example.com")).await.unwrap_err();
    assert_eq!(error.class, RetryClass::Invalid);
    assert_eq!(google.members_of(&outer).await.unwrap_err().class, RetryClass::Invalid);
}

#[tokio::test]
async fn with_the_licence_members_are_searched_and_groups_and_accounts_left_out() {
    let fake = Fake::answering(|call| {
        let member = |name: &str, id: &str| json!({"member": name, "preferredMemberKey": [{"id": id}]});
        match (call.path.as_str(), call.all("pageToken").as_slice()) {
            ("/v1/groups:lookup", _) => ok(r#"{"name":"groups/01abc"}"#),
            ("/v1/groups/01abc/memberships:searchTransitiveMemberships", []) => ok(json!({
                "memberships": [member("users/1", "Alice@example.com"), member("groups/2", "inner@example.com"),
                    member("users/3", "d@demo-web.iam.gserviceaccount.com")],
                "nextPageToken": "b"})
            .to_string()),
            ("/v1/groups/01abc/memberships:searchTransitiveMemberships", ["b"]) => {
                ok(json!({"memberships": [member("users/4", "bob@example.com"), member("users/5", "no address")]}).to_string())
            }
            _ => error(418, "", "unexpected"),
        }
    })
    .await;
    let people = fake.google().directory().members_of(&email("devs@example.com")).await.unwrap();
    let names: Vec<_> = people.iter().map(curfew_core::principal::Email::as_str).collect();
    assert_eq!(names, ["alice@example.com", "bob@example.com"]);
}

/// Refuses what needs a licence.
fn licence(call: &Seen) -> Option<Reply> {
    let needs =
        ["checkTransitiveMembership", "searchTransitiveGroups", "searchTransitiveMemberships"];
    if call.path == "/v1/groups:lookup" {
        return Some(ok(r#"{"name":"groups/01abc"}"#));
    }
    needs.iter().any(|verb| call.path.ends_with(verb)).then(|| error(403, "PERMISSION_DENIED", "m"))
}

/// `outer@` holds `inner@`, which holds `outer@`; each list has two pages.
fn directory(call: &Seen) -> Reply {
    if let Some(refused) = licence(call) {
        return refused;
    }
    let is_first = call.all("pageToken").is_empty();
    match (call.path.as_str(), is_first) {
        ("/admin/directory/v1/groups/outer%40example.com/members", true) => {
            members(&[("GROUP", "inner@example.com"), ("USER", "bob@example.com")], "2")
        }
        ("/admin/directory/v1/groups/outer%40example.com/members", false) => members(
            &[
                ("USER", "carol@example.com"),
                ("EXTERNAL", "guest@other.org"),
                ("USER", "d@demo-web.iam.gserviceaccount.com"),
            ],
            "",
        ),
        ("/admin/directory/v1/groups/inner%40example.com/members", true) => {
            members(&[("GROUP", "outer@example.com"), ("USER", "Alice@example.com")], "2")
        }
        ("/admin/directory/v1/groups/inner%40example.com/members", false) => {
            members(&[("USER", "late@example.com")], "")
        }
        ("/admin/directory/v1/groups", _) => match call.all("userKey").as_slice() {
            ["alice@example.com"] if is_first => groups(&[], "2"),
            ["alice@example.com" | "outer@example.com"] => groups(&["inner@example.com"], ""),
            ["inner@example.com"] => groups(&["outer@example.com"], ""),
            _ => error(404, "NOT_FOUND", "m"),
        },
        _ => error(404, "NOT_FOUND", "m"),
    }
}

fn members(members: &[(&str, &str)], token: &str) -> Reply {
    let shown: Vec<Value> =
        members.iter().map(|(kind, email)| json!({"type": kind, "email": email})).collect();
    ok(json!({"members": shown, "nextPageToken": token}).to_string())
}

fn groups(groups: &[&str], token: &str) -> Reply {
    let shown: Vec<Value> = groups.iter().map(|email| json!({"email": email})).collect();
    ok(json!({"groups": shown, "nextPageToken": token}).to_string())
}
