//! What the server counts and measures, all under `firelite_`.

use std::time::Duration;

use prometheus::{
    Histogram, HistogramOpts, HistogramTimer, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    Opts, Registry, core::Collector,
};
use tonic::Code;

use crate::Method;

/// Upper bounds, seconds: a read takes a fraction of a millisecond, a durable commit one flush of
/// the disk, a query without end up to a minute.
const SECONDS: [f64; 12] =
    [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0];
/// Upper bounds, commits that share one flush.
const GROUPS: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0];

/// The server's metrics; clones of each collector share their values.
pub(crate) struct Metrics {
    calls: IntCounterVec,
    call_duration: HistogramVec,
    commit_group_size: Histogram,
    commit_duration: Histogram,
    listeners: IntGauge,
    listen_targets: IntGauge,
    listen_resets: IntCounter,
    transactions: IntGauge,
    transactions_expired: IntCounter,
    documents: IntGauge,
    database_bytes: IntGauge,
}

impl Metrics {
    /// All zero. Fails only for a name or help that Prometheus does not take.
    pub(crate) fn new() -> prometheus::Result<Self> {
        Ok(Self {
            calls: IntCounterVec::new(
                Opts::new("firelite_calls_total", "Calls that ended, by status code."),
                &["method", "code"],
            )?,
            call_duration: HistogramVec::new(
                HistogramOpts::new(
                    "firelite_call_duration_seconds",
                    "How long calls took; those that stream, until their last reply was queued.",
                )
                .buckets(SECONDS.to_vec()),
                &["method"],
            )?,
            commit_group_size: histogram(
                "firelite_commit_group_size",
                "Commits that shared one flush to the disk.",
                &GROUPS,
            )?,
            commit_duration: histogram(
                "firelite_commit_duration_seconds",
                "How long a group of commits took to be on disk.",
                &SECONDS,
            )?,
            listeners: IntGauge::new("firelite_listeners", "Open Listen streams.")?,
            listen_targets: IntGauge::new("firelite_listen_targets", "Targets of all listeners.")?,
            listen_resets: IntCounter::new(
                "firelite_listen_resets_total",
                "Targets told to forget what they know.",
            )?,
            transactions: IntGauge::new("firelite_transactions", "Open transactions.")?,
            transactions_expired: IntCounter::new(
                "firelite_transactions_expired_total",
                "Transactions that were neither committed nor rolled back in time.",
            )?,
            documents: IntGauge::new("firelite_documents", "Documents stored.")?,
            database_bytes: IntGauge::new(
                "firelite_database_bytes",
                "Bytes of the database file, without its log.",
            )?,
        })
    }

    /// Shows every metric in the registry.
    pub(crate) fn register(&self, registry: &Registry) -> prometheus::Result<()> {
        let collectors: [Box<dyn Collector>; 11] = [
            Box::new(self.calls.clone()),
            Box::new(self.call_duration.clone()),
            Box::new(self.commit_group_size.clone()),
            Box::new(self.commit_duration.clone()),
            Box::new(self.listeners.clone()),
            Box::new(self.listen_targets.clone()),
            Box::new(self.listen_resets.clone()),
            Box::new(self.transactions.clone()),
            Box::new(self.transactions_expired.clone()),
            Box::new(self.documents.clone()),
            Box::new(self.database_bytes.clone()),
        ];
        collectors.into_iter().try_for_each(|collector| registry.register(collector))
    }

    /// A call has ended, after this time if that says anything.
    pub(crate) fn count_call(&self, method: Method, code: Code, took: Option<Duration>) {
        self.calls.with_label_values(&[method.name(), code_name(code)]).inc();
        if let Some(took) = took {
            self.call_duration.with_label_values(&[method.name()]).observe(took.as_secs_f64());
        }
    }

    /// A group of commits is being written; the timer ends when it is on disk.
    pub(crate) fn commit_timer(&self, commits: usize) -> HistogramTimer {
        self.commit_group_size.observe(f64::from(u32::try_from(commits).unwrap_or(u32::MAX)));
        self.commit_duration.start_timer()
    }

    /// A listener, until the guard is dropped.
    pub(crate) fn listener(&self) -> Counted {
        Counted::one_of(&self.listeners)
    }

    /// A target of a listener, until the guard is dropped.
    pub(crate) fn target(&self) -> Counted {
        Counted::one_of(&self.listen_targets)
    }

    /// A target was reset.
    pub(crate) fn count_reset(&self) {
        self.listen_resets.inc();
    }

    /// So many transactions are open.
    pub(crate) fn set_transactions(&self, open: usize) {
        self.transactions.set(i64::try_from(open).unwrap_or(i64::MAX));
    }

    /// A transaction ran out of time.
    pub(crate) fn count_expired_transaction(&self) {
        self.transactions_expired.inc();
    }

    /// So many documents are stored.
    pub(crate) fn set_documents(&self, documents: i64) {
        self.documents.set(documents);
    }

    /// The file has this size.
    pub(crate) fn set_database_bytes(&self, bytes: i64) {
        self.database_bytes.set(bytes);
    }
}

/// One of the things that a gauge counts.
pub(crate) struct Counted(IntGauge);

impl Counted {
    fn one_of(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn histogram(name: &str, help: &str, buckets: &[f64]) -> prometheus::Result<Histogram> {
    Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec()))
}

/// A status code as gRPC's own tools write it.
fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}
