//! How old the index behind lists is, and what it holds.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use curfew_ports::{Clock, RetryClass};
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Gauge, Histogram, HistogramOpts, IntCounterVec, IntGauge, Opts, Registry};

/// The name of the age of the index.
const AGE: &str = "curfew_eligibility_snapshot_age_seconds";

/// Upper bounds, seconds: a small organisation is read in one call, a large one in hundreds.
const BUCKETS: [f64; 10] = [0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0];

/// What is measured of the index of eligible bindings.
#[derive(Debug, Clone)]
pub(crate) struct ListMetrics {
    age: Age,
    failures: IntCounterVec,
    durations: Histogram,
    bindings: IntGauge,
    flawed: IntGauge,
}

impl ListMetrics {
    pub(super) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let failures = Opts::new(
            "curfew_eligibility_refresh_failures_total",
            "Readings of all policies that failed and left the index as it was.",
        );
        let durations = HistogramOpts::new(
            "curfew_eligibility_refresh_seconds",
            "How long one reading of all policies in scope took.",
        );
        let bindings =
            IntGauge::new("curfew_eligible_bindings", "Eligible bindings in the index.")?;
        let flawed = IntGauge::new(
            "curfew_eligible_bindings_flawed",
            "Bindings that bear a marker and make nobody eligible; the log says why.",
        )?;
        let metrics = Self {
            age: Age::new()?,
            failures: failures_by_class(failures)?,
            durations: Histogram::with_opts(durations.buckets(BUCKETS.to_vec()))?,
            bindings,
            flawed,
        };
        registry.register(Box::new(metrics.age.clone()))?;
        registry.register(Box::new(metrics.failures.clone()))?;
        registry.register(Box::new(metrics.durations.clone()))?;
        registry.register(Box::new(metrics.bindings.clone()))?;
        registry.register(Box::new(metrics.flawed.clone()))?;
        Ok(metrics)
    }

    /// From now on the age is told, by this clock. Until everything was read once it counts from here: an index that
    /// never comes to be grows old too.
    pub(crate) fn begin(&self, clock: Arc<dyn Clock>) {
        let since = clock.elapsed();
        *self.age.state() = Some(State { clock, since });
    }

    /// A reading that began at `since` was whole.
    pub(crate) fn refreshed(&self, since: Duration, took: Duration) {
        if let Some(state) = self.age.state().as_mut() {
            state.since = since;
        }
        self.durations.observe(took.as_secs_f64());
    }

    /// A reading failed.
    pub(crate) fn failed(&self, class: RetryClass) {
        self.failures.with_label_values(&[class.as_str()]).inc();
    }

    /// What the index holds.
    pub(crate) fn hold(&self, n_bindings: usize, n_flawed: usize) {
        self.bindings.set(i64::try_from(n_bindings).unwrap_or(i64::MAX));
        self.flawed.set(i64::try_from(n_flawed).unwrap_or(i64::MAX));
    }
}

/// One for each class, all of them there from the beginning: the first failure is an increase.
fn failures_by_class(options: Opts) -> Result<IntCounterVec, prometheus::Error> {
    let failures = IntCounterVec::new(options, &["class"])?;
    for class in RetryClass::ALL {
        failures.with_label_values(&[class.as_str()]);
    }
    Ok(failures)
}

/// A gauge whose value is the time that has passed when somebody looks.
#[derive(Clone)]
struct Age {
    gauge: Gauge,
    state: Arc<Mutex<Option<State>>>,
}

struct State {
    clock: Arc<dyn Clock>,
    since: Duration,
}

impl Age {
    fn new() -> Result<Self, prometheus::Error> {
        let help = "How old what lists show is: the time since the newest whole reading of all policies began.";
        Ok(Self { gauge: Gauge::new(AGE, help)?, state: Arc::default() })
    }

    fn state(&self) -> std::sync::MutexGuard<'_, Option<State>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Age {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Age").field("gauge", &self.gauge).finish_non_exhaustive()
    }
}

impl Collector for Age {
    fn desc(&self) -> Vec<&Desc> {
        self.gauge.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let Some(age) =
            self.state().as_ref().map(|state| state.clock.elapsed().saturating_sub(state.since))
        else {
            return Vec::new();
        };
        self.gauge.set(age.as_secs_f64());
        self.gauge.collect()
    }
}
