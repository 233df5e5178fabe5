//! When to look again even if nothing happens.

use chrono::{DateTime, Utc};

use super::{Case, DRIFT_SETTLES, UNREADABLE_AFTER_EXPIRY, after_expiry, later};
use crate::chain::Chain;

/// The next deadline of the chain that has not come yet.
pub(super) fn next(case: &Case<'_>, chain: &Chain<'_>) -> Option<DateTime<Utc>> {
    if chain.ended.is_some() {
        return None;
    }
    let mut deadlines = Vec::new();
    match (&chain.grant, &chain.approval) {
        (Some(grant), _) => {
            deadlines.push(later(grant.expires_at, after_expiry()));
            deadlines.push(later(grant.expires_at, UNREADABLE_AFTER_EXPIRY));
            match (&chain.outcome, chain.bound_at) {
                (Some(_), _) => {}
                (None, Some(bound_at)) => deadlines.push(later(bound_at, DRIFT_SETTLES)),
                (None, None) => deadlines.push(grant.activate_by),
            }
        }
        (None, Some(approval)) => {
            deadlines.extend(case.request.spec.as_ref().ok().and_then(|spec| spec.start_at));
            deadlines.push(case.grant_by(approval.at));
        }
        (None, None) => deadlines.push(case.decide_by(chain)),
    }
    deadlines.into_iter().filter(|at| *at > case.now).min()
}
