//! Checks that need nothing but the request and the rules.

use std::collections::BTreeSet;

use chrono::TimeDelta;

use super::START_AHEAD_MAX;
use super::rules::Rules;
use super::verdict::{Objection, Stop, no};
use crate::condition;
use crate::planted;
use crate::principal::Email;
use crate::role::Role;
use crate::spec::{DURATION_MIN, Spec};

pub(super) fn receiver_is_the_requester(spec: &Spec, _: &Rules) -> Result<(), Stop> {
    if spec.principal == spec.requester.principal() {
        return Ok(());
    }
    Err(no(
        Objection::ReceiverNotAllowed,
        "principal",
        "you can ask for yourself only: leave `principal` out",
    ))
}

pub(super) fn break_glass_is_not_asked(spec: &Spec, _: &Rules) -> Result<(), Stop> {
    if !spec.break_glass {
        return Ok(());
    }
    Err(no(
        Objection::BreakGlassNotOffered,
        "breakGlass",
        "no rule offers break-glass here: leave `breakGlass` out",
    ))
}

pub(super) fn duration_is_within_bounds(spec: &Spec, rules: &Rules) -> Result<(), Stop> {
    let most = planted!("no-maximum", TimeDelta::MAX, rules.duration_max);
    if (DURATION_MIN..=most).contains(&spec.duration) {
        return Ok(());
    }
    let message = format!("must be at least 1m and at most {}m", rules.duration_max.num_minutes());
    Err(no(Objection::DurationOutOfBounds, "duration", message))
}

pub(super) fn start_is_within_bounds(spec: &Spec, _: &Rules) -> Result<(), Stop> {
    let Some(start) = spec.start_at else { return Ok(()) };
    let ahead = start.signed_duration_since(spec.requested_at);
    if (TimeDelta::zero()..=START_AHEAD_MAX).contains(&ahead) {
        return Ok(());
    }
    let message =
        format!("must lie in the future, at most {} days ahead", START_AHEAD_MAX.num_days());
    Err(no(Objection::StartOutOfBounds, "startAt", message))
}

pub(super) fn roles_are_within_bounds(spec: &Spec, rules: &Rules) -> Result<(), Stop> {
    let distinct: BTreeSet<&Role> = spec.roles.iter().map(|role| &role.role).collect();
    if (1..=rules.roles_max).contains(&spec.roles.len()) && distinct.len() == spec.roles.len() {
        return Ok(());
    }
    let message = format!("must name 1 to {} roles, each once", rules.roles_max);
    Err(no(Objection::RolesOutOfBounds, "roles", message))
}

pub(super) fn resource_names_are_within_bounds(spec: &Spec, _: &Rules) -> Result<(), Stop> {
    condition::narrowing(&spec.resource_names)
        .map(|_| ())
        .map_err(|error| no(Objection::ResourceNamesNotAllowed, "resourceNames", error.to_string()))
}

pub(super) fn chosen_approvers_are_within_bounds(spec: &Spec, rules: &Rules) -> Result<(), Stop> {
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
    let is_you = |email: &Email| {
        email.is_same_mailbox(&spec.requester.email)
            || email.is_same_mailbox(spec.principal.email())
    };
    if chosen.iter().any(is_you) {
        return Err(refused("names you: nobody approves their own request".into()));
    }
    Ok(())
}
