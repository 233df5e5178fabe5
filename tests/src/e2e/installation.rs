//! An installation of the production binary, as its guide for one machine sets it up, over a simulated cloud that lives
//! in the test: whatever is killed, the cloud goes on, and with it every call that was under way.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::net::Ipv4Addr;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use curfew_cloudsim::{Cloud, FrontOptions, Options};
use curfew_core::id::{Installation as Name, RequestId};
use curfew_firelite::{Config, Indexes, Server};
use curfew_firestore::{FirestoreStore, StoreOptions};
use curfew_ports::{RequestStore as _, StoredRequest};
use curfew_trust::{FactsKey, KeyFileSigner, Sealer, generate_key_file};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpSocket};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::demo::{START_MAX, Shape, binary, free_ports, signal};
use super::outside::Outside;
use crate::eventually::eventually;

/// What the guide for one machine tells its reader to install.
const GUIDE: &str = include_str!("../../../deploy/systemd/curfew.yaml");

/// The name in it.
const INSTALLATION: &str = "prod";

/// The audience in it.
const AUDIENCE: &str = "/projects/123456789012/global/backendServices/1234567890123456789";

/// Its values, and what the simulated organisation has instead. The key is to outlive the guide's example.
const VALUES: [(&str, &str); 5] = [
    ("organizations/123456789", "organizations/100000000001"),
    ("projects/access-system", "projects/demo-curfew"),
    ("group:platform-oncall@example.com", "group:leads@example.com"),
    ("group:security@example.com", "user:erin@example.com"),
    ("until: 2028-01-01", "until: 2126-01-01"),
];

/// The guide's store, and the one of several processes.
const EMBEDDED: &str = "kind: embedded\n  path: /var/lib/curfew/curfew.db";
const FIRESTORE: &str = "kind: firestore\n  project: demo-curfew";

/// Where the guide keeps keys and database.
const STATE: &str = "/var/lib/curfew";

/// The project of an embedded store if none is configured.
const EMBEDDED_PROJECT: &str = "curfew";

const INDEXES: &str = include_str!("../../../deploy/firestore.indexes.json");

/// The unit for systemd allows for twice as much.
pub(super) const STOP_MAX: Duration = Duration::from_secs(10);

/// One of the binary's servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Program {
    All,
    /// `curfew firestore-local`.
    Store,
    Intake,
    Controller,
}

impl Program {
    /// The command that starts it.
    fn command(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Store => "firestore-local",
            Self::Intake => "intake",
            Self::Controller => "controller",
        }
    }

    /// The account that its machine has; the store calls nobody.
    fn service_account(self) -> Option<String> {
        let name = match self {
            Self::All => "curfew",
            Self::Intake => "intake",
            Self::Controller => "controller",
            Self::Store => return None,
        };
        Some(format!("{name}@demo-curfew.iam.gserviceaccount.com"))
    }
}

/// Stops and starts as it is told; what is left of it dies with it.
pub(super) struct Installation {
    outside: Outside,
    shape: Shape,
    folder: TempDir,
    app: u16,
    store: u16,
    ops: BTreeMap<Program, u16>,
    /// The metadata server of each program's machine.
    metadata: BTreeMap<Program, u16>,
    /// What clients of the store must know.
    exports: Vec<(String, String)>,
    running: BTreeMap<Program, Child>,
    _held: [TcpSocket; 6],
    _cloud: DropGuard,
}

impl Deref for Installation {
    type Target = Outside;

    fn deref(&self) -> &Outside {
        &self.outside
    }
}

impl Installation {
    /// `curfew all` over a file, or `curfew intake` and `curfew controller` over `curfew firestore-local`.
    pub(super) async fn start(shape: Shape) -> Self {
        let mut installation = Self::prepare(shape).await;
        installation.start_again().await;
        installation
    }

    async fn prepare(shape: Shape) -> Self {
        let cloud = Cloud::open(Options::default()).unwrap();
        let stop = CancellationToken::new();
        let ([app, store, all, store_ops, intake, controller], held) = free_ports();
        let (listener, cloud_port) = bound().await;
        tokio::spawn(cloud.clone().serve(listener, stop.clone()));
        let (listener, front) = bound().await;
        let intake_at = format!("http://127.0.0.1:{app}");
        let options = FrontOptions { audience: AUDIENCE.to_owned(), intake: intake_at };
        tokio::spawn(cloud.clone().serve_front(options, listener, stop.clone()));
        let mut metadata = BTreeMap::new();
        for program in [Program::All, Program::Intake, Program::Controller] {
            let (listener, port) = bound().await;
            let account = program.service_account().unwrap();
            tokio::spawn(cloud.clone().serve_metadata(account, listener, stop.clone()));
            metadata.insert(program, port);
        }
        let installation = Self {
            outside: Outside::new(INSTALLATION, front, cloud_port),
            shape,
            folder: tempfile::tempdir().unwrap(),
            app,
            store,
            ops: [
                (Program::All, all),
                (Program::Store, store_ops),
                (Program::Intake, intake),
                (Program::Controller, controller),
            ]
            .into(),
            metadata,
            exports: Vec::new(),
            running: BTreeMap::new(),
            _held: held,
            _cloud: stop.drop_guard(),
        };
        installation.make_keys();
        let endpoints = format!(
            "endpoints:\n  cloud: http://127.0.0.1:{cloud_port}\n  iapKeys: http://127.0.0.1:{cloud_port}/iap/verify/public_key-jwk\n"
        );
        std::fs::write(installation.path("curfew.yaml"), installation.configuration() + &endpoints)
            .unwrap();
        installation
    }

    /// In the forms that the guide makes with `openssl`.
    fn make_keys(&self) {
        let private = self.path("intake.key");
        generate_key_file(&private).unwrap();
        let public = KeyFileSigner::open(&private, "intake-1").unwrap().public_key().to_spki_pem();
        std::fs::write(self.path("intake-1.pub"), public).unwrap();
        FactsKey::generate(&self.path("facts.key")).unwrap();
    }

    /// The guide's, with the values of this organisation.
    fn configuration(&self) -> String {
        let mut text = GUIDE.to_owned();
        let mut set = |from: &str, to: &str| {
            assert!(text.contains(from), "{from} is not in {text}");
            text = text.replace(from, to);
        };
        if self.shape == Shape::Split {
            set(EMBEDDED, FIRESTORE);
        }
        set(STATE, self.folder.path().to_str().unwrap());
        for (from, to) in VALUES {
            set(from, to);
        }
        assert!(
            text.contains(&format!("installation: {INSTALLATION}\n")) && text.contains(AUDIENCE)
        );
        text
    }

    /// A file beside the configuration.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What runs in this shape, each after those that it needs.
    pub(super) fn programs(&self) -> &'static [Program] {
        match self.shape {
            Shape::Single => &[Program::All],
            Shape::Split => &[Program::Store, Program::Intake, Program::Controller],
        }
    }

    /// The port for operations of one of the programs.
    pub(super) fn ops(&self, program: Program) -> u16 {
        self.ops[&program]
    }

    /// A command of the binary on the machine of `program`, with this installation's configuration.
    pub(super) fn curfew(&self, program: Program, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary("curfew"));
        command
            .args(arguments)
            .env_clear()
            .env("CURFEW_CONFIG", self.path("curfew.yaml"))
            .env("CURFEW_LISTEN__APP", format!("127.0.0.1:{}", self.app))
            .env("CURFEW_LISTEN__OPS", format!("127.0.0.1:{}", self.ops(program)))
            .envs(self.exports.iter().cloned())
            .stdin(Stdio::null());
        if let Some(metadata) = self.metadata.get(&program) {
            command.env("CURFEW_ENDPOINTS__METADATA", format!("http://127.0.0.1:{metadata}"));
        }
        command
    }

    /// Starts whatever does not run, and waits until all is ready.
    pub(super) async fn start_again(&mut self) {
        for &program in self.programs() {
            let ended = self.running.get_mut(&program).map(|child| child.try_wait().unwrap());
            if matches!(ended, None | Some(Some(_))) {
                let child = self.spawn(program);
                self.running.insert(program, child);
            }
        }
        let ready = async || {
            for &program in self.programs() {
                self.says_ok(self.ops(program), "/livez").await?;
                self.says_ok(self.ops(program), "/readyz").await?;
            }
            self.is_served().await
        };
        eventually("the installation is ready", START_MAX, ready).await;
    }

    fn spawn(&mut self, program: Program) -> Child {
        if program != Program::Store {
            return self.curfew(program, &[program.command()]).spawn().unwrap();
        }
        let (listen, ops) = (at(self.store), at(self.ops(program)));
        let path = self.database();
        let path = path.to_str().unwrap();
        let arguments =
            [program.command(), "--listen", &listen, "--ops-listen", &ops, "--path", path];
        let mut store = self.curfew(program, &arguments);
        // A store that is started again goes by the token that its clients know.
        let mut child = store.stdout(Stdio::piped()).spawn().unwrap();
        if self.exports.is_empty() {
            let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
            for _ in ["address", "token"] {
                let line = lines.next().unwrap().unwrap();
                let (name, value) = line.strip_prefix("export ").unwrap().split_once('=').unwrap();
                self.exports.push((name.to_owned(), value.to_owned()));
            }
        }
        child
    }

    /// SIGKILL; it is dead once the next start has seen it.
    pub(super) fn kill(&self, programs: &[Program]) {
        for program in programs {
            signal("KILL", self.running[program].id());
        }
    }

    /// Waits for the death of whoever was killed, and starts them again.
    pub(super) async fn bury_and_start_again(&mut self, programs: &[Program]) {
        for program in programs {
            self.running.remove(program).unwrap().wait().unwrap();
        }
        self.start_again().await;
    }

    /// SIGTERM.
    pub(super) fn order_to_stop(&self, program: Program) {
        signal("TERM", self.running[&program].id());
    }

    /// Waits until they have stopped by themselves, and well.
    pub(super) async fn have_stopped(&mut self, programs: &[Program], within: Duration) {
        for program in programs {
            let mut child = self.running.remove(program).unwrap();
            let ended = || std::future::ready(child.try_wait().unwrap());
            let ended = eventually(&format!("{program:?} has stopped"), within, ended).await;
            assert_eq!(ended.code(), Some(0), "{program:?} did not end well");
        }
    }

    /// Stops everything, the store after those that need it.
    pub(super) async fn stop(&mut self) {
        for &programs in self.stages() {
            for &program in programs {
                self.order_to_stop(program);
            }
            self.have_stopped(programs, STOP_MAX).await;
        }
    }

    /// Who is stopped together, and in which order, as the units of one machine are.
    pub(super) fn stages(&self) -> &'static [&'static [Program]] {
        match self.shape {
            Shape::Single => &[&[Program::All]],
            Shape::Split => &[&[Program::Intake, Program::Controller], &[Program::Store]],
        }
    }

    /// The database file of either shape.
    pub(super) fn database(&self) -> PathBuf {
        self.path("curfew.db")
    }

    /// What a stopped installation has recorded of these requests. Every chain must be whole.
    pub(super) async fn records(&self, ids: &[String]) -> Vec<StoredRequest> {
        assert!(self.running.is_empty(), "stop it first");
        let project = match self.shape {
            Shape::Single => EMBEDDED_PROJECT,
            Shape::Split => "demo-curfew",
        };
        let (store, _serving) = open(&self.database(), project).await;
        let wanted: Vec<RequestId> = ids.iter().map(|id| RequestId::parse(id).unwrap()).collect();
        let mut found = store.get(&wanted).await.unwrap();
        let key = FactsKey::open(&self.path("facts.key")).unwrap();
        let sealer = Sealer::new(Name::parse(INSTALLATION).unwrap(), key);
        let record = |id: &RequestId| {
            let stored = found.remove(id).unwrap_or_else(|| panic!("{id} is lost"));
            let verified = sealer.verify_facts(&stored);
            assert_eq!((verified.rejected(), verified.len()), (0, stored.facts.len()), "{id}");
            assert!(!verified.is_empty(), "{id} has no facts");
            stored
        };
        wanted.iter().map(record).collect()
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        for child in self.running.values_mut() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

/// Serves a file that nobody else serves now, until the guard goes.
async fn open(file: &Path, project: &str) -> (FirestoreStore, DropGuard) {
    let (token, listen) = ("looking".to_owned(), (Ipv4Addr::LOCALHOST, 0).into());
    let indexes = Indexes::parse(INDEXES).unwrap();
    let config = Config { path: file.to_owned(), listen, token: token.clone(), indexes };
    let server = Server::bind(config).await.unwrap();
    let endpoint = format!("http://{}", server.local_addr());
    let stop = CancellationToken::new();
    tokio::spawn(server.serve(stop.clone()));
    let options = StoreOptions::loopback(project, endpoint, token);
    (FirestoreStore::connect(options).await.unwrap(), stop.drop_guard())
}

async fn bound() -> (TcpListener, u16) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

fn at(port: u16) -> String {
    format!("127.0.0.1:{port}")
}
