//! Whether a request may be granted: an ordered list of small checks over live answers. Deny is the default.
//!
//! Intake runs the very same list when a request is filed, so that a refusal comes early and reads the same.

mod foreseen;
mod form;
mod offered;
mod rules;
mod standing;
mod verdict;

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;

use crate::eligible::EligibleBinding;
use crate::principal::Email;
use crate::resource::Resource;
use crate::role::{Powers, Role};
use crate::spec::Spec;
use crate::world::Observed;

pub use foreseen::{RoleKnown, foreseen};
pub use offered::{
    above, activation_for, activation_of, groups_in_question, judge_peer, peer_groups_in_question,
    within_scope,
};
pub use rules::{PeerRules, Rules};
pub use verdict::{Basis, CheckVerdict, Checked, Eligibility, Ineligible, Objection};

use verdict::Stop;

/// How long in advance a start may be asked for.
pub const START_AHEAD_MAX: TimeDelta = TimeDelta::days(7);

/// Live answers that a judgement rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// The resource itself first, then its parents up to the organisation.
    pub ancestry: Vec<Resource>,
    /// Eligible bindings of the policies of the ancestry.
    pub offered: Vec<EligibleBinding>,
    /// Whether the receiver is in the groups that were asked about.
    pub member_of: BTreeMap<Email, Observed<bool>>,
    /// What each role gives; `None` where IAM does not know the role.
    pub permissions: BTreeMap<Role, Option<Powers>>,
    /// The nodes above the protected ones. Asked for where the resource is no project.
    pub above_protected: Observed<BTreeSet<Resource>>,
}

impl Evidence {
    /// The roles that are known to be dangerous.
    pub fn dangerous_roles(&self) -> impl Iterator<Item = &Role> {
        let known =
            self.permissions.iter().filter_map(|(role, powers)| Some((role, powers.as_ref()?)));
        known.filter(|(_, powers)| powers.is_dangerous).map(|(role, _)| role)
    }

    /// What the role gives, if that is known.
    fn powers(&self, role: &Role) -> Option<&Powers> {
        self.permissions.get(role)?.as_ref()
    }
}

/// A check of a request's form.
type FormCheck = fn(&Spec, &Rules) -> Result<(), Stop>;

/// A check of a request against the live cloud.
type StandingCheck = fn(&Spec, &Evidence, &Rules) -> Result<(), Stop>;

/// Checks that need nothing but the request and the rules; a refusal here costs no look-up.
const FORM: [(&str, FormCheck); 7] = [
    ("the receiver is the requester", form::receiver_is_the_requester),
    ("break-glass is not asked for", form::break_glass_is_not_asked),
    ("the duration is within bounds", form::duration_is_within_bounds),
    ("the start is within bounds", form::start_is_within_bounds),
    ("the number of roles is within bounds", form::roles_are_within_bounds),
    ("the resource names can narrow a condition", form::resource_names_are_within_bounds),
    ("the chosen approvers are within bounds", form::chosen_approvers_are_within_bounds),
];

/// Checks against the live cloud, the cheapest refusal first.
const STANDING: [(&str, StandingCheck); 7] = [
    ("the resource is in scope", standing::resource_is_in_scope),
    ("the resource is not protected", standing::resource_is_not_protected),
    ("the roles are known and unchanged", standing::roles_are_known_and_unchanged),
    ("the roles can be granted here", standing::roles_can_be_granted_here),
    ("the roles do not reach the access system", standing::roles_do_not_reach_the_system),
    ("the roles are not too dangerous", standing::roles_are_not_dangerous),
    ("the roles are offered to the requester", |spec, evidence, rules| {
        offered::roles_are_offered(spec, evidence, rules).map(|_| ())
    }),
];

/// Judges the form of a request alone.
pub fn judge_form(spec: &Spec, rules: &Rules) -> Result<(), Ineligible> {
    let verdict = FORM.iter().try_for_each(|(_, check)| check(spec, rules));
    match verdict {
        Err(Stop::No(why)) => Err(why),
        Ok(()) | Err(Stop::Unanswered(_)) => Ok(()),
    }
}

/// Judges a request on live answers. An unanswered look-up that matters leaves the verdict unknown.
pub fn judge(spec: &Spec, evidence: &Evidence, rules: &Rules) -> Observed<Eligibility> {
    let verdict = FORM
        .iter()
        .try_for_each(|(_, check)| check(spec, rules))
        .and_then(|()| STANDING.iter().try_for_each(|(_, check)| check(spec, evidence, rules)))
        .and_then(|()| offered::roles_are_offered(spec, evidence, rules));
    match verdict {
        Ok(basis) => Observed::Known(Eligibility::Yes(basis)),
        Err(Stop::No(why)) => Observed::Known(Eligibility::No(why)),
        Err(Stop::Unanswered(why)) => Observed::Unknown(why),
    }
}

/// What each check says by itself, in the order in which [`judge`] asks; the first that does not pass decides there.
pub fn checks(spec: &Spec, evidence: Option<&Evidence>, rules: &Rules) -> Vec<Checked> {
    let form = FORM.iter().map(|(name, check)| (*name, check(spec, rules).into()));
    let standing = STANDING.iter().map(|(name, check)| {
        let verdict = evidence
            .map_or(CheckVerdict::NotReached, |evidence| check(spec, evidence, rules).into());
        (*name, verdict)
    });
    form.chain(standing).map(|(name, verdict)| Checked { name, verdict }).collect()
}

/// The name of every check, in the order of [`checks`].
pub fn check_names() -> impl Iterator<Item = &'static str> {
    FORM.iter().map(|(name, _)| *name).chain(STANDING.iter().map(|(name, _)| *name))
}

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
