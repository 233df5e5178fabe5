//! The hierarchy and roles, as they are now; what the asset index knows is in `assets`.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use curfew_core::policy::Policy;
use curfew_core::principal::Email;
use curfew_core::resource::Resource;
use curfew_core::role::Role;
use curfew_ports::{Catalog, NodeInfo, PortError, RetryClass};
use futures_util::stream::BoxStream;
use serde::Deserialize;

use crate::analysis::Analyses;
use crate::assets;
use crate::caller::{Call, Caller};
use crate::endpoints::{path_of, path_of_role};
use crate::policies::read_policy;
use crate::projects;

/// Folders nest ten deep at most (<https://cloud.google.com/resource-manager/docs/limits>); with the project below and
/// the organisation above that makes twelve.
const ANCESTRY_MAX: usize = 12;

/// Reads policies and the hierarchy below a scope.
#[derive(Clone)]
pub struct GoogleCatalog {
    caller: Arc<Caller>,
    scope: Resource,
    analyses: Analyses,
}

impl GoogleCatalog {
    pub(crate) fn new(caller: Arc<Caller>, scope: Resource) -> Self {
        Self { caller, scope, analyses: Analyses::default() }
    }

    async fn parent_of(&self, node: &Resource) -> Result<Option<Resource>, PortError> {
        let name = match node {
            Resource::Project(_) => "resourcemanager.projects.get",
            Resource::Folder(_) => "resourcemanager.folders.get",
            Resource::Organization(_) => return Ok(None),
        };
        let url = format!("{}/v3/{}", self.caller.endpoints.resource_manager, path_of(node));
        let call = Call::get(name, format!("read the parent of {node}"), url);
        let answer: Node = self.caller.read(&call).await?;
        let same = match node {
            Resource::Project(id) => answer.project_id == *id,
            Resource::Folder(_) | Resource::Organization(_) => answer.name == node.to_string(),
        };
        if same {
            parse_parent(&call, &answer.parent)
        } else {
            Err(call.undecodable("another node"))
        }
    }
}

#[async_trait]
impl Catalog for GoogleCatalog {
    /// Ends with the scope where the resource is in it: nodes above the scope do not count, and this identity may not
    /// be allowed to read them.
    async fn ancestry(&self, resource: &Resource) -> Result<Vec<Resource>, PortError> {
        let mut chain = vec![resource.clone()];
        let mut next = self.parent_of(resource).await?.filter(|_| *resource != self.scope);
        while let Some(node) = next {
            if chain.len() == ANCESTRY_MAX {
                let act =
                    format!("read the ancestry of {resource}: more than {ANCESTRY_MAX} nodes");
                return Err(PortError::new(RetryClass::Unavailable, act));
            }
            next = if node == self.scope { None } else { self.parent_of(&node).await? };
            chain.push(node);
        }
        Ok(chain)
    }

    async fn policy(&self, node: &Resource) -> Result<Policy, PortError> {
        read_policy(&self.caller, node).await
    }

    async fn nodes(&self) -> Result<Vec<NodeInfo>, PortError> {
        projects::limited(&self.caller, assets::nodes(&self.caller, &self.scope).await?).await
    }

    fn search_policies(&self) -> BoxStream<'_, Result<Vec<(Resource, Policy)>, PortError>> {
        assets::policies(Arc::clone(&self.caller), self.scope.clone())
    }

    async fn policies_naming(&self, person: &Email) -> Result<Vec<(Resource, Policy)>, PortError> {
        self.analyses.about(&self.caller, &self.scope, person).await
    }

    async fn permissions(&self, role: &Role) -> Result<Option<BTreeSet<String>>, PortError> {
        let url = format!("{}/v1/{}", self.caller.endpoints.iam, path_of_role(role));
        let call = Call::get("iam.roles.get", format!("read the role {role}"), url);
        match self.caller.read::<RoleAnswer>(&call).await {
            Ok(answer) if answer.name != role.as_str() => Err(call.undecodable("another role")),
            Ok(answer) if answer.deleted => Ok(None),
            Ok(answer) => Ok(Some(answer.included_permissions)),
            Err(error) if error.class == RetryClass::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// A project or folder (<https://cloud.google.com/resource-manager/reference/rest/v3/projects>).
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Node {
    name: String,
    project_id: String,
    parent: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RoleAnswer {
    name: String,
    #[serde(default)]
    included_permissions: BTreeSet<String>,
    #[serde(default)]
    deleted: bool,
}

fn parse_parent(call: &Call, parent: &str) -> Result<Option<Resource>, PortError> {
    match Resource::parse(parent) {
        Ok(node @ (Resource::Folder(_) | Resource::Organization(_))) => Ok(Some(node)),
        Err(_) if parent.is_empty() => Ok(None),
        Ok(Resource::Project(_)) | Err(_) => Err(call.undecodable(&format!("parent {parent:?}"))),
    }
}
