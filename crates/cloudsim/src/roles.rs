//! Google's predefined roles, as far as this simulation offers them.
//!
//! The table `seed/roles.json` holds names, titles and permissions as Google published them in
//! August 2026, see <https://cloud.google.com/iam/docs/roles-permissions>. The three basic roles and
//! Security Admin span every service of Google; there they are cut to the services of the table.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::world::Role;

/// The table: name, title and permissions of each role.
const PREDEFINED: &str = include_str!("../seed/roles.json");

/// Roles that take no condition, <https://cloud.google.com/iam/docs/conditions-overview>.
pub(crate) const BASIC: [&str; 3] = ["roles/editor", "roles/owner", "roles/viewer"];

/// One role of the table; permissions stand grouped as `service.resource: [verbs]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    title: String,
    permissions: BTreeMap<String, Vec<String>>,
}

/// The predefined roles by name.
///
/// # Errors
/// The embedded table is damaged.
pub(crate) fn predefined() -> Result<BTreeMap<String, Role>, serde_json::Error> {
    let entries: Vec<Entry> = serde_json::from_str(PREDEFINED)?;
    Ok(entries.into_iter().map(|entry| (entry.name.clone(), role(entry))).collect())
}

fn role(entry: Entry) -> Role {
    let permissions = entry
        .permissions
        .into_iter()
        .flat_map(|(resource, verbs)| {
            verbs.into_iter().map(move |verb| format!("{resource}.{verb}"))
        })
        .collect();
    Role { name: entry.name, title: entry.title, permissions, ..Role::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_holds_the_roles_of_the_demo_with_telling_permissions() {
        let roles = predefined().unwrap();
        for (role, permission) in [
            ("roles/browser", "resourcemanager.projects.getIamPolicy"),
            ("roles/compute.viewer", "compute.instances.list"),
            ("roles/compute.instanceAdmin.v1", "compute.instances.setMetadata"),
            ("roles/logging.admin", "logging.sinks.delete"),
            ("roles/secretmanager.secretAccessor", "secretmanager.versions.access"),
            ("roles/resourcemanager.projectIamAdmin", "resourcemanager.projects.setIamPolicy"),
            ("roles/iam.serviceAccountTokenCreator", "iam.serviceAccounts.getAccessToken"),
            ("roles/owner", "resourcemanager.projects.setIamPolicy"),
        ] {
            assert!(roles[role].permissions.contains(permission), "{role} {permission}");
        }
        assert!(!roles["roles/viewer"].permissions.contains("compute.instances.delete"));
        assert!(BASIC.iter().all(|basic| roles.contains_key(*basic)));
    }
}
