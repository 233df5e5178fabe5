//! Every check that a request has to pass, in order. Filing and the dry run are this one path.

use chrono::{DateTime, Utc};
use curfew_core::eligible::PriorActivation;
use curfew_core::judge::{Basis, CheckVerdict, Checked, Eligibility, check_names, checks, judge};
use curfew_core::resource::Resource;
use curfew_core::role::Role;
use curfew_core::spec::{RequestedRole, Spec};
use curfew_core::world::{Observed, Unanswered};

use super::draft::Draft;
use super::report::Report;
use super::{check_open, filed_before};
use crate::App;
use crate::auth::Caller;
use crate::eligibility::{self, Gathered, unanswered};
use crate::errors::Refusal;
use crate::limits;
use crate::peers;

const NOT_TOO_MANY_NEW: &str = "you did not file too many requests lately";
const RESOURCE_SEEN: &str = "the resource and what is offered there can be read";
const ROLES_MEANT: &str = "each role is offered to you under one condition that is meant";
const CHOSEN_MAY_APPROVE: &str = "the chosen approvers may approve";
const NOT_TOO_MANY_OPEN: &str = "you do not have too many open requests for this";

/// A request that passed every check, complete but for its signature.
pub(crate) struct Examined {
    pub(crate) spec: Spec,
    /// What the controller would grant it by.
    pub(crate) basis: Basis,
    /// The roles that are dangerous.
    pub(crate) dangerous: Vec<Role>,
    /// What JIT Access gave of it, and the node that carries that.
    pub(crate) prior: Vec<(Resource, PriorActivation)>,
}

/// What needs nothing but the request itself; a refusal here costs no look-up.
pub(crate) fn form(app: &App, draft: &Draft, report: &mut Report) -> Result<(), Refusal> {
    take(report, checks(&draft.spec, None, &app.settings().rules))
}

/// The rest, on live answers.
pub(crate) async fn standing(
    app: &App,
    caller: &Caller,
    draft: &Draft,
    report: &mut Report,
) -> Result<Option<Examined>, Refusal> {
    let allowed = &app.settings().rules;
    let filed = filed_before(app, caller).await;
    let few = filed.as_ref().map_err(Refusal::clone);
    report.note(NOT_TOO_MANY_NEW, few.and_then(|filed| limits::check_new(filed, app.now())))?;
    let gathered = eligibility::gather(app, &draft.spec).await;
    let Some(Gathered { mut evidence, prior }) = report.note(RESOURCE_SEEN, gathered)? else {
        skip_rest(report);
        return Ok(None);
    };
    let meant = eligibility::settle(app, &draft.spec, &draft.conditions, &mut evidence).await;
    let Some(roles) = report.note(ROLES_MEANT, meant)? else {
        skip_rest(report);
        return Ok(None);
    };
    let spec = Spec { roles, ..draft.spec.clone() };
    take(report, checks(&spec, Some(&evidence), allowed))?;
    report.note(CHOSEN_MAY_APPROVE, peers::check_chosen(app, &spec).await)?;
    if let Ok(filed) = filed {
        report.note(NOT_TOO_MANY_OPEN, check_open(app, &filed, &spec))?;
    }
    report.skip([NOT_TOO_MANY_OPEN]);
    match judge(&spec, &evidence, allowed) {
        Observed::Known(Eligibility::Yes(basis)) if report.is_clear() => {
            let dangerous = evidence.dangerous_roles().cloned().collect();
            let prior = prior_of(&spec, &prior, app.now());
            Ok(Some(Examined { spec, basis, dangerous, prior }))
        }
        Observed::Known(Eligibility::Yes(_) | Eligibility::No(_)) | Observed::Unknown(_) => {
            Ok(None)
        }
    }
}

/// What the receiver has already of what is asked for; of each role what lasts longest.
fn prior_of(
    spec: &Spec,
    all: &[(Resource, PriorActivation)],
    now: DateTime<Utc>,
) -> Vec<(Resource, PriorActivation)> {
    let of_role = |role: &RequestedRole| {
        let given = all.iter().filter(|(_, prior)| {
            prior.gives(&spec.principal, &role.role, &role.resource_condition, now)
        });
        given.max_by_key(|(_, prior)| prior.activation.ends_at).cloned()
    };
    spec.roles.iter().filter_map(of_role).collect()
}

/// Notes what was not reached: everything that is not noted yet.
pub(crate) fn skip_rest(report: &mut Report) {
    report.skip([NOT_TOO_MANY_NEW, RESOURCE_SEEN, ROLES_MEANT]);
    report.skip(check_names());
    report.skip([CHOSEN_MAY_APPROVE, NOT_TOO_MANY_OPEN]);
}

/// Takes the core's verdicts over, but for those that stand already and those that need more answers.
fn take(report: &mut Report, checked: Vec<Checked>) -> Result<(), Refusal> {
    for Checked { name, verdict } in checked {
        let result = match verdict {
            CheckVerdict::NotReached => continue,
            _ if report.has(name) => continue,
            CheckVerdict::Unanswered(Unanswered::NotAsked) if !report.is_clear() => {
                report.skip([name]);
                continue;
            }
            CheckVerdict::Passed => Ok(()),
            CheckVerdict::Failed(why) => Err(why.into()),
            CheckVerdict::Unanswered(why) => Err(unanswered(&why)),
        };
        report.note(name, result)?;
    }
    Ok(())
}
