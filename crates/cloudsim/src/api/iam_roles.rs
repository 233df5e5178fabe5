//! IAM: predefined and custom roles, and the permissions that they can have.

mod custom;

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::iam_roles::custom::Draft;
use crate::api::needs;
use crate::api::paging::{PageLimits, PageRequest};
use crate::api::route::{NodeRef, Path, Wire, decode, json_body, no_such_path, typed};
use crate::api::session::Session;
use crate::error::ApiError;
use crate::policy::etag_of;
use crate::rules;
use crate::world::{Change, Node, NodeKind, Role, Stage, World};

/// "The default is 300, and the maximum is 1,000", `roles.list`.
const PAGES: PageLimits = PageLimits { default: 300, max: 1_000 };

/// "The default is 300, and the maximum is 3,000", `roles.queryGrantableRoles`.
const GRANTABLE_PAGES: PageLimits = PageLimits { default: 300, max: 3_000 };

/// "The default is 100, and the maximum is 1,000", `permissions.queryTestablePermissions`.
const TESTABLE_PAGES: PageLimits = PageLimits { default: 100, max: 1_000 };

/// What Google answers as etag of every predefined role.
const PREDEFINED_ETAG: &str = "AA==";

/// A custom role as a caller names it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RoleName {
    owner: NodeRef,
    id: String,
}

/// One call about roles.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Call {
    GetPredefined { name: String },
    ListPredefined { full: bool, page: PageRequest },
    Get { name: RoleName },
    List { parent: NodeRef, full: bool, show_deleted: bool, page: PageRequest },
    Create { parent: NodeRef, id: String, draft: Draft },
    Patch { name: RoleName, draft: Draft, update_mask: Option<String> },
    Delete { name: RoleName, etag: Option<String> },
    Undelete { name: RoleName, etag: Option<String> },
    Grantable { resource: String, full: bool, page: PageRequest },
    Testable { resource: String, page: PageRequest },
}

/// Body of `create`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CreateBody {
    role_id: String,
    #[serde(default)]
    role: Draft,
}

/// Body of `undelete`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct UndeleteBody {
    #[serde(default)]
    etag: Option<String>,
}

impl Call {
    /// `None` for a path that is no role's.
    pub(crate) fn read(wire: &Wire<'_>, path: &Path<'_>) -> Result<Option<Self>, ApiError> {
        match (wire.method.as_str(), path.segments.as_slice(), path.verb) {
            ("GET", ["roles"], None) => Ok(Some(Self::ListPredefined {
                full: is_full(wire.query.get("view")),
                page: PageRequest::read(&wire.query, "pageSize")?,
            })),
            ("GET", ["roles", id], None) => {
                let id = decode(id).ok_or_else(|| no_such_path(wire))?;
                Ok(Some(Self::GetPredefined { name: format!("roles/{id}") }))
            }
            ("POST", ["roles"], Some("queryGrantableRoles")) => {
                let body = json_body(wire.body)?;
                Ok(Some(Self::Grantable {
                    resource: full_name(&body)?,
                    full: is_full(body["view"].as_str()),
                    page: PageRequest::from_body(&body),
                }))
            }
            ("POST", ["permissions"], Some("queryTestablePermissions")) => {
                let body = json_body(wire.body)?;
                let page = PageRequest::from_body(&body);
                Ok(Some(Self::Testable { resource: full_name(&body)?, page }))
            }
            (_, ["projects" | "organizations", _, "roles", ..], _) => {
                Self::read_custom(wire, path).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn read_custom(wire: &Wire<'_>, path: &Path<'_>) -> Result<Self, ApiError> {
        let unserved = || no_such_path(wire);
        let (owner, id) = match path.segments.as_slice() {
            [collection, owner, "roles"] => (NodeRef::read(collection, owner), None),
            [collection, owner, "roles", id] => (NodeRef::read(collection, owner), decode(id)),
            _ => return Err(unserved()),
        };
        let owner = owner.ok_or_else(unserved)?;
        let etag = wire.query.get("etag").map(str::to_owned);
        match (wire.method.as_str(), id, path.verb) {
            ("GET", None, None) => Ok(Self::List {
                parent: owner,
                full: is_full(wire.query.get("view")),
                show_deleted: wire.query.get("showDeleted") == Some("true"),
                page: PageRequest::read(&wire.query, "pageSize")?,
            }),
            ("POST", None, None) => {
                let body: CreateBody = typed(wire.body)?;
                Ok(Self::Create { parent: owner, id: body.role_id, draft: body.role })
            }
            ("GET", Some(id), None) => Ok(Self::Get { name: RoleName { owner, id } }),
            ("PATCH", Some(id), None) => Ok(Self::Patch {
                name: RoleName { owner, id },
                draft: typed(wire.body)?,
                update_mask: wire.query.get("updateMask").map(str::to_owned),
            }),
            ("DELETE", Some(id), None) => Ok(Self::Delete { name: RoleName { owner, id }, etag }),
            ("POST", Some(id), Some("undelete")) => {
                let body: UndeleteBody =
                    if wire.body.is_empty() { UndeleteBody::default() } else { typed(wire.body)? };
                Ok(Self::Undelete { name: RoleName { owner, id }, etag: body.etag })
            }
            _ => Err(unserved()),
        }
    }

    /// The method's name, as faults name it.
    pub(crate) fn method(&self) -> &'static str {
        match self {
            Self::GetPredefined { .. } | Self::Get { .. } => "get",
            Self::ListPredefined { .. } | Self::List { .. } => "list",
            Self::Create { .. } => "create",
            Self::Patch { .. } => "patch",
            Self::Delete { .. } => "delete",
            Self::Undelete { .. } => "undelete",
            Self::Grantable { .. } => "queryGrantableRoles",
            Self::Testable { .. } => "queryTestablePermissions",
        }
    }

    /// The role, or the owner whose roles are listed.
    pub(crate) fn resource(&self) -> Option<String> {
        match self {
            Self::GetPredefined { name } => Some(name.clone()),
            Self::Get { name }
            | Self::Patch { name, .. }
            | Self::Delete { name, .. }
            | Self::Undelete { name, .. } => {
                Some(format!("{}/roles/{}", name.owner.name(), name.id))
            }
            Self::List { parent, .. } | Self::Create { parent, .. } => Some(parent.name()),
            Self::ListPredefined { .. } | Self::Grantable { .. } | Self::Testable { .. } => None,
        }
    }

    /// Whether the call can change a role.
    pub(crate) fn writes(&self) -> bool {
        match self {
            Self::Create { .. }
            | Self::Patch { .. }
            | Self::Delete { .. }
            | Self::Undelete { .. } => true,
            Self::GetPredefined { .. }
            | Self::ListPredefined { .. }
            | Self::Get { .. }
            | Self::List { .. }
            | Self::Grantable { .. }
            | Self::Testable { .. } => false,
        }
    }
}

/// Answers the call, with the role that it writes.
pub(crate) fn answer(session: &Session<'_>, call: &Call) -> (Result<Value, ApiError>, Vec<Change>) {
    let read = match call {
        Call::Create { parent, id, draft } => {
            return custom::written(custom::create(session, parent, id, draft));
        }
        Call::Patch { name, draft, update_mask } => {
            return custom::written(custom::patch(session, name, draft, update_mask.as_deref()));
        }
        Call::Delete { name, etag } => {
            return custom::written(custom::delete(session, name, etag.as_deref()));
        }
        Call::Undelete { name, etag } => {
            return custom::written(custom::undelete(session, name, etag.as_deref()));
        }
        Call::GetPredefined { name } => session
            .world
            .predefined_roles
            .get(name)
            .map(|role| shape(role, true))
            .ok_or_else(|| no_such_role(name)),
        Call::ListPredefined { full, page } => {
            let roles = session.world.predefined_roles.values();
            cut(session, roles.map(|role| shape(role, *full)).collect(), page)
        }
        Call::Get { name } => get(session, name),
        Call::List { parent, full, show_deleted, page } => {
            list(session, parent, *full, *show_deleted, page)
        }
        Call::Grantable { resource, full, page } => grantable(session, resource, *full, page),
        Call::Testable { resource, page } => testable(session, resource, page),
    };
    (read, Vec::new())
}

/// A deleted role is answered as such until it is gone for good.
fn get(session: &Session<'_>, name: &RoleName) -> Result<Value, ApiError> {
    let owner = session.require_all(&name.owner, needs::GET_ROLE)?;
    custom::existing(session, owner, name).map(|role| shape(role, true))
}

/// The custom roles of a project or organisation.
fn list(
    session: &Session<'_>,
    parent: &NodeRef,
    full: bool,
    show_deleted: bool,
    page: &PageRequest,
) -> Result<Value, ApiError> {
    let owner = session.require_all(parent, needs::LIST_ROLES)?.name();
    let kept = session.world.custom_roles.values().filter(|role| {
        role.owner() == Some(owner.as_str())
            && !custom::is_gone(role, session.now)
            && (show_deleted || role.deleted_at.is_none())
    });
    cut(session, kept.map(|role| shape(role, full)).collect(), page)
}

/// The roles that the resource's policy may bind. Google documents no permission for it; here it
/// needs what it takes to see the resource.
fn grantable(
    session: &Session<'_>,
    resource: &str,
    full: bool,
    page: &PageRequest,
) -> Result<Value, ApiError> {
    let node = visible_node(session, resource)?;
    let world = session.world;
    let predefined = world.predefined_roles.values();
    let roles = predefined
        .chain(world.custom_roles.values())
        .filter(|role| role.is_in_force() && rules::check_role(world, node, &role.name).is_ok());
    let shapes = roles.map(|role| shape(role, full)).collect();
    Ok(page.cut(shapes, GRANTABLE_PAGES, world.settings.max_page_size)?.answer("roles"))
}

/// The permissions that can be tested on the resource, as far as this simulation knows them;
/// needed is what [`grantable`] needs.
fn testable(session: &Session<'_>, resource: &str, page: &PageRequest) -> Result<Value, ApiError> {
    let node = visible_node(session, resource)?;
    let known = permissions(session.world);
    let shapes = known
        .into_iter()
        .filter(|permission| custom::is_for(permission, node.kind))
        .map(|permission| json!({"name": permission, "stage": "GA"}))
        .collect();
    let cap = session.world.settings.max_page_size;
    Ok(page.cut(shapes, TESTABLE_PAGES, cap)?.answer("permissions"))
}

fn visible_node<'world>(
    session: &Session<'world>,
    full_name: &str,
) -> Result<&'world Node, ApiError> {
    // gcloud names the resource by the host that it calls, which is the simulated cloud's.
    let name = full_name.strip_prefix("//").and_then(|rest| rest.split_once('/'));
    let named = name.and_then(|(_, name)| NodeRef::of_name(name)).ok_or_else(|| {
        ApiError::invalid(format!(
            "{full_name} is not the full resource name of a project, folder or organization."
        ))
    })?;
    session.require(&named, &named.kind.permission("get"))
}

/// Every permission of every predefined role.
fn permissions(world: &World) -> BTreeSet<&str> {
    let roles = world.predefined_roles.values();
    roles.flat_map(|role| &role.permissions).map(String::as_str).collect()
}

fn cut(session: &Session<'_>, roles: Vec<Value>, page: &PageRequest) -> Result<Value, ApiError> {
    Ok(page.cut(roles, PAGES, session.world.settings.max_page_size)?.answer("roles"))
}

fn is_full(view: Option<&str>) -> bool {
    matches!(view, Some("FULL" | "1"))
}

fn full_name(body: &Value) -> Result<String, ApiError> {
    let name = body["fullResourceName"].as_str();
    name.map(str::to_owned).ok_or_else(|| ApiError::invalid("full_resource_name is required."))
}

fn no_such_role(name: &str) -> ApiError {
    ApiError::not_found(format!("The role named {name} was not found."))
}

/// A role as `Role` of the IAM API; fields with default values are left out.
fn shape(role: &Role, full: bool) -> Value {
    let etag = match role.owner() {
        Some(_) => etag_of(role.revision),
        None => PREDEFINED_ETAG.to_owned(),
    };
    let mut shape = json!({"name": role.name, "title": role.title, "etag": etag});
    if role.stage != Stage::Alpha {
        shape["stage"] = json!(role.stage);
    }
    if !role.description.is_empty() {
        shape["description"] = json!(role.description);
    }
    if role.deleted_at.is_some() {
        shape["deleted"] = json!(true);
    }
    if full && !role.permissions.is_empty() {
        shape["includedPermissions"] = json!(role.permissions);
    }
    shape
}

/// Kinds of nodes that can own roles.
fn owns_roles(kind: NodeKind) -> bool {
    matches!(kind, NodeKind::Project | NodeKind::Organization)
}
