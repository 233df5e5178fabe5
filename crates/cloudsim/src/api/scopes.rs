//! What a token may be used for at all, whatever its account may do.

use crate::api::directory;
use crate::api::route::Call;
use crate::api::session::Session;
use crate::error::ApiError;

/// Before the name of each scope.
const PREFIX: &str = "https://www.googleapis.com/auth/";

/// Google Cloud's own APIs (<https://cloud.google.com/docs/authentication#authorization-gcp>).
const CLOUD: &[&str] = &["cloud-platform"];

/// Cloud Identity's groups
/// (<https://cloud.google.com/identity/docs/reference/rest/v1/groups.memberships/checkTransitiveMembership>).
const GROUPS: &[&str] =
    &["cloud-identity.groups", "cloud-identity.groups.readonly", "cloud-platform"];

/// The Directory's groups (<https://developers.google.com/workspace/admin/directory/reference/rest/v1/groups/list>).
const DIRECTORY_GROUPS: &[&str] = &["admin.directory.group", "admin.directory.group.readonly"];

/// The Directory's members (<https://developers.google.com/workspace/admin/directory/reference/rest/v1/members/list>).
const DIRECTORY_MEMBERS: &[&str] = &[
    "admin.directory.group",
    "admin.directory.group.member",
    "admin.directory.group.member.readonly",
    "admin.directory.group.readonly",
];

/// The Directory's users (<https://developers.google.com/workspace/admin/directory/reference/rest/v1/users/get>).
const DIRECTORY_USERS: &[&str] = &["admin.directory.user", "admin.directory.user.readonly"];

/// Refuses a call for which the caller's token was not issued.
pub(crate) fn check(session: &Session<'_>, call: &Call) -> Result<(), ApiError> {
    let Some(scopes) = session.scopes else {
        return Ok(());
    };
    let is_held = |scope: &&str| scopes.contains(&format!("{PREFIX}{scope}"));
    if accepted(call).iter().any(is_held) { Ok(()) } else { Err(ApiError::scope_insufficient()) }
}

/// The scopes of which a call needs one.
fn accepted(call: &Call) -> &'static [&'static str] {
    match call {
        Call::Directory(call) => match call {
            directory::Call::Groups { .. } | directory::Call::Group { .. } => DIRECTORY_GROUPS,
            directory::Call::Members { .. }
            | directory::Call::Member { .. }
            | directory::Call::HasMember { .. } => DIRECTORY_MEMBERS,
            directory::Call::User { .. } => DIRECTORY_USERS,
        },
        Call::Groups(_) => GROUPS,
        Call::SetPolicy { .. }
        | Call::Roles(_)
        | Call::Service(_)
        | Call::GetNode { .. }
        | Call::GetAncestry { .. }
        | Call::SearchNodes { .. }
        | Call::ListNodes { .. }
        | Call::GetPolicy { .. }
        | Call::TestPermissions { .. }
        | Call::Asset(_)
        | Call::ServiceAccounts(_) => CLOUD,
    }
}
