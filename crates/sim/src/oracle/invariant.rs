//! What must hold, by the names that the design gives it.

use std::fmt;

/// A property that no run may break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// Every binding that is written renders exactly from a stored request that was eligible and approved, where that
    /// is asked for, by a peer who may, over that very request.
    S1,
    /// Every binding is bounded in time as was asked for and by the maximum, and goes when it is over.
    S2,
    /// What is foreign in a policy is the same before and after each write.
    S3,
    /// A grant keeps its binding until its own end, whatever happens to others.
    S4,
    /// At most one binding per request and role; a settled world is left alone.
    S5,
    /// What has ended never comes back; who ends access wins; a no beats a yes.
    S6,
    /// No write to the store alone creates, widens or prolongs access.
    S7,
    /// Who has seen only an older state changes nothing that a newer fact forbids.
    S8,
    /// Every policy write has an intent before and an outcome after; every chain verifies.
    S9,
    /// What is not known never advances a request.
    S10,
    /// No policy is sent that goes beyond a limit of IAM's, and none is read all the time.
    S11,
    /// The controller's own access stays as it is, and nothing is granted that reaches the access system.
    S12,
    /// Once nothing goes wrong any more, what is there becomes what is wanted, and stays so.
    L1,
    /// With the watch dead for ever, grants still come within a resync and ten seconds.
    L2,
    /// A project that fails delays no other by more than five seconds.
    L3,
    /// After a long outage removals come before grants.
    L4,
    /// A revocation overtakes queued grants.
    L5,
}

impl Invariant {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::S1,
        Self::S2,
        Self::S3,
        Self::S4,
        Self::S5,
        Self::S6,
        Self::S7,
        Self::S8,
        Self::S9,
        Self::S10,
        Self::S11,
        Self::S12,
        Self::L1,
        Self::L2,
        Self::L3,
        Self::L4,
        Self::L5,
    ];
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A breach of an invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Of which.
    pub invariant: Invariant,
    /// What happened.
    pub what: String,
}

impl Violation {
    pub(crate) fn of(invariant: Invariant, what: impl Into<String>) -> Self {
        Self { invariant, what: what.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.what)
    }
}
