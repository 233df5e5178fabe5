//! Policies, groups and roles, in memory, with what IAM does to policies.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use curfew_core::id::WriteId;
use curfew_core::policy::{Binding, Condition, Policy, Rest};
use curfew_core::principal::Email;
use curfew_core::resource::Resource;
use curfew_core::role::Role;
use curfew_ports::{PortError, RetryClass};

use crate::connection::Freshness;

/// How long a stale read may lag behind.
const STALE_MAX: TimeDelta = TimeDelta::seconds(3);

/// One policy that was written.
#[derive(Debug, Clone)]
pub struct PolicyWrite {
    /// When it took effect.
    pub at: DateTime<Utc>,
    /// Whose policy.
    pub resource: Resource,
    /// The controller's write id; `None` for somebody else's write.
    pub write: Option<WriteId>,
    /// What stood there.
    pub before: Policy,
    /// What stands there.
    pub after: Policy,
}

/// A cloud of projects below one organisation.
#[derive(Default)]
pub struct Cloud {
    policies: BTreeMap<Resource, Policy>,
    log: Vec<PolicyWrite>,
    groups: BTreeMap<Email, BTreeSet<Email>>,
    n_etags: u64,
    changed_roles: BTreeSet<Role>,
    /// Members whom IAM's limits have kept out.
    crowded_out: BTreeSet<String>,
    /// Members whose additions are refused with 400.
    pub refused_members: BTreeSet<String>,
}

impl Cloud {
    /// Puts a policy there, as it was before the simulation began.
    pub fn seed(&mut self, resource: &Resource, bindings: Vec<Binding>) {
        let policy = Policy {
            version: 3,
            etag: self.next_etag(),
            bindings,
            rest: Rest("{\"auditConfigs\":[]}".into()),
        };
        self.policies.insert(resource.clone(), policy);
    }

    /// Puts people into a group.
    pub fn seed_group(&mut self, group: &Email, members: impl IntoIterator<Item = Email>) {
        self.groups.entry(group.clone()).or_default().extend(members);
    }

    /// Takes somebody out of every group.
    pub fn leave_groups(&mut self, person: &Email) {
        self.groups.values_mut().for_each(|members| {
            members.remove(person);
        });
    }

    /// The policy as it is.
    pub fn policy(&self, resource: &Resource) -> Result<&Policy, PortError> {
        self.policies.get(resource).ok_or_else(|| {
            PortError::new(RetryClass::NotFound, format!("read the policy of {resource}"))
        })
    }

    /// Every policy.
    pub fn policies(&self) -> impl Iterator<Item = (&Resource, &Policy)> {
        self.policies.iter()
    }

    /// Every write, oldest first.
    pub fn log(&self) -> &[PolicyWrite] {
        &self.log
    }

    /// How many writes of the controller took effect.
    pub fn n_writes(&self) -> usize {
        self.log.iter().filter(|write| write.write.is_some()).count()
    }

    /// Somebody else's change of a policy.
    pub fn change(
        &mut self,
        at: DateTime<Utc>,
        resource: &Resource,
        change: impl FnOnce(&mut Policy),
    ) {
        let Ok(mut policy) = self.policy(resource).cloned() else { return };
        change(&mut policy);
        self.put(at, resource, policy, None);
    }

    /// Whether the person is in the group now.
    pub fn is_member(&self, group: &Email, person: &Email) -> bool {
        self.groups.get(group).is_some_and(|members| members.contains(person))
    }

    /// Every group of the person.
    pub fn groups_of(&self, person: &Email) -> BTreeSet<Email> {
        self.groups
            .iter()
            .filter(|(_, members)| members.contains(person))
            .map(|(group, _)| group.clone())
            .collect()
    }

    /// What a role permits at first: just one thing, by its own name (`roles/x` permits `x.use`).
    pub fn first_permissions(role: &Role) -> BTreeSet<String> {
        BTreeSet::from([format!("{}.use", name_of(role))])
    }

    /// From now on the role permits more.
    pub fn change_role(&mut self, role: &Role) {
        self.changed_roles.insert(role.clone());
    }

    /// What the role permits now.
    pub fn permissions(&self, role: &Role) -> BTreeSet<String> {
        let mut permissions = Self::first_permissions(role);
        let more = || format!("{}.more", name_of(role));
        permissions.extend(self.changed_roles.contains(role).then(more));
        permissions
    }

    /// Whether the cloud refuses this member: as such, or because a limit was reached when it was to be added.
    pub(crate) fn has_refused(&self, member: &str) -> bool {
        self.refused_members.contains(member) || self.crowded_out.contains(member)
    }

    /// Whether the policy would add anything to what stands there.
    pub(crate) fn adds_to(&self, resource: &Resource, policy: &Policy) -> bool {
        self.policies.get(resource).is_some_and(|now| added_to(now, policy).next().is_some())
    }

    pub(crate) fn read(
        &self,
        at: DateTime<Utc>,
        resource: &Resource,
        freshness: Freshness,
    ) -> Result<Policy, PortError> {
        let last = self.log.iter().rev().find(|write| write.resource == *resource);
        match (freshness, last) {
            (Freshness::Stale, Some(write)) if at.signed_duration_since(write.at) <= STALE_MAX => {
                Ok(write.before.clone())
            }
            (Freshness::Stale | Freshness::Now, _) => self.policy(resource).cloned(),
        }
    }

    pub(crate) fn write(
        &mut self,
        at: DateTime<Utc>,
        resource: &Resource,
        policy: Policy,
        write: WriteId,
    ) -> Result<PolicyWrite, PortError> {
        let before = self.policy(resource)?;
        let failed = |class| Err(PortError::new(class, format!("write the policy of {resource}")));
        // Without an etag IAM overwrites whatever is there.
        if !policy.etag.is_empty() && before.etag != policy.etag {
            return failed(RetryClass::Conflict);
        }
        let added = added_to(before, &policy).flat_map(|binding| &binding.members);
        let added: BTreeSet<String> = added.cloned().collect();
        if is_over_limits(&policy) {
            self.crowded_out.extend(added);
            return failed(RetryClass::Invalid);
        }
        if policy.version != 3 || !added.is_disjoint(&self.refused_members) {
            return failed(RetryClass::Invalid);
        }
        Ok(self.put(at, resource, policy, Some(write)))
    }

    fn put(
        &mut self,
        at: DateTime<Utc>,
        resource: &Resource,
        policy: Policy,
        write: Option<WriteId>,
    ) -> PolicyWrite {
        let before = self.policies.get(resource).cloned().unwrap_or_default();
        let after =
            Policy { etag: self.next_etag(), bindings: reordered(policy.bindings), ..policy };
        self.policies.insert(resource.clone(), after.clone());
        let entry = PolicyWrite { at, resource: resource.clone(), write, before, after };
        self.log.push(entry.clone());
        entry
    }

    /// Never the same twice.
    fn next_etag(&mut self) -> String {
        self.n_etags = self.n_etags.saturating_add(1);
        format!("etag-{}", self.n_etags)
    }
}

fn name_of(role: &Role) -> &str {
    role.as_str().trim_start_matches("roles/")
}

/// IAM's own limit: bindings of one role and one member that differ in their conditions.
pub(crate) const SAME_ROLE_AND_MEMBER_MAX: usize = 20;

/// IAM's own limit: members over all bindings, each appearance counted.
pub(crate) const PRINCIPALS_MAX: usize = 1_500;

/// Bindings of the one that the other does not have.
fn added_to<'a>(before: &'a Policy, after: &'a Policy) -> impl Iterator<Item = &'a Binding> {
    after.bindings.iter().filter(|binding| !before.bindings.contains(binding))
}

/// How many members a policy names.
pub(crate) fn n_principals(policy: &Policy) -> usize {
    policy.bindings.iter().map(|binding| binding.members.len()).sum()
}

/// Whether IAM takes no such policy.
pub(crate) fn is_over_limits(policy: &Policy) -> bool {
    n_principals(policy) > PRINCIPALS_MAX || is_crowded(policy)
}

fn is_crowded(policy: &Policy) -> bool {
    let mut conditions: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for binding in policy.bindings.iter().filter(|binding| binding.condition.is_some()) {
        for member in &binding.members {
            let n = conditions.entry((&binding.role, member)).or_default();
            *n = n.saturating_add(1);
        }
    }
    conditions.values().any(|n| *n > SAME_ROLE_AND_MEMBER_MAX)
}

/// IAM sorts bindings, and joins those that differ in their members only.
fn reordered(bindings: Vec<Binding>) -> Vec<Binding> {
    let mut joined: BTreeMap<(String, Option<Condition>, Rest), BTreeSet<String>> = BTreeMap::new();
    for Binding { role, members, condition, rest } in bindings {
        joined.entry((role, condition, rest)).or_default().extend(members);
    }
    let binding = |((role, condition, rest), members): (_, BTreeSet<String>)| Binding {
        role,
        members: members.into_iter().collect(),
        condition,
        rest,
    };
    joined.into_iter().map(binding).collect()
}
