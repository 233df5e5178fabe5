//! What every part of the controller shares.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use curfew_core::planted;
use curfew_ports::{
    Catalog, Clock, Directory, Entropy, FactSealer, PolicyClient, RequestStore, Verifier,
};

use crate::actor::Actors;
use crate::gather::Lookups;
use crate::ledger::Noted;
use crate::metrics::{LiveRequests, Metrics, State, Watched};
use crate::queue::Queue;
use crate::record::Mended;
use crate::settings::Settings;
use crate::view::View;
use tokio_util::sync::CancellationToken;

/// How far the clock may differ from the store's commit times before the controller acts on nothing.
pub(crate) const CLOCK_SKEW_MAX: TimeDelta = TimeDelta::seconds(2);

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
    /// The clock was compared with the store's commit times, and agrees with them.
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
    pub(crate) mended: Mended,
    pub(crate) stop: CancellationToken,
    has_synced: AtomicBool,
    /// When the watch last said anything, and when the last whole read of the live set began; at first, the start.
    heard_at: Mutex<Duration>,
    resynced_at: Mutex<Duration>,
    compared: Mutex<Option<Compared>>,
}

/// The last comparison with the store's clock.
#[derive(Clone, Copy)]
struct Compared {
    /// How far this clock was ahead.
    skew: TimeDelta,
    /// What this clock said then.
    at: DateTime<Utc>,
    /// The monotonic time then: a clock that is put wrong leaves it behind at once.
    elapsed: Duration,
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
            view: View::new(ports.verifier.clone(), settings.rules.peers.decide_within),
            lookups: Lookups::new(ports.clone()),
            actors: Actors::new(),
            noted: Noted::default(),
            mended: Mended::default(),
            stop,
            has_synced: AtomicBool::new(false),
            heard_at: Mutex::new(ports.clock.elapsed()),
            resynced_at: Mutex::new(ports.clock.elapsed()),
            compared: Mutex::new(None),
            ports,
            settings,
            metrics,
        }
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.ports.clock.now()
    }

    pub(crate) fn health(&self) -> Health {
        let compared = *self.compared.lock().unwrap_or_else(PoisonError::into_inner);
        Health {
            has_synced: self.has_synced.load(Ordering::Relaxed),
            clock_agrees: compared.is_some_and(|compared| self.still_agrees(compared)),
        }
    }

    /// Whether the clock agreed with the store's, and has not been put elsewhere since.
    fn still_agrees(&self, compared: Compared) -> bool {
        let by_clock = self.now().signed_duration_since(compared.at);
        let passed = self.ports.clock.elapsed().saturating_sub(compared.elapsed);
        let stepped = TimeDelta::from_std(passed)
            .ok()
            .and_then(|passed| by_clock.checked_sub(&passed))
            .unwrap_or(TimeDelta::MAX);
        let stepped = planted!("clock-steps-unseen", TimeDelta::zero(), stepped);
        let skew = compared.skew.checked_add(&stepped).unwrap_or(TimeDelta::MAX);
        skew.abs() <= CLOCK_SKEW_MAX
    }

    /// Notes that the whole live set was read, from `began` on.
    pub(crate) fn synced(&self, began: Duration) {
        self.has_synced.store(true, Ordering::Relaxed);
        *self.resynced_at.lock().unwrap_or_else(PoisonError::into_inner) = began;
    }

    /// Notes that the watch said something.
    pub(crate) fn heard(&self) {
        let now = self.ports.clock.elapsed();
        *self.heard_at.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }

    /// How long ago something was.
    fn since(&self, at: &Mutex<Duration>) -> Duration {
        let at = *at.lock().unwrap_or_else(PoisonError::into_inner);
        self.ports.clock.elapsed().saturating_sub(at)
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
        let is_behind = apart < TimeDelta::zero();
        let skew = if is_behind {
            TimeDelta::zero().checked_sub(&beyond).unwrap_or(TimeDelta::MIN)
        } else {
            beyond
        };
        let compared = Compared { skew, at: self.now(), elapsed: self.ports.clock.elapsed() };
        *self.compared.lock().unwrap_or_else(PoisonError::into_inner) = Some(compared);
        self.metrics.clock_skew(skew);
        if beyond > CLOCK_SKEW_MAX {
            tracing::error!(
                skew_ms = skew.num_milliseconds(),
                "this clock and the store's differ by more than 2 s: nothing is acted on"
            );
        }
    }
}

impl Watched for Context {
    fn state(&self) -> State {
        let (unauthorised, room) = self.actors.sights();
        let has_synced = self.has_synced.load(Ordering::Relaxed);
        State {
            queue: self.queue.state(),
            requests: has_synced.then(|| LiveRequests::of(&self.view.all(), self.now())),
            unauthorised,
            room,
            watch_age: self.since(&self.heard_at),
            resync_age: self.since(&self.resynced_at),
        }
    }
}
