//! `analyzeIamPolicy`: which identities have what access on which resources.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::api::asset::Index;
use crate::api::route::{NodeRef, Query};
use crate::clock::rfc3339;
use crate::condition;
use crate::error::ApiError;
use crate::policy::Binding;
use crate::world::membership::Paths;
use crate::world::{Node, NodeKind, Role};

/// "The default max expansion per group is 1000 for AssetService.AnalyzeIamPolicy", and per resource.
const EXPANSION_MAX: usize = 1_000;

/// Parameters that are served.
const PARAMETERS: [&str; 11] = [
    "analysisQuery.identitySelector.identity",
    "analysisQuery.accessSelector.roles",
    "analysisQuery.accessSelector.permissions",
    "analysisQuery.resourceSelector.fullResourceName",
    "analysisQuery.conditionContext.accessTime",
    "analysisQuery.options.expandGroups",
    "analysisQuery.options.expandRoles",
    "analysisQuery.options.expandResources",
    "analysisQuery.options.outputGroupEdges",
    "analysisQuery.options.outputResourceEdges",
    "executionTimeout",
];

/// What is asked.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Analysis {
    identity: Option<String>,
    roles: Vec<String>,
    permissions: Vec<String>,
    /// A full resource name.
    resource: Option<String>,
    access_time: Option<DateTime<Utc>>,
    /// The options that are on, by their names.
    options: BTreeSet<String>,
}

impl Analysis {
    /// # Errors
    /// 400 for parameters that are not served, malformed, or not allowed together.
    pub(super) fn read(query: &Query) -> Result<Self, ApiError> {
        let unserved = query.pairs().iter().find(|(name, value)| {
            let is_off = name.starts_with("analysisQuery.options.") && value == "false";
            let is_asked = name.starts_with("analysisQuery.") || name == "savedAnalysisQuery";
            is_asked && !PARAMETERS.contains(&name.as_str()) && !is_off
        });
        if let Some((name, _)) = unserved {
            return Err(ApiError::invalid(format!("{name} is not served by the simulated cloud.")));
        }
        check_timeout(query.get("executionTimeout"))?;
        let text = |name: &str| query.get(name).map(str::to_owned);
        let all = |name: &str| query.all(name).map(str::to_owned).collect();
        let analysis = Self {
            identity: text("analysisQuery.identitySelector.identity"),
            roles: all("analysisQuery.accessSelector.roles"),
            permissions: all("analysisQuery.accessSelector.permissions"),
            resource: text("analysisQuery.resourceSelector.fullResourceName"),
            access_time: access_time(query.get("analysisQuery.conditionContext.accessTime"))?,
            options: options(query)?,
        };
        analysis.check_together()?;
        Ok(analysis)
    }

    fn has(&self, option: &str) -> bool {
        self.options.contains(option)
    }

    fn selects_access(&self) -> bool {
        !(self.roles.is_empty() && self.permissions.is_empty())
    }

    fn check_together(&self) -> Result<(), ApiError> {
        if self.identity.is_none() && !self.selects_access() && self.resource.is_none() {
            return Err(ApiError::invalid(
                "At least one of identity_selector, access_selector and resource_selector is required.",
            ));
        }
        if self.identity.is_some() && self.has("expandGroups") {
            return Err(ApiError::invalid(
                "options.expand_groups is not allowed with an identity_selector.",
            ));
        }
        if self.selects_access() && self.has("expandRoles") {
            return Err(ApiError::invalid(
                "options.expand_roles is not allowed with an access_selector.",
            ));
        }
        Ok(())
    }

    /// The query as answers repeat it.
    fn shape(&self, scope: &str) -> Value {
        let mut shape = json!({"scope": scope});
        if let Some(identity) = &self.identity {
            shape["identitySelector"] = json!({"identity": identity});
        }
        if self.selects_access() {
            let mut access = json!({});
            for (name, values) in [("roles", &self.roles), ("permissions", &self.permissions)] {
                if !values.is_empty() {
                    access[name] = json!(values);
                }
            }
            shape["accessSelector"] = access;
        }
        if let Some(resource) = &self.resource {
            shape["resourceSelector"] = json!({"fullResourceName": resource});
        }
        if let Some(time) = self.access_time {
            shape["conditionContext"] = json!({"accessTime": rfc3339(time)});
        }
        let options: BTreeMap<&String, bool> = self.options.iter().map(|it| (it, true)).collect();
        if !options.is_empty() {
            shape["options"] = json!(options);
        }
        shape
    }
}

/// The answer to the analysis.
pub(super) fn answer(index: &Index<'_, '_>, analysis: &Analysis) -> Result<Value, ApiError> {
    if analysis.access_time.is_some_and(|time| time < index.session.now) {
        return Err(ApiError::invalid(
            "condition_context.access_time must not be earlier than the current time.",
        ));
    }
    let attached = attached(index, analysis)?;
    let run = Run {
        index,
        analysis,
        doubts: RefCell::default(),
        reads_groups: reads_groups(index, analysis),
    };
    let results: Vec<Value> = attached
        .iter()
        .flat_map(|node| {
            let bindings = index.policy(node).bindings;
            bindings.into_iter().map(move |binding| (*node, binding)).collect::<Vec<_>>()
        })
        .filter_map(|(node, binding)| run.result(node, &binding))
        .collect();
    let doubts = run.doubts.into_inner();
    let is_explored = doubts.is_empty() && results.iter().all(|it| it["fullyExplored"] == true);
    let mut main = json!({
        "analysisQuery": analysis.shape(&index.scope),
        "fullyExplored": is_explored,
    });
    if !results.is_empty() {
        main["analysisResults"] = json!(results);
    }
    if !doubts.is_empty() {
        let doubts =
            doubts.iter().map(|cause| json!({"code": "PERMISSION_DENIED", "cause": cause}));
        main["nonCriticalErrors"] = doubts.collect();
    }
    Ok(json!({"mainAnalysis": main, "fullyExplored": is_explored}))
}

/// The nodes whose policies bear on the question.
fn attached<'world>(
    index: &Index<'_, 'world>,
    analysis: &Analysis,
) -> Result<Vec<&'world Node>, ApiError> {
    let Some(resource) = &analysis.resource else { return Ok(index.nodes()) };
    let line = index.line(resource)?.ok_or_else(|| {
        ApiError::invalid(format!("{resource} was not found within {}.", index.scope))
    })?;
    let is_project = line.first().is_some_and(|node| node.kind == NodeKind::Project);
    if analysis.has("expandResources") && !is_project {
        return Err(ApiError::invalid(
            "options.expand_resources is served for projects and lower resources only, if a resource_selector is given.",
        ));
    }
    Ok(line)
}

/// Groups are resolved for callers who may read them.
fn reads_groups(index: &Index<'_, '_>, analysis: &Analysis) -> bool {
    let asks = analysis.identity.is_some() || analysis.has("expandGroups");
    asks && index.session.reads_groups()
}

/// One analysis in progress.
struct Run<'a, 'world> {
    index: &'a Index<'a, 'world>,
    analysis: &'a Analysis,
    /// Why the answer may be incomplete.
    doubts: RefCell<BTreeSet<String>>,
    reads_groups: bool,
}

/// What one binding names, with the edges between groups and members.
#[derive(Default)]
struct Identities {
    names: Vec<String>,
    edges: BTreeSet<(String, String)>,
    is_cut: bool,
}

impl<'world> Run<'_, 'world> {
    /// `None` for a binding that does not match the selectors.
    fn result(&self, node: &Node, binding: &Binding) -> Option<Value> {
        let identities = match &self.analysis.identity {
            Some(identity) => self.selected(identity, binding)?,
            None => self.expanded(binding),
        };
        let accesses = self.accesses(binding)?;
        let (resources, are_cut) = self.resources(node);
        let mut list = json!({
            "resources": resources
                .iter()
                .map(|it| json!({"fullResourceName": it.full_name()}))
                .collect::<Vec<_>>(),
            "accesses": accesses,
        });
        if let Some(condition) = &binding.condition {
            let outlook = condition::outlook(&condition.expression, self.analysis.access_time);
            list["conditionEvaluation"] = json!({"evaluationValue": outlook});
        }
        if self.analysis.has("outputResourceEdges") {
            list["resourceEdges"] = self.resource_edges(node, &resources);
        }
        let names = identities.names.iter().map(|name| json!({"name": name}));
        let mut identity_list = json!({"identities": names.collect::<Vec<_>>()});
        if self.analysis.has("outputGroupEdges") && !identities.edges.is_empty() {
            identity_list["groupEdges"] = identities.edges.iter().map(edge).collect();
        }
        Some(json!({
            "attachedResourceFullName": node.full_name(),
            "iamBinding": binding,
            "accessControlLists": [list],
            "identityList": identity_list,
            "fullyExplored": !(identities.is_cut || are_cut),
        }))
    }

    /// The selected identity, if the binding names it, its domain, or a group that holds it.
    fn selected(&self, identity: &str, binding: &Binding) -> Option<Identities> {
        let world = self.index.world();
        let (kind, rest) = identity.split_once(':').unwrap_or(("", identity));
        let email = rest.to_ascii_lowercase();
        let identity = format!("{kind}:{email}");
        let is_account = world.member(&email).is_some_and(|member| member == identity);
        let holding = if is_account { world.transitive_groups(&email) } else { BTreeMap::new() };
        let mut found = Identities::default();
        let mut is_named = false;
        for member in &binding.members {
            match member.split_once(':') {
                _ if *member == identity => is_named = true,
                Some(("domain", domain)) if matches!(kind, "user" | "group") => {
                    is_named |= email.split_once('@').is_some_and(|(_, it)| it == domain);
                }
                Some(("group", _)) if !self.reads_groups => self.doubt_group(member),
                Some(("group", group)) if holding.contains_key(group) => {
                    is_named = true;
                    found.edges.extend(self.paths(group, &email, &holding));
                }
                Some(_) | None => {}
            }
        }
        found.names.push(identity);
        is_named.then_some(found)
    }

    /// The edges by which the outer group holds the address.
    fn paths(
        &self,
        outer: &str,
        email: &str,
        holding: &BTreeMap<&str, Paths>,
    ) -> Vec<(String, String)> {
        let world = self.index.world();
        let mut on_the_way: BTreeSet<&str> = BTreeSet::from([outer]);
        on_the_way.extend(
            world.transitive_members(outer).into_keys().filter(|it| holding.contains_key(it)),
        );
        let mut edges = Vec::new();
        for group in on_the_way {
            let members = world.groups.get(group).into_iter().flat_map(|it| &it.members);
            let leading = members.filter(|it| *it == email || holding.contains_key(it.as_str()));
            edges.extend(leading.map(|member| self.named_edge(group, member)));
        }
        edges
    }

    /// The members of the binding, with what its groups hold if that is asked for.
    fn expanded(&self, binding: &Binding) -> Identities {
        let mut found = Identities::default();
        let mut names: BTreeSet<String> = binding.members.iter().cloned().collect();
        if self.analysis.has("expandGroups") {
            for member in &binding.members {
                match member.strip_prefix("group:") {
                    Some(_) if !self.reads_groups => self.doubt_group(member),
                    Some(group) => self.expand(group, &mut names, &mut found),
                    None => {}
                }
            }
        }
        found.names = names.into_iter().collect();
        found
    }

    fn expand(&self, group: &str, names: &mut BTreeSet<String>, found: &mut Identities) {
        let world = self.index.world();
        let members: Vec<&str> = world.transitive_members(group).into_keys().collect();
        found.is_cut |= members.len() > EXPANSION_MAX;
        names.extend(members.iter().take(EXPANSION_MAX).map(|email| self.member(email)));
        for outer in members.iter().copied().chain([group]) {
            let inner = world.groups.get(outer).into_iter().flat_map(|it| &it.members);
            found.edges.extend(inner.map(|member| self.named_edge(outer, member)));
        }
    }

    fn named_edge(&self, group: &str, member: &str) -> (String, String) {
        (format!("group:{group}"), self.member(member))
    }

    fn member(&self, email: &str) -> String {
        self.index.world().member(email).unwrap_or_else(|| format!("user:{email}"))
    }

    /// `None` if the binding's role gives nothing of what is selected.
    fn accesses(&self, binding: &Binding) -> Option<Vec<Value>> {
        let role = json!({"role": binding.role});
        let permission = |it: &String| json!({"permission": it});
        if !self.analysis.selects_access() {
            let mut accesses = vec![role];
            if self.analysis.has("expandRoles") {
                let included = self.readable(&binding.role).map(|it| &it.permissions);
                accesses.extend(included.into_iter().flatten().map(permission));
            }
            return Some(accesses);
        }
        let mut accesses = Vec::new();
        if self.analysis.roles.contains(&binding.role) {
            accesses.push(role);
        }
        if !self.analysis.permissions.is_empty()
            && let Some(found) = self.readable(&binding.role)
        {
            let given = self.analysis.permissions.iter().filter(|it| found.gives(it));
            accesses.extend(given.map(permission));
        }
        (!accesses.is_empty()).then_some(accesses)
    }

    /// The role, if its permissions are the caller's to read.
    fn readable(&self, name: &str) -> Option<&'world Role> {
        let role = self.index.world().role(name)?;
        let Some(owner) = role.owner().and_then(NodeRef::of_name) else { return Some(role) };
        if self.index.session.require(&owner, "iam.roles.get").is_ok() {
            return Some(role);
        }
        self.doubts.borrow_mut().insert(format!("Permission denied to read the role {name}."));
        None
    }

    /// The resources of the answer, and whether there are more.
    fn resources(&self, node: &Node) -> (Vec<&'world Node>, bool) {
        let world = self.index.world();
        if let Some(selected) = &self.analysis.resource {
            let line = self.index.line(selected).ok().flatten();
            return (line.unwrap_or_default().into_iter().take(1).collect(), false);
        }
        let name = node.name();
        if !self.analysis.has("expandResources") {
            return (world.nodes.get(&name).into_iter().collect(), false);
        }
        let below = world.nodes.values().filter(|it| world.is_within(it, &name));
        let mut all: Vec<&Node> = below.collect();
        let is_cut = all.len() > EXPANSION_MAX;
        all.truncate(EXPANSION_MAX);
        (all, is_cut)
    }

    /// From each resource of the answer up to the attached node.
    fn resource_edges(&self, attached: &Node, resources: &[&Node]) -> Value {
        let world = self.index.world();
        let mut edges = BTreeSet::new();
        for resource in resources {
            let line = world.ancestry(resource);
            let end = line.iter().position(|it| it.name() == attached.name()).unwrap_or_default();
            let pairs = line.iter().zip(line.iter().skip(1)).take(end);
            edges.extend(pairs.map(|(child, parent)| (parent.full_name(), child.full_name())));
        }
        edges.iter().map(edge).collect()
    }

    fn doubt_group(&self, member: &str) {
        let cause = format!("Permission denied to read the members of {member}.");
        self.doubts.borrow_mut().insert(cause);
    }
}

fn edge((source, target): &(String, String)) -> Value {
    json!({"sourceNode": source, "targetNode": target})
}

fn options(query: &Query) -> Result<BTreeSet<String>, ApiError> {
    let mut on = BTreeSet::new();
    for (name, value) in query.pairs() {
        let Some(option) = name.strip_prefix("analysisQuery.options.") else { continue };
        match value.as_str() {
            "true" => {
                on.insert(option.to_owned());
            }
            "false" => {
                on.remove(option);
            }
            other => {
                return Err(ApiError::invalid(format!(
                    "Invalid value at '{name}' (TYPE_BOOL), \"{other}\""
                )));
            }
        }
    }
    Ok(on)
}

fn access_time(text: Option<&str>) -> Result<Option<DateTime<Utc>>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    text.parse().map(Some).map_err(|_| {
        ApiError::invalid(format!(
            "Invalid value at 'analysis_query.condition_context.access_time' (Timestamp), \"{text}\""
        ))
    })
}

/// A duration as `20s`; it bounds nothing, because every analysis here is instant.
fn check_timeout(text: Option<&str>) -> Result<(), ApiError> {
    let Some(text) = text else { return Ok(()) };
    let seconds = text.strip_suffix('s').and_then(|number| number.parse::<f64>().ok());
    match seconds.filter(|seconds| seconds.is_finite() && *seconds >= 0.0) {
        Some(_) => Ok(()),
        None => Err(ApiError::invalid(format!(
            "Invalid value at 'execution_timeout' (Duration), \"{text}\""
        ))),
    }
}
