//! Between the messages of the contract and the types of `curfew-core`.

use chrono::{DateTime, TimeDelta, Utc};
use curfew_core::entry::{Act, ActKind, Verdict};
use curfew_core::phase::Phase;
use curfew_core::principal::Person;
use curfew_core::spec::{Authentication, RequestedRole};
use curfew_core::status::{
    BindingStatus, ConditionStatus, EntryStatus, GrantStatus, OutcomeStatus, Status,
};

use crate::payload::{EntryPayload, SpecPayload};
use crate::v1;

/// A time on the wire.
pub fn time_to_wire(at: DateTime<Utc>) -> prost_types::Timestamp {
    // A leap second is written as the end of the second before it.
    let nanos = at.timestamp_subsec_nanos().min(999_999_999);
    prost_types::Timestamp {
        seconds: at.timestamp(),
        nanos: i32::try_from(nanos).unwrap_or_default(),
    }
}

/// A time from the wire; `None` if it is none.
pub fn time_from_wire(at: &prost_types::Timestamp) -> Option<DateTime<Utc>> {
    let nanos = u32::try_from(at.nanos).ok().filter(|nanos| *nanos < 1_000_000_000)?;
    DateTime::from_timestamp(at.seconds, nanos)
}

/// A duration on the wire, in whole seconds.
pub fn duration_to_wire(duration: TimeDelta) -> prost_types::Duration {
    prost_types::Duration { seconds: duration.num_seconds(), nanos: 0 }
}

/// What a spec says, for readers.
pub fn spec_view(payload: &SpecPayload) -> v1::SpecView {
    let spec = &payload.spec;
    v1::SpecView {
        installation: payload.installation.to_string(),
        request_id: spec.id.to_string(),
        requester: Some(person_to_wire(&spec.requester)),
        principal: spec.principal.to_string(),
        resource: spec.resource.to_string(),
        roles: spec.roles.iter().map(role_to_wire).collect(),
        resource_names: spec.resource_names.iter().map(ToString::to_string).collect(),
        duration: Some(duration_to_wire(spec.duration)),
        start_at: spec.start_at.map(time_to_wire),
        justification: spec.justification.clone(),
        ticket: payload.ticket.clone(),
        chosen_approvers: spec.chosen_approvers.iter().map(ToString::to_string).collect(),
        break_glass: spec.break_glass,
        requested_at: Some(time_to_wire(spec.requested_at)),
        nonce: spec.nonce.to_string(),
        body_digest: payload.body_digest.to_string(),
        authentication: Some(authentication_to_wire(&spec.authentication)),
    }
}

/// What an entry says, for readers. `why` tells why it does not count, or not yet.
pub fn entry_view(payload: &EntryPayload, counted: bool, why: Option<String>) -> v1::Entry {
    let mut view = v1::Entry {
        nonce: payload.nonce.to_string(),
        actor: Some(person_to_wire(&payload.actor)),
        at: Some(time_to_wire(payload.at)),
        counted,
        why,
        digest: Some(payload.digest.to_string()),
        ..v1::Entry::default()
    };
    view.set_type(act_to_wire(payload.act.kind()));
    match &payload.act {
        Act::Decide { verdict, comment, target } => {
            view.set_verdict(verdict_to_wire(*verdict));
            view.comment = Some(comment.clone());
            view.target = Some(target.to_string());
        }
        Act::Withdraw { reason } | Act::Revoke { reason } => view.reason = Some(reason.clone()),
        Act::Extend { duration, justification } => {
            view.duration = Some(duration_to_wire(*duration));
            view.justification = Some(justification.clone());
        }
        Act::CloseReview { findings } => view.findings = Some(findings.clone()),
    }
    view
}

/// A person on the wire.
pub fn person_to_wire(person: &Person) -> v1::Person {
    v1::Person { subject: person.subject.to_string(), email: person.email.to_string() }
}

/// The projection as it is stored.
pub fn status_to_wire(status: &Status) -> v1::Status {
    v1::Status {
        phase: phase_to_wire(status.phase).into(),
        outcome: status.outcome.as_ref().map(outcome_to_wire),
        conditions: status.conditions.iter().map(condition_to_wire).collect(),
        grant: status.grant.as_ref().map(grant_to_wire),
        decide_by: status.decide_by.map(time_to_wire),
        steps_required: status.steps_required,
        approved_by: status.approved_by.clone(),
        observed_entries: status.observed_entries.iter().map(observed_to_wire).collect(),
    }
}

/// The projection from the store; `None` if it says no phase that is known, or a time that is none.
pub fn status_from_wire(status: &v1::Status) -> Option<Status> {
    let outcome =
        status.outcome.as_ref().map(|outcome| outcome_from_wire(outcome).ok_or(Unreadable));
    let grant = status.grant.as_ref().map(|grant| grant_from_wire(grant).ok_or(Unreadable));
    let decide_by = status.decide_by.as_ref().map(|at| time_from_wire(at).ok_or(Unreadable));
    Some(Status {
        phase: phase_from_wire(status.phase())?,
        outcome: outcome.transpose().ok()?,
        conditions: status.conditions.iter().map(condition_from_wire).collect(),
        grant: grant.transpose().ok()?,
        decide_by: decide_by.transpose().ok()?,
        steps_required: status.steps_required,
        approved_by: status.approved_by.clone(),
        observed_entries: status.observed_entries.iter().map(observed_from_wire).collect(),
    })
}

/// Set, and not readable; which is not the same as unset.
struct Unreadable;

/// The phase on the wire.
pub fn phase_to_wire(phase: Phase) -> v1::Phase {
    match phase {
        Phase::Pending => v1::Phase::Pending,
        Phase::AwaitingApproval => v1::Phase::AwaitingApproval,
        Phase::Scheduled => v1::Phase::Scheduled,
        Phase::Activating => v1::Phase::Activating,
        Phase::Active => v1::Phase::Active,
        Phase::Ending => v1::Phase::Ending,
        Phase::Ended => v1::Phase::Ended,
    }
}

/// The phase from the wire; `None` if none is said.
pub fn phase_from_wire(phase: v1::Phase) -> Option<Phase> {
    match phase {
        v1::Phase::Unspecified => None,
        v1::Phase::Pending => Some(Phase::Pending),
        v1::Phase::AwaitingApproval => Some(Phase::AwaitingApproval),
        v1::Phase::Scheduled => Some(Phase::Scheduled),
        v1::Phase::Activating => Some(Phase::Activating),
        v1::Phase::Active => Some(Phase::Active),
        v1::Phase::Ending => Some(Phase::Ending),
        v1::Phase::Ended => Some(Phase::Ended),
    }
}

/// The outcome on the wire.
pub fn outcome_to_wire(outcome: &OutcomeStatus) -> v1::Outcome {
    v1::Outcome {
        reason: outcome.reason.clone(),
        at: Some(time_to_wire(outcome.at)),
        by: outcome.by.clone(),
        message: outcome.message.clone(),
    }
}

/// A condition on the wire.
pub fn condition_to_wire(condition: &ConditionStatus) -> v1::Condition {
    v1::Condition {
        r#type: condition.kind.clone(),
        reason: condition.reason.clone(),
        message: condition.message.clone(),
    }
}

/// The grant on the wire.
pub fn grant_to_wire(grant: &GrantStatus) -> v1::Grant {
    let bindings = grant.bindings.iter().map(|binding| v1::Binding {
        role: binding.role.clone(),
        member: binding.member.clone(),
        expression: binding.expression.clone(),
    });
    v1::Grant {
        starts_at: Some(time_to_wire(grant.starts_at)),
        expires_at: Some(time_to_wire(grant.expires_at)),
        bindings: bindings.collect(),
    }
}

fn outcome_from_wire(outcome: &v1::Outcome) -> Option<OutcomeStatus> {
    Some(OutcomeStatus {
        reason: outcome.reason.clone(),
        at: time_from_wire(outcome.at.as_ref()?)?,
        by: outcome.by.clone(),
        message: outcome.message.clone(),
    })
}

fn condition_from_wire(condition: &v1::Condition) -> ConditionStatus {
    ConditionStatus {
        kind: condition.r#type.clone(),
        reason: condition.reason.clone(),
        message: condition.message.clone(),
    }
}

fn grant_from_wire(grant: &v1::Grant) -> Option<GrantStatus> {
    let bindings = grant.bindings.iter().map(|binding| BindingStatus {
        role: binding.role.clone(),
        member: binding.member.clone(),
        expression: binding.expression.clone(),
    });
    Some(GrantStatus {
        starts_at: time_from_wire(grant.starts_at.as_ref()?)?,
        expires_at: time_from_wire(grant.expires_at.as_ref()?)?,
        bindings: bindings.collect(),
    })
}

fn observed_to_wire(entry: &EntryStatus) -> v1::ObservedEntry {
    v1::ObservedEntry { nonce: entry.nonce.clone(), why_not: entry.why_not.clone() }
}

fn observed_from_wire(entry: &v1::ObservedEntry) -> EntryStatus {
    EntryStatus { nonce: entry.nonce.clone(), why_not: entry.why_not.clone() }
}

pub(crate) fn role_to_wire(role: &RequestedRole) -> v1::RequestedRole {
    v1::RequestedRole {
        role: role.role.to_string(),
        resource_condition: role.resource_condition.clone(),
        entitlement: role.entitlement.clone(),
        permissions_hash: role.permissions_hash.to_string(),
    }
}

fn authentication_to_wire(authentication: &Authentication) -> v1::Authentication {
    v1::Authentication {
        assertion_digest: authentication.assertion_digest.as_ref().map(ToString::to_string),
        hosted_domain: authentication.hosted_domain.clone(),
        access_levels: authentication.access_levels.clone(),
        device_id: authentication.device_id.clone(),
        issued_at: authentication.issued_at.map(time_to_wire),
    }
}

fn act_to_wire(kind: ActKind) -> v1::entry::Type {
    match kind {
        ActKind::Decision => v1::entry::Type::Decision,
        ActKind::Withdraw => v1::entry::Type::Withdraw,
        ActKind::Revoke => v1::entry::Type::Revoke,
        ActKind::Extend => v1::entry::Type::Extend,
        ActKind::CloseReview => v1::entry::Type::CloseReview,
    }
}

fn verdict_to_wire(verdict: Verdict) -> v1::entry::Verdict {
    match verdict {
        Verdict::Approve => v1::entry::Verdict::Approve,
        Verdict::Deny => v1::entry::Verdict::Deny,
    }
}

#[cfg(test)]
mod tests;
