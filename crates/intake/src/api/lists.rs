//! Who the caller is, and what they may ask for.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use curfew_core::condition::Activation;
use curfew_core::judge::activation_of;
use curfew_core::principal::Email;
use curfew_core::resource::Resource;
use curfew_core::role::Role;
use curfew_ports::{ListQuery, ProjectInfo};
use curfew_proto::{convert, json, v1};
use serde_json::Value;

use crate::auth::Caller;
use crate::errors::Refusal;
use crate::limits::COUNTED_MAX;
use crate::offers::{Index, Offer};
use crate::params::Params;
use crate::settings::Settings;
use crate::standing;
use crate::view::{self, Seen};
use crate::{App, Shared};

/// `GET /v1/me`
pub(crate) async fn me(
    State(app): State<Shared>,
    caller: Caller,
    uri: Uri,
) -> Result<Json<Value>, Refusal> {
    Params::read(&uri, &[])?;
    let groups = groups(&app, &caller).await?;
    let index = app.index.index().await?;
    let may_approve = index.may_approve(&caller.person.email, &groups, &app.settings().rules);
    let capabilities = [
        ("request", true),
        ("approve", may_approve),
        ("audit", standing::may_audit(&app, &caller.person).await?),
        ("operate", standing::is_operator(&app, &caller.person).await?),
    ];
    let capabilities =
        capabilities.into_iter().filter(|(_, held)| *held).map(|(name, _)| name.to_owned());
    Ok(Json(json::to_json(&v1::Me {
        principal: caller.principal().to_string(),
        email: caller.person.email.to_string(),
        subject: caller.subject().to_owned(),
        groups: groups.iter().map(ToString::to_string).collect(),
        capabilities: capabilities.collect(),
    })))
}

/// `GET /v1/entitlements`
pub(crate) async fn entitlements(
    State(app): State<Shared>,
    caller: Caller,
    uri: Uri,
) -> Result<Json<Value>, Refusal> {
    let params = Params::read(&uri, &["resource", "role", "query", "pageSize", "pageToken"])?;
    let filter = Filter {
        resource: params.parsed("resource", Resource::parse)?,
        role: params.parsed("role", Role::parse)?,
        query: params.get("query").map(str::to_lowercase),
    };
    let index = app.index.index().await?;
    let (offers, next_page_token) =
        params.page(filter.of(&index, &caller, &groups(&app, &caller).await?))?;
    let active = active_requests(&app, &caller).await?;
    let reply = v1::ListEntitlementsReply { entitlements: Vec::new(), next_page_token };
    let mut reply = json::to_json(&reply);
    let shown = offers.iter().map(|offer| entitlement_json(offer, &active, app.settings()));
    reply["entitlements"] = shown.collect();
    Ok(Json(reply))
}

/// `GET /v1/resources`
pub(crate) async fn resources(
    State(app): State<Shared>,
    caller: Caller,
    uri: Uri,
) -> Result<Json<Value>, Refusal> {
    let params = Params::read(&uri, &["query", "pageSize", "pageToken"])?;
    let index = app.index.index().await?;
    let offers = Filter::default().of(&index, &caller, &groups(&app, &caller).await?);
    let mut projects: Vec<&ProjectInfo> = offers.into_iter().map(|offer| offer.project).collect();
    projects.dedup_by(|a, b| a.resource == b.resource);
    let query = params.get("query").map(str::to_lowercase);
    projects.retain(|project| query.as_ref().is_none_or(|query| names_project(project, query)));
    let (projects, next_page_token) = params.page(projects)?;
    let resources = projects.into_iter().map(|project| v1::ResourceInfo {
        name: project.resource.to_string(),
        display_name: project.display_name.clone(),
        parent: project.parent.as_ref().map(ToString::to_string),
    });
    Ok(Json(json::to_json(&v1::ListResourcesReply {
        resources: resources.collect(),
        next_page_token,
    })))
}

/// Which of a person's offers to show.
#[derive(Default)]
pub(crate) struct Filter {
    pub(crate) resource: Option<Resource>,
    pub(crate) role: Option<Role>,
    /// In lower case.
    pub(crate) query: Option<String>,
}

impl Filter {
    pub(crate) fn of<'a>(
        &self,
        index: &'a Index,
        caller: &Caller,
        groups: &BTreeSet<Email>,
    ) -> Vec<Offer<'a>> {
        let mut offers = index.offers(&caller.person.email, groups);
        offers.retain(|offer| self.holds(offer));
        offers
    }

    fn holds(&self, offer: &Offer<'_>) -> bool {
        let names = |query: &String| {
            names_project(offer.project, query)
                || offer.binding.role.as_str().to_lowercase().contains(query)
        };
        self.resource.as_ref().is_none_or(|resource| *resource == offer.project.resource)
            && self.role.as_ref().is_none_or(|role| *role == offer.binding.role)
            && self.query.as_ref().is_none_or(names)
    }
}

fn names_project(project: &ProjectInfo, query: &str) -> bool {
    project.display_name.to_lowercase().contains(query)
        || project.resource.to_string().contains(query)
}

pub(crate) async fn groups(app: &App, caller: &Caller) -> Result<BTreeSet<Email>, Refusal> {
    app.intake
        .directory
        .groups_of(&caller.person.email)
        .await
        .map_err(|error| Refusal::look_up(&error))
}

/// What a request for an offer is recognised by.
pub(crate) type OfferKey = (Resource, Role, String);

/// The caller's newest requests that are not over, by what they ask for.
pub(crate) async fn active_requests(
    app: &App,
    caller: &Caller,
) -> Result<BTreeMap<OfferKey, String>, Refusal> {
    let query = ListQuery {
        requester: Some(caller.subject().into()),
        page_size: COUNTED_MAX,
        ..ListQuery::default()
    };
    let page = app.intake.store.list(&query).await.map_err(|error| Refusal::store(&error))?;
    let now = app.now();
    let mut active = BTreeMap::new();
    for stored in page.requests.into_iter().filter(|stored| !view::is_over(stored, now)) {
        let seen = Seen::new(app, stored);
        let Some(filed) = seen.spec() else { continue };
        for role in &filed.spec.roles {
            let key =
                (filed.spec.resource.clone(), role.role.clone(), role.resource_condition.clone());
            active.entry(key).or_insert_with(|| seen.id().to_string());
        }
    }
    Ok(active)
}

pub(crate) fn key(offer: &Offer<'_>) -> OfferKey {
    (offer.project.resource.clone(), offer.binding.role.clone(), offer.condition.to_owned())
}

fn entitlement_json(
    offer: &Offer<'_>,
    active: &BTreeMap<OfferKey, String>,
    settings: &Settings,
) -> Value {
    let mut wire = v1::Entitlement {
        name: offer.binding.name.clone(),
        resource: offer.project.resource.to_string(),
        role: offer.binding.role.to_string(),
        resource_condition: offer.condition.to_owned(),
        default_duration: Some(convert::duration_to_wire(settings.default_duration())),
        max_duration: Some(convert::duration_to_wire(settings.rules.duration_max)),
        justification: Some(v1::JustificationRule {
            required: true,
            pattern: String::new(),
            hint: settings.justification_hint.clone(),
        }),
        active_request: active.get(&key(offer)).map(|id| format!("requests/{id}")),
        ..v1::Entitlement::default()
    };
    wire.set_approval(match activation_of(offer.binding, &settings.rules) {
        Activation::SelfApproval => v1::entitlement::Approval::Self_,
        Activation::PeerApproval => v1::entitlement::Approval::Peer,
    });
    json::to_json(&wire)
}
