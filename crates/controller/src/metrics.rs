//! What operators watch. Names of the machinery are those that controller-runtime and client-go use.
//!
//! No label carries a person, a request or free text: every label's values are a closed set of the code.

use std::time::Duration;

use chrono::TimeDelta;
use curfew_core::apply::Refusal;
use curfew_core::chain::Chain;
use curfew_core::fact::{DraftFact, Fact};
use curfew_core::phase::Phase;
use prometheus::core::Collector;
use prometheus::{
    Gauge, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry,
};

use crate::view::Known;

/// From a millisecond to five minutes: a local store answers in the one, a policy conflict storm takes the other.
const SECONDS: [f64; 14] =
    [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0];

/// Up to a thousand grants on one project at once.
const REQUESTS: [f64; 9] = [1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 1000.0];

/// The controller's metrics. Cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    work: Work,
    requests: Requests,
    policies: Policies,
    store: Store,
}

/// The queue and its workers.
#[derive(Clone)]
struct Work {
    depth: IntGauge,
    adds: IntCounter,
    retries: IntCounter,
    queue_duration: Histogram,
    duration: Histogram,
    reconciled: IntCounter,
}

/// Requests and their access.
#[derive(Clone)]
struct Requests {
    by_phase: IntGaugeVec,
    ended: IntCounterVec,
    to_active: Histogram,
    removal_lag: Histogram,
    active: IntGauge,
    drift: IntCounterVec,
}

/// Policies.
#[derive(Clone)]
struct Policies {
    writes: IntCounterVec,
    conflicts: IntCounter,
    batch_size: Histogram,
    full: IntCounterVec,
    planted: IntCounter,
    foreign_diff_refusals: IntCounter,
}

/// The store.
#[derive(Clone)]
struct Store {
    forgeries: IntCounterVec,
    watch_events: IntCounter,
    resync_duration: Histogram,
    clock_skew: Gauge,
}

/// Makes metrics and registers them.
struct Maker<'a>(&'a Registry);

impl Maker<'_> {
    fn kept<C: Collector + Clone + 'static>(
        &self,
        metric: prometheus::Result<C>,
    ) -> prometheus::Result<C> {
        let metric = metric?;
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn counter(&self, name: &str, help: &str) -> prometheus::Result<IntCounter> {
        self.kept(IntCounter::new(name, help))
    }

    fn counters(&self, name: &str, help: &str, label: &str) -> prometheus::Result<IntCounterVec> {
        self.kept(IntCounterVec::new(Opts::new(name, help), &[label]))
    }

    fn gauge(&self, name: &str, help: &str) -> prometheus::Result<IntGauge> {
        self.kept(IntGauge::new(name, help))
    }

    fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> prometheus::Result<Histogram> {
        self.kept(Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec())))
    }

    fn seconds(&self, name: &str, help: &str) -> prometheus::Result<Histogram> {
        self.histogram(name, help, &SECONDS)
    }
}

impl Work {
    fn new(make: &Maker<'_>) -> prometheus::Result<Self> {
        Ok(Self {
            depth: make.gauge("workqueue_depth", "Requests waiting for a worker.")?,
            adds: make.counter("workqueue_adds_total", "Requests queued.")?,
            retries: make
                .counter("workqueue_retries_total", "Requests queued again after a failure.")?,
            queue_duration: make.seconds(
                "workqueue_queue_duration_seconds",
                "How long a request waits for a worker.",
            )?,
            duration: make.seconds(
                "workqueue_work_duration_seconds",
                "How long a worker takes for a request.",
            )?,
            reconciled: make.counter("controller_runtime_reconcile_total", "Passes made.")?,
        })
    }
}

impl Requests {
    fn new(make: &Maker<'_>) -> prometheus::Result<Self> {
        let by_phase =
            IntGaugeVec::new(Opts::new("curfew_requests", "Live requests by phase."), &["phase"]);
        Ok(Self {
            by_phase: make.kept(by_phase)?,
            ended: make.counters(
                "curfew_requests_total",
                "Requests ended, by outcome.",
                "outcome",
            )?,
            to_active: make.seconds(
                "curfew_request_to_active_seconds",
                "From filing to binding seen, if asked for at once.",
            )?,
            removal_lag: make.seconds(
                "curfew_removal_lag_seconds",
                "From the end of access to nothing left in the policy.",
            )?,
            active: make.gauge("curfew_grants_active", "Grants whose binding is in a policy.")?,
            drift: make.counters(
                "curfew_drift_total",
                "Bindings of ours found removed or altered.",
                "kind",
            )?,
        })
    }
}

impl Policies {
    fn new(make: &Maker<'_>) -> prometheus::Result<Self> {
        Ok(Self {
            writes: make.counters(
                "curfew_policy_writes_total",
                "Policy writes by result.",
                "result",
            )?,
            conflicts: make
                .counter("curfew_policy_conflicts_total", "Policy writes that lost a race.")?,
            batch_size: make.histogram(
                "curfew_policy_batch_size",
                "Requests per policy write.",
                &REQUESTS,
            )?,
            full: make.counters(
                "curfew_policy_full_total",
                "Grants that did not fit into a policy.",
                "limit",
            )?,
            planted: make.counter(
                "curfew_planted_bindings_seen_total",
                "Sightings of bindings with our title that we did not write.",
            )?,
            foreign_diff_refusals: make.counter(
                "curfew_foreign_diff_refusals_total",
                "Policy writes refused because they would change what is not ours.",
            )?,
        })
    }
}

impl Store {
    fn new(make: &Maker<'_>) -> prometheus::Result<Self> {
        let skew = "This clock minus the store's commit time, beyond the call's own duration.";
        Ok(Self {
            forgeries: make.counters(
                "curfew_forgery_rejections_total",
                "Stored documents that did not verify.",
                "reason",
            )?,
            watch_events: make
                .counter("curfew_watch_events_total", "Events of the watch on the store.")?,
            resync_duration: make.seconds(
                "curfew_resync_duration_seconds",
                "How long a read of the whole live set takes.",
            )?,
            clock_skew: make.kept(Gauge::new("curfew_clock_skew_seconds", skew))?,
        })
    }
}

impl Metrics {
    /// Metrics that `registry` gives out; an error if one is registered already.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let make = Maker(registry);
        Ok(Self {
            work: Work::new(&make)?,
            requests: Requests::new(&make)?,
            policies: Policies::new(&make)?,
            store: Store::new(&make)?,
        })
    }

    /// Metrics that nobody gives out, for tests.
    #[cfg(test)]
    pub(crate) fn unregistered() -> Self {
        Self::register(&Registry::new()).unwrap()
    }

    pub(crate) fn queue_added(&self) {
        self.work.adds.inc();
    }

    pub(crate) fn queue_retried(&self) {
        self.work.retries.inc();
    }

    pub(crate) fn queue_taken(&self, left: usize, waited: Duration) {
        self.work.depth.set(i64::try_from(left).unwrap_or(i64::MAX));
        self.work.queue_duration.observe(waited.as_secs_f64());
    }

    pub(crate) fn reconciled(&self, took: Duration) {
        self.work.reconciled.inc();
        self.work.duration.observe(took.as_secs_f64());
    }

    pub(crate) fn recorded(&self, draft: &DraftFact, known: &Known) {
        match draft {
            Fact::Outcome(outcome) => {
                self.requests.ended.with_label_values(&[outcome.reason.as_str()]).inc();
            }
            Fact::Drift { kind } => self.requests.drift.with_label_values(&[kind.as_str()]).inc(),
            Fact::Bound { .. } => self.bound(known),
            Fact::Ended { .. } => self.ended(known),
            Fact::Seen { .. }
            | Fact::Eligible(_)
            | Fact::Approval { .. }
            | Fact::Grant(_)
            | Fact::Unknown { .. } => {}
        }
    }

    fn bound(&self, known: &Known) {
        let chain = Chain::of(&known.request.facts);
        let is_immediate = known.request.spec.as_ref().is_ok_and(|spec| spec.start_at.is_none());
        if let Some(bound_at) = chain.bound_at.filter(|_| is_immediate) {
            observe(
                &self.requests.to_active,
                bound_at.signed_duration_since(known.request.created_at),
            );
        }
    }

    fn ended(&self, known: &Known) {
        let chain = Chain::of(&known.request.facts);
        let ended_at = known.request.facts.iter().next_back().map(|recorded| recorded.at);
        let (Some(grant), Some(over), Some(ended_at)) = (&chain.grant, &chain.outcome, ended_at)
        else {
            return;
        };
        observe(
            &self.requests.removal_lag,
            ended_at.signed_duration_since(over.at.min(grant.expires_at)),
        );
    }

    pub(crate) fn policy_written(&self, result: &'static str, n_requests: usize) {
        self.policies.writes.with_label_values(&[result]).inc();
        if let Ok(n) = u32::try_from(n_requests) {
            self.policies.batch_size.observe(f64::from(n));
        }
    }

    pub(crate) fn policy_conflict(&self) {
        self.policies.conflicts.inc();
    }

    pub(crate) fn policy_full(&self, refusal: Refusal) {
        self.policies.full.with_label_values(&[refusal.as_str()]).inc();
    }

    pub(crate) fn planted(&self, n: usize) {
        self.policies.planted.inc_by(u64::try_from(n).unwrap_or(u64::MAX));
    }

    pub(crate) fn foreign_diff_refused(&self) {
        self.policies.foreign_diff_refusals.inc();
    }

    pub(crate) fn forgery(&self, reason: &'static str) {
        self.store.forgeries.with_label_values(&[reason]).inc();
    }

    pub(crate) fn watch_event(&self) {
        self.store.watch_events.inc();
    }

    pub(crate) fn resynced(&self, took: Duration) {
        self.store.resync_duration.observe(took.as_secs_f64());
    }

    pub(crate) fn clock_skew(&self, skew: TimeDelta) {
        self.store.clock_skew.set(skew.as_seconds_f64());
    }

    /// Counts what is known by phase.
    pub(crate) fn snapshot(&self, known: &[Known]) {
        let phase_of = |known: &Known| {
            let start_at = known.request.spec.as_ref().ok().and_then(|spec| spec.start_at);
            Phase::of(&Chain::of(&known.request.facts), start_at)
        };
        for phase in Phase::ALL {
            let n = known.iter().filter(|known| phase_of(known) == phase).count();
            let n = i64::try_from(n).unwrap_or(i64::MAX);
            self.requests.by_phase.with_label_values(&[phase.as_str()]).set(n);
            if phase == Phase::Active {
                self.requests.active.set(n);
            }
        }
    }
}

fn observe(histogram: &Histogram, lag: TimeDelta) {
    histogram.observe(lag.to_std().unwrap_or_default().as_secs_f64());
}
