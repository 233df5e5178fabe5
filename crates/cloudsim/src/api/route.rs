//! From a request's path to the call that it makes.

use axum::http::Method;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::Value;

use crate::api::paging::PageRequest;
use crate::api::{asset, directory, groups, iam_roles, service, service_accounts};
use crate::error::ApiError;
use crate::policy::Policy;
use crate::quota::Api;
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
    Asset(asset::Call),
    Groups(groups::Call),
    Directory(directory::Call),
    Roles(iam_roles::Call),
    Service(service::Call),
    ServiceAccounts(service_accounts::Call),
}

/// Query parameters in the order sent, and the path that they were sent to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query {
    path: String,
    pairs: Vec<(String, String)>,
}

impl Query {
    pub(crate) fn new(path: &str, pairs: Vec<(String, String)>) -> Self {
        Self { path: path.to_owned(), pairs }
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    pub(crate) fn pairs(&self) -> &[(String, String)] {
        &self.pairs
    }

    /// The parameter, if it is there and not empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    pub(crate) fn all<'a, 'n>(
        &'a self,
        name: &'n str,
    ) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        self.pairs
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

/// A path below its version: `groups/ID/memberships:lookup` is the segments `groups`, `ID` and
/// `memberships`, and the verb `lookup`.
#[derive(Debug, Clone)]
pub(crate) struct Path<'a> {
    pub(crate) version: Version,
    pub(crate) segments: Vec<&'a str>,
    pub(crate) verb: Option<&'a str>,
}

impl<'a> Wire<'a> {
    /// `None` for a path that begins with no version of any API.
    fn versioned(&self) -> Option<Path<'a>> {
        let (version, rest) = self.path.split_once('/')?;
        let version = match version {
            "v1" => Version::V1,
            "v2" => Version::V2,
            "v3" => Version::V3,
            _ => return None,
        };
        let (path, verb) = match rest.rsplit_once(':') {
            // Clients of Google's that do not escape it send the colon of `example.com:web-app` as it is.
            Some((path, id)) if is_domain_of_project(path) && !id.contains('/') => (rest, None),
            Some((path, verb)) if !verb.contains('/') => (path, Some(verb)),
            Some(_) | None => (rest, None),
        };
        Some(Path { version, segments: path.split('/').collect(), verb })
    }
}

/// Whether a path is `projects/example.com`, what stands before the colon of a domain-scoped project's id. No project id
/// has a dot.
fn is_domain_of_project(path: &str) -> bool {
    let domain = path.strip_prefix("projects/");
    domain.is_some_and(|domain| domain.contains('.') && !domain.contains([':', '/', '%']))
}

impl NodeRef {
    pub(crate) fn read(collection: &str, id: &str) -> Option<Self> {
        Some(Self { kind: NodeKind::of_collection(collection)?, id: decode(id)? })
    }

    /// From `projects/ID` and its like.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        let (collection, id) = name.split_once('/')?;
        let is_id = !id.is_empty() && !id.contains('/');
        is_id.then(|| Self::read(collection, id)).flatten()
    }

    /// From a full resource name, `//cloudresourcemanager.googleapis.com/projects/ID` and its like.
    ///
    /// # Errors
    /// 400 for the name of anything else.
    pub(crate) fn of_full_name(full_name: &str) -> Result<Self, ApiError> {
        let name = full_name.strip_prefix("//cloudresourcemanager.googleapis.com/");
        name.and_then(Self::of_name).ok_or_else(|| {
            ApiError::invalid(format!(
                "{full_name} is not the full resource name of a project, folder or organization."
            ))
        })
    }

    pub(crate) fn name(&self) -> String {
        format!("{}/{}", self.kind.collection(), self.id)
    }
}

impl Call {
    /// The method's name, as faults name it.
    pub(crate) fn method(&self) -> &'static str {
        match self {
            Self::GetNode { .. } => "get",
            Self::GetAncestry { .. } => "getAncestry",
            Self::SearchNodes { .. } => "search",
            Self::ListNodes { .. } => "list",
            Self::GetPolicy { .. } => "getIamPolicy",
            Self::SetPolicy { .. } => "setIamPolicy",
            Self::TestPermissions { .. } => "testIamPermissions",
            Self::Asset(call) => call.method(),
            Self::Groups(call) => call.method(),
            Self::Directory(call) => call.method(),
            Self::Roles(call) => call.method(),
            Self::Service(call) => call.method(),
            Self::ServiceAccounts(call) => call.method(),
        }
    }

    /// The name of what the call is about, if it is about one thing.
    pub(crate) fn resource(&self) -> Option<String> {
        match self {
            Self::GetNode { node, .. }
            | Self::GetAncestry { node }
            | Self::GetPolicy { node, .. }
            | Self::SetPolicy { node, .. }
            | Self::TestPermissions { node, .. }
            | Self::ListNodes { parent: node, .. } => Some(node.name()),
            Self::SearchNodes { .. } => None,
            Self::Asset(call) => Some(call.scope.name()),
            Self::Groups(call) => call.resource(),
            Self::Directory(call) => call.resource(),
            Self::Roles(call) => call.resource(),
            Self::Service(call) => Some(call.resource()),
            Self::ServiceAccounts(call) => Some(call.resource()),
        }
    }

    /// Whether the call can change anything but the record of used permissions.
    pub(crate) fn writes(&self) -> bool {
        match self {
            Self::SetPolicy { .. } => true,
            Self::Roles(call) => call.writes(),
            Self::Service(call) => call.writes(),
            Self::GetNode { .. }
            | Self::GetAncestry { .. }
            | Self::SearchNodes { .. }
            | Self::ListNodes { .. }
            | Self::GetPolicy { .. }
            | Self::TestPermissions { .. }
            | Self::Asset(_)
            | Self::Groups(_)
            | Self::Directory(_)
            | Self::ServiceAccounts(_) => false,
        }
    }

    /// The API that the call belongs to, which decides its quota and its pace.
    pub(crate) fn api(&self) -> Api {
        match self {
            Self::GetNode { .. }
            | Self::GetAncestry { .. }
            | Self::SearchNodes { .. }
            | Self::ListNodes { .. }
            | Self::GetPolicy { .. }
            | Self::SetPolicy { .. }
            | Self::TestPermissions { .. } => Api::ResourceManager,
            Self::Asset(_) => Api::AssetInventory,
            Self::Groups(_) => Api::CloudIdentity,
            Self::Directory(_) => Api::Directory,
            Self::Roles(_) | Self::ServiceAccounts(_) => Api::Iam,
            Self::Service(call) => call.api(),
        }
    }

    /// Understands a request.
    ///
    /// # Errors
    /// 404 for a path that no served API has, 400 for parameters or a body that do not fit.
    pub(crate) fn read(wire: &Wire<'_>) -> Result<Self, ApiError> {
        if let Some(rest) = wire.path.strip_prefix("admin/directory/v1/") {
            return directory::Call::read(wire, rest).map(Self::Directory);
        }
        let path = wire.versioned().ok_or_else(|| no_such_path(wire))?;
        if path.version == Version::V1 {
            if let Some(call) = asset::Call::read(wire, &path)? {
                return Ok(Self::Asset(call));
            }
            if let Some(call) = groups::Call::read(wire, &path)? {
                return Ok(Self::Groups(call));
            }
            if let Some(call) = iam_roles::Call::read(wire, &path)? {
                return Ok(Self::Roles(call));
            }
            if let Some(call) = service_accounts::Call::read(wire, &path)? {
                return Ok(Self::ServiceAccounts(call));
            }
            if let Some(call) = service::Call::read(wire, &path)? {
                return Ok(Self::Service(call));
            }
        }
        match (wire.method.as_str(), path.verb) {
            ("GET", None) => read_get(wire, path.version, &path.segments),
            (_, Some(verb)) => read_custom(wire, path.version, &path.segments, verb),
            (_, None) => Err(no_such_path(wire)),
        }
    }
}

fn read_get(wire: &Wire<'_>, version: Version, segments: &[&str]) -> Result<Call, ApiError> {
    let page = || PageRequest::read(&wire.query, "pageSize");
    let call = match (version, segments) {
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

/// Which version of Resource Manager serves which kind.
fn serves(version: Version, collection: &str) -> bool {
    match version {
        Version::V1 => matches!(collection, "projects" | "organizations"),
        Version::V2 => collection == "folders",
        Version::V3 => NodeKind::of_collection(collection).is_some(),
    }
}

pub(crate) fn decode(segment: &str) -> Option<String> {
    percent_decode_str(segment).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

pub(crate) fn json_body(body: &[u8]) -> Result<Value, ApiError> {
    if body.is_empty() { Ok(Value::Null) } else { typed(body) }
}

pub(crate) fn typed<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body)
        .map_err(|error| ApiError::invalid(format!("Invalid JSON payload received. {error}")))
}

pub(crate) fn no_such_path(wire: &Wire<'_>) -> ApiError {
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
    fn a_domain_scoped_project_is_read_escaped_or_not() {
        let project = NodeRef { kind: NodeKind::Project, id: "example.com:web-app".into() };
        for path in ["v3/projects/example.com%3Aweb-app", "v1/projects/example.com:web-app"] {
            let version = if path.starts_with("v1") { Version::V1 } else { Version::V3 };
            let call = Call::GetNode { node: project.clone(), version };
            assert_eq!(get(path, &[]).unwrap(), call, "{path}");
            let policy = post(&format!("{path}:getIamPolicy"), "").unwrap();
            let expected = Call::GetPolicy { node: project.clone(), requested_version: 0 };
            assert_eq!(policy, expected, "{path}");
        }
        assert_eq!(get("v3/projects:search", &[]).unwrap().method(), "search");
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
            "v1/groups/g/members",
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
        let pairs =
            query.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let query = Query::new(path, pairs);
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
