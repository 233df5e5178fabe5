//! What to do about one request. Made by the core alone; the shell executes it and chooses nothing.

use chrono::{DateTime, Utc};

use crate::apply::Refusal;
use crate::fact::{DraftFact, OwnedBinding};
use crate::id::RequestId;
use crate::phase::Phase;
use crate::policy::Binding;

/// A decision. A plan that records facts asks for no policy change: the next pass does, from the recorded facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The phase once the facts are recorded.
    pub phase: Phase,
    /// To be recorded in one commit.
    pub facts: Vec<DraftFact>,
    /// What the policy should hold, if it is not known to hold just that.
    pub bindings: Option<SetBindings>,
    /// When to look again even if nothing happens.
    pub wake_at: Option<DateTime<Utc>>,
    /// Why, in the order in which it was decided.
    pub reasons: Vec<Reason>,
}

impl Plan {
    /// Whether something stands in the way that no event will tell the end of, such as a failed look-up: look again
    /// after a back-off.
    pub fn is_blocked(&self) -> bool {
        let blocks = |reason: &Reason| {
            matches!(reason, Reason::Unanswered { .. } | Reason::Full(_) | Reason::Astray { .. })
        };
        self.reasons.iter().any(blocks)
    }
}

/// The whole of what the policy should hold for one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetBindings {
    /// The request.
    pub request: RequestId,
    /// When the grant was decided; additions go in this order.
    pub decided_at: DateTime<Utc>,
    /// All that should stand.
    pub bindings: Vec<OwnedBinding>,
    /// All that stands now, exactly as read; empty where it could not be read.
    pub replaces: Vec<Binding>,
    /// Why the write is wanted.
    pub purpose: Purpose,
}

/// Why a policy write is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The policy should hold something else.
    Difference,
    /// The policy holds nothing of the request, yet a late write could still land: any answered write closes
    /// that door, so the dead form is written only if the turn writes nothing else.
    Fence,
}

/// One step of the reasoning, for `explain`, logs and conditions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// A look-up failed; nothing was concluded from it.
    Unanswered {
        /// What was asked.
        what: &'static str,
        /// Why there was no answer.
        why: String,
    },
    /// A deadline has not come yet.
    Waiting {
        /// For what.
        what: &'static str,
    },
    /// The document is of a newer version: neither granted nor ended.
    Unsupported,
    /// The requester is not eligible.
    Ineligible(String),
    /// Something stands in the policy that no fact asks for.
    Unwanted {
        /// How many bindings.
        n: usize,
    },
    /// A binding of ours was altered; it is removed at the end.
    Altered {
        /// How many bindings.
        n: usize,
    },
    /// A binding is gone from the policy and is not re-added.
    Missing,
    /// The policy takes no further bindings now.
    Full(Refusal),
    /// Bindings of ours stand in other policies although no fact that verifies asks for them.
    Astray {
        /// In how many policies.
        n: usize,
    },
}
