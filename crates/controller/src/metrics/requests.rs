//! Requests and their access: what the service levels are measured by.
//!
//! Each time is taken from recorded facts, so that it is measured once, whichever process recorded them, and a time
//! that outlives a process is measured in full. Where a person's act begins it, it begins with the time that intake
//! signed, never later than the fact that rests on it: what the controller is slow to see counts against it.

use chrono::{DateTime, TimeDelta, Utc};
use curfew_core::chain::{Chain, Over};
use curfew_core::entry::ActKind;
use curfew_core::fact::{Counted, OutcomeReason};
use curfew_core::id::Nonce;
use curfew_core::request::Request;
use prometheus::{Histogram, HistogramVec, IntCounterVec};

use super::maker::{LEVELS, Maker};
use crate::view::start_of;

/// From ten seconds to a week: approvers are people.
const WAITS: [f64; 14] = [
    10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 1_800.0, 3_600.0, 7_200.0, 14_400.0, 43_200.0, 86_400.0,
    259_200.0, 604_800.0,
];

/// Why access had to go, as far as the service levels tell it apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// It came to its own end.
    Natural,
    /// A person ended it.
    Revoked,
    /// Anything else, before its end.
    Other,
}

impl Cause {
    const ALL: [Self; 3] = [Self::Natural, Self::Revoked, Self::Other];

    fn as_str(self) -> &'static str {
        match self {
            Self::Natural => "natural",
            Self::Revoked => "revoked",
            Self::Other => "other",
        }
    }
}

#[derive(Clone)]
pub(super) struct Requests {
    over: IntCounterVec,
    to_active: Histogram,
    approval_wait: Histogram,
    approved_to_active: Histogram,
    removal_lag: HistogramVec,
}

impl Requests {
    pub(super) fn new(make: &Maker<'_>) -> prometheus::Result<Self> {
        Ok(Self {
            over: make.counters(
                "curfew_requests_total",
                "Requests that are over, by outcome.",
                "outcome",
                OutcomeReason::ALL.map(OutcomeReason::as_str),
            )?,
            to_active: make.histogram(
                "curfew_request_to_active_seconds",
                "From filing to the binding in the policy, of requests that need no approval and start at once.",
                &LEVELS,
            )?,
            approval_wait: make.histogram(
                "curfew_approval_wait_seconds",
                "From filing to the last approval that was needed, of approved requests.",
                &WAITS,
            )?,
            approved_to_active: make.histogram(
                "curfew_approved_to_active_seconds",
                "From the last approval (the filing if none is needed, the start if that is later) to the binding in the policy.",
                &LEVELS,
            )?,
            removal_lag: make.histograms(
                "curfew_removal_lag_seconds",
                "From the end of access to the proof that nothing of it is left.",
                &LEVELS,
                "cause",
                Cause::ALL.map(Cause::as_str),
            )?,
        })
    }

    pub(super) fn over(&self, reason: OutcomeReason) {
        self.over.with_label_values(&[reason.as_str()]).inc();
    }

    pub(super) fn approved(&self, request: &Request) {
        let Some((at, needed)) = approved_at(request, &Chain::of(&request.facts)) else { return };
        if needed {
            observe(&self.approval_wait, request.created_at, at);
        }
    }

    pub(super) fn bound(&self, request: &Request) {
        let chain = Chain::of(&request.facts);
        let (Some(bound_at), Some((approved_at, needed))) =
            (chain.bound_at, approved_at(request, &chain))
        else {
            return;
        };
        let start_at = start_of(request);
        let since = start_at.map_or(approved_at, |start_at| start_at.max(approved_at));
        observe(&self.approved_to_active, since, bound_at);
        if !needed && start_at.is_none() {
            observe(&self.to_active, request.created_at, bound_at);
        }
    }

    pub(super) fn ended(&self, request: &Request) {
        let chain = Chain::of(&request.facts);
        let ended_at = request.facts.iter().next_back().map(|recorded| recorded.at);
        if let (Some((over_at, cause)), Some(ended_at)) = (over_at(request, &chain), ended_at) {
            let lag = self.removal_lag.with_label_values(&[cause.as_str()]);
            observe(&lag, over_at, ended_at);
        }
    }
}

/// When the approval was complete, and whether one was needed.
fn approved_at(request: &Request, chain: &Chain<'_>) -> Option<(DateTime<Utc>, bool)> {
    let approval = chain.approval.as_ref()?;
    let acted_at = approval.nonces.iter().filter_map(|nonce| acted_at(request, nonce));
    Some(match acted_at.max() {
        Some(last) => (last.min(approval.at).max(request.created_at), true),
        None => (request.created_at, false),
    })
}

/// When access was over, and why; `None` if there never was any, or none of it is over.
pub(super) fn over_at(request: &Request, chain: &Chain<'_>) -> Option<(DateTime<Utc>, Cause)> {
    let (grant, over) = (chain.grant.as_ref()?, chain.outcome.as_ref()?);
    if over.at >= grant.expires_at {
        return Some((grant.expires_at, Cause::Natural));
    }
    let kind = match over.outcome.reason {
        OutcomeReason::Revoked => ActKind::Revoke,
        OutcomeReason::Withdrawn => ActKind::Withdraw,
        OutcomeReason::Invalid
        | OutcomeReason::Denied
        | OutcomeReason::Ineligible
        | OutcomeReason::NoLongerEligible
        | OutcomeReason::ExternallyRemoved
        | OutcomeReason::Tampered
        | OutcomeReason::DurationElapsed
        | OutcomeReason::ApprovalTimedOut
        | OutcomeReason::ActivationFailed => return Some((over.at, Cause::Other)),
    };
    Some((ended_by(request, chain, kind, over), Cause::Revoked))
}

/// When the first act of this kind that counts was signed.
fn ended_by(request: &Request, chain: &Chain<'_>, kind: ActKind, over: &Over) -> DateTime<Utc> {
    let entries = request.entries.values().filter_map(|entry| entry.as_deref().ok());
    let counts = entries.filter(|entry| {
        entry.act.kind() == kind
            && matches!(chain.seen.get(&entry.nonce), Some(Counted::Yes { .. }))
    });
    let first = counts.map(|entry| entry.at).min().unwrap_or(over.at);
    first.max(request.created_at).min(over.at)
}

fn acted_at(request: &Request, nonce: &Nonce) -> Option<DateTime<Utc>> {
    request.entries.get(nonce)?.as_deref().ok().map(|entry| entry.at)
}

fn observe(histogram: &Histogram, from: DateTime<Utc>, to: DateTime<Utc>) {
    let lag: TimeDelta = to.signed_duration_since(from);
    histogram.observe(lag.to_std().unwrap_or_default().as_secs_f64());
}
