//! Whether further bindings would fit into a policy, told from a summary that is small enough to be kept.

use std::collections::BTreeMap;

use super::{Limits, Refusal};
use crate::policy::Policy;
use crate::principal::Principal;
use crate::role::Role;

/// How much of its limits a policy has used up.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Room {
    principals: usize,
    conditional: BTreeMap<(String, String), usize>,
}

impl Room {
    /// Counts what the policy holds.
    pub fn of(policy: &Policy) -> Self {
        let mut room = Self::default();
        for binding in &policy.bindings {
            room.principals = room.principals.saturating_add(binding.members.len());
            for member in binding.members.iter().filter(|_| binding.condition.is_some()) {
                let held = room.conditional.entry((binding.role.clone(), member.clone()));
                let held = held.or_default();
                *held = held.saturating_add(1);
            }
        }
        room
    }

    /// Why one further binding of `member` for each of these roles, each named once, would not fit; `None` if all would.
    ///
    /// It foresees what [`super::apply_edits`] would say on the very same policy.
    pub fn refuses<'a>(
        &self,
        member: &Principal,
        roles: impl IntoIterator<Item = &'a Role>,
        limits: &Limits,
    ) -> Option<Refusal> {
        let member = member.to_string();
        let (mut added, mut is_crowded) = (0_usize, false);
        for role in roles {
            let held = self.conditional.get(&(role.to_string(), member.clone()));
            is_crowded |= held.copied().unwrap_or_default() >= limits.same_role_and_member;
            added = added.saturating_add(1);
        }
        if self.principals.saturating_add(added) > limits.principals {
            Some(Refusal::TooManyPrincipals)
        } else {
            is_crowded.then_some(Refusal::TooManyForRoleAndMember)
        }
    }
}
