//! The pages that people read.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::Response;
use chrono::{DateTime, Utc};
use curfew_core::index::OfferKey;
use curfew_core::phase::Phase;
use curfew_core::principal::Email;

use super::forms::{DecisionForm, EndForm, decision_form, ending_forms};
use super::show::{self, PhaseBadge};
use super::{Frame, percent_encoded, render};
use crate::api::requests::{inbox, newest};
use crate::auth::Caller;
use crate::errors::Refusal;
use crate::params::Params;
use crate::timeline::{self, Happened};
use crate::view::{self, Seen};
use crate::{App, Shared, standing};

/// Reload soon while something is about to happen, seconds.
const REFRESH_SOON_S: u32 = 3;

/// Reload now and then while access lasts, seconds.
const REFRESH_LATER_S: u32 = 20;

pub(super) struct Row {
    pub(super) id: String,
    pub(super) roles: String,
    pub(super) resource: String,
    pub(super) when: String,
    pub(super) phase: PhaseBadge,
}

pub(super) fn rows(seen: &[Seen], now: DateTime<Utc>) -> Vec<Row> {
    let row = |seen: &Seen| Row {
        id: seen.id().to_string(),
        roles: roles(seen),
        resource: seen.spec().map(|filed| filed.spec.resource.to_string()).unwrap_or_default(),
        when: show::relative(seen.stored().created_at, now),
        phase: show::badge(seen, now),
    };
    seen.iter().map(row).collect()
}

fn roles(seen: &Seen) -> String {
    let Some(filed) = seen.spec() else { return "A request that cannot be verified".into() };
    let roles: Vec<&str> = filed.spec.roles.iter().map(|role| role.role.as_str()).collect();
    roles.join(", ")
}

#[derive(Template)]
#[template(path = "mine.html")]
struct Mine {
    frame: Frame,
    rows: Vec<Row>,
    next: Option<String>,
}

/// `GET /requests`
pub(crate) async fn mine(
    State(app): State<Shared>,
    caller: Caller,
    uri: Uri,
) -> Result<Response, Refusal> {
    let params = Params::read(&uri, &["pageToken"])?;
    let (seen, next) = newest(&app, &caller, &params).await?;
    Ok(render(&Mine {
        frame: Frame::new("My requests", "requests", Some(&caller)),
        rows: rows(&seen, app.now()),
        next: next.map(|token| format!("/requests?pageToken={}", percent_encoded(&token))),
    }))
}

#[derive(Template)]
#[template(path = "approvals.html")]
struct Approvals {
    frame: Frame,
    rows: Vec<Row>,
    next: Option<String>,
}

/// `GET /approvals`
pub(crate) async fn approvals(
    State(app): State<Shared>,
    caller: Caller,
    uri: Uri,
) -> Result<Response, Refusal> {
    let params = Params::read(&uri, &["pageToken"])?;
    let (seen, next) = inbox(&app, &caller, &params).await?;
    let mut frame = Frame::new("To approve", "approvals", Some(&caller));
    frame.refresh_s = Some(REFRESH_LATER_S);
    Ok(render(&Approvals {
        frame,
        rows: rows(&seen, app.now()),
        next: next.map(|token| format!("/approvals?pageToken={}", percent_encoded(&token))),
    }))
}

#[derive(Template)]
#[template(path = "request.html")]
struct RequestPage {
    frame: Frame,
    id: String,
    roles: String,
    resource: String,
    phase: PhaseBadge,
    headline: String,
    explanation: String,
    /// Percent of the access that is over.
    progress: Option<i64>,
    decision: Option<DecisionForm>,
    /// Whether the page holds the forms that end the access.
    is_ending: bool,
    ending: Vec<EndForm>,
    end_link: Option<&'static str>,
    conditions: Vec<Note>,
    details: Vec<Detail>,
    events: Vec<EventLine>,
}

struct Note {
    /// A class of the style sheet.
    tone: &'static str,
    title: String,
    message: String,
}

struct Detail {
    name: &'static str,
    value: String,
    /// How it is set: plain, `code` or `quote`.
    class: &'static str,
}

struct EventLine {
    at: String,
    machine: String,
    kind: String,
    by: Option<String>,
    message: String,
}

/// `GET /requests/{id}`; with `end=1` it holds the forms that end the access, and does not reload under them.
pub(crate) async fn request(
    State(app): State<Shared>,
    caller: Caller,
    Path(id): Path<String>,
    uri: Uri,
) -> Result<Response, Refusal> {
    let params = Params::read(&uri, &["end"])?;
    let seen = view::look(&app, &caller, &id).await?;
    let now = app.now();
    let may_end = !seen.is_over(now);
    let forms = if may_end {
        ending_forms(&app, &caller, &seen, standing::is_operator(&app, &caller.person).await?)
    } else {
        Vec::new()
    };
    let is_ending = params.get("end").is_some();
    let mut frame = Frame::new(roles(&seen), "", Some(&caller));
    // An outage takes away the form that gives access, not the page with those that end it.
    let (decision, open_question) = match decision_form(&app, &caller, &seen).await {
        Ok(form) => (form, None),
        Err(refusal) => (None, Some(refusal.message)),
    };
    // Saying no to what was approved already is one of the ways to end it.
    let is_waited_for = decision.as_ref().is_some_and(|form| form.approve_token.is_some());
    let end_link = forms.first().map(|form| form.button);
    let end_link = end_link.or(decision.as_ref().filter(|_| !is_waited_for).map(|_| "Deny"));
    let decision = decision.filter(|_| is_waited_for || is_ending);
    // Nothing reloads under what somebody writes.
    frame.refresh_s = refresh(seen.phase(now)).filter(|_| !is_ending && decision.is_none());
    let (headline, explanation) = headline(&seen, now);
    Ok(render(&RequestPage {
        frame,
        id: seen.id().to_string(),
        roles: roles(&seen),
        resource: seen.spec().map(|filed| filed.spec.resource.to_string()).unwrap_or_default(),
        phase: show::badge(&seen, now),
        headline,
        explanation,
        progress: progress(&seen, now),
        decision,
        is_ending,
        ending: if is_ending { forms } else { Vec::new() },
        end_link: end_link.filter(|_| !is_ending),
        conditions: conditions(&seen, open_question, prior(&app, &caller, &seen, now)),
        details: details(&seen, now),
        events: timeline::timeline(&seen)
            .into_iter()
            .map(|happened| event(happened, now))
            .collect(),
    }))
}

fn refresh(phase: Phase) -> Option<u32> {
    match phase {
        Phase::Pending | Phase::AwaitingApproval | Phase::Activating | Phase::Ending => {
            Some(REFRESH_SOON_S)
        }
        Phase::Scheduled | Phase::Active => Some(REFRESH_LATER_S),
        Phase::Ended => None,
    }
}

fn headline(seen: &Seen, now: DateTime<Utc>) -> (String, String) {
    let outcome = seen.status().and_then(|status| status.outcome.as_ref());
    let why = outcome.map(|outcome| {
        let by = outcome.by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
        format!("{}{by}, {}: {}", outcome.reason, show::relative(outcome.at, now), outcome.message)
    });
    let left = seen.grant().map(|grant| grant.expires_at.signed_duration_since(now));
    let start = seen.spec().and_then(|filed| filed.spec.start_at);
    match seen.phase(now) {
        Phase::Pending => ("Waiting to be judged".into(), "Usually takes a second or two.".into()),
        Phase::AwaitingApproval => ("Waiting for approval".into(), waiting_for(seen, now)),
        Phase::Scheduled => {
            let when =
                start.map(|start| format!("{} ({})", show::relative(start, now), show::utc(start)));
            (format!("Starts {}", when.unwrap_or_default()), String::new())
        }
        Phase::Activating => {
            ("Access is being granted".into(), "Usually takes a second or two.".into())
        }
        Phase::Active => (
            format!("{} left", show::span(left.unwrap_or_default())),
            "Google usually applies a policy within 2 minutes, sometimes 7 or more.".into(),
        ),
        Phase::Ending => {
            ("Access is being removed".into(), why.unwrap_or_else(|| "Its time is over.".into()))
        }
        Phase::Ended => ("Nothing is left of this access".into(), why.unwrap_or_default()),
    }
}

/// Whom to turn to, and until when.
fn waiting_for(seen: &Seen, now: DateTime<Utc>) -> String {
    let chosen = seen.spec().map(|filed| filed.spec.chosen_approvers.as_slice());
    let chosen: Vec<&str> = chosen.unwrap_or_default().iter().map(Email::as_str).collect();
    let who = if chosen.is_empty() {
        "Anybody else who holds the same eligible role can approve it".to_owned()
    } else {
        format!("{} can approve it", chosen.join(" or "))
    };
    let until = seen.status().and_then(|status| status.decide_by);
    until.map_or_else(
        || format!("{who}."),
        |until| format!("{who}, until {} ({}).", show::utc(until), show::relative(until, now)),
    )
}

fn progress(seen: &Seen, now: DateTime<Utc>) -> Option<i64> {
    let grant = seen.grant().filter(|_| seen.phase(now) == Phase::Active)?;
    let whole = grant.expires_at.signed_duration_since(grant.starts_at).num_seconds();
    let over = now.signed_duration_since(grant.starts_at).num_seconds();
    over.checked_mul(100)?.checked_div(whole).map(|percent| percent.clamp(0, 100))
}

fn conditions(seen: &Seen, open_question: Option<String>, prior: Option<Note>) -> Vec<Note> {
    let open_question = open_question.map(|message| Note {
        tone: "",
        title: "It could not be checked whether you may decide.".into(),
        message,
    });
    let rejected = seen.rejection().map(|rejection| Note {
        tone: "",
        title: "Unverified.".into(),
        message: format!(
            "The filed request cannot be verified ({rejection}), so what it says is not shown."
        ),
    });
    let noted = seen.status().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let noted = noted.iter().map(|condition| Note {
        tone: "",
        title: format!("{} ({}).", condition.kind, condition.reason),
        message: condition.message.clone(),
    });
    rejected.into_iter().chain(open_question).chain(prior).chain(noted).collect()
}

/// What is waited for, and JIT Access gave already.
fn prior(app: &App, caller: &Caller, seen: &Seen, now: DateTime<Utc>) -> Option<Note> {
    let is_to_come =
        matches!(seen.phase(now), Phase::Pending | Phase::AwaitingApproval | Phase::Scheduled);
    let spec = seen.spec().filter(|_| is_to_come).map(|filed| &filed.spec)?;
    let ends = spec.roles.iter().filter_map(|role| {
        let (resource, role, condition) =
            (spec.resource.clone(), role.role.clone(), role.resource_condition.clone());
        app.lists.prior_end(&spec.principal, &OfferKey { resource, role, condition }, now)
    });
    let who = if spec.principal == caller.principal() {
        "You have".to_owned()
    } else {
        format!("{} has", spec.principal.email())
    };
    Some(Note {
        tone: "wait",
        title: "Active already.".into(),
        message: show::prior(&who, ends.max()?, now),
    })
}

fn details(seen: &Seen, now: DateTime<Utc>) -> Vec<Detail> {
    let text = |name, value: String| Detail { name, value, class: "" };
    let code = |name, value: String| Detail { name, value, class: "code" };
    let mut details = Vec::new();
    if let Some(filed) = seen.spec() {
        let spec = &filed.spec;
        // In the requester's words, set off so that they cannot pass for ours.
        details.push(Detail { name: "Why", value: spec.justification.clone(), class: "quote" });
        details.extend(filed.ticket.clone().map(|ticket| text("Ticket", ticket)));
        details.push(text("Requester", spec.requester.email.to_string()));
        let approved_by = seen.status().map(|status| status.approved_by.join(", "));
        details.extend(approved_by.filter(|by| !by.is_empty()).map(|by| text("Approved by", by)));
        details.push(text(
            "Asked",
            format!(
                "{} ({})",
                show::utc(spec.requested_at),
                show::relative(spec.requested_at, now)
            ),
        ));
        details.push(text("For", show::span(spec.duration)));
        if let Some(start) = spec.start_at {
            let when = format!("{} ({})", show::utc(start), show::relative(start, now));
            details.push(text("Starts", when));
        }
        details.extend(spec.roles.iter().map(|role| {
            let condition = &role.resource_condition;
            let limit = if condition.is_empty() {
                "on all of it".into()
            } else {
                format!("where {condition}")
            };
            code("Role", format!("{}\n{limit}", role.role))
        }));
        details.extend(spec.resource_names.iter().map(|name| code("Only", name.to_string())));
    }
    if let Some(grant) = seen.grant() {
        details.push(text("From", show::utc(grant.starts_at)));
        details.push(text(
            "Until",
            format!("{} ({})", show::utc(grant.expires_at), show::relative(grant.expires_at, now)),
        ));
        details.extend(grant.bindings.iter().map(|binding| {
            code("Binding", format!("{} {}\n{}", binding.role, binding.member, binding.expression))
        }));
    }
    details.push(code("Request", seen.id().to_string()));
    details
}

fn event(happened: Happened, now: DateTime<Utc>) -> EventLine {
    let Happened { at, kind, by, message } = happened;
    EventLine {
        at: at.map_or_else(
            || "at an unreadable time".into(),
            |at| format!("{} · {}", show::utc(at), show::relative(at, now)),
        ),
        machine: at.map(show::machine).unwrap_or_default(),
        kind,
        by,
        message,
    }
}
