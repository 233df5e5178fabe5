//! The one-word summary of a request's facts, in the words of Google's Privileged Access Manager.

use chrono::{DateTime, Utc};

use crate::chain::Chain;

/// Where a request stands. A function of the facts; never read back as input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Filed, not yet judged.
    Pending,
    /// Eligible; decisions are missing.
    AwaitingApproval,
    /// Approved; starts later.
    Scheduled,
    /// Approved; the binding is being granted or written.
    Activating,
    /// The bindings are in the policy.
    Active,
    /// Access is being removed.
    Ending,
    /// Nothing is left.
    Ended,
}

impl Phase {
    /// Every phase, in the order of a request's life.
    pub const ALL: [Self; 7] = [
        Self::Pending,
        Self::AwaitingApproval,
        Self::Scheduled,
        Self::Activating,
        Self::Active,
        Self::Ending,
        Self::Ended,
    ];

    /// The name in documents, replies and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::AwaitingApproval => "AWAITING_APPROVAL",
            Self::Scheduled => "SCHEDULED",
            Self::Activating => "ACTIVATING",
            Self::Active => "ACTIVE",
            Self::Ending => "ENDING",
            Self::Ended => "ENDED",
        }
    }

    /// The phase that a name stands for.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.as_str() == text)
    }

    /// The phase that the facts say; `start_at` is the spec's, if it can be read.
    pub fn of(chain: &Chain<'_>, start_at: Option<DateTime<Utc>>) -> Self {
        if chain.ended.is_some() {
            Self::Ended
        } else if chain.outcome.is_some() {
            Self::Ending
        } else if chain.bound_at.is_some() {
            Self::Active
        } else if chain.grant.is_some() {
            Self::Activating
        } else if let Some(approval) = &chain.approval {
            if start_at.is_some_and(|start| start > approval.at) {
                Self::Scheduled
            } else {
                Self::Activating
            }
        } else if chain.eligible.is_some() {
            Self::AwaitingApproval
        } else {
            Self::Pending
        }
    }
}
