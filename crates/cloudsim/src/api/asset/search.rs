//! `searchAllIamPolicies` and `searchAllResources`.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use regex::RegexBuilder;
use serde_json::{Value, json};

use crate::api::asset::Index;
use crate::api::asset::query::{self, Fields, Searched};
use crate::api::paging::{PageLimits, PageRequest};
use crate::api::resource_manager::CREATED;
use crate::api::route::{NodeRef, Query};
use crate::error::ApiError;
use crate::policy::Binding;
use crate::world::{Node, NodeKind, Role, World};

/// "Page size is capped at 500 even if a larger value is given."
const PAGES: PageLimits = PageLimits { default: 100, max: 500 };

/// Memory that one regular expression over asset types may take.
const EXPRESSION_BYTES_MAX: usize = 64 * 1024;

/// Fields of queries over policies.
const POLICY_FIELDS: Fields = &[
    "resource",
    "policy",
    PERMISSIONS_FIELD,
    "roles",
    "memberTypes",
    "project",
    "folders",
    "organization",
];

/// Of the queries over policies, the field that stands for what a binding's role includes.
const PERMISSIONS_FIELD: &str = "policy.role.permissions";

/// Fields of queries over resources.
const RESOURCE_FIELDS: Fields = &[
    "name",
    "displayName",
    "assetType",
    "project",
    "folders",
    "organization",
    "labels",
    "labels.",
    "state",
    "parentFullResourceName",
    "parentAssetType",
];

/// "Only singular primitive fields in the response are sortable."
const POLICY_ORDERS: &[&str] = &["resource", "assetType", "project"];

/// Sortable fields of resources.
const RESOURCE_ORDERS: &[&str] = &[
    "name",
    "assetType",
    "project",
    "displayName",
    "description",
    "location",
    "createTime",
    "updateTime",
    "state",
    "parentFullResourceName",
    "parentAssetType",
];

const SERVICE_ACCOUNT: &str = "iam.googleapis.com/ServiceAccount";
const ROLE: &str = "iam.googleapis.com/Role";

/// Asset types that a search may ask for; there are assets of the first five only.
const ASSET_TYPES: [&str; 11] = [
    "cloudresourcemanager.googleapis.com/Organization",
    "cloudresourcemanager.googleapis.com/Folder",
    "cloudresourcemanager.googleapis.com/Project",
    SERVICE_ACCOUNT,
    ROLE,
    "bigquery.googleapis.com/Dataset",
    "cloudkms.googleapis.com/CryptoKey",
    "compute.googleapis.com/Instance",
    "pubsub.googleapis.com/Topic",
    "secretmanager.googleapis.com/Secret",
    "storage.googleapis.com/Bucket",
];

/// What a search asks for, not yet understood.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Search {
    query: String,
    asset_types: Vec<String>,
    order_by: String,
    read_mask: String,
    page: PageRequest,
}

impl Search {
    pub(super) fn read(query: &Query) -> Result<Self, ApiError> {
        let text = |name: &str| query.get(name).unwrap_or_default().to_owned();
        Ok(Self {
            query: text("query"),
            asset_types: query.all("assetTypes").map(str::to_owned).collect(),
            order_by: text("orderBy"),
            read_mask: text("readMask"),
            page: PageRequest::read_lenient(query, "pageSize")?,
        })
    }
}

/// Policies within the scope, each with the bindings that match.
pub(super) fn policies(index: &Index<'_, '_>, search: &Search) -> Result<Value, ApiError> {
    let query = query::Query::read(&search.query, POLICY_FIELDS)?;
    let types = asset_types(&search.asset_types)?;
    let wanted = index
        .nodes()
        .into_iter()
        .filter(|node| types.as_ref().is_none_or(|it| it.contains(&node.kind.resource_type())));
    let mut readable = Readable { index, known: BTreeMap::new() };
    let mut found: Vec<Value> =
        wanted.filter_map(|node| policy_result(&mut readable, node, &query)).collect();
    sort(&mut found, &search.order_by, POLICY_ORDERS)?;
    let cap = index.world().settings.max_page_size;
    Ok(search.page.cut(found, PAGES, cap)?.answer("results"))
}

/// Nodes, service accounts and custom roles within the scope.
pub(super) fn resources(index: &Index<'_, '_>, search: &Search) -> Result<Value, ApiError> {
    let query = query::Query::read(&search.query, RESOURCE_FIELDS)?;
    let types = asset_types(&search.asset_types)?;
    let mask = read_mask(&search.read_mask)?;
    let mut found: Vec<Value> = assets(index)
        .into_iter()
        .filter(|asset| {
            let is_type = |type_: &&str| asset["assetType"] == *type_;
            types.as_ref().is_none_or(|types| types.iter().any(is_type))
                && query.matches(&Asset(asset))
        })
        .collect();
    sort(&mut found, &search.order_by, RESOURCE_ORDERS)?;
    if let Some(mask) = mask {
        for fields in found.iter_mut().filter_map(Value::as_object_mut) {
            fields.retain(|name, _| mask.contains(name));
        }
    }
    let cap = index.world().settings.max_page_size;
    Ok(search.page.cut(found, PAGES, cap)?.answer("results"))
}

/// The roles whose permissions the caller may read: "if callers don't have `iam.roles.get` access to
/// a role's included permissions, policy bindings that specify this role will be dropped".
struct Readable<'a, 'world> {
    index: &'a Index<'a, 'world>,
    known: BTreeMap<String, bool>,
}

impl<'world> Readable<'_, 'world> {
    fn role(&mut self, name: &str) -> Option<&'world Role> {
        let role = self.index.world().role(name)?;
        let Some(owner) = role.owner().and_then(NodeRef::of_name) else { return Some(role) };
        let session = self.index.session;
        let is_readable = *self
            .known
            .entry(name.to_owned())
            .or_insert_with(|| session.require(&owner, "iam.roles.get").is_ok());
        is_readable.then_some(role)
    }
}

/// `None` for a policy without a binding that matches.
fn policy_result(
    readable: &mut Readable<'_, '_>,
    node: &Node,
    query: &query::Query,
) -> Option<Value> {
    let index = readable.index;
    let place = place(index.world(), node);
    let asked = query.values_of(PERMISSIONS_FIELD);
    let mut policy = index.policy(node);
    let mut explained = serde_json::Map::new();
    policy.bindings.retain(|binding| {
        let role = if asked.is_empty() { None } else { readable.role(&binding.role) };
        if !asked.is_empty() && role.is_none() {
            return false;
        }
        let searched = PlacedBinding { node, place: &place, binding, role };
        let is_match = query.matches(&searched);
        if let Some(role) = role.filter(|_| is_match) {
            let matched = role.permissions.iter().filter(|it| asked.iter().any(|v| v.matches(it)));
            let matched: Vec<&String> = matched.collect();
            explained.insert(role.name.clone(), json!({"permissions": matched}));
        }
        is_match
    });
    if policy.bindings.is_empty() {
        return None;
    }
    let mut result = json!({
        "resource": node.full_name(),
        "assetType": node.kind.resource_type(),
        "policy": policy,
    });
    put_place(&mut result, &place);
    if !explained.is_empty() {
        result["explanation"] = json!({"matchedPermissions": explained});
    }
    Some(result)
}

/// Where a node or asset belongs, by numbers.
struct Place {
    project: Option<String>,
    folders: Vec<String>,
    organization: Option<String>,
}

fn place(world: &World, node: &Node) -> Place {
    let line = world.ancestry(node);
    let of_kind =
        |kind| line.iter().filter(move |it| it.kind == kind).map(|it| it.name_by_number());
    Place {
        project: of_kind(NodeKind::Project).next(),
        folders: of_kind(NodeKind::Folder).collect(),
        organization: of_kind(NodeKind::Organization).next(),
    }
}

fn put_place(result: &mut Value, place: &Place) {
    if let Some(project) = &place.project {
        result["project"] = json!(project);
    }
    if !place.folders.is_empty() {
        result["folders"] = json!(place.folders);
    }
    if let Some(organization) = &place.organization {
        result["organization"] = json!(organization);
    }
}

/// "The query string is compared against each IAM policy binding, including its principals, roles,
/// and IAM conditions."
struct PlacedBinding<'a> {
    node: &'a Node,
    place: &'a Place,
    binding: &'a Binding,
    role: Option<&'a Role>,
}

impl Searched for PlacedBinding<'_> {
    fn texts(&self, field: &str) -> Vec<String> {
        let binding = self.binding;
        match field {
            "resource" => vec![self.node.full_name()],
            "roles" => vec![binding.role.clone()],
            "memberTypes" => {
                let kind = |member: &String| member.split(':').next().map(str::to_owned);
                binding.members.iter().filter_map(kind).collect()
            }
            "policy" => {
                let mut texts = vec![binding.role.clone()];
                texts.extend(binding.members.iter().cloned());
                if let Some(condition) = &binding.condition {
                    let parts = [&condition.title, &condition.description, &condition.expression];
                    texts.extend(parts.into_iter().cloned());
                }
                texts
            }
            PERMISSIONS_FIELD => {
                self.role.iter().flat_map(|role| role.permissions.iter().cloned()).collect()
            }
            "project" => self.place.project.iter().cloned().collect(),
            "folders" => self.place.folders.clone(),
            "organization" => self.place.organization.iter().cloned().collect(),
            _ => Vec::new(),
        }
    }

    fn all_texts(&self) -> Vec<String> {
        let fields = POLICY_FIELDS.iter().filter(|field| **field != PERMISSIONS_FIELD);
        fields.flat_map(|field| self.texts(field)).collect()
    }
}

/// A result of a search over resources, searched by its own fields.
struct Asset<'a>(&'a Value);

impl Searched for Asset<'_> {
    fn texts(&self, field: &str) -> Vec<String> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        if let Some(key) = field.strip_prefix("labels.") {
            return text(&self.0["labels"][key]).into_iter().collect();
        }
        match &self.0[field] {
            Value::Array(items) => items.iter().filter_map(text).collect(),
            Value::Object(labels) => labels
                .iter()
                .flat_map(|(key, value)| [Some(key.clone()), text(value)])
                .flatten()
                .collect(),
            Value::String(whole) => vec![whole.clone()],
            Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
        }
    }

    fn all_texts(&self) -> Vec<String> {
        RESOURCE_FIELDS.iter().flat_map(|field| self.texts(field)).collect()
    }
}

fn assets(index: &Index<'_, '_>) -> Vec<Value> {
    let world = index.world();
    let nodes = index.nodes();
    let mut assets: Vec<Value> = nodes.iter().map(|node| node_asset(world, node)).collect();
    for node in nodes {
        let accounts = world
            .service_accounts
            .values()
            .filter(|account| node.kind == NodeKind::Project && account.project == node.id);
        assets.extend(accounts.map(|account| {
            let name =
                format!("//iam.googleapis.com/projects/{}/serviceAccounts/{}", node.id, account.id);
            let mut asset = below(world, node, SERVICE_ACCOUNT, &name, &account.email);
            asset["state"] = json!("ENABLED");
            asset["additionalAttributes"] = json!({"email": account.email, "uniqueId": account.id});
            asset
        }));
        let roles = world
            .custom_roles
            .values()
            .filter(|role| role.deleted_at.is_none() && role.owner() == Some(&node.name()));
        assets.extend(roles.map(|role| {
            let name = format!("//iam.googleapis.com/{}", role.name);
            below(world, node, ROLE, &name, &role.title)
        }));
    }
    assets
}

fn node_asset(world: &World, node: &Node) -> Value {
    let mut asset = json!({
        "name": node.full_name(),
        "assetType": node.kind.resource_type(),
        "displayName": node.display_name,
        "location": "global",
        "createTime": CREATED,
        "state": "ACTIVE",
    });
    put_place(&mut asset, &place(world, node));
    if !node.labels.is_empty() {
        asset["labels"] = json!(node.labels);
    }
    if node.kind == NodeKind::Project {
        asset["additionalAttributes"] = json!({"projectId": node.id});
    }
    if let Some(parent) = node.parent.as_ref().and_then(|name| world.nodes.get(name)) {
        put_parent(&mut asset, parent);
    }
    asset
}

fn below(world: &World, parent: &Node, asset_type: &str, name: &str, display: &str) -> Value {
    let mut asset = json!({
        "name": name,
        "assetType": asset_type,
        "displayName": display,
        "location": "global",
    });
    put_place(&mut asset, &place(world, parent));
    put_parent(&mut asset, parent);
    asset
}

fn put_parent(asset: &mut Value, parent: &Node) {
    asset["parentFullResourceName"] = json!(parent.full_name());
    asset["parentAssetType"] = json!(parent.kind.resource_type());
}

/// The asset types that the expressions match as a whole; `None` if there are no expressions.
fn asset_types(expressions: &[String]) -> Result<Option<Vec<&'static str>>, ApiError> {
    if expressions.is_empty() {
        return Ok(None);
    }
    let mut types = Vec::new();
    for expression in expressions {
        let whole = RegexBuilder::new(&format!("^(?:{expression})$"))
            .size_limit(EXPRESSION_BYTES_MAX)
            .build()
            .map_err(|_| no_such_type(expression))?;
        let before = types.len();
        types.extend(ASSET_TYPES.iter().filter(|it| whole.is_match(it)));
        if types.len() == before {
            return Err(no_such_type(expression));
        }
    }
    Ok(Some(types))
}

fn no_such_type(expression: &str) -> ApiError {
    ApiError::invalid(format!("asset_types: {expression} matches no supported asset type."))
}

/// The fields to answer; `None` for all.
fn read_mask(mask: &str) -> Result<Option<Vec<String>>, ApiError> {
    const MORE: [&str; 3] = ["folders", "organization", "additionalAttributes"];
    if mask.is_empty() || mask == "*" {
        return Ok(None);
    }
    let fields: Vec<String> = mask.split(',').map(|field| field.trim().to_owned()).collect();
    let is_field = |field: &&String| {
        RESOURCE_ORDERS.contains(&field.as_str())
            || MORE.contains(&field.as_str())
            || *field == "labels"
    };
    match fields.iter().find(|field| !is_field(field)) {
        None => Ok(Some(fields)),
        Some(other) => Err(ApiError::invalid(format!("read_mask: unknown field {other}."))),
    }
}

/// By the fields of `order_by`, such as `assetType DESC, resource`.
fn sort(results: &mut [Value], order_by: &str, sortable: &[&str]) -> Result<(), ApiError> {
    let mut orders = Vec::new();
    for order in order_by.split(',').map(str::trim).filter(|order| !order.is_empty()) {
        let mut words = order.split_whitespace();
        let field = words.next().unwrap_or_default();
        let is_descending = match (words.next(), words.next()) {
            (None, _) => false,
            (Some(word), None) if word.eq_ignore_ascii_case("DESC") => true,
            (Some(_), _) => return Err(bad_order(order)),
        };
        if !sortable.contains(&field) {
            return Err(bad_order(order));
        }
        orders.push((field, is_descending));
    }
    results.sort_by(|left, right| {
        let compared = orders.iter().map(|(field, is_descending)| {
            let order = left[*field].as_str().cmp(&right[*field].as_str());
            if *is_descending { order.reverse() } else { order }
        });
        compared.fold(Ordering::Equal, Ordering::then)
    });
    Ok(())
}

fn bad_order(order: &str) -> ApiError {
    ApiError::invalid(format!("order_by: '{order}' is not a sortable field, perhaps with DESC."))
}
