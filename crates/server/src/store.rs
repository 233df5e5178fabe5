//! The store: Firestore, always, through one client; embedded, it is our own server over one file.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use anyhow::{Context as _, anyhow};
use curfew_core::id::encode_id;
use curfew_firelite::{Config as ServerConfig, Indexes, OpenError, Server, StartError};
use curfew_firestore::{FirestoreStore, StoreOptions};
use curfew_ports::Entropy as _;
use prometheus::Registry;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::clock::SystemEntropy;
use crate::config::{Store, StoreKind};

/// The queries that are served, here as in production.
pub const INDEXES: &str = include_str!("../../../deploy/firestore.indexes.json");

/// What is said of a file that another process serves.
pub(crate) const IN_USE: &str = "one process serves a file: end that one, or name another file";

/// The embedded server while it runs.
#[derive(Debug)]
pub struct EmbeddedStore {
    /// Where it listens.
    pub address: SocketAddr,
    /// What clients must show.
    pub token: String,
    task: JoinHandle<anyhow::Result<()>>,
}

impl EmbeddedStore {
    /// Opens the file and serves Curfew's own queries of it on `listen` (port 0: any) until `stop`, with the server's
    /// metrics in `registry`.
    pub async fn start(
        path: &Path,
        listen: SocketAddr,
        token: String,
        registry: &Registry,
        stop: CancellationToken,
    ) -> anyhow::Result<Self> {
        let indexes = shipped_indexes()?;
        let config = ServerConfig { path: path.to_owned(), listen, token, indexes };
        Self::serve(config, registry, stop).await
    }

    /// Serves what `config` says until `stop`, with the server's metrics in `registry`.
    pub(crate) async fn serve(
        config: ServerConfig,
        registry: &Registry,
        stop: CancellationToken,
    ) -> anyhow::Result<Self> {
        let (path, token) = (config.path.clone(), config.token.clone());
        let server = Server::bind(config)
            .await
            .map_err(explained)
            .with_context(|| format!("serve the store {}", path.display()))?;
        server.register_metrics(registry).context("register the store's metrics")?;
        let address = server.local_addr();
        let task =
            tokio::spawn(async move { server.serve(stop).await.context("the embedded store") });
        Ok(Self { address, token, task })
    }

    /// Waits until it has stopped and everything is on disk.
    pub async fn wait(self) -> anyhow::Result<()> {
        self.task.await.context("the embedded store")?
    }
}

/// A bearer token that nobody guesses.
pub(crate) fn random_token() -> String {
    encode_id(SystemEntropy.bits())
}

/// The queries that are served unless somebody names others.
pub(crate) fn shipped_indexes() -> anyhow::Result<Indexes> {
    Indexes::parse(INDEXES).context("deploy/firestore.indexes.json")
}

/// The failure, and the way out where there is one.
fn explained(error: StartError) -> anyhow::Error {
    let advice = match &error {
        StartError::Listen { source, .. } if source.kind() == ErrorKind::AddrInUse => {
            "end what listens there, or choose another port"
        }
        StartError::Open(OpenError::InUse(_)) => IN_USE,
        StartError::Open(OpenError::Sqlite { .. } | OpenError::Damaged(_)) => {
            "the file may be damaged: name another, or a copy of this one from before"
        }
        StartError::Open(OpenError::Foreign { .. }) => {
            "it is somebody else's and stays as it is: name another file"
        }
        StartError::Open(
            OpenError::LockFile { .. }
            | OpenError::Create { .. }
            | OpenError::NoLog { .. }
            | OpenError::Thread(_),
        )
        | StartError::Listen { .. }
        | StartError::NotLoopback(_)
        | StartError::NoToken
        | StartError::Metrics(_) => return error.into(),
    };
    anyhow!("{:#}: {advice}", anyhow::Error::new(error))
}

/// A connected store, and the embedded server if there is one.
pub(crate) struct Connected {
    pub(crate) store: FirestoreStore,
    pub(crate) embedded: Option<EmbeddedStore>,
}

/// Connects. `stop_embedded` ends the embedded server: after everybody who uses it.
pub(crate) async fn connect(
    store: &Store,
    registry: &Registry,
    stop_embedded: CancellationToken,
) -> anyhow::Result<Connected> {
    let mut options = options(store)?;
    let mut embedded = None;
    if let StoreKind::Embedded(path) = &store.kind {
        let (listen, token) = (any_port(), random_token());
        let server = EmbeddedStore::start(path, listen, token, registry, stop_embedded).await?;
        let endpoint = format!("http://{}", server.address);
        let own = StoreOptions::loopback(&store.project, endpoint, &server.token);
        options = StoreOptions { database: options.database, ..own };
        embedded = Some(server);
    }
    let store = FirestoreStore::connect(options).await.context("connect to the store")?;
    Ok(Connected { store, embedded })
}

/// Whether [`connect`] would try to; sends nothing and opens nothing.
pub(crate) fn check(store: &Store) -> anyhow::Result<()> {
    options(store)?.check().context("store")
}

/// How to connect; the address of an embedded store is known only once it serves.
pub(crate) fn options(store: &Store) -> anyhow::Result<StoreOptions> {
    let options = match &store.kind {
        StoreKind::Embedded(_) => {
            StoreOptions::loopback(&store.project, format!("http://{}", any_port()), "")
        }
        StoreKind::Loopback(endpoint, token) => {
            StoreOptions::loopback(&store.project, endpoint, token)
        }
        StoreKind::Google => {
            let credentials = google_cloud_auth::credentials::Builder::default()
                .build()
                .context("credentials for Firestore: run `gcloud auth application-default login`, or attach a service account")?;
            StoreOptions::google(&store.project, credentials)
        }
    };
    Ok(StoreOptions { database: store.database.clone(), ..options })
}

fn any_port() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}
