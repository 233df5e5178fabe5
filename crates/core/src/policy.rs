//! An IAM allow policy, read and written without losing what we do not understand.

use std::collections::{BTreeMap, BTreeSet};

use crate::fact::OwnedBinding;

/// Fields of a policy, binding or condition that we do not read, as one canonical JSON object text.
///
/// They go back exactly as they came: new fields of Google's must survive our writes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rest(pub String);

impl Default for Rest {
    fn default() -> Self {
        Self("{}".into())
    }
}

/// A policy as read, version 3.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    /// The format version; 3 wherever a condition is.
    pub version: i32,
    /// The concurrency token of the read, as Google sent it.
    pub etag: String,
    /// The bindings, in Google's order.
    pub bindings: Vec<Binding>,
    /// `auditConfigs` and whatever else the policy holds.
    pub rest: Rest,
}

/// One binding of a policy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Binding {
    /// The role as written.
    pub role: String,
    /// The members as written.
    pub members: Vec<String>,
    /// The condition, if it has one.
    pub condition: Option<Condition>,
    /// Other fields.
    pub rest: Rest,
}

/// The condition of a binding.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Condition {
    /// At most 100 bytes of text.
    pub title: String,
    /// At most 256 bytes of text.
    pub description: String,
    /// Common Expression Language.
    pub expression: String,
    /// Other fields.
    pub rest: Rest,
}

impl Binding {
    /// The condition's title, empty for none.
    pub fn title(&self) -> &str {
        self.condition.as_ref().map_or("", |condition| &condition.title)
    }
}

impl From<&OwnedBinding> for Binding {
    fn from(owned: &OwnedBinding) -> Self {
        Self {
            role: owned.role.to_string(),
            members: vec![owned.member.to_string()],
            condition: Some(Condition {
                title: owned.title.clone(),
                description: owned.description.clone(),
                expression: owned.expression.clone(),
                rest: Rest::default(),
            }),
            rest: Rest::default(),
        }
    }
}

/// What of a policy is not ours, in a form that does not change when IAM reorders or merges bindings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreign {
    rest: Rest,
    members: BTreeMap<(String, Option<Condition>, Rest), BTreeSet<String>>,
}

impl Policy {
    /// The part of the policy that `is_ours` does not claim.
    pub fn foreign(&self, is_ours: impl Fn(&Binding) -> bool) -> Foreign {
        let mut members: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
        for binding in self.bindings.iter().filter(|binding| !is_ours(binding)) {
            let key = (binding.role.clone(), binding.condition.clone(), binding.rest.clone());
            members.entry(key).or_default().extend(binding.members.iter().cloned());
        }
        Foreign { rest: self.rest.clone(), members }
    }
}
