//! `curfew firestore-local`: the embedded store alone, for Firestore clients on this machine.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use curfew_firelite::{Config as ServerConfig, Indexes};
use prometheus::Registry;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::config::STORE_TOKEN;
use crate::ops::{self, Ops};
use crate::run::{bind, serve};
use crate::store::{EmbeddedStore, random_token, shipped_indexes};

/// The token that clients of Google's emulator send by themselves.
const OWNER: &str = "owner";

/// Serves one database file on a loopback address until SIGTERM or Ctrl-C.
///
/// Clients show a bearer token: the one in `CURFEW_STORE_TOKEN`, or else a random one, which is printed with the
/// address as lines for a shell.
#[derive(Debug, Args)]
pub(crate) struct FirestoreLocal {
    /// Where clients connect to: a loopback address and a port, 0 for any.
    #[arg(long, default_value = "127.0.0.1:8423")]
    listen: SocketAddr,
    /// The database file; created if absent.
    #[arg(long, default_value = "curfew.db")]
    path: PathBuf,
    /// The queries that are served, as a `firestore.indexes.json`; Curfew's own by default.
    #[arg(long)]
    indexes: Option<PathBuf>,
    /// Where /metrics, /livez and /readyz are; nowhere by default.
    #[arg(long)]
    ops_listen: Option<SocketAddr>,
    /// Take the token `owner`, which emulator clients send by themselves: everybody on this machine may then read and
    /// write everything.
    #[arg(long)]
    owner: bool,
}

impl FirestoreLocal {
    /// Serves until `stop`.
    pub(crate) async fn start(
        self,
        environment: &BTreeMap<String, String>,
        stop: CancellationToken,
    ) -> anyhow::Result<Serving> {
        let (token, is_told) = match environment.get(STORE_TOKEN) {
            _ if self.owner => (OWNER.to_owned(), false),
            Some(token) => (token.clone(), false),
            None => (random_token(), true),
        };
        let indexes = self.indexes.as_deref().map_or_else(shipped_indexes, read_indexes)?;
        let ops = match self.ops_listen {
            Some(address) => Some(bind("--ops-listen", address).await?),
            None => None,
        };
        let config = ServerConfig { path: self.path, listen: self.listen, token, indexes };
        let registry = Registry::new();
        let store = EmbeddedStore::serve(config, &registry, stop.clone()).await?;
        tracing::info!(address = %store.address, "serving Firestore");
        Ok(Serving { store, ops: ops.map(|ops| serve_ops(ops, registry, stop)), is_told })
    }
}

fn read_indexes(path: &Path) -> anyhow::Result<Indexes> {
    let text = std::fs::read_to_string(path);
    let parsed = text.map_err(anyhow::Error::from).and_then(|text| Ok(Indexes::parse(&text)?));
    parsed.with_context(|| format!("--indexes {}", path.display()))
}

fn serve_ops(
    listener: TcpListener,
    registry: Registry,
    stop: CancellationToken,
) -> JoinHandle<anyhow::Result<()>> {
    tokio::spawn(serve(listener, ops::router(Ops { registry, controller: None }), stop))
}

/// The store while it is served.
pub(crate) struct Serving {
    store: EmbeddedStore,
    ops: Option<JoinHandle<anyhow::Result<()>>>,
    /// Whether nobody knows the token but by what is printed.
    is_told: bool,
}

impl Serving {
    /// What a shell needs for Firestore clients to find the store, and for `curfew` to be let in.
    pub(crate) fn exports(&self) -> String {
        let address = self.store.address;
        let token = if self.is_told {
            format!("export {STORE_TOKEN}={}\n", self.store.token)
        } else {
            String::new()
        };
        format!("export FIRESTORE_EMULATOR_HOST={address}\n{token}")
    }

    /// Waits until it has stopped and everything is on disk.
    pub(crate) async fn wait(self) -> anyhow::Result<()> {
        self.store.wait().await?;
        match self.ops {
            Some(ops) => ops.await.context("the operations port")?,
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
