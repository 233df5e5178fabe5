//! The hierarchy, the index of effective policies, and roles.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use curfew_core::policy::Policy;
use curfew_core::resource::Resource;
use curfew_core::role::Role;
use curfew_ports::{Catalog, EffectivePolicies, PortError, ProjectInfo, RetryClass};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;

use crate::caller::{Call, Caller};
use crate::failure::foreign;
use crate::json::Fields;
use crate::policies::read_policy;
use crate::wire::decode;

/// Folders nest ten deep at most (<https://cloud.google.com/resource-manager/docs/limits>); with the project below and
/// the organisation above that makes twelve.
const ANCESTRY_MAX: usize = 12;

/// Names in one call (<https://cloud.google.com/asset-inventory/docs/reference/rest/v1/effectiveIamPolicies/batchGet>).
const EFFECTIVE_NAMES_MAX: usize = 20;

/// Calls at the same time: enough to hide latency, few enough to leave others their share of the quota.
const EFFECTIVE_CALLS_AT_ONCE: usize = 4;

/// Projects in one page. The server may give fewer.
const PROJECTS_PAGE_SIZE: &str = "500";

/// 100,000 projects in full pages; beyond that something is wrong with the list.
const PROJECTS_PAGES_MAX: usize = 200;

/// What precedes a node's name in full resource names
/// (<https://cloud.google.com/asset-inventory/docs/resource-name-format>).
const FULL_NAME_PREFIX: &str = "//cloudresourcemanager.googleapis.com/";

/// Reads policies and the hierarchy below a scope.
#[derive(Clone)]
pub struct GoogleCatalog {
    caller: Arc<Caller>,
    scope: Resource,
}

impl GoogleCatalog {
    pub(crate) fn new(caller: Arc<Caller>, scope: Resource) -> Self {
        Self { caller, scope }
    }

    async fn parent_of(&self, node: &Resource) -> Result<Option<Resource>, PortError> {
        let name = match node {
            Resource::Project(_) => "resourcemanager.projects.get",
            Resource::Folder(_) => "resourcemanager.folders.get",
            Resource::Organization(_) => return Ok(None),
        };
        let url = format!("{}/v3/{node}", self.caller.endpoints.resource_manager);
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

    async fn effective_batch(
        &self,
        resources: &[Resource],
    ) -> Result<Vec<EffectivePolicies>, PortError> {
        let url = format!(
            "{}/v1/{}/effectiveIamPolicies:batchGet",
            self.caller.endpoints.cloud_asset, self.scope
        );
        let act = format!(
            "read the effective policies of {} resources below {}",
            resources.len(),
            self.scope
        );
        let mut call = Call::get("cloudasset.batchGetEffectiveIamPolicies", act, url);
        for resource in resources {
            call = call.query("names", format!("{FULL_NAME_PREFIX}{resource}"));
        }
        let answer: EffectiveAnswer = self.caller.read(&call).await?;
        if answer.policy_results.len() != resources.len() {
            return Err(call.undecodable("not one result per name"));
        }
        let pairs = resources.iter().zip(answer.policy_results);
        pairs
            .map(|(resource, result)| {
                effective(resource, result).map_err(|why| call.undecodable(&why))
            })
            .collect()
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

    async fn effective_policies(
        &self,
        resources: &[Resource],
    ) -> Result<Vec<EffectivePolicies>, PortError> {
        let batches: Vec<_> = resources
            .chunks(EFFECTIVE_NAMES_MAX)
            .map(|batch| self.effective_batch(batch))
            .collect();
        let batches: Vec<_> =
            stream::iter(batches).buffered(EFFECTIVE_CALLS_AT_ONCE).try_collect().await?;
        Ok(batches.into_iter().flatten().collect())
    }

    async fn projects(&self) -> Result<Vec<ProjectInfo>, PortError> {
        let url = format!("{}/v3/projects:search", self.caller.endpoints.resource_manager);
        let call = Call::get("resourcemanager.projects.search", "list projects", url)
            .query("query", "state:ACTIVE")
            .query("pageSize", PROJECTS_PAGE_SIZE);
        let split = |page: ProjectsPage| (page.projects, page.next_page_token);
        let listed = self.caller.read_pages(&call, PROJECTS_PAGES_MAX, split).await?;
        listed.into_iter().filter_map(|listed| project(&call, listed).transpose()).collect()
    }

    async fn permissions(&self, role: &Role) -> Result<Option<BTreeSet<String>>, PortError> {
        let url = format!("{}/v1/{role}", self.caller.endpoints.iam);
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

/// A project in a list.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListedProject {
    project_id: String,
    state: String,
    #[serde(default)]
    parent: String,
    #[serde(default)]
    display_name: String,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ProjectsPage {
    projects: Vec<ListedProject>,
    next_page_token: String,
}

/// One result per name, in the names' order; the policies go from the resource itself to its ancestors.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct EffectiveAnswer {
    policy_results: Vec<EffectiveResult>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EffectiveResult {
    full_resource_name: String,
    #[serde(default)]
    policies: Vec<AttachedPolicy>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AttachedPolicy {
    attached_resource: String,
    #[serde(default)]
    policy: Fields,
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

/// `None` for a project that is not active, and for one whose id no request can name.
fn project(call: &Call, listed: ListedProject) -> Result<Option<ProjectInfo>, PortError> {
    if listed.state != "ACTIVE" {
        return Ok(None);
    }
    let Ok(resource) = Resource::parse(&format!("projects/{}", listed.project_id)) else {
        tracing::warn!(project = %foreign(&listed.project_id), "a project with an unknown form of id is left out");
        return Ok(None);
    };
    Ok(Some(ProjectInfo {
        resource,
        display_name: listed.display_name,
        parent: parse_parent(call, &listed.parent)?,
    }))
}

fn effective(resource: &Resource, result: EffectiveResult) -> Result<EffectivePolicies, String> {
    let mut names = Names { resource, number: None };
    if names.node(&result.full_resource_name)? != *resource {
        return Err("the results are in another order".into());
    }
    let mut policies = Vec::with_capacity(result.policies.len());
    for attached in result.policies {
        let policy = decode(attached.policy).map_err(|error| error.to_string())?;
        policies.push((names.node(&attached.attached_resource)?, policy));
    }
    Ok(EffectivePolicies { resource: resource.clone(), policies })
}

/// Reads the full names in the result for one resource. The index names projects by id or by number; only one project
/// can be in a chain, the resource itself, so a number is that project's, and always the same.
struct Names<'a> {
    resource: &'a Resource,
    number: Option<u64>,
}

impl Names<'_> {
    fn node(&mut self, full_name: &str) -> Result<Resource, String> {
        let unexpected = || format!("{full_name:?} in the result of {}", self.resource);
        let name = full_name.strip_prefix(FULL_NAME_PREFIX).ok_or_else(unexpected)?;
        if let Some(number) = project_number(name) {
            let first = *self.number.get_or_insert(number);
            let is_project = matches!(self.resource, Resource::Project(_));
            return if is_project && first == number {
                Ok(self.resource.clone())
            } else {
                Err(unexpected())
            };
        }
        match Resource::parse(name) {
            Ok(project @ Resource::Project(_)) if project != *self.resource => Err(unexpected()),
            Ok(node) => Ok(node),
            Err(_) => Err(unexpected()),
        }
    }
}

fn project_number(name: &str) -> Option<u64> {
    let number = name.strip_prefix("projects/")?;
    if number.bytes().all(|b| b.is_ascii_digit()) { number.parse().ok() } else { None }
}
