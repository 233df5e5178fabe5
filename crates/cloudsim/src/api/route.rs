//! From a request's path to the call that it makes.

use axum::http::Method;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::Value;

use crate::api::paging::PageRequest;
use crate::error::ApiError;
use crate::policy::Policy;
use crate::quota::Metric;
use crate::world::NodeKind;

/// The version of an API, which decides the shape of its answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    V1,
    V2,
    V3,
}

/// A node as a caller names it: kind, and id or number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NodeRef {
    pub(crate) kind: NodeKind,
    pub(crate) id: String,
}

/// One call of one of Google's APIs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Call {
    GetNode { node: NodeRef, version: Version },
    GetAncestry { node: NodeRef },
    SearchNodes { kind: NodeKind, version: Version, query: String, page: PageRequest },
    ListNodes { kind: NodeKind, version: Version, parent: NodeRef, page: PageRequest },
    GetPolicy { node: NodeRef, requested_version: i64 },
    SetPolicy { node: NodeRef, policy: Policy, update_mask: Option<String> },
    TestPermissions { node: NodeRef, permissions: Vec<String> },
    EffectivePolicies { scope: NodeRef, names: Vec<String> },
    SearchPolicies { scope: NodeRef, query: String, page: PageRequest },
    LookupGroup { email: String },
    TransitiveGroups { query: String, page: PageRequest },
    TransitiveMembership { group: String, query: String },
    DirectoryGroups { member: Option<String>, page: PageRequest },
    DirectoryGroup { key: String },
    DirectoryMembers { key: String, page: PageRequest },
    DirectoryHasMember { key: String, member: String },
    GetRole { name: String },
    ListRoles { parent: Option<NodeRef>, full: bool, page: PageRequest },
}

/// Query parameters in the order sent.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn new(pairs: Vec<(String, String)>) -> Self {
        Self(pairs)
    }

    /// The parameter, if it is there and not empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    fn all<'a, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        self.0
            .iter()
            .filter(move |(key, value)| key == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }
}

/// A request, taken apart but not understood.
pub(crate) struct Wire<'a> {
    pub(crate) method: &'a Method,
    /// Path without the leading slash.
    pub(crate) path: &'a str,
    pub(crate) query: Query,
    pub(crate) body: &'a [u8],
}

impl NodeRef {
    fn read(collection: &str, id: &str) -> Option<Self> {
        Some(Self { kind: NodeKind::of_collection(collection)?, id: decode(id)? })
    }

    /// From `projects/ID` and its like.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        let (collection, id) = name.split_once('/')?;
        let is_id = !id.is_empty() && !id.contains('/');
        is_id.then(|| Self::read(collection, id)).flatten()
    }

    pub(crate) fn name(&self) -> String {
        format!("{}/{}", self.kind.collection(), self.id)
    }
}

impl Call {
    /// The method's name, as faults name it.
    pub(crate) fn method(&self) -> &'static str {
        match self {
            Self::GetNode { .. } | Self::DirectoryGroup { .. } | Self::GetRole { .. } => "get",
            Self::GetAncestry { .. } => "getAncestry",
            Self::SearchNodes { .. } => "search",
            Self::ListNodes { .. }
            | Self::DirectoryGroups { .. }
            | Self::DirectoryMembers { .. }
            | Self::ListRoles { .. } => "list",
            Self::GetPolicy { .. } => "getIamPolicy",
            Self::SetPolicy { .. } => "setIamPolicy",
            Self::TestPermissions { .. } => "testIamPermissions",
            Self::EffectivePolicies { .. } => "batchGet",
            Self::SearchPolicies { .. } => "searchAllIamPolicies",
            Self::LookupGroup { .. } => "lookup",
            Self::TransitiveGroups { .. } => "searchTransitiveGroups",
            Self::TransitiveMembership { .. } => "checkTransitiveMembership",
            Self::DirectoryHasMember { .. } => "hasMember",
        }
    }

    /// The node that the call is about, if any.
    pub(crate) fn node(&self) -> Option<&NodeRef> {
        match self {
            Self::GetNode { node, .. }
            | Self::GetAncestry { node }
            | Self::GetPolicy { node, .. }
            | Self::SetPolicy { node, .. }
            | Self::TestPermissions { node, .. }
            | Self::EffectivePolicies { scope: node, .. }
            | Self::SearchPolicies { scope: node, .. }
            | Self::ListNodes { parent: node, .. } => Some(node),
            Self::ListRoles { parent, .. } => parent.as_ref(),
            Self::SearchNodes { .. }
            | Self::LookupGroup { .. }
            | Self::TransitiveGroups { .. }
            | Self::TransitiveMembership { .. }
            | Self::DirectoryGroups { .. }
            | Self::DirectoryGroup { .. }
            | Self::DirectoryMembers { .. }
            | Self::DirectoryHasMember { .. }
            | Self::GetRole { .. } => None,
        }
    }

    /// The name of the group or role that the call is about, if any.
    pub(crate) fn other_resource(&self) -> Option<String> {
        match self {
            Self::TransitiveMembership { group, .. } => Some(format!("groups/{group}")),
            Self::DirectoryGroup { key }
            | Self::DirectoryMembers { key, .. }
            | Self::DirectoryHasMember { key, .. } => Some(format!("groups/{key}")),
            Self::LookupGroup { email } => Some(format!("groups/{email}")),
            Self::GetRole { name } => Some(name.clone()),
            Self::GetNode { .. }
            | Self::GetAncestry { .. }
            | Self::SearchNodes { .. }
            | Self::ListNodes { .. }
            | Self::GetPolicy { .. }
            | Self::SetPolicy { .. }
            | Self::TestPermissions { .. }
            | Self::EffectivePolicies { .. }
            | Self::SearchPolicies { .. }
            | Self::TransitiveGroups { .. }
            | Self::DirectoryGroups { .. }
            | Self::ListRoles { .. } => None,
        }
    }

    /// Whether the call can change a policy.
    pub(crate) fn writes(&self) -> bool {
        matches!(self, Self::SetPolicy { .. })
    }

    /// The quota of Resource Manager that the call spends, if any.
    pub(crate) fn metric(&self) -> Option<Metric> {
        match self {
            Self::SetPolicy { .. } => Some(Metric::Write),
            Self::GetNode { .. }
            | Self::GetAncestry { .. }
            | Self::SearchNodes { .. }
            | Self::ListNodes { .. }
            | Self::GetPolicy { .. }
            | Self::TestPermissions { .. } => Some(Metric::Read),
            Self::EffectivePolicies { .. }
            | Self::SearchPolicies { .. }
            | Self::LookupGroup { .. }
            | Self::TransitiveGroups { .. }
            | Self::TransitiveMembership { .. }
            | Self::DirectoryGroups { .. }
            | Self::DirectoryGroup { .. }
            | Self::DirectoryMembers { .. }
            | Self::DirectoryHasMember { .. }
            | Self::GetRole { .. }
            | Self::ListRoles { .. } => None,
        }
    }

    /// Understands a request.
    ///
    /// # Errors
    /// 404 for a path that no served API has, 400 for parameters or a body that do not fit.
    pub(crate) fn read(wire: &Wire<'_>) -> Result<Self, ApiError> {
        if let Some(rest) = wire.path.strip_prefix("admin/directory/v1/") {
            return directory(wire, rest);
        }
        let versioned = wire.path.split_once('/').and_then(|(version, rest)| match version {
            "v1" => Some((Version::V1, rest)),
            "v2" => Some((Version::V2, rest)),
            "v3" => Some((Version::V3, rest)),
            _ => None,
        });
        let Some((version, rest)) = versioned else {
            return Err(no_such_path(wire));
        };
        let (path, verb) = match rest.rsplit_once(':') {
            Some((path, verb)) if !verb.contains('/') => (path, Some(verb)),
            Some(_) | None => (rest, None),
        };
        let segments: Vec<&str> = path.split('/').collect();
        match (wire.method.as_str(), verb) {
            ("GET", None) => read_get(wire, version, &segments),
            (_, Some(verb)) => read_custom(wire, version, &segments, verb),
            (_, None) => Err(no_such_path(wire)),
        }
    }
}

fn read_get(wire: &Wire<'_>, version: Version, segments: &[&str]) -> Result<Call, ApiError> {
    let page = || PageRequest::read(&wire.query, "pageSize");
    let call = match (version, segments) {
        (Version::V1, ["roles"]) => return list_roles(wire, None),
        (Version::V1, [parent, id, "roles"]) => {
            let parent = NodeRef::read(parent, id).ok_or_else(|| no_such_path(wire))?;
            return list_roles(wire, Some(parent));
        }
        (Version::V1, ["roles", ..] | ["projects" | "organizations", _, "roles", _]) => {
            Some(Call::GetRole {
                name: decode(&segments.join("/")).ok_or_else(|| no_such_path(wire))?,
            })
        }
        (Version::V1, ["projects"]) => {
            let query = wire.query.get("filter").unwrap_or_default().to_owned();
            Some(Call::SearchNodes { kind: NodeKind::Project, version, query, page: page()? })
        }
        (Version::V2, ["folders"]) | (Version::V3, ["folders" | "projects"]) => {
            let kind = if segments == ["folders"] { NodeKind::Folder } else { NodeKind::Project };
            let parent = wire.query.get("parent").and_then(NodeRef::of_name);
            let parent = parent.ok_or_else(|| {
                ApiError::invalid("parent must name a folder or an organization.")
            })?;
            Some(Call::ListNodes { kind, version, parent, page: page()? })
        }
        (_, [collection, id]) if serves(version, collection) => {
            NodeRef::read(collection, id).map(|node| Call::GetNode { node, version })
        }
        _ => None,
    };
    call.ok_or_else(|| no_such_path(wire))
}

fn read_custom(
    wire: &Wire<'_>,
    version: Version,
    segments: &[&str],
    verb: &str,
) -> Result<Call, ApiError> {
    let is_get = wire.method == Method::GET;
    let page = || PageRequest::read(&wire.query, "pageSize");
    let query = || wire.query.get("query").unwrap_or_default().to_owned();
    match (version, segments, verb) {
        (Version::V3, [collection], "search") if is_get => {
            let kind = NodeKind::of_collection(collection).ok_or_else(|| no_such_path(wire))?;
            Ok(Call::SearchNodes { kind, version, query: query(), page: page()? })
        }
        (Version::V1, ["organizations"], "search") | (Version::V2, ["folders"], "search")
            if !is_get =>
        {
            let kind =
                if segments == ["folders"] { NodeKind::Folder } else { NodeKind::Organization };
            let body = json_body(wire.body)?;
            let text =
                body["query"].as_str().or(body["filter"].as_str()).unwrap_or_default().to_owned();
            Ok(Call::SearchNodes {
                kind,
                version,
                query: text,
                page: PageRequest::from_body(&body),
            })
        }
        (Version::V1, [collection, id, "effectiveIamPolicies"], "batchGet") if is_get => {
            let scope = NodeRef::read(collection, id).ok_or_else(|| no_such_path(wire))?;
            Ok(Call::EffectivePolicies {
                scope,
                names: wire.query.all("names").map(str::to_owned).collect(),
            })
        }
        (Version::V1, [collection, id], "searchAllIamPolicies") if is_get => {
            let scope = NodeRef::read(collection, id).ok_or_else(|| no_such_path(wire))?;
            Ok(Call::SearchPolicies { scope, query: query(), page: page()? })
        }
        (Version::V1, ["groups"], "lookup") if is_get => {
            let email = wire
                .query
                .get("groupKey.id")
                .ok_or_else(|| ApiError::invalid("groupKey.id is required."))?;
            Ok(Call::LookupGroup { email: email.to_ascii_lowercase() })
        }
        (Version::V1, ["groups", "-", "memberships"], "searchTransitiveGroups") if is_get => {
            Ok(Call::TransitiveGroups { query: query(), page: page()? })
        }
        (Version::V1, ["groups", id, "memberships"], "checkTransitiveMembership") if is_get => {
            let group = decode(id).ok_or_else(|| no_such_path(wire))?;
            Ok(Call::TransitiveMembership { group, query: query() })
        }
        (_, [collection, id], _) if !is_get && serves(version, collection) => {
            let node = NodeRef::read(collection, id).ok_or_else(|| no_such_path(wire))?;
            read_policy_call(wire, node, verb)
        }
        _ => Err(no_such_path(wire)),
    }
}

/// Body of `getIamPolicy`.
#[derive(Default, Deserialize)]
struct GetPolicyBody {
    #[serde(default)]
    options: GetPolicyOptions,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct GetPolicyOptions {
    #[serde(default)]
    requested_policy_version: i64,
}

/// Body of `setIamPolicy`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SetPolicyBody {
    policy: Policy,
    #[serde(default)]
    update_mask: Option<String>,
}

/// Body of `testIamPermissions`.
#[derive(Deserialize)]
struct TestPermissionsBody {
    #[serde(default)]
    permissions: Vec<String>,
}

fn read_policy_call(wire: &Wire<'_>, node: NodeRef, verb: &str) -> Result<Call, ApiError> {
    match verb {
        "getIamPolicy" => {
            let body: GetPolicyBody =
                if wire.body.is_empty() { GetPolicyBody::default() } else { typed(wire.body)? };
            Ok(Call::GetPolicy { node, requested_version: body.options.requested_policy_version })
        }
        "setIamPolicy" => {
            let body: SetPolicyBody = typed(wire.body)?;
            Ok(Call::SetPolicy { node, policy: body.policy, update_mask: body.update_mask })
        }
        "testIamPermissions" => {
            let body: TestPermissionsBody = typed(wire.body)?;
            Ok(Call::TestPermissions { node, permissions: body.permissions })
        }
        "getAncestry" if node.kind == NodeKind::Project => Ok(Call::GetAncestry { node }),
        _ => Err(no_such_path(wire)),
    }
}

fn directory(wire: &Wire<'_>, rest: &str) -> Result<Call, ApiError> {
    if wire.method != Method::GET {
        return Err(no_such_path(wire));
    }
    let page = || PageRequest::read(&wire.query, "maxResults");
    let key = |text: &str| {
        decode(text).map(|key| key.to_ascii_lowercase()).ok_or_else(|| no_such_path(wire))
    };
    match rest.split('/').collect::<Vec<_>>().as_slice() {
        ["groups"] => Ok(Call::DirectoryGroups { member: directory_member(wire)?, page: page()? }),
        ["groups", group] => Ok(Call::DirectoryGroup { key: key(group)? }),
        ["groups", group, "members"] => {
            Ok(Call::DirectoryMembers { key: key(group)?, page: page()? })
        }
        ["groups", group, "hasMember", member] => {
            Ok(Call::DirectoryHasMember { key: key(group)?, member: key(member)? })
        }
        _ => Err(no_such_path(wire)),
    }
}

/// The member by whom groups are listed: `userKey`, or `query=memberKey=…` beside `customer` or `domain`.
fn directory_member(wire: &Wire<'_>) -> Result<Option<String>, ApiError> {
    if let Some(key) = wire.query.get("userKey") {
        return Ok(Some(key.to_ascii_lowercase()));
    }
    if wire.query.get("customer").is_none() && wire.query.get("domain").is_none() {
        return Err(ApiError::invalid("Bad Request: customer, domain or userKey is required."));
    }
    match wire.query.get("query") {
        None => Ok(None),
        Some(query) => match query.split_once('=') {
            Some(("memberKey", key)) => Ok(Some(key.trim_matches('\'').to_ascii_lowercase())),
            Some(_) | None => Err(ApiError::invalid("Invalid Input: query")),
        },
    }
}

fn list_roles(wire: &Wire<'_>, parent: Option<NodeRef>) -> Result<Call, ApiError> {
    let full = matches!(wire.query.get("view"), Some("FULL" | "1"));
    Ok(Call::ListRoles { parent, full, page: PageRequest::read(&wire.query, "pageSize")? })
}

/// Which version of Resource Manager serves which kind.
fn serves(version: Version, collection: &str) -> bool {
    match version {
        Version::V1 => matches!(collection, "projects" | "organizations"),
        Version::V2 => collection == "folders",
        Version::V3 => NodeKind::of_collection(collection).is_some(),
    }
}

fn decode(segment: &str) -> Option<String> {
    percent_decode_str(segment).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

fn json_body(body: &[u8]) -> Result<Value, ApiError> {
    if body.is_empty() { Ok(Value::Null) } else { typed(body) }
}

fn typed<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body)
        .map_err(|error| ApiError::invalid(format!("Invalid JSON payload received. {error}")))
}

fn no_such_path(wire: &Wire<'_>) -> ApiError {
    ApiError::not_found(format!(
        "The simulated cloud does not serve {} /{}.",
        wire.method, wire.path
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_paths_of_client_libraries_and_of_gcloud_lead_to_the_same_calls() {
        let project = NodeRef { kind: NodeKind::Project, id: "p".into() };
        for path in ["v1/projects/p:getIamPolicy", "v3/projects/p:getIamPolicy"] {
            let call = post(path, r#"{"options": {"requestedPolicyVersion": 3}}"#).unwrap();
            assert_eq!(call, Call::GetPolicy { node: project.clone(), requested_version: 3 });
        }
        for path in [
            "v2/folders/1:testIamPermissions",
            "v1/organizations/1:testIamPermissions",
            "v3/folders/1:testIamPermissions",
        ] {
            assert_eq!(
                post(path, r#"{"permissions": ["a"]}"#).unwrap().method(),
                "testIamPermissions"
            );
        }
        assert_eq!(
            get("v3/projects/p", &[]).unwrap(),
            Call::GetNode { node: project, version: Version::V3 }
        );
    }

    #[test]
    fn methods_have_the_names_that_faults_use() {
        for (path, method) in [
            ("v3/projects:search", "search"),
            ("v1/organizations/1/effectiveIamPolicies:batchGet", "batchGet"),
            ("v1/groups/-/memberships:searchTransitiveGroups", "searchTransitiveGroups"),
            ("v1/groups/g/memberships:checkTransitiveMembership", "checkTransitiveMembership"),
            ("admin/directory/v1/groups/g%40x/members", "list"),
            ("v1/roles/compute.viewer", "get"),
            ("v1/organizations/1/roles/custom", "get"),
            ("v1/organizations/1/roles", "list"),
        ] {
            assert_eq!(get(path, &[]).unwrap().method(), method, "{path}");
        }
        assert_eq!(get("v1/groups:lookup", &[("groupKey.id", "g@x")]).unwrap().method(), "lookup");
        assert_eq!(get("v3/folders", &[("parent", "organizations/1")]).unwrap().method(), "list");
    }

    #[test]
    fn an_empty_body_reads_a_policy_as_version_0() {
        assert!(matches!(
            post("v3/projects/p:getIamPolicy", "").unwrap(),
            Call::GetPolicy { requested_version: 0, .. }
        ));
    }

    #[test]
    fn unknown_paths_are_404_and_bad_bodies_400() {
        for path in [
            "",
            "v4/projects/p",
            "v1/folders/1",
            "v3/projects",
            "v3/things/1",
            "v1/groups/g",
            "admin/directory/v1/users",
        ] {
            assert!(matches!(get(path, &[]).unwrap_err().code(), 400 | 404), "{path}");
        }
        assert_eq!(post("v3/projects/p:undelete", "{}").unwrap_err().code(), 404);
        assert_eq!(get("v3/projects/p:setIamPolicy", &[]).unwrap_err().code(), 404);
        assert_eq!(post("v3/projects/p:setIamPolicy", "{").unwrap_err().code(), 400);
        assert_eq!(post("v3/projects/p:setIamPolicy", "{}").unwrap_err().code(), 400);
    }

    fn get(path: &str, query: &[(&str, &str)]) -> Result<Call, ApiError> {
        let query = Query::new(
            query.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        );
        Call::read(&Wire { method: &Method::GET, path, query, body: b"" })
    }

    fn post(path: &str, body: &str) -> Result<Call, ApiError> {
        Call::read(&Wire {
            method: &Method::POST,
            path,
            query: Query::default(),
            body: body.as_bytes(),
        })
    }
}
