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
use crate::api::route::NodeRef;
use crate::api::{canonical_resource, not_stored};
use crate::cloud::Cloud;
use crate::error::ApiError;
use crate::faults::Fault;
use crate::keys;
use crate::policy::StoredPolicy;
use crate::world::{Change, Group, Person, Record, World};

/// The controls' routes.
pub(crate) fn routes() -> Router<Cloud> {
    Router::new()
        .route("/sim/v1/faults", get(list_faults).put(replace_faults))
        .route("/sim/v1/can", post(can))
        .route("/sim/v1/log", get(log))
        .route("/sim/v1/permissions", get(permissions))
        .route("/sim/v1/people", get(people))
        .route("/sim/v1/people/{email}", put(create_person).delete(delete_person))
        .route("/sim/v1/groups/{email}/members/{member}", put(add_member).delete(remove_member))
}

async fn list_faults(State(cloud): State<Cloud>) -> Json<Vec<Fault>> {
    Json(cloud.faults().armed())
}

async fn replace_faults(
    State(cloud): State<Cloud>,
    Json(faults): Json<Vec<Fault>>,
) -> Result<Json<Vec<Fault>>, ApiError> {
    let canonical = |fault: Fault| Fault {
        resource: fault.resource.as_deref().map(|name| canonical_resource(&cloud, name)),
        ..fault
    };
    let faults = faults.into_iter().map(canonical).collect();
    cloud.faults().replace(faults).map_err(ApiError::invalid)?;
    Ok(Json(cloud.faults().armed()))
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

async fn permissions(State(cloud): State<Cloud>) -> Json<Value> {
    Json(json!({"permissions": cloud.world().uses}))
}

async fn people(State(cloud): State<Cloud>) -> Json<Value> {
    Json(json!({"people": cloud.people()}))
}

/// What a new person may bring; an id is drawn for those who bring none.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewPerson {
    #[serde(default)]
    name: String,
    #[serde(default)]
    groups_reader: bool,
}

/// Creates a person under an address that nobody has; an address that was used before gets a new id.
async fn create_person(
    State(cloud): State<Cloud>,
    Path(email): Path<String>,
    body: Option<Json<NewPerson>>,
) -> Result<Response, ApiError> {
    let email = address(&email)?;
    let new = body.map(|Json(new)| new).unwrap_or_default();
    let id = keys::random_account_id().map_err(|_| ApiError::internal())?;
    let person = Person {
        email: email.clone(),
        name: new.name,
        id,
        note: String::new(),
        groups_reader: new.groups_reader,
    };
    let answer = Json(json!(person));
    change(&cloud, move |world| {
        if world.knows(&email) {
            return Err(ApiError::exists(format!("{email} exists already")));
        }
        Ok(vec![Change::Put(Record::Person(person))])
    })
    .await?;
    Ok((StatusCode::CREATED, answer).into_response())
}

/// Deletes a person as Google does: out of all groups, their tokens void, and named in policies as
/// `deleted:user:ADDRESS?uid=ID` from then on, with no new etag.
async fn delete_person(
    State(cloud): State<Cloud>,
    Path(email): Path<String>,
) -> Result<StatusCode, ApiError> {
    let email = address(&email)?;
    change(&cloud, move |world| {
        let person = world
            .people
            .get(&email)
            .ok_or_else(|| ApiError::not_found(format!("{email} does not exist")))?;
        Ok(changes_of_leaving(world, person))
    })
    .await?;
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
    let cloud = cloud.clone();
    let stored = tokio::task::spawn_blocking(move || {
        cloud.change(|world| match compute(world) {
            Ok(changes) => (Ok(()), changes),
            Err(error) => (Err(error), Vec::new()),
        })
    });
    stored.await.map_err(|_| ApiError::internal())?.map_err(|error| not_stored(&error))?
}

fn changes_of_leaving(world: &World, person: &Person) -> Vec<Change> {
    let member = format!("user:{}", person.email);
    let deleted = format!("deleted:{member}?uid={}", person.id);
    let mut changes = vec![
        Change::DeletePerson(person.email.clone()),
        Change::Put(Record::Tombstone(deleted.clone())),
    ];
    let tokens = world.tokens.values().filter(|token| token.account == person.email);
    changes.extend(tokens.map(|token| Change::DeleteToken(token.secret.clone())));
    for group in world.groups.values().filter(|group| group.members.contains(&person.email)) {
        let mut group = group.clone();
        group.members.remove(&person.email);
        changes.push(Change::Put(Record::Group(group)));
    }
    let policies = world.policies.values().filter_map(|policy| renamed(policy, &member, &deleted));
    changes.extend(policies.map(|policy| Change::Put(Record::Policy(policy))));
    changes
}

/// The policy with one member renamed; `None` where it does not occur. Google keeps accounts by
/// id and prints the name on reading, so the etag does not change.
fn renamed(policy: &StoredPolicy, from: &str, to: &str) -> Option<StoredPolicy> {
    let mut policy = policy.clone();
    let mut changed = false;
    let previous = policy.previous.as_mut().into_iter();
    for revision in previous.chain([&mut policy.current]) {
        let members = revision.policy.bindings.iter_mut().flat_map(|binding| &mut binding.members);
        for member in members.filter(|member| *member == from) {
            to.clone_into(member);
            changed = true;
        }
        revision.policy.normalise_bindings();
    }
    changed.then_some(policy)
}

/// An address in lower case.
fn address(text: &str) -> Result<String, ApiError> {
    let is_address = text.split_once('@').is_some_and(|(name, domain)| {
        let is_plain = |part: &str| {
            !part.is_empty()
                && part.chars().all(|c| c.is_ascii_alphanumeric() || ".-_+".contains(c))
        };
        is_plain(name) && is_plain(domain)
    });
    if is_address {
        Ok(text.to_ascii_lowercase())
    } else {
        Err(ApiError::invalid(format!("{text} is not an address")))
    }
}
