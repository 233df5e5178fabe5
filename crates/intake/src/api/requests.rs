//! Requests: file, read, list, end.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use curfew_core::entry::Verdict;
use curfew_core::phase::Phase;
use curfew_core::principal::{Email, Subject};
use curfew_core::resource::Resource;
use curfew_ports::{ListQuery, RetryClass};
use curfew_proto::{json, v1};
use serde_json::Value;

use crate::api::lists;
use crate::auth::Caller;
use crate::body::{JsonBody, idempotency_key};
use crate::errors::{Reason, Refusal};
use crate::offers::Lists;
use crate::params::{Params, bad_token, invalid};
use crate::view::{self, Seen};
use crate::{App, Shared, acts, decisions, filing, standing, timeline};

/// `POST /v1/requests`
pub(crate) async fn create(
    State(app): State<Shared>,
    caller: Caller,
    uri: Uri,
    headers: HeaderMap,
    body: JsonBody,
) -> Result<Response, Refusal> {
    Params::read(&uri, &[])?;
    let filed = filing::file(&app, &caller, &body.0, idempotency_key(&headers)?).await?;
    let status = if filed.is_new { StatusCode::CREATED } else { StatusCode::OK };
    let location = [(header::LOCATION, format!("/v1/requests/{}", filed.seen.id()))];
    Ok((status, location, request_json(&app, &filed.seen)).into_response())
}

/// `GET /v1/requests/{id}`
pub(crate) async fn get(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Json<Value>, Refusal> {
    Params::read(&uri, &[])?;
    Ok(request_json(&app, &view::look(&app, &caller, &id).await?))
}

/// `GET /v1/requests/{id}/events`
pub(crate) async fn events(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Json<Value>, Refusal> {
    Params::read(&uri, &[])?;
    let happened = timeline::timeline(&view::look(&app, &caller, &id).await?);
    let events = happened.iter().map(timeline::Happened::to_wire).collect();
    Ok(Json(json::to_json(&v1::ListEventsReply { events })))
}

/// `POST /v1/requests/{id}:{verb}`; the router cannot split a segment, so it is done here.
pub(crate) async fn act(
    State(app): State<Shared>,
    caller: Caller,
    Path(target): Path<String>,
    uri: Uri,
    body: JsonBody,
) -> Result<Json<Value>, Refusal> {
    Params::read(&uri, &[])?;
    let (id, verb) = target.split_once(':').ok_or_else(no_such_act)?;
    let reason = || {
        json::from_json::<v1::ReasonBody>(&body.0).map_err(Refusal::from).map(|body| body.reason)
    };
    let seen = match verb {
        "withdraw" => acts::withdraw(&app, &caller, id, &reason()?).await?,
        "revoke" => acts::revoke(&app, &caller, id, &reason()?).await?,
        "approve" | "deny" => {
            let verdict = if verb == "approve" { Verdict::Approve } else { Verdict::Deny };
            let body = json::from_json::<v1::DecisionBody>(&body.0)?;
            decisions::decide(&app, &caller, id, verdict, &body).await?
        }
        "extend" | "closeReview" => {
            view::look(&app, &caller, id).await?;
            let message = format!(
                "`{verb}` is not offered yet: `approve`, `deny`, `withdraw` and `revoke` are."
            );
            return Err(Refusal::new(Reason::NotOffered, message));
        }
        _ => return Err(no_such_act()),
    };
    Ok(request_json(&app, &seen))
}

fn no_such_act() -> Refusal {
    Refusal::new(
        Reason::RouteUnknown,
        "There is no such act: post to `/v1/requests/{id}:approve`, `:deny`, `:withdraw` or `:revoke`.",
    )
}

/// `GET /v1/requests`
pub(crate) async fn list(
    State(app): State<Shared>,
    caller: Caller,
    uri: Uri,
) -> Result<Json<Value>, Refusal> {
    let params =
        Params::read(&uri, &["view", "phase", "resource", "requester", "pageSize", "pageToken"])?;
    let now = app.now();
    let (found, next_page_token) = match params.get("view").unwrap_or("mine") {
        "mine" => page(&app, &params, Only::Subject(caller.subject())).await?,
        "all" if standing::may_audit(&app, &caller.person).await? => {
            page(&app, &params, Only::Everything).await?
        }
        "all" => {
            let message =
                "Only auditors and operators see everybody's requests: `view=mine` lists yours.";
            return Err(Refusal::new(Reason::NotAnAuditor, message));
        }
        "inbox" => inbox(&app, &caller, &params).await?,
        _ => return Err(invalid("view", "must be mine, inbox or all.")),
    };
    let requests = found.iter().map(|seen| seen.to_wire(now)).collect();
    Ok(Json(json::to_json(&v1::ListRequestsReply { requests, next_page_token })))
}

/// What a list is narrowed to, besides what its reader asks for.
enum Only<'a> {
    Subject(&'a str),
    Phase(Phase),
    Everything,
}

/// One page, newest first, of one person or of everybody.
///
/// The store is asked for one filter, as its indexes serve; the others are applied to its page, which may then hold
/// fewer requests than asked for, or none, and still have a next (AIP-158 allows it).
async fn page(
    app: &App,
    params: &Params,
    only: Only<'_>,
) -> Result<(Vec<Seen>, Option<String>), Refusal> {
    let phase = params
        .parsed("phase", |text| Phase::parse(text).ok_or("must be a phase such as ACTIVE"))?;
    let is_inbox = matches!(only, Only::Phase(_));
    let (only, phase) = match only {
        Only::Subject(subject) => (Some(subject), phase),
        Only::Phase(wanted) if phase.is_none_or(|phase| phase == wanted) => (None, Some(wanted)),
        // Nothing is in two phases.
        Only::Phase(_) => return Ok((Vec::new(), None)),
        Only::Everything => (None, phase),
    };
    let resource = params.parsed("resource", Resource::parse)?;
    let requester = params.parsed("requester", Who::parse)?;
    // Where the phase is given, by that alone: pages over anything else would tell of requests that are not shown.
    let asked = requester.as_ref().and_then(Who::subject).filter(|_| !is_inbox);
    let subject = only.map(str::to_owned).or(asked);
    let by_resource = resource.as_ref().filter(|_| subject.is_none() && !is_inbox);
    let by_resource = by_resource.map(ToString::to_string);
    let by_phase = phase
        .filter(|_| subject.is_none() && by_resource.is_none())
        .map(|phase| phase.as_str().to_owned());
    let query = ListQuery {
        requester: subject,
        resource: by_resource,
        phase: by_phase,
        page_size: params.page_size()?,
        page_token: params.get("pageToken").map(str::to_owned),
    };
    let found = app.intake.store.list(&query).await.map_err(|error| match error.class {
        RetryClass::Invalid if query.page_token.is_some() => bad_token(),
        RetryClass::Invalid
        | RetryClass::Conflict
        | RetryClass::AlreadyExists
        | RetryClass::NotFound
        | RetryClass::Denied
        | RetryClass::RateLimited(_)
        | RetryClass::Unavailable => Refusal::store(&error),
    })?;
    let now = app.now();
    let wanted = |seen: &Seen| {
        let spec = seen.spec().map(|filed| &filed.spec);
        phase.is_none_or(|phase| seen.phase(now) == phase)
            && resource
                .as_ref()
                .is_none_or(|resource| spec.is_some_and(|spec| spec.resource == *resource))
            && requester.as_ref().is_none_or(|who| spec.is_some_and(|spec| who.is(&spec.requester)))
    };
    let seen =
        found.requests.into_iter().map(|stored| Seen::new(app, stored)).filter(wanted).collect();
    Ok((seen, found.next_page_token))
}

/// Requests that wait for an approval which the caller may give, newest first. A page may hold fewer than asked for.
///
/// From the lists' index, which is a few seconds old: deciding judges live.
pub(crate) async fn inbox(
    app: &App,
    caller: &Caller,
    params: &Params,
) -> Result<(Vec<Seen>, Option<String>), Refusal> {
    let members = lists::members(app, caller).await?;
    let (mut waiting, next) = page(app, params, Only::Phase(Phase::AwaitingApproval)).await?;
    let held = |lists: &Lists<'_>, seen: &Seen| {
        seen.spec().is_some_and(|filed| {
            let spec = &filed.spec;
            !decisions::is_self(caller, spec)
                && decisions::is_chosen(caller, spec)
                && spec
                    .roles
                    .iter()
                    .all(|role| lists.holds(&members, &spec.resource, &role.entitlement))
        })
    };
    app.lists.read(&caller.person.email, |lists| waiting.retain(|seen| held(lists, seen))).await?;
    Ok((waiting, next))
}

/// The newest requests of one person.
pub(crate) async fn newest(
    app: &App,
    caller: &Caller,
    params: &Params,
) -> Result<(Vec<Seen>, Option<String>), Refusal> {
    page(app, params, Only::Subject(caller.subject())).await
}

/// A person by address or by subject.
enum Who {
    Email(Email),
    Subject(Subject),
}

impl Who {
    fn parse(text: &str) -> Result<Self, curfew_core::principal::PrincipalError> {
        if text.contains('@') {
            Email::parse(text).map(Self::Email)
        } else {
            Subject::parse(text).map(Self::Subject)
        }
    }

    fn subject(&self) -> Option<String> {
        match self {
            Self::Email(_) => None,
            Self::Subject(subject) => Some(subject.to_string()),
        }
    }

    fn is(&self, person: &curfew_core::principal::Person) -> bool {
        match self {
            Self::Email(email) => person.email == *email,
            Self::Subject(subject) => person.subject == *subject,
        }
    }
}

fn request_json(app: &App, seen: &Seen) -> Json<Value> {
    Json(json::to_json(&seen.to_wire(app.now())))
}
