//! The servers that the store is tested over.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use curfew_firelite::{Config, Indexes, Server};
use curfew_firestore::{FirestoreStore, StoreOptions};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::raw::Raw;

/// The address of Google's emulator, as `host:port`.
const EMULATOR: &str = "CURFEW_TEST_FIRESTORE_EMULATOR";

/// What both servers are told; Google's emulator knows no other.
const TOKEN: &str = "owner";

/// The indexes of production: what they do not serve fails here too.
const INDEXES: &str = include_str!("../../../deploy/firestore.indexes.json");

/// A server, and a project of its own on it.
pub(super) struct Backend {
    pub(super) address: SocketAddr,
    project: String,
    embedded: Option<Embedded>,
}

struct Embedded {
    folder: TempDir,
    shutdown: CancellationToken,
    serving: JoinHandle<()>,
}

impl Backend {
    /// The embedded server on a fresh file.
    pub(super) async fn firelite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        let (address, shutdown, serving) = serve(folder.path().join("store.db"), any_port).await;
        Self {
            address,
            project: random_project(),
            embedded: Some(Embedded { folder, shutdown, serving }),
        }
    }

    /// Google's emulator, where there is one; in CI there must be.
    pub(super) fn emulator() -> Option<Self> {
        let Ok(address) = std::env::var(EMULATOR) else {
            not_run();
            return None;
        };
        let address = address.parse().unwrap();
        Some(Self { address, project: random_project(), embedded: None })
    }

    /// How to reach the server, through `address` if it is another.
    pub(super) fn options(&self, address: SocketAddr) -> StoreOptions {
        StoreOptions::loopback(&self.project, format!("http://{address}"), TOKEN)
    }

    pub(super) async fn store(&self) -> FirestoreStore {
        FirestoreStore::connect(self.options(self.address)).await.unwrap()
    }

    /// Another client of the same documents, as anybody with access to the database is one.
    pub(super) async fn raw(&self) -> Raw {
        Raw::connect(self.address, &self.project, TOKEN).await
    }

    /// Starts the embedded server again after a stop: same file, same port.
    pub(super) async fn start_again(&mut self) {
        let embedded = self.embedded.as_mut().unwrap();
        let path = embedded.folder.path().join("store.db");
        let (_, shutdown, serving) = serve(path, self.address).await;
        (embedded.shutdown, embedded.serving) = (shutdown, serving);
    }

    pub(super) async fn stop(&mut self) {
        let embedded = self.embedded.as_mut().unwrap();
        embedded.shutdown.cancel();
        let ended = tokio::time::timeout(Duration::from_secs(20), &mut embedded.serving).await;
        ended.unwrap().unwrap();
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        if let Some(embedded) = &self.embedded {
            embedded.shutdown.cancel();
        }
    }
}

async fn serve(
    path: PathBuf,
    listen: SocketAddr,
) -> (SocketAddr, CancellationToken, JoinHandle<()>) {
    let indexes = Indexes::parse(INDEXES).unwrap();
    let config = Config { path, listen, token: TOKEN.into(), indexes };
    let server = Server::bind(config).await.unwrap();
    let address = server.local_addr();
    let shutdown = CancellationToken::new();
    let serving = server.serve(shutdown.clone());
    (address, shutdown, tokio::spawn(async move { serving.await.unwrap() }))
}

fn random_project() -> String {
    format!("contract-{:016x}", rand::random::<u64>())
}

#[expect(
    clippy::print_stderr,
    reason = "a case that did not run must not look like one that passed"
)]
fn not_run() {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{EMULATOR} is not set, and CI needs it");
    eprintln!("NOT RUN on Google's emulator: {EMULATOR} is not set");
}
