//! The store: Firestore, always, through one client; embedded, it is our own server over one file.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use anyhow::Context as _;
use curfew_core::id::encode_id;
use curfew_firelite::{Config as ServerConfig, Indexes, Server};
use curfew_firestore::{FirestoreStore, StoreOptions};
use curfew_ports::Entropy as _;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::clock::SystemEntropy;
use crate::config::{Store, StoreKind};

/// The queries that are served, here as in production.
pub const INDEXES: &str = include_str!("../../../deploy/firestore.indexes.json");

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
    /// Opens the file and serves it on `listen` (port 0: any) until `stop`.
    pub async fn start(
        path: &Path,
        listen: SocketAddr,
        token: String,
        stop: CancellationToken,
    ) -> anyhow::Result<Self> {
        let indexes = Indexes::parse(INDEXES).context("deploy/firestore.indexes.json")?;
        let config = ServerConfig { path: path.to_owned(), listen, token: token.clone(), indexes };
        let server = Server::bind(config)
            .await
            .with_context(|| format!("open the store {}", path.display()))?;
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

/// A connected store, and the embedded server if there is one.
pub(crate) struct Connected {
    pub(crate) store: FirestoreStore,
    pub(crate) embedded: Option<EmbeddedStore>,
}

/// Connects. `stop_embedded` ends the embedded server: after everybody who uses it.
pub(crate) async fn connect(
    store: &Store,
    stop_embedded: CancellationToken,
) -> anyhow::Result<Connected> {
    let (embedded, options) = match &store.kind {
        StoreKind::Embedded(path) => {
            let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            let embedded =
                EmbeddedStore::start(path, listen, encode_id(SystemEntropy.bits()), stop_embedded)
                    .await?;
            let endpoint = format!("http://{}", embedded.address);
            let options = StoreOptions::loopback(&store.project, endpoint, &embedded.token);
            (Some(embedded), options)
        }
        StoreKind::Loopback(endpoint, token) => {
            (None, StoreOptions::loopback(&store.project, endpoint, token))
        }
        StoreKind::Google => {
            let credentials = google_cloud_auth::credentials::Builder::default()
                .build()
                .context("credentials for Firestore: run `gcloud auth application-default login`, or attach a service account")?;
            (None, StoreOptions::google(&store.project, credentials))
        }
    };
    let options = StoreOptions { database: store.database.clone(), ..options };
    let store = FirestoreStore::connect(options).await.context("connect to the store")?;
    Ok(Connected { store, embedded })
}
