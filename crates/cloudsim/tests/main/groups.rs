//! Cloud Identity and the Directory as clients that resolve groups meet them.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Sim, crowd};

const LABEL: &str = "'cloudidentity.googleapis.com/groups.discussion_forum' in labels";
const DEVS: &str = "v1/groups/03devs00000001";
const SRE: &str = "v1/groups/03sre000000003";

#[tokio::test]
async fn a_group_is_looked_up_read_and_searched() {
    let sim = Sim::start().await;
    let group = sim.get(DEVS).await.body;
    assert_eq!(
        (&group["name"], &group["groupKey"]["id"], &group["parent"]),
        (
            &json!("groups/03devs00000001"),
            &json!("devs@example.com"),
            &json!("customers/C0demo001")
        )
    );
    assert!(group["labels"].is_object());
    assert_eq!(sim.get("v1/groups/none").await.status, 404);
    let found = |query: &str| {
        let path = searched("v1/groups:search", query, "");
        let sim = &sim;
        async move { keys(&sim.get(&path).await.body, "groups") }
    };
    let all = ["devs@example.com", "leads@example.com", "oncall@example.com", "sre@example.com"];
    assert_eq!(found(&format!("parent == 'customers/C0demo001' && {LABEL}")).await, all);
    assert_eq!(
        found("parent == 'customers/C0demo001' && group_key.startsWith('dev')").await,
        all[..1]
    );
    assert_eq!(
        found("parent == 'customers/C0demo001' && display_name.contains('lead')").await,
        all[1..2]
    );
    assert_eq!(
        found("parent == 'customers/C0demo001' && domain_name == 'other.example'").await,
        [""; 0]
    );
    assert_eq!(found("parent == 'customers/C0other'").await, [""; 0]);
    let listed = sim.get("v1/groups?parent=customers/C0demo001").await.body;
    assert_eq!(keys(&listed, "groups"), all);
    for query in ["", "group_key == 'devs@example.com'", "parent == 'customers/C0demo001' || true"]
    {
        assert_eq!(sim.get(&searched("v1/groups:search", query, "")).await.status, 400, "{query}");
    }
    let foreign =
        "v1/groups:lookup?groupKey.id=devs@example.com&groupKey.namespace=identitysources/1";
    assert_eq!(sim.get(foreign).await.status, 400);
}

#[tokio::test]
async fn memberships_are_listed_looked_up_and_read() {
    let sim = Sim::start().await;
    let members = sim.get(&format!("{SRE}/memberships?view=FULL")).await.body;
    let oncall = &members["memberships"][0];
    assert_eq!(
        (&oncall["preferredMemberKey"]["id"], &oncall["type"], &oncall["roles"]),
        (&json!("oncall@example.com"), &json!("GROUP"), &json!([{"name": "MEMBER"}]))
    );
    let basic = sim.get(&format!("{DEVS}/memberships")).await.body;
    assert_eq!(basic["memberships"][0].get("type"), None);
    let looked_up =
        sim.get(&format!("{DEVS}/memberships:lookup?memberKey.id=Bob@example.com")).await;
    let name = looked_up.body["name"].as_str().unwrap().to_owned();
    assert_eq!(name, "groups/03devs00000001/memberships/101000000000000000002");
    let bob = sim.get(&format!("v1/{name}")).await.body;
    assert_eq!(bob["preferredMemberKey"]["id"], "bob@example.com");
    for path in [
        format!("{DEVS}/memberships:lookup?memberKey.id=dave@example.com"),
        format!("{DEVS}/memberships/1"),
        "v1/groups/none/memberships".to_owned(),
    ] {
        assert_eq!(sim.get(&path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn transitive_memberships_are_direct_indirect_or_both() {
    let sim = Sim::start().await;
    let direct = "sim/v1/groups/sre@example.com/members/bob@example.com";
    assert_eq!(sim.call(Method::PUT, direct, None, None).await.status, 204);
    let found = sim.get(&format!("{SRE}/memberships:searchTransitiveMemberships")).await.body;
    let relations: Vec<(&str, &str)> = found["memberships"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| {
            let key = it["preferredMemberKey"][0]["id"].as_str().unwrap();
            (key, it["relationType"].as_str().unwrap())
        })
        .collect();
    assert_eq!(
        relations,
        [
            ("bob@example.com", "DIRECT_AND_INDIRECT"),
            ("carol@example.com", "INDIRECT"),
            ("oncall@example.com", "DIRECT")
        ]
    );
    assert_eq!(found["memberships"][2]["member"], "groups/03oncall000002");
    assert_eq!(found["memberships"][0]["member"], "users/101000000000000000002");
}

#[tokio::test]
async fn direct_groups_are_those_that_name_the_member() {
    let sim = Sim::start().await;
    let query = format!("member_key_id == 'bob@example.com' && {LABEL}");
    let path = searched("v1/groups/-/memberships:searchDirectGroups", &query, "");
    let found = sim.get(&path).await.body;
    assert_eq!(keys(&found, "memberships"), ["devs@example.com", "oncall@example.com"]);
    assert_eq!(
        found["memberships"][0]["membership"],
        "groups/03devs00000001/memberships/101000000000000000002"
    );
    let no_label = searched(
        "v1/groups/-/memberships:searchDirectGroups",
        "member_key_id == 'bob@example.com'",
        "",
    );
    assert_eq!(sim.get(&no_label).await.status, 400);
    let ordered =
        searched("v1/groups/-/memberships:searchDirectGroups", &query, "&orderBy=group_key");
    assert_eq!(sim.get(&ordered).await.status, 400, "not served, and not ignored");
}

#[tokio::test]
async fn without_the_licence_transitive_calls_are_403_and_the_others_are_not() {
    let sim = Sim::seeded(&crowd(1, 1, "settings: {cloudIdentityFree: true}")).await;
    let query = format!("member_key_id == 'root@x' && {LABEL}");
    let check = "v1/groups/g0/memberships:checkTransitiveMembership";
    for path in [
        searched("v1/groups/-/memberships:searchTransitiveGroups", &query, ""),
        searched(check, "member_key_id == 'root@x'", ""),
        "v1/groups/g0/memberships:searchTransitiveMemberships".to_owned(),
    ] {
        assert_eq!(sim.get(&path).await.error(), (403, "PERMISSION_DENIED"), "{path}");
    }
    for path in [
        searched("v1/groups/-/memberships:searchDirectGroups", &query, ""),
        "v1/groups:lookup?groupKey.id=g0@x".to_owned(),
        "v1/groups/g0/memberships".to_owned(),
        "admin/directory/v1/groups?userKey=root@x".to_owned(),
        "admin/directory/v1/groups/g0@x/members?includeDerivedMembership=true".to_owned(),
    ] {
        assert_eq!(sim.get(&path).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn every_list_of_groups_and_members_is_paged_with_tokens_of_its_own() {
    let sim = Sim::seeded(&crowd(5, 5, "settings: {maxPageSize: 2}")).await;
    let members: Vec<String> = (0..5).map(|n| format!("p{n}@x")).collect();
    let body = Some(json!({"members": members}));
    let made = sim.call(Method::PUT, "sim/v1/principals/group:big@x", body, None).await.body;
    let big = format!("v1/groups/{}", made["id"].as_str().unwrap());
    let of_root = format!("member_key_id == 'root@x' && {LABEL}");
    let mut tokens = Vec::new();
    for (path, list) in [
        (format!("{big}/memberships?view=BASIC"), "memberships"),
        (format!("{big}/memberships:searchTransitiveMemberships?pageSize=1000"), "memberships"),
        (searched("v1/groups/-/memberships:searchTransitiveGroups", &of_root, ""), "memberships"),
        (searched("v1/groups/-/memberships:searchDirectGroups", &of_root, ""), "memberships"),
        (
            searched(
                "v1/groups:search",
                "parent == 'customers/C1' && group_key.startsWith('g')",
                "",
            ),
            "groups",
        ),
        ("admin/directory/v1/groups?userKey=root@x".to_owned(), "groups"),
        ("admin/directory/v1/groups/big@x/members?maxResults=200".to_owned(), "members"),
    ] {
        let (mut found, mut sizes, mut token) = (0, Vec::new(), String::new());
        loop {
            let page = sim.get(&format!("{path}&pageToken={token}")).await;
            assert_eq!(page.status, 200, "{path}: {}", page.body);
            sizes.push(page.body[list].as_array().unwrap().len());
            found += sizes.last().unwrap();
            match page.body["nextPageToken"].as_str() {
                Some(next) => token = next.to_owned(),
                None => break,
            }
        }
        assert_eq!((found, sizes), (5, vec![2, 2, 1]), "{path}");
        for foreign in &tokens {
            let refused = sim.get(&format!("{path}&pageToken={foreign}")).await;
            assert_eq!(refused.error(), (400, "INVALID_ARGUMENT"), "{path} with another's token");
        }
        tokens.push(token);
    }
}

#[tokio::test]
async fn sizes_above_what_cloud_identity_allows_are_refused_or_cut_as_documented() {
    let sim = Sim::seeded(&crowd(250, 0, "")).await;
    let members: Vec<String> = (0..250).map(|n| format!("p{n}@x")).collect();
    let body = Some(json!({"members": members}));
    let made = sim.call(Method::PUT, "sim/v1/principals/group:big@x", body, None).await.body;
    let big = format!("v1/groups/{}", made["id"].as_str().unwrap());
    for (path, list, expected) in [
        (format!("{big}/memberships"), "memberships", 200),
        (format!("{big}/memberships?pageSize=1000"), "memberships", 250),
        (format!("{big}/memberships?view=FULL"), "memberships", 50),
        ("admin/directory/v1/groups/big@x/members".to_owned(), "members", 200),
        ("admin/directory/v1/groups/big@x/members?maxResults=5000".to_owned(), "members", 200),
    ] {
        let page = sim.get(&path).await.body;
        assert_eq!(page[list].as_array().unwrap().len(), expected, "{path}");
    }
    for path in [
        format!("{big}/memberships?pageSize=1001"),
        format!("{big}/memberships?view=FULL&pageSize=501"),
        format!("{big}/memberships?pageSize=-1"),
        format!("{big}/memberships?view=SOME"),
    ] {
        assert_eq!(sim.get(&path).await.error(), (400, "INVALID_ARGUMENT"), "{path}");
    }
}

#[tokio::test]
async fn the_directory_answers_members_derived_members_and_users() {
    let sim = Sim::start().await;
    let directory = |path: &str| {
        let (sim, path) = (&sim, format!("admin/directory/v1/{path}"));
        async move { sim.get(&path).await }
    };
    let emails = |body: &Value| -> Vec<String> {
        let members = body["members"].as_array().map(Vec::as_slice).unwrap_or_default();
        members.iter().map(|it| it["email"].as_str().unwrap().to_owned()).collect()
    };
    let members = "groups/sre@example.com/members";
    assert_eq!(emails(&directory(members).await.body), ["oncall@example.com"]);
    let derived = directory(&format!("{members}?includeDerivedMembership=true")).await.body;
    assert_eq!(emails(&derived), ["bob@example.com", "carol@example.com", "oncall@example.com"]);
    assert_eq!(emails(&directory(&format!("{members}?roles=OWNER")).await.body), [""; 0]);
    assert_eq!(directory(&format!("{members}?roles=BOSS")).await.status, 400);
    let member = directory("groups/devs@example.com/members/101000000000000000002").await.body;
    assert_eq!((&member["email"], &member["type"]), (&json!("bob@example.com"), &json!("USER")));
    let stranger = directory("groups/devs@example.com/members/dave@example.com").await;
    assert_eq!(stranger.status, 404);

    let by_id = directory("groups?userKey=101000000000000000002").await.body;
    assert_eq!(by_id["groups"][0]["email"], "devs@example.com");
    let dave = sim.token("dave@example.com");
    let user = "admin/directory/v1/users/Bob@example.com";
    assert_eq!(sim.call(Method::GET, user, None, Some(&dave)).await.status, 403);
    let public = format!("{user}?viewType=domain_public");
    let public = sim.call(Method::GET, &public, None, Some(&dave)).await.body;
    assert_eq!(
        (&public["id"], &public["primaryEmail"], &public["name"]["familyName"]),
        (&json!("101000000000000000002"), &json!("bob@example.com"), &json!("Brown"))
    );
    let reader = Some(json!({"usersReader": true}));
    sim.call(Method::PUT, "sim/v1/principals/user:ida@example.com", reader, None).await;
    let ida = sim.token("ida@example.com");
    assert_eq!(sim.call(Method::GET, user, None, Some(&ida)).await.status, 200);
    let none = "admin/directory/v1/users/none@example.com";
    assert_eq!(sim.call(Method::GET, none, None, Some(&ida)).await.status, 404);
}

fn searched(path: &str, query: &str, more: &str) -> String {
    let mut url = reqwest::Url::parse("http://x").unwrap();
    url.query_pairs_mut().append_pair("query", query);
    format!("{path}?{}{more}", url.query().unwrap_or_default())
}

fn keys(body: &Value, list: &str) -> Vec<String> {
    let items = body[list].as_array().map(Vec::as_slice).unwrap_or_default();
    items.iter().map(|it| it["groupKey"]["id"].as_str().unwrap().to_owned()).collect()
}
