//! A sign of life in the store, and with each one a look at the store's clock.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use curfew_core::id::ReplicaId;
use curfew_ports::{Heartbeat, PortError};

use crate::context::Context;
use crate::feed::is_stopped;

/// How often a process shows that it is alive; also how soon it notices that its clock was put wrong, or right again.
const BEAT_EVERY: Duration = Duration::from_secs(5);

/// How soon a beat that failed is tried again.
const BEAT_RETRY: Duration = Duration::from_secs(1);

/// How long a process that ends tries to take its sign of life back. One that stays is old soon, and whoever waits for the
/// process to end does not wait for ever.
const RETIRE_TIME_MAX: Duration = Duration::from_secs(2);

/// One run of this process, as other processes see it.
pub(crate) struct Pulse {
    replica: ReplicaId,
    started_at: DateTime<Utc>,
}

impl Pulse {
    /// Makes itself known. Gives `None` if it was told to stop before the store answered.
    ///
    /// Until then the clock was never compared with the store's, and nothing may be acted on.
    pub(crate) async fn start(context: &Context) -> Option<Self> {
        let replica = ReplicaId::from_bits(context.ports.entropy.bits());
        let pulse = Self { replica, started_at: context.now() };
        while let Err(error) = pulse.beat(context).await {
            report(&error);
            if is_stopped(context, BEAT_RETRY).await {
                return None;
            }
        }
        Some(pulse)
    }

    /// Beats until told to stop, and then takes the sign of life back.
    pub(crate) async fn go_on(self, context: Arc<Context>) {
        let mut pause = BEAT_EVERY;
        while !is_stopped(&context, pause).await {
            pause = match self.beat(&context).await {
                Ok(()) => BEAT_EVERY,
                Err(error) => {
                    report(&error);
                    BEAT_RETRY
                }
            };
        }
        let retired = context.ports.store.retire(&self.replica);
        match tokio::time::timeout(RETIRE_TIME_MAX, retired).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(error = error.chain(), "the heartbeat could not be taken back");
            }
            Err(_) => tracing::warn!("the heartbeat could not be taken back in time"),
        }
    }

    async fn beat(&self, context: &Context) -> Result<(), PortError> {
        let heartbeat = Heartbeat {
            replica: self.replica.clone(),
            started_at: self.started_at,
            at: context.now(),
        };
        let started = context.ports.clock.elapsed();
        let beaten = context.ports.store.beat(&heartbeat).await?;
        context.compare_clock(beaten.at, context.ports.clock.elapsed().saturating_sub(started));
        Ok(())
    }
}

fn report(error: &PortError) {
    tracing::warn!(error = error.chain(), "the store took no heartbeat");
}
