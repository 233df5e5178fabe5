//! Checks of a request against the live cloud, but for the offers themselves.

use super::Evidence;
use super::rules::Rules;
use super::verdict::{Objection, Stop, no};
use crate::danger::Dangerous;
use crate::planted;
use crate::resource::Resource;
use crate::role::{Powers, Role};
use crate::spec::Spec;
use crate::world::{Observed, Unanswered};

pub(super) fn resource_is_in_scope(
    spec: &Spec,
    evidence: &Evidence,
    rules: &Rules,
) -> Result<(), Stop> {
    if evidence.ancestry.first() == Some(&spec.resource) && evidence.ancestry.contains(&rules.scope)
    {
        return Ok(());
    }
    let message = format!(
        "{} lies outside of {}, which is all that is managed here",
        spec.resource, rules.scope
    );
    Err(no(Objection::OutOfScope, "resource", message))
}

pub(super) fn resource_is_not_protected(
    _: &Spec,
    evidence: &Evidence,
    rules: &Rules,
) -> Result<(), Stop> {
    let nodes = planted!(
        "inside-the-protected",
        evidence.ancestry.get(..1).unwrap_or_default(),
        &evidence.ancestry
    );
    if planted!("protected-forgotten", false, is_protected(nodes, rules)) {
        return Err(no(
            Objection::ProtectedResource,
            "resource",
            "this resource holds the access system itself and is never granted",
        ));
    }
    Ok(())
}

pub(super) fn roles_are_known_and_unchanged(
    spec: &Spec,
    evidence: &Evidence,
    _: &Rules,
) -> Result<(), Stop> {
    for requested in &spec.roles {
        match evidence.permissions.get(&requested.role) {
            Some(Some(powers))
                if planted!("role-may-change", true, powers.hash == requested.permissions_hash) => {
            }
            Some(Some(_)) => {
                let message = format!(
                    "the permissions of {} changed since the request was filed: ask again",
                    requested.role
                );
                return Err(no(Objection::RoleChanged, "roles", message));
            }
            Some(None) => {
                let message = format!("IAM does not know {}", requested.role);
                return Err(no(Objection::UnknownRole, "roles", message));
            }
            None => return Err(Stop::Unanswered(Unanswered::NotAsked)),
        }
    }
    Ok(())
}

pub(super) fn roles_can_be_granted_here(
    spec: &Spec,
    evidence: &Evidence,
    _: &Rules,
) -> Result<(), Stop> {
    let above = evidence.ancestry.get(1..).unwrap_or_default();
    for requested in &spec.roles {
        if let Some(owner) = requested.role.owner()
            && !fits(&owner, &spec.resource, above)
        {
            let message =
                format!("{} can be granted in {owner} only, as IAM has it", requested.role);
            return Err(no(Objection::RoleNotGrantableHere, "roles", message));
        }
    }
    Ok(())
}

/// On a node above the system, no role that could change the system, its data or its log.
pub(super) fn roles_do_not_reach_the_system(
    spec: &Spec,
    evidence: &Evidence,
    _: &Rules,
) -> Result<(), Stop> {
    if matches!(spec.resource, Resource::Project(_)) {
        // Nothing that carries a policy for us lies below a project.
        return Ok(());
    }
    let Some(reaching) = first_with(spec, evidence, |powers| powers.touches_system) else {
        return Ok(());
    };
    match &evidence.above_protected {
        Observed::Unknown(why) => Err(Stop::Unanswered(why.clone())),
        Observed::Known(above)
            if planted!("above-the-protected", false, above.contains(&spec.resource)) =>
        {
            let message = format!(
                "the access system itself lies below {}, and {reaching} would reach it: ask on a lower node",
                spec.resource
            );
            Err(no(Objection::ProtectedResource, "resource", message))
        }
        Observed::Known(_) => Ok(()),
    }
}

pub(super) fn roles_are_not_dangerous(
    spec: &Spec,
    evidence: &Evidence,
    rules: &Rules,
) -> Result<(), Stop> {
    let is_refused = |powers: &Powers| is_too_dangerous(powers.is_dangerous, rules);
    let Some(role) = first_with(spec, evidence, is_refused) else {
        return Ok(());
    };
    let message = format!(
        "{role} lets its holder make itself more powerful, and such roles are not granted here: ask for a narrower one"
    );
    Err(no(Objection::DangerousRole, "roles", message))
}

/// Whether the system itself lies on one of these nodes: a node's ancestry.
pub(super) fn is_protected(ancestry: &[Resource], rules: &Rules) -> bool {
    ancestry.iter().any(|node| rules.protected.contains(node))
}

/// Whether IAM grants a custom role of `owner` on a node, by what lies above that (its parent first).
pub(super) fn fits(owner: &Resource, node: &Resource, above: &[Resource]) -> bool {
    match owner {
        Resource::Organization(_) => {
            // An ancestry that ends at a folder or project does not say whose it is: IAM does, when it is granted.
            let top = above.last().unwrap_or(node);
            !matches!(top, Resource::Organization(_)) || top == owner
        }
        Resource::Project(_) | Resource::Folder(_) => owner == node,
    }
}

/// Whether dangerous roles are granted to nobody, and this is one.
pub(super) fn is_too_dangerous(is_dangerous: bool, rules: &Rules) -> bool {
    is_dangerous && rules.dangerous == Dangerous::Refuse
}

fn first_with<'a>(
    spec: &'a Spec,
    evidence: &Evidence,
    has: impl Fn(&Powers) -> bool,
) -> Option<&'a Role> {
    let roles = spec.roles.iter().map(|requested| &requested.role);
    roles.into_iter().find(|role| evidence.powers(role).is_some_and(&has))
}
