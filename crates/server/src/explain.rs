//! `curfew explain`: why one request stands where it stands.
//!
//! It runs under the controller's identity and configuration, as `curfew audit verify` does: only that process can
//! verify the chain of facts, and only it may read every policy in scope. It writes nothing.

mod told;

use anyhow::{Context as _, anyhow};
use clap::Args;
use curfew_core::id::RequestId;
use curfew_ports::RequestStore as _;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, StoreKind};
use crate::run::{Mode, Parts, Prepared, prepare};
use crate::store::{Connected, connect};
use told::Told;

/// What to explain.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// The request: its id, or `requests/<id>`.
    id: String,
    /// Print JSON for programs.
    #[arg(long)]
    json: bool,
}

impl Explain {
    /// Reads the request and the live cloud, and says what is known, in the asked-for form.
    pub(crate) async fn run(&self, config: &Config) -> anyhow::Result<String> {
        let text = self.id.trim_start_matches("requests/");
        let id = RequestId::parse(text).map_err(|error| anyhow!("{:?}: {error}", self.id))?;
        // A store in a file belongs to the one process that has both parts.
        let is_embedded = matches!(config.store.kind, StoreKind::Embedded(_));
        let mode = if is_embedded { Mode::All } else { Mode::Controller };
        let Prepared { google, sealer, registry, .. } = prepare(config, mode)?;
        let sealer =
            sealer.context("factsKey: name the controller's key")?.open(&google.kms()).await?;
        let stop = CancellationToken::new();
        let Connected { store, embedded } = connect(&config.store, &registry, stop.clone()).await?;
        let found = store.get(std::slice::from_ref(&id)).await;
        let stored = found
            .map_err(|error| anyhow!("{}", error.chain()))?
            .remove(&id)
            .with_context(|| format!("there is no request {id}"))?;
        let controller =
            Parts::new(store, google, registry).controller(config, sealer, stop.clone())?;
        let told = Told::of(&stored, &controller.explain(stored.clone()).await);
        stop.cancel();
        if let Some(embedded) = embedded {
            embedded.wait().await?;
        }
        if self.json { told.to_json() } else { Ok(told.to_text()) }
    }
}
