//! Where several outcomes apply at once, the first in the order of precedence is recorded, and no other ever.

use super::{check, decide};
use crate::chain::Chain;
use crate::fact::{Fact, OutcomeReason};
use crate::fixture::{Filed, at, request, world};
use crate::request::Rejection;
use crate::world::World;

/// One thing that ends a request, done to the document and the world.
type Cause = (OutcomeReason, fn(Filed, World) -> (Filed, World));

const INVALID: Cause =
    (OutcomeReason::Invalid, |filed, world| (filed.unverifiable(Rejection::BadSignature), world));
const REVOKED: Cause =
    (OutcomeReason::Revoked, |filed, world| (filed.revoked_by(2, "olga"), world));
const WITHDRAWN: Cause =
    (OutcomeReason::Withdrawn, |filed, world| (filed.withdrawn_by(1, "alice"), world));
const NO: fn(Filed, World) -> (Filed, World) = |filed, world| (filed, world.ineligible());
const TAMPERED: Cause = (OutcomeReason::Tampered, |filed, world| (filed.rolled_back(), world));
const LATE: fn(Filed, World) -> (Filed, World) = |filed, world| (filed, world);

/// Checks every pair: the cause that stands first in the list wins, whichever is applied first.
#[track_caller]
fn check_pairs(filed: &Filed, causes: &[Cause], now: &str) {
    for (position, (reason, cause)) in causes.iter().enumerate() {
        for (_, weaker) in causes.iter().skip(position) {
            let (filed, world) = weaker(filed.clone(), world().bare());
            let (filed, world) = cause(filed, world);
            let plan = decide(&filed, &world, at(now));
            let outcomes: Vec<_> = plan
                .facts
                .iter()
                .filter_map(|fact| match fact {
                    Fact::Outcome(outcome) => Some(outcome.reason),
                    _ => None,
                })
                .collect();
            assert_eq!(outcomes, [*reason]);
        }
    }
}

#[test]
fn before_approval() {
    let causes = [
        INVALID,
        REVOKED,
        WITHDRAWN,
        (OutcomeReason::Ineligible, NO),
        TAMPERED,
        (OutcomeReason::ApprovalTimedOut, LATE),
    ];
    // A spec that does not verify names no requester, so nobody withdraws it.
    check_pairs(&request().eligible(), &causes, "10:15:00");
}

#[test]
fn after_approval() {
    let causes = [
        INVALID,
        REVOKED,
        WITHDRAWN,
        (OutcomeReason::NoLongerEligible, NO),
        TAMPERED,
        (OutcomeReason::ActivationFailed, LATE),
    ];
    check_pairs(&request().eligible().approved(), &causes, "10:15:00");
}

#[test]
fn after_the_grant() {
    let causes = [INVALID, REVOKED, WITHDRAWN, TAMPERED, (OutcomeReason::ActivationFailed, LATE)];
    check_pairs(&request().eligible().approved().granted(), &causes, "10:15:00");
}

#[test]
fn after_the_end() {
    let causes = [INVALID, REVOKED, WITHDRAWN, TAMPERED, (OutcomeReason::DurationElapsed, LATE)];
    check_pairs(&request().eligible().approved().granted().bound(), &causes, "11:00:05");
}

#[test]
fn the_order_of_the_reasons_is_the_order_of_precedence() {
    assert!(OutcomeReason::ALL.is_sorted());
}

#[test]
fn an_outcome_is_written_once() {
    let over = request().eligible().approved().granted().bound().over(OutcomeReason::Withdrawn);
    let filed = over.revoked_by(1, "olga").rolled_back().unverifiable(Rejection::BadSignature);
    check(&filed, &world(), at("10:30:00"), "SEEN 1 REVOKE by olga@example.com");
    let both = filed.over(OutcomeReason::Revoked).request();
    assert_eq!(Chain::of(&both.facts).outcome.unwrap().outcome.reason, OutcomeReason::Withdrawn);
}
