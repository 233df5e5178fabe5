//! IAM roles that a request may name.

use std::collections::BTreeSet;
use std::fmt;

use crate::danger;
use crate::id::Digest;
use crate::resource::Resource;

/// The longest role name that is accepted; Google's own are far below it.
const ROLE_LENGTH_MAX: usize = 256;

/// Why a text is no role that can be granted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RoleError {
    /// Not the form of a predefined or custom role.
    #[error(
        "must be roles/<name>, projects/<id>/roles/<name> or organizations/<number>/roles/<name>"
    )]
    Form,
    /// IAM refuses a condition on these, so access could not end on its own.
    #[error("basic roles (owner, editor, viewer) cannot carry a condition and are never granted")]
    Basic,
}

/// A predefined or custom role; never a basic one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Role(String);

impl Role {
    /// Accepts a role's full name, exactly.
    pub fn parse(text: &str) -> Result<Self, RoleError> {
        let name = match text.rsplit_once("roles/") {
            Some(("", name)) => name,
            Some((parent, name)) if is_custom_parent(parent) => name,
            _ => return Err(RoleError::Form),
        };
        let valid = |b: u8| b.is_ascii_alphanumeric() || b == b'.' || b == b'_';
        if name.is_empty() || text.len() > ROLE_LENGTH_MAX || !name.bytes().all(valid) {
            return Err(RoleError::Form);
        }
        match text {
            "roles/owner" | "roles/editor" | "roles/viewer" => Err(RoleError::Basic),
            _ => Ok(Self(text.to_owned())),
        }
    }

    /// The text form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The project or organisation whose custom role this is; `None` for a predefined one.
    ///
    /// IAM grants a project's role on that project alone, and an organisation's in that organisation
    /// (<https://cloud.google.com/iam/docs/roles-overview#custom-role-usage>).
    pub fn owner(&self) -> Option<Resource> {
        let (owner, _) = self.0.split_once("/roles/")?;
        Resource::parse(owner).ok()
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a role gives, as far as a judgement needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Powers {
    /// [`permissions_hash`].
    pub hash: Digest,
    /// [`danger::is_dangerous`].
    pub is_dangerous: bool,
    /// [`danger::touches_system`].
    pub touches_system: bool,
}

impl Powers {
    /// Of a role with these permissions.
    pub fn of(permissions: &BTreeSet<String>) -> Self {
        Self {
            hash: permissions_hash(permissions),
            is_dangerous: danger::is_dangerous(permissions),
            touches_system: danger::touches_system(permissions),
        }
    }
}

/// SHA-256 of the sorted permissions, each followed by a line feed: changes whenever what the role gives does.
pub fn permissions_hash(permissions: &BTreeSet<String>) -> Digest {
    let text: String =
        permissions.iter().flat_map(|permission| [permission.as_str(), "\n"]).collect();
    Digest::of(text.as_bytes())
}

fn is_custom_parent(parent: &str) -> bool {
    parent.strip_suffix('/').is_some_and(|parent| {
        matches!(Resource::parse(parent), Ok(Resource::Project(_) | Resource::Organization(_)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn predefined_and_custom_roles_are_accepted() {
        for name in [
            "roles/compute.viewer",
            "projects/demo-web/roles/deployer",
            "organizations/1/roles/a.b_C",
        ] {
            assert_eq!(Role::parse(name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn basic_roles_are_never_granted() {
        for name in ["roles/owner", "roles/editor", "roles/viewer"] {
            assert_eq!(Role::parse(name), Err(RoleError::Basic));
        }
    }

    #[test]
    fn other_spellings_are_refused() {
        for name in [
            "",
            "owner",
            "roles/",
            "roles/ Owner",
            "roles/a/b",
            "ROLES/compute.viewer",
            "folders/1/roles/x",
            "organizations/../roles/x",
            "roles/compute.*",
            "roles/x\n",
        ] {
            assert_eq!(Role::parse(name), Err(RoleError::Form), "{name:?}");
        }
    }
}
