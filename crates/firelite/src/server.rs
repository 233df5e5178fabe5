//! The server: socket, bearer token, life and death.

use std::{fmt, net::SocketAddr, path::PathBuf, sync::Arc};

use prometheus::Registry;
use subtle::ConstantTimeEq;
use tokio::{
    net::TcpListener,
    time::{MissedTickBehavior, interval},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tonic::{
    Request, Status,
    metadata::MetadataValue,
    service::{Interceptor, interceptor::InterceptedService},
    transport::{self, server::TcpIncoming},
};

use crate::{
    indexes::Indexes,
    limits::{MESSAGE_BYTES_MAX, SHUTDOWN_GRACE, STREAMS_PER_CONNECTION_MAX, SWEEP_INTERVAL},
    metrics::Metrics,
    service::{Context, Service, wire::firestore_server::FirestoreServer},
    store::{OpenError, Store, WriterThread},
    time::Micros,
};

/// What a server needs to know.
#[derive(Clone)]
pub struct Config {
    /// The database file; created if absent, for its owner alone to read. SQLite puts `-wal` and `-shm` beside it, and this
    /// server a `.lock`.
    pub path: PathBuf,
    /// The address to listen on, of a loopback interface. Port 0 lets the system choose.
    pub listen: SocketAddr,
    /// What every call must carry as `authorization: Bearer <token>`. Emulator clients send
    /// `owner`.
    pub token: String,
    /// The queries that are served.
    pub indexes: Indexes,
}

impl fmt::Debug for Config {
    /// Without the token, which is a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, listen, token: _, indexes } = self;
        f.debug_struct("Config")
            .field("path", path)
            .field("listen", listen)
            .field("indexes", indexes)
            .finish_non_exhaustive()
    }
}

/// Why the server could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is reachable from other machines.
    #[error("{0} is not a loopback address: this server has no transport security")]
    NotLoopback(SocketAddr),
    /// The bearer token is empty.
    #[error("the bearer token is empty")]
    NoToken,
    /// A metric that Prometheus does not take; a mistake of this crate.
    #[error("cannot make the metrics")]
    Metrics(#[source] prometheus::Error),
    /// The database file.
    #[error("cannot open the store")]
    Open(#[from] OpenError),
    /// The address.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

/// Why serving ended other than by being told to.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The transport failed.
    #[error("the server's transport failed")]
    Transport(#[source] transport::Error),
    /// The writer thread died.
    #[error("the store's writer failed")]
    Writer,
}

/// A server with its file open and its socket bound. Calls are accepted from [`Server::bind`]
/// on and answered from [`Server::serve`] on.
pub struct Server {
    context: Context,
    writer: WriterThread,
    incoming: TcpIncoming,
    address: SocketAddr,
    token: String,
}

impl Server {
    /// Opens the file and the socket.
    ///
    /// # Errors
    ///
    /// [`StartError::NotLoopback`] and [`StartError::NoToken`] before anything is touched;
    /// [`OpenError::InUse`] when another process has the file open.
    pub async fn bind(config: Config) -> Result<Self, StartError> {
        let Config { path, listen, token, indexes } = config;
        if !listen.ip().is_loopback() {
            return Err(StartError::NotLoopback(listen));
        }
        if token.is_empty() {
            return Err(StartError::NoToken);
        }
        let metrics = Arc::new(Metrics::new().map_err(StartError::Metrics)?);
        let failed = |source| StartError::Listen { address: listen, source };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let for_store = metrics.clone();
        let open = move || Store::open(&path, &indexes, Micros::now, &for_store);
        let opened = tokio::task::spawn_blocking(open);
        let (store, writer) = opened.await.map_err(|error| OpenError::Thread(error.into()))??;
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let context = Context::new(store, metrics);
        Ok(Self { context, writer, incoming, address, token })
    }

    /// Shows the server's metrics (all named `firelite_…`) in a registry.
    ///
    /// # Errors
    ///
    /// When the registry already shows those of another server.
    pub fn register_metrics(&self, registry: &Registry) -> Result<(), prometheus::Error> {
        self.context.metrics.register(registry)
    }

    /// A handle to make calls of this server go wrong.
    #[cfg(feature = "faults")]
    pub fn faults(&self) -> crate::Faults {
        self.context.faults.clone()
    }

    /// The address that clients connect to.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Answers calls until `shutdown` is cancelled; then ends every Listen stream with
    /// `UNAVAILABLE`, waits at most [`SHUTDOWN_GRACE`] for the other calls, and returns once
    /// everything that was queued is on disk and the file is closed.
    pub async fn serve(self, shutdown: CancellationToken) -> Result<(), ServeError> {
        let Self { context, writer, incoming, token, .. } = self;
        let _upkeep = AbortOnDropHandle::new(tokio::spawn(upkeep(context.clone())));
        let service = FirestoreServer::new(Service::new(context, shutdown.clone()))
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(usize::MAX);
        let service = InterceptedService::new(service, Bearer(token));
        let serving = transport::Server::builder()
            .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX)
            .add_service(service)
            .serve_with_incoming_shutdown(incoming, shutdown.cancelled());
        let overdue = async {
            shutdown.cancelled().await;
            tokio::time::sleep(SHUTDOWN_GRACE).await;
        };
        let outcome = tokio::select! {
            outcome = serving => outcome.map_err(ServeError::Transport),
            () = overdue => Ok(()),
        };
        let stopped = writer.stop().await;
        outcome?;
        stopped.map_err(|_panicked| ServeError::Writer)
    }
}

/// Forgets transactions that are over and keeps the gauges fresh, for ever.
async fn upkeep(context: Context) {
    let mut ticks = interval(SWEEP_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        context.transactions.sweep();
        match context.store.bytes().await {
            Ok(bytes) => context.metrics.set_database_bytes(bytes),
            Err(error) => tracing::warn!(%error, "cannot measure the database"),
        }
    }
}

/// Lets only calls with the right token through.
#[derive(Clone)]
struct Bearer(String);

impl Interceptor for Bearer {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let header = request.metadata().get("authorization").map(MetadataValue::as_bytes);
        let given = header.and_then(bearer_token).unwrap_or_default();
        if bool::from(given.ct_eq(self.0.as_bytes())) {
            Ok(request)
        } else {
            Err(Status::unauthenticated("The request does not have the server's bearer token."))
        }
    }
}

/// The token of a header; the scheme's case does not matter.
fn bearer_token(header: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = header.split_at_checked("Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token)
}
