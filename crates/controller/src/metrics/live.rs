//! States and ages, worked out when somebody looks: between two looks they cost nothing, and a process that no longer
//! does anything shows ages that grow.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use chrono::{DateTime, Utc};
use curfew_core::chain::Chain;
use curfew_core::phase::Phase;
use curfew_core::request::Request;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Gauge, GaugeVec, IntGauge, IntGaugeVec, Opts};

use super::maker::signed;
use super::policies::LIMITS;
use super::requests::over_at;
use crate::sight::Room;
use crate::view::{Known, start_of};

/// Who knows how things stand.
pub(crate) trait Watched: Send + Sync {
    /// How they stand now.
    fn state(&self) -> State;
}

/// How things stand.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct State {
    pub(crate) queue: QueueState,
    /// `None` until the whole live set was read once: what is not known is not shown as nothing.
    pub(crate) requests: Option<LiveRequests>,
    /// Bindings with our title that no verified fact asks for, as last seen.
    pub(crate) unauthorised: usize,
    /// The least room over all policies, as last seen; `None` if none was read.
    pub(crate) room: Option<Room>,
    /// How long the watch has said nothing.
    pub(crate) watch_age: Duration,
    /// How long ago the last whole read of the live set began.
    pub(crate) resync_age: Duration,
}

/// The queue and its workers at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct QueueState {
    pub(crate) waiting: usize,
    pub(crate) working: usize,
    /// How long all that is being worked on has been, added up.
    pub(crate) unfinished: Duration,
    /// How long the oldest of it has been.
    pub(crate) longest: Duration,
}

/// The live requests at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct LiveRequests {
    by_phase: [usize; Phase::ALL.len()],
    /// How long the oldest access has been over that is not proven gone.
    overdue: Duration,
}

impl LiveRequests {
    /// Counts requests.
    pub(crate) fn of(all: &[Known], now: DateTime<Utc>) -> Self {
        let mut counted = Self::default();
        for known in all {
            counted.count(&known.request, now);
        }
        counted
    }

    fn count(&mut self, request: &Request, now: DateTime<Utc>) {
        let chain = Chain::of(&request.facts);
        let phase = Phase::of(&chain, start_of(request));
        for (slot, _) in self.by_phase.iter_mut().zip(Phase::ALL).filter(|(_, it)| *it == phase) {
            *slot = slot.saturating_add(1);
        }
        self.overdue = self.overdue.max(overdue(request, &chain, now));
    }

    fn phases(&self) -> impl Iterator<Item = (Phase, usize)> {
        Phase::ALL.into_iter().zip(self.by_phase).filter(|(phase, _)| *phase != Phase::Ended)
    }
}

/// How long access has been over without proof that nothing of it is left. That a cloud or a store does not answer
/// proves nothing, so it goes on growing; that nothing was recorded of an end that has passed does not stop it.
fn overdue(request: &Request, chain: &Chain<'_>, now: DateTime<Utc>) -> Duration {
    let Some(grant) = chain.grant.as_ref().filter(|_| chain.ended.is_none()) else {
        return Duration::ZERO;
    };
    let over_at = over_at(request, chain).map_or(grant.expires_at, |(at, _)| at);
    now.signed_duration_since(over_at).to_std().unwrap_or_default()
}

/// See the module's documentation. Cheap to clone.
#[derive(Clone)]
pub(super) struct Live {
    gauges: Gauges,
    watched: Arc<Mutex<Option<Weak<dyn Watched>>>>,
}

impl Live {
    pub(super) fn new(gauges: Gauges) -> Self {
        Self { gauges, watched: Arc::default() }
    }

    pub(super) fn watch(&self, watched: Weak<dyn Watched>) {
        *self.watched.lock().unwrap_or_else(PoisonError::into_inner) = Some(watched);
    }

    fn state(&self) -> Option<State> {
        let watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Some(watched?.upgrade()?.state())
    }
}

impl Collector for Live {
    fn desc(&self) -> Vec<&Desc> {
        self.gauges.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.state().map(|state| self.gauges.show(&state)).unwrap_or_default()
    }
}

/// Where states are written for those who look.
#[derive(Clone)]
pub(super) struct Gauges {
    depth: IntGauge,
    unfinished: Gauge,
    longest: Gauge,
    active_workers: IntGauge,
    by_phase: IntGaugeVec,
    active: IntGauge,
    overdue: Gauge,
    unauthorised: IntGauge,
    headroom: GaugeVec,
    watch_age: Gauge,
    resync_age: Gauge,
}

impl Gauges {
    pub(super) fn new() -> prometheus::Result<Self> {
        let by_phase = Opts::new("curfew_requests", "Live requests by phase.");
        let headroom = Opts::new(
            "curfew_policy_headroom_ratio",
            "The free share of a limit of Google's in the fullest policy, as last read.",
        );
        Ok(Self {
            depth: IntGauge::new("workqueue_depth", "Requests waiting for a worker.")?,
            unfinished: Gauge::new(
                "workqueue_unfinished_work_seconds",
                "How long what is being worked on has been, added up: what is stuck makes it grow.",
            )?,
            longest: Gauge::new(
                "workqueue_longest_running_processor_seconds",
                "How long the oldest pass that is under way has been.",
            )?,
            active_workers: IntGauge::new(
                "controller_runtime_active_workers",
                "How many requests are being worked on.",
            )?,
            by_phase: IntGaugeVec::new(by_phase, &["phase"])?,
            active: IntGauge::new(
                "curfew_grants_active",
                "Requests whose access was given and is not over.",
            )?,
            overdue: Gauge::new(
                "curfew_oldest_overdue_binding_seconds",
                "How long the oldest access has been over that is not proven gone; 0 if there is none.",
            )?,
            unauthorised: IntGauge::new(
                "curfew_unauthorised_bindings",
                "Bindings with our title that no verified fact asks for, as last seen.",
            )?,
            headroom: GaugeVec::new(headroom, &["limit"])?,
            watch_age: Gauge::new(
                "curfew_watch_last_event_age_seconds",
                "How long the watch on the store has said nothing; one that is quiet and healthy says so every minute.",
            )?,
            resync_age: Gauge::new(
                "curfew_last_resync_age_seconds",
                "How long ago the last successful read of the whole live set began.",
            )?,
        })
    }

    fn desc(&self) -> Vec<&Desc> {
        self.always()
            .into_iter()
            .chain(self.once_synced())
            .chain(self.once_read())
            .flat_map(Collector::desc)
            .collect()
    }

    fn always(&self) -> [&dyn Collector; 7] {
        [
            &self.depth,
            &self.unfinished,
            &self.longest,
            &self.active_workers,
            &self.unauthorised,
            &self.watch_age,
            &self.resync_age,
        ]
    }

    fn once_synced(&self) -> [&dyn Collector; 3] {
        [&self.by_phase, &self.active, &self.overdue]
    }

    fn once_read(&self) -> [&dyn Collector; 1] {
        [&self.headroom]
    }

    fn show(&self, state: &State) -> Vec<MetricFamily> {
        self.show_queue(&state.queue);
        self.unauthorised.set(signed(state.unauthorised));
        self.watch_age.set(state.watch_age.as_secs_f64());
        self.resync_age.set(state.resync_age.as_secs_f64());
        let mut shown = self.always().to_vec();
        if let Some(requests) = &state.requests {
            self.show_requests(requests);
            shown.extend(self.once_synced());
        }
        if let Some(room) = state.room {
            for (limit, free) in LIMITS.into_iter().zip([room.principals, room.role_and_member]) {
                self.headroom.with_label_values(&[limit]).set(free);
            }
            shown.extend(self.once_read());
        }
        shown.into_iter().flat_map(Collector::collect).collect()
    }

    fn show_queue(&self, queue: &QueueState) {
        self.depth.set(signed(queue.waiting));
        self.active_workers.set(signed(queue.working));
        self.unfinished.set(queue.unfinished.as_secs_f64());
        self.longest.set(queue.longest.as_secs_f64());
    }

    fn show_requests(&self, requests: &LiveRequests) {
        for (phase, n) in requests.phases() {
            self.by_phase.with_label_values(&[phase.as_str()]).set(signed(n));
            if phase == Phase::Active {
                self.active.set(signed(n));
            }
        }
        self.overdue.set(requests.overdue.as_secs_f64());
    }
}
