//! Who could approve.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::Uri;
use curfew_core::condition::Activation;
use curfew_core::principal::{Email, Member, Principal};
use curfew_core::resource::Resource;
use curfew_core::role::Role;
use curfew_proto::{json, v1};
use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use serde_json::Value;

use super::lists;
use super::unknown_route;
use crate::auth::Caller;
use crate::errors::Refusal;
use crate::offers::Lists;
use crate::page_token::List;
use crate::params::Params;
use crate::{App, Shared};

/// Groups that are read at the same time.
const GROUPS_AT_ONCE: usize = 4;

/// `GET /v1/entitlements/{name}:approvers`; the router cannot split a segment, so it is done here.
pub(crate) async fn approvers(
    State(app): State<Shared>,
    caller: Caller,
    Path(target): Path<String>,
    uri: Uri,
) -> Result<Json<Value>, Refusal> {
    let Some((name, "approvers")) = target.split_once(':') else {
        return Err(unknown_route(uri).await);
    };
    let params = Params::read(&uri, &["resource", "role", "query", "pageSize", "pageToken"])?;
    let resource = params.parsed("resource", Resource::parse)?;
    let role = params.parsed("role", Role::parse)?;
    let query = params.get("query").map(str::to_lowercase);
    let list = List { name: "approvers", search: &[Some(name), query.as_deref()] };
    let (size, after) = params.page_of::<Email>(list)?;
    let found = of_entitlement(&app, &caller, name, resource.as_ref(), role.as_ref()).await?;
    let mut people: Vec<Email> = found
        .people
        .into_iter()
        .filter(|email| after.as_ref().is_none_or(|after| email > after))
        .filter(|email| query.as_ref().is_none_or(|query| email.as_str().contains(query.as_str())))
        .take(size.saturating_add(1))
        .collect();
    let has_more = people.len() > size;
    people.truncate(size);
    Ok(Json(json::to_json(&v1::ListApproversReply {
        next_page_token: people.last().filter(|_| has_more).map(|last| list.token(last)),
        approvers: people.iter().map(|email| v1::Approver { email: email.to_string() }).collect(),
        domains: found.domains.into_iter().collect(),
    })))
}

/// Those who could approve what somebody asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Approvers {
    /// People who are named, or are in a group that is.
    pub(crate) people: BTreeSet<Email>,
    /// Everybody of these domains; they cannot be listed.
    pub(crate) domains: BTreeSet<String>,
}

/// Everybody else who holds the same eligibility: same role, condition and node. Nobody where no approval is needed.
///
/// A group that could not be read is an error: whoever is missing could be the one who is looked for.
pub(crate) async fn of_entitlement(
    app: &App,
    caller: &Caller,
    name: &str,
    resource: Option<&Resource>,
    role: Option<&Role>,
) -> Result<Approvers, Refusal> {
    let mine = lists::members(app, caller).await?;
    let look = |lists: &Lists<'_>| named(lists, &mine, name, resource, role);
    let named = match resource {
        Some(resource) => app.lists.read_on(&caller.person.email, resource, look).await?,
        None => app.lists.read(&caller.person.email, look).await?,
    };
    let named = named.ok_or_else(Refusal::no_entitlement)?;
    let mut approvers = Approvers::default();
    let mut groups = Vec::new();
    for member in named {
        match member {
            Member::Account(Principal::User(email)) => {
                approvers.people.insert(email);
            }
            Member::Group(group) => groups.push(group),
            Member::Domain(domain) => {
                approvers.domains.insert(domain);
            }
            Member::Account(Principal::ServiceAccount(_)) | Member::Other => {}
        }
    }
    let directory = &app.intake.directory;
    let ask = |group: Email| async move { directory.members_of(&group).await };
    let read: Vec<BTreeSet<Email>> = stream::iter(groups)
        .map(ask)
        .buffer_unordered(GROUPS_AT_ONCE)
        .try_collect()
        .await
        .map_err(|error| Refusal::look_up(&error))?;
    approvers.people.extend(read.into_iter().flatten());
    approvers.people.retain(|email| *email != caller.person.email && !email.is_service_account());
    Ok(approvers)
}

/// Whom the policy names beside the caller, if the caller holds this eligibility there.
fn named(
    lists: &Lists<'_>,
    mine: &BTreeSet<Member>,
    name: &str,
    resource: Option<&Resource>,
    role: Option<&Role>,
) -> Option<BTreeSet<Member>> {
    let held = lists.held(mine, name).filter(|held| role.is_none_or(|role| role == held.role()))?;
    if resource.is_some_and(|resource| !lists.holds(mine, resource, name)) {
        return None;
    }
    match lists.activation(held) {
        Activation::SelfApproval => Some(BTreeSet::new()),
        Activation::PeerApproval => Some(lists.sharing(held).into_iter().cloned().collect()),
    }
}
