//! One demo on ports of its own. As a person and as the cloud's administrator one looks at it from [`Outside`].

use std::net::TcpListener;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpSocket;

use super::outside::Outside;
use crate::eventually::eventually;
use crate::store::raw::Raw;

/// A start takes well under a second; a machine that compiles meanwhile takes longer.
pub(super) const START_MAX: Duration = Duration::from_mins(1);

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
    /// Whether what its processes log goes to [`Demo::log`].
    keeps_log: bool,
    outside: Outside,
}

impl Deref for Demo {
    type Target = Outside;

    fn deref(&self) -> &Outside {
        &self.outside
    }
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
        let ([front, cloud, ops, intake_ops, store], held) = free_ports();
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

    /// The same, with a log to be read.
    pub(crate) async fn start_logged(shape: Shape, seed: &str, eligible: &'static str) -> Self {
        let mut demo = Self::new(shape, Some(seed));
        demo.eligible = eligible;
        demo.keeps_log = true;
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
        let ports = Ports::free();
        Self {
            shape,
            child: None,
            folder,
            outside: Outside::new("demo", ports.front, ports.cloud),
            ports,
            seed,
            store_host: None,
            eligible: "",
            is_as_slow_as_google: false,
            keeps_log: false,
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
        if self.keeps_log {
            command.stderr(std::fs::File::create(self.log()).unwrap());
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
                self.says_ok(port, "/readyz").await?;
            }
            self.is_served().await
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

    /// What its processes log, one after the other.
    pub(crate) fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// A file in the demo's folder.
    pub(crate) fn data(&self, name: &str) -> PathBuf {
        self.folder.path().join("data").join(name)
    }

    /// A Firestore client that may write anything.
    pub(crate) async fn store(&self) -> Raw {
        Raw::connect(([127, 0, 0, 1], self.ports.store).into(), "curfew-demo", "owner").await
    }

    /// Of all processes, one after the other.
    pub(crate) async fn metrics(&self) -> String {
        self.metrics_of_each().await.concat()
    }

    /// Of each process: of the only one, or of the controller and of intake.
    pub(crate) async fn metrics_of_each(&self) -> Vec<String> {
        let mut all = Vec::new();
        for port in self.ops_ports() {
            all.push(self.metrics_at(port).await);
        }
        all
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Ports on which nobody listens, and what keeps them: bound and not listening, so that nobody is given them by chance.
pub(super) fn free_ports<const N: usize>() -> ([u16; N], [TcpSocket; N]) {
    let held = [(); N].map(|()| {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        socket
    });
    (held.each_ref().map(|socket| socket.local_addr().unwrap().port()), held)
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
