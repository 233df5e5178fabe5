//! Whether a request may be granted: an ordered list of small checks over live answers. Deny is the default.
//!
//! Intake runs the very same list when a request is filed, so that a refusal comes early and reads the same.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;

use crate::condition::{self, Activation, Carried};
use crate::eligible::EligibleBinding;
use crate::entry::Level;
use crate::id::Digest;
use crate::principal::{Email, Principal};
use crate::reconcile::SELF_ACTIVATION_WINDOW;
use crate::resource::Resource;
use crate::role::Role;
use crate::spec::{DURATION_MIN, RequestedRole, Spec};
use crate::world::{Observed, Standing, Unanswered};

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
    /// What the approval of a peer takes.
    pub peers: PeerRules,
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
    /// How long the approval may take, from the store's creation time of the request on.
    pub decide_within: TimeDelta,
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
    /// Roles that one may activate alone are mixed with roles that a peer must approve.
    ActivationsMixed,
    /// Approvers were chosen where none is needed, too few or too many, one twice, or the requester.
    ApproversNotAllowed,
}

impl Objection {
    /// Every reason.
    pub const ALL: [Self; 14] = [
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
        Self::ActivationsMixed,
        Self::ApproversNotAllowed,
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
            Self::ActivationsMixed => "ACTIVATIONS_MIXED",
            Self::ApproversNotAllowed => "APPROVERS_NOT_ALLOWED",
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
const FORM: [FormCheck; 8] = [
    receiver_is_the_requester,
    break_glass_is_not_asked,
    resource_is_a_project,
    duration_is_within_bounds,
    start_is_within_bounds,
    roles_are_within_bounds,
    resource_names_are_within_bounds,
    chosen_approvers_are_within_bounds,
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

fn chosen_approvers_are_within_bounds(spec: &Spec, rules: &Rules) -> Result<(), Stop> {
    let chosen = &spec.chosen_approvers;
    if chosen.is_empty() {
        return Ok(());
    }
    let refused = |message: String| no(Objection::ApproversNotAllowed, "chosenApprovers", message);
    let (min, max) = (rules.peers.chosen_min, rules.peers.chosen_max);
    if !(min..=max).contains(&chosen.len()) {
        return Err(refused(format!("must name {min} to {max} people, or be left out")));
    }
    if chosen.iter().collect::<BTreeSet<_>>().len() != chosen.len() {
        return Err(refused("names somebody twice".into()));
    }
    if chosen.iter().any(|email| *email == spec.requester.email || email == spec.principal.email())
    {
        return Err(refused("names you: nobody approves their own request".into()));
    }
    Ok(())
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
    let mut activations = BTreeSet::new();
    let (mut carried, mut rests_on) = (Vec::new(), Vec::new());
    for requested in &spec.roles {
        let binding = role_is_offered(spec, requested, evidence, rules)?;
        activations.insert(activation_of(binding, rules));
        rests_on.push(format!("{} {} on {}", binding.name, binding.role, binding.node));
        carried.push(narrowed(spec, &binding.carried)?);
    }
    let activation = one_activation(&activations)?;
    if activation == Activation::SelfApproval && !spec.chosen_approvers.is_empty() {
        let message = "nobody has to approve this: leave `chosenApprovers` out";
        return Err(no(Objection::ApproversNotAllowed, "chosenApprovers", message));
    }
    let decide_within = match activation {
        Activation::SelfApproval => SELF_ACTIVATION_WINDOW,
        Activation::PeerApproval => rules.peers.decide_within,
    };
    Ok(Basis { activation, decide_within, carried, rests_on })
}

/// What activating this binding takes here: what it says, or more.
pub fn activation_of(binding: &EligibleBinding, rules: &Rules) -> Activation {
    if rules.peers.always_for.contains(&binding.role) {
        Activation::PeerApproval
    } else {
        binding.activation
    }
}

fn one_activation(all: &BTreeSet<Activation>) -> Result<Activation, Stop> {
    let mut all = all.iter();
    match (all.next(), all.next()) {
        (Some(only), None) => Ok(*only),
        _ => Err(no(
            Objection::ActivationsMixed,
            "roles",
            "some of these roles need a peer's approval and some do not: ask for them in two requests",
        )),
    }
}

/// Judges whether `actor` may decide about a request: a peer holds every eligibility that it was filed under, which is
/// the same role, condition and node.
///
/// Whether the actor is somebody else than the requester is not looked at here.
pub fn judge_peer(
    spec: &Spec,
    actor: &Email,
    level: Level,
    evidence: &Evidence,
    rules: &Rules,
) -> Observed<Standing> {
    // No group makes a service account a person.
    if actor.is_service_account() {
        return Observed::Known(Standing::None);
    }
    let actor = Principal::User(actor.clone());
    let mut unanswered = None;
    for requested in &spec.roles {
        match holds(&actor, requested, evidence, rules) {
            Observed::Known(true) => {}
            Observed::Known(false) => return Observed::Known(Standing::None),
            Observed::Unknown(why) => unanswered = Some(why),
        }
    }
    match unanswered {
        Some(why) => Observed::Unknown(why),
        None if spec.roles.is_empty() => Observed::Known(Standing::None),
        None if rules.peers.evidence.contains(&level) => Observed::Known(Standing::Peer),
        None => Observed::Known(Standing::PeerByWeakEvidence),
    }
}

/// The groups that must be asked about `actor` before [`judge_peer`] can answer.
pub fn peer_groups_in_question(
    spec: &Spec,
    actor: &Email,
    offered: &[EligibleBinding],
) -> BTreeSet<Email> {
    let actor = Principal::User(actor.clone());
    let all = spec.roles.iter().flat_map(|role| candidates(role, offered));
    all.flat_map(|binding| binding.groups_in_question(&actor)).collect()
}

fn holds(
    principal: &Principal,
    requested: &RequestedRole,
    evidence: &Evidence,
    rules: &Rules,
) -> Observed<bool> {
    let within_scope = within_scope(&evidence.ancestry, rules);
    let mut unanswered = None;
    for binding in candidates(requested, &evidence.offered) {
        if !within_scope.contains(&binding.node) {
            continue;
        }
        match binding.includes(principal, &evidence.member_of) {
            Observed::Known(true) => return Observed::Known(true),
            Observed::Known(false) => {}
            Observed::Unknown(why) => unanswered = Some(why),
        }
    }
    unanswered.map_or(Observed::Known(false), Observed::Unknown)
}

/// The nodes of an ancestry (the resource first) whose bindings count: up to the scope and not beyond; none where the
/// resource lies outside of it.
pub fn within_scope<'a>(ancestry: &'a [Resource], rules: &Rules) -> &'a [Resource] {
    let end =
        ancestry.iter().position(|node| *node == rules.scope).map_or(0, |at| at.saturating_add(1));
    ancestry.get(..end).unwrap_or_default()
}

fn role_is_offered<'a>(
    spec: &Spec,
    requested: &'a RequestedRole,
    evidence: &'a Evidence,
    rules: &Rules,
) -> Result<&'a EligibleBinding, Stop> {
    let mut unanswered = None;
    let within_scope = within_scope(&evidence.ancestry, rules);
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
