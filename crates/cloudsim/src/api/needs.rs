//! Which permissions each method needs, in one table.
//!
//! Resource Manager's methods need `resourcemanager.KIND.VERB` of the kind that they are called on,
//! see [`crate::world::NodeKind::permission`]: `get` and `getAncestry` need `get`, `list` needs
//! `list` on the parent, `getIamPolicy` and `setIamPolicy` their own; searches answer what the caller
//! holds `get` on, and `testIamPermissions` needs nothing. KMS, Pub/Sub and Secret Manager name
//! theirs beside their methods, see [`crate::api::service`]. Groups and users are read by
//! administrator roles of the customer, see [`GROUPS_READER`] and [`USERS_READER`].

/// All of these, on the scope, parent or owner that the call names.
pub(crate) type Need = &'static [&'static str];

/// The name under which reads of groups are recorded: an administrator role of Workspace, not an
/// IAM permission.
pub(crate) const GROUPS_READER: &str = "admin.groups.read";

/// The name under which reads of users are recorded, as [`GROUPS_READER`].
pub(crate) const USERS_READER: &str = "admin.users.read";

/// <https://cloud.google.com/asset-inventory/docs/access-control#permissions>.
pub(crate) const SEARCH_ALL_IAM_POLICIES: Need = &["cloudasset.assets.searchAllIamPolicies"];

/// As [`SEARCH_ALL_IAM_POLICIES`].
pub(crate) const SEARCH_ALL_RESOURCES: Need = &["cloudasset.assets.searchAllResources"];

/// As [`SEARCH_ALL_IAM_POLICIES`].
pub(crate) const ANALYZE_IAM_POLICY: Need = &[
    "cloudasset.assets.analyzeIamPolicy",
    "cloudasset.assets.searchAllResources",
    "cloudasset.assets.searchAllIamPolicies",
];

/// As [`SEARCH_ALL_IAM_POLICIES`].
pub(crate) const EFFECTIVE_IAM_POLICIES: Need = ANALYZE_IAM_POLICY;

/// <https://cloud.google.com/iam/docs/reference/rest/v1/organizations.roles/get>, as the next ones.
/// Predefined roles are everybody's to read.
pub(crate) const GET_ROLE: Need = &["iam.roles.get"];

/// As [`GET_ROLE`].
pub(crate) const LIST_ROLES: Need = &["iam.roles.list"];

/// As [`GET_ROLE`].
pub(crate) const CREATE_ROLE: Need = &["iam.roles.create"];

/// As [`GET_ROLE`].
pub(crate) const PATCH_ROLE: Need = &["iam.roles.update"];

/// As [`GET_ROLE`].
pub(crate) const DELETE_ROLE: Need = &["iam.roles.delete"];

/// As [`GET_ROLE`].
pub(crate) const UNDELETE_ROLE: Need = &["iam.roles.undelete"];
