//! Allow policies as they travel and as they are stored: order, merging, versions and etags.

use std::collections::BTreeMap;

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The version that a policy with conditions has.
pub(crate) const CONDITIONS_VERSION: i64 = 3;

/// What Google answers as etag for a policy that was never set.
const NEVER_SET_ETAG: &str = "ACAB";

/// First byte of the etags of policies that were set, as in Google's own.
const ETAG_PREFIX: u64 = 0x07 << 56;

/// Bytes of the hash behind `_withcond_` in the role names of version-1 views: 20 digits.
const WITHCOND_BYTES: usize = 10;

/// A policy's content. Fields that this simulation does not know are kept.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Policy {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) etag: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) bindings: Vec<Binding>,
    #[serde(flatten)]
    pub(crate) other: Map<String, Value>,
}

/// One role for some members, perhaps under a condition.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Binding {
    #[serde(default)]
    pub(crate) role: String,
    #[serde(default)]
    pub(crate) members: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) condition: Option<Condition>,
    #[serde(flatten)]
    pub(crate) other: Map<String, Value>,
}

/// A condition: `google.type.Expr`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Condition {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) title: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) description: String,
    #[serde(default)]
    pub(crate) expression: String,
    #[serde(flatten)]
    pub(crate) other: Map<String, Value>,
}

/// What a resource's policy is now, and what it was one write ago (for stale reads).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct StoredPolicy {
    pub(crate) resource: String,
    pub(crate) current: Revision,
    #[serde(default)]
    pub(crate) previous: Option<Revision>,
    /// Earlier states that Cloud Asset Inventory may still answer or that are still enforced,
    /// oldest first; empty unless one of the two lags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) past: Vec<Revision>,
}

/// Most earlier states that a policy keeps for what lags behind; a policy that is written more often
/// within the lag is indexed and enforced early.
const PAST_MAX: usize = 100;

impl StoredPolicy {
    /// The policy after one more write, where states from before `seen_until` are needed by nobody
    /// but for the last of them.
    pub(crate) fn after(
        before: Option<&Self>,
        resource: String,
        current: Revision,
        seen_until: DateTime<Utc>,
    ) -> Self {
        let previous = before.map(|before| before.current.clone()).unwrap_or_default();
        let mut past = before.map(|before| before.past.clone()).unwrap_or_default();
        past.push(previous.clone());
        let seen = past.iter().rposition(|state| state.is_written_by(seen_until));
        let excess = past.len().saturating_sub(PAST_MAX);
        past.drain(..seen.unwrap_or_default().max(excess));
        if current.is_written_by(seen_until) {
            past.clear();
        }
        Self { resource, current, previous: Some(previous), past }
    }

    /// The newest state that was written by then, or the oldest known.
    pub(crate) fn as_of(&self, time: DateTime<Utc>) -> &Revision {
        if self.current.is_written_by(time) {
            return &self.current;
        }
        let seen = self.past.iter().rfind(|state| state.is_written_by(time));
        seen.or(self.past.first()).unwrap_or(&self.current)
    }

    pub(crate) fn states_mut(&mut self) -> impl Iterator<Item = &mut Revision> {
        let earlier = self.past.iter_mut().chain(&mut self.previous);
        earlier.chain([&mut self.current])
    }
}

/// One state of a policy. Neither version nor etag is stored: both follow from the rest.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Revision {
    /// How many writes this policy has seen.
    pub(crate) counter: u64,
    pub(crate) policy: Policy,
    /// When it was written; seeded policies are as old as the cloud.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) written_at: Option<DateTime<Utc>>,
}

impl Policy {
    pub(crate) fn has_conditions(&self) -> bool {
        self.bindings.iter().any(|binding| binding.condition.is_some())
    }

    /// Equal bindings merged, members sorted and counted once, empty bindings dropped, all of it
    /// in one order: IAM does not promise to answer a policy as it was sent, and does not.
    pub(crate) fn normalise_bindings(&mut self) {
        let mut merged: BTreeMap<(String, String, String), Binding> = BTreeMap::new();
        for mut binding in std::mem::take(&mut self.bindings) {
            let key = (
                binding.role.clone(),
                canonical(binding.condition.as_ref()),
                canonical(Some(&binding.other)),
            );
            let members = std::mem::take(&mut binding.members);
            merged.entry(key).or_insert(binding).members.extend(members);
        }
        self.bindings = merged.into_values().collect();
        for binding in &mut self.bindings {
            for member in &mut binding.members {
                *member = normal_member(member);
            }
            binding.members.sort();
            binding.members.dedup();
        }
        self.bindings.retain(|binding| !binding.members.is_empty());
    }
}

impl Revision {
    fn is_written_by(&self, time: DateTime<Utc>) -> bool {
        self.written_at.is_none_or(|written_at| written_at <= time)
    }

    pub(crate) fn etag(&self) -> String {
        etag_of(self.counter)
    }

    /// The policy for a reader that asked for `requested` as version: a reader below version 3
    /// sees conditional bindings under `_withcond_` role names and without their conditions, see
    /// <https://cloud.google.com/iam/docs/troubleshooting-withcond>.
    pub(crate) fn view(&self, requested: i64) -> Policy {
        let mut policy = self.policy.clone();
        policy.etag = Some(self.etag());
        policy.version = Some(1);
        if policy.has_conditions() {
            if requested >= CONDITIONS_VERSION {
                policy.version = Some(CONDITIONS_VERSION);
            } else {
                policy.bindings.iter_mut().for_each(hide_condition);
            }
        }
        policy
    }
}

/// Base64 of eight bytes that grow with every write.
pub(crate) fn etag_of(writes: u64) -> String {
    if writes == 0 {
        return NEVER_SET_ETAG.to_owned();
    }
    STANDARD.encode((ETAG_PREFIX | writes).to_be_bytes())
}

fn hide_condition(binding: &mut Binding) {
    if let Some(condition) = binding.condition.take() {
        let hash = digest::digest(&digest::SHA256, canonical(Some(&condition)).as_bytes());
        let shown = hash
            .as_ref()
            .iter()
            .take(WITHCOND_BYTES)
            .fold(0_u128, |shown, byte| (shown << 8) | u128::from(*byte));
        binding.role = format!("{}_withcond_{shown:020x}", binding.role);
    }
}

/// One text for equal values: `serde_json` keeps objects in key order.
fn canonical<T: Serialize>(value: Option<&T>) -> String {
    value
        .and_then(|value| serde_json::to_value(value).ok())
        .map_or_else(String::new, |value| value.to_string())
}

/// Addresses and domains in lower case, as IAM answers them.
fn normal_member(member: &str) -> String {
    match member.split_once(':') {
        Some((kind @ ("user" | "group" | "serviceAccount" | "domain"), rest)) => {
            format!("{kind}:{}", rest.to_ascii_lowercase())
        }
        _ => member.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::collection::vec;
    use proptest::prelude::{prop_assert_eq, proptest};
    use serde_json::json;

    use super::*;

    fn policy(value: Value) -> Policy {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn equal_bindings_are_merged_and_all_are_put_in_order() {
        let mut sent = policy(json!({"bindings": [
            {"role": "roles/viewer", "members": ["user:Z@example.com", "user:a@example.com"]},
            {"role": "roles/browser", "members": ["user:b@example.com"], "condition": {"title": "t", "expression": "true"}},
            {"role": "roles/browser", "members": ["user:c@example.com"]},
            {"role": "roles/viewer", "members": ["user:a@example.com", "user:b@example.com"]},
            {"role": "roles/editor", "members": []},
        ]}));
        sent.normalise_bindings();
        let expected = policy(json!({"bindings": [
            {"role": "roles/browser", "members": ["user:c@example.com"]},
            {"role": "roles/browser", "members": ["user:b@example.com"], "condition": {"title": "t", "expression": "true"}},
            {"role": "roles/viewer", "members": ["user:a@example.com", "user:b@example.com", "user:z@example.com"]},
        ]}));
        assert_eq!(sent, expected);
    }

    proptest! {
        #[test]
        fn normal_form_is_stable_and_loses_no_grant(
            pairs in vec((0..4_u8, 0..4_u8, 0..3_u8), 0..20),
        ) {
            let bindings: Vec<Value> = pairs
                .iter()
                .map(|(role, member, condition)| match condition {
                    0 => json!({"role": format!("r{role}"), "members": [format!("user:M{member}@x")]}),
                    n => json!({"role": format!("r{role}"), "members": [format!("user:m{member}@x")],
                        "condition": {"title": "t", "expression": format!("{n} == {n}")}}),
                })
                .collect();
            let mut once = policy(json!({"bindings": bindings}));
            once.normalise_bindings();
            let mut twice = once.clone();
            twice.normalise_bindings();
            prop_assert_eq!(&once, &twice);
            let kept: usize = once.bindings.iter().map(|binding| binding.members.len()).sum();
            prop_assert_eq!(kept, pairs.iter().collect::<BTreeSet<_>>().len());
        }
    }

    #[test]
    fn bindings_with_different_unknown_fields_stay_apart() {
        let mut sent = policy(json!({"bindings": [
            {"role": "r", "members": ["user:a@x"], "future": 1},
            {"role": "r", "members": ["user:b@x"]},
        ], "auditConfigs": [{"service": "allServices"}], "newTop": {"a": 1}}));
        sent.normalise_bindings();
        assert_eq!(sent.bindings.len(), 2);
        assert_eq!(sent.other["newTop"], json!({"a": 1}));
        assert_eq!(sent.other["auditConfigs"][0]["service"], "allServices");
    }

    #[test]
    fn a_version_1_reader_sees_withcond_and_no_condition() {
        let conditional = json!({"role": "roles/browser", "members": ["user:b@x"], "condition": {"title": "t", "expression": "true"}});
        let revision = Revision {
            counter: 4,
            policy: policy(json!({"bindings": [conditional]})),
            written_at: None,
        };
        let old = revision.view(1);
        assert_eq!(old.version, Some(1));
        assert_eq!(old.bindings[0].condition, None);
        let (role, hash) = old.bindings[0].role.split_once("_withcond_").unwrap();
        assert_eq!((role, hash.len()), ("roles/browser", 20));
        let new = revision.view(3);
        assert_eq!((new.version, new.bindings[0].role.as_str()), (Some(3), "roles/browser"));
        assert_eq!(new.etag, old.etag);
    }

    #[test]
    fn a_policy_without_conditions_is_version_1_for_everybody() {
        let revision = Revision {
            counter: 1,
            policy: policy(json!({"bindings": [{"role": "r", "members": ["user:b@x"]}]})),
            written_at: None,
        };
        assert_eq!(revision.view(3).version, Some(1));
    }

    #[test]
    fn etags_are_base64_and_differ_with_each_write() {
        let etag = |counter| Revision { counter, ..Revision::default() }.etag();
        assert_eq!(etag(0), "ACAB");
        assert_ne!(etag(1), etag(2));
        assert_eq!(STANDARD.decode(etag(1)).unwrap(), [7, 0, 0, 0, 0, 0, 0, 1]);
    }
}
