//! Forms: shown with a token, posted to `/ui/…`, done by the same functions as the API.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use chrono::TimeDelta;
use curfew_core::condition::Activation;
use curfew_core::entry::Verdict;
use curfew_core::id::{Digest, RequestId};
use curfew_core::judge::activation_of;
use curfew_core::phase::Phase;
use curfew_proto::v1::DecisionBody;
use serde::Deserialize;
use serde_json::json;

use super::{Frame, render, show};
use crate::auth::Caller;
use crate::body::FormBody;
use crate::errors::{Reason, Refusal};
use crate::form_token::{self, FormRoute};
use crate::offers::Offer;
use crate::view::Seen;
use crate::{App, Shared, acts, decisions, filing};

/// Durations that people choose from, minutes; those above the maximum are not shown.
const DURATION_CHOICES: [i64; 10] = [1, 5, 15, 30, 60, 120, 240, 480, 720, 1_440];

/// The form that asks for one offer.
pub(super) struct AskForm {
    /// Makes the ids of its fields unique on the page.
    pub(super) key: String,
    pub(super) token: String,
    pub(super) resource: String,
    pub(super) role: String,
    pub(super) condition: String,
    pub(super) durations: Vec<DurationChoice>,
    pub(super) justification: String,
    pub(super) ticket: String,
    pub(super) hint: String,
    /// Whether a peer must approve, and so may be chosen.
    pub(super) needs_peer: bool,
    pub(super) approvers: String,
}

pub(super) struct DurationChoice {
    pub(super) value: String,
    pub(super) label: String,
    pub(super) is_selected: bool,
}

impl AskForm {
    pub(super) fn new(app: &App, caller: &Caller, key: String, offer: &Offer<'_>) -> Self {
        Self {
            key,
            token: form_token::issue(app, caller, FormRoute::File),
            resource: offer.project.resource.to_string(),
            role: offer.binding.role.to_string(),
            condition: offer.condition.to_owned(),
            durations: durations(app, &value(app.settings().default_duration())),
            justification: String::new(),
            ticket: String::new(),
            hint: app.settings().justification_hint.clone(),
            needs_peer: activation_of(offer.binding, &app.settings().rules)
                == Activation::PeerApproval,
            approvers: String::new(),
        }
    }

    /// The form as it was sent, with a fresh token.
    fn again(app: &App, caller: &Caller, sent: AskFields) -> Self {
        Self {
            key: "again".into(),
            token: form_token::issue(app, caller, FormRoute::File),
            resource: sent.resource,
            role: sent.role,
            condition: sent.resource_condition,
            durations: durations(app, &sent.duration),
            justification: sent.justification,
            ticket: sent.ticket,
            hint: app.settings().justification_hint.clone(),
            needs_peer: sent.approvers.is_some(),
            approvers: sent.approvers.unwrap_or_default(),
        }
    }
}

fn value(duration: TimeDelta) -> String {
    format!("{}s", duration.num_seconds())
}

fn durations(app: &App, selected: &str) -> Vec<DurationChoice> {
    let (default, max) = (app.settings().default_duration(), app.settings().rules.duration_max);
    let usual =
        DURATION_CHOICES.into_iter().map(TimeDelta::minutes).filter(|choice| *choice <= max);
    let mut choices: Vec<TimeDelta> = usual.chain([default, max]).collect();
    choices.sort();
    choices.dedup();
    let choice = |choice: TimeDelta| {
        let value = value(choice);
        DurationChoice { label: show::span(choice), is_selected: value == selected, value }
    };
    choices.into_iter().map(choice).collect()
}

/// The fields of [`AskForm`] as they are posted.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct AskFields {
    token: String,
    resource: String,
    role: String,
    resource_condition: String,
    duration: String,
    justification: String,
    #[serde(default)]
    ticket: String,
    /// Addresses with commas, spaces or line ends between; there only where a peer must approve.
    approvers: Option<String>,
}

#[derive(Template)]
#[template(path = "ask.html")]
struct AskAgain {
    frame: Frame,
    message: String,
    form: AskForm,
}

/// `POST /ui/requests`
pub(crate) async fn file(
    State(app): State<Shared>,
    caller: Caller,
    form: FormBody<AskFields>,
) -> Result<Response, Refusal> {
    let FormBody(mut fields) = form;
    let nonce = form_token::check(&app, &caller, FormRoute::File, &fields.token)?;
    // Browsers send line ends of text areas as CR LF.
    fields.justification = fields.justification.replace("\r\n", "\n");
    let mut body = json!({
        "resource": fields.resource,
        "roles": [{"role": fields.role, "resourceCondition": fields.resource_condition}],
        "duration": fields.duration,
        "justification": fields.justification,
    });
    if !fields.ticket.is_empty() {
        body["ticket"] = json!(fields.ticket);
    }
    let chosen = fields.approvers.as_deref().unwrap_or_default();
    let chosen = chosen.split([',', ' ', '\r', '\n', '\t']).filter(|email| !email.is_empty());
    let chosen: Vec<&str> = chosen.collect();
    if !chosen.is_empty() {
        body["chosenApprovers"] = json!(chosen);
    }
    // The token's nonce as the key: sending the same form twice files one request.
    let key = format!("form-{nonce}");
    match filing::file(&app, &caller, body.to_string().as_bytes(), Some(&key)).await {
        Ok(filed) => Ok(to_request(filed.seen.id())),
        Err(refusal) => {
            let page = AskAgain {
                frame: Frame::new("Ask for access", "home", Some(&caller)),
                message: refusal.message.clone(),
                form: AskForm::again(&app, &caller, fields),
            };
            let mut response = render(&page);
            *response.status_mut() = refusal.reason.http();
            Ok(response)
        }
    }
}

/// The forms by which a peer decides about what the page shows.
pub(super) struct DecisionForm {
    pub(super) digest: String,
    pub(super) approve_token: String,
    pub(super) deny_token: String,
}

/// The forms to decide about `seen`, if this person may and somebody's word is waited for.
pub(super) async fn decision_form(
    app: &App,
    caller: &Caller,
    seen: &Seen,
) -> Result<Option<DecisionForm>, Refusal> {
    let Some(filed) = seen.spec() else { return Ok(None) };
    if seen.phase(app.now()) != Phase::AwaitingApproval
        || !decisions::may_decide(app, caller, &filed.spec).await?
    {
        return Ok(None);
    }
    let digest = &filed.spec.digest;
    Ok(Some(DecisionForm {
        digest: digest.to_string(),
        approve_token: form_token::issue(app, caller, FormRoute::Approve(seen.id(), digest)),
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

fn to_request(id: &RequestId) -> Response {
    Redirect::to(&format!("/requests/{id}")).into_response()
}
