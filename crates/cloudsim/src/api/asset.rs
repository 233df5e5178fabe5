//! Cloud Asset Inventory: effective policies, the searches, and the analysis of policies.

mod analyze;
mod query;
mod search;

use serde_json::{Value, json};

use crate::api::asset::analyze::Analysis;
use crate::api::asset::search::Search;
use crate::api::needs;
use crate::api::route::{NodeRef, Path, Wire, no_such_path};
use crate::api::session::Session;
use crate::error::ApiError;
use crate::policy::{CONDITIONS_VERSION, Policy};
use crate::world::{Node, World};

/// "A maximum of 20 resources' effective policies can be retrieved in a batch."
const NAMES_MAX: usize = 20;

/// One call of Cloud Asset Inventory.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Call {
    pub(crate) scope: NodeRef,
    asked: Asked,
}

#[derive(Debug, Clone, PartialEq)]
enum Asked {
    EffectivePolicies { names: Vec<String> },
    SearchPolicies(Search),
    SearchResources(Search),
    Analyze(Box<Analysis>),
}

impl Call {
    /// `None` for a path that is not of this API.
    pub(crate) fn read(wire: &Wire<'_>, path: &Path<'_>) -> Result<Option<Self>, ApiError> {
        let (scope, asked) = match (path.segments.as_slice(), path.verb) {
            ([collection, id, "effectiveIamPolicies"], Some("batchGet")) => {
                let names = wire.query.all("names").map(str::to_owned).collect();
                (NodeRef::read(collection, id), Asked::EffectivePolicies { names })
            }
            ([collection, id], Some("searchAllIamPolicies")) => {
                (NodeRef::read(collection, id), Asked::SearchPolicies(Search::read(&wire.query)?))
            }
            ([collection, id], Some("searchAllResources")) => {
                (NodeRef::read(collection, id), Asked::SearchResources(Search::read(&wire.query)?))
            }
            ([collection, id], Some("analyzeIamPolicy")) => {
                let analysis = Box::new(Analysis::read(&wire.query)?);
                (NodeRef::read(collection, id), Asked::Analyze(analysis))
            }
            _ => return Ok(None),
        };
        let scope = scope.filter(|_| wire.method == axum::http::Method::GET);
        let scope = scope.ok_or_else(|| no_such_path(wire))?;
        Ok(Some(Self { scope, asked }))
    }

    /// The method's name, as faults name it.
    pub(crate) fn method(&self) -> &'static str {
        match &self.asked {
            Asked::EffectivePolicies { .. } => "batchGet",
            Asked::SearchPolicies(_) => "searchAllIamPolicies",
            Asked::SearchResources(_) => "searchAllResources",
            Asked::Analyze(_) => "analyzeIamPolicy",
        }
    }
}

/// Answers the call; `stale` is one policy write behind.
pub(crate) fn answer(session: &Session<'_>, call: &Call, stale: bool) -> Result<Value, ApiError> {
    let need = match &call.asked {
        Asked::EffectivePolicies { .. } => needs::EFFECTIVE_IAM_POLICIES,
        Asked::SearchPolicies(_) => needs::SEARCH_ALL_IAM_POLICIES,
        Asked::SearchResources(_) => needs::SEARCH_ALL_RESOURCES,
        Asked::Analyze(_) => needs::ANALYZE_IAM_POLICY,
    };
    let scope = session.require_all(&call.scope, need)?;
    let index = Index { session, scope: scope.name(), stale };
    match &call.asked {
        Asked::EffectivePolicies { names } => index.effective(names),
        Asked::SearchPolicies(search) => search::policies(&index, search),
        Asked::SearchResources(search) => search::resources(&index, search),
        Asked::Analyze(analysis) => analyze::answer(&index, analysis),
    }
}

/// What Cloud Asset Inventory knows within one scope.
struct Index<'a, 'world> {
    session: &'a Session<'world>,
    scope: String,
    stale: bool,
}

impl<'world> Index<'_, 'world> {
    fn world(&self) -> &'world World {
        self.session.world
    }

    /// The scope and all nodes below it.
    fn nodes(&self) -> Vec<&'world Node> {
        let nodes = self.world().nodes.values();
        nodes.filter(|node| self.world().is_within(node, &self.scope)).collect()
    }

    /// The node's policy as of the index, as a version-3 reader sees it.
    fn policy(&self, node: &Node) -> Policy {
        let stored = self.world().policies.get(&node.name());
        let previous = stored.filter(|_| self.stale).and_then(|stored| stored.previous.clone());
        let indexed = || self.world().indexed_policy(node, self.session.now);
        previous.unwrap_or_else(indexed).view(CONDITIONS_VERSION)
    }

    /// The node of a full resource name and its ancestors, nearest first, cut at the scope; `None`
    /// if it is not within the scope.
    fn line(&self, full_name: &str) -> Result<Option<Vec<&'world Node>>, ApiError> {
        let named = NodeRef::of_full_name(full_name)?;
        let node = self.world().node(named.kind, &named.id);
        let mut line = node.map(|node| self.world().ancestry(node)).unwrap_or_default();
        let end = line.iter().position(|above| above.name() == self.scope);
        Ok(end.map(|end| {
            line.truncate(end + 1);
            line
        }))
    }

    /// The policies on each named node and on its ancestors up to the scope, nearest first.
    fn effective(&self, names: &[String]) -> Result<Value, ApiError> {
        if names.is_empty() || names.len() > NAMES_MAX {
            return Err(ApiError::invalid(format!(
                "names must have 1 to {NAMES_MAX} entries, and has {}.",
                names.len()
            )));
        }
        let results: Result<Vec<Value>, ApiError> = names
            .iter()
            .map(|name| {
                let line = self.line(name)?.ok_or_else(|| {
                    ApiError::not_found(format!("{name} was not found within {}.", self.scope))
                })?;
                let policies: Vec<Value> =
                    line.into_iter().filter_map(|node| self.policy_info(node)).collect();
                Ok(json!({"fullResourceName": name, "policies": policies}))
            })
            .collect();
        Ok(json!({"policyResults": results?}))
    }

    /// `None` for a node without bindings.
    fn policy_info(&self, node: &Node) -> Option<Value> {
        let policy = self.policy(node);
        (!policy.bindings.is_empty())
            .then(|| json!({"attachedResource": node.full_name(), "policy": policy}))
    }
}
