//! What the controller has established about one request: recorded before it is acted on, never changed.

use chrono::{DateTime, Utc};

use crate::entry::ActKind;
use crate::id::{Digest, Installation, Nonce, RequestId, Tag};
use crate::principal::Principal;
use crate::resource::Resource;
use crate::role::Role;
use crate::spec::Ticket;

/// One fact. `B` is the binding that a grant holds: [`OwnedBinding`] once sealed, [`UntaggedBinding`] in a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact<B = OwnedBinding> {
    /// This entry was looked at; its nonce is used up.
    Seen {
        /// The entry.
        nonce: Nonce,
        /// Whether it counts, and if not, why.
        counted: Counted,
    },
    /// The requester was judged eligible for every role.
    Eligible(Eligible),
    /// The approvals that the request needs are there.
    Approval {
        /// The digest of what was approved.
        target: Digest,
        /// The decisions that it rests on; none for self-activation.
        nonces: Vec<Nonce>,
    },
    /// The access that the request has earned; recorded before any policy write.
    Grant(Grant<B>),
    /// The bindings were seen in the policy.
    Bound {
        /// When they end.
        expires_at: DateTime<Utc>,
    },
    /// The policy differs from what the facts ask for, and we did not change it.
    Drift {
        /// How it differs.
        kind: DriftKind,
    },
    /// Why access is over; written once.
    Outcome(Outcome),
    /// Nothing of the access is left in any policy.
    Ended {
        /// How that is known.
        how: Ending,
    },
    /// Written by a newer version; it verified, and is not understood.
    Unknown {
        /// Its kind.
        kind: String,
    },
}

/// A fact of a plan, not yet tagged and sealed.
pub type DraftFact = Fact<UntaggedBinding>;

/// Whether an entry counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Counted {
    /// It does.
    Yes {
        /// What was done.
        act: ActKind,
        /// The address of who did it.
        by: String,
    },
    /// It does not, for this reason.
    No {
        /// One of the names of [`crate::request::Rejection`] or of the acts' own checks.
        why: String,
    },
}

/// What a positive judgement rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Eligible {
    /// The deadline for approvals.
    pub decide_by: DateTime<Utc>,
    /// How many approval steps are needed; 0 for self-activation.
    pub steps_required: u32,
    /// What it rests on, one line per role.
    pub rests_on: Vec<String>,
}

/// Access that was earned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant<B = OwnedBinding> {
    /// Whose policy the bindings stand in. Recorded, so that access can be ended without the spec.
    pub resource: Resource,
    /// One per role.
    pub bindings: Vec<GrantedBinding<B>>,
    /// First instant of access, whole seconds.
    pub starts_at: DateTime<Utc>,
    /// First instant without access, whole seconds.
    pub expires_at: DateTime<Utc>,
    /// If the bindings are not seen by then, the activation has failed.
    pub activate_by: DateTime<Utc>,
    /// What it rests on, one line per role.
    pub rests_on: Vec<String>,
}

/// The two forms of one role's binding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantedBinding<B = OwnedBinding> {
    /// Gives access from start to end.
    pub live: B,
    /// The same with end = start: never gives access, only makes the policy's etag move.
    pub dead: B,
}

/// A binding of ours, exactly as it stands in a policy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct OwnedBinding {
    /// The role.
    pub role: Role,
    /// The one member.
    pub member: Principal,
    /// `curfew <installation> <request id>`
    pub title: String,
    /// `v1 <first 16 hex of the digest> <tag>[ <ticket>]`
    pub description: String,
    /// The time clause, and the resource clauses if there are any.
    pub expression: String,
}

/// What a tag is computed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagSubject<'a> {
    /// The installation.
    pub installation: &'a Installation,
    /// The request.
    pub request: &'a RequestId,
    /// Where the binding stands.
    pub resource: &'a Resource,
    /// The role as the policy writes it.
    pub role: &'a str,
    /// The member as the policy writes it.
    pub member: &'a str,
    /// The whole condition expression.
    pub expression: &'a str,
}

/// A binding that the core has decided on and the sealer has yet to tag and title.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UntaggedBinding {
    /// The request.
    pub request: RequestId,
    /// Where it will stand.
    pub resource: Resource,
    /// The role.
    pub role: Role,
    /// The one member.
    pub member: Principal,
    /// The digest of the spec.
    pub digest: Digest,
    /// The ticket, if there is one.
    pub ticket: Option<Ticket>,
    /// The whole condition expression.
    pub expression: String,
}

impl UntaggedBinding {
    /// Titles and tags the binding. `tag` computes the controller's HMAC over its subject.
    pub fn tagged(
        &self,
        installation: &Installation,
        tag: &dyn Fn(&TagSubject<'_>) -> Tag,
    ) -> OwnedBinding {
        let member = self.member.to_string();
        let tag = tag(&TagSubject {
            installation,
            request: &self.request,
            resource: &self.resource,
            role: self.role.as_str(),
            member: &member,
            expression: &self.expression,
        });
        OwnedBinding {
            role: self.role.clone(),
            member: self.member.clone(),
            title: installation.title(&self.request),
            description: describe(&self.digest, &tag, self.ticket.as_ref()),
            expression: self.expression.clone(),
        }
    }
}

/// The description of a binding of ours; never free text from people.
pub fn describe(digest: &Digest, tag: &Tag, ticket: Option<&Ticket>) -> String {
    let ticket = ticket.map(|ticket| format!(" {}", ticket.as_str())).unwrap_or_default();
    format!("v1 {} {}{ticket}", digest.prefix(), tag.as_str())
}

/// The tag text of a description of ours, if it has that shape.
pub fn tag_text(description: &str) -> Option<&str> {
    let mut words = description.split(' ');
    match (words.next(), words.next(), words.next()) {
        (Some("v1"), Some(_), Some(tag)) => Some(tag),
        _ => None,
    }
}

/// How a policy differs from what the facts ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DriftKind {
    /// A binding that was seen is gone.
    Missing,
    /// A binding of ours says something else than was written.
    Altered,
}

/// Why access is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The reason.
    pub reason: OutcomeReason,
    /// Who caused it, if a person did.
    pub by: Option<String>,
    /// For readers.
    pub message: String,
}

/// The reasons, in order of precedence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum OutcomeReason {
    /// The spec cannot be believed.
    Invalid,
    /// Somebody else ended it.
    Revoked,
    /// The requester ended it.
    Withdrawn,
    /// An approver said no.
    Denied,
    /// Not eligible, known before approval.
    Ineligible,
    /// No longer eligible, known after approval.
    NoLongerEligible,
    /// Somebody removed the binding from the policy.
    ExternallyRemoved,
    /// The document was rolled back, or the binding was altered.
    Tampered,
    /// The time is over.
    DurationElapsed,
    /// Nobody approved in time.
    ApprovalTimedOut,
    /// The binding could not be made.
    ActivationFailed,
}

impl OutcomeReason {
    /// Every reason, in order of precedence.
    pub const ALL: [Self; 11] = [
        Self::Invalid,
        Self::Revoked,
        Self::Withdrawn,
        Self::Denied,
        Self::Ineligible,
        Self::NoLongerEligible,
        Self::ExternallyRemoved,
        Self::Tampered,
        Self::DurationElapsed,
        Self::ApprovalTimedOut,
        Self::ActivationFailed,
    ];

    /// The name in facts, replies and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "INVALID",
            Self::Revoked => "REVOKED",
            Self::Withdrawn => "WITHDRAWN",
            Self::Denied => "DENIED",
            Self::Ineligible => "INELIGIBLE",
            Self::NoLongerEligible => "NO_LONGER_ELIGIBLE",
            Self::ExternallyRemoved => "EXTERNALLY_REMOVED",
            Self::Tampered => "TAMPERED",
            Self::DurationElapsed => "DURATION_ELAPSED",
            Self::ApprovalTimedOut => "APPROVAL_TIMED_OUT",
            Self::ActivationFailed => "ACTIVATION_FAILED",
        }
    }
}

/// How it is known that nothing is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// No fact grants it, and no policy that could was found to hold anything of it.
    NeverGranted,
    /// A policy write that leaves none of it was answered.
    Answered,
    /// A read after the end shows none of it.
    SeenGone,
    /// The policy has been unreadable for a day after the end; the condition has long closed it.
    ExpiredUnreadable,
}

impl Ending {
    /// Every way.
    pub const ALL: [Self; 4] =
        [Self::NeverGranted, Self::Answered, Self::SeenGone, Self::ExpiredUnreadable];

    /// The name in facts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NeverGranted => "NEVER_GRANTED",
            Self::Answered => "ANSWERED",
            Self::SeenGone => "SEEN_GONE",
            Self::ExpiredUnreadable => "EXPIRED_UNREADABLE",
        }
    }
}

impl DriftKind {
    /// Every kind.
    pub const ALL: [Self; 2] = [Self::Missing, Self::Altered];

    /// The name in facts and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "MISSING",
            Self::Altered => "ALTERED",
        }
    }
}

impl<B> Fact<B> {
    /// The name of the fact's kind.
    pub fn kind(&self) -> &str {
        match self {
            Self::Seen { .. } => "SEEN",
            Self::Eligible(_) => "ELIGIBLE",
            Self::Approval { .. } => "APPROVAL",
            Self::Grant(_) => "GRANT",
            Self::Bound { .. } => "BOUND",
            Self::Drift { .. } => "DRIFT",
            Self::Outcome(_) => "OUTCOME",
            Self::Ended { .. } => "ENDED",
            Self::Unknown { kind } => kind,
        }
    }

    /// The same fact with every binding mapped.
    pub fn map_bindings<C>(&self, f: impl Fn(&B) -> C) -> Fact<C>
    where
        B: Clone,
    {
        match self {
            Self::Seen { nonce, counted } => {
                Fact::Seen { nonce: nonce.clone(), counted: counted.clone() }
            }
            Self::Eligible(eligible) => Fact::Eligible(eligible.clone()),
            Self::Approval { target, nonces } => {
                Fact::Approval { target: target.clone(), nonces: nonces.clone() }
            }
            Self::Grant(grant) => Fact::Grant(grant.map_bindings(f)),
            Self::Bound { expires_at } => Fact::Bound { expires_at: *expires_at },
            Self::Drift { kind } => Fact::Drift { kind: *kind },
            Self::Outcome(outcome) => Fact::Outcome(outcome.clone()),
            Self::Ended { how } => Fact::Ended { how: *how },
            Self::Unknown { kind } => Fact::Unknown { kind: kind.clone() },
        }
    }
}

impl<B> Grant<B> {
    fn map_bindings<C>(&self, f: impl Fn(&B) -> C) -> Grant<C> {
        let bindings = self
            .bindings
            .iter()
            .map(|b| GrantedBinding { live: f(&b.live), dead: f(&b.dead) })
            .collect();
        Grant {
            resource: self.resource.clone(),
            bindings,
            starts_at: self.starts_at,
            expires_at: self.expires_at,
            activate_by: self.activate_by,
            rests_on: self.rests_on.clone(),
        }
    }
}

impl DraftFact {
    /// Titles and tags every binding of the fact.
    pub fn tagged(
        &self,
        installation: &Installation,
        tag: &dyn Fn(&TagSubject<'_>) -> Tag,
    ) -> Fact {
        self.map_bindings(|binding| binding.tagged(installation, tag))
    }
}
