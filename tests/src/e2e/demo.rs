//! One demo on ports of its own, and the three ways to look at it: as a person, as the cloud, as the store.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpSocket;

use crate::eventually::eventually;
use crate::store::raw::Raw;

/// A start takes well under a second; a machine that compiles meanwhile takes longer.
const START_MAX: Duration = Duration::from_mins(1);

/// Anything that should happen at once happens within this.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// How many processes the demo is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// One.
    Single,
    /// Intake and the controller are two more.
    Split,
}

/// One of the processes of [`Shape::Split`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Intake,
    Controller,
}

impl Part {
    /// The name that its files and its service account bear.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Intake => "intake",
            Self::Controller => "controller",
        }
    }

    /// The member of policies that it is.
    pub(crate) fn member(self) -> String {
        format!("serviceAccount:{}@demo-curfew.iam.gserviceaccount.com", self.name())
    }
}

pub(crate) struct Demo {
    shape: Shape,
    child: Option<Child>,
    folder: TempDir,
    ports: Ports,
    seed: Option<PathBuf>,
    /// Host and port of the store, if it is not the demo's own.
    store_host: Option<String>,
    /// More settings of the section `eligible`.
    eligible: &'static str,
    /// Whether calls of the simulated Google take as long as Google's.
    is_as_slow_as_google: bool,
    http: Client,
}

struct Ports {
    front: u16,
    cloud: u16,
    ops: u16,
    intake_ops: u16,
    store: u16,
    /// Bound and not listening: while they are held, nobody else is given these ports by chance.
    _held: [TcpSocket; 5],
}

impl Ports {
    /// Those on which nobody listens now.
    fn free() -> Self {
        let held = [(); 5].map(|()| {
            let socket = TcpSocket::new_v4().unwrap();
            socket.set_reuseaddr(true).unwrap();
            socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
            socket
        });
        let [front, cloud, ops, intake_ops, store] =
            held.each_ref().map(|socket| socket.local_addr().unwrap().port());
        Self { front, cloud, ops, intake_ops, store, _held: held }
    }
}

impl Demo {
    /// In one process.
    pub(crate) async fn start() -> Self {
        Self::start_as(Shape::Single).await
    }

    pub(crate) async fn start_as(shape: Shape) -> Self {
        Self::start_seeded(shape, None).await
    }

    /// With another organisation than the usual one.
    pub(crate) async fn start_seeded(shape: Shape, seed: Option<&str>) -> Self {
        let mut demo = Self::new(shape, seed);
        demo.restart().await;
        demo
    }

    /// Over a store that somebody else serves.
    pub(crate) async fn start_over(shape: Shape, store_host: &str) -> Self {
        let mut demo = Self::new(shape, None);
        demo.store_host = Some(store_host.to_owned());
        demo.restart().await;
        demo
    }

    /// With another organisation, and more settings of the section `eligible`.
    pub(crate) async fn start_configured(shape: Shape, seed: &str, eligible: &'static str) -> Self {
        let mut demo = Self::new(shape, Some(seed));
        demo.eligible = eligible;
        demo.restart().await;
        demo
    }

    /// With calls of the simulated Google that take as long as Google's.
    pub(crate) async fn start_with_googles_latency(shape: Shape) -> Self {
        let mut demo = Self::new(shape, None);
        demo.is_as_slow_as_google = true;
        demo.restart().await;
        demo
    }

    fn new(shape: Shape, seed: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let seed = seed.map(|yaml| {
            let path = folder.path().join("seed.yaml");
            std::fs::write(&path, yaml).unwrap();
            path
        });
        let http = Client::builder().no_proxy().build().unwrap();
        Self {
            shape,
            child: None,
            folder,
            ports: Ports::free(),
            seed,
            store_host: None,
            eligible: "",
            is_as_slow_as_google: false,
            http,
        }
    }

    /// Starts the process (again) on the same ports and data, and waits until it is ready.
    pub(crate) async fn restart(&mut self) {
        self.kill();
        eventually("its parts are gone", SOON, async || self.is_gone().then_some(())).await;
        let Ports { front, cloud, ops, intake_ops, store, .. } = self.ports;
        let mut command = Command::new(binary("curfew-demo"));
        for (flag, port) in [
            ("--port", front),
            ("--cloud-port", cloud),
            ("--ops-port", ops),
            ("--intake-ops-port", intake_ops),
            ("--store-port", store),
        ] {
            command.arg(flag).arg(port.to_string());
        }
        command
            .arg("--data")
            .arg(self.data(""))
            .env_remove("FIRESTORE_EMULATOR_HOST")
            .stdout(Stdio::null());
        command.args(["--eligible", self.eligible]);
        if let Some(host) = &self.store_host {
            command.args(["--store", "firestore"]).env("FIRESTORE_EMULATOR_HOST", host);
        }
        if let Some(seed) = &self.seed {
            command.arg("--seed").arg(seed);
        }
        if self.is_as_slow_as_google {
            command.args(["--latency", "google"]);
        }
        if self.shape == Shape::Split {
            command.arg("--split");
        }
        self.child = Some(command.spawn().unwrap());
        self.is_ready().await;
    }

    /// The same in another shape.
    pub(crate) async fn restart_as(&mut self, shape: Shape) {
        self.kill();
        self.shape = shape;
        self.restart().await;
    }

    /// Waits until everything is ready.
    pub(crate) async fn is_ready(&self) {
        let ready = async || {
            for port in self.ops_ports() {
                let url = format!("http://127.0.0.1:{port}/readyz");
                let answer = self.http.get(url).send().await.ok()?;
                answer.status().is_success().then_some(())?;
            }
            let front = self.http.get(self.front("127.0.0.1", "/_demo/")).send().await.ok()?;
            (!front.status().is_server_error()).then_some(())
        };
        eventually("the demo is ready", START_MAX, ready).await;
    }

    fn ops_ports(&self) -> Vec<u16> {
        match self.shape {
            Shape::Single => vec![self.ports.ops],
            Shape::Split => vec![self.ports.ops, self.ports.intake_ops],
        }
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Whether nothing is left of the demo that was killed.
    pub(crate) fn is_gone(&self) -> bool {
        self.ops_ports().into_iter().all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok())
    }

    /// SIGTERM to the demo alone; whether it ended well.
    pub(crate) async fn terminate(&mut self) -> bool {
        let mut child = self.child.take().unwrap();
        signal("TERM", child.id());
        let ended = || std::future::ready(child.try_wait().unwrap());
        eventually("the demo has stopped", START_MAX, ended).await.success()
    }

    /// SIGKILL to one part alone, which the demo then starts again.
    pub(crate) async fn kill_part(&self, part: Part) {
        let was = self.process(part);
        signal("KILL", was);
        let again = async || (self.process(part) != was).then_some(());
        eventually("the part is started again", START_MAX, again).await;
        self.is_ready().await;
    }

    /// The number of the part's process.
    pub(crate) fn process(&self, part: Part) -> u32 {
        let file = self.data(&format!("{}.pid", part.name()));
        std::fs::read_to_string(file).unwrap().parse().unwrap()
    }

    /// A file in the demo's folder.
    pub(crate) fn data(&self, name: &str) -> PathBuf {
        self.folder.path().join("data").join(name)
    }

    /// A page for somebody who comes by this name of the machine.
    pub(crate) fn front(&self, host: &str, path: &str) -> String {
        format!("http://{host}:{}{path}", self.ports.front)
    }

    /// A call of intake's API through the simulated IAP; status and JSON. `None` if no answer came.
    pub(crate) async fn call(
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
    pub(crate) async fn call_with_key(
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
        let request = self.http.request(method, self.front("127.0.0.1", path));
        let address =
            if person.contains('@') { person.to_owned() } else { format!("{person}@example.com") };
        request.header("X-Demo-User", address)
    }

    async fn answer(request: RequestBuilder) -> Option<(u16, Value)> {
        let answer = request.send().await.ok()?;
        let status = answer.status().as_u16();
        Some((status, answer.json().await.unwrap_or_default()))
    }

    pub(crate) async fn get(&self, person: &str, path: &str) -> Value {
        let (status, body) = self.call(person, Method::GET, path, None).await.unwrap();
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// Files a request and gives its id.
    pub(crate) async fn file(&self, person: &str, body: &Value) -> String {
        let (status, reply) =
            self.call(person, Method::POST, "/v1/requests", Some(body)).await.unwrap();
        assert_eq!(status, 201, "{reply}");
        reply["name"].as_str().unwrap().trim_start_matches("requests/").to_owned()
    }

    /// `withdraw` or `revoke`.
    pub(crate) async fn end(&self, person: &str, id: &str, verb: &str) {
        let path = format!("/v1/requests/{id}:{verb}");
        let (status, reply) =
            self.call(person, Method::POST, &path, Some(&json!({"reason": "over"}))).await.unwrap();
        assert_eq!(status, 200, "{reply}");
    }

    /// Phase and outcome reason, as the requester sees them.
    pub(crate) async fn stands(&self, person: &str, id: &str) -> (String, String) {
        let request = self.get(person, &format!("/v1/requests/{id}")).await;
        let text = |pointer: &str| {
            request.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        (text("/status/phase"), text("/status/outcome/reason"))
    }

    pub(crate) async fn until(
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
    pub(crate) async fn policy(&self, resource: &str) -> Value {
        let body = json!({"options": {"requestedPolicyVersion": 3}});
        self.cloud(Method::POST, &format!("/v3/{resource}:getIamPolicy"), Some(&body)).await
    }

    /// The bindings of a request.
    pub(crate) async fn bindings(&self, resource: &str, id: &str) -> Vec<Value> {
        let title = format!("curfew demo {id}");
        let policy = self.policy(resource).await;
        let all = policy["bindings"].as_array().unwrap();
        all.iter().filter(|binding| binding["condition"]["title"] == *title).cloned().collect()
    }

    /// The policy without anything that Curfew wrote, and without its etag.
    pub(crate) async fn foreign(&self, resource: &str) -> Value {
        let mut policy = self.policy(resource).await;
        policy["etag"] = Value::Null;
        policy["version"] = Value::Null;
        let bindings = policy["bindings"].as_array_mut().unwrap();
        bindings.retain(|binding| {
            !binding["condition"]["title"].as_str().unwrap_or_default().starts_with("curfew ")
        });
        policy
    }

    /// Where the simulated cloud is.
    pub(crate) fn cloud_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.cloud)
    }

    /// A call of the simulated cloud as its administrator.
    pub(crate) async fn cloud(&self, method: Method, path: &str, body: Option<&Value>) -> Value {
        let url = format!("{}{path}", self.cloud_url());
        let mut request = self.http.request(method, url).bearer_auth("x");
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    pub(crate) async fn faults(&self, faults: &Value) {
        self.cloud(Method::PUT, "/sim/v1/faults", Some(faults)).await;
    }

    pub(crate) async fn can(
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
    pub(crate) async fn store(&self) -> Raw {
        Raw::connect(([127, 0, 0, 1], self.ports.store).into(), "curfew-demo", "owner").await
    }

    /// Of all processes, one after the other.
    pub(crate) async fn metrics(&self) -> String {
        let mut all = String::new();
        for port in self.ops_ports() {
            let url = format!("http://127.0.0.1:{port}/metrics");
            all += &self.http.get(url).send().await.unwrap().text().await.unwrap();
        }
        all
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What the tests' runner has built, or else what stands beside this test's own program.
pub(crate) fn binary(name: &str) -> PathBuf {
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

pub(crate) fn signal(name: &str, process: u32) {
    let sent = Command::new("kill").args(["-s", name, &process.to_string()]).status().unwrap();
    assert!(sent.success(), "SIG{name} to {process}");
}

/// A body for the role that alice may activate on `demo-web`.
pub(crate) fn viewer() -> Value {
    json!({
        "resource": "projects/demo-web",
        "roles": [{"role": "roles/compute.viewer"}],
        "duration": "1m",
        "justification": "BUG-1",
    })
}
