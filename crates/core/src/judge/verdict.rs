//! What a judgement comes to.

use chrono::TimeDelta;

use crate::condition::{Activation, Carried};
use crate::world::Unanswered;

/// The verdict on one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Eligibility {
    /// Every role may be granted.
    Yes(Basis),
    /// It may not.
    No(Ineligible),
}

/// What a positive verdict rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Basis {
    /// Alone, or with a peer's approval.
    pub activation: Activation,
    /// How long the approval may take, from the store's creation time of the request on.
    pub decide_within: TimeDelta,
    /// Per requested role, in its order: the resource condition to carry, the requester's narrowing included.
    pub carried: Vec<Carried>,
    /// One line per role, for facts and readers.
    pub rests_on: Vec<String>,
}

/// Why a request may not be granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ineligible {
    /// The reason's name.
    pub reason: Objection,
    /// The field of the request that it is about.
    pub field: &'static str,
    /// What is wrong and what to do next, for the requester.
    pub message: String,
}

/// The names of the reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Objection {
    /// The receiver is somebody else than the requester.
    ReceiverNotAllowed,
    /// The resource lies outside of the scope.
    OutOfScope,
    /// The resource belongs to the system itself, or the role would reach it from above.
    ProtectedResource,
    /// Shorter than a minute, or longer than the maximum.
    DurationOutOfBounds,
    /// In the past, or too far ahead.
    StartOutOfBounds,
    /// None, too many, or one twice.
    RolesOutOfBounds,
    /// More names than fit, or a name that cannot be put in a condition.
    ResourceNamesNotAllowed,
    /// Break-glass is not configured for this.
    BreakGlassNotOffered,
    /// IAM does not know the role.
    UnknownRole,
    /// The role's permissions changed since the request was filed.
    RoleChanged,
    /// The role is a custom one of another project or organisation.
    RoleNotGrantableHere,
    /// The role's permissions let its holder make more of them, and such are refused here.
    DangerousRole,
    /// No eligible binding offers this role, or not to this person.
    NotEligible,
    /// Roles that one may activate alone are mixed with roles that a peer must approve.
    ActivationsMixed,
    /// Approvers were chosen where none is needed, too few or too many, one twice, or the requester.
    ApproversNotAllowed,
}

impl Objection {
    /// Every reason.
    pub const ALL: [Self; 15] = [
        Self::ReceiverNotAllowed,
        Self::OutOfScope,
        Self::ProtectedResource,
        Self::DurationOutOfBounds,
        Self::StartOutOfBounds,
        Self::RolesOutOfBounds,
        Self::ResourceNamesNotAllowed,
        Self::BreakGlassNotOffered,
        Self::UnknownRole,
        Self::RoleChanged,
        Self::RoleNotGrantableHere,
        Self::DangerousRole,
        Self::NotEligible,
        Self::ActivationsMixed,
        Self::ApproversNotAllowed,
    ];

    /// The name in facts and replies.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReceiverNotAllowed => "RECEIVER_NOT_ALLOWED",
            Self::OutOfScope => "OUT_OF_SCOPE",
            Self::ProtectedResource => "PROTECTED_RESOURCE",
            Self::DurationOutOfBounds => "DURATION_OUT_OF_BOUNDS",
            Self::StartOutOfBounds => "START_OUT_OF_BOUNDS",
            Self::RolesOutOfBounds => "ROLES_OUT_OF_BOUNDS",
            Self::ResourceNamesNotAllowed => "RESOURCE_NAMES_NOT_ALLOWED",
            Self::BreakGlassNotOffered => "BREAK_GLASS_NOT_OFFERED",
            Self::UnknownRole => "UNKNOWN_ROLE",
            Self::RoleChanged => "ROLE_CHANGED",
            Self::RoleNotGrantableHere => "ROLE_NOT_GRANTABLE_HERE",
            Self::DangerousRole => "DANGEROUS_ROLE",
            Self::NotEligible => "NOT_ELIGIBLE",
            Self::ActivationsMixed => "ACTIVATIONS_MIXED",
            Self::ApproversNotAllowed => "APPROVERS_NOT_ALLOWED",
        }
    }
}

/// One check of the list, by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// What the check says of a request that passes it.
    pub name: &'static str,
    /// What it says of this one.
    pub verdict: CheckVerdict,
}

/// What one check says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckVerdict {
    /// No objection.
    Passed,
    /// This is wrong.
    Failed(Ineligible),
    /// A look-up that matters has no answer.
    Unanswered(Unanswered),
    /// It needs live answers, and there are none.
    NotReached,
}

/// Why a check did not pass.
pub(super) enum Stop {
    No(Ineligible),
    Unanswered(Unanswered),
}

pub(super) fn no(reason: Objection, field: &'static str, message: impl Into<String>) -> Stop {
    Stop::No(Ineligible { reason, field, message: message.into() })
}

impl From<Result<(), Stop>> for CheckVerdict {
    fn from(result: Result<(), Stop>) -> Self {
        match result {
            Ok(()) => Self::Passed,
            Err(Stop::No(why)) => Self::Failed(why),
            Err(Stop::Unanswered(why)) => Self::Unanswered(why),
        }
    }
}
