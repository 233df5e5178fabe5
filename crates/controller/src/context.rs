//! What every part of the controller shares.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use curfew_ports::{
    Catalog, Clock, Directory, Entropy, FactSealer, PolicyClient, RequestStore, Verifier,
};

use crate::actor::Actors;
use crate::gather::Lookups;
use crate::ledger::Noted;
use crate::metrics::Metrics;
use crate::queue::Queue;
use crate::settings::Settings;
use crate::view::View;
use tokio_util::sync::CancellationToken;

/// How far the clock may differ from the store's commit times before the controller acts on nothing.
pub(crate) const CLOCK_SKEW_MAX: TimeDelta = TimeDelta::seconds(2);

/// How often the clocks are compared while they disagree: soon enough to go on when the clock is put right.
const CLOCK_PROBE_EVERY: Duration = Duration::from_secs(5);

/// The world outside.
#[derive(Clone)]
pub struct Ports {
    /// Requests.
    pub store: Arc<dyn RequestStore>,
    /// Policies, to read and write.
    pub policies: Arc<dyn PolicyClient>,
    /// The hierarchy and its policies, to read.
    pub catalog: Arc<dyn Catalog>,
    /// Groups.
    pub directory: Arc<dyn Directory>,
    /// What may be believed.
    pub verifier: Arc<dyn Verifier>,
    /// The controller's own key.
    pub sealer: Arc<dyn FactSealer>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
}

/// Whether the controller can be relied on now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    /// The whole live set was read at least once.
    pub has_synced: bool,
    /// The clock agrees with the store's commit times.
    pub clock_agrees: bool,
}

impl Health {
    /// Both.
    pub fn is_ready(self) -> bool {
        self.has_synced && self.clock_agrees
    }
}

pub(crate) struct Context {
    pub(crate) ports: Ports,
    pub(crate) settings: Settings,
    pub(crate) metrics: Metrics,
    pub(crate) queue: Queue,
    pub(crate) view: View,
    pub(crate) lookups: Lookups,
    pub(crate) actors: Actors,
    pub(crate) noted: Noted,
    pub(crate) stop: CancellationToken,
    has_synced: AtomicBool,
    skew_ms: AtomicI64,
    clock_probed_at: Mutex<Option<Duration>>,
}

impl Context {
    pub(crate) fn new(
        ports: Ports,
        settings: Settings,
        metrics: Metrics,
        stop: CancellationToken,
    ) -> Self {
        Self {
            queue: Queue::new(ports.entropy.clone(), metrics.clone()),
            view: View::new(ports.verifier.clone()),
            lookups: Lookups::new(ports.clone()),
            actors: Actors::new(),
            noted: Noted::default(),
            stop,
            has_synced: AtomicBool::new(false),
            skew_ms: AtomicI64::new(0),
            clock_probed_at: Mutex::new(None),
            ports,
            settings,
            metrics,
        }
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.ports.clock.now()
    }

    pub(crate) fn health(&self) -> Health {
        let skew = TimeDelta::milliseconds(self.skew_ms.load(Ordering::Relaxed));
        Health {
            has_synced: self.has_synced.load(Ordering::Relaxed),
            clock_agrees: skew.abs() <= CLOCK_SKEW_MAX,
        }
    }

    /// Whether the last comparison of the clocks is long enough ago for another one; notes that it is made now.
    pub(crate) fn may_probe_clock(&self) -> bool {
        let now = self.ports.clock.elapsed();
        let mut probed_at = self.clock_probed_at.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = probed_at.is_none_or(|at| now.saturating_sub(at) >= CLOCK_PROBE_EVERY);
        if is_due {
            *probed_at = Some(now);
        }
        is_due
    }

    pub(crate) fn synced(&self) {
        self.has_synced.store(true, Ordering::Relaxed);
    }

    /// Compares the store's commit time with the clock at the middle of a call that took `took`.
    ///
    /// Half of the call's own duration is benefit of the doubt: a slow answer is no wrong clock.
    pub(crate) fn compare_clock(&self, committed_at: DateTime<Utc>, took: Duration) {
        let half =
            TimeDelta::from_std(took.checked_div(2).unwrap_or_default()).unwrap_or(TimeDelta::MAX);
        let middle = self.now().checked_sub_signed(half).unwrap_or(committed_at);
        let apart = middle.signed_duration_since(committed_at);
        let beyond = (apart.abs().checked_sub(&half)).unwrap_or_default().max(TimeDelta::zero());
        let skew_ms = beyond.num_milliseconds().saturating_mul(apart.num_milliseconds().signum());
        self.skew_ms.store(skew_ms, Ordering::Relaxed);
        self.metrics.clock_skew(skew_ms);
        if beyond > CLOCK_SKEW_MAX {
            tracing::error!(
                skew_ms,
                "this clock and the store's differ by more than 2 s: nothing is acted on"
            );
        }
    }
}
