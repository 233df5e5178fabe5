//! The thin intake: HTTP API and pages that record what people ask for and do, and nothing else.
//!
//! It reads policies and groups, reads and writes the request store, and signs people's acts. It cannot change a
//! policy: it knows the ports `Catalog` and `Directory` only. Whatever comes from the store is shown after its
//! envelopes are verified; facts it cannot verify, so `status` and the timeline are shown as the store has them.
//!
//! Everything is behind Google's Identity-Aware Proxy but `GET /health`.

mod acts;
mod api;
mod asked;
mod auth;
mod body;
mod decisions;
mod eligibility;
mod errors;
mod filing;
mod form_token;
mod guard;
mod justification;
mod limits;
mod metrics;
mod offers;
mod page_token;
mod params;
mod peers;
mod routes;
mod settings;
mod standing;
#[cfg(test)]
mod tests;
mod text;
mod timeline;
mod trace;
mod ui;
mod view;
mod warnings;

use std::sync::Arc;

use chrono::{DateTime, SubsecRound as _, Utc};
use curfew_ports::{Catalog, Clock, Directory, Entropy, EnvelopeSigner, RequestStore, Verifier};
use curfew_trust::IapVerifier;

pub use errors::{Code, Reason, Refusal};
pub use justification::JustificationPattern;
pub use metrics::Metrics;
pub use routes::router;
pub use settings::{BaseUrl, FormKey, ListSource, Settings, SettingsError, Team};

/// What intake is made of.
pub struct Intake {
    /// Requests and people's acts.
    pub store: Arc<dyn RequestStore>,
    /// Policies and projects, read only.
    pub catalog: Arc<dyn Catalog>,
    /// Groups.
    pub directory: Arc<dyn Directory>,
    /// Signs people's acts.
    pub signer: Arc<dyn EnvelopeSigner>,
    /// Says which envelopes of a stored request may be shown.
    pub verifier: Arc<dyn Verifier>,
    /// Says who is signed in.
    pub iap: Arc<IapVerifier>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Ids and nonces.
    pub entropy: Arc<dyn Entropy>,
    /// Where durations of replies are counted.
    pub metrics: Metrics,
    /// What the installation configures.
    pub settings: Settings,
}

/// The one shared state of all routes.
struct App {
    intake: Intake,
    lists: Arc<offers::Shelf>,
    limits: limits::Limits,
}

type Shared = Arc<App>;

impl App {
    fn new(intake: Intake) -> Self {
        let lists = Arc::new(offers::Shelf::new(&intake));
        let limits = limits::Limits::new(&intake.clock);
        Self { intake, lists, limits }
    }

    fn settings(&self) -> &Settings {
        &self.intake.settings
    }

    /// The time in the resolution that signed payloads have.
    fn now(&self) -> DateTime<Utc> {
        self.intake.clock.now().trunc_subsecs(6)
    }
}
