//! The reconciling controller: watch and resync → queue → gather → decide → execute → record.
//!
//! It makes no choice that matters: [`curfew_core::reconcile`] decides, this crate gathers what the decision looks
//! at and does what the plan says. Safety never rests on the watch, on a cached read, on the queue's order or on
//! there being one controller: every commit carries the version that was judged, every policy write the etag that
//! was read, and a policy change is asked for only by facts that verify.
#![warn(clippy::arithmetic_side_effects, clippy::indexing_slicing)]

mod actor;
mod context;
mod explain;
mod feed;
mod gather;
mod heartbeat;
mod ledger;
mod metrics;
mod pass;
mod queue;
mod record;
mod search;
mod settings;
mod shared;
mod sight;
mod turn;
mod view;

use std::sync::{Arc, Weak};

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use context::{Health, Ports};
pub use explain::Explained;
pub use metrics::Metrics;
pub use settings::{Operators, Settings};

use context::Context;
use heartbeat::Pulse;
use metrics::Watched;

/// The controller of one installation.
pub struct Controller {
    context: Arc<Context>,
}

impl Controller {
    /// A controller over these ports that works until `stop`.
    pub fn new(
        ports: Ports,
        settings: Settings,
        metrics: Metrics,
        stop: CancellationToken,
    ) -> Self {
        metrics.workers(settings.n_workers);
        let context = Arc::new(Context::new(ports, settings, metrics, stop));
        let watched: Weak<dyn Watched> = Arc::downgrade(&(context.clone() as Arc<dyn Watched>));
        context.metrics.watch(watched);
        Self { context }
    }

    /// Whether it has seen the whole live set and agrees with the store about the time.
    pub fn health(&self) -> Health {
        self.context.health()
    }

    /// Works until it is told to stop; then takes no further turn, finishes what was begun, and returns.
    ///
    /// If the process dies anywhere in here, another run carries every request to its end: facts are recorded
    /// before they are acted on, and policy writes are recorded as intents before they are sent.
    pub async fn run(&self) {
        let Some(pulse) = Pulse::start(&self.context).await else { return };
        let tasks = TaskTracker::new();
        tasks.spawn(feed::resync_forever(self.context.clone()));
        tasks.spawn(feed::watch_forever(self.context.clone()));
        tasks.spawn(feed::read_resources_forever(self.context.clone()));
        for _ in 0..self.context.settings.n_workers {
            tasks.spawn(pass::work(self.context.clone()));
        }
        tasks.spawn(pulse.go_on(self.context.clone()));
        tasks.close();
        self.context.stop.cancelled().await;
        self.context.queue.close();
        tasks.wait().await;
        self.context.actors.wait().await;
    }
}
