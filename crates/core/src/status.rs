//! What readers see of a request: a projection of the facts, never an input.
//!
//! It is read back by intake, which cannot verify facts, and shown as it stands; so everything but the phase is
//! plain text here.

use chrono::{DateTime, Utc};

use crate::chain::{Chain, Over};
use crate::fact::{Counted, DriftKind, OwnedBinding};
use crate::id::Nonce;
use crate::phase::Phase;

/// The projection that stands in the document for readers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Where the request stands.
    pub phase: Phase,
    /// Why access is over.
    pub outcome: Option<OutcomeStatus>,
    /// What deserves a reader's attention.
    pub conditions: Vec<ConditionStatus>,
    /// The grant, once there is one.
    pub grant: Option<GrantStatus>,
    /// The deadline for approvals, once judged.
    pub decide_by: Option<DateTime<Utc>>,
    /// How many approval steps are needed, once judged.
    pub steps_required: Option<u32>,
    /// The addresses of those whose approval counted.
    pub approved_by: Vec<String>,
    /// The entries that were looked at.
    pub observed_entries: Vec<EntryStatus>,
}

/// Why and since when access is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutcomeStatus {
    /// A name of [`crate::fact::OutcomeReason`].
    pub reason: String,
    /// Since when.
    pub at: DateTime<Utc>,
    /// The address of who caused it, if a person did.
    pub by: Option<String>,
    /// For people.
    pub message: String,
}

/// One observed circumstance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConditionStatus {
    /// Its name, such as `Drift`.
    pub kind: String,
    /// A name for the cause.
    pub reason: String,
    /// For people.
    pub message: String,
}

/// Whether an entry counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryStatus {
    /// The entry.
    pub nonce: String,
    /// Why it does not count; `None` if it does.
    pub why_not: Option<String>,
}

/// The grant as readers see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantStatus {
    /// First instant of access.
    pub starts_at: DateTime<Utc>,
    /// First instant without access.
    pub expires_at: DateTime<Utc>,
    /// Role, member and condition of each binding.
    pub bindings: Vec<BindingStatus>,
}

/// One binding as readers see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindingStatus {
    /// The role.
    pub role: String,
    /// The member.
    pub member: String,
    /// The whole condition expression.
    pub expression: String,
}

impl Status {
    /// Projects the facts; `start_at` is the spec's, if it can be read.
    pub fn of(chain: &Chain<'_>, start_at: Option<DateTime<Utc>>) -> Self {
        Self {
            phase: Phase::of(chain, start_at),
            outcome: chain.outcome.as_ref().map(outcome_status),
            conditions: chain.drift.iter().map(|kind| drift_condition(*kind)).collect(),
            grant: chain.grant.as_ref().map(|grant| GrantStatus {
                starts_at: grant.starts_at,
                expires_at: grant.expires_at,
                bindings: grant
                    .bindings
                    .iter()
                    .map(|binding| binding_status(&binding.live))
                    .collect(),
            }),
            decide_by: chain.eligible.as_ref().map(|eligible| eligible.decide_by),
            steps_required: chain.eligible.as_ref().map(|eligible| eligible.steps_required),
            approved_by: chain.approved_by().map(str::to_owned).collect(),
            observed_entries: chain
                .seen
                .iter()
                .map(|(nonce, counted)| entry_status(nonce, counted))
                .collect(),
        }
    }
}

fn outcome_status(over: &Over) -> OutcomeStatus {
    OutcomeStatus {
        reason: over.outcome.reason.as_str().into(),
        at: over.at,
        by: over.outcome.by.clone(),
        message: over.outcome.message.clone(),
    }
}

fn entry_status(nonce: &Nonce, counted: &Counted) -> EntryStatus {
    let why_not = match counted {
        Counted::Yes { .. } => None,
        Counted::No { why } => Some(why.clone()),
    };
    EntryStatus { nonce: nonce.to_string(), why_not }
}

fn binding_status(binding: &OwnedBinding) -> BindingStatus {
    BindingStatus {
        role: binding.role.to_string(),
        member: binding.member.to_string(),
        expression: binding.expression.clone(),
    }
}

fn drift_condition(kind: DriftKind) -> ConditionStatus {
    let message = match kind {
        DriftKind::Missing => {
            "the binding was removed from the policy by somebody else; it is not put back"
        }
        DriftKind::Altered => {
            "the binding was changed by somebody else; it is removed when the access ends"
        }
    };
    ConditionStatus { kind: "Drift".into(), reason: kind.as_str().into(), message: message.into() }
}
