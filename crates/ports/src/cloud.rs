//! Google Cloud, as far as Curfew uses it.

use std::collections::BTreeSet;

use async_trait::async_trait;
use curfew_core::id::WriteId;
use curfew_core::policy::Policy;
use curfew_core::principal::Email;
use curfew_core::resource::Resource;
use curfew_core::role::Role;

use crate::PortError;

/// Reads policies and the hierarchy. Intake and controller hold one; it cannot change anything.
#[async_trait]
pub trait Catalog: Send + Sync {
    /// The resource itself, then its parents up to the organisation, as they are now.
    async fn ancestry(&self, resource: &Resource) -> Result<Vec<Resource>, PortError>;

    /// The policy of exactly this node, as it is now.
    async fn policy(&self, node: &Resource) -> Result<Policy, PortError>;

    /// The policies in force on each resource, its own and its parents' within the scope, from an index that may
    /// lag behind. Good for lists, never for a grant.
    async fn effective_policies(
        &self,
        resources: &[Resource],
    ) -> Result<Vec<EffectivePolicies>, PortError>;

    /// Every active project that this identity can see.
    async fn projects(&self) -> Result<Vec<ProjectInfo>, PortError>;

    /// The permissions of a role; `None` where IAM does not know it (or it is deleted).
    async fn permissions(&self, role: &Role) -> Result<Option<BTreeSet<String>>, PortError>;
}

/// The policies in force on one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectivePolicies {
    /// The resource.
    pub resource: Resource,
    /// Node and policy, the resource's own first.
    pub policies: Vec<(Resource, Policy)>,
}

/// One project, for lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectInfo {
    /// `projects/<id>`
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
