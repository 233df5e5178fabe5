//! Starting and stopping: builds every part from the configuration and joins them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use axum::serve::ListenerExt as _;
use curfew_controller::{Controller, Metrics, Operators, Ports, Settings};
use curfew_core::resource::Resource;
use curfew_firestore::FirestoreStore;
use curfew_gcp::{Endpoints, Google, GoogleKms, TokenSource};
use curfew_intake::{FormKey, Intake, Team};
use curfew_ports::{Clock, Entropy, EnvelopeSigner};
use curfew_trust::{EnvelopeVerifier, IapVerifier, Sealer, StoreVerifier};
use prometheus::Registry;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::clock::{SystemClock, SystemEntropy};
use crate::config::{Config, Identity, StoreKind};
use crate::metrics;
use crate::ops::{self, Ops};
use crate::secrets::{FormKeySecret, SealerSource, SignerSource};
use crate::store::{self, Connected, EmbeddedStore, connect};
use crate::telemetry;

/// How long open calls, and a turn on a policy, may take after the order to stop before they are cut off: less than the
/// 20 s that `deploy/systemd` waits. A controller that dies at any moment loses nothing.
const STOP_GRACE: Duration = Duration::from_secs(10);

/// Which parts run in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Mode {
    /// Both: one trust domain.
    All,
    /// The API and pages.
    Intake,
    /// The controller.
    Controller,
}

impl Mode {
    /// Every mode.
    pub const ALL: [Self; 3] = [Self::All, Self::Intake, Self::Controller];

    /// The command that starts it.
    pub fn command(self) -> &'static str {
        match self {
            Self::All => "curfew all",
            Self::Intake => "curfew intake",
            Self::Controller => "curfew controller",
        }
    }

    /// Its name in metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Intake => "intake",
            Self::Controller => "controller",
        }
    }

    /// Whether intake runs.
    pub fn has_intake(self) -> bool {
        self != Self::Controller
    }

    /// Whether the controller runs.
    pub fn has_controller(self) -> bool {
        self != Self::Intake
    }
}

/// A started process.
#[derive(Debug)]
pub struct Running {
    /// Where intake listens, if it runs here.
    pub app: Option<SocketAddr>,
    /// Where metrics and health are.
    pub ops: SocketAddr,
    parts: JoinSet<anyhow::Result<()>>,
    stop: CancellationToken,
    embedded: Option<EmbeddedStore>,
    stop_embedded: CancellationToken,
}

impl Running {
    /// Waits until it is told to stop and everything has stopped; an error if a part failed before.
    pub async fn wait(mut self) -> anyhow::Result<()> {
        let mut failure = None;
        while let Some(ended) = self.parts.join_next().await {
            let ended = ended.context("a part of the program").and_then(|result| result);
            if let Err(error) = ended {
                failure.get_or_insert(error);
            }
            // Nothing ends before it is told to, unless it failed: then all stop.
            self.stop.cancel();
        }
        self.stop_embedded.cancel();
        if let Some(embedded) = self.embedded {
            embedded.wait().await?;
        }
        failure.map_or(Ok(()), Err)
    }
}

/// Starts the parts of `mode`; they run until `stop`.
pub async fn start(config: Config, mode: Mode, stop: CancellationToken) -> anyhow::Result<Running> {
    Box::pin(start_with(config, mode, Registry::new(), stop)).await
}

/// The same, with what is measured in `registry`, and whatever else is in there on the operations port.
pub async fn start_with(
    config: Config,
    mode: Mode,
    registry: Registry,
    stop: CancellationToken,
) -> anyhow::Result<Running> {
    let Prepared { google, intake, sealer, registry } = prepare_with(&config, mode, registry)?;
    metrics::register(&registry, mode).context("register the process's metrics")?;
    telemetry::set_project(&config.store.project);
    for note in &config.notes {
        tracing::info!("{note}");
    }
    let kms = google.kms();
    let intake = match intake {
        Some(intake) => Some(intake.open(&kms).await?),
        None => None,
    };
    let sealer = match sealer {
        Some(sealer) => Some(sealer.open(&kms).await?),
        None => None,
    };
    let stop_embedded = CancellationToken::new();
    let Connected { store, embedded } =
        connect(&config.store, &registry, stop_embedded.clone()).await?;
    let parts = Parts::new(store, google, registry);
    let mut tasks = JoinSet::new();

    let controller =
        sealer.map(|sealer| parts.controller(&config, sealer, stop.clone())).transpose()?;
    if let Some(controller) = controller.clone() {
        let overdue = overdue(stop.clone());
        tasks.spawn(async move {
            tokio::select! {
                () = controller.run() => {}
                () = overdue => tracing::warn!("the controller is abandoned: it could not end in time"),
            }
            Ok(())
        });
    }
    let app = if let Some(intake) = intake {
        let listener = bind("listen.app", config.listen.app).await?;
        let address = listener.local_addr()?;
        tasks.spawn(serve(listener, parts.intake(&config, intake)?, stop.clone()));
        Some(address)
    } else {
        None
    };
    let listener = bind("listen.ops", config.listen.ops).await?;
    let ops = listener.local_addr()?;
    tasks.spawn(serve(
        listener,
        ops::router(Ops { registry: parts.registry.clone(), controller }),
        stop.clone(),
    ));
    tracing::info!(event = "runtime.startup", ?mode, ?app, %ops, installation = %config.installation, "started");
    Ok(Running { app, ops, parts: tasks, stop, embedded, stop_embedded })
}

/// Whether the parts of `mode` would be started with this configuration: all that [`start`] does before it connects to
/// anything. Must run inside a tokio runtime.
///
/// # Errors
/// Those of [`start`].
pub(crate) fn check(config: &Config, mode: Mode) -> anyhow::Result<()> {
    prepare(config, mode).map(|_| ())
}

/// What the configuration alone makes of a mode.
pub(crate) struct Prepared {
    pub(crate) google: Google,
    /// There if intake is to run.
    intake: Option<IntakeSource>,
    /// There if the controller is to run.
    pub(crate) sealer: Option<SealerSource>,
    pub(crate) registry: Registry,
}

/// What intake alone has, as the configuration has it.
struct IntakeSource {
    signer: SignerSource,
    form_key: FormKeySecret,
    iap: Arc<IapVerifier>,
}

/// What intake alone has.
struct IntakeSecrets {
    signer: Arc<dyn EnvelopeSigner>,
    form_key: FormKey,
    iap: Arc<IapVerifier>,
}

impl IntakeSource {
    fn of(config: &Config) -> anyhow::Result<Self> {
        let signer = SignerSource::of(config)?;
        let iap = IapVerifier::new(config.iap.clone(), Arc::new(SystemClock)).context("iap")?;
        Ok(Self { form_key: FormKeySecret::of(config, &signer)?, signer, iap: Arc::new(iap) })
    }

    async fn open(self, kms: &GoogleKms) -> anyhow::Result<IntakeSecrets> {
        Ok(IntakeSecrets {
            signer: self.signer.open(kms).await?,
            form_key: self.form_key.open(kms).await?,
            iap: self.iap,
        })
    }
}

/// Reads key files and judges everything else; sends nothing.
pub(crate) fn prepare(config: &Config, mode: Mode) -> anyhow::Result<Prepared> {
    prepare_with(config, mode, Registry::new())
}

fn prepare_with(config: &Config, mode: Mode, registry: Registry) -> anyhow::Result<Prepared> {
    check_mode(config, mode)?;
    install_crypto();
    store::check(&config.store)?;
    let google = google(config, &registry)?;
    let intake = mode.has_intake().then(|| IntakeSource::of(config)).transpose()?;
    let sealer = mode.has_controller().then(|| SealerSource::of(config)).transpose()?;
    Ok(Prepared { google, intake, sealer, registry })
}

fn check_mode(config: &Config, mode: Mode) -> anyhow::Result<()> {
    let is_embedded = matches!(config.store.kind, StoreKind::Embedded(_));
    ensure!(
        mode == Mode::All || !is_embedded,
        "store.kind: the embedded store serves `curfew all` only; separate processes need `firestore` (FIRESTORE_EMULATOR_HOST may name `curfew firestore-local`)"
    );
    let is_wide = !matches!(config.rules.scope, Resource::Project(_));
    ensure!(
        mode != Mode::All || !is_wide || config.accept_single_process,
        "acceptSingleProcess: `curfew all` puts intake and controller into one trust domain; with {} as scope say `acceptSingleProcess: true`, or run `curfew intake` and `curfew controller`",
        config.rules.scope
    );
    Ok(())
}

/// jsonwebtoken and rustls each want one process-wide back end; both get aws-lc.
pub(crate) fn install_crypto() {
    let rustls = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let jwt = jsonwebtoken::crypto::CryptoProvider::install_default(
        &jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER,
    );
    if rustls.is_err() || jwt.is_err() {
        tracing::debug!("the cryptographic back end was installed before");
    }
}

pub(crate) async fn bind(setting: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("{setting}: listen on {address}"))
}

/// Serves HTTP until `stop`; what is still open [`STOP_GRACE`] later is cut off.
pub(crate) async fn serve(
    listener: TcpListener,
    router: axum::Router,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    // A reply in two segments would otherwise wait for the reader's delayed acknowledgement, 40 ms.
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection is gone already");
        }
    });
    let serving =
        axum::serve(listener, router).with_graceful_shutdown(stop.clone().cancelled_owned());
    tokio::select! {
        ended = serving => ended.context("serve HTTP"),
        () = overdue(stop) => Ok(()),
    }
}

/// Waits for the order to stop, and then as long as anything may take to obey it.
async fn overdue(stop: CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(STOP_GRACE).await;
}

/// What intake and controller are made of.
pub(crate) struct Parts {
    store: Arc<FirestoreStore>,
    google: Google,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    registry: Registry,
}

impl Parts {
    pub(crate) fn new(store: FirestoreStore, google: Google, registry: Registry) -> Self {
        Self {
            store: Arc::new(store),
            google,
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            registry,
        }
    }

    fn envelopes(config: &Config) -> EnvelopeVerifier {
        EnvelopeVerifier::new(config.installation.clone(), config.keys.clone())
    }

    pub(crate) fn controller(
        &self,
        config: &Config,
        sealer: Sealer,
        stop: CancellationToken,
    ) -> anyhow::Result<Arc<Controller>> {
        let ports = Ports {
            store: self.store.clone(),
            policies: Arc::new(self.google.policies()),
            catalog: Arc::new(self.google.catalog(config.rules.scope.clone())),
            directory: Arc::new(self.google.directory()),
            verifier: Arc::new(StoreVerifier::new(Self::envelopes(config), sealer.clone())),
            sealer: Arc::new(sealer),
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
        };
        let settings = Settings::new(
            config.installation.clone(),
            config.rules.clone(),
            config.operators.clone(),
        );
        let metrics =
            Metrics::register(&self.registry).context("register the controller's metrics")?;
        Ok(Arc::new(Controller::new(ports, settings, metrics, stop)))
    }

    fn intake(&self, config: &Config, own: IntakeSecrets) -> anyhow::Result<axum::Router> {
        let settings = curfew_intake::Settings {
            installation: config.installation.clone(),
            rules: config.rules.clone(),
            operators: team(&config.operators),
            auditors: team(&config.auditors),
            base_url: config.base_url.clone(),
            default_duration: config.default_duration,
            justification_hint: config.justification_hint.clone(),
            justification_pattern: config.justification_pattern.clone(),
            lists_from: config.lists_from,
            form_key: own.form_key,
        };
        Ok(curfew_intake::router(Intake {
            store: self.store.clone(),
            catalog: Arc::new(self.google.catalog(config.rules.scope.clone())),
            directory: Arc::new(self.google.directory()),
            signer: own.signer,
            verifier: Arc::new(Self::envelopes(config)),
            iap: own.iap,
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
            metrics: curfew_intake::Metrics::register(&self.registry)
                .context("register intake's metrics")?,
            settings,
        }))
    }
}

/// The same people, as intake names them.
fn team(people: &Operators) -> Team {
    Team { people: people.people.clone(), groups: people.groups.clone() }
}

pub(crate) fn google(config: &Config, registry: &Registry) -> anyhow::Result<Google> {
    let Identity { cloud, metadata } = &config.identity;
    let config = curfew_gcp::Config {
        endpoints: cloud.as_deref().map_or_else(Endpoints::default, Endpoints::all_at),
        tokens: metadata.clone().map_or(TokenSource::ApplicationDefault, TokenSource::Metadata),
        timeouts: config.timeouts,
        projects_query: config.projects_query.clone(),
        on_call: Some(metrics::google_calls(registry).context("register the metrics of calls")?),
    };
    Google::new(config).context("Google's clients")
}

#[cfg(test)]
mod tests;
