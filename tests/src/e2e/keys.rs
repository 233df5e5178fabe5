//! Keys in Cloud KMS: a running installation moves to them, they rotate, and without them nothing is signed and nothing
//! started.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Output;

use gcloud_sdk::google::firestore::v1::value::ValueType;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::process::Command;

use super::demo::{Demo, Part, SOON, Shape, binary, viewer};
use super::forms;

const PROJECT: &str = "projects/demo-curfew";
const RING: &str = "projects/demo-curfew/locations/europe-west1/keyRings/curfew";

const FILE_SIGNING: &str = "signing: {file: ./intake.key, keyId: intake-1}";
const FILE_FACTS: &str = "factsKey: {file: ./facts.key}";

#[tokio::test]
async fn an_installation_moves_to_cloud_kms_rotates_and_loses_no_grant() {
    let demo = Demo::start_as(Shape::Split).await;
    let filed_before = granted(&demo).await;
    let keys = Keys::in_use(&demo).await;
    assert_eq!(demo.stands("alice", &filed_before).await.0, "ACTIVE");
    let filed_in_between = granted(&demo).await;
    assert_eq!(keys.signed(&filed_in_between).await, "kms-1");

    keys.rotate().await;
    let filed_after = granted(&demo).await;
    assert_eq!(keys.signed(&filed_after).await, "kms-2");
    // What was filed with the file and with the first version stands, and ends by an act of the second.
    for id in [&filed_before, &filed_in_between, &filed_after] {
        assert_eq!(demo.stands("alice", id).await.0, "ACTIVE", "{id}");
        assert_eq!(demo.bindings("projects/demo-web", id).await.len(), 1, "{id}");
    }
    demo.end("alice", &filed_in_between, "withdraw").await;
    assert_eq!(demo.until("alice", &filed_in_between, "ENDED", SOON).await, "WITHDRAWN");

    for part in [Part::Intake, Part::Controller] {
        let (granted, denied) = used(&demo, part).await;
        assert_eq!(granted, [on_keys(part)].into(), "{part:?}");
        assert_eq!(denied, BTreeSet::new(), "{part:?}");
    }

    // The second version is in other hands since before it signed anything; the file never was.
    let distrusted = "distrustedFrom: 2026-01-01T00:00:01Z, until";
    keys.edit(Part::Controller, |text| {
        let (other, second) = text.split_once("id: kms-2").unwrap();
        format!("{other}id: kms-2{}", second.replacen("until", distrusted, 1))
    });
    demo.kill_part(Part::Controller).await;
    let reason = demo.until("alice", &filed_after, "ENDED", SOON).await;
    assert_eq!(reason, "INVALID");
    assert_eq!(demo.bindings("projects/demo-web", &filed_after).await.len(), 0);
    assert_eq!(demo.stands("alice", &filed_before).await.0, "ACTIVE");
}

#[tokio::test]
async fn what_cannot_be_signed_is_not_stored_and_the_answer_says_when_to_try_again() {
    let demo = Demo::start_as(Shape::Split).await;
    let keys = Keys::in_use(&demo).await;
    demo.faults(
        &json!([{"method": "asymmetricSign", "kind": "ERROR", "status": 503, "count": 100}]),
    )
    .await;
    keys.cannot_file().await;
    demo.faults(&json!([])).await;
    let id = granted(&demo).await;

    keys.patch("intake/cryptoKeyVersions/1", "state", &json!({"state": "DISABLED"})).await;
    keys.cannot_file().await;
    let said = keys.refuses_to_start(Part::Intake, &[]).await;
    for part in
        ["signing.kms: ", "/cryptoKeyVersions/1 is not enabled", "gcloud kms keys versions enable"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
    keys.patch("intake/cryptoKeyVersions/1", "state", &json!({"state": "ENABLED"})).await;
    demo.end("alice", &id, "withdraw").await;
    assert_eq!(demo.until("alice", &id, "ENDED", SOON).await, "WITHDRAWN");
}

#[tokio::test]
async fn a_server_that_cannot_use_its_keys_says_so_and_does_not_start() {
    let demo = Demo::start_as(Shape::Split).await;
    let keys = Keys::in_use(&demo).await;
    let other_key = ("CURFEW_SIGNING__KMS", format!("{RING}/cryptoKeys/other/cryptoKeyVersions/1"));
    keys.make("other", "ASYMMETRIC_SIGN", "EC_SIGN_P256_SHA256").await;
    let said = keys.refuses_to_start(Part::Intake, &[other_key]).await;
    assert!(said.contains("is not the one that `keys` has as kms-1"), "{said}");
    let no_mac = ("CURFEW_FORMKEY__KMS", format!("{RING}/cryptoKeys/intake/cryptoKeyVersions/1"));
    let said = keys.refuses_to_start(Part::Intake, &[no_mac]).await;
    assert!(said.contains("formKey.kms: "), "{said}");

    let other = ("CURFEW_INSTALLATION", "other".to_owned());
    let said = keys.refuses_to_start(Part::Controller, &[other]).await;
    assert!(said.contains("is it wrapped for the installation other"), "{said}");
    keys.allow(&[]).await;
    for (part, permission, role) in [
        (Part::Controller, "cloudkms.cryptoKeyVersions.useToDecrypt", "cryptoKeyDecrypter"),
        (Part::Intake, "cloudkms.cryptoKeyVersions.useToSign", "signer"),
    ] {
        let said = keys.refuses_to_start(part, &[]).await;
        let mend = "gcloud kms keys add-iam-policy-binding projects/demo-curfew/locations/";
        for expected in [permission, &format!("--role roles/cloudkms.{role}"), mend] {
            assert!(said.contains(expected), "{expected}: {said}");
        }
    }
    keys.allow(&GRANTS).await;
    for (count, starts) in [(3, true), (1000, false)] {
        demo.faults(
            &json!([{"method": "decrypt", "kind": "ERROR", "status": 503, "count": count}]),
        )
        .await;
        if starts {
            demo.kill_part(Part::Controller).await;
        } else {
            let said = keys.refuses_to_start(Part::Controller, &[]).await;
            assert!(said.contains("503 UNAVAILABLE"), "{said}");
        }
    }
}

#[tokio::test]
async fn a_form_is_accepted_by_the_next_process_that_derives_the_same_key() {
    let demo = Demo::start_as(Shape::Split).await;
    let keys = Keys::in_use(&demo).await;
    let form = forms::token(&demo).await;
    demo.kill_part(Part::Intake).await;
    assert_eq!(forms::submit(&demo, &form).await, StatusCode::SEE_OTHER);
    let form = forms::token(&demo).await;
    keys.post("cryptoKeys/forms/cryptoKeyVersions", &json!({})).await;
    keys.edit(Part::Intake, |text| {
        replaced(&text, "forms/cryptoKeyVersions/1", "forms/cryptoKeyVersions/2")
    });
    demo.kill_part(Part::Intake).await;
    assert_eq!(forms::submit(&demo, &form).await, StatusCode::FORBIDDEN, "another key");
}

/// At Google's latency one call more: at most 120 ms of it in 99 of 100 cases, by the simulated cloud's own figures.
#[tokio::test]
async fn each_act_is_one_signature() {
    let demo = Demo::start_with_googles_latency(Shape::Split).await;
    let _keys = Keys::in_use(&demo).await;
    let before = signatures(&demo).await;
    let id = demo.file("alice", &viewer()).await;
    assert_eq!(signatures(&demo).await - before, 1);
    demo.end("alice", &id, "withdraw").await;
    assert_eq!(signatures(&demo).await - before, 2);
}

async fn granted(demo: &Demo) -> String {
    let mut body = viewer();
    body["duration"] = "30m".into();
    let id = demo.file("alice", &body).await;
    demo.until("alice", &id, "ACTIVE", SOON).await;
    id
}

async fn signatures(demo: &Demo) -> u64 {
    let text = demo.metrics().await;
    let counts = |line: &&str| line.contains("_total{") && line.contains("cloudkms.asymmetricSign");
    let value = |line: &str| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap();
    text.lines().filter(counts).map(value).sum()
}

/// Which permissions of Cloud KMS the part used, and which it was refused.
async fn used(demo: &Demo, part: Part) -> (BTreeSet<String>, BTreeSet<String>) {
    let report = demo.cloud(Method::GET, "/sim/v1/permissions", None).await;
    let principals = report["principals"].as_array().unwrap();
    let mine = principals.iter().find(|principal| principal["principal"] == part.member()).unwrap();
    let having = |count: &str| {
        let permissions = mine["permissions"].as_array().unwrap().iter();
        let recorded = permissions.filter(|permission| permission.get(count).is_some());
        let names = recorded.map(|it| it["permission"].as_str().unwrap().to_owned());
        names.filter(|name| name.starts_with("cloudkms.")).collect()
    };
    (having("granted"), having("denied"))
}

/// The one permission that a part's file names for its keys.
fn on_keys(part: Part) -> String {
    let text = match part {
        Part::Intake => include_str!("../../../deploy/intake-permissions.txt"),
        Part::Controller => include_str!("../../../deploy/controller-permissions.txt"),
    };
    let line = text.lines().find(|line| line.starts_with("# On its key")).unwrap();
    line.rsplit(' ').next().unwrap().to_owned()
}

/// Who may use which keys.
const GRANTS: [(Part, &str); 2] = [
    (Part::Intake, "roles/cloudkms.signer"),
    (Part::Controller, "roles/cloudkms.cryptoKeyDecrypter"),
];

/// The keys of a demo whose parts use them.
struct Keys<'a> {
    demo: &'a Demo,
    /// Gives out the token of an administrator.
    metadata: String,
}

impl<'a> Keys<'a> {
    /// Makes them as docs/keys.md has it, and lets both parts use them instead of their files.
    async fn in_use(demo: &'a Demo) -> Self {
        let keys = Self { demo, metadata: serve_administrators_token().await };
        keys.allow(&GRANTS).await;
        let location = RING.trim_end_matches("/keyRings/curfew");
        demo.cloud(
            Method::POST,
            &format!("/v1/{location}/keyRings?keyRingId=curfew"),
            Some(&json!({})),
        )
        .await;
        keys.make("intake", "ASYMMETRIC_SIGN", "EC_SIGN_P256_SHA256").await;
        keys.make("forms", "MAC", "HMAC_SHA256").await;
        keys.make("facts", "ENCRYPT_DECRYPT", "GOOGLE_SYMMETRIC_ENCRYPTION").await;
        let (facts, from, out) = (
            format!("{RING}/cryptoKeys/facts"),
            demo.data("facts.key"),
            demo.data("facts.wrapped"),
        );
        let wrap = ["keys", "wrap", "--installation", "demo", "--kms", &facts];
        let files = ["--from", from.to_str().unwrap(), "--out", out.to_str().unwrap()];
        assert_eq!(keys.curfew(&[&wrap[..], &files].concat()).await, "");
        std::fs::rename(from, demo.data("facts.key.away")).unwrap();
        let wrapped = format!("factsKey: {{kms: {facts}, file: ./facts.wrapped}}");
        keys.edit(Part::Controller, |text| replaced(&text, FILE_FACTS, &wrapped));
        let forms = format!("formKey: {{kms: {RING}/cryptoKeys/forms/cryptoKeyVersions/1}}");
        keys.edit(Part::Intake, |text| {
            replaced(&text, FILE_SIGNING, &format!("signing: \n{forms}"))
        });
        keys.sign_with(1).await;
        keys
    }

    /// A second version of intake's key, beside the first; and the controller's key wrapped by a second version alone.
    async fn rotate(&self) {
        self.post("cryptoKeys/facts/cryptoKeyVersions", &json!({})).await;
        let second = json!({"cryptoKeyVersionId": "2"});
        self.post("cryptoKeys/facts:updatePrimaryVersion", &second).await;
        let (facts, from, out) = (
            format!("{RING}/cryptoKeys/facts"),
            self.demo.data("facts.wrapped"),
            self.demo.data("facts.new"),
        );
        let wrap = ["keys", "wrap", "--installation", "demo", "--kms", &facts];
        let files = ["--rewrap", from.to_str().unwrap(), "--out", out.to_str().unwrap()];
        assert_eq!(self.curfew(&[&wrap[..], &files].concat()).await, "");
        std::fs::rename(out, from).unwrap();
        let disabled = json!({"state": "DISABLED"});
        self.patch("facts/cryptoKeyVersions/1", "state", &disabled).await;
        self.post("cryptoKeys/intake/cryptoKeyVersions", &json!({})).await;
        self.sign_with(2).await;
    }

    /// Both parts learn of the version's public half; then intake signs with it.
    async fn sign_with(&self, number: u32) {
        let version = format!("{RING}/cryptoKeys/intake/cryptoKeyVersions/{number}");
        let pem = json!(self.curfew(&["keys", "public", &version]).await);
        let key = format!(
            "keys:\n  - {{id: kms-{number}, publicKey: {pem}, owner: intake, level: SESSION, verbs: [REQUEST, DECIDE, DIRECT, CONTROL], from: 2026-01-01, until: 2126-01-01}}"
        );
        for part in [Part::Controller, Part::Intake] {
            self.edit(part, |text| replaced(&text, "keys:", &key));
        }
        self.edit(Part::Intake, |text| {
            let (before, after) = text.split_once("signing: ").unwrap();
            let (_, after) = after.split_once('\n').unwrap();
            format!("{before}signing: {{kms: {version}, keyId: kms-{number}}}\n{after}")
        });
        self.demo.kill_part(Part::Controller).await;
        self.demo.kill_part(Part::Intake).await;
    }

    async fn make(&self, id: &str, purpose: &str, algorithm: &str) {
        let body = json!({"purpose": purpose, "versionTemplate": {"algorithm": algorithm}});
        self.post(&format!("cryptoKeys?cryptoKeyId={id}"), &body).await;
    }

    async fn post(&self, below: &str, body: &Value) {
        self.demo.cloud(Method::POST, &format!("/v1/{RING}/{below}"), Some(body)).await;
    }

    async fn patch(&self, key: &str, mask: &str, body: &Value) {
        let path = format!("/v1/{RING}/cryptoKeys/{key}?updateMask={mask}");
        self.demo.cloud(Method::PATCH, &path, Some(body)).await;
    }

    /// Nobody else may use keys; an administrator may do everything.
    async fn allow(&self, grants: &[(Part, &str)]) {
        let mut policy = self.demo.policy(PROJECT).await;
        let bindings = policy["bindings"].as_array_mut().unwrap();
        bindings.retain(|binding| !binding["role"].as_str().unwrap().contains("cloudkms"));
        for role in ["admin", "signerVerifier", "cryptoKeyEncrypterDecrypter"] {
            let role = format!("roles/cloudkms.{role}");
            bindings.push(json!({"role": role, "members": ["user:olga@example.com"]}));
        }
        for (part, role) in grants {
            bindings.push(json!({"role": role, "members": [part.member()]}));
        }
        let body = json!({"policy": policy});
        self.demo.cloud(Method::POST, &format!("/v3/{PROJECT}:setIamPolicy"), Some(&body)).await;
    }

    fn configuration(&self, part: Part) -> PathBuf {
        self.demo.data(&format!("{}.yaml", part.name()))
    }

    fn edit(&self, part: Part, change: impl FnOnce(String) -> String) {
        let path = self.configuration(part);
        let text = change(std::fs::read_to_string(&path).unwrap());
        std::fs::write(path, text).unwrap();
    }

    /// What a command of the program prints, run by an administrator.
    async fn curfew(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(binary("curfew"));
        let places = ["--cloud", &self.demo.cloud_url(), "--metadata", &self.metadata];
        let ran = command.args(arguments).args(places).output().await.unwrap();
        assert!(ran.status.success(), "{arguments:?}: {}", stderr(&ran));
        String::from_utf8(ran.stdout).unwrap()
    }

    /// What the part says instead of starting.
    async fn refuses_to_start(&self, part: Part, environment: &[(&str, String)]) -> String {
        let mut command = Command::new(binary("curfew"));
        command.arg("--config").arg(self.configuration(part)).arg(part.name());
        // Elsewhere than the part that runs: a start that should fail must not fail for a port.
        command.env("CURFEW_LISTEN__APP", "127.0.0.1:0").env("CURFEW_LISTEN__OPS", "127.0.0.1:0");
        command.envs(environment.iter().map(|(name, value)| (name, value))).kill_on_drop(true);
        let ran = tokio::time::timeout(SOON, command.output()).await;
        let ran = ran.unwrap_or_else(|_| panic!("{part:?} started")).unwrap();
        assert_eq!(ran.status.code(), Some(1), "{}", stderr(&ran));
        stderr(&ran)
    }

    /// A request is refused as one that may be tried again, says nothing of keys, and leaves nothing behind.
    async fn cannot_file(&self) {
        let all = async || self.demo.get("erin", "/v1/requests?view=all").await["requests"].clone();
        let before = all().await;
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = client.post(self.demo.front("127.0.0.1", "/v1/requests"));
        let sent = request.header("X-Demo-User", "alice@example.com").json(&viewer()).send();
        let answer = sent.await.unwrap();
        assert_eq!(answer.status().as_u16(), 503);
        let wait = answer.headers()["retry-after"].to_str().unwrap().parse::<u32>().unwrap();
        assert!((1..=60).contains(&wait), "{wait}");
        let text = answer.text().await.unwrap();
        assert!(text.contains("SIGNING_UNAVAILABLE"), "{text}");
        for inner in ["demo-curfew", "kms", "KMS", "cryptoKey", "intake", "UNAVAILABLE: "] {
            assert!(!text.contains(inner), "{inner}: {text}");
        }
        assert_eq!(all().await, before);
    }

    /// The key that signed a request.
    async fn signed(&self, id: &str) -> String {
        let document = self.demo.store().await.get(&format!("requests/{id}")).await.unwrap();
        let Some(ValueType::MapValue(spec)) = &document.fields["spec"].value_type else {
            panic!("{document:?}")
        };
        let Some(ValueType::StringValue(key)) = &spec.fields["keyId"].value_type else {
            panic!("{document:?}")
        };
        key.clone()
    }
}

fn replaced(text: &str, from: &str, to: &str) -> String {
    assert_eq!(text.matches(from).count(), 1, "{from} in {text}");
    text.replace(from, to)
}

fn stderr(ran: &Output) -> String {
    String::from_utf8_lossy(&ran.stderr).into_owned()
}

/// A metadata server on a machine of an administrator's: whatever it is asked, it gives the token that the seed fixes.
async fn serve_administrators_token() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = format!("http://{}", listener.local_addr().unwrap());
    let body = json!({"access_token": "x", "expires_in": 3600, "token_type": "Bearer"}).to_string();
    let answer = format!(
        "HTTP/1.1 200 OK\r\nMetadata-Flavor: Google\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            if stream.read(&mut request).await.is_ok_and(|length| length > 0) {
                drop(stream.write_all(answer.as_bytes()).await);
                drop(stream.shutdown().await);
            }
        }
    });
    at
}
