//! Secret Manager: versions of a secret, and who may read them.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, INTAKE, Sim, binding, conditional};

const PROJECT: &str = "projects/demo-prod";
const SECRETS: &str = "v1/projects/demo-prod/secrets";
const SECRET: &str = "v1/projects/demo-prod/secrets/slack";

/// Secret Manager answers project numbers.
const NAME: &str = "projects/100000000103/secrets/slack";

#[tokio::test]
async fn the_newest_version_is_the_latest() {
    let sim = with_secret().await;
    for data in ["b25l", "dHdv"] {
        let added = sim.add(json!({"data": data})).await;
        assert_eq!(added.body["state"], "ENABLED", "{}", added.body);
    }
    let latest = sim.access("latest").await;
    assert_eq!(latest.body["name"], format!("{NAME}/versions/2"));
    assert_eq!(latest.body["payload"]["data"], "dHdv");
    let first = sim.access("1").await;
    assert_eq!(first.body["payload"]["data"], "b25l");
    let versions = sim.get(&format!("{SECRET}/versions")).await.body;
    assert_eq!(versions["totalSize"], 2);
    assert_eq!(versions["versions"][0]["name"], format!("{NAME}/versions/2"));
    assert_eq!(sim.get(&format!("{SECRET}/versions/latest")).await.body, versions["versions"][0]);
}

#[tokio::test]
async fn a_payload_comes_with_its_checksum_and_a_wrong_one_is_refused() {
    let sim = with_secret().await;
    // The check value of CRC-32C: "123456789" has 0xe3069283.
    let payload = json!({"data": "MTIzNDU2Nzg5", "dataCrc32c": "3808858755"});
    assert_eq!(sim.add(payload.clone()).await.body["clientSpecifiedPayloadChecksum"], true);
    assert_eq!(sim.access("latest").await.body["payload"], payload);
    let refused = sim.add(json!({"data": "MTIzNDU2Nzg5", "dataCrc32c": 3_808_858_754_u32})).await;
    assert_eq!(refused.error(), (400, "INVALID_ARGUMENT"));
    for wrong in [json!({}), json!({"data": ""}), json!({"data": "YWFh".repeat(21_846)})] {
        assert_eq!(sim.add(wrong).await.error(), (400, "INVALID_ARGUMENT"));
    }
}

#[tokio::test]
async fn a_version_that_is_not_enabled_is_not_read_not_even_as_the_latest() {
    let sim = with_secret().await;
    sim.add(json!({"data": "b25l"})).await;
    let added = sim.add(json!({"data": "dHdv"})).await;
    let state =
        |verb: &str, body: Value| sim.post_state(format!("{SECRET}/versions/2:{verb}"), body);
    let disabled = state("disable", json!({"etag": added.body["etag"]})).await;
    assert_eq!(disabled.body["state"], "DISABLED");
    let refused = sim.access("latest").await;
    assert_eq!(refused.error(), (400, "FAILED_PRECONDITION"));
    assert_eq!(
        refused.message(),
        format!("Secret Version [{NAME}/versions/2] is in DISABLED state.")
    );
    let outdated = state("enable", json!({"etag": added.body["etag"]})).await;
    assert_eq!(outdated.error(), (400, "FAILED_PRECONDITION"), "the etag is an old one");
    assert_eq!(state("enable", json!({})).await.body["state"], "ENABLED");
    assert_eq!(sim.access("2").await.status, 200);
    let destroyed = state("destroy", json!({})).await;
    assert_eq!(destroyed.body["state"], "DESTROYED");
    assert!(destroyed.body["destroyTime"].is_string());
    assert_eq!(sim.access("2").await.error(), (400, "FAILED_PRECONDITION"));
    assert_eq!(state("enable", json!({})).await.error(), (400, "FAILED_PRECONDITION"));
    assert_eq!(sim.access("1").await.status, 200);
}

#[tokio::test]
async fn secrets_are_created_once_and_deleted_with_their_versions() {
    let sim = with_secret().await;
    let secret = sim.get(SECRET).await.body;
    assert_eq!(
        (&secret["name"], &secret["replication"]),
        (&json!(NAME), &json!({"automatic": {}}))
    );
    let again = sim.create("slack", json!({"replication": {"automatic": {}}})).await;
    assert_eq!(again.error(), (409, "ALREADY_EXISTS"));
    for (id, body) in [
        ("a.b", json!({"replication": {"automatic": {}}})),
        ("", json!({"replication": {"automatic": {}}})),
        ("other", json!({})),
        ("other", json!({"replication": {"automatic": {}}, "colour": "red"})),
    ] {
        assert_eq!(sim.create(id, body.clone()).await.status, 400, "{id} {body}");
    }
    assert_eq!(sim.get(SECRETS).await.body["secrets"], json!([secret]));
    assert_eq!(sim.access("latest").await.error(), (404, "NOT_FOUND"));
    sim.add(json!({"data": "b25l"})).await;
    assert_eq!(sim.call(Method::DELETE, SECRET, None, Some("x")).await.body, json!({}));
    assert_eq!(sim.get(SECRET).await.error(), (404, "NOT_FOUND"));
    sim.create("slack", json!({"replication": {"automatic": {}}})).await;
    assert_eq!(sim.access("1").await.error(), (404, "NOT_FOUND"), "a new secret has no versions");
}

#[tokio::test]
async fn a_payload_is_read_by_those_who_may() {
    let sim = with_secret().await;
    sim.add(json!({"data": "b25l"})).await;
    let token = sim.token(INTAKE);
    let access = || async {
        let path = format!("{SECRET}/versions/latest:access");
        sim.call(Method::GET, &path, None, Some(&token)).await
    };
    let refused = access().await;
    assert_eq!(refused.error(), (403, "PERMISSION_DENIED"));
    let metadata = &refused.body["error"]["details"][0]["metadata"];
    assert_eq!(metadata["permission"], "secretmanager.versions.access");
    let member = format!("serviceAccount:{INTAKE}");
    sim.add_binding(PROJECT, binding("roles/secretmanager.viewer", &member)).await;
    assert_eq!(access().await.status, 403, "who sees a secret does not read it");
    let (role, expression) = (
        "roles/secretmanager.secretAccessor",
        r#"resource.name.startsWith("projects/demo-prod/secrets/slack/")"#,
    );
    sim.add_binding(PROJECT, conditional(role, &member, "slack", expression)).await;
    assert_eq!(access().await.status, 200);
    let recorded = sim.get("sim/v1/permissions").await.body.to_string();
    assert!(recorded.contains("secretmanager.versions.access"), "{recorded}");
}

#[tokio::test]
async fn secrets_survive_a_restart_and_destroyed_payloads_do_not() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_owned();
    let first = Sim::start_with(None, Some(path.clone())).await;
    first.create("slack", json!({"replication": {"automatic": {}}})).await;
    first.add(json!({"data": "b25lb25lb25l"})).await;
    first.add(json!({"data": "dHdv"})).await;
    first.post(&format!("{SECRET}/versions/1:destroy"), json!({})).await;
    first.stop().await;
    let second = Sim::start_with(None, Some(path.clone())).await;
    assert_eq!(second.access("2").await.body["payload"]["data"], "dHdv");
    assert_eq!(second.access("1").await.status, 400);
}

impl Sim {
    async fn create(&self, id: &str, body: Value) -> Answer {
        self.post(&format!("{SECRETS}?secretId={id}"), body).await
    }

    async fn add(&self, payload: Value) -> Answer {
        self.post(&format!("{SECRET}:addVersion"), json!({"payload": payload})).await
    }

    async fn access(&self, version: &str) -> Answer {
        self.get(&format!("{SECRET}/versions/{version}:access")).await
    }

    async fn post_state(&self, path: String, body: Value) -> Answer {
        self.post(&path, body).await
    }
}

async fn with_secret() -> Sim {
    let sim = Sim::start().await;
    let created = sim.create("slack", json!({"replication": {"automatic": {}}})).await;
    assert_eq!(created.status, 200, "{}", created.body);
    sim
}
