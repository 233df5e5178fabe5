//! What people did about a request after it was filed: decisions and directives.

use chrono::{DateTime, TimeDelta, Utc};

use crate::id::{Digest, Nonce};
use crate::principal::Person;

/// The most decisions of one request that are ever looked at.
pub const DECISIONS_MAX: usize = 64;

/// The most entries of one request that do not count and are recorded as such.
pub const REFUSED_MAX: usize = 64;

/// The most directives of one request that are ever looked at.
pub const DIRECTIVES_MAX: usize = 32;

/// Further places kept for directives that end access, so that nobody can crowd them out.
pub const ENDING_DIRECTIVES_RESERVE: usize = 16;

/// One signed act of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The entry's key in the document; it counts once.
    pub nonce: Nonce,
    /// SHA-256 of the signed payload.
    pub digest: Digest,
    /// Who acted.
    pub actor: Person,
    /// When, by the signer's clock.
    pub at: DateTime<Utc>,
    /// How the act was witnessed; comes from the signing key, never from the payload.
    pub level: Level,
    /// What was done.
    pub act: Act,
}

/// How strongly an act is witnessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Intake saw a signed-in session.
    Session,
    /// A system that speaks for people (chat, tickets) says so.
    Writer,
}

/// The acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// An approver's word on the spec or on an extension.
    Decide {
        /// Yes or no.
        verdict: Verdict,
        /// Free text.
        comment: String,
        /// The digest of what is decided.
        target: Digest,
    },
    /// The requester no longer wants it.
    Withdraw {
        /// Free text.
        reason: String,
    },
    /// Somebody else ends it.
    Revoke {
        /// Free text.
        reason: String,
    },
    /// The requester asks for more time.
    Extend {
        /// How much more.
        duration: TimeDelta,
        /// Free text.
        justification: String,
    },
    /// A reviewer closes a break-glass review.
    CloseReview {
        /// Free text.
        findings: String,
    },
}

/// An approver's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Yes.
    Approve,
    /// No.
    Deny,
}

impl Act {
    /// Whether the act asks that access be ended, or not be given.
    pub fn wants_end(&self) -> bool {
        matches!(
            self,
            Self::Withdraw { .. }
                | Self::Revoke { .. }
                | Self::Decide { verdict: Verdict::Deny, .. }
        )
    }

    /// The kind of the act.
    pub fn kind(&self) -> ActKind {
        match self {
            Self::Decide { .. } => ActKind::Decision,
            Self::Withdraw { .. } => ActKind::Withdraw,
            Self::Revoke { .. } => ActKind::Revoke,
            Self::Extend { .. } => ActKind::Extend,
            Self::CloseReview { .. } => ActKind::CloseReview,
        }
    }
}

/// The kinds of acts, named as the envelope types that carry them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ActKind {
    /// An approver's word.
    Decision,
    /// The requester ends it.
    Withdraw,
    /// Somebody else ends it.
    Revoke,
    /// More time is asked for.
    Extend,
    /// A break-glass review is closed.
    CloseReview,
}

impl ActKind {
    /// Every kind.
    pub const ALL: [Self; 5] =
        [Self::Decision, Self::Withdraw, Self::Revoke, Self::Extend, Self::CloseReview];

    /// The envelope type.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Decision => "DECISION",
            Self::Withdraw => "WITHDRAW",
            Self::Revoke => "REVOKE",
            Self::Extend => "EXTEND",
            Self::CloseReview => "CLOSE_REVIEW",
        }
    }

    /// The kind that an envelope type names.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// Whether the act ends access and may use the places kept for that.
    pub fn ends_access(self) -> bool {
        matches!(self, Self::Withdraw | Self::Revoke)
    }
}
