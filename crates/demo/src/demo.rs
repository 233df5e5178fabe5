//! Starting and stopping everything, each part after those that it rests on.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, bail};
use curfew_cloudsim::{Clock, Cloud, FrontOptions, Latency, Options as CloudOptions};
use curfew_server::{EmbeddedStore, Mode, Running, config, start_with};
use prometheus::Registry;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::data::{self, Data, Places};
use crate::identity;
use crate::keeper::Keeper;
use crate::options::{LatencyKind, Options, StoreKind};
use crate::ports::Ports;

/// How long everything may take to be ready; it takes well under a second.
const READY_MAX: Duration = Duration::from_secs(30);

/// Between two looks at whether everything is ready.
const READY_POLL: Duration = Duration::from_millis(20);

/// Everything that runs. What others rest on is stopped after them.
pub(crate) struct Demo {
    curfew: Curfew,
    around: Around,
    store: Option<EmbeddedStore>,
    /// Keeps the ports of parts that are started again.
    _held: Vec<TcpSocket>,
}

/// Intake and the controller.
enum Curfew {
    /// In this process.
    Single(Running),
    /// Each in a process of its own.
    Split(JoinSet<anyhow::Result<()>>),
}

impl Curfew {
    /// Waits until both have stopped.
    async fn wait(self) -> anyhow::Result<()> {
        match self {
            Self::Single(running) => running.wait().await,
            Self::Split(mut keepers) => {
                // The first that fails takes the other with it: dropping the set kills what is left.
                while let Some(ended) = keepers.join_next().await {
                    ended.context("a part of the demo")??;
                }
                Ok(())
            }
        }
    }
}

/// What stands in for the world.
struct Around {
    cloud: Cloud,
    tasks: JoinSet<anyhow::Result<()>>,
    stop: CancellationToken,
}

impl Around {
    fn spawn<E: std::error::Error + Send + Sync + 'static>(
        &mut self,
        part: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        self.tasks.spawn(async move { part.await.map_err(anyhow::Error::from) });
    }

    /// The metadata server of the machine that runs `mode`.
    async fn machine(&mut self, mode: Mode) -> anyhow::Result<SocketAddr> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("listen")?;
        let address = listener.local_addr()?;
        let account = identity::service_account(mode);
        let metadata = self.cloud.clone().serve_metadata(account, listener, self.stop.clone());
        self.spawn(metadata);
        Ok(address)
    }

    async fn end(mut self) -> anyhow::Result<()> {
        self.stop.cancel();
        while let Some(part) = self.tasks.join_next().await {
            part.context("a part of the demo")??;
        }
        Ok(())
    }
}

impl Demo {
    pub(crate) async fn start(
        options: &Options,
        ports: Ports,
        data: &Data,
        stop: CancellationToken,
    ) -> anyhow::Result<Self> {
        let cloud = open_cloud(options, data)?;
        let mut around =
            Around { cloud: cloud.clone(), tasks: JoinSet::new(), stop: CancellationToken::new() };
        around.spawn(cloud.clone().serve(ports.cloud, around.stop.clone()));
        // Shown on the operations port of the one process. With `--split` the store is in this process, which has no such
        // port: its metrics are then nowhere to be seen.
        let registry = Registry::new();
        let (store, store_at) =
            open_store(options, data, ports.store, &registry, &around.stop).await?;
        let places = Places::new(options, store_at);
        let (curfew, app) = if options.split {
            let listen = [ports.app, ports.ops, ports.intake_ops];
            split(data, &places, listen, &mut around, &stop).await?
        } else {
            single(data, &places, ports.ops, registry, &mut around, stop.clone()).await?
        };
        let front =
            FrontOptions { audience: data::AUDIENCE.to_owned(), intake: format!("http://{app}") };
        around.spawn(cloud.serve_front(front, ports.front, around.stop.clone()));
        wait_until_ready(ports.ops, &stop).await?;
        if options.split {
            wait_until_ready(ports.intake_ops, &stop).await?;
        }
        Ok(Self { curfew, around, store, _held: ports.held })
    }

    pub(crate) async fn wait(self) -> anyhow::Result<()> {
        let ended = self.curfew.wait().await;
        self.around.end().await?;
        if let Some(store) = self.store {
            store.wait().await?;
        }
        ended
    }
}

/// Intake and controller in this process; and where intake listens.
async fn single(
    data: &Data,
    places: &Places,
    ops: SocketAddr,
    registry: Registry,
    around: &mut Around,
    stop: CancellationToken,
) -> anyhow::Result<(Curfew, SocketAddr)> {
    let metadata = around.machine(Mode::All).await?;
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let path = data.configuration(Mode::All, places, [any, ops, metadata])?;
    let config = config::load(&path, &BTreeMap::new())?;
    let running = Box::pin(start_with(config, Mode::All, registry, stop)).await?;
    let app = running.app.context("intake has no address")?;
    Ok((Curfew::Single(running), app))
}

/// Intake and controller as two processes with two identities; and where intake listens.
async fn split(
    data: &Data,
    places: &Places,
    [app, ops, intake_ops]: [SocketAddr; 3],
    around: &mut Around,
    stop: &CancellationToken,
) -> anyhow::Result<(Curfew, SocketAddr)> {
    let mut keepers = JoinSet::new();
    for (mode, ops) in [(Mode::Intake, intake_ops), (Mode::Controller, ops)] {
        let metadata = around.machine(mode).await?;
        let configuration = data.configuration(mode, places, [app, ops, metadata])?;
        let keeper = Keeper::new(mode, configuration, data.pid_file(mode))?;
        keepers.spawn(keeper.keep(stop.clone()));
    }
    Ok((Curfew::Split(keepers), app))
}

fn open_cloud(options: &Options, data: &Data) -> anyhow::Result<Cloud> {
    let seed = options.seed.as_ref().map(std::fs::read_to_string).transpose().context("--seed")?;
    let latency = match options.latency {
        LatencyKind::None => Latency::None,
        LatencyKind::Google => Latency::Google,
    };
    let options =
        CloudOptions { data_dir: Some(data.path("cloud")), seed, clock: Clock::system(), latency };
    Cloud::open(options).context("open the simulated cloud")
}

/// The embedded store, unless another is asked for; and where the store is.
async fn open_store(
    options: &Options,
    data: &Data,
    listen: SocketAddr,
    registry: &Registry,
    stop: &CancellationToken,
) -> anyhow::Result<(Option<EmbeddedStore>, String)> {
    match options.store {
        StoreKind::Embedded => {
            let (path, token) = (data.path("curfew.db"), data::STORE_TOKEN.to_owned());
            let store = EmbeddedStore::start(&path, listen, token, registry, stop.clone()).await?;
            let at = store.address.to_string();
            Ok((Some(store), at))
        }
        StoreKind::Firestore => {
            let at = std::env::var("FIRESTORE_EMULATOR_HOST")
                .context("--store firestore: set FIRESTORE_EMULATOR_HOST to <host>:<port>")?;
            Ok((None, at))
        }
    }
}

/// Returns early if all is to stop.
async fn wait_until_ready(ops: SocketAddr, stop: &CancellationToken) -> anyhow::Result<()> {
    let url = format!("http://{ops}/readyz");
    let poll = async {
        loop {
            if reqwest::get(&url).await.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            tokio::time::sleep(READY_POLL).await;
        }
    };
    tokio::select! {
        () = poll => Ok(()),
        () = stop.cancelled() => Ok(()),
        () = tokio::time::sleep(READY_MAX) => {
            bail!("not ready after {READY_MAX:?}: see the log above")
        }
    }
}
