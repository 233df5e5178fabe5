//! Forms about filed requests: shown with a token, posted to `/ui/…`, done by the same functions as the API.

use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use curfew_core::entry::Verdict;
use curfew_core::id::{Digest, RequestId};
use curfew_core::phase::Phase;
use curfew_proto::v1::DecisionBody;
use serde::Deserialize;

use crate::auth::Caller;
use crate::body::FormBody;
use crate::errors::{Reason, Refusal};
use crate::form_token::{self, FormRoute};
use crate::view::Seen;
use crate::{App, Shared, acts, decisions};

/// The forms by which a peer decides about what the page shows.
pub(super) struct DecisionForm {
    pub(super) digest: String,
    /// While an approval is waited for.
    pub(super) approve_token: Option<String>,
    pub(super) deny_token: String,
}

/// The forms to decide about `seen`, if this person may: yes or no while somebody's word is waited for, and no as long
/// as the access is not over.
pub(super) async fn decision_form(
    app: &App,
    caller: &Caller,
    seen: &Seen,
) -> Result<Option<DecisionForm>, Refusal> {
    let Some(filed) = seen.spec() else { return Ok(None) };
    let is_decided = !seen.needs_approval() || seen.is_over(app.now());
    if is_decided || !decisions::may_decide(app, caller, &filed.spec).await? {
        return Ok(None);
    }
    let digest = &filed.spec.digest;
    let is_waited_for = seen.phase(app.now()) == Phase::AwaitingApproval;
    let approve = || form_token::issue(app, caller, FormRoute::Approve(seen.id(), digest));
    Ok(Some(DecisionForm {
        digest: digest.to_string(),
        approve_token: is_waited_for.then(approve),
        deny_token: form_token::issue(app, caller, FormRoute::Deny(seen.id(), digest)),
    }))
}

/// The fields of [`DecisionForm`] as they are posted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DecisionFields {
    token: String,
    digest: String,
    #[serde(default)]
    comment: String,
}

/// `POST /ui/requests/{id}/approve`
pub(crate) async fn approve(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    form: FormBody<DecisionFields>,
) -> Result<Response, Refusal> {
    decide(&app, &caller, &id, Verdict::Approve, form.0).await
}

/// `POST /ui/requests/{id}/deny`
pub(crate) async fn deny(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    form: FormBody<DecisionFields>,
) -> Result<Response, Refusal> {
    decide(&app, &caller, &id, Verdict::Deny, form.0).await
}

async fn decide(
    app: &App,
    caller: &Caller,
    id: &str,
    verdict: Verdict,
    fields: DecisionFields,
) -> Result<Response, Refusal> {
    let id = RequestId::parse(id).map_err(|_| Refusal::not_found())?;
    let shown = Digest::parse(&fields.digest)
        .map_err(|error| Refusal::field(Reason::FieldInvalid, "digest", format!("{error}.")))?;
    let route = match verdict {
        Verdict::Approve => FormRoute::Approve(&id, &shown),
        Verdict::Deny => FormRoute::Deny(&id, &shown),
    };
    form_token::check(app, caller, route, &fields.token)?;
    let comment = Some(fields.comment.replace("\r\n", "\n"));
    let body = DecisionBody { digest: fields.digest, comment, target: None };
    decisions::decide(app, caller, id.as_str(), verdict, &body).await?;
    Ok(to_request(&id))
}

/// A form that ends a request.
pub(super) struct EndForm {
    pub(super) verb: &'static str,
    pub(super) token: String,
    pub(super) question: &'static str,
    pub(super) button: &'static str,
    pub(super) is_required: bool,
}

/// The forms that end `seen`, as this person may.
pub(super) fn ending_forms(
    app: &App,
    caller: &Caller,
    seen: &Seen,
    is_operator: bool,
) -> Vec<EndForm> {
    let withdraw = seen.is_requester(&caller.person).then(|| EndForm {
        verb: "withdraw",
        token: form_token::issue(app, caller, FormRoute::Withdraw(seen.id())),
        question: "Why? (optional)",
        button: "Withdraw",
        is_required: false,
    });
    let may_revoke = is_operator || seen.was_approved_by(&caller.person);
    let revoke = may_revoke.then(|| EndForm {
        verb: "revoke",
        token: form_token::issue(app, caller, FormRoute::Revoke(seen.id())),
        question: "Why do you revoke it?",
        button: "Revoke",
        is_required: true,
    });
    withdraw.into_iter().chain(revoke).collect()
}

/// The fields of [`EndForm`] as they are posted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EndFields {
    token: String,
    reason: String,
}

/// `POST /ui/requests/{id}/withdraw`
pub(crate) async fn withdraw(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    form: FormBody<EndFields>,
) -> Result<Response, Refusal> {
    let id = RequestId::parse(&id).map_err(|_| Refusal::not_found())?;
    form_token::check(&app, &caller, FormRoute::Withdraw(&id), &form.0.token)?;
    acts::withdraw(&app, &caller, id.as_str(), &form.0.reason).await?;
    Ok(to_request(&id))
}

/// `POST /ui/requests/{id}/revoke`
pub(crate) async fn revoke(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    form: FormBody<EndFields>,
) -> Result<Response, Refusal> {
    let id = RequestId::parse(&id).map_err(|_| Refusal::not_found())?;
    form_token::check(&app, &caller, FormRoute::Revoke(&id), &form.0.token)?;
    acts::revoke(&app, &caller, id.as_str(), &form.0.reason).await?;
    Ok(to_request(&id))
}

pub(super) fn to_request(id: &RequestId) -> Response {
    Redirect::to(&format!("/requests/{id}")).into_response()
}
