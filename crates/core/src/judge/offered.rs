//! Whether a person holds the eligibilities of a request, as its requester or as a peer.

use std::collections::BTreeSet;

use super::Evidence;
use super::rules::Rules;
use super::verdict::{Basis, Objection, Stop, no};
use crate::condition::{self, Activation, Carried};
use crate::danger::Dangerous;
use crate::eligible::EligibleBinding;
use crate::entry::Level;
use crate::planted;
use crate::principal::{Email, Principal};
use crate::reconcile::SELF_ACTIVATION_WINDOW;
use crate::resource::Resource;
use crate::role::Role;
use crate::spec::{RequestedRole, Spec};
use crate::world::{Observed, Standing};

/// The groups that must be asked about before `spec` can be judged.
pub fn groups_in_question(spec: &Spec, offered: &[EligibleBinding]) -> BTreeSet<Email> {
    let asked = |role: &RequestedRole| candidates(role, offered).cloned().collect::<Vec<_>>();
    let candidates = spec.roles.iter().flat_map(asked);
    candidates.flat_map(|binding| binding.groups_in_question(&spec.principal)).collect()
}

pub(super) fn roles_are_offered(
    spec: &Spec,
    evidence: &Evidence,
    rules: &Rules,
) -> Result<Basis, Stop> {
    let mut activations = BTreeSet::new();
    let (mut carried, mut rests_on) = (Vec::new(), Vec::new());
    for requested in &spec.roles {
        let binding = role_is_offered(spec, requested, evidence, rules)?;
        let is_dangerous =
            evidence.powers(&requested.role).is_some_and(|powers| powers.is_dangerous);
        activations.insert(activation_of(binding, rules, is_dangerous));
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

/// What activating this binding takes here: what it says, or more. Whether its role is dangerous, the role's
/// permissions tell ([`crate::danger::is_dangerous`]).
pub fn activation_of(binding: &EligibleBinding, rules: &Rules, is_dangerous: bool) -> Activation {
    activation_for(&binding.role, binding.activation, rules, is_dangerous)
}

/// The same for a binding of this role that says `activation`.
pub fn activation_for(
    role: &Role,
    activation: Activation,
    rules: &Rules,
    is_dangerous: bool,
) -> Activation {
    let is_raised = is_dangerous && rules.dangerous == Dangerous::Approval;
    if is_raised || rules.peers.always_for.contains(role) {
        Activation::PeerApproval
    } else {
        activation
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
            Observed::Known(false) if planted!("anybody-is-a-peer", true, false) => {}
            Observed::Known(false) => return Observed::Known(Standing::None),
            Observed::Unknown(why) => {
                unanswered = planted!("no-answer-is-a-peer", None, Some(why));
            }
        }
    }
    match unanswered {
        Some(why) => Observed::Unknown(why),
        None if spec.roles.is_empty() => Observed::Known(Standing::None),
        None if planted!("weak-evidence-counts", true, rules.peers.evidence.contains(&level)) => {
            Observed::Known(Standing::Peer)
        }
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
    let mut unanswered = None;
    for binding in counting(requested, evidence, rules) {
        match binding.includes(principal, &evidence.member_of) {
            Observed::Known(true) => return Observed::Known(true),
            Observed::Known(false) => {}
            Observed::Unknown(why) => unanswered = Some(why),
        }
    }
    unanswered.map_or(Observed::Known(false), Observed::Unknown)
}

fn candidates<'a>(
    role: &'a RequestedRole,
    offered: &'a [EligibleBinding],
) -> impl Iterator<Item = &'a EligibleBinding> {
    offered.iter().filter(|binding| binding.name == role.entitlement && binding.role == role.role)
}

/// Those of the candidates that count here: a binding counts on its node and below, never sideways or upward, within
/// the scope, if its node is trusted.
fn counting<'a>(
    requested: &'a RequestedRole,
    evidence: &'a Evidence,
    rules: &Rules,
) -> Vec<&'a EligibleBinding> {
    let nodes = within_scope(&evidence.ancestry, rules);
    candidates(requested, &evidence.offered)
        .filter(|binding| nodes.contains(&binding.node) && rules.trusts(&binding.node))
        .collect()
}

/// The nodes above the first one of each of these ancestries.
pub fn above(ancestries: &[Vec<Resource>]) -> BTreeSet<Resource> {
    ancestries.iter().flat_map(|ancestry| ancestry.iter().skip(1).cloned()).collect()
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
    let mut meant = counting(requested, evidence, rules);
    meant.retain(|binding| binding.carried.to_string() == requested.resource_condition);
    for binding in meant {
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
