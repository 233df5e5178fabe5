//! What an installation allows at all.

use std::collections::BTreeSet;

use chrono::TimeDelta;

use crate::danger::Dangerous;
use crate::entry::Level;
use crate::resource::Resource;
use crate::role::Role;

/// What this installation allows at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// Nothing outside of it is ever granted.
    pub scope: Resource,
    /// Nothing on these is ever granted: they hold the system itself.
    pub protected: BTreeSet<Resource>,
    /// The longest access by an eligible binding.
    pub duration_max: TimeDelta,
    /// The most roles of one request.
    pub roles_max: usize,
    /// What the approval of a peer takes.
    pub peers: PeerRules,
    /// What becomes of dangerous roles.
    pub dangerous: Dangerous,
    /// The nodes whose eligible bindings count; none named: all within the scope.
    pub from: Vec<Resource>,
}

impl Rules {
    /// Whether eligible bindings of this node count at all.
    pub fn trusts(&self, node: &Resource) -> bool {
        self.from.is_empty() || self.from.contains(node)
    }
}

/// What the approval of a peer takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerRules {
    /// How long a decision may take, from the store's creation time of the request on.
    pub decide_within: TimeDelta,
    /// How many approvers a requester may choose; with none chosen every peer may decide.
    pub chosen_min: usize,
    /// See `chosen_min`.
    pub chosen_max: usize,
    /// How a decision may be witnessed.
    pub evidence: BTreeSet<Level>,
    /// Roles that a peer must approve even where a binding lets people activate them alone.
    pub always_for: BTreeSet<Role>,
}

impl Default for PeerRules {
    /// An hour, and up to ten chosen approvers, as JIT Access has them
    /// (<https://github.com/GoogleCloudPlatform/iam-privilege-manager>, `ACTIVATION_REQUEST_TIMEOUT`,
    /// `ACTIVATION_REQUEST_MAX_REVIEWERS`); decided in signed-in sessions alone.
    fn default() -> Self {
        Self {
            decide_within: TimeDelta::hours(1),
            chosen_min: 1,
            chosen_max: 10,
            evidence: BTreeSet::from([Level::Session]),
            always_for: BTreeSet::new(),
        }
    }
}
