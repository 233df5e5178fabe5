//! What IAM accepts as a policy: members, roles, conditions and limits.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::condition;
use crate::error::ApiError;
use crate::policy::{Binding, Policy};
use crate::roles::BASIC;
use crate::world::{Node, NodeKind, World};

/// "Domains, groups and principals": every appearance counts, exemptions from audit too,
/// <https://cloud.google.com/iam/quotas>.
const PRINCIPALS_MAX: usize = 1_500;

/// Groups count once per policy, domains as often as they appear; same page.
const GROUPS_AND_DOMAINS_MAX: usize = 250;

/// Bindings of one role and one principal that differ in their conditions only; same page.
const CONDITIONS_PER_ROLE_AND_PRINCIPAL_MAX: usize = 20;

/// The lowest kind of node that a role can be granted on, for those that projects cannot have,
/// <https://cloud.google.com/iam/docs/roles-permissions/resourcemanager>.
const LOWEST: [(&str, NodeKind); 5] = [
    ("roles/iam.organizationRoleAdmin", NodeKind::Organization),
    ("roles/resourcemanager.folderAdmin", NodeKind::Folder),
    ("roles/resourcemanager.folderViewer", NodeKind::Folder),
    ("roles/resourcemanager.organizationAdmin", NodeKind::Organization),
    ("roles/resourcemanager.organizationViewer", NodeKind::Organization),
];

/// Refuses what IAM would refuse on this node. The bindings are in normal form. Members and
/// conditions of `current` are known to be acceptable, except members and roles that are gone since.
pub(crate) fn check(
    world: &World,
    node: &Node,
    policy: &Policy,
    current: &Policy,
) -> Result<(), ApiError> {
    let known_expressions: BTreeSet<&str> = current
        .bindings
        .iter()
        .filter_map(|binding| Some(binding.condition.as_ref()?.expression.as_str()))
        .collect();
    for binding in &policy.bindings {
        if !keeps_role(binding, current) {
            check_role(world, node, &binding.role)?;
        }
        for member in &binding.members {
            check_member(world, member)?;
        }
        check_condition(binding, &known_expressions)?;
    }
    check_counts(policy)
}

/// Whether the binding gives its role to nobody who does not have it already: "Existing bindings to
/// the custom role are not changed" when a role is deleted, and may be written back.
fn keeps_role(binding: &Binding, current: &Policy) -> bool {
    let holders: BTreeSet<&String> = current
        .bindings
        .iter()
        .filter(|held| held.role == binding.role)
        .flat_map(|held| &held.members)
        .collect();
    binding.members.iter().all(|member| holders.contains(member))
}

/// Refuses roles that do not exist, that are deleted, or that this kind of node cannot have.
pub(crate) fn check_role(world: &World, node: &Node, role: &str) -> Result<(), ApiError> {
    if world.predefined_roles.contains_key(role) {
        let lowest = LOWEST.iter().find(|(name, _)| *name == role).map(|(_, kind)| *kind);
        // Kinds are in order from the top of the hierarchy.
        if lowest.is_none_or(|lowest| node.kind <= lowest) {
            return Ok(());
        }
    } else if let Some((owner, _)) = role.split_once("/roles/") {
        let is_above = world.is_within(node, owner);
        return match world.custom_roles.get(role).filter(|_| is_above) {
            Some(found) if found.deleted_at.is_none() => Ok(()),
            Some(_) => Err(ApiError::invalid(format!("Role ({role}) is deleted."))),
            None => Err(ApiError::invalid(format!(
                "Role ({role}) does not exist in the resource's hierarchy."
            ))),
        };
    }
    Err(ApiError::invalid(format!("Role {role} is not supported for this resource.")))
}

fn check_member(world: &World, member: &str) -> Result<(), ApiError> {
    match member.split_once(':') {
        Some((kind @ ("user" | "group" | "serviceAccount"), email)) => {
            check_account(world, kind, email)
        }
        Some(("domain", domain)) if world.domains().contains(domain) => Ok(()),
        Some(("domain", domain)) => {
            Err(ApiError::invalid(format!("Domain {domain} does not exist.")))
        }
        Some(("deleted", _)) if world.tombstones.contains(member) => Ok(()),
        Some(("deleted", _)) => {
            Err(ApiError::invalid(format!("Principal {member} does not exist.")))
        }
        Some(("principal" | "principalSet", pool)) if pool.starts_with("//iam.googleapis.com/") => {
            Ok(())
        }
        None if matches!(member, "allUsers" | "allAuthenticatedUsers") => {
            Err(ApiError::invalid(format!(
                "Members of type {member} are not supported on projects, folders and organizations."
            )))
        }
        Some(_) | None => Err(ApiError::invalid(format!(
            "The member {member} is of an unknown type. Please set a valid type prefix for the member."
        ))),
    }
}

fn check_account(world: &World, kind: &str, email: &str) -> Result<(), ApiError> {
    let named = match kind {
        "user" => "User",
        "group" => "Group",
        _ => "Service account",
    };
    match world.member(email) {
        None => Err(ApiError::invalid(format!("{named} {email} does not exist."))),
        Some(actual) if actual.split_once(':').map(|(kind, _)| kind) == Some(kind) => Ok(()),
        Some(actual) => {
            let actual_kind = actual.split_once(':').map_or("", |(kind, _)| kind);
            Err(ApiError::invalid(format!(
                "Principal {email} is of type \"{actual_kind}\". The principal should appear as \"{actual}\". \
                 See https://cloud.google.com/iam/help/members/types for additional documentation."
            )))
        }
    }
}

fn check_condition(binding: &Binding, known_expressions: &BTreeSet<&str>) -> Result<(), ApiError> {
    let Some(condition) = &binding.condition else {
        return Ok(());
    };
    if BASIC.contains(&binding.role.as_str()) {
        return Err(ApiError::invalid(format!(
            "Conditions can't be set on the basic role {}.",
            binding.role
        )));
    }
    if condition.title.is_empty() {
        return Err(ApiError::invalid("A condition needs a title."));
    }
    if known_expressions.contains(condition.expression.as_str()) {
        return Ok(());
    }
    condition::check(&condition.expression).map_err(|reason| {
        ApiError::invalid(format!(
            "Expression of condition '{}' is invalid: {reason}.",
            condition.title
        ))
    })
}

fn check_counts(policy: &Policy) -> Result<(), ApiError> {
    let appearances: Vec<&str> = policy
        .bindings
        .iter()
        .flat_map(|binding| &binding.members)
        .map(String::as_str)
        .chain(exempted(policy))
        .collect();
    if appearances.len() > PRINCIPALS_MAX {
        return Err(ApiError::invalid(format!(
            "The number of members in the policy ({}) is larger than the maximum allowed size 1,500.",
            with_thousands(appearances.len())
        )));
    }
    let groups: BTreeSet<&str> =
        appearances.iter().copied().filter(|member| member.starts_with("group:")).collect();
    let domains = appearances.iter().filter(|member| member.starts_with("domain:")).count();
    if groups.len() + domains > GROUPS_AND_DOMAINS_MAX {
        return Err(ApiError::invalid(format!(
            "The number of groups and domains in the policy ({}) is larger than the maximum allowed size {GROUPS_AND_DOMAINS_MAX}.",
            groups.len() + domains
        )));
    }
    check_conditions_per_principal(policy)
}

fn check_conditions_per_principal(policy: &Policy) -> Result<(), ApiError> {
    let mut conditional: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for binding in policy.bindings.iter().filter(|binding| binding.condition.is_some()) {
        for member in &binding.members {
            *conditional.entry((&binding.role, member)).or_default() += 1;
        }
    }
    match conditional.into_iter().find(|(_, count)| *count > CONDITIONS_PER_ROLE_AND_PRINCIPAL_MAX)
    {
        None => Ok(()),
        Some(((role, member), count)) => Err(ApiError::invalid(format!(
            "The policy has {count} conditional role bindings of {role} for {member}; \
             the maximum is {CONDITIONS_PER_ROLE_AND_PRINCIPAL_MAX}."
        ))),
    }
}

/// Principals that audit configurations exempt.
fn exempted(policy: &Policy) -> impl Iterator<Item = &str> {
    let configurations =
        policy.other.get("auditConfigs").and_then(Value::as_array).into_iter().flatten();
    let logs = configurations
        .flat_map(|config| config["auditLogConfigs"].as_array().into_iter().flatten());
    logs.flat_map(|log| log["exemptedMembers"].as_array().into_iter().flatten())
        .filter_map(Value::as_str)
}

fn with_thousands(number: usize) -> String {
    if number < 1_000 {
        number.to_string()
    } else {
        format!("{},{:03}", number / 1_000, number % 1_000)
    }
}
