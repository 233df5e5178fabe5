//! One request after verification: what may be believed of a stored document, and why the rest may not.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use crate::entry::Entry;
use crate::fact::Fact;
use crate::id::{Nonce, RequestId};
use crate::spec::Spec;

/// How far a spec's `requestedAt` may lie from the store's `createTime`.
pub const REQUESTED_AT_SKEW_MAX: TimeDelta = TimeDelta::seconds(60);

/// A value whose signature, key, window and place were checked.
///
/// Only the crate `trust` (and simulations and tests) may vouch for one; `cargo xtask check` looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified<T>(T);

impl<T> Verified<T> {
    /// Declares the value verified. The caller has checked it.
    pub fn vouch(value: T) -> Self {
        Self(value)
    }
}

impl<T> std::ops::Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// The controller's own facts whose chain and macs verified, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VerifiedFacts {
    recorded: Vec<Recorded>,
    rejected: usize,
}

/// One fact of a verified chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// When it was recorded, by the controller's clock.
    pub at: DateTime<Utc>,
    /// What it says.
    pub fact: Fact,
}

impl VerifiedFacts {
    /// Declares the chain verified; `rejected` facts after it did not verify and do not exist.
    pub fn vouch(recorded: Vec<Recorded>, rejected: usize) -> Self {
        Self { recorded, rejected }
    }

    /// The facts, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Recorded> + ExactSizeIterator {
        self.recorded.iter()
    }

    /// How many facts stand.
    pub fn len(&self) -> usize {
        self.recorded.len()
    }

    /// Whether none stands.
    pub fn is_empty(&self) -> bool {
        self.recorded.is_empty()
    }

    /// How many stored facts did not verify.
    pub fn rejected(&self) -> usize {
        self.rejected
    }
}

/// One stored request, verified as far as it can be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The id of the document.
    pub id: RequestId,
    /// The store's creation time; the clock that deadlines start from.
    pub created_at: DateTime<Utc>,
    /// The spec, or why there is none to believe.
    pub spec: Result<Verified<Spec>, Rejection>,
    /// Every entry, or why it does not count.
    pub entries: BTreeMap<Nonce, Result<Verified<Entry>, Rejection>>,
    /// The controller's facts.
    pub facts: VerifiedFacts,
    /// Whether this process remembers facts that the stored chain lacks: somebody rolled the document back.
    pub rolled_back: bool,
}

/// Why a signed part of a document does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rejection {
    /// A newer schema than this program knows: neither grants nor ends anything.
    UnsupportedVersion,
    /// There is no envelope, or its payload is not exactly what its type requires.
    Malformed,
    /// No configured key has this id.
    UnknownKey,
    /// The signature does not match the bytes.
    BadSignature,
    /// The key was not valid then, or is distrusted by now.
    KeyOutOfWindow,
    /// The key may not sign this kind of act.
    VerbNotAllowed,
    /// The payload speaks of another installation.
    OtherInstallation,
    /// The payload speaks of another request.
    OtherRequest,
    /// The payload is of another type than its place says.
    OtherType,
    /// The payload's nonce is not the entry's key.
    OtherNonce,
    /// `requestedAt` is more than [`REQUESTED_AT_SKEW_MAX`] from the store's creation time.
    RequestedAtImplausible,
}

impl Rejection {
    /// Every rejection, for tables and metrics.
    pub const ALL: [Self; 11] = [
        Self::UnsupportedVersion,
        Self::Malformed,
        Self::UnknownKey,
        Self::BadSignature,
        Self::KeyOutOfWindow,
        Self::VerbNotAllowed,
        Self::OtherInstallation,
        Self::OtherRequest,
        Self::OtherType,
        Self::OtherNonce,
        Self::RequestedAtImplausible,
    ];

    /// The name in facts, ledger and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnsupportedVersion => "UNSUPPORTED_VERSION",
            Self::Malformed => "MALFORMED",
            Self::UnknownKey => "UNKNOWN_KEY",
            Self::BadSignature => "BAD_SIGNATURE",
            Self::KeyOutOfWindow => "KEY_OUT_OF_WINDOW",
            Self::VerbNotAllowed => "VERB_NOT_ALLOWED",
            Self::OtherInstallation => "OTHER_INSTALLATION",
            Self::OtherRequest => "OTHER_REQUEST",
            Self::OtherType => "OTHER_TYPE",
            Self::OtherNonce => "OTHER_NONCE",
            Self::RequestedAtImplausible => "REQUESTED_AT_IMPLAUSIBLE",
        }
    }
}

impl std::fmt::Display for Rejection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
