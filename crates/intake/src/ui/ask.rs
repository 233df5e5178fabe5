//! The form that asks for access: in the list, on a page of its own with those who could approve, and again after a
//! refusal or a check.

use askama::Template;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use chrono::{DateTime, TimeDelta, Utc};
use curfew_core::condition::Activation;
use curfew_core::index::Offer;
use curfew_core::principal::Principal;
use curfew_core::resource::Resource;
use curfew_core::role::Role;
use serde_json::{Value, json};

use super::forms::to_request;
use super::{Frame, percent_encoded, render, show};
use crate::api::approvers::{self, Approvers};
use crate::api::lists::{self, Asked};
use crate::auth::Caller;
use crate::body::FormBody;
use crate::errors::{Reason, Refusal};
use crate::filing::report::{Check, Outcome, Report};
use crate::form_token::{self, FormRoute};
use crate::offers::Lists;
use crate::params::{Params, invalid};
use crate::{App, Shared, filing, warnings};

/// Durations that people choose from, minutes; those above the maximum are not shown.
const DURATION_CHOICES: [i64; 10] = [1, 5, 15, 30, 60, 120, 240, 480, 720, 1_440];

/// People to choose approvers from that are shown at once; a search finds the others.
const APPROVERS_SHOWN: usize = 30;

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
    /// Addresses as they were typed.
    pub(super) approvers: String,
    /// People to choose from; none where nobody asked for the list.
    pub(super) choices: Vec<Choice>,
    /// Where the list of them is.
    pub(super) choose: String,
}

pub(super) struct DurationChoice {
    pub(super) value: String,
    pub(super) label: String,
    pub(super) is_selected: bool,
}

/// Somebody who could approve.
pub(super) struct Choice {
    pub(super) email: String,
    pub(super) is_chosen: bool,
}

impl AskForm {
    pub(super) fn new(app: &App, caller: &Caller, offer: &Offer<'_>) -> Self {
        let resource = offer.node.resource().to_string();
        Self {
            key: "ask".into(),
            token: form_token::issue(app, caller, FormRoute::File),
            choose: format!(
                "/ask?entitlement={}&resource={}",
                percent_encoded(offer.by.name()),
                percent_encoded(&resource)
            ),
            resource,
            role: offer.by.role().to_string(),
            condition: offer.by.condition().to_owned(),
            durations: durations(app, &value(app.settings().default_duration())),
            justification: String::new(),
            ticket: String::new(),
            hint: app.settings().justification_hint.clone(),
            needs_peer: offer.activation == Activation::PeerApproval,
            approvers: String::new(),
            choices: Vec::new(),
        }
    }

    /// The form as it was sent, with a fresh token.
    fn again(app: &App, caller: &Caller, sent: Fields) -> Self {
        let chosen = sent.chosen.into_iter();
        let choices = chosen.map(|email| Choice { email, is_chosen: true }).collect();
        Self {
            key: "again".into(),
            token: form_token::issue(app, caller, FormRoute::File),
            resource: sent.resource,
            role: sent.role,
            condition: sent.condition,
            durations: durations(app, &sent.duration),
            justification: sent.justification,
            ticket: sent.ticket,
            hint: app.settings().justification_hint.clone(),
            needs_peer: sent.approvers.is_some(),
            approvers: sent.approvers.unwrap_or_default(),
            choices,
            choose: String::new(),
        }
    }
}

/// What to say of a role, in words.
pub(super) fn warning_words(role: &Role, is_dangerous: Option<bool>) -> Vec<String> {
    warnings::of_role(role, is_dangerous).into_iter().map(|warning| warning.message).collect()
}

/// What to say to somebody whom JIT Access gave what is offered.
pub(super) fn prior_words(
    lists: &Lists<'_>,
    offer: &Offer<'_>,
    who: &Principal,
    now: DateTime<Utc>,
) -> Option<String> {
    let (_, prior) = lists.prior(who, &offer.key(), now)?;
    Some(show::prior("You have", prior.activation.ends_at, now))
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
#[derive(Default)]
struct Fields {
    token: String,
    resource: String,
    role: String,
    condition: String,
    duration: String,
    justification: String,
    ticket: String,
    /// Addresses with commas, spaces or line ends between; there only where a peer must approve.
    approvers: Option<String>,
    /// Those whose boxes are ticked.
    chosen: Vec<String>,
}

impl Fields {
    fn read(pairs: Vec<(String, String)>) -> Result<Self, Refusal> {
        let mut fields = Self::default();
        let mut there = Vec::new();
        for (name, text) in pairs {
            let slot = match name.as_str() {
                "token" => &mut fields.token,
                "resource" => &mut fields.resource,
                "role" => &mut fields.role,
                "resourceCondition" => &mut fields.condition,
                "duration" => &mut fields.duration,
                "justification" => &mut fields.justification,
                "ticket" => &mut fields.ticket,
                "approvers" => fields.approvers.get_or_insert_default(),
                "approver" => {
                    fields.chosen.push(text);
                    continue;
                }
                _ => return Err(malformed()),
            };
            *slot = text;
            if there.contains(&name) {
                return Err(malformed());
            }
            there.push(name);
        }
        let is_there = |name: &&str| there.iter().any(|it| it == name);
        let required =
            ["token", "resource", "role", "resourceCondition", "duration", "justification"];
        if !required.iter().all(is_there) {
            return Err(malformed());
        }
        // Browsers send line ends of text areas as CR LF.
        fields.justification = fields.justification.replace("\r\n", "\n");
        Ok(fields)
    }

    /// The same request in the API's form.
    fn body(&self) -> Value {
        let mut body = json!({
            "resource": self.resource,
            "roles": [{"role": self.role, "resourceCondition": self.condition}],
            "duration": self.duration,
            "justification": self.justification,
        });
        if !self.ticket.is_empty() {
            body["ticket"] = json!(self.ticket);
        }
        let typed = self.approvers.as_deref().unwrap_or_default();
        let typed = typed.split([',', ' ', '\r', '\n', '\t']).filter(|email| !email.is_empty());
        let mut chosen: Vec<&str> = self.chosen.iter().map(String::as_str).chain(typed).collect();
        // Ticked and typed is still one person.
        let mut known = std::collections::BTreeSet::new();
        chosen.retain(|email| known.insert(email.to_ascii_lowercase()));
        if !chosen.is_empty() {
            body["chosenApprovers"] = json!(chosen);
        }
        body
    }
}

fn malformed() -> Refusal {
    Refusal::new(
        Reason::BodyMalformed,
        "The form cannot be read: reload the page and send it again.",
    )
}

#[derive(Template)]
#[template(path = "ask.html")]
struct AskPage {
    frame: Frame,
    /// Why it was not filed.
    refusal: Option<String>,
    /// What a check said.
    checked: Option<Checked>,
    warnings: Vec<String>,
    /// Said where JIT Access gave it.
    prior: Option<String>,
    picker: Option<Picker>,
    form: AskForm,
}

/// The outcome of a check that filed nothing.
struct Checked {
    summary: &'static str,
    tone: &'static str,
    lines: Vec<Line>,
    /// Checks that rest on one that did not pass.
    n_not_reached: usize,
}

struct Line {
    name: &'static str,
    label: &'static str,
    tone: &'static str,
    message: String,
}

/// The search among those who could approve.
struct Picker {
    entitlement: String,
    resource: String,
    query: String,
    n_found: usize,
    n_shown: usize,
    domains: Vec<String>,
}

/// `GET /ask`: one offer, with those who could approve it.
pub(crate) async fn ask(
    State(app): State<Shared>,
    caller: Caller,
    uri: Uri,
) -> Result<Response, Refusal> {
    let params = Params::read(&uri, &["entitlement", "resource", "query"])?;
    let name = params.get("entitlement").ok_or_else(|| invalid("entitlement", "is required."))?;
    let resource = params.parsed("resource", Resource::parse)?;
    let resource = resource.ok_or_else(|| invalid("resource", "is required."))?;
    let query = params.get("query").unwrap_or_default().to_lowercase();
    let asked = Asked { resource: Some(resource.clone()), ..Asked::default() };
    let (who, now) = (caller.principal(), app.now());
    let show = |lists: &Lists<'_>, offer: &Offer<'_>| {
        let role = offer.by.role();
        let words = warning_words(role, lists.is_dangerous(role));
        let prior = prior_words(lists, offer, &who, now);
        (offer.by.name() == name).then(|| (AskForm::new(&app, &caller, offer), words, prior))
    };
    let found = lists::page(&app, &caller, &Params::none(), &asked, show).await?;
    let (mut form, warnings, prior) =
        found.items.into_iter().flatten().next().ok_or_else(Refusal::no_entitlement)?;
    let picker = if form.needs_peer {
        let could = approvers::of_entitlement(&app, &caller, name, Some(&resource), None).await?;
        Some(pick(&mut form, could, name, &query))
    } else {
        None
    };
    Ok(render(&AskPage {
        frame: Frame::new("Ask for access", "home", Some(&caller)),
        refusal: None,
        checked: None,
        warnings,
        prior,
        picker,
        form,
    }))
}

/// Puts those who match into the form.
fn pick(form: &mut AskForm, could: Approvers, name: &str, query: &str) -> Picker {
    let matching: Vec<String> = could
        .people
        .iter()
        .map(ToString::to_string)
        .filter(|email| email.contains(query))
        .collect();
    let n_found = matching.len();
    let choice = |email| Choice { email, is_chosen: false };
    form.choices = matching.into_iter().take(APPROVERS_SHOWN).map(choice).collect();
    Picker {
        entitlement: name.to_owned(),
        resource: form.resource.clone(),
        query: query.to_owned(),
        n_found,
        n_shown: form.choices.len(),
        domains: could.domains.into_iter().collect(),
    }
}

/// `POST /ui/requests`
pub(crate) async fn file(
    State(app): State<Shared>,
    caller: Caller,
    form: FormBody<Vec<(String, String)>>,
) -> Result<Response, Refusal> {
    let fields = Fields::read(form.0)?;
    let nonce = form_token::check(&app, &caller, FormRoute::File, &fields.token)?;
    // The token's nonce as the key: sending the same form twice files one request.
    let key = format!("form-{nonce}");
    let body = fields.body().to_string();
    match filing::file(&app, &caller, body.as_bytes(), Some(&key)).await {
        Ok(filed) => Ok(to_request(filed.seen.id())),
        Err(refusal) => {
            let (status, message) = (refusal.reason.http(), refusal.message);
            let mut response = render(&again(&app, &caller, fields, Some(message), None));
            *response.status_mut() = status;
            Ok(response)
        }
    }
}

/// `POST /ui/requests/check`: the same form, and nothing is filed.
pub(crate) async fn check(
    State(app): State<Shared>,
    caller: Caller,
    form: FormBody<Vec<(String, String)>>,
) -> Result<Response, Refusal> {
    let fields = Fields::read(form.0)?;
    form_token::check(&app, &caller, FormRoute::File, &fields.token)?;
    let body = fields.body().to_string();
    let (report, examined) = filing::examine(&app, &caller, body.as_bytes()).await?;
    let ends = examined.iter().flat_map(|examined| &examined.prior);
    let end = ends.map(|(_, prior)| prior.activation.ends_at).max();
    let page = again(&app, &caller, fields, None, Some(checked(&report)));
    let prior = end.map(|end| show::prior("You have", end, app.now()));
    Ok(render(&AskPage { prior, ..page }))
}

fn again(
    app: &App,
    caller: &Caller,
    fields: Fields,
    refusal: Option<String>,
    checked: Option<Checked>,
) -> AskPage {
    AskPage {
        frame: Frame::new("Ask for access", "home", Some(caller)),
        refusal,
        checked,
        warnings: Vec::new(),
        prior: None,
        picker: None,
        form: AskForm::again(app, caller, fields),
    }
}

/// What does not hold is told one by one, what could not be looked at is counted.
fn checked(report: &Report) -> Checked {
    let lines = report.checks.iter().filter_map(|check| {
        let (label, tone, message) = match &check.outcome {
            Outcome::Passed | Outcome::NotReached => return None,
            Outcome::Failed(refusal) => ("Fails", "bad", refusal.message.clone()),
            Outcome::Unanswered(refusal) => ("Not known", "wait", refusal.message.clone()),
        };
        Some(Line { name: check.name, label, tone, message })
    });
    let lines: Vec<Line> = lines.collect();
    let (summary, tone) = if report.is_clear() {
        ("This can be requested as it is. Nothing was filed yet.", "good")
    } else if lines.iter().any(|line| line.tone == "bad") {
        ("This would be refused.", "bad")
    } else {
        ("It could not be found out whether this can be requested.", "wait")
    };
    let is_open = |check: &&Check| check.outcome == Outcome::NotReached;
    let n_not_reached = report.checks.iter().filter(is_open).count();
    Checked { summary, tone, lines, n_not_reached }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> Result<Fields, Refusal> {
        let usual = [
            ("token", "t"),
            ("resource", "projects/demo-web"),
            ("role", "roles/compute.viewer"),
            ("resourceCondition", ""),
            ("duration", "60s"),
            ("justification", "a\r\nb"),
        ];
        let all = usual.iter().chain(pairs);
        Fields::read(all.map(|(name, text)| ((*name).into(), (*text).into())).collect())
    }

    #[test]
    fn ticked_and_typed_approvers_are_one_list() {
        let sent = fields(&[
            ("approvers", "c@x.org, B@x.org\r\nd@x.org"),
            ("approver", "a@x.org"),
            ("approver", "b@x.org"),
        ]);
        let body = sent.unwrap().body();
        assert_eq!(body["chosenApprovers"], json!(["a@x.org", "b@x.org", "c@x.org", "d@x.org"]));
        assert_eq!(body["justification"], "a\nb");
        assert_eq!(fields(&[]).unwrap().body().get("chosenApprovers"), None);
    }

    #[test]
    fn unknown_missing_and_repeated_fields_are_refused() {
        assert!(fields(&[("ticket", "T-1")]).is_ok());
        assert!(fields(&[("surprise", "1")]).is_err());
        assert!(fields(&[("role", "roles/other")]).is_err());
        assert!(Fields::read(vec![("token".into(), "t".into())]).is_err());
    }
}
