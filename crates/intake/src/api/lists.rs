//! Who the caller is, and what they may ask for.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use curfew_core::condition::Activation;
use curfew_core::eligible::PriorActivation;
use curfew_core::index::{self, Offer, OfferKey, Search};
use curfew_core::principal::{Email, Member};
use curfew_core::resource::Resource;
use curfew_core::role::Role;
use curfew_ports::ListQuery;
use curfew_proto::{convert, json, v1};
use serde_json::Value;

use crate::auth::Caller;
use crate::errors::Refusal;
use crate::limits::COUNTED_MAX;
use crate::offers::Lists;
use crate::page_token::List;
use crate::params::Params;
use crate::settings::Settings;
use crate::view::{self, Seen};
use crate::{App, Shared, standing, warnings};

/// `GET /v1/me`
pub(crate) async fn me(
    State(app): State<Shared>,
    caller: Caller,
    uri: Uri,
) -> Result<Json<Value>, Refusal> {
    Params::read(&uri, &[])?;
    let groups = groups(&app, &caller).await?;
    let members = index::members_of(&caller.principal(), &groups);
    let may_approve =
        app.lists.read(&caller.person.email, |lists| lists.may_approve(&members)).await?;
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
    let asked = Asked::read(&params)?;
    let active = active_requests(&app, &caller).await?;
    let (who, now) = (caller.principal(), app.now());
    let show = |lists: &Lists<'_>, offer: &Offer<'_>| v1::Entitlement {
        activated_elsewhere: lists.prior(&who, &offer.key(), now).map(prior_to_wire),
        ..entitlement_to_wire(lists, offer, &active, app.settings())
    };
    let found = page(&app, &caller, &params, &asked, show).await?;
    Ok(Json(json::to_json(&v1::ListEntitlementsReply {
        entitlements: found.items,
        next_page_token: found.next,
        as_of: found.as_of.map(convert::time_to_wire),
    })))
}

/// `GET /v1/resources`
pub(crate) async fn resources(
    State(app): State<Shared>,
    caller: Caller,
    uri: Uri,
) -> Result<Json<Value>, Refusal> {
    let params = Params::read(&uri, &["query", "pageSize", "pageToken"])?;
    let query = params.get("query").map(str::to_lowercase);
    let list = List { name: "resources", search: &[query.as_deref()] };
    let (size, after) = params.page_of::<Resource>(list)?;
    let members = members(&app, &caller).await?;
    let reply = app.lists.read(&caller.person.email, |lists| {
        let page = lists.offered_on(&members, query.as_deref(), after.as_ref(), size);
        let end = page.items.last().filter(|_| page.has_more);
        v1::ListResourcesReply {
            next_page_token: end.map(|node| list.token(node.resource())),
            resources: page.items.iter().map(|node| resource_to_wire(node)).collect(),
        }
    });
    Ok(Json(json::to_json(&reply.await?)))
}

/// What a list of entitlements is narrowed to.
#[derive(Default)]
pub(crate) struct Asked {
    pub(crate) resource: Option<Resource>,
    pub(crate) role: Option<Role>,
    /// In lower case.
    pub(crate) query: Option<String>,
}

impl Asked {
    pub(crate) fn read(params: &Params) -> Result<Self, Refusal> {
        Ok(Self {
            resource: params.parsed("resource", Resource::parse)?,
            role: params.parsed("role", Role::parse)?,
            query: params.get("query").map(str::to_lowercase),
        })
    }

    fn search(&self) -> Search<'_> {
        Search {
            resource: self.resource.as_ref(),
            role: self.role.as_ref(),
            text: self.query.as_deref(),
        }
    }
}

/// Part of a list of entitlements, ready to be shown.
pub(crate) struct Found<T> {
    pub(crate) items: Vec<T>,
    pub(crate) next: Option<String>,
    pub(crate) as_of: Option<chrono::DateTime<chrono::Utc>>,
}

/// The page of the caller's entitlements that `params` name, each as `show` has it.
pub(crate) async fn page<T>(
    app: &App,
    caller: &Caller,
    params: &Params,
    asked: &Asked,
    show: impl Fn(&Lists<'_>, &Offer<'_>) -> T,
) -> Result<Found<T>, Refusal> {
    let (resource, role) =
        (asked.resource.as_ref().map(ToString::to_string), asked.role.as_ref().map(Role::as_str));
    let search = [resource.as_deref(), role, asked.query.as_deref()];
    let list = List { name: "entitlements", search: &search };
    let (size, after) = params.page_of::<OfferKey>(list)?;
    let members = members(app, caller).await?;
    let look = |lists: &Lists<'_>| {
        let page = lists.offers(&members, asked.search(), after.as_ref(), size);
        let end = page.items.last().filter(|_| page.has_more);
        Found {
            next: end.map(|offer| list.token(&offer.key())),
            items: page.items.iter().map(|offer| show(lists, offer)).collect(),
            as_of: lists.as_of(),
        }
    };
    match &asked.resource {
        Some(resource) => app.lists.read_on(&caller.person.email, resource, look).await,
        None => app.lists.read(&caller.person.email, look).await,
    }
}

async fn groups(app: &App, caller: &Caller) -> Result<BTreeSet<Email>, Refusal> {
    // A service account counts only where it is named.
    if caller.person.email.is_service_account() {
        return Ok(BTreeSet::new());
    }
    let groups = app.intake.directory.groups_of(&caller.person.email).await;
    groups.map_err(|error| Refusal::look_up(&error))
}

/// The members of policies that the caller is, or is among.
pub(crate) async fn members(app: &App, caller: &Caller) -> Result<BTreeSet<Member>, Refusal> {
    Ok(index::members_of(&caller.principal(), &groups(app, caller).await?))
}

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
            let key = OfferKey {
                resource: filed.spec.resource.clone(),
                role: role.role.clone(),
                condition: role.resource_condition.clone(),
            };
            active.entry(key).or_insert_with(|| seen.id().to_string());
        }
    }
    Ok(active)
}

fn entitlement_to_wire(
    lists: &Lists<'_>,
    offer: &Offer<'_>,
    active: &BTreeMap<OfferKey, String>,
    settings: &Settings,
) -> v1::Entitlement {
    let pattern = settings.justification_pattern.as_ref().map(ToString::to_string);
    let mut wire = v1::Entitlement {
        name: offer.by.name().to_owned(),
        resource: offer.node.resource().to_string(),
        role: offer.by.role().to_string(),
        resource_condition: offer.by.condition().to_owned(),
        default_duration: Some(convert::duration_to_wire(settings.default_duration())),
        max_duration: Some(convert::duration_to_wire(settings.rules.duration_max)),
        justification: Some(v1::JustificationRule {
            required: true,
            pattern: pattern.unwrap_or_default(),
            hint: settings.justification_hint.clone(),
        }),
        active_request: active.get(&offer.key()).map(|id| format!("requests/{id}")),
        warnings: warnings::of_role(offer.by.role(), lists.is_dangerous(offer.by.role())),
        ..v1::Entitlement::default()
    };
    wire.set_approval(approval_to_wire(offer.activation));
    wire
}

fn prior_to_wire((node, prior): (&Resource, &PriorActivation)) -> v1::PriorActivation {
    v1::PriorActivation {
        until: Some(convert::time_to_wire(prior.activation.ends_at)),
        resource: node.to_string(),
    }
}

pub(crate) fn approval_to_wire(activation: Activation) -> v1::entitlement::Approval {
    match activation {
        Activation::SelfApproval => v1::entitlement::Approval::Self_,
        Activation::PeerApproval => v1::entitlement::Approval::Peer,
    }
}

fn resource_to_wire(node: &index::Node) -> v1::ResourceInfo {
    v1::ResourceInfo {
        name: node.resource().to_string(),
        display_name: node.display_name().to_owned(),
        parent: node.line().first().map(ToString::to_string),
    }
}
