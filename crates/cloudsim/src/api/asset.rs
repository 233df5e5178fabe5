//! Cloud Asset Inventory: effective policies and the search over policies.

use serde_json::{Value, json};

use crate::api::paging::{PageLimits, PageRequest};
use crate::api::route::NodeRef;
use crate::api::session::Session;
use crate::error::ApiError;
use crate::policy::CONDITIONS_VERSION;
use crate::world::{Node, World};

/// "A maximum of 20 resources' effective policies can be retrieved in a batch."
const NAMES_MAX: usize = 20;

/// What `effectiveIamPolicies.batchGet` needs on its scope,
/// <https://cloud.google.com/asset-inventory/docs/access-control>.
const EFFECTIVE_PERMISSIONS: [&str; 3] = [
    "cloudasset.assets.analyzeIamPolicy",
    "cloudasset.assets.searchAllResources",
    "cloudasset.assets.searchAllIamPolicies",
];

/// Prefix of the full names of projects, folders and organisations.
const FULL_NAME_PREFIX: &str = "//cloudresourcemanager.googleapis.com/";

/// Sizes of search pages.
const PAGES: PageLimits = PageLimits { default: 100, max: 500 };

/// The policies on each named node and on its ancestors up to the scope, nearest first.
pub(crate) fn effective(
    session: &Session<'_>,
    scope: &NodeRef,
    names: &[String],
    stale: bool,
) -> Result<Value, ApiError> {
    let mut checked = None;
    for permission in EFFECTIVE_PERMISSIONS {
        checked = Some(session.require(scope, permission)?);
    }
    let scope_name = checked.map(Node::name).unwrap_or_default();
    if names.is_empty() || names.len() > NAMES_MAX {
        return Err(ApiError::invalid(format!(
            "names must have 1 to {NAMES_MAX} entries, and has {}.",
            names.len()
        )));
    }
    let results: Result<Vec<Value>, ApiError> = names
        .iter()
        .map(|name| {
            let line = line_within(session.world, &scope_name, name)?;
            let policies: Vec<Value> = line
                .into_iter()
                .filter_map(|node| policy_info(session.world, node, stale))
                .collect();
            Ok(json!({"fullResourceName": name, "policies": policies}))
        })
        .collect();
    Ok(json!({"policyResults": results?}))
}

/// Policies within the scope. Of the query language, words and `policy:word` are served: all must
/// occur in the policy, whatever their case.
pub(crate) fn search(
    session: &Session<'_>,
    scope: &NodeRef,
    query: &str,
    page: &PageRequest,
) -> Result<Value, ApiError> {
    let scope = session.require(scope, "cloudasset.assets.searchAllIamPolicies")?.name();
    let words: Vec<String> = query
        .split_whitespace()
        .filter(|word| !word.eq_ignore_ascii_case("AND"))
        .map(|word| {
            word.strip_prefix("policy:")
                .unwrap_or(word)
                .trim_matches(['"', '\''])
                .to_ascii_lowercase()
        })
        .collect();
    let world = session.world;
    let within = world
        .nodes
        .values()
        .filter(|node| world.ancestry(node).iter().any(|above| above.name() == scope));
    let found: Vec<Value> = within
        .filter_map(|node| {
            let policy = world.policy(node).view(CONDITIONS_VERSION);
            let text = serde_json::to_string(&policy.bindings).ok()?.to_ascii_lowercase();
            let matches =
                !policy.bindings.is_empty() && words.iter().all(|word| text.contains(word));
            matches.then(|| search_result(world, node, &json!(policy)))
        })
        .collect();
    Ok(page.cut(found, PAGES, world.settings.max_page_size)?.answer("results"))
}

/// The node of a full resource name and its ancestors, cut at the scope.
fn line_within<'world>(
    world: &'world World,
    scope: &str,
    full_name: &str,
) -> Result<Vec<&'world Node>, ApiError> {
    let named =
        full_name.strip_prefix(FULL_NAME_PREFIX).and_then(NodeRef::of_name).ok_or_else(|| {
            ApiError::invalid(format!(
                "{full_name} is not the full resource name of a project, folder or organization."
            ))
        })?;
    let node = world.node(named.kind, &named.id);
    let line = node.map(|node| world.ancestry(node)).unwrap_or_default();
    let end = line.iter().position(|above| above.name() == scope);
    let end = end
        .ok_or_else(|| ApiError::not_found(format!("{full_name} was not found within {scope}.")))?;
    Ok(line.into_iter().take(end + 1).collect())
}

/// `None` for a node without bindings.
fn policy_info(world: &World, node: &Node, stale: bool) -> Option<Value> {
    let previous = world
        .policies
        .get(&node.name())
        .filter(|_| stale)
        .and_then(|stored| stored.previous.clone());
    let policy = previous.unwrap_or_else(|| world.policy(node)).view(CONDITIONS_VERSION);
    (!policy.bindings.is_empty())
        .then(|| json!({"attachedResource": node.full_name(), "policy": policy}))
}

fn search_result(world: &World, node: &Node, policy: &Value) -> Value {
    let line = world.ancestry(node);
    let folders: Vec<String> =
        line.iter().map(|it| it.name()).filter(|name| name.starts_with("folders/")).collect();
    let project = line.iter().find(|it| it.kind == crate::world::NodeKind::Project);
    json!({
        "resource": node.full_name(),
        "assetType": node.kind.resource_type(),
        "project": project.map(|it| it.name_by_number()),
        "folders": folders,
        "organization": line.last().map(|it| it.name()),
        "policy": policy,
    })
}
