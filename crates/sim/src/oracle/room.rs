//! S11: IAM's limits on a policy, and who has to wait because of them.

use chrono::{DateTime, Utc};
use curfew_core::policy::{Binding, Policy};
use curfew_core::resource::Resource;
use curfew_core::spec::Spec;

use super::{Invariant, Oracle};
use crate::cloud::{Cloud, PRINCIPALS_MAX, SAME_ROLE_AND_MEMBER_MAX, is_over_limits, n_principals};

/// Whether the policy has no place for all that the request asks for.
fn is_full_for(spec: &Spec, policy: &Policy) -> bool {
    let member = spec.principal.to_string();
    let n_held = |role: &str| {
        let holds = |binding: &&Binding| {
            binding.role == role && binding.condition.is_some() && binding.members.contains(&member)
        };
        policy.bindings.iter().filter(holds).count()
    };
    n_principals(policy) + spec.roles.len() > PRINCIPALS_MAX
        || spec.roles.iter().any(|it| n_held(it.role.as_str()) >= SAME_ROLE_AND_MEMBER_MAX)
}

/// The same as the policy is now.
pub(super) fn has_no_room(spec: &Spec, cloud: &Cloud) -> bool {
    cloud.policy(&spec.resource).is_ok_and(|policy| is_full_for(spec, policy))
}

impl Oracle {
    /// S11: what is sent, on the very policy that stands there, is within the limits.
    pub(crate) fn arrived(&mut self, resource: &Resource, sent: &Policy, cloud: &Cloud) {
        let is_current = cloud.policy(resource).is_ok_and(|now| now.etag == sent.etag);
        if is_current && cloud.adds_to(resource, sent) && is_over_limits(sent) {
            let what = format!("a policy was sent to {resource} that goes beyond IAM's limits");
            self.wrong(Invariant::S11, what);
        }
    }

    /// The policy has been like this until now: who had no place in it could not be granted.
    pub(crate) fn room_was(&mut self, at: DateTime<Utc>, resource: &Resource, before: &Policy) {
        let is_empty = before.bindings.len() < SAME_ROLE_AND_MEMBER_MAX
            && n_principals(before) < PRINCIPALS_MAX / 2;
        if is_empty {
            return;
        }
        let waiting = self.lives.values_mut().filter(|life| {
            life.spec.resource == *resource && life.over.is_none() && life.bound_at.is_none()
        });
        for life in waiting.filter(|life| is_full_for(&life.spec, before)) {
            life.no_room_until = Some(at);
        }
    }
}
