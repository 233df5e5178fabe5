//! Cloud Asset Inventory: searches over policies and resources, and the analysis of policies.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{ANALYST, Answer, ORGANIZATION, Sim, binding, conditional, crowd};

const FULL: &str = "//cloudresourcemanager.googleapis.com/";
const WEB: &str = "projects/demo-web";

#[tokio::test]
async fn a_search_over_policies_answers_the_bindings_that_match() {
    let sim = Sim::start().await;
    let ask = async |query: &str| searched(&sim, "searchAllIamPolicies", &[("query", query)]).await;
    let found = ask("policy:devs@example.com").await;
    assert_eq!(places(&found), ["folders/200000000001", "projects/demo-prod", "projects/demo-web"]);
    let web = &found["results"][2];
    assert_eq!(web["assetType"], "cloudresourcemanager.googleapis.com/Project");
    assert_eq!(web["project"], "projects/100000000101");
    assert_eq!(web["organization"], ORGANIZATION);
    let roles: Vec<&Value> =
        web["policy"]["bindings"].as_array().unwrap().iter().map(|it| &it["role"]).collect();
    assert_eq!(roles, ["roles/compute.viewer", "roles/logging.viewer"], "of five, those of devs");

    for (query, expected) in [
        ("memberTypes:domain", vec![ORGANIZATION]),
        ("roles:roles/owner", vec!["projects/demo-prod"]),
        ("policy:multiPartyApprovalConstraint", vec!["projects/demo-prod"]),
        (
            "resource=//cloudresourcemanager.googleapis.com/projects/demo-data policy:bob",
            vec!["projects/demo-data"],
        ),
        ("resource:(demo-web OR demo-data) policy:dave", vec!["projects/demo-data", WEB]),
        ("project:100000000103 roles:storage", vec!["projects/demo-prod"]),
        ("policy:nobody", vec![]),
    ] {
        assert_eq!(places(&ask(query).await), expected, "{query}");
    }
}

#[tokio::test]
async fn a_search_by_permission_explains_itself_and_drops_roles_that_the_caller_may_not_read() {
    let sim = Sim::start().await;
    let query = [("query", "policy.role.permissions:resourcemanager.projects.setIamPolicy")];
    let found = searched(&sim, "searchAllIamPolicies", &query).await;
    assert_eq!(places(&found), [ORGANIZATION, "projects/demo-prod"]);
    let matched = &found["results"][0]["explanation"]["matchedPermissions"];
    let controller = "organizations/100000000001/roles/curfewController";
    assert_eq!(
        matched[controller],
        json!({"permissions": ["resourcemanager.projects.setIamPolicy"]})
    );

    let erin = sim.token("erin@example.com");
    let path = url("searchAllIamPolicies", &query);
    let for_erin = sim.call(Method::GET, &path, None, Some(&erin)).await.body;
    let matched = for_erin["results"][0]["explanation"]["matchedPermissions"].as_object().unwrap();
    assert!(!matched.contains_key(controller) && !matched.is_empty(), "erin reads no custom roles");
}

#[tokio::test]
async fn results_are_ordered_and_typed_and_paged_on_request() {
    let sim = Sim::start().await;
    let order = [("orderBy", "assetType DESC, resource DESC")];
    let found = searched(&sim, "searchAllIamPolicies", &order).await;
    assert_eq!(places(&found)[..2], ["projects/demo-web", "projects/demo-prod"]);
    let typed = [("assetTypes", ".*Folder"), ("assetTypes", ".*Organization")];
    let found = searched(&sim, "searchAllIamPolicies", &typed).await;
    assert_eq!(places(&found), ["folders/200000000001", ORGANIZATION]);

    let page = [("pageSize", "4"), ("query", "policy:example")];
    let first = searched(&sim, "searchAllIamPolicies", &page).await;
    assert_eq!(places(&first).len(), 4);
    let token = first["nextPageToken"].as_str().unwrap();
    let next = [("pageToken", token), ("pageSize", "-1"), ("query", "policy:example")];
    assert_eq!(places(&searched(&sim, "searchAllIamPolicies", &next).await).len(), 1);
    let other = [("pageToken", token), ("query", "policy:dave")];
    let refused = as_intake(&sim, &url("searchAllIamPolicies", &other)).await;
    assert_eq!(refused.error(), (400, "INVALID_ARGUMENT"), "a token of another query");
}

#[tokio::test]
async fn what_the_searches_do_not_serve_is_refused() {
    let sim = Sim::start().await;
    for (method, parameters) in [
        ("searchAllIamPolicies", ("query", "createTime>2021-01-01")),
        ("searchAllIamPolicies", ("query", "location:europe")),
        ("searchAllIamPolicies", ("query", "policy=alice")),
        ("searchAllIamPolicies", ("orderBy", "policy")),
        ("searchAllIamPolicies", ("assetTypes", "no.such.type")),
        ("searchAllIamPolicies", ("assetTypes", "(")),
        ("searchAllIamPolicies", ("pageSize", "many")),
        ("searchAllResources", ("query", "tagKeys:env")),
        ("searchAllResources", ("readMask", "name,secret")),
        ("searchAllResources", ("orderBy", "name UP")),
    ] {
        let refused = as_intake(&sim, &url(method, &[parameters])).await;
        assert_eq!(refused.error(), (400, "INVALID_ARGUMENT"), "{method} {parameters:?}");
    }
}

#[tokio::test]
async fn a_search_over_resources_finds_nodes_service_accounts_and_roles() {
    let sim = Sim::start().await;
    let ask =
        |parameters: &'static [(&str, &str)]| searched(&sim, "searchAllResources", parameters);
    let found = ask(&[("query", "labels.env:dev")]).await;
    assert_eq!(names(&found), [format!("{FULL}projects/demo-data"), format!("{FULL}{WEB}")]);
    let web = &found["results"][1];
    assert_eq!(web["displayName"], "Web shop");
    assert_eq!(web["parentFullResourceName"], format!("{FULL}folders/200000000001"));
    assert_eq!(web["folders"], json!(["folders/200000000001"]));
    assert_eq!(web["state"], "ACTIVE");

    let accounts = ask(&[("assetTypes", "iam.googleapis.com/ServiceAccount")]).await;
    assert_eq!(accounts["results"].as_array().unwrap().len(), 8);
    let roles = ask(&[("query", "Controller"), ("assetTypes", "iam.*"), ("orderBy", "assetType")]);
    assert_eq!(
        names(&roles.await),
        [
            "//iam.googleapis.com/organizations/100000000001/roles/curfewController",
            "//iam.googleapis.com/projects/demo-curfew/serviceAccounts/102000000000000000002"
        ]
    );
    let masked = ask(&[("query", "displayName:Web*"), ("readMask", "name,displayName")]).await;
    assert_eq!(
        masked["results"][0],
        json!({"name": format!("{FULL}{WEB}"), "displayName": "Web shop"})
    );
    let path = "v1/folders/200000000001:searchAllResources?query=NOT%20state:ENABLED";
    let scoped = as_intake(&sim, path).await.body;
    assert_eq!(names(&scoped).len(), 4, "the folder and its projects");
}

#[tokio::test]
async fn an_analysis_finds_what_an_identity_has_through_groups_domains_and_the_hierarchy() {
    let sim = Sim::start().await;
    let answer = analyzed(
        &sim,
        &[
            ("identitySelector.identity", "user:bob@example.com"),
            ("resourceSelector.fullResourceName", &format!("{FULL}{WEB}")),
            ("conditionContext.accessTime", "2026-03-01T10:00:00Z"),
        ],
    )
    .await;
    assert_eq!(answer["fullyExplored"], true);
    let main = &answer["mainAnalysis"];
    assert_eq!(main.get("nonCriticalErrors"), None);
    assert_eq!(main["analysisQuery"]["identitySelector"]["identity"], "user:bob@example.com");
    assert_eq!(
        held(main),
        [
            (WEB.to_owned(), "roles/compute.viewer".to_owned(), json!("CONDITIONAL")),
            (WEB.to_owned(), "roles/logging.viewer".to_owned(), Value::Null),
            (
                "folders/200000000001".to_owned(),
                "roles/logging.admin".to_owned(),
                json!("CONDITIONAL")
            ),
            ("folders/200000000001".to_owned(), "roles/monitoring.viewer".to_owned(), Value::Null),
            (ORGANIZATION.to_owned(), "roles/browser".to_owned(), Value::Null),
        ]
    );
    let eligible = &main["analysisResults"][0];
    assert_eq!(eligible["identityList"], json!({"identities": [{"name": "user:bob@example.com"}]}));
    assert_eq!(eligible["iamBinding"]["members"], json!(["group:devs@example.com"]));
    assert_eq!(
        eligible["accessControlLists"],
        json!([{
            "resources": [{"fullResourceName": format!("{FULL}{WEB}")}],
            "accesses": [{"role": "roles/compute.viewer"}],
            "conditionEvaluation": {"evaluationValue": "CONDITIONAL"},
        }])
    );
}

#[tokio::test]
async fn activations_are_true_until_their_end_and_false_after_it_and_conditional_without_a_time() {
    let sim = Sim::start().await;
    let until = conditional(
        "roles/compute.viewer",
        "user:dave@example.com",
        "curfew demo r1",
        "request.time >= timestamp('2026-03-01T09:00:00Z') && request.time < timestamp('2026-03-01T10:00:00Z')",
    );
    assert_eq!(sim.add_binding(WEB, until).await.status, 200);
    let ask = |time: Option<&'static str>| {
        let sim = &sim;
        async move {
            let mut parameters = vec![
                ("identitySelector.identity", "user:dave@example.com"),
                ("accessSelector.roles", "roles/compute.viewer"),
            ];
            parameters.extend(time.map(|time| ("conditionContext.accessTime", time)));
            let answer = analyzed(sim, &parameters).await;
            held(&answer["mainAnalysis"])[0].2.clone()
        }
    };
    assert_eq!(ask(Some("2026-03-01T09:59:59Z")).await, "TRUE");
    assert_eq!(ask(Some("2026-03-01T10:00:00Z")).await, "FALSE");
    assert_eq!(ask(None).await, "CONDITIONAL");
}

#[tokio::test]
async fn an_analysis_expands_resources_groups_and_roles() {
    let sim = Sim::start().await;
    let projects = analyzed(
        &sim,
        &[
            ("identitySelector.identity", "user:carol@example.com"),
            ("accessSelector.permissions", "logging.sinks.delete"),
            ("options.expandResources", "true"),
            ("options.outputResourceEdges", "true"),
            ("options.outputGroupEdges", "true"),
        ],
    )
    .await;
    let result = &projects["mainAnalysis"]["analysisResults"][0];
    let list = &result["accessControlLists"][0];
    let resources: Vec<String> = list["resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["fullResourceName"].as_str().unwrap().replace(FULL, ""))
        .collect();
    assert_eq!(
        resources,
        ["folders/200000000001", "projects/demo-data", "projects/demo-prod", "projects/demo-web"]
    );
    assert_eq!(list["accesses"], json!([{"permission": "logging.sinks.delete"}]));
    assert_eq!(list["resourceEdges"].as_array().unwrap().len(), 3);
    assert_eq!(
        result["identityList"]["groupEdges"],
        json!([
            {"sourceNode": "group:oncall@example.com", "targetNode": "user:carol@example.com"},
            {"sourceNode": "group:sre@example.com", "targetNode": "group:oncall@example.com"},
        ])
    );

    let holders = analyzed(
        &sim,
        &[
            ("resourceSelector.fullResourceName", &format!("{FULL}{WEB}")),
            ("accessSelector.roles", "roles/logging.admin"),
            ("options.expandGroups", "true"),
        ],
    )
    .await;
    let identities = &holders["mainAnalysis"]["analysisResults"][0]["identityList"]["identities"];
    let expected = [
        "group:oncall@example.com",
        "group:sre@example.com",
        "user:bob@example.com",
        "user:carol@example.com",
    ];
    assert_eq!(*identities, json!(expected.map(|name| json!({"name": name}))));

    let roles = analyzed(
        &sim,
        &[("identitySelector.identity", "user:erin@example.com"), ("options.expandRoles", "true")],
    )
    .await;
    let text = roles["mainAnalysis"].to_string();
    assert!(text.contains("{\"role\":\"roles/cloudasset.viewer\"}"));
    assert!(text.contains("{\"permission\":\"cloudasset.assets.searchAllResources\"}"));
}

#[tokio::test]
async fn an_analysis_says_what_the_caller_could_not_look_into() {
    let sim = Sim::start().await;
    let erin = sim.token("erin@example.com");
    let path = analysis(&[
        ("identitySelector.identity", "user:bob@example.com"),
        ("resourceSelector.fullResourceName", &format!("{FULL}{WEB}")),
    ]);
    let answer = sim.call(Method::GET, &path, None, Some(&erin)).await.body;
    assert_eq!(answer["fullyExplored"], false);
    assert_eq!(
        answer["mainAnalysis"]["nonCriticalErrors"][0],
        json!({"code": "PERMISSION_DENIED", "cause": "Permission denied to read the members of group:devs@example.com."})
    );
    assert_eq!(held(&answer["mainAnalysis"]).len(), 1, "only what names the domain");

    let path = analysis(&[("accessSelector.permissions", "resourcemanager.folders.setIamPolicy")]);
    let answer = sim.call(Method::GET, &path, None, Some(&erin)).await.body;
    let cause = answer["mainAnalysis"]["nonCriticalErrors"][0]["cause"].as_str().unwrap();
    assert!(cause.contains("curfewController"), "{cause}");
    let path = path.replace("setIamPolicy", "get");
    let analyst = sim.call(Method::GET, &path, None, Some(&sim.token(ANALYST))).await.body;
    assert_eq!(analyst["fullyExplored"], true, "the analyst may read roles");
}

#[tokio::test]
async fn an_analysis_of_a_large_group_is_cut_and_says_so() {
    let sim = Sim::seeded(&crowd(1_001, 0, "")).await;
    let members: Vec<String> = (0..1_001).map(|n| format!("p{n}@x")).collect();
    let body = json!({"members": members});
    let created = sim.call(Method::PUT, "sim/v1/principals/group:big@x", Some(body), None).await;
    assert_eq!(created.status, 201, "{}", created.body);
    assert_eq!(
        sim.add_binding("organizations/1", binding("roles/cloudasset.viewer", "user:root@x"))
            .await
            .status,
        200
    );
    sim.add_binding("organizations/1", binding("roles/browser", "group:big@x")).await;
    let path = "v1/organizations/1:analyzeIamPolicy?analysisQuery.accessSelector.roles=roles/browser&analysisQuery.options.expandGroups=true";
    let answer = sim.get(path).await.body;
    let result = &answer["mainAnalysis"]["analysisResults"][0];
    assert_eq!(result["identityList"]["identities"].as_array().unwrap().len(), 1_001);
    assert_eq!(
        (&result["fullyExplored"], &answer["fullyExplored"]),
        (&json!(false), &json!(false))
    );
}

#[tokio::test]
async fn analyses_that_google_refuses_are_refused() {
    let sim = Sim::start().await;
    let bob = ("identitySelector.identity", "user:bob@example.com");
    let role = ("accessSelector.roles", "roles/browser");
    for parameters in [
        vec![],
        vec![bob, ("options.expandGroups", "true")],
        vec![role, ("options.expandRoles", "true")],
        vec![bob, ("conditionContext.accessTime", "2026-03-01T08:59:59Z")],
        vec![bob, ("conditionContext.accessTime", "soon")],
        vec![bob, ("options.analyzeServiceAccountImpersonation", "true")],
        vec![bob, ("options.expandResources", "maybe")],
        vec![(
            "resourceSelector.fullResourceName",
            "//cloudresourcemanager.googleapis.com/projects/none",
        )],
        vec![("resourceSelector.fullResourceName", "//storage.googleapis.com/b")],
        vec![
            (
                "resourceSelector.fullResourceName",
                "//cloudresourcemanager.googleapis.com/folders/200000000001",
            ),
            ("options.expandResources", "true"),
        ],
        vec![bob, ("other.field", "x")],
    ] {
        let refused = as_intake(&sim, &analysis(&parameters)).await;
        assert_eq!(refused.error(), (400, "INVALID_ARGUMENT"), "{parameters:?}");
    }
    let timed = format!("{}&executionTimeout=20s", analysis(&[bob]));
    assert_eq!(as_intake(&sim, &timed).await.status, 200);
    assert_eq!(as_intake(&sim, &timed.replace("20s", "soon")).await.status, 400);
}

#[tokio::test]
async fn a_lagging_index_shows_policies_as_they_were() {
    let sim = Sim::seeded(&crowd(3, 0, "settings: {assetLagSeconds: 60}")).await;
    sim.add_binding("organizations/1", binding("roles/cloudasset.viewer", "user:root@x")).await;
    sim.advance(TimeDelta::seconds(60));
    let seen = || async {
        let found =
            sim.get("v1/organizations/1:searchAllIamPolicies?query=resource:projects").await;
        let text = found.body.to_string();
        let effective =
            format!("v1/organizations/1/effectiveIamPolicies:batchGet?names={FULL}projects/p");
        let effective = sim.get(&effective).await.body.to_string();
        let members: Vec<&str> = ["user:p0@x", "user:p1@x", "user:p2@x"]
            .into_iter()
            .filter(|it| text.contains(it))
            .collect();
        assert!(members.iter().all(|it| effective.contains(it)), "one index for all methods");
        members
    };
    for n in 0..3 {
        let bound = binding("roles/browser", &format!("user:p{n}@x"));
        assert_eq!(set_bindings(&sim, json!([bound])).await.status, 200);
        sim.advance(TimeDelta::seconds(20));
    }
    assert_eq!(seen().await, ["user:p0@x"]);
    sim.advance(TimeDelta::seconds(19));
    assert_eq!(seen().await, ["user:p0@x"]);
    sim.advance(TimeDelta::seconds(1));
    assert_eq!(seen().await, ["user:p1@x"]);
    sim.advance(TimeDelta::seconds(20));
    assert_eq!(seen().await, ["user:p2@x"]);
    assert_eq!(set_bindings(&sim, json!([])).await.status, 200);
    assert_eq!(seen().await, ["user:p2@x"], "an end is seen as late as a start");
    assert_eq!(
        sim.policy("projects/p").await.get("bindings"),
        None,
        "the policy itself does not lag"
    );
}

async fn set_bindings(sim: &Sim, bindings: Value) -> Answer {
    sim.add_binding(
        "organizations/1",
        binding("roles/resourcemanager.projectIamAdmin", "user:root@x"),
    )
    .await;
    sim.set_policy("projects/p", json!({"bindings": bindings})).await
}

/// A search by intake, which may read roles.
async fn searched(sim: &Sim, method: &str, parameters: &[(&str, &str)]) -> Value {
    let answer = as_intake(sim, &url(method, parameters)).await;
    assert_eq!(answer.status, 200, "{parameters:?}: {}", answer.body);
    answer.body
}

/// An analysis by intake, which may read groups and roles.
async fn analyzed(sim: &Sim, parameters: &[(&str, &str)]) -> Value {
    let answer = as_intake(sim, &analysis(parameters)).await;
    assert_eq!(answer.status, 200, "{parameters:?}: {}", answer.body);
    answer.body
}

async fn as_intake(sim: &Sim, path: &str) -> Answer {
    sim.call(Method::GET, path, None, Some(&sim.token(ANALYST))).await
}

fn analysis(parameters: &[(&str, &str)]) -> String {
    let named: Vec<(String, &str)> =
        parameters.iter().map(|(name, value)| (format!("analysisQuery.{name}"), *value)).collect();
    let named: Vec<(&str, &str)> =
        named.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    url("analyzeIamPolicy", &named)
}

fn url(method: &str, parameters: &[(&str, &str)]) -> String {
    let mut url = reqwest::Url::parse("http://x").unwrap();
    url.query_pairs_mut().extend_pairs(parameters);
    format!("v1/{ORGANIZATION}:{method}?{}", url.query().unwrap_or_default())
}

/// Where the results of an analysis are attached, their roles, and what their conditions evaluate to.
fn held(main: &Value) -> Vec<(String, String, Value)> {
    let results = main["analysisResults"].as_array().unwrap().iter();
    let one = |it: &Value| {
        let lists = &it["accessControlLists"][0];
        (
            it["attachedResourceFullName"].as_str().unwrap().replace(FULL, ""),
            it["iamBinding"]["role"].as_str().unwrap().to_owned(),
            lists["conditionEvaluation"]["evaluationValue"].clone(),
        )
    };
    results.map(one).collect()
}

fn places(found: &Value) -> Vec<String> {
    let results = found["results"].as_array().map(Vec::as_slice).unwrap_or_default();
    results.iter().map(|it| it["resource"].as_str().unwrap().replace(FULL, "")).collect()
}

fn names(found: &Value) -> Vec<String> {
    let results = found["results"].as_array().unwrap().iter();
    results.map(|it| it["name"].as_str().unwrap().to_owned()).collect()
}
