//! Policies: what is written to them, and what stands in the way.

use std::time::Duration;

use curfew_core::apply::Refusal;
use curfew_core::fact::DriftKind;
use curfew_core::plan::{Purpose, SetBindings};
use curfew_ports::RetryClass;
use prometheus::{Histogram, IntCounter, IntCounterVec, Opts};

use super::maker::{Maker, SECONDS};

/// Up to a thousand grants on one project at once.
const REQUESTS: [f64; 9] = [1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 1000.0];

/// The result of a write that was answered.
const OK: &str = "ok";

/// The two limits that a policy can come up against, as metrics name them.
pub(super) const LIMITS: [&str; 2] = ["principals", "role_and_member"];

/// What a policy write is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PolicyOp {
    /// To add bindings.
    Add,
    /// To remove bindings.
    Remove,
    /// Both at once.
    Mixed,
    /// To close the door on an earlier write: it adds what gives no access.
    Fence,
}

impl PolicyOp {
    const ALL: [Self; 4] = [Self::Add, Self::Remove, Self::Mixed, Self::Fence];

    /// What the edits of one turn come to.
    pub(crate) fn of(edits: &[SetBindings]) -> Self {
        let real = || edits.iter().filter(|edit| edit.purpose == Purpose::Difference);
        let adds = real().any(|edit| !edit.bindings.is_empty());
        let removes = real().any(|edit| !edit.replaces.is_empty());
        match (adds, removes) {
            (true, true) => Self::Mixed,
            (true, false) => Self::Add,
            (false, true) => Self::Remove,
            (false, false) => Self::Fence,
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Remove => "remove",
            Self::Mixed => "mixed",
            Self::Fence => "fence",
        }
    }
}

#[derive(Clone)]
pub(super) struct Policies {
    writes: IntCounterVec,
    conflicts: IntCounter,
    batch_size: Histogram,
    full: IntCounterVec,
    quota_wait: Histogram,
    drift: IntCounterVec,
    foreign_diff_refusals: IntCounter,
}

impl Policies {
    pub(super) fn new(make: &Maker<'_>) -> prometheus::Result<Self> {
        Ok(Self {
            writes: make.kept(writes()?)?,
            conflicts: make
                .counter("curfew_policy_conflicts_total", "Policy writes that lost a race.")?,
            batch_size: make.histogram(
                "curfew_policy_batch_size",
                "Requests per policy write.",
                &REQUESTS,
            )?,
            full: make.counters(
                "curfew_policy_full_total",
                "Grants that were held back because the policy is full, by the limit that it is at.",
                "limit",
                LIMITS,
            )?,
            quota_wait: make.histogram(
                "curfew_quota_wait_seconds",
                "How long work on a policy was put off because Google said that a quota is used up.",
                &SECONDS,
            )?,
            drift: make.counters(
                "curfew_drift_total",
                "Bindings of ours that somebody else removed or altered.",
                "kind",
                DriftKind::ALL.map(DriftKind::as_str),
            )?,
            foreign_diff_refusals: make.counter(
                "curfew_foreign_diff_refusals_total",
                "Policy writes refused because they would change what is not ours: a defect of this program.",
            )?,
        })
    }

    pub(super) fn written(&self, op: PolicyOp, result: &'static str, n_requests: usize) {
        self.writes.with_label_values(&[op.as_str(), result]).inc();
        if let Ok(n) = u32::try_from(n_requests) {
            self.batch_size.observe(f64::from(n));
        }
    }

    pub(super) fn conflict(&self) {
        self.conflicts.inc();
    }

    pub(super) fn full(&self, refusal: Refusal) {
        let [principals, role_and_member] = LIMITS;
        let limit = match refusal {
            Refusal::TooManyPrincipals => principals,
            Refusal::TooManyForRoleAndMember => role_and_member,
        };
        self.full.with_label_values(&[limit]).inc();
    }

    pub(super) fn quota_wait(&self, wait: Duration) {
        self.quota_wait.observe(wait.as_secs_f64());
    }

    pub(super) fn drifted(&self, kind: DriftKind) {
        self.drift.with_label_values(&[kind.as_str()]).inc();
    }

    pub(super) fn foreign_diff_refused(&self) {
        self.foreign_diff_refusals.inc();
    }
}

fn writes() -> prometheus::Result<IntCounterVec> {
    let options =
        Opts::new("curfew_policy_writes_total", "Policy writes, by what for and how they went.");
    let writes = IntCounterVec::new(options, &["op", "result"])?;
    for op in PolicyOp::ALL {
        for result in [OK].into_iter().chain(RetryClass::ALL.map(RetryClass::as_str)) {
            writes.with_label_values(&[op.as_str(), result]);
        }
    }
    Ok(writes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;
    use curfew_core::fact::OwnedBinding;
    use curfew_core::id::RequestId;
    use curfew_core::policy::Binding;
    use curfew_core::principal::Principal;
    use curfew_core::role::Role;

    #[test]
    fn a_write_is_called_after_what_its_edits_do() {
        let (add, remove) = (edit(true, false), edit(false, true));
        let fence = SetBindings { purpose: Purpose::Fence, ..add.clone() };
        let of = |edits: &[&SetBindings]| {
            PolicyOp::of(&edits.iter().map(|edit| (*edit).clone()).collect::<Vec<_>>()).as_str()
        };
        assert_eq!(of(&[&add, &add]), "add");
        assert_eq!(of(&[&remove]), "remove");
        assert_eq!(of(&[&add, &remove]), "mixed");
        assert_eq!(of(&[&edit(true, true)]), "mixed");
        assert_eq!(of(&[&fence]), "fence");
        assert_eq!(of(&[&fence, &remove]), "remove", "a fence is written only if nothing else is");
    }

    fn edit(adds: bool, removes: bool) -> SetBindings {
        let binding = OwnedBinding {
            role: Role::parse("roles/compute.viewer").unwrap(),
            member: Principal::parse("user:alice@example.com").unwrap(),
            title: String::new(),
            description: String::new(),
            expression: "true".into(),
        };
        SetBindings {
            request: RequestId::from_bits([1; 16]),
            decided_at: DateTime::UNIX_EPOCH,
            replaces: removes.then(|| Binding::from(&binding)).into_iter().collect(),
            bindings: adds.then_some(binding).into_iter().collect(),
            purpose: Purpose::Difference,
        }
    }
}
