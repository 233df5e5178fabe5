//! Eligible bindings of an IAM policy: who may ask for which role, alone or with a peer's approval.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use crate::condition::{self, Activation, Carried, JitAccessActivation, NotEligible, Verdict};
use crate::id::hashed_id;
use crate::policy::{Binding, Policy};
use crate::principal::{Email, Member, Principal};
use crate::resource::Resource;
use crate::role::{Role, RoleError};
use crate::world::{Observed, Unanswered};

/// One binding that makes its members eligible for a role on its node and below.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EligibleBinding {
    /// `iam-<26 characters>`: the same node, role and condition text always have the same name.
    pub name: String,
    /// The node whose policy carries the binding.
    pub node: Resource,
    /// The role.
    pub role: Role,
    /// Alone, or with a peer's approval.
    pub activation: Activation,
    /// The resource condition that goes into the granted binding.
    pub carried: Carried,
    /// Who is eligible.
    pub members: Vec<Member>,
}

/// A binding that bears a marker, or may be meant to, and makes nobody eligible.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flawed {
    /// The role as written.
    pub role: String,
    /// The condition's title.
    pub title: String,
    /// Why, for an administrator.
    pub why: String,
}

/// The eligible bindings of one policy, and those that look like some and are none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Offers {
    /// Usable.
    pub eligible: Vec<EligibleBinding>,
    /// Not usable; one never hides another.
    pub flawed: Vec<Flawed>,
}

/// The name of the eligibility that a node, role and condition text make.
pub fn entitlement_name(node: &Resource, role: &str, condition: &str) -> String {
    let node = node.to_string();
    format!(
        "iam-{}",
        hashed_id(&[node.as_bytes(), b"\n", role.as_bytes(), b"\n", condition.as_bytes()])
    )
}

/// Reads the eligible bindings of the policy of `node`.
pub fn offers(node: &Resource, policy: &Policy) -> Offers {
    offers_by(node, policy, condition::eligibility)
}

/// The same with the verdicts of `judge`, which remembers [`condition::eligibility`]: few conditions differ, and reading
/// one costs more than all the rest.
pub(crate) fn offers_by(
    node: &Resource,
    policy: &Policy,
    mut judge: impl FnMut(&str) -> Verdict,
) -> Offers {
    let mut offers = Offers::default();
    for binding in &policy.bindings {
        match offer(node, binding, &mut judge) {
            Ok(Some(eligible)) => offers.eligible.push(eligible),
            Ok(None) => {}
            Err(why) => offers.flawed.push(Flawed {
                role: binding.role.clone(),
                title: binding.title().to_owned(),
                why,
            }),
        }
    }
    offers
}

fn offer(
    node: &Resource,
    binding: &Binding,
    judge: &mut impl FnMut(&str) -> Verdict,
) -> Result<Option<EligibleBinding>, String> {
    let Some(condition) = &binding.condition else { return Ok(None) };
    let (activation, carried) = match judge(&condition.expression) {
        Verdict::Eligible { activation, resource_condition } => (activation, resource_condition),
        Verdict::NotEligible(NotEligible::Empty | NotEligible::NoMarker) => return Ok(None),
        Verdict::NotEligible(why) => return Err(why.to_string()),
    };
    let role = Role::parse(&binding.role).map_err(|error: RoleError| error.to_string())?;
    if let Some(owner @ Resource::Project(_)) = role.owner()
        && owner != *node
    {
        return Err(format!("{role} can be granted on {owner} only"));
    }
    Ok(Some(EligibleBinding {
        name: entitlement_name(node, role.as_str(), &condition.expression),
        node: node.clone(),
        role,
        activation,
        carried,
        members: binding.members.iter().map(|member| Member::parse(member)).collect(),
    }))
}

/// Access that JIT Access gave and that is not over, as its binding in a policy tells: what somebody has already, to be
/// shown while an installation moves over. It is never ours: nothing of it is changed or removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriorActivation {
    /// The role.
    pub role: Role,
    /// Who has it.
    pub member: Principal,
    /// Since when, until when, and where.
    pub activation: JitAccessActivation,
}

/// The activations of JIT Access in a policy that are in force at `now`. JIT Access wrote one member into each.
pub fn prior_activations(policy: &Policy, now: DateTime<Utc>) -> Vec<PriorActivation> {
    let prior = |binding: &Binding| {
        let condition = binding.condition.as_ref()?;
        let is_its = condition.title == condition::JIT_ACCESS_TITLE;
        if !is_its || condition::is_plainly_over(&condition.expression, now) {
            return None;
        }
        let activation = condition::jit_access_activation(&condition.title, &condition.expression)?;
        let [member] = binding.members.as_slice() else { return None };
        let is_in_force = activation.starts_at <= now && now < activation.ends_at;
        is_in_force.then_some(())?;
        Some(PriorActivation {
            role: Role::parse(&binding.role).ok()?,
            member: Principal::parse(member).ok()?,
            activation,
        })
    };
    policy.bindings.iter().filter_map(prior).collect()
}

impl PriorActivation {
    /// Whether it gives this role to `who` under this resource condition at `now`.
    pub fn gives(&self, who: &Principal, role: &Role, condition: &str, now: DateTime<Utc>) -> bool {
        let Self { role: given, member, activation } = self;
        given == role
            && member == who
            && (activation.starts_at..activation.ends_at).contains(&now)
            && condition::is_same_condition(&activation.resource_condition, condition)
    }
}

impl EligibleBinding {
    /// The groups whose membership decides about `principal`; empty where it is named or cannot be a member.
    pub fn groups_in_question(&self, principal: &Principal) -> BTreeSet<Email> {
        if self.names(principal) {
            return BTreeSet::new();
        }
        let groups = self.members.iter().filter_map(|member| match member {
            Member::Group(group) => Some(group.clone()),
            Member::Account(_) | Member::Domain(_) | Member::Other => None,
        });
        // A service account counts only where it is named exactly.
        if matches!(principal, Principal::User(_)) { groups.collect() } else { BTreeSet::new() }
    }

    /// Whether `principal` is eligible, given what is known of its memberships.
    ///
    /// One known membership suffices; without one, an unanswered or missing look-up leaves it unknown.
    pub fn includes(
        &self,
        principal: &Principal,
        member_of: &BTreeMap<Email, Observed<bool>>,
    ) -> Observed<bool> {
        if self.names(principal) {
            return Observed::Known(true);
        }
        let mut unanswered = None;
        for group in self.groups_in_question(principal) {
            match member_of.get(&group) {
                Some(Observed::Known(true)) => return Observed::Known(true),
                Some(Observed::Known(false)) => {}
                Some(Observed::Unknown(why)) => unanswered = Some(why.clone()),
                None => unanswered = Some(Unanswered::NotAsked),
            }
        }
        unanswered.map_or(Observed::Known(false), Observed::Unknown)
    }

    fn names(&self, principal: &Principal) -> bool {
        self.members.iter().any(|member| match (member, principal) {
            (Member::Account(account), _) => account == principal,
            (Member::Domain(domain), Principal::User(email)) => email.domain() == domain,
            (Member::Domain(_) | Member::Group(_) | Member::Other, _) => false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Condition;

    const JIT: &str = "has({}.jitAccessConstraint)";

    fn node() -> Resource {
        Resource::parse("projects/demo-web").unwrap()
    }

    fn alice() -> Principal {
        Principal::parse("user:alice@example.com").unwrap()
    }

    fn policy(role: &str, members: &[&str], expression: &str) -> Policy {
        let condition = Some(Condition { expression: expression.into(), ..Condition::default() });
        let members = members.iter().map(ToString::to_string).collect();
        Policy {
            bindings: vec![Binding { role: role.into(), members, condition, ..Binding::default() }],
            ..Policy::default()
        }
    }

    fn only(members: &[&str]) -> EligibleBinding {
        offers(&node(), &policy("roles/compute.viewer", members, JIT)).eligible.remove(0)
    }

    #[test]
    fn an_ordinary_binding_is_neither_eligible_nor_flawed() {
        let found = offers(
            &node(),
            &policy("roles/viewer", &["user:alice@example.com"], "resource.type == \"x\""),
        );
        assert_eq!(found, Offers::default());
    }

    #[test]
    fn what_jit_access_gave_is_recognised_while_it_lasts_and_is_no_offer() {
        let times = "(request.time >= timestamp(\"2026-01-01T10:00:00Z\") && request.time < timestamp(\"2026-01-01T11:00:00Z\"))";
        let narrowed = format!("({times}) && (resource.type == \"x\")");
        let mut all = policy("roles/compute.viewer", &["user:alice@example.com"], times);
        all.bindings
            .extend(policy("roles/compute.admin", &["user:bob@example.com"], &narrowed).bindings);
        // Not as JIT Access writes them: two members, a group, a basic role, another title.
        all.bindings.extend(
            policy("roles/a", &["user:a@example.com", "user:b@example.com"], times).bindings,
        );
        all.bindings.extend(policy("roles/a", &["group:a@example.com"], times).bindings);
        all.bindings.extend(policy("roles/owner", &["user:alice@example.com"], times).bindings);
        for binding in &mut all.bindings {
            binding.condition.as_mut().unwrap().title = condition::JIT_ACCESS_TITLE.into();
        }
        all.bindings.extend(policy("roles/a", &["user:alice@example.com"], times).bindings);
        let at = |time: &str| {
            let now = format!("2026-01-01T{time}Z").parse().unwrap();
            let found = prior_activations(&all, now);
            found
                .iter()
                .map(|it| format!("{} {} {}", it.role, it.member, it.activation.resource_condition))
                .collect::<Vec<_>>()
        };
        let both = [
            "roles/compute.viewer user:alice@example.com ",
            "roles/compute.admin user:bob@example.com resource.type == \"x\"",
        ];
        assert_eq!(at("10:00:00"), both);
        assert_eq!(at("10:59:59"), both);
        assert!(at("09:59:59").is_empty() && at("11:00:00").is_empty());
        assert_eq!(offers(&node(), &all), Offers::default());
    }

    #[test]
    fn a_basic_role_is_shown_as_flawed_and_hides_nothing() {
        let mut all = policy("roles/owner", &["user:alice@example.com"], JIT);
        all.bindings
            .extend(policy("roles/compute.viewer", &["user:alice@example.com"], JIT).bindings);
        let found = offers(&node(), &all);
        assert_eq!((found.eligible.len(), found.flawed.len()), (1, 1));
    }

    #[test]
    fn names_depend_on_node_role_and_whole_condition() {
        let base = entitlement_name(&node(), "roles/a", JIT);
        let other = Resource::parse("folders/1").unwrap();
        assert_ne!(base, entitlement_name(&other, "roles/a", JIT));
        assert_ne!(base, entitlement_name(&node(), "roles/b", JIT));
        assert_ne!(base, entitlement_name(&node(), "roles/a", " has({}.jitAccessConstraint)"));
    }

    #[test]
    fn people_count_by_name_domain_and_group_and_nobody_else_does() {
        let known = |answer| {
            BTreeMap::from([(Email::parse("devs@example.com").unwrap(), Observed::Known(answer))])
        };
        for members in [&["user:Alice@example.com"][..], &["domain:example.com"]] {
            assert_eq!(
                only(members).includes(&alice(), &BTreeMap::new()),
                Observed::Known(true),
                "{members:?}"
            );
        }
        for members in [
            &["allUsers"][..],
            &["allAuthenticatedUsers"],
            &["deleted:user:alice@example.com?uid=1"],
            &["user:bob@example.com"],
            &["domain:xample.com"],
        ] {
            assert_eq!(
                only(members).includes(&alice(), &BTreeMap::new()),
                Observed::Known(false),
                "{members:?}"
            );
        }
        assert_eq!(
            only(&["group:devs@example.com"]).includes(&alice(), &known(true)),
            Observed::Known(true)
        );
        assert_eq!(
            only(&["group:devs@example.com"]).includes(&alice(), &known(false)),
            Observed::Known(false)
        );
    }

    #[test]
    fn a_membership_that_was_not_answered_is_unknown_and_never_no() {
        let binding = only(&["group:devs@example.com"]);
        assert!(matches!(binding.includes(&alice(), &BTreeMap::new()), Observed::Unknown(_)));
        let failed = BTreeMap::from([(
            Email::parse("devs@example.com").unwrap(),
            Observed::Unknown(Unanswered::Failed("503".into())),
        )]);
        assert!(matches!(binding.includes(&alice(), &failed), Observed::Unknown(_)));
    }

    #[test]
    fn a_service_account_counts_only_by_its_exact_name() {
        let account = Principal::parse("serviceAccount:d@p.iam.gserviceaccount.com").unwrap();
        assert!(only(&["group:devs@example.com"]).groups_in_question(&account).is_empty());
        let none = BTreeMap::new();
        assert_eq!(
            only(&["domain:p.iam.gserviceaccount.com"]).includes(&account, &none),
            Observed::Known(false)
        );
        assert_eq!(
            only(&["serviceAccount:d@p.iam.gserviceaccount.com"]).includes(&account, &none),
            Observed::Known(true)
        );
    }
}
