//! The decision about one request.
//!
//! Two layers and no third place that makes a choice: [`desired`] says what should stand in the policy, as the
//! recorded facts ask; [`reconcile`] adds the facts that the world now allows to be recorded, and compares what
//! should stand with what was seen.

mod decisions;
mod desired;
mod facts;
mod outcome;
mod wake;

use chrono::{DateTime, TimeDelta, Utc};

pub use facts::grant;

use crate::chain::Chain;
use crate::judge::Eligibility;
use crate::phase::Phase;
use crate::plan::{Plan, Reason};
use crate::planted;
use crate::request::{Rejection, Request};
use crate::world::{Observed, Unanswered, World};

/// How long a self-activation may wait for its approval fact, from the store's creation time on. Old documents
/// whose facts were erased can therefore never be granted anew.
pub const SELF_ACTIVATION_WINDOW: TimeDelta = TimeDelta::minutes(15);

/// How long after approval (or the asked-for start) a grant may be recorded, and after the grant its binding seen.
pub const ACTIVATION_WINDOW: TimeDelta = TimeDelta::minutes(15);

/// How far the time of an approval may lie from when it is first looked at: an old one cannot be put in later.
pub const APPROVAL_AGE_MAX: TimeDelta = TimeDelta::minutes(10);

/// From this long after the end on, a read that shows nothing proves that nothing gives access any more.
pub const AFTER_EXPIRY: TimeDelta = TimeDelta::seconds(5);

/// A policy that could not be read for this long after the end is given up; the condition closed it long ago.
pub const UNREADABLE_AFTER_EXPIRY: TimeDelta = TimeDelta::hours(24);

/// How long after the binding was first seen a read without it counts as drift: reads may lag behind a write.
pub const DRIFT_SETTLES: TimeDelta = TimeDelta::seconds(30);

/// Decides what to do about one request. Total, synchronous, deterministic.
///
/// # Guarantees
///
/// - A `GRANT` is planned only after a known positive eligibility in this very `world`, and before its deadlines.
/// - Bindings are asked for only from a recorded `GRANT`, never from the request or the world.
/// - A failed look-up neither advances a request nor delays a removal that a recorded fact asks for.
/// - Before `expiresAt` + 5 s, `ENDED` after a `GRANT` comes only from an answered policy write.
/// - Deciding again on what the plan leads to yields an empty plan after a bounded number of rounds.
pub fn reconcile(request: &Request, world: &World, now: DateTime<Utc>) -> Plan {
    let mut reasons = Vec::new();
    let recorded = Chain::of(&request.facts);
    let case = Case { request, world, now };
    let (chain, facts) = facts::next(&case, recorded.clone(), &mut reasons);
    let bindings =
        if facts.is_empty() { desired::difference(&case, &recorded, &mut reasons) } else { None };
    let start_at = request.spec.as_ref().ok().and_then(|spec| spec.start_at);
    Plan {
        phase: Phase::of(&chain, start_at),
        wake_at: wake::next(&case, &chain),
        facts,
        bindings,
        reasons,
    }
}

/// What every step of one decision looks at.
struct Case<'a> {
    request: &'a Request,
    world: &'a World,
    now: DateTime<Utc>,
}

impl Case<'_> {
    /// Whether this version understands the request. One that it does not is neither granted nor ended.
    fn is_understood(&self, chain: &Chain<'_>) -> bool {
        !matches!(self.request.spec, Err(Rejection::UnsupportedVersion)) && !chain.has_unknown
    }

    /// The deadline for approvals: as recorded, or as the rules of the eligibility at hand say. A request that could
    /// not be judged waits no longer than one that nobody has to approve.
    fn decide_by(&self, chain: &Chain<'_>) -> DateTime<Utc> {
        match (&chain.eligible, &self.world.eligibility) {
            (Some(eligible), _) => planted!(
                "peers-have-longer",
                later(eligible.decide_by, TimeDelta::hours(1)),
                eligible.decide_by
            ),
            (None, Observed::Known(Eligibility::Yes(basis))) => {
                later(self.request.created_at, basis.decide_within)
            }
            (None, Observed::Known(Eligibility::No(_)) | Observed::Unknown(_)) => {
                later(self.request.created_at, SELF_ACTIVATION_WINDOW)
            }
        }
    }

    /// The deadline for recording a grant that was approved at `approved_at`.
    fn grant_by(&self, approved_at: DateTime<Utc>) -> DateTime<Utc> {
        let start_at = self.request.spec.as_ref().ok().and_then(|spec| spec.start_at);
        later(start_at.map_or(approved_at, |start| start.max(approved_at)), ACTIVATION_WINDOW)
    }
}

fn after_expiry() -> TimeDelta {
    planted!("no-wait-after-expiry", TimeDelta::zero(), AFTER_EXPIRY)
}

/// An instant later by a constant; at the end of time it stays there.
fn later(at: DateTime<Utc>, by: TimeDelta) -> DateTime<Utc> {
    at.checked_add_signed(by).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

fn unanswered(reasons: &mut Vec<Reason>, what: &'static str, why: &Unanswered) {
    if let Unanswered::Failed(why) = why {
        reasons.push(Reason::Unanswered { what, why: why.clone() });
    }
}

#[cfg(test)]
mod tests;
