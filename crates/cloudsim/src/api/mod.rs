//! Google's REST surface: authentication, faults, latency and the way to each method.

pub(crate) mod asset;
pub(crate) mod directory;
pub(crate) mod groups;
pub(crate) mod iam_roles;
pub(crate) mod kms;
pub(crate) mod needs;
pub(crate) mod paging;
pub(crate) mod policies;
pub(crate) mod pubsub;
pub(crate) mod resource_manager;
pub(crate) mod route;
pub(crate) mod scopes;
pub(crate) mod secrets;
pub(crate) mod service;
pub(crate) mod service_accounts;
pub(crate) mod session;
pub(crate) mod wire;

use std::time::Duration;

use axum::extract::{Query as Pairs, Request};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Json, body};
use serde_json::Value;

use crate::api::policies::Write;
use crate::api::route::{Call, NodeRef, Query, Wire};
use crate::api::session::Session;
use crate::cloud::Cloud;
use crate::error::ApiError;
use crate::faults::{Fault, FaultKind};
use crate::quota::Metric;
use crate::serve::ReplyLost;
use crate::world::{Change, Node, Record, World};

/// Largest request body: what Pub/Sub takes in one request, 10 MB, in base64.
const BODY_BYTES_MAX: usize = 14 * 1024 * 1024;

/// A call with what its headers said.
#[derive(Debug, Clone)]
struct Incoming {
    call: Call,
    token: Option<String>,
    reason: Option<String>,
}

/// Ways of handling a call that only faults ask for.
#[derive(Debug, Clone, Copy, Default)]
struct Mode {
    stale: bool,
    reuse_etag: bool,
}

/// Answers any request of one of Google's APIs.
pub(crate) async fn google(cloud: Cloud, request: Request) -> Response {
    match receive(request).await {
        Ok(incoming) => answer(cloud, incoming).await,
        Err(error) => error.into_response(),
    }
}

/// The name as the world knows it, so that `projects/NUMBER` meets the faults of `projects/ID` and
/// `groups/ADDRESS` those of `groups/ID`.
pub(crate) fn canonical_resource(cloud: &Cloud, name: &str) -> String {
    let world = cloud.world();
    let node = NodeRef::of_name(name).and_then(|node| world.node(node.kind, &node.id));
    let group = name.strip_prefix("groups/").and_then(|email| world.groups.get(email));
    node.map(Node::name)
        .or_else(|| group.map(|group| format!("groups/{}", group.id)))
        .or_else(|| service::canonical_name(&world, name))
        .unwrap_or_else(|| name.to_owned())
}

async fn receive(request: Request) -> Result<Incoming, ApiError> {
    let (parts, body) = request.into_parts();
    let body = body::to_bytes(body, BODY_BYTES_MAX)
        .await
        .map_err(|_| ApiError::too_large(BODY_BYTES_MAX))?;
    let path = parts.uri.path();
    let wire = Wire {
        method: &parts.method,
        path: path.strip_prefix('/').unwrap_or(path),
        query: query_of(&parts.uri)?,
        body: &body,
    };
    let call = Call::read(&wire)?;
    let text = |name: &str| {
        parts.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
    };
    Ok(Incoming { call, token: bearer(&parts.headers), reason: text("x-goog-request-reason") })
}

fn query_of(uri: &Uri) -> Result<Query, ApiError> {
    Pairs::<Vec<(String, String)>>::try_from_uri(uri)
        .map(|Pairs(pairs)| Query::new(uri.path(), pairs))
        .map_err(|_| ApiError::invalid("The query string cannot be read."))
}

fn bearer(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
}

async fn answer(cloud: Cloud, incoming: Incoming) -> Response {
    let resource = incoming.call.resource().map(|name| canonical_resource(&cloud, &name));
    match cloud.faults().take(incoming.call.method(), resource.as_deref()) {
        None => respond(handle(cloud, incoming, Mode::default()).await),
        Some(fault) => answer_with_fault(cloud, incoming, &fault).await,
    }
}

async fn answer_with_fault(cloud: Cloud, incoming: Incoming, fault: &Fault) -> Response {
    match fault.kind {
        FaultKind::Latency => {
            wait(fault.delay()).await;
            respond(handle(cloud, incoming, Mode::default()).await)
        }
        FaultKind::Error => {
            wait(fault.delay()).await;
            ApiError::injected(fault.status.unwrap_or(503)).into_response()
        }
        FaultKind::ReplyLost => {
            let answered = handle(cloud, incoming, Mode::default()).await;
            tracing::debug!(is_ok = answered.is_ok(), "reply lost by an injected fault");
            wait(fault.delay()).await;
            fault.status.map_or_else(ReplyLost::response, |status| {
                ApiError::injected(status).into_response()
            })
        }
        FaultKind::AppliedLate => {
            let delay = fault.delay();
            tokio::spawn(async move {
                wait(delay).await;
                let answered = handle(cloud, incoming, Mode::default()).await;
                tracing::debug!(is_ok = answered.is_ok(), "call applied late by an injected fault");
            });
            ApiError::injected(fault.status.unwrap_or(504)).into_response()
        }
        FaultKind::StaleRead => {
            respond(handle(cloud, incoming, Mode { stale: true, ..Mode::default() }).await)
        }
        FaultKind::EtagReused => {
            respond(handle(cloud, incoming, Mode { reuse_etag: true, ..Mode::default() }).await)
        }
    }
}

fn respond(answered: Result<Value, ApiError>) -> Response {
    match answered {
        Ok(body) => Json(body).into_response(),
        Err(error) => error.into_response(),
    }
}

async fn handle(cloud: Cloud, incoming: Incoming, mode: Mode) -> Result<Value, ApiError> {
    // Half of the time passes on the way there, half on the way back.
    let way = cloud.latencies().draw(incoming.call.api(), incoming.call.method()) / 2;
    wait(way).await;
    // Evaluating policies takes time and storing them waits for the disk: neither may hold up the
    // threads that serve connections.
    let executed = tokio::task::spawn_blocking(move || execute(&cloud, &incoming, mode)).await;
    wait(way).await;
    executed.unwrap_or_else(|error| {
        tracing::error!(%error, "a call of the simulated cloud did not finish");
        Err(ApiError::internal())
    })
}

/// Not even a timer's granularity of one millisecond is lost where there is nothing to wait for.
async fn wait(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}

fn execute(cloud: &Cloud, incoming: &Incoming, mode: Mode) -> Result<Value, ApiError> {
    let perform = |world: &World| perform(cloud, world, incoming, mode);
    if incoming.call.writes() {
        return cloud.change(perform).map_err(|error| not_stored(&error))?;
    }
    let (answer, uses) = perform(&cloud.world());
    if !uses.is_empty() {
        cloud.change(|_| ((), uses)).map_err(|error| not_stored(&error))?;
    }
    answer
}

/// The answer, and what the call changes: a policy and the log, permissions used for the first time.
fn perform(
    cloud: &Cloud,
    world: &World,
    incoming: &Incoming,
    mode: Mode,
) -> (Result<Value, ApiError>, Vec<Change>) {
    let opened = Session::open(world, incoming.token.as_deref(), cloud.now());
    let admitted =
        opened.and_then(|session| admit(cloud, &session, &incoming.call).map(|()| session));
    match admitted {
        Err(error) => (Err(error), Vec::new()),
        Ok(session) => {
            let (answer, mut changes) = dispatch(&session, incoming, mode);
            let uses = session.into_uses();
            cloud.usage().add(&uses);
            let new = uses.into_keys().filter(|used| !world.uses.contains(used));
            changes.extend(new.map(|used| Change::Put(Record::Use(used))));
            (answer, changes)
        }
    }
}

fn dispatch(
    session: &Session<'_>,
    incoming: &Incoming,
    mode: Mode,
) -> (Result<Value, ApiError>, Vec<Change>) {
    let answer = match &incoming.call {
        Call::SetPolicy { node, policy, update_mask } => {
            let write = Write {
                node,
                policy,
                update_mask: update_mask.as_deref(),
                reason: incoming.reason.as_deref(),
                reuse_etag: mode.reuse_etag,
            };
            return policies::set(session, &write);
        }
        Call::Roles(call) => return iam_roles::answer(session, call),
        Call::Service(call) => return call.answer(session),
        Call::GetNode { node, version } => resource_manager::get(session, node, *version),
        Call::GetAncestry { node } => resource_manager::ancestry(session, node),
        Call::SearchNodes { kind, version, query, page } => {
            resource_manager::search(session, *kind, *version, query, page)
        }
        Call::ListNodes { kind, version, parent, page } => {
            resource_manager::list(session, *kind, *version, parent, page)
        }
        Call::GetPolicy { node, requested_version } => {
            policies::get(session, node, *requested_version, mode.stale)
        }
        Call::TestPermissions { node, permissions } => policies::test(session, node, permissions),
        Call::Asset(call) => asset::answer(session, call, mode.stale),
        Call::Groups(call) => groups::answer(session, call),
        Call::Directory(call) => directory::answer(session, call),
        Call::ServiceAccounts(call) => service_accounts::answer(session, call),
    };
    (answer, Vec::new())
}

/// Whether the token is for such calls, and the caller's project has enabled the API and has quota left.
fn admit(cloud: &Cloud, session: &Session<'_>, call: &Call) -> Result<(), ApiError> {
    scopes::check(session, call)?;
    let Some(metric) = Metric::of(call.api(), call.method()) else {
        return Ok(());
    };
    if session.world.settings.disabled_apis.contains(metric.service()) {
        return Err(ApiError::service_disabled(metric.service(), &session.consumer_name()));
    }
    let settings = &session.world.settings.quotas;
    // "Queries per minute per user per Google Cloud project" is the Directory's.
    let payer = if metric == Metric::Directory { session.caller } else { session.consumer() };
    cloud.quotas().spend(settings, payer, metric, session.now).map_err(|exceeded| {
        ApiError::quota(&exceeded, &session.consumer_name(), settings.retry_after)
    })
}

/// The cause goes to the log; callers learn no internals.
pub(crate) fn not_stored(error: &crate::store::StoreError) -> ApiError {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    tracing::error!(%error, cause, "the simulated cloud could not store a change");
    ApiError::internal()
}
