//! Why access is over, and when it is known that nothing is left.

use super::decisions::{self, Quorum};
use super::facts::Draft;
use super::{Case, UNREADABLE_AFTER_EXPIRY, after_expiry, later};
use crate::chain::{Chain, Granted, Over};
use crate::entry::ActKind;
use crate::fact::{Counted, Ending, Fact, Outcome, OutcomeReason};
use crate::judge::Eligibility;
use crate::observe::ObservedBindings;
use crate::planted;
use crate::world::{Observed, Unanswered};

/// One possible reason: the outcome, if it applies.
type Check = fn(&Case<'_>, &Chain<'_>) -> Option<Outcome>;

/// In order of precedence (see [`OutcomeReason`]): the first that applies is recorded, and no other ever.
const CHECKS: [Check; 10] = [
    spec_cannot_be_believed,
    approval_cannot_be_believed,
    was_revoked,
    was_withdrawn,
    was_denied,
    is_not_eligible,
    has_lost_its_approvers,
    was_rolled_back,
    was_not_approved_in_time,
    could_not_be_activated,
];

/// Records the outcome, if access is over before its natural end.
pub(super) fn end_early(case: &Case<'_>, draft: &mut Draft<'_>) {
    if draft.chain.outcome.is_some() {
        return;
    }
    if let Some(outcome) = CHECKS.iter().find_map(|check| check(case, &draft.chain)) {
        draft.record(Fact::Outcome(outcome));
    }
}

/// Records that the grant could not be rendered.
pub(super) fn fail_activation(draft: &mut Draft<'_>, message: String) {
    draft.record(Fact::Outcome(Outcome {
        reason: OutcomeReason::ActivationFailed,
        by: None,
        message,
    }));
}

/// Records `ENDED` once it is known that nothing is left, and at a natural end the outcome with it.
pub(super) fn close(case: &Case<'_>, draft: &mut Draft<'_>) {
    let Some(how) = ending(case, &draft.chain) else { return };
    if draft.chain.outcome.is_none() {
        let outcome = natural_outcome(&draft.chain);
        draft.record(Fact::Outcome(outcome));
    }
    draft.record(Fact::Ended { how });
}

fn ending(case: &Case<'_>, chain: &Chain<'_>) -> Option<Ending> {
    match (&chain.grant, &chain.outcome) {
        // A fact that is not understood may be a grant.
        (None, Some(_)) if chain.has_unknown => None,
        (None, Some(over)) => never_granted(case, over),
        (Some(grant), _) if case.now >= later(grant.expires_at, after_expiry()) => {
            gone_after_expiry(case, grant)
        }
        (Some(_), Some(over)) => {
            #[cfg(feature = "planted-bugs")]
            if planted::is("a-read-ends") && is_seen_clear(case) {
                return Some(Ending::Answered);
            }
            // The write counts only if it was made from a read after the outcome was recorded.
            let answered = case.world.answered.as_ref()?;
            let knew = planted!(
                "any-answer-ends",
                true,
                answered.facts_known_before_read >= over.position
            );
            (knew && answered.left.is_empty() && answered.left_altered == 0)
                .then_some(Ending::Answered)
        }
        (None | Some(_), None) => None,
    }
}

/// No fact grants it. What the policies hold of it all the same, behind a document that does not verify, has to be
/// gone first; where not all of them can be looked at, until whatever may stand there has run out by itself.
fn never_granted(case: &Case<'_>, over: &Over) -> Option<Ending> {
    let (here, elsewhere) = (&case.world.bindings, &case.world.strays);
    let is_clear_here = here.known().is_none_or(ObservedBindings::is_clear);
    match elsewhere {
        Observed::Known(strays) => (is_clear_here && strays.is_empty()).then(|| {
            let answered = case.world.answered.as_ref();
            let is_removed = answered.is_some_and(|it| it.facts_known_before_read >= over.position);
            if is_removed { Ending::Answered } else { Ending::NeverGranted }
        }),
        Observed::Unknown(_) => (case.now >= later(over.at, UNREADABLE_AFTER_EXPIRY))
            .then_some(Ending::ExpiredUnreadable),
    }
}

fn gone_after_expiry(case: &Case<'_>, grant: &Granted<'_>) -> Option<Ending> {
    match &case.world.bindings {
        Observed::Known(seen) if seen.is_clear() => Some(Ending::SeenGone),
        Observed::Known(_) | Observed::Unknown(Unanswered::NotAsked) => None,
        Observed::Unknown(Unanswered::Failed(_)) => (case.now
            >= later(grant.expires_at, UNREADABLE_AFTER_EXPIRY))
        .then_some(Ending::ExpiredUnreadable),
    }
}

fn natural_outcome(chain: &Chain<'_>) -> Outcome {
    if chain.bound_at.is_some() {
        outcome(OutcomeReason::DurationElapsed, "the time that was asked for is over")
    } else {
        outcome(
            OutcomeReason::ActivationFailed,
            "the binding was never seen in the policy before its end",
        )
    }
}

fn outcome(reason: OutcomeReason, message: impl Into<String>) -> Outcome {
    Outcome { reason, by: None, message: message.into() }
}

fn spec_cannot_be_believed(case: &Case<'_>, _: &Chain<'_>) -> Option<Outcome> {
    let rejection = case.request.spec.as_ref().err()?;
    Some(outcome(OutcomeReason::Invalid, format!("the filed request does not verify: {rejection}")))
}

/// What was approved with a key that is distrusted by now was not approved.
fn approval_cannot_be_believed(case: &Case<'_>, chain: &Chain<'_>) -> Option<Outcome> {
    let message = "the approval that it rests on was signed with a key that is distrusted";
    decisions::rests_on_distrusted_keys(case, chain)
        .then(|| outcome(OutcomeReason::Invalid, message))
}

/// By an operator, by an approver who takes the word back, or by a peer's denial that comes after the grant.
fn was_revoked(case: &Case<'_>, chain: &Chain<'_>) -> Option<Outcome> {
    let denied = || decisions::denied_by(case, chain).filter(|_| chain.grant.is_some());
    let by = actor_of(chain, ActKind::Revoke).or_else(|| denied().map(str::to_owned))?;
    Some(Outcome { by: Some(by), ..outcome(OutcomeReason::Revoked, "revoked") })
}

fn was_denied(case: &Case<'_>, chain: &Chain<'_>) -> Option<Outcome> {
    let by = decisions::denied_by(case, chain).filter(|_| chain.grant.is_none())?.to_owned();
    Some(Outcome { by: Some(by), ..outcome(OutcomeReason::Denied, "denied by a peer") })
}

/// Whoever approved is judged again before the grant: once none of them may approve any more, nobody has approved.
fn has_lost_its_approvers(case: &Case<'_>, chain: &Chain<'_>) -> Option<Outcome> {
    let approval = chain.approval.as_ref().filter(|_| chain.grant.is_none())?;
    let is_lost = !approval.nonces.is_empty()
        && decisions::standing_of(case, &approval.nonces) == Quorum::Lost;
    is_lost.then(|| {
        outcome(OutcomeReason::NoLongerEligible, "whoever approved it may no longer approve it")
    })
}

fn was_withdrawn(_: &Case<'_>, chain: &Chain<'_>) -> Option<Outcome> {
    let by = actor_of(chain, ActKind::Withdraw)?;
    Some(Outcome {
        by: Some(by),
        ..outcome(OutcomeReason::Withdrawn, "withdrawn by the requester")
    })
}

fn actor_of(chain: &Chain<'_>, kind: ActKind) -> Option<String> {
    chain.seen.values().find_map(|counted| match counted {
        Counted::Yes { act, by } if *act == kind => Some(by.clone()),
        Counted::Yes { .. } | Counted::No { .. } => None,
    })
}

fn is_not_eligible(case: &Case<'_>, chain: &Chain<'_>) -> Option<Outcome> {
    if chain.grant.is_some() {
        return None;
    }
    let Observed::Known(Eligibility::No(why)) = &case.world.eligibility else { return None };
    let reason = match chain.approval {
        Some(_) => OutcomeReason::NoLongerEligible,
        None => OutcomeReason::Ineligible,
    };
    Some(outcome(reason, format!("{}: {}", why.reason.as_str(), why.message)))
}

fn was_rolled_back(case: &Case<'_>, _: &Chain<'_>) -> Option<Outcome> {
    let message = "the stored facts are behind what this controller has recorded";
    case.request.rolled_back.then(|| outcome(OutcomeReason::Tampered, message))
}

fn was_not_approved_in_time(case: &Case<'_>, chain: &Chain<'_>) -> Option<Outcome> {
    let late = chain.approval.is_none() && case.now >= case.decide_by(chain);
    let late = planted!("no-approval-deadline", false, late);
    late.then(|| {
        outcome(OutcomeReason::ApprovalTimedOut, "not judged and approved before its deadline")
    })
}

fn could_not_be_activated(case: &Case<'_>, chain: &Chain<'_>) -> Option<Outcome> {
    if let (Some(why), Some(_), None) = (&case.world.refused, &chain.grant, chain.bound_at) {
        return Some(outcome(
            OutcomeReason::ActivationFailed,
            format!("the binding was refused: {why}"),
        ));
    }
    // Whether the binding stands is for a look at the policy to say: it may have been written just before this
    // process started. Until somebody has looked, nothing is concluded; that nobody can look is an answer.
    let is_looked_at = !matches!(case.world.bindings, Observed::Unknown(Unanswered::NotAsked));
    let late = match (&chain.grant, &chain.approval) {
        (Some(grant), _) => {
            chain.bound_at.is_none() && is_looked_at && case.now >= grant.activate_by
        }
        (None, Some(approval)) => case.now >= case.grant_by(approval.at),
        (None, None) => false,
    };
    late.then(|| {
        outcome(
            OutcomeReason::ActivationFailed,
            "the binding could not be made before its deadline",
        )
    })
}

#[cfg(feature = "planted-bugs")]
fn is_seen_clear(case: &Case<'_>) -> bool {
    case.world.bindings.known().is_some_and(ObservedBindings::is_clear)
}
