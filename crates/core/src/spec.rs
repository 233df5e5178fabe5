//! What was asked: immutable once the request is filed.

use chrono::{DateTime, TimeDelta, Utc};

use crate::condition::ResourceName;
use crate::id::{Digest, Nonce, RequestId};
use crate::principal::{Email, Person, Principal};
use crate::resource::Resource;
use crate::role::Role;

/// The shortest access that can be asked for.
pub const DURATION_MIN: TimeDelta = TimeDelta::minutes(1);

/// The longest justification, in characters. The envelope must stay far below a document's 1 MiB.
pub const JUSTIFICATION_LENGTH_MAX: usize = 1_000;

/// One request as it was filed and signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// The request that the signature speaks of.
    pub id: RequestId,
    /// SHA-256 of the signed payload; what approvers approve and bindings carry.
    pub digest: Digest,
    /// Who asks.
    pub requester: Person,
    /// Who receives the access.
    pub principal: Principal,
    /// Where.
    pub resource: Resource,
    /// Which roles; all of them or none.
    pub roles: Vec<RequestedRole>,
    /// Names that the access is narrowed to; empty for no narrowing.
    pub resource_names: Vec<ResourceName>,
    /// For how long, whole seconds, from activation on.
    pub duration: TimeDelta,
    /// When the access shall start; `None` for at once.
    pub start_at: Option<DateTime<Utc>>,
    /// Why; free text, shown to people and never put in a control position.
    pub justification: String,
    /// A ticket in some other system, if it has the grammar of one.
    pub ticket: Option<Ticket>,
    /// The approvers that the requester turned to; empty for all who may.
    pub chosen_approvers: Vec<Email>,
    /// Whether approval is to be skipped by a break-glass rule.
    pub break_glass: bool,
    /// When the requester asked, by intake's clock.
    pub requested_at: DateTime<Utc>,
    /// Makes the payload unique.
    pub nonce: Nonce,
    /// What is known of the sign-in that the request was made in.
    pub authentication: Authentication,
}

/// One role of a request, tied to the eligibility that it was asked under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestedRole {
    /// The role.
    pub role: Role,
    /// The resource condition as it was offered; empty for none.
    pub resource_condition: String,
    /// The name of the eligibility, `iam-<26 characters>` for an eligible IAM binding.
    pub entitlement: String,
    /// SHA-256 of the role's sorted permissions, each followed by a line feed, when the request was filed.
    pub permissions_hash: Digest,
}

/// The claims of a sign-in that rules need; the assertion itself is never kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Authentication {
    /// SHA-256 of the raw assertion.
    pub assertion_digest: Option<Digest>,
    /// The hosted domain, if the assertion names one.
    pub hosted_domain: Option<String>,
    /// Access levels that the device and the person had.
    pub access_levels: Vec<String>,
    /// The device, if Endpoint Verification knows it.
    pub device_id: Option<String>,
    /// When the assertion was made.
    pub issued_at: Option<DateTime<Utc>>,
}

/// A ticket reference that is safe in a binding's description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket(String);

impl Ticket {
    /// Accepts `[A-Za-z0-9_-]{1,40}`; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let valid = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        ((1..=40).contains(&text.len()) && text.bytes().all(valid)).then(|| Self(text.to_owned()))
    }

    /// The text form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
