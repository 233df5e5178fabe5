//! One demo on ports of its own, and the three ways to look at it: as a person, as the cloud, as the store.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::eventually::eventually;
use crate::store::raw::Raw;

/// A start takes well under a second; a machine that compiles meanwhile takes longer.
const START_MAX: Duration = Duration::from_mins(1);

/// Anything that should happen at once happens within this.
pub(super) const SOON: Duration = Duration::from_secs(20);

pub(super) struct Demo {
    child: Option<Child>,
    folder: TempDir,
    ports: [u16; 4],
    seed: Option<PathBuf>,
    http: Client,
}

impl Demo {
    pub(super) async fn start() -> Self {
        Self::start_seeded(None).await
    }

    /// With another organisation than the usual one.
    pub(super) async fn start_seeded(seed: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let seed = seed.map(|yaml| {
            let path = folder.path().join("seed.yaml");
            std::fs::write(&path, yaml).unwrap();
            path
        });
        let ports = free_ports();
        let http = Client::builder().no_proxy().build().unwrap();
        let mut demo = Self { child: None, folder, ports, seed, http };
        demo.restart().await;
        demo
    }

    /// Starts the process (again) on the same ports and data, and waits until it is ready.
    pub(super) async fn restart(&mut self) {
        self.kill();
        let [port, cloud, ops, store] = self.ports.map(|port| port.to_string());
        let mut command = Command::new(binary("curfew-demo"));
        command
            .args([
                "--port",
                &port,
                "--cloud-port",
                &cloud,
                "--ops-port",
                &ops,
                "--store-port",
                &store,
            ])
            .arg("--data")
            .arg(self.folder.path().join("data"))
            .env_remove("FIRESTORE_EMULATOR_HOST")
            .stdout(Stdio::null());
        if let Some(seed) = &self.seed {
            command.arg("--seed").arg(seed);
        }
        self.child = Some(command.spawn().unwrap());
        let ready = || async {
            let answer =
                self.http.get(format!("http://127.0.0.1:{ops}/readyz")).send().await.ok()?;
            let front =
                self.http.get(format!("http://127.0.0.1:{port}/_demo/")).send().await.ok()?;
            (answer.status().is_success() && !front.status().is_server_error()).then_some(())
        };
        eventually("the demo is ready", START_MAX, ready).await;
    }

    /// SIGKILL.
    pub(super) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// A call of intake's API through the simulated IAP; status and JSON. `None` if no answer came.
    pub(super) async fn call(
        &self,
        person: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Option<(u16, Value)> {
        let request = self.request(person, method, path);
        Self::answer(if let Some(body) = body { request.json(body) } else { request }).await
    }

    /// The same with an idempotency key.
    pub(super) async fn call_with_key(
        &self,
        person: &str,
        method: Method,
        path: &str,
        body: &Value,
        key: &str,
    ) -> Option<(u16, Value)> {
        Self::answer(self.request(person, method, path).header("Idempotency-Key", key).json(body))
            .await
    }

    fn request(&self, person: &str, method: Method, path: &str) -> RequestBuilder {
        let [port, ..] = self.ports;
        let request = self.http.request(method, format!("http://127.0.0.1:{port}{path}"));
        request.header("X-Demo-User", format!("{person}@example.com"))
    }

    async fn answer(request: RequestBuilder) -> Option<(u16, Value)> {
        let answer = request.send().await.ok()?;
        let status = answer.status().as_u16();
        Some((status, answer.json().await.unwrap_or_default()))
    }

    pub(super) async fn get(&self, person: &str, path: &str) -> Value {
        let (status, body) = self.call(person, Method::GET, path, None).await.unwrap();
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// Files a request and gives its id.
    pub(super) async fn file(&self, person: &str, body: &Value) -> String {
        let (status, reply) =
            self.call(person, Method::POST, "/v1/requests", Some(body)).await.unwrap();
        assert_eq!(status, 201, "{reply}");
        reply["name"].as_str().unwrap().trim_start_matches("requests/").to_owned()
    }

    /// `withdraw` or `revoke`.
    pub(super) async fn end(&self, person: &str, id: &str, verb: &str) {
        let path = format!("/v1/requests/{id}:{verb}");
        let (status, reply) =
            self.call(person, Method::POST, &path, Some(&json!({"reason": "over"}))).await.unwrap();
        assert_eq!(status, 200, "{reply}");
    }

    /// Phase and outcome reason, as the requester sees them.
    pub(super) async fn stands(&self, person: &str, id: &str) -> (String, String) {
        let request = self.get(person, &format!("/v1/requests/{id}")).await;
        let text = |pointer: &str| {
            request.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        (text("/status/phase"), text("/status/outcome/reason"))
    }

    pub(super) async fn until(
        &self,
        person: &str,
        id: &str,
        phase: &str,
        within: Duration,
    ) -> String {
        let look = || async {
            let (now, reason) = self.stands(person, id).await;
            (now == phase).then_some(reason)
        };
        eventually(&format!("{id} is {phase}"), within, look).await
    }

    /// The policy as an administrator reads it.
    pub(super) async fn policy(&self, resource: &str) -> Value {
        let body = json!({"options": {"requestedPolicyVersion": 3}});
        self.cloud(Method::POST, &format!("/v3/{resource}:getIamPolicy"), Some(&body)).await
    }

    /// The bindings of a request.
    pub(super) async fn bindings(&self, resource: &str, id: &str) -> Vec<Value> {
        let title = format!("curfew demo {id}");
        let policy = self.policy(resource).await;
        let all = policy["bindings"].as_array().unwrap();
        all.iter().filter(|binding| binding["condition"]["title"] == *title).cloned().collect()
    }

    /// The policy without anything that Curfew wrote, and without its etag.
    pub(super) async fn foreign(&self, resource: &str) -> Value {
        let mut policy = self.policy(resource).await;
        policy["etag"] = Value::Null;
        policy["version"] = Value::Null;
        let bindings = policy["bindings"].as_array_mut().unwrap();
        bindings.retain(|binding| {
            !binding["condition"]["title"].as_str().unwrap_or_default().starts_with("curfew ")
        });
        policy
    }

    /// A call of the simulated cloud as its administrator.
    pub(super) async fn cloud(&self, method: Method, path: &str, body: Option<&Value>) -> Value {
        let [_, cloud, ..] = self.ports;
        let mut request =
            self.http.request(method, format!("http://127.0.0.1:{cloud}{path}")).bearer_auth("x");
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    pub(super) async fn faults(&self, faults: &Value) {
        self.cloud(Method::PUT, "/sim/v1/faults", Some(faults)).await;
    }

    pub(super) async fn can(
        &self,
        principal: &str,
        role: &str,
        resource: &str,
        name: Option<&str>,
    ) -> bool {
        let mut body = json!({"principal": principal, "role": role, "resource": resource});
        if let Some(name) = name {
            body["resourceName"] = name.into();
        }
        self.cloud(Method::POST, "/sim/v1/can", Some(&body)).await["allowed"] == true
    }

    /// A Firestore client that may write anything.
    pub(super) async fn store(&self) -> Raw {
        let [.., store] = self.ports;
        Raw::connect(([127, 0, 0, 1], store).into(), "curfew-demo", "owner").await
    }

    pub(super) async fn metrics(&self) -> String {
        let [_, _, ops, _] = self.ports;
        let answer = self.http.get(format!("http://127.0.0.1:{ops}/metrics")).send().await.unwrap();
        answer.text().await.unwrap()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What the tests' runner has built, or else what stands beside this test's own program.
fn binary(name: &str) -> PathBuf {
    let folder =
        std::env::var_os("CURFEW_TEST_BINARIES").map_or_else(beside_this_test, PathBuf::from);
    let path = folder.join(name);
    assert!(
        path.exists(),
        "{} is missing: run `cargo build -p {name}` first, or `cargo xtask test`",
        path.display()
    );
    path
}

fn beside_this_test() -> PathBuf {
    let this = std::env::current_exe().unwrap();
    this.parent().and_then(Path::parent).unwrap().to_owned()
}

/// Ports that nobody listens on now.
fn free_ports() -> [u16; 4] {
    let listeners = [(); 4].map(|()| std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

/// A body for the role that alice may activate on `demo-web`.
pub(super) fn viewer() -> Value {
    json!({
        "resource": "projects/demo-web",
        "roles": [{"role": "roles/compute.viewer"}],
        "duration": "1m",
        "justification": "BUG-1",
    })
}
