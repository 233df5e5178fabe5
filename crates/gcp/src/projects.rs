//! The projects that a query finds, where lists are limited to them.

use std::collections::BTreeSet;

use curfew_core::resource::Resource;
use curfew_ports::{NodeInfo, PortError};
use serde::Deserialize;

use crate::caller::{Call, Caller};

/// Projects in one page; the server may give fewer
/// (<https://cloud.google.com/resource-manager/reference/rest/v3/projects/search>).
const PAGE_SIZE: &str = "500";

/// 500,000 projects in full pages, as many nodes as are listed at all.
const PAGES_MAX: usize = 1_000;

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Page {
    projects: Vec<Found>,
    next_page_token: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    project_id: String,
}

/// The nodes without the projects that the configured query does not find; all of them where there is none.
pub(crate) async fn limited(
    caller: &Caller,
    mut nodes: Vec<NodeInfo>,
) -> Result<Vec<NodeInfo>, PortError> {
    let Some(query) = &caller.projects_query else { return Ok(nodes) };
    let url = format!("{}/v3/projects:search", caller.endpoints.resource_manager);
    let call = Call::get("resourcemanager.projects.search", "search the projects to list", url)
        .query("query", query)
        .query("pageSize", PAGE_SIZE);
    let split = |page: Page| (page.projects, page.next_page_token);
    let found = caller.read_pages(&call, PAGES_MAX, split).await?;
    let ids: BTreeSet<String> = found.into_iter().map(|project| project.project_id).collect();
    nodes.retain(|node| match &node.resource {
        Resource::Project(id) => ids.contains(id.as_str()),
        Resource::Folder(_) | Resource::Organization(_) => true,
    });
    Ok(nodes)
}
