//! Reading the hierarchy, effective policies and groups.

use serde_json::{Value, json};

use crate::harness::{ORGANIZATION, Sim, crowd};

const FULL: &str = "//cloudresourcemanager.googleapis.com/";

#[tokio::test]
async fn a_project_answers_to_id_and_number_in_each_version() {
    let sim = Sim::start().await;
    let by_id = sim.get("v3/projects/demo-web").await.body;
    assert_eq!(by_id["name"], "projects/100000000101");
    assert_eq!(
        (&by_id["projectId"], &by_id["parent"]),
        (&json!("demo-web"), &json!("folders/200000000001"))
    );
    assert_eq!(sim.get("v3/projects/100000000101").await.body, by_id);

    let v1 = sim.get("v1/projects/100000000101").await.body;
    assert_eq!((&v1["projectId"], &v1["lifecycleState"]), (&json!("demo-web"), &json!("ACTIVE")));
    assert_eq!(v1["parent"], json!({"type": "folder", "id": "200000000001"}));
    assert_eq!(sim.get("v2/folders/200000000001").await.body["parent"], ORGANIZATION);
    assert_eq!(sim.get("v3/folders/200000000001").await.body["displayName"], "Workloads");
    assert_eq!(
        sim.get("v1/organizations/100000000001").await.body["owner"]["directoryCustomerId"],
        "C0demo001"
    );
    assert_eq!(
        sim.get("v3/organizations/100000000001").await.body["directoryCustomerId"],
        "C0demo001"
    );
    let ancestry = sim.post("v1/projects/demo-web:getAncestry", json!({})).await.body;
    let kinds: Vec<&Value> = ancestry["ancestor"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["resourceId"]["type"])
        .collect();
    assert_eq!(kinds, ["project", "folder", "organization"]);
}

#[tokio::test]
async fn the_three_forms_of_a_policy_call_are_one() {
    let sim = Sim::start().await;
    let body = json!({"options": {"requestedPolicyVersion": 3}});
    for (old, new) in [
        ("v1/projects/demo-web", "v3/projects/100000000101"),
        ("v2/folders/200000000001", "v3/folders/200000000001"),
        ("v1/organizations/100000000001", "v3/organizations/100000000001"),
    ] {
        let old = sim.post(&format!("{old}:getIamPolicy"), body.clone()).await;
        assert_eq!(old.status, 200);
        assert_eq!(old, sim.post(&format!("{new}:getIamPolicy"), body.clone()).await);
    }
}

#[tokio::test]
async fn searches_find_what_the_caller_may_see_page_by_page() {
    let sim = Sim::start().await;
    let projects = names(
        &sim.get("v3/projects:search?query=parent:folders/200000000001").await.body,
        "projects",
        "projectId",
    );
    assert_eq!(projects, ["demo-data", "demo-prod", "demo-web"]);
    assert_eq!(
        names(&sim.get("v1/projects?filter=id:demo-w*").await.body, "projects", "projectId"),
        ["demo-web"]
    );
    assert_eq!(
        names(
            &sim.get("v3/folders?parent=organizations/100000000001").await.body,
            "folders",
            "name"
        ),
        ["folders/200000000001"]
    );
    assert_eq!(
        names(&sim.get("v3/organizations:search").await.body, "organizations", "displayName"),
        ["example.com"]
    );
    assert_eq!(
        names(
            &sim.post("v1/organizations:search", json!({})).await.body,
            "organizations",
            "displayName"
        ),
        ["example.com"]
    );
    assert_eq!(
        names(
            &sim.get("v2/folders?parent=organizations/100000000001").await.body,
            "folders",
            "displayName"
        ),
        ["Workloads"]
    );

    let first = sim.get("v3/projects:search?pageSize=3").await.body;
    assert_eq!(first["projects"].as_array().unwrap().len(), 3);
    let rest = sim
        .get(&format!(
            "v3/projects:search?pageSize=3&pageToken={}",
            first["nextPageToken"].as_str().unwrap()
        ))
        .await
        .body;
    assert_eq!((rest["projects"].as_array().unwrap().len(), rest.get("nextPageToken")), (1, None));
    assert_eq!(sim.get("v3/projects:search?pageToken=junk").await.status, 400);
}

#[tokio::test]
async fn effective_policies_are_those_of_the_node_and_its_ancestors_within_scope() {
    let sim = Sim::start().await;
    let erin = sim.token("erin@example.com");
    let ask = |scope: &str, project: &str| {
        let path =
            format!("v1/{scope}/effectiveIamPolicies:batchGet?names={FULL}projects/{project}");
        let (sim, erin) = (&sim, erin.clone());
        async move { sim.call(reqwest::Method::GET, &path, None, Some(&erin)).await }
    };
    let attached = |body: &Value| -> Vec<String> {
        let policies = body["policyResults"][0]["policies"].as_array().unwrap();
        policies
            .iter()
            .map(|it| it["attachedResource"].as_str().unwrap().replace(FULL, ""))
            .collect()
    };
    let whole = ask(ORGANIZATION, "demo-web").await.body;
    assert_eq!(whole["policyResults"][0]["fullResourceName"], format!("{FULL}projects/demo-web"));
    assert_eq!(attached(&whole), ["projects/demo-web", "folders/200000000001", ORGANIZATION]);
    assert_eq!(
        whole["policyResults"][0]["policies"][0]["policy"],
        sim.policy("projects/demo-web").await
    );
    assert_eq!(
        attached(&ask(ORGANIZATION, "demo-curfew").await.body),
        ["projects/demo-curfew", ORGANIZATION]
    );
    assert_eq!(
        attached(&ask("folders/200000000001", "demo-web").await.body),
        ["projects/demo-web", "folders/200000000001"]
    );
    assert_eq!(
        attached(&ask("projects/demo-web", "100000000101").await.body),
        ["projects/demo-web"]
    );
    assert_eq!(ask("folders/200000000001", "demo-curfew").await.status, 404);
}

#[tokio::test]
async fn effective_policies_take_twenty_names_and_three_permissions() {
    let sim = Sim::start().await;
    let analyst = sim.token(crate::harness::ANALYST);
    let names = |count: usize| {
        format!(
            "v1/{ORGANIZATION}/effectiveIamPolicies:batchGet?{}",
            vec![format!("names={FULL}projects/demo-web"); count].join("&")
        )
    };
    let ask = |path: String, token: String| {
        let sim = &sim;
        async move { sim.call(reqwest::Method::GET, &path, None, Some(&token)).await }
    };
    assert_eq!(
        ask(names(20), analyst.clone()).await.body["policyResults"].as_array().unwrap().len(),
        20
    );
    assert_eq!(ask(names(21), analyst.clone()).await.status, 400);
    assert_eq!(ask(names(0), analyst.clone()).await.status, 400);
    assert_eq!(ask(names(1), sim.token("alice@example.com")).await.status, 403);
    let storage =
        format!("v1/{ORGANIZATION}/effectiveIamPolicies:batchGet?names=//storage.googleapis.com/b");
    assert_eq!(ask(storage, analyst).await.status, 400);
}

#[tokio::test]
async fn policies_are_searched_within_the_scope() {
    let sim = Sim::start().await;
    let erin = sim.token("erin@example.com");
    let ask = |path: &str| {
        let (sim, erin, path) = (&sim, erin.clone(), path.to_owned());
        async move { sim.call(reqwest::Method::GET, &path, None, Some(&erin)).await.body }
    };
    let all =
        ask(&format!("v1/{ORGANIZATION}:searchAllIamPolicies?query=policy:jitAccessConstraint"))
            .await;
    let resources = names(&all, "results", "resource");
    assert_eq!(
        resources,
        [
            format!("{FULL}folders/200000000001"),
            format!("{FULL}projects/demo-data"),
            format!("{FULL}projects/demo-web")
        ]
    );
    assert_eq!(all["results"][1]["project"], "projects/100000000102");
    assert_eq!(all["results"][1]["folders"], json!(["folders/200000000001"]));
    let first = ask(&format!("v1/{ORGANIZATION}:searchAllIamPolicies?pageSize=2")).await;
    assert!(first["nextPageToken"].is_string() && first["results"].as_array().unwrap().len() == 2);
}

#[tokio::test]
async fn transitive_groups_follow_nesting_and_survive_a_cycle() {
    let sim = Sim::start().await;
    let cycle = sim
        .call(
            reqwest::Method::PUT,
            "sim/v1/groups/oncall@example.com/members/sre@example.com",
            None,
            None,
        )
        .await;
    assert_eq!(cycle.status, 204);
    let query = "member_key_id%20==%20'bob@example.com'%20%26%26%20'cloudidentity.googleapis.com/groups.discussion_forum'%20in%20labels";
    let found = sim
        .get(&format!("v1/groups/-/memberships:searchTransitiveGroups?query={query}"))
        .await
        .body;
    let relations: Vec<(&str, &str)> = found["memberships"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["groupKey"]["id"].as_str().unwrap(), it["relationType"].as_str().unwrap()))
        .collect();
    assert_eq!(
        relations,
        [
            ("devs@example.com", "DIRECT"),
            ("oncall@example.com", "DIRECT_AND_INDIRECT"),
            ("sre@example.com", "INDIRECT")
        ]
    );
    let name = sim.get("v1/groups:lookup?groupKey.id=sre@example.com").await.body["name"]
        .as_str()
        .unwrap()
        .to_owned();
    let check = |who: &str| {
        let path = format!(
            "v1/{name}/memberships:checkTransitiveMembership?query=member_key_id%20==%20'{who}'"
        );
        let sim = &sim;
        async move { sim.get(&path).await.body }
    };
    assert_eq!(check("carol@example.com").await, json!({"hasMembership": true}));
    assert_eq!(check("dave@example.com").await, json!({"hasMembership": false}));
    assert_eq!(sim.get("v1/groups:lookup?groupKey.id=none@example.com").await.status, 404);
}

#[tokio::test]
async fn the_directory_lists_groups_and_members_page_by_page() {
    let sim = Sim::seeded(&crowd(5, 3, "settings: {maxPageSize: 2}")).await;
    for n in 0..5 {
        sim.call(reqwest::Method::PUT, &format!("sim/v1/groups/all@x/members/p{n}@x"), None, None)
            .await;
    }
    sim.call(reqwest::Method::PUT, "sim/v1/groups/all@x/members/g0@x", None, None).await;
    let mut members = Vec::new();
    let mut path = "admin/directory/v1/groups/all@x/members?maxResults=200".to_owned();
    let mut pages = 0;
    loop {
        let page = sim.get(&path).await.body;
        assert_eq!(page["kind"], "admin#directory#members");
        members.extend(
            page["members"]
                .as_array()
                .unwrap()
                .iter()
                .map(|it| (it["email"].clone(), it["type"].clone())),
        );
        pages += 1;
        let Some(token) = page["nextPageToken"].as_str() else { break };
        path = format!("admin/directory/v1/groups/all@x/members?maxResults=200&pageToken={token}");
    }
    assert_eq!((members.len(), pages), (6, 3));
    assert!(
        members.contains(&(json!("g0@x"), json!("GROUP")))
            && members.contains(&(json!("p4@x"), json!("USER")))
    );

    let groups = sim.get("admin/directory/v1/groups?userKey=root@x").await.body;
    assert_eq!(names(&groups, "groups", "email"), ["g0@x", "g1@x"]);
    let by_query = sim.get("admin/directory/v1/groups?customer=C1&query=memberKey=p1@x").await.body;
    assert_eq!(names(&by_query, "groups", "email"), ["all@x"]);
    assert_eq!(sim.get("admin/directory/v1/groups?userKey=who@x").await.status, 404);
    assert_eq!(sim.get("admin/directory/v1/groups").await.status, 400);
    assert_eq!(
        sim.get("admin/directory/v1/groups/all@x/hasMember/root@x").await.body,
        json!({"isMember": true})
    );
    assert_eq!(sim.get("admin/directory/v1/groups/none@x").await.status, 404);
}

fn names(body: &Value, list: &str, field: &str) -> Vec<String> {
    body[list].as_array().unwrap().iter().map(|it| it[field].as_str().unwrap().to_owned()).collect()
}
