//! What a look at an installation asks for: APIs that are not enabled, tokens, and service accounts themselves.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{CONTROLLER, Sim, answer};

const POLICY: &str =
    "v1/projects/-/serviceAccounts/controller%40demo-curfew.iam.gserviceaccount.com:getIamPolicy";
const KEYS: &str =
    "v1/projects/-/serviceAccounts/controller%40demo-curfew.iam.gserviceaccount.com/keys";

/// The demo's organisation, whose controller somebody else may use, in two ways.
fn careless() -> String {
    let seed = include_str!("../../seed/default.yaml");
    let account = "project: demo-curfew, groupsReader: true}";
    let mine = format!("email: {CONTROLLER}, id: \"102000000000000000002\", {account}");
    assert!(seed.contains(&mine));
    let role = "roles/iam.serviceAccountTokenCreator";
    let policy =
        format!("policy: {{bindings: [{{role: {role}, members: [\"user:dave@example.com\"]}}]}}");
    let careless = mine.replace('}', &format!(", userManagedKeys: [abc], {policy}}}"));
    seed.replace(&mine, &careless)
}

#[tokio::test]
async fn an_api_that_is_not_enabled_answers_as_googles_and_others_go_on() {
    let sim = Sim::start().await;
    let set = async |services: Value| {
        sim.call(Method::PUT, "sim/v1/disabledApis", Some(services), None).await.status
    };
    assert_eq!(set(json!(["iam.googleapis.com"])).await, 200);
    let refused = sim.get("v1/roles/browser").await;
    assert_eq!(refused.error(), (403, "PERMISSION_DENIED"));
    let info = &refused.body["error"]["details"][0];
    assert_eq!(info["reason"], "SERVICE_DISABLED");
    assert_eq!(info["metadata"]["service"], "iam.googleapis.com");
    assert_eq!(sim.get("v3/projects/demo-web").await.status, 200);
    assert_eq!(set(json!([])).await, 200);
    assert_eq!(sim.get("v1/roles/browser").await.status, 200);
}

#[tokio::test]
async fn a_token_tells_what_it_is_good_for_and_another_text_nothing() {
    let sim = Sim::start().await;
    let ask = async |token: String| {
        let url = format!("{}/tokeninfo", sim.base);
        let body = format!("access_token={token}");
        let request = sim.client.post(url).body(body);
        let form = ("content-type", "application/x-www-form-urlencoded");
        answer(request.header(form.0, form.1).send().await.unwrap()).await
    };
    let told = ask(sim.token(CONTROLLER)).await;
    assert_eq!(told.status, 200);
    assert_eq!(told.body["scope"], "https://www.googleapis.com/auth/cloud-platform");
    assert_eq!(told.body["azp"], "102000000000000000002");
    let nothing = ask("nobodys".to_owned()).await;
    assert_eq!((nothing.status, &nothing.body["error"]), (400, &json!("invalid_token")));
}

#[tokio::test]
async fn a_service_account_shows_who_may_use_it_to_those_who_may_look() {
    let sim = Sim::seeded(&careless()).await;
    let looker = sim.token(CONTROLLER);
    for (method, path) in [(Method::POST, POLICY), (Method::GET, KEYS)] {
        let refused = sim.call(method, path, None, Some(&looker)).await;
        assert_eq!(refused.error(), (403, "PERMISSION_DENIED"), "{path}");
    }
    let role = "roles/iam.securityAdmin";
    let binding = json!({"role": role, "members": [format!("serviceAccount:{CONTROLLER}")]});
    assert_eq!(sim.add_binding("projects/demo-curfew", binding).await.status, 200);
    let policy = sim.call(Method::POST, POLICY, None, Some(&looker)).await;
    assert_eq!(policy.status, 200, "{policy:?}");
    assert_eq!(policy.body["bindings"][0]["members"], json!(["user:dave@example.com"]));
    let path = format!("{KEYS}?keyTypes=USER_MANAGED");
    let keys = sim.call(Method::GET, &path, None, Some(&looker)).await;
    let name = format!("projects/demo-curfew/serviceAccounts/{CONTROLLER}/keys/abc");
    assert_eq!(keys.body["keys"].as_array().unwrap().len(), 1, "{keys:?}");
    assert_eq!(keys.body["keys"][0]["name"], name);
    let all = sim.call(Method::GET, KEYS, None, Some(&looker)).await;
    assert_eq!(all.body["keys"].as_array().unwrap().len(), 2, "Google has one of its own");
}
