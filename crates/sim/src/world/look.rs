//! What tests and workloads look at.

use std::time::Duration;

use chrono::{DateTime, Utc};
use curfew_core::fact::{Ending, Fact, Grant, Outcome, OutcomeReason};
use curfew_core::id::RequestId;
use curfew_core::phase::Phase;
use curfew_core::policy::Binding;
use curfew_core::request::Recorded;
use curfew_ports::{Clock as _, StoredRequest, Verifier as _};

use super::World;
use crate::oracle::{Among, Violation, force_of, open_intents};
use crate::scene;

impl World {
    /// The world's time.
    pub fn now(&self) -> DateTime<Utc> {
        self.shared.clock.true_now()
    }

    /// The controller's time.
    pub fn controllers_now(&self) -> DateTime<Utc> {
        self.shared.clock.now()
    }

    /// The reason that readers see for its end.
    pub fn shown_outcome(&self, id: &RequestId) -> Option<String> {
        let outcome = |stored: &StoredRequest| {
            stored.status.as_ref()?.outcome.as_ref().map(|outcome| outcome.reason.clone())
        };
        self.with(|data| data.store.document(id).and_then(outcome))
    }

    /// The facts of a document that verify; none if it is gone.
    pub fn facts(&self, id: &RequestId) -> Vec<Recorded> {
        let stored = self.with(|data| data.store.document(id).cloned());
        stored.map_or_else(Vec::new, |stored| {
            self.shared.trust.verify(&stored).facts.iter().cloned().collect()
        })
    }

    /// The names of the facts, in order.
    pub fn kinds(&self, id: &RequestId) -> Vec<String> {
        self.facts(id).iter().map(|recorded| recorded.fact.kind().to_owned()).collect()
    }

    /// The phase that readers see.
    pub fn phase(&self, id: &RequestId) -> Option<Phase> {
        self.with(|data| {
            data.store
                .document(id)
                .and_then(|stored| stored.status.as_ref().map(|status| status.phase))
        })
    }

    /// Whether it has ended.
    pub fn has_ended(&self, id: &RequestId) -> bool {
        self.phase(id) == Some(Phase::Ended)
    }

    /// Whether the binding is there and known to be.
    pub fn is_active(&self, id: &RequestId) -> bool {
        self.phase(id) == Some(Phase::Active)
    }

    /// Why it is over.
    pub fn outcome(&self, id: &RequestId) -> Option<OutcomeReason> {
        self.facts(id).into_iter().find_map(|recorded| {
            let Fact::Outcome(Outcome { reason, .. }) = recorded.fact else { return None };
            Some(reason)
        })
    }

    /// How it is known that nothing is left.
    pub fn ending(&self, id: &RequestId) -> Option<Ending> {
        self.facts(id).into_iter().find_map(|recorded| {
            let Fact::Ended { how } = recorded.fact else { return None };
            Some(how)
        })
    }

    /// The grant.
    pub fn grant(&self, id: &RequestId) -> Option<Grant> {
        self.facts(id).into_iter().find_map(|recorded| {
            let Fact::Grant(grant) = recorded.fact else { return None };
            Some(grant)
        })
    }

    /// Every binding under the request's title, wherever it stands.
    pub fn bindings(&self, id: &RequestId) -> Vec<Binding> {
        let title = scene::installation().title(id);
        self.with(|data| {
            let all = data.cloud.policies().flat_map(|(_, policy)| policy.bindings.iter());
            all.filter(|binding| binding.title() == title).cloned().collect()
        })
    }

    /// Whether the request gives access right now.
    pub fn gives_access(&self, id: &RequestId) -> bool {
        let now = self.now();
        self.bindings(id).iter().any(|binding| force_of(binding).holds_at(now))
    }

    /// How many policy writes of the controller took effect.
    pub fn n_writes(&self) -> usize {
        self.with(|data| data.cloud.n_writes())
    }

    /// What is not as it should be once nothing goes wrong any more: a request is not where it should be, a policy
    /// holds something else than the facts ask for, or a policy write that is over is not recorded as such.
    pub fn unsettled(&self) -> Vec<Violation> {
        [self.unsettled_requests(), self.open_intents()].concat()
    }

    pub(crate) fn unsettled_requests(&self) -> Vec<Violation> {
        self.with(|data| data.oracle.unsettled(data.now, &data.store, &data.cloud, Among::All))
    }

    /// The same for what nobody has interfered with.
    pub(crate) fn unsettled_undisturbed(&self) -> Vec<Violation> {
        self.with(|data| {
            data.oracle.unsettled(data.now, &data.store, &data.cloud, Among::Undisturbed)
        })
    }

    pub(crate) fn open_intents(&self) -> Vec<Violation> {
        self.with(|data| open_intents(&data.store, &data.cloud))
    }

    pub(crate) fn late_removals(&self) -> Vec<Violation> {
        self.with(|data| data.oracle.late_removals(data.now, &data.cloud))
    }

    /// How long until the last grant has ended and every start has come.
    pub(crate) fn last_end(&self) -> Duration {
        self.changes().into_iter().max().unwrap_or_default()
    }

    /// How long until the next start or end.
    pub(crate) fn next_change(&self) -> Option<Duration> {
        self.changes().into_iter().min().or(Some(Duration::MAX))
    }

    fn changes(&self) -> Vec<Duration> {
        self.with(|data| data.oracle.changes_after(data.now))
    }
}
