//! Writes of custom roles, and what they may contain.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::Value;

use crate::api::iam_roles::{RoleName, no_such_role, owns_roles, shape};
use crate::api::needs;
use crate::api::policies::check_etag;
use crate::api::route::NodeRef;
use crate::api::session::Session;
use crate::error::ApiError;
use crate::policy::etag_of;
use crate::world::{Change, Node, NodeKind, Record, Role, Stage, World};

/// "It must contain a minimum of 3 characters and a maximum of 64 characters", `CreateRoleRequest`.
const ID_LENGTH: std::ops::RangeInclusive<usize> = 3..=64;

/// "Typically this is limited to 100 UTF-8 bytes", `Role.title`.
const TITLE_BYTES_MAX: usize = 100;

/// "Permissions in a custom role", <https://cloud.google.com/iam/quotas>, as the next two.
const PERMISSIONS_MAX: usize = 3_000;

/// Title, description and permission names of a custom role.
const BYTES_MAX: usize = 64 * 1024;

/// Custom roles of one project or organisation; deleted ones count.
const ROLES_MAX: usize = 300;

/// "You have 7 days to undelete the custom role."
const UNDELETE_WINDOW: TimeDelta = TimeDelta::days(7);

/// Permissions that a role of a project cannot have,
/// <https://cloud.google.com/iam/docs/creating-custom-roles>.
const NOT_FOR_PROJECTS: [&str; 3] =
    ["resourcemanager.organizations.", "resourcemanager.folders.", "resourcemanager.projects.list"];

/// A role as a caller sends it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Draft {
    #[serde(default)]
    name: String,
    #[serde(default)]
    title: Option<String>,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    stage: Option<Stage>,
    #[serde(default)]
    included_permissions: Option<Vec<String>>,
    #[serde(default)]
    etag: Option<String>,
    /// Output only.
    #[serde(default, rename = "deleted")]
    _deleted: bool,
}

/// The answer to a write and its change.
pub(super) fn written(role: Result<Role, ApiError>) -> (Result<Value, ApiError>, Vec<Change>) {
    match role {
        Ok(role) => (Ok(shape(&role, true)), vec![Change::Put(Record::Role(role))]),
        Err(error) => (Err(error), Vec::new()),
    }
}

pub(super) fn create(
    session: &Session<'_>,
    parent: &NodeRef,
    id: &str,
    draft: &Draft,
) -> Result<Role, ApiError> {
    let owner = session.require_all(parent, needs::CREATE_ROLE)?;
    let name = format!("{}/roles/{id}", owner.name());
    let is_id = ID_LENGTH.contains(&id.len())
        && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.');
    if !is_id || !owns_roles(owner.kind) {
        return Err(ApiError::invalid(format!(
            "The role_id {id} is invalid. It may contain alphanumeric characters, underscores and periods, 3 to 64 of them."
        )));
    }
    if !draft.name.is_empty() {
        return Err(ApiError::invalid("The role name must be empty when a role is created."));
    }
    match session.world.custom_roles.get(&name) {
        Some(role) if is_gone(role, session.now) => {}
        Some(role) if role.deleted_at.is_some() => {
            return Err(ApiError::failed_precondition(format!(
                "You can't create a role_id ({id}) which has been marked for deletion."
            )));
        }
        Some(_) => {
            return Err(ApiError::exists(format!(
                "A role named {id} in {} already exists.",
                owner.name()
            )));
        }
        None => check_room(session, owner)?,
    }
    let mut role = Role { name, stage: Stage::Alpha, revision: 1, ..Role::default() };
    role.title = draft.title.clone().unwrap_or_default();
    role.description = draft.description.clone().unwrap_or_default();
    role.stage = draft.stage.unwrap_or(role.stage);
    role.permissions = draft.included_permissions.iter().flatten().cloned().collect();
    check_content(session.world, owner.kind, &role)?;
    Ok(role)
}

/// Changes the fields of the mask; without one, the fields that are sent.
pub(super) fn patch(
    session: &Session<'_>,
    name: &RoleName,
    draft: &Draft,
    update_mask: Option<&str>,
) -> Result<Role, ApiError> {
    let owner = session.require_all(&name.owner, needs::PATCH_ROLE)?;
    let mut role = existing(session, owner, name)?.clone();
    if role.deleted_at.is_some() {
        return Err(ApiError::failed_precondition(format!(
            "You can't update role_id ({}) which has been marked for deletion.",
            name.id
        )));
    }
    check_etag(draft.etag.as_deref(), &etag_of(role.revision))?;
    match update_mask {
        None => take_sent(&mut role, draft),
        Some(mask) => {
            for field in mask.split(',').map(str::trim) {
                take(&mut role, draft, field)?;
            }
        }
    }
    check_content(session.world, owner.kind, &role)?;
    role.revision += 1;
    Ok(role)
}

pub(super) fn delete(
    session: &Session<'_>,
    name: &RoleName,
    etag: Option<&str>,
) -> Result<Role, ApiError> {
    let owner = session.require_all(&name.owner, needs::DELETE_ROLE)?;
    let mut role = existing(session, owner, name)?.clone();
    if role.deleted_at.is_some() {
        return Err(ApiError::failed_precondition(format!(
            "You can't delete role_id ({}) because it is already in a deleted state.",
            name.id
        )));
    }
    check_etag(etag, &etag_of(role.revision))?;
    role.deleted_at = Some(session.now);
    role.revision += 1;
    Ok(role)
}

pub(super) fn undelete(
    session: &Session<'_>,
    name: &RoleName,
    etag: Option<&str>,
) -> Result<Role, ApiError> {
    let owner = session.require_all(&name.owner, needs::UNDELETE_ROLE)?;
    let mut role = existing(session, owner, name)?.clone();
    if role.deleted_at.is_none() {
        return Err(ApiError::failed_precondition(format!(
            "You can't undelete role_id ({}) because it is not in a deleted state.",
            name.id
        )));
    }
    check_etag(etag, &etag_of(role.revision))?;
    role.deleted_at = None;
    role.revision += 1;
    Ok(role)
}

/// The custom role, deleted or not, that is not gone for good.
pub(super) fn existing<'world>(
    session: &Session<'world>,
    owner: &Node,
    name: &RoleName,
) -> Result<&'world Role, ApiError> {
    let full = format!("{}/roles/{}", owner.name(), name.id);
    let role = session.world.custom_roles.get(&full);
    role.filter(|role| !is_gone(role, session.now)).ok_or_else(|| no_such_role(&full))
}

/// Whether the role was deleted so long ago that it cannot come back.
pub(super) fn is_gone(role: &Role, now: DateTime<Utc>) -> bool {
    role.deleted_at.is_some_and(|deleted_at| now >= deleted_at + UNDELETE_WINDOW)
}

/// Whether a role of this kind of owner can have the permission.
pub(super) fn is_for(permission: &str, owner: NodeKind) -> bool {
    owner != NodeKind::Project
        || !NOT_FOR_PROJECTS.iter().any(|excluded| permission.starts_with(excluded))
}

fn take_sent(role: &mut Role, draft: &Draft) {
    if let Some(title) = &draft.title {
        role.title.clone_from(title);
    }
    if let Some(description) = &draft.description {
        role.description.clone_from(description);
    }
    if let Some(stage) = draft.stage {
        role.stage = stage;
    }
    if let Some(permissions) = &draft.included_permissions {
        role.permissions = permissions.iter().cloned().collect();
    }
}

fn take(role: &mut Role, draft: &Draft, field: &str) -> Result<(), ApiError> {
    match field {
        "title" => role.title = draft.title.clone().unwrap_or_default(),
        "description" => role.description = draft.description.clone().unwrap_or_default(),
        "stage" => role.stage = draft.stage.unwrap_or(Stage::Alpha),
        "includedPermissions" | "included_permissions" => {
            role.permissions = draft.included_permissions.iter().flatten().cloned().collect();
        }
        "etag" | "name" => {}
        other => {
            return Err(ApiError::invalid(format!("Invalid field in the update mask: {other}.")));
        }
    }
    Ok(())
}

fn check_room(session: &Session<'_>, owner: &Node) -> Result<(), ApiError> {
    let owner = owner.name();
    let roles = session.world.custom_roles.values();
    let count = roles
        .filter(|role| role.owner() == Some(owner.as_str()) && !is_gone(role, session.now))
        .count();
    if count < ROLES_MAX {
        return Ok(());
    }
    Err(ApiError::failed_precondition(format!(
        "Maximum number of roles reached. Maximum is: {ROLES_MAX}."
    )))
}

fn check_content(world: &World, owner: NodeKind, role: &Role) -> Result<(), ApiError> {
    if role.title.len() > TITLE_BYTES_MAX {
        return Err(ApiError::invalid(format!(
            "The title is longer than {TITLE_BYTES_MAX} bytes."
        )));
    }
    if role.permissions.len() > PERMISSIONS_MAX {
        return Err(ApiError::invalid(format!(
            "The role has more than {PERMISSIONS_MAX} permissions."
        )));
    }
    let names: usize = role.permissions.iter().map(String::len).sum();
    if role.title.len() + role.description.len() + names > BYTES_MAX {
        return Err(ApiError::invalid(format!("The role is larger than {BYTES_MAX} bytes.")));
    }
    let is_known = |permission: &String| {
        world.predefined_roles.values().any(|role| role.permissions.contains(permission))
    };
    let unfit = role.permissions.iter().find(|it| !is_known(it) || !is_for(it, owner));
    unfit.map_or(Ok(()), |permission| {
        Err(ApiError::invalid(format!("Permission {permission} is not valid.")))
    })
}
