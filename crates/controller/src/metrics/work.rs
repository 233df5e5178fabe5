//! The queue and its workers.

use std::time::Duration;

use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge};

use super::maker::{Maker, SECONDS, signed};

/// How a pass on a request ended, as controller-runtime names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PassEnd {
    /// Nothing is left to do before something happens.
    Success,
    /// The request was queued again at once.
    Requeue,
    /// It is to be looked at again at a certain time.
    RequeueAfter,
    /// Something failed, and it is tried again after a back-off.
    Error,
}

impl PassEnd {
    const ALL: [Self; 4] = [Self::Success, Self::Requeue, Self::RequeueAfter, Self::Error];

    fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Requeue => "requeue",
            Self::RequeueAfter => "requeue_after",
            Self::Error => "error",
        }
    }
}

#[derive(Clone)]
pub(super) struct Work {
    adds: IntCounter,
    retries: IntCounter,
    in_queue: Histogram,
    processing: Histogram,
    passes: IntCounterVec,
    errors: IntCounter,
    pass_duration: Histogram,
    workers: IntGauge,
}

impl Work {
    pub(super) fn new(make: &Maker<'_>) -> prometheus::Result<Self> {
        Ok(Self {
            adds: make.counter("workqueue_adds_total", "Requests queued.")?,
            retries: make
                .counter("workqueue_retries_total", "Requests queued again after a failure.")?,
            in_queue: make.histogram(
                "workqueue_queue_duration_seconds",
                "How long a request waits for a worker.",
                &SECONDS,
            )?,
            processing: make.histogram(
                "workqueue_work_duration_seconds",
                "How long a worker takes for a request.",
                &SECONDS,
            )?,
            passes: make.counters(
                "controller_runtime_reconcile_total",
                "Passes made, by how they ended.",
                "result",
                PassEnd::ALL.map(PassEnd::as_str),
            )?,
            errors: make.counter(
                "controller_runtime_reconcile_errors_total",
                "Passes in which something failed.",
            )?,
            pass_duration: make.histogram(
                "controller_runtime_reconcile_time_seconds",
                "How long a pass takes.",
                &SECONDS,
            )?,
            workers: make.gauge(
                "controller_runtime_max_concurrent_reconciles",
                "How many requests are worked on at a time, at most.",
            )?,
        })
    }

    pub(super) fn workers(&self, n_workers: usize) {
        self.workers.set(signed(n_workers));
    }

    pub(super) fn added(&self) {
        self.adds.inc();
    }

    pub(super) fn retried(&self) {
        self.retries.inc();
    }

    pub(super) fn taken(&self, waited: Duration) {
        self.in_queue.observe(waited.as_secs_f64());
    }

    pub(super) fn passed(&self, end: PassEnd, took: Duration) {
        self.passes.with_label_values(&[end.as_str()]).inc();
        if end == PassEnd::Error {
            self.errors.inc();
        }
        self.processing.observe(took.as_secs_f64());
        self.pass_duration.observe(took.as_secs_f64());
    }
}
