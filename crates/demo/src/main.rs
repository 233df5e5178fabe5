//! `curfew-demo`: the simulated Google Cloud, the simulated IAP, intake, controller and the embedded store in one
//! process on loopback.
//!
//! The production code runs unchanged: the demo only writes its configuration and stands in for the world around it.

mod data;
mod options;
mod ports;
mod text;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Parser as _;
use curfew_cloudsim::{Clock, Cloud, FrontOptions, Latency, Options as CloudOptions};
use curfew_server::{EmbeddedStore, Mode, Running, cli, config, start, telemetry};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::data::Data;
use crate::options::{LatencyKind, Options, StoreKind};
use crate::ports::{PortTaken, Ports};

/// The service account that the demo's one process runs as.
const SERVICE_ACCOUNT: &str = "controller@demo-curfew.iam.gserviceaccount.com";

/// How long everything may take to be ready; it takes well under a second.
const READY_MAX: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    telemetry::init_quiet();
    let options = Options::parse();
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            text::complain(&format!("curfew-demo: {error:#}"));
            ExitCode::from(if error.is::<PortTaken>() { 2 } else { 1 })
        }
    }
}

#[tokio::main]
async fn run(options: &Options) -> anyhow::Result<()> {
    let ports = Ports::bind(options).await?;
    let data = Data::open(options.data.as_deref())?;
    let stop = cli::stop_on_signal()?;
    let demo = Demo::start(options, ports, &data, stop).await?;
    text::ready(options);
    demo.wait().await
}

/// Everything that runs. What others rest on is stopped after them.
struct Demo {
    curfew: Running,
    around: JoinSet<anyhow::Result<()>>,
    store: Option<EmbeddedStore>,
    stop_around: CancellationToken,
}

impl Demo {
    async fn start(
        options: &Options,
        ports: Ports,
        data: &Data,
        stop: CancellationToken,
    ) -> anyhow::Result<Self> {
        let stop_around = CancellationToken::new();
        let mut around = JoinSet::new();
        let cloud = open_cloud(options, data)?;
        let metadata = ports.metadata.local_addr()?;
        spawn(&mut around, cloud.clone().serve(ports.cloud, stop_around.clone()));
        spawn(
            &mut around,
            cloud.clone().serve_metadata(
                SERVICE_ACCOUNT.into(),
                ports.metadata,
                stop_around.clone(),
            ),
        );

        let (store, store_at) = match options.store {
            StoreKind::Embedded => {
                let listen = options.address(options.store_port)?;
                let store = EmbeddedStore::start(
                    &data.path("curfew.db"),
                    listen,
                    data::STORE_TOKEN.into(),
                    stop_around.clone(),
                )
                .await?;
                let at = store.address.to_string();
                (Some(store), at)
            }
            StoreKind::Firestore => (None, emulator_host()?),
        };
        let text = data.configuration(options, metadata, &store_at)?;
        let config = config::parse(&text, data.folder(), &std::collections::BTreeMap::new())?;
        let audience = config.iap.audience.clone();
        let curfew = start(config, Mode::All, stop).await?;
        let app = curfew.app.context("intake has no address")?;
        let front = FrontOptions { audience, intake: format!("http://{app}") };
        spawn(&mut around, cloud.serve_front(front, ports.front, stop_around.clone()));
        wait_until_ready(&format!("http://{}/readyz", curfew.ops)).await?;
        Ok(Self { curfew, around, store, stop_around })
    }

    async fn wait(mut self) -> anyhow::Result<()> {
        let ended = self.curfew.wait().await;
        self.stop_around.cancel();
        while let Some(part) = self.around.join_next().await {
            part.context("a part of the demo")??;
        }
        if let Some(store) = self.store {
            store.wait().await?;
        }
        ended
    }
}

fn spawn<E: std::error::Error + Send + Sync + 'static>(
    tasks: &mut JoinSet<anyhow::Result<()>>,
    part: impl Future<Output = Result<(), E>> + Send + 'static,
) {
    tasks.spawn(async move { part.await.map_err(anyhow::Error::from) });
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

fn emulator_host() -> anyhow::Result<String> {
    std::env::var("FIRESTORE_EMULATOR_HOST")
        .context("--store firestore: set FIRESTORE_EMULATOR_HOST to <host>:<port>")
}

async fn wait_until_ready(url: &str) -> anyhow::Result<()> {
    let poll = async {
        loop {
            if reqwest::get(url).await.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    if tokio::time::timeout(READY_MAX, poll).await.is_err() {
        bail!("not ready after {READY_MAX:?}: see the log above");
    }
    Ok(())
}
