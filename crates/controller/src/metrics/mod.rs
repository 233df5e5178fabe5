//! What operators watch; `docs/metrics.md` lists all of it.
//!
//! Names of the machinery are those that controllers are charted by everywhere: `workqueue_*` of client-go
//! (<https://github.com/kubernetes/client-go/blob/master/util/workqueue/metrics.go>) and `controller_runtime_*`
//! (<https://github.com/kubernetes-sigs/controller-runtime/blob/main/pkg/internal/controller/metrics/metrics.go>),
//! without their labels `name` and `controller`: there is one queue and one controller.
//!
//! No label carries a person, a request or free text: every label's values are a closed set of the code, and counters
//! begin at zero for each of them, so that the first event is an increase. Ages and states are worked out when
//! somebody looks, and cost nothing until then.

mod live;
mod maker;
mod policies;
mod requests;
mod store;
mod work;

#[cfg(test)]
mod tests;

use std::sync::Weak;
use std::time::Duration;

use chrono::TimeDelta;
use curfew_core::apply::Refusal;
use curfew_core::fact::{DraftFact, Fact};
use prometheus::Registry;

use crate::view::Known;

pub(crate) use live::{LiveRequests, QueueState, State, Watched};
pub(crate) use policies::PolicyOp;
pub(crate) use work::PassEnd;

use live::{Gauges, Live};
use maker::Maker;
use policies::Policies;
use requests::Requests;
use store::Store;
use work::Work;

/// The controller's metrics. Cheap to clone.
#[derive(Clone)]
pub struct Metrics {
    work: Work,
    requests: Requests,
    policies: Policies,
    store: Store,
    live: Live,
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
            live: make.kept(Live::new(Gauges::new()?))?,
        })
    }

    /// Metrics that nobody gives out, for tests.
    #[cfg(test)]
    pub(crate) fn unregistered() -> Self {
        Self::register(&Registry::new()).unwrap()
    }

    /// From now on the states of `watched` are given out.
    pub(crate) fn watch(&self, watched: Weak<dyn Watched>) {
        self.live.watch(watched);
    }

    pub(crate) fn workers(&self, n_workers: usize) {
        self.work.workers(n_workers);
    }

    pub(crate) fn queue_added(&self) {
        self.work.added();
    }

    pub(crate) fn queue_retried(&self) {
        self.work.retried();
    }

    pub(crate) fn queue_taken(&self, waited: Duration) {
        self.work.taken(waited);
    }

    pub(crate) fn passed(&self, end: PassEnd, took: Duration) {
        self.work.passed(end, took);
    }

    /// A fact was recorded; `known` holds it already.
    pub(crate) fn recorded(&self, draft: &DraftFact, known: &Known) {
        match draft {
            Fact::Approval { .. } => self.requests.approved(&known.request),
            Fact::Bound { .. } => self.requests.bound(&known.request),
            Fact::Drift { kind } => self.policies.drifted(*kind),
            Fact::Outcome(outcome) => self.requests.over(outcome.reason),
            Fact::Ended { .. } => self.requests.ended(&known.request),
            Fact::Seen { .. } | Fact::Eligible(_) | Fact::Grant(_) | Fact::Unknown { .. } => {}
        }
    }

    /// `result`: `ok`, or the class of the failure.
    pub(crate) fn policy_written(&self, op: PolicyOp, result: &'static str, n_requests: usize) {
        self.policies.written(op, result, n_requests);
    }

    pub(crate) fn policy_conflict(&self) {
        self.policies.conflict();
    }

    pub(crate) fn policy_full(&self, refusal: Refusal) {
        self.policies.full(refusal);
    }

    pub(crate) fn foreign_diff_refused(&self) {
        self.policies.foreign_diff_refused();
    }

    pub(crate) fn quota_wait(&self, wait: Duration) {
        self.policies.quota_wait(wait);
    }

    /// `reason`: one of [`store::FORGERIES`].
    pub(crate) fn forgery(&self, reason: &'static str) {
        self.store.forgery(reason);
    }

    /// `bound`: which one was reached, `request` or `minute`.
    pub(crate) fn ledger_omitted(&self, bound: &'static str) {
        self.store.ledger_omitted(bound);
    }

    pub(crate) fn watch_event(&self, kind: &'static str) {
        self.store.watch_event(kind);
    }

    pub(crate) fn resynced(&self, took: Duration) {
        self.store.resynced(took);
    }

    pub(crate) fn clock_skew(&self, skew: TimeDelta) {
        self.store.clock_skew(skew);
    }
}
