//! What would happen to a request.

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use curfew_core::condition::Activation;
use curfew_core::reconcile;
use curfew_proto::v1::validate_request_reply::Verdict;
use curfew_proto::{convert, json, v1};
use serde_json::Value;

use super::lists::approval_to_wire;
use crate::auth::Caller;
use crate::body::JsonBody;
use crate::errors::{Reason, Refusal};
use crate::filing::report::{Check, Outcome, Report};
use crate::filing::{self, Examined};
use crate::params::Params;
use crate::{App, Shared, warnings};

/// `POST /v1/requests:validate`
pub(crate) async fn validate(
    State(app): State<Shared>,
    caller: Caller,
    uri: Uri,
    body: JsonBody,
) -> Result<Json<Value>, Refusal> {
    Params::read(&uri, &[])?;
    let (report, examined) = filing::examine(&app, &caller, &body.0).await?;
    let mut reply = match &examined {
        Some(examined) => accepted(&app, examined)?,
        None => v1::ValidateRequestReply::default(),
    };
    reply.set_verdict(verdict(&report));
    reply.checks = report.checks.iter().map(check_to_wire).collect();
    Ok(Json(json::to_json(&reply)))
}

/// One refusal is enough to refuse; without one, one open question leaves it open.
fn verdict(report: &Report) -> Verdict {
    let has = |wanted: fn(&Outcome) -> bool| report.checks.iter().any(|it| wanted(&it.outcome));
    if has(|outcome| matches!(outcome, Outcome::Failed(_))) {
        Verdict::Refused
    } else if has(|outcome| matches!(outcome, Outcome::Unanswered(_) | Outcome::NotReached)) {
        Verdict::Unanswered
    } else {
        Verdict::Accepted
    }
}

/// Approval, bindings and warnings of a request that would be filed.
fn accepted(app: &App, examined: &Examined) -> Result<v1::ValidateRequestReply, Refusal> {
    let Examined { spec, basis, dangerous, prior } = examined;
    let grant = reconcile::grant(spec, basis, app.now()).map_err(|error| {
        let message = format!("No condition can be written for this: {error}.");
        Refusal::new(Reason::FieldInvalid, message)
    })?;
    let needs_peer = basis.activation == Activation::PeerApproval;
    let binding = |binding: &curfew_core::fact::GrantedBinding<_>| planned(&binding.live);
    let of_dangerous = dangerous.iter().flat_map(|role| warnings::of_role(role, Some(true)));
    let of_prior = prior
        .iter()
        .map(|(node, prior)| warnings::of_prior(&prior.role, node, prior.activation.ends_at));
    let mut reply = v1::ValidateRequestReply {
        approvals_required: u32::from(needs_peer),
        decide_within: needs_peer.then(|| convert::duration_to_wire(basis.decide_within)),
        bindings: grant.bindings.iter().map(binding).collect(),
        warnings: of_dangerous.chain(of_prior).collect(),
        ..v1::ValidateRequestReply::default()
    };
    reply.set_approval(approval_to_wire(basis.activation));
    Ok(reply)
}

fn planned(binding: &curfew_core::fact::UntaggedBinding) -> v1::PlannedBinding {
    v1::PlannedBinding {
        resource: binding.resource.to_string(),
        role: binding.role.to_string(),
        member: binding.member.to_string(),
        expression: binding.expression.clone(),
    }
}

fn check_to_wire(check: &Check) -> v1::Check {
    let (outcome, refusal) = match &check.outcome {
        Outcome::Passed => (v1::check::Outcome::Passed, None),
        Outcome::Failed(refusal) => (v1::check::Outcome::Failed, Some(refusal)),
        Outcome::Unanswered(refusal) => (v1::check::Outcome::Unanswered, Some(refusal)),
        Outcome::NotReached => (v1::check::Outcome::NotReached, None),
    };
    let mut wire = v1::Check {
        name: check.name.to_owned(),
        reason: refusal.map(|refusal| refusal.reason.as_str().to_owned()),
        field: refusal.and_then(|refusal| refusal.field.clone()),
        message: refusal.map(|refusal| refusal.message.clone()),
        ..v1::Check::default()
    };
    wire.set_outcome(outcome);
    wire
}
