//! What the policy should hold, and how that differs from what was seen.

use chrono::{DateTime, Utc};

use super::{Case, after_expiry, later, unanswered};
use crate::chain::{Chain, Granted};
use crate::condition;
use crate::fact::OwnedBinding;
use crate::observe::ObservedBindings;
use crate::plan::{Purpose, Reason, SetBindings};
use crate::planted;
use crate::world::Observed;

/// What the recorded facts ask of the policy.
enum Desired<'a> {
    /// These bindings, whether they stand or not.
    Standing(&'a Granted<'a>),
    /// Those of these that stand, and nothing else; what is missing is not put back.
    WhatIsLeftOf(&'a Granted<'a>),
    /// Nothing, and no late write may land: an answered write has to prove it.
    NothingAnswered(&'a Granted<'a>),
    /// What says itself that it is not over yet: a fact that is not understood may have prolonged it.
    WhatRunsOn,
    /// Nothing; a read is proof enough.
    Nothing,
}

fn desired<'a>(case: &Case<'_>, chain: &'a Chain<'a>) -> Desired<'a> {
    let Some(grant) = &chain.grant else { return Desired::Nothing };
    if chain.ended.is_some() {
        Desired::Nothing
    } else if case.now >= later(grant.expires_at, after_expiry()) {
        if chain.has_unknown && chain.outcome.is_none() {
            Desired::WhatRunsOn
        } else {
            Desired::Nothing
        }
    } else if chain.outcome.is_some() {
        Desired::NothingAnswered(grant)
    } else if planted!(
        "early-removal",
        case.now >= later(grant.expires_at, chrono::TimeDelta::seconds(-20)),
        false
    ) {
        Desired::Nothing
    } else if chain.bound_at.is_some() || case.now >= grant.expires_at {
        Desired::WhatIsLeftOf(grant)
    } else {
        Desired::Standing(grant)
    }
}

/// The change that the policy needs, if any.
pub(super) fn difference(
    case: &Case<'_>,
    chain: &Chain<'_>,
    reasons: &mut Vec<Reason>,
) -> Option<SetBindings> {
    // What is not understood is not ended here; that access is over, once it is recorded, is carried out all the same.
    if !case.is_understood(chain) && chain.outcome.is_none() && !is_past_its_end(case, chain) {
        return None;
    }
    let seen = match &case.world.bindings {
        Observed::Known(seen) => seen,
        Observed::Unknown(why) => {
            unanswered(reasons, "policy", why);
            return unread(case, chain, reasons);
        }
    };
    match desired(case, chain) {
        Desired::Standing(grant) => stand(case, grant, seen),
        Desired::WhatIsLeftOf(grant) => keep(case, grant, seen, reasons),
        #[cfg(feature = "planted-bugs")]
        Desired::NothingAnswered(_) if planted::is("no-fence") && seen.is_clear() => None,
        Desired::NothingAnswered(grant) if seen.is_clear() => {
            let forms = planted!("fence-gives-access", live_forms(grant), dead_forms(grant));
            Some(set(case, chain, forms, seen, Purpose::Fence))
        }
        Desired::NothingAnswered(_) => {
            Some(set(case, chain, Vec::new(), seen, Purpose::Difference))
        }
        Desired::WhatRunsOn => {
            let runs_on = |binding: &&OwnedBinding| !is_over(binding, case.now);
            only(case, chain, seen.ours.iter().filter(runs_on).cloned().collect(), seen, reasons)
        }
        Desired::Nothing => only(case, chain, Vec::new(), seen, reasons),
    }
}

/// Whether a binding says itself that it has ended long enough ago.
fn is_over(binding: &OwnedBinding, now: DateTime<Utc>) -> bool {
    condition::read_granted(&binding.expression)
        .is_none_or(|granted| now >= later(granted.ends_at, after_expiry()))
}

/// Of all that stands, only these of ours.
fn only(
    case: &Case<'_>,
    chain: &Chain<'_>,
    kept: Vec<OwnedBinding>,
    seen: &ObservedBindings,
    reasons: &mut Vec<Reason>,
) -> Option<SetBindings> {
    let n = seen.ours.len().saturating_add(seen.altered.len()).saturating_sub(kept.len());
    if n == 0 {
        return None;
    }
    reasons.push(Reason::Unwanted { n });
    Some(set(case, chain, kept, seen, Purpose::Difference))
}

fn is_past_its_end(case: &Case<'_>, chain: &Chain<'_>) -> bool {
    chain.grant.as_ref().is_some_and(|grant| case.now >= later(grant.expires_at, after_expiry()))
}

/// Without a read, ask for a turn where there may be something to do: the turn reads the policy itself.
fn unread(case: &Case<'_>, chain: &Chain<'_>, reasons: &mut Vec<Reason>) -> Option<SetBindings> {
    let nothing_seen = ObservedBindings::default();
    match desired(case, chain) {
        Desired::Standing(grant) => stand(case, grant, &nothing_seen),
        Desired::NothingAnswered(_) | Desired::WhatRunsOn => {
            Some(set(case, chain, Vec::new(), &nothing_seen, Purpose::Difference))
        }
        Desired::Nothing
            if (chain.grant.is_some() && chain.ended.is_none()) || is_astray(case, reasons) =>
        {
            Some(set(case, chain, Vec::new(), &nothing_seen, Purpose::Difference))
        }
        Desired::Nothing | Desired::WhatIsLeftOf(_) => None,
    }
}

/// Whether other policies hold what no fact asks for. Where that is not known, it has to be asked again.
fn is_astray(case: &Case<'_>, reasons: &mut Vec<Reason>) -> bool {
    match &case.world.strays {
        Observed::Known(strays) if strays.is_empty() => false,
        Observed::Known(strays) => {
            reasons.push(Reason::Astray { n: strays.len() });
            true
        }
        Observed::Unknown(why) => {
            unanswered(reasons, "policies that may hold its bindings", why);
            false
        }
    }
}

fn stand(case: &Case<'_>, grant: &Granted<'_>, seen: &ObservedBindings) -> Option<SetBindings> {
    // Where all of them were seen, `BOUND` is recorded and nothing is asked for.
    let wanted = live_forms(grant);
    (!wanted.is_empty()).then(|| SetBindings {
        request: case.request.id.clone(),
        decided_at: grant.at,
        bindings: wanted,
        replaces: seen.standing(),
        purpose: Purpose::Difference,
    })
}

fn keep(
    case: &Case<'_>,
    grant: &Granted<'_>,
    seen: &ObservedBindings,
    reasons: &mut Vec<Reason>,
) -> Option<SetBindings> {
    let wanted: Vec<OwnedBinding> =
        live_forms(grant).into_iter().filter(|b| seen.ours.contains(b)).collect();
    if wanted.len() == seen.ours.len() {
        return None;
    }
    reasons.push(Reason::Unwanted { n: seen.ours.len().saturating_sub(wanted.len()) });
    Some(SetBindings {
        request: case.request.id.clone(),
        decided_at: grant.at,
        bindings: wanted,
        replaces: seen.ours.iter().map(Into::into).collect(),
        purpose: Purpose::Difference,
    })
}

fn set(
    case: &Case<'_>,
    chain: &Chain<'_>,
    bindings: Vec<OwnedBinding>,
    seen: &ObservedBindings,
    purpose: Purpose,
) -> SetBindings {
    SetBindings {
        request: case.request.id.clone(),
        decided_at: chain.grant.as_ref().map_or(case.request.created_at, |grant| grant.at),
        bindings,
        replaces: seen.standing(),
        purpose,
    }
}

fn live_forms(grant: &Granted<'_>) -> Vec<OwnedBinding> {
    grant.bindings.iter().map(|binding| binding.live.clone()).collect()
}

fn dead_forms(grant: &Granted<'_>) -> Vec<OwnedBinding> {
    grant.bindings.iter().map(|binding| binding.dead.clone()).collect()
}
