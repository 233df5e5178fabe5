//! Whether a request may be granted: an ordered list of small checks over live answers. Deny is the default.
//!
//! Intake runs the very same list when a request is filed, so that a refusal comes early and reads the same.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;

use crate::condition::{self, Activation, Carried};
use crate::eligible::EligibleBinding;
use crate::id::Digest;
use crate::principal::{Email, Principal};
use crate::resource::Resource;
use crate::role::Role;
use crate::spec::{DURATION_MIN, RequestedRole, Spec};
use crate::world::{Observed, Unanswered};

/// How long in advance a start may be asked for.
pub const START_AHEAD_MAX: TimeDelta = TimeDelta::days(7);

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
}

/// Live answers that a judgement rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// The resource itself first, then its parents up to the organisation.
    pub ancestry: Vec<Resource>,
    /// Eligible bindings of the policies of the ancestry.
    pub offered: Vec<EligibleBinding>,
    /// Whether the receiver is in the groups that were asked about.
    pub member_of: BTreeMap<Email, Observed<bool>>,
    /// SHA-256 of each role's permissions; `None` where IAM does not know the role.
    pub permissions: BTreeMap<Role, Option<Digest>>,
}

/// The verdict on one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Eligibility {
    /// Every role may be granted.
    Yes(Basis),
    /// It may not.
    No(Ineligible),
}

/// What a positive verdict rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Basis {
    /// Alone, or with a peer's approval.
    pub activation: Activation,
    /// Per requested role, in its order: the resource condition to carry, the requester's narrowing included.
    pub carried: Vec<Carried>,
    /// One line per role, for facts and readers.
    pub rests_on: Vec<String>,
}

/// Why a request may not be granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ineligible {
    /// The reason's name.
    pub reason: Objection,
    /// The field of the request that it is about.
    pub field: &'static str,
    /// What is wrong and what to do next, for the requester.
    pub message: String,
}

/// The names of the reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Objection {
    /// The receiver is somebody else than the requester.
    ReceiverNotAllowed,
    /// The resource lies outside of the scope.
    OutOfScope,
    /// The resource belongs to the system itself.
    ProtectedResource,
    /// Only projects can be asked for.
    ResourceKindNotOffered,
    /// Shorter than a minute, or longer than the maximum.
    DurationOutOfBounds,
    /// In the past, or too far ahead.
    StartOutOfBounds,
    /// None, too many, or one twice.
    RolesOutOfBounds,
    /// More names than fit, or a name that cannot be put in a condition.
    ResourceNamesNotAllowed,
    /// Break-glass is not configured for this.
    BreakGlassNotOffered,
    /// IAM does not know the role.
    UnknownRole,
    /// The role's permissions changed since the request was filed.
    RoleChanged,
    /// No eligible binding offers this role, or not to this person.
    NotEligible,
    /// The eligible binding asks for a peer's approval, which is not offered yet.
    PeerApprovalNotOffered,
}

impl Objection {
    /// Every reason.
    pub const ALL: [Self; 13] = [
        Self::ReceiverNotAllowed,
        Self::OutOfScope,
        Self::ProtectedResource,
        Self::ResourceKindNotOffered,
        Self::DurationOutOfBounds,
        Self::StartOutOfBounds,
        Self::RolesOutOfBounds,
        Self::ResourceNamesNotAllowed,
        Self::BreakGlassNotOffered,
        Self::UnknownRole,
        Self::RoleChanged,
        Self::NotEligible,
        Self::PeerApprovalNotOffered,
    ];

    /// The name in facts and replies.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReceiverNotAllowed => "RECEIVER_NOT_ALLOWED",
            Self::OutOfScope => "OUT_OF_SCOPE",
            Self::ProtectedResource => "PROTECTED_RESOURCE",
            Self::ResourceKindNotOffered => "RESOURCE_KIND_NOT_OFFERED",
            Self::DurationOutOfBounds => "DURATION_OUT_OF_BOUNDS",
            Self::StartOutOfBounds => "START_OUT_OF_BOUNDS",
            Self::RolesOutOfBounds => "ROLES_OUT_OF_BOUNDS",
            Self::ResourceNamesNotAllowed => "RESOURCE_NAMES_NOT_ALLOWED",
            Self::BreakGlassNotOffered => "BREAK_GLASS_NOT_OFFERED",
            Self::UnknownRole => "UNKNOWN_ROLE",
            Self::RoleChanged => "ROLE_CHANGED",
            Self::NotEligible => "NOT_ELIGIBLE",
            Self::PeerApprovalNotOffered => "PEER_APPROVAL_NOT_OFFERED",
        }
    }
}

/// Why a check did not pass.
enum Stop {
    No(Ineligible),
    Unanswered(Unanswered),
}

fn no(reason: Objection, field: &'static str, message: impl Into<String>) -> Stop {
    Stop::No(Ineligible { reason, field, message: message.into() })
}

/// A check of a request's form.
type FormCheck = fn(&Spec, &Rules) -> Result<(), Stop>;

/// A check of a request against the live cloud.
type StandingCheck = fn(&Spec, &Evidence, &Rules) -> Result<(), Stop>;

/// Checks that need nothing but the request and the rules; a refusal here costs no look-up.
const FORM: [FormCheck; 7] = [
    receiver_is_the_requester,
    break_glass_is_not_asked,
    resource_is_a_project,
    duration_is_within_bounds,
    start_is_within_bounds,
    roles_are_within_bounds,
    resource_names_are_within_bounds,
];

/// Checks against the live cloud, the cheapest refusal first.
const STANDING: [StandingCheck; 3] =
    [resource_is_in_scope, resource_is_not_protected, roles_are_known_and_unchanged];

/// Judges the form of a request alone.
pub fn judge_form(spec: &Spec, rules: &Rules) -> Result<(), Ineligible> {
    let verdict = FORM.iter().try_for_each(|check| check(spec, rules));
    match verdict {
        Err(Stop::No(why)) => Err(why),
        Ok(()) | Err(Stop::Unanswered(_)) => Ok(()),
    }
}

/// Judges a request on live answers. An unanswered look-up that matters leaves the verdict unknown.
pub fn judge(spec: &Spec, evidence: &Evidence, rules: &Rules) -> Observed<Eligibility> {
    let verdict = FORM
        .iter()
        .try_for_each(|check| check(spec, rules))
        .and_then(|()| STANDING.iter().try_for_each(|check| check(spec, evidence, rules)))
        .and_then(|()| roles_are_offered(spec, evidence, rules));
    match verdict {
        Ok(basis) => Observed::Known(Eligibility::Yes(basis)),
        Err(Stop::No(why)) => Observed::Known(Eligibility::No(why)),
        Err(Stop::Unanswered(why)) => Observed::Unknown(why),
    }
}

/// The groups that must be asked about before `spec` can be judged.
pub fn groups_in_question(spec: &Spec, offered: &[EligibleBinding]) -> BTreeSet<Email> {
    let asked = |role: &RequestedRole| candidates(role, offered).cloned().collect::<Vec<_>>();
    let candidates = spec.roles.iter().flat_map(asked);
    candidates.flat_map(|binding| binding.groups_in_question(&spec.principal)).collect()
}

fn candidates<'a>(
    role: &'a RequestedRole,
    offered: &'a [EligibleBinding],
) -> impl Iterator<Item = &'a EligibleBinding> {
    offered.iter().filter(|binding| binding.name == role.entitlement && binding.role == role.role)
}

fn receiver_is_the_requester(spec: &Spec, _: &Rules) -> Result<(), Stop> {
    if spec.principal == Principal::User(spec.requester.email.clone()) {
        return Ok(());
    }
    Err(no(
        Objection::ReceiverNotAllowed,
        "principal",
        "you can ask for yourself only: leave `principal` out",
    ))
}

fn break_glass_is_not_asked(spec: &Spec, _: &Rules) -> Result<(), Stop> {
    if !spec.break_glass {
        return Ok(());
    }
    Err(no(
        Objection::BreakGlassNotOffered,
        "breakGlass",
        "no rule offers break-glass here: leave `breakGlass` out",
    ))
}

fn resource_is_a_project(spec: &Spec, _: &Rules) -> Result<(), Stop> {
    match spec.resource {
        Resource::Project(_) => Ok(()),
        Resource::Folder(_) | Resource::Organization(_) => Err(no(
            Objection::ResourceKindNotOffered,
            "resource",
            "access is offered on projects: name one of `GET /v1/resources`",
        )),
    }
}

fn duration_is_within_bounds(spec: &Spec, rules: &Rules) -> Result<(), Stop> {
    if (DURATION_MIN..=rules.duration_max).contains(&spec.duration) {
        return Ok(());
    }
    let message = format!("must be at least 1m and at most {}m", rules.duration_max.num_minutes());
    Err(no(Objection::DurationOutOfBounds, "duration", message))
}

fn start_is_within_bounds(spec: &Spec, _: &Rules) -> Result<(), Stop> {
    let Some(start) = spec.start_at else { return Ok(()) };
    let ahead = start.signed_duration_since(spec.requested_at);
    if (TimeDelta::zero()..=START_AHEAD_MAX).contains(&ahead) {
        return Ok(());
    }
    let message =
        format!("must lie in the future, at most {} days ahead", START_AHEAD_MAX.num_days());
    Err(no(Objection::StartOutOfBounds, "startAt", message))
}

fn roles_are_within_bounds(spec: &Spec, rules: &Rules) -> Result<(), Stop> {
    let distinct: BTreeSet<&Role> = spec.roles.iter().map(|role| &role.role).collect();
    if (1..=rules.roles_max).contains(&spec.roles.len()) && distinct.len() == spec.roles.len() {
        return Ok(());
    }
    let message = format!("must name 1 to {} roles, each once", rules.roles_max);
    Err(no(Objection::RolesOutOfBounds, "roles", message))
}

fn resource_names_are_within_bounds(spec: &Spec, _: &Rules) -> Result<(), Stop> {
    condition::narrowing(&spec.resource_names)
        .map(|_| ())
        .map_err(|error| no(Objection::ResourceNamesNotAllowed, "resourceNames", error.to_string()))
}

fn resource_is_in_scope(spec: &Spec, evidence: &Evidence, rules: &Rules) -> Result<(), Stop> {
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

fn resource_is_not_protected(_: &Spec, evidence: &Evidence, rules: &Rules) -> Result<(), Stop> {
    if evidence.ancestry.iter().any(|node| rules.protected.contains(node)) {
        return Err(no(
            Objection::ProtectedResource,
            "resource",
            "this resource holds the access system itself and is never granted",
        ));
    }
    Ok(())
}

fn roles_are_known_and_unchanged(spec: &Spec, evidence: &Evidence, _: &Rules) -> Result<(), Stop> {
    for requested in &spec.roles {
        match evidence.permissions.get(&requested.role) {
            Some(Some(hash)) if *hash == requested.permissions_hash => {}
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

fn roles_are_offered(spec: &Spec, evidence: &Evidence, rules: &Rules) -> Result<Basis, Stop> {
    let mut basis =
        Basis { activation: Activation::SelfApproval, carried: Vec::new(), rests_on: Vec::new() };
    for requested in &spec.roles {
        let binding = role_is_offered(spec, requested, evidence, rules)?;
        if binding.activation == Activation::PeerApproval {
            let message = format!(
                "{} needs the approval of a peer, which is not offered yet",
                requested.role
            );
            return Err(no(Objection::PeerApprovalNotOffered, "roles", message));
        }
        basis.rests_on.push(format!("{} {} on {}", binding.name, binding.role, binding.node));
        basis.carried.push(narrowed(spec, &binding.carried)?);
    }
    Ok(basis)
}

/// The nodes whose bindings count: the resource and what lies above it, up to the scope and not beyond.
fn within_scope<'a>(evidence: &'a Evidence, rules: &Rules) -> &'a [Resource] {
    let end = evidence
        .ancestry
        .iter()
        .position(|node| *node == rules.scope)
        .map_or(0, |at| at.saturating_add(1));
    evidence.ancestry.get(..end).unwrap_or_default()
}

fn role_is_offered<'a>(
    spec: &Spec,
    requested: &'a RequestedRole,
    evidence: &'a Evidence,
    rules: &Rules,
) -> Result<&'a EligibleBinding, Stop> {
    let mut unanswered = None;
    let within_scope = within_scope(evidence, rules);
    for binding in candidates(requested, &evidence.offered) {
        if !within_scope.contains(&binding.node)
            || binding.carried.to_string() != requested.resource_condition
        {
            continue;
        }
        match binding.includes(&spec.principal, &evidence.member_of) {
            Observed::Known(true) => return Ok(binding),
            Observed::Known(false) => {}
            Observed::Unknown(why) => unanswered = Some(why),
        }
    }
    Err(unanswered.map_or_else(
        || {
            let message = format!(
                "you are not eligible for {} on {}: see `GET /v1/entitlements`",
                requested.role, spec.resource
            );
            no(Objection::NotEligible, "roles", message)
        },
        Stop::Unanswered,
    ))
}

fn narrowed(spec: &Spec, carried: &Carried) -> Result<Carried, Stop> {
    let refused =
        |message: String| no(Objection::ResourceNamesNotAllowed, "resourceNames", message);
    let names =
        condition::narrowing(&spec.resource_names).map_err(|error| refused(error.to_string()))?;
    carried.and(&names).map_err(|error| refused(error.to_string()))
}

#[cfg(test)]
mod tests;
