//! Google Cloud, as far as Curfew uses it.

use std::collections::BTreeSet;

use async_trait::async_trait;
use curfew_core::id::WriteId;
use curfew_core::policy::Policy;
use curfew_core::principal::Email;
use curfew_core::resource::Resource;
use curfew_core::role::Role;
use futures_util::stream::BoxStream;

use crate::PortError;

/// Reads policies and the hierarchy. Intake and controller hold one; it cannot change anything.
#[async_trait]
pub trait Catalog: Send + Sync {
    /// The resource itself, then its parents up to the organisation, as they are now.
    async fn ancestry(&self, resource: &Resource) -> Result<Vec<Resource>, PortError>;

    /// The policy of exactly this node, as it is now.
    async fn policy(&self, node: &Resource) -> Result<Policy, PortError>;

    /// Every active project, folder and organisation within the scope, the scope itself included, from an index that
    /// may lag behind. All of them, or an error.
    async fn nodes(&self) -> Result<Vec<NodeInfo>, PortError>;

    /// The policy of every project, folder and organisation within the scope that has any binding, each node at most
    /// once, from an index that may lag behind: one page an item. An error ends the stream, and then what came is not
    /// all. Good for lists, never for a grant.
    fn search_policies(&self) -> BoxStream<'_, Result<Vec<(Resource, Policy)>, PortError>>;

    /// Of the policies that [`Catalog::search_policies`] gives, the bindings that name the person, its domain or a
    /// group that it is in, nested groups included: the cloud follows them. Good for lists, never for a grant.
    ///
    /// [`crate::RetryClass::RateLimited`]: the quota of such questions, which is small, is used up for now.
    async fn policies_naming(&self, person: &Email) -> Result<Vec<(Resource, Policy)>, PortError>;

    /// The permissions of a role; `None` where IAM does not know it (or it is deleted).
    async fn permissions(&self, role: &Role) -> Result<Option<BTreeSet<String>>, PortError>;
}

/// One project, folder or organisation, for lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeInfo {
    /// Its canonical name.
    pub resource: Resource,
    /// For people.
    pub display_name: String,
    /// Its folder or organisation, if it has one.
    pub parent: Option<Resource>,
}

/// Who is in which group, nested groups included, as it is now.
#[async_trait]
pub trait Directory: Send + Sync {
    /// Whether the person is in the group.
    async fn is_member(&self, group: &Email, person: &Email) -> Result<bool, PortError>;

    /// Every group that the person is in.
    async fn groups_of(&self, person: &Email) -> Result<BTreeSet<Email>, PortError>;

    /// Every person in the group. Service accounts, and members of kinds that are no people, are left out.
    ///
    /// A group that is too large to be read whole is an error, never a part of it. One that does not exist is empty.
    async fn members_of(&self, group: &Email) -> Result<BTreeSet<Email>, PortError>;
}

/// Reads and writes policies. The controller alone holds one.
#[async_trait]
pub trait PolicyClient: Send + Sync {
    /// The policy with its etag, version 3 requested.
    async fn get(&self, resource: &Resource) -> Result<Policy, PortError>;

    /// Writes the policy if its etag is still the stored one, and gives the policy that was stored.
    ///
    /// `write` goes along as the request reason. [`crate::RetryClass::Conflict`]: somebody else wrote meanwhile.
    /// [`crate::RetryClass::Unavailable`]: the write may have happened, or may still happen.
    async fn set(
        &self,
        resource: &Resource,
        policy: &Policy,
        write: &WriteId,
    ) -> Result<Policy, PortError>;
}
