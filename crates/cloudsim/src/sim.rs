//! The simulation's own controls under `/sim/v1/`, open to everybody who reaches the listener:
//! nothing here exists in a real cloud.

use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::access::{CanRequest, attributes_of};
use crate::api::not_stored;
use crate::api::route::NodeRef;
use crate::cloud::Cloud;
use crate::error::ApiError;
use crate::keys;
use crate::principals::{NewPrincipal, Principal, address};
use crate::usage::Report;
use crate::world::{Change, Group, Record, Removed, World};

/// The controls' routes.
pub(crate) fn routes() -> Router<Cloud> {
    Router::new()
        .route("/sim/v1/can", post(can))
        .route("/sim/v1/log", get(log))
        .route("/sim/v1/permissions", get(permissions).delete(forget_permissions))
        .route("/sim/v1/people", get(people))
        .route("/sim/v1/principals/{member}", put(create_principal).delete(delete_principal))
        .route("/sim/v1/groups/{email}/members/{member}", put(add_member).delete(remove_member))
}

async fn can(
    State(cloud): State<Cloud>,
    Json(request): Json<CanRequest>,
) -> Result<Response, ApiError> {
    let at = match &request.at {
        None => cloud.now(),
        Some(text) => text
            .parse()
            .map_err(|_| ApiError::invalid(format!("at is not an RFC 3339 time: {text}")))?,
    };
    let named = NodeRef::of_name(&request.resource);
    let world = cloud.world();
    let node = named.and_then(|named| world.node(named.kind, &named.id));
    let node =
        node.ok_or_else(|| ApiError::not_found(format!("{} does not exist", request.resource)))?;
    Ok(Json(world.can(&request, node, attributes_of(node, at))).into_response())
}

#[derive(Deserialize)]
struct LogQuery {
    /// Number of the last line that the reader has.
    #[serde(default)]
    after: i64,
}

async fn log(
    State(cloud): State<Cloud>,
    Query(query): Query<LogQuery>,
) -> Result<Json<Value>, ApiError> {
    let lines = cloud.log_after(query.after).map_err(|error| not_stored(&error))?;
    Ok(Json(json!({"entries": lines})))
}

/// What each principal used and was refused, see [`Report`].
async fn permissions(State(cloud): State<Cloud>) -> Json<Report> {
    Json(cloud.usage().report(&cloud.world()))
}

/// Starts the record of used permissions anew.
async fn forget_permissions(State(cloud): State<Cloud>) -> Result<StatusCode, ApiError> {
    change(&cloud, |world| {
        Ok(world.uses.iter().cloned().map(|used| Change::Remove(Removed::Use(used))).collect())
    })
    .await?;
    cloud.usage().clear();
    Ok(StatusCode::NO_CONTENT)
}

async fn people(State(cloud): State<Cloud>) -> Json<Value> {
    Json(json!({"people": cloud.people()}))
}

/// Creates a principal under an address that nobody has, with an id that nobody had before.
async fn create_principal(
    State(cloud): State<Cloud>,
    Path(member): Path<String>,
    body: Option<Json<NewPrincipal>>,
) -> Result<Response, ApiError> {
    let principal = Principal::read(&member)?;
    let new = body.map(|Json(new)| new).unwrap_or_default();
    let id = keys::random_account_id().map_err(|_| ApiError::internal())?;
    let created = changed(&cloud, move |world| {
        let (answer, record) = principal.create(world, id, new)?;
        Ok((answer, vec![Change::Put(record)]))
    })
    .await?;
    Ok((StatusCode::CREATED, Json(created)).into_response())
}

async fn delete_principal(
    State(cloud): State<Cloud>,
    Path(member): Path<String>,
) -> Result<StatusCode, ApiError> {
    let principal = Principal::read(&member)?;
    change(&cloud, move |world| principal.delete(world)).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn add_member(
    State(cloud): State<Cloud>,
    Path((group, member)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let member = address(&member)?;
    change_group(&cloud, &group, move |world, group| {
        if !world.knows(&member) {
            return Err(ApiError::not_found(format!("{member} does not exist")));
        }
        group.members.insert(member);
        Ok(())
    })
    .await
}

async fn remove_member(
    State(cloud): State<Cloud>,
    Path((group, member)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let member = address(&member)?;
    change_group(&cloud, &group, move |_, group| {
        let was_member = group.members.remove(&member);
        if was_member {
            Ok(())
        } else {
            Err(ApiError::not_found(format!("{member} is no member of {}", group.email)))
        }
    })
    .await
}

async fn change_group(
    cloud: &Cloud,
    group: &str,
    edit: impl FnOnce(&World, &mut Group) -> Result<(), ApiError> + Send + 'static,
) -> Result<StatusCode, ApiError> {
    let email = address(group)?;
    change(cloud, move |world| {
        let mut group = world
            .groups
            .get(&email)
            .cloned()
            .ok_or_else(|| ApiError::not_found(format!("{email} does not exist")))?;
        edit(world, &mut group)?;
        Ok(vec![Change::Put(Record::Group(group))])
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn change(
    cloud: &Cloud,
    compute: impl FnOnce(&World) -> Result<Vec<Change>, ApiError> + Send + 'static,
) -> Result<(), ApiError> {
    changed(cloud, |world| compute(world).map(|changes| ((), changes))).await
}

/// Stores and applies changes off the threads that serve connections, and answers what is computed
/// beside them.
async fn changed<T: Send + 'static>(
    cloud: &Cloud,
    compute: impl FnOnce(&World) -> Result<(T, Vec<Change>), ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    let cloud = cloud.clone();
    let stored = tokio::task::spawn_blocking(move || {
        cloud.change(|world| match compute(world) {
            Ok((answer, changes)) => (Ok(answer), changes),
            Err(error) => (Err(error), Vec::new()),
        })
    });
    stored.await.map_err(|_| ApiError::internal())?.map_err(|error| not_stored(&error))?
}
