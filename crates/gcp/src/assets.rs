//! What Cloud Asset Inventory knows of the scope: its nodes, and the policies on them. An index, some minutes behind.

use std::collections::BTreeMap;
use std::sync::Arc;

use curfew_core::policy::Policy;
use curfew_core::resource::Resource;
use curfew_ports::{NodeInfo, PortError};
use futures_util::stream::{self, BoxStream, StreamExt};
use serde::Deserialize;

use crate::caller::{Call, Caller};
use crate::endpoints::path_of;
use crate::failure::foreign;
use crate::json::Fields;
use crate::wire::decode;

/// The kinds of nodes that carry eligible bindings
/// (<https://cloud.google.com/asset-inventory/docs/asset-types#searchable_asset_types>).
const NODE_TYPES: [&str; 3] = [
    "cloudresourcemanager.googleapis.com/Organization",
    "cloudresourcemanager.googleapis.com/Folder",
    "cloudresourcemanager.googleapis.com/Project",
];

/// The largest page of both searches
/// (<https://cloud.google.com/asset-inventory/docs/reference/rest/v1/TopLevel/searchAllResources>).
const PAGE_SIZE: &str = "500";

/// 500,000 nodes in full pages; beyond that something is wrong with the list. The server may give fewer in one.
const PAGES_MAX: usize = 1_000;

/// What of an asset is of use, for less to be sent.
const NODE_FIELDS: &str =
    "name,project,displayName,state,parentFullResourceName,additionalAttributes";

/// What precedes a node's name in full resource names
/// (<https://cloud.google.com/asset-inventory/docs/resource-name-format>).
const FULL_NAME_PREFIX: &str = "//cloudresourcemanager.googleapis.com/";

/// A page of policies, each with the node that carries it.
pub(crate) type PolicyPage = Vec<(Resource, Policy)>;

/// Every active node within the scope, the scope included.
pub(crate) async fn nodes(caller: &Caller, scope: &Resource) -> Result<Vec<NodeInfo>, PortError> {
    let call = search(caller, scope, "searchAllResources").query("readMask", NODE_FIELDS);
    let split = |page: ResourcesPage| (page.results, page.next_page_token);
    let found = caller.read_pages(&call, PAGES_MAX, split).await?;
    found.iter().filter_map(|asset| node(&call, asset).transpose()).collect()
}

/// The policies on the nodes within the scope, page by page.
pub(crate) fn policies(
    caller: Arc<Caller>,
    scope: Resource,
) -> BoxStream<'static, Result<PolicyPage, PortError>> {
    let call = search(&caller, &scope, "searchAllIamPolicies");
    let names = Names { caller: Arc::clone(&caller), scope, ids: None };
    let first = Reading { caller, call, names, token: Some(String::new()), n_pages: 0 };
    stream::unfold(first, |reading| async move {
        reading.token.as_ref()?;
        Some(reading.next().await)
    })
    .boxed()
}

/// A search over the nodes of the scope.
fn search(caller: &Caller, scope: &Resource, method: &str) -> Call {
    let (name, act) = if method == "searchAllResources" {
        ("cloudasset.searchAllResources", format!("list the nodes below {scope}"))
    } else {
        ("cloudasset.searchAllIamPolicies", format!("search the policies below {scope}"))
    };
    let url = format!("{}/v1/{}:{method}", caller.endpoints.cloud_asset, path_of(scope));
    let call = Call::get(name, act, url).query("pageSize", PAGE_SIZE);
    NODE_TYPES.iter().fold(call, |call, kind| call.query("assetTypes", *kind))
}

/// A search of policies between two pages.
struct Reading {
    caller: Arc<Caller>,
    call: Call,
    names: Names,
    /// Of the page to come; empty for the first, `None` after the last.
    token: Option<String>,
    n_pages: usize,
}

impl Reading {
    async fn next(mut self) -> (Result<PolicyPage, PortError>, Self) {
        let token = self.token.take().unwrap_or_default();
        let page = self.page(token).await;
        (page, self)
    }

    async fn page(&mut self, token: String) -> Result<PolicyPage, PortError> {
        if self.n_pages == PAGES_MAX {
            return Err(self.call.undecodable(&format!("more than {PAGES_MAX} pages")));
        }
        self.n_pages = self.n_pages.saturating_add(1);
        let call = if token.is_empty() {
            self.call.clone()
        } else {
            self.call.clone().query("pageToken", token)
        };
        let answer: PoliciesPage = self.caller.read(&call).await?;
        let mut page = Vec::with_capacity(answer.results.len());
        for result in answer.results {
            let policy =
                decode(result.policy).map_err(|error| call.undecodable(&error.to_string()))?;
            if let Some(node) = self.names.node(&result.resource).await? {
                page.push((node, policy));
            }
        }
        self.token = Some(answer.next_page_token).filter(|token| !token.is_empty());
        Ok(page)
    }
}

/// Reads full resource names. The index may name a project by its number; whose that is, its list of nodes tells.
pub(crate) struct Names {
    pub(crate) caller: Arc<Caller>,
    pub(crate) scope: Resource,
    /// Project numbers and the projects that they are of, once one was needed.
    pub(crate) ids: Option<BTreeMap<u64, Resource>>,
}

impl Names {
    /// `None` for what is no node, and for a node that no request can name.
    pub(crate) async fn node(&mut self, full_name: &str) -> Result<Option<Resource>, PortError> {
        let Some(name) = full_name.strip_prefix(FULL_NAME_PREFIX) else { return Ok(None) };
        if let Some(number) = project_number(name) {
            return self.project(number).await;
        }
        let node = Resource::parse(name).ok();
        if node.is_none() {
            tracing::warn!(node = %foreign(name), "a node with an unknown form of name is left out");
        }
        Ok(node)
    }

    async fn project(&mut self, number: u64) -> Result<Option<Resource>, PortError> {
        if let Some(ids) = &self.ids {
            return Ok(ids.get(&number).cloned());
        }
        let call =
            search(&self.caller, &self.scope, "searchAllResources").query("readMask", NODE_FIELDS);
        let split = |page: ResourcesPage| (page.results, page.next_page_token);
        let found = self.caller.read_pages(&call, PAGES_MAX, split).await?;
        let ids: BTreeMap<u64, Resource> = found
            .iter()
            .filter_map(|asset| Some((project_number(&asset.project)?, asset.project_id()?)))
            .collect();
        let project = ids.get(&number).cloned();
        self.ids = Some(ids);
        Ok(project)
    }
}

fn project_number(name: &str) -> Option<u64> {
    let number = name.strip_prefix("projects/")?;
    if number.bytes().all(|b| b.is_ascii_digit()) { number.parse().ok() } else { None }
}

/// `None` for a node that is being deleted, and for one that no request can name.
fn node(call: &Call, asset: &Asset) -> Result<Option<NodeInfo>, PortError> {
    if !["", "ACTIVE"].contains(&asset.state.as_str()) {
        return Ok(None);
    }
    let name = asset.name.strip_prefix(FULL_NAME_PREFIX).unwrap_or_default();
    let Some(resource) = asset.project_id().or_else(|| Resource::parse(name).ok()) else {
        tracing::warn!(node = %foreign(&asset.name), "a node with an unknown form of name is left out");
        return Ok(None);
    };
    Ok(Some(NodeInfo {
        resource,
        display_name: asset.display_name.clone(),
        parent: parent(call, &asset.parent_full_resource_name)?,
    }))
}

fn parent(call: &Call, full_name: &str) -> Result<Option<Resource>, PortError> {
    if full_name.is_empty() {
        return Ok(None);
    }
    match full_name.strip_prefix(FULL_NAME_PREFIX).map(Resource::parse) {
        Some(Ok(node @ (Resource::Folder(_) | Resource::Organization(_)))) => Ok(Some(node)),
        Some(Ok(Resource::Project(_)) | Err(_)) | None => {
            Err(call.undecodable(&format!("parent {full_name:?}")))
        }
    }
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ResourcesPage {
    results: Vec<Asset>,
    next_page_token: String,
}

/// A node as the index has it
/// (<https://cloud.google.com/asset-inventory/docs/reference/rest/v1/ResourceSearchResult>).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asset {
    name: String,
    /// `projects/<number>` of a project.
    #[serde(default)]
    project: String,
    #[serde(default)]
    display_name: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    parent_full_resource_name: String,
    #[serde(default)]
    additional_attributes: Attributes,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Attributes {
    project_id: String,
}

impl Asset {
    /// The project, by the id that its attributes or else its name give.
    fn project_id(&self) -> Option<Resource> {
        let named = self.name.strip_prefix(FULL_NAME_PREFIX)?;
        named.strip_prefix("projects/")?;
        let by_attribute = format!("projects/{}", self.additional_attributes.project_id);
        Resource::parse(&by_attribute).or_else(|_| Resource::parse(named)).ok()
    }
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct PoliciesPage {
    results: Vec<FoundPolicy>,
    next_page_token: String,
}

/// Without a query, `policy` is all of the node's policy
/// (<https://cloud.google.com/asset-inventory/docs/reference/rest/v1/TopLevel/searchAllIamPolicies>).
#[derive(Deserialize)]
struct FoundPolicy {
    resource: String,
    #[serde(default)]
    policy: Fields,
}
