//! IAM `roles.get` and `roles.list`.

use serde_json::{Value, json};

use crate::api::paging::{PageLimits, PageRequest};
use crate::api::route::NodeRef;
use crate::api::session::Session;
use crate::error::ApiError;
use crate::world::Role;

/// "The default is 300, and the maximum is 1,000", `roles.list`.
const PAGES: PageLimits = PageLimits { default: 300, max: 1_000 };

/// A predefined role is everybody's to read, a custom one needs `iam.roles.get` on its owner.
pub(crate) fn get(session: &Session<'_>, name: &str) -> Result<Value, ApiError> {
    if let Some(owner) = owner(name) {
        session.require(&owner, "iam.roles.get")?;
    }
    let role = session.world.role(name);
    role.map(|role| shape(role, true))
        .ok_or_else(|| ApiError::not_found(format!("The role named {name} was not found.")))
}

/// The predefined roles, or the custom roles of a project or organisation.
pub(crate) fn list(
    session: &Session<'_>,
    parent: Option<&NodeRef>,
    full: bool,
    page: &PageRequest,
) -> Result<Value, ApiError> {
    let world = session.world;
    let roles: Vec<&Role> = match parent {
        None => world.predefined_roles.values().collect(),
        Some(parent) => {
            let owner = session.require(parent, "iam.roles.list")?.name();
            let is_owned =
                |role: &&Role| role.name.split_once("/roles/").is_some_and(|(it, _)| it == owner);
            world.custom_roles.values().filter(is_owned).collect()
        }
    };
    let shapes = roles.into_iter().map(|role| shape(role, full)).collect();
    Ok(page.cut(shapes, PAGES, world.settings.max_page_size)?.answer("roles"))
}

fn owner(name: &str) -> Option<NodeRef> {
    name.split_once("/roles/").and_then(|(owner, _)| NodeRef::of_name(owner))
}

fn shape(role: &Role, full: bool) -> Value {
    let mut shape = json!({"name": role.name, "title": role.title, "stage": "GA", "etag": "AA=="});
    if full {
        shape["includedPermissions"] = json!(role.permissions);
    }
    shape
}
