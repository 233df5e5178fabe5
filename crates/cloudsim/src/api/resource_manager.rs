//! Projects, folders and organisations in the shapes of Resource Manager v1, v2 and v3.

use serde_json::{Value, json};

use crate::api::paging::{PageLimits, PageRequest};
use crate::api::route::{NodeRef, Version};
use crate::api::session::Session;
use crate::error::ApiError;
use crate::world::{Node, NodeKind};

/// When everything in a simulated cloud was made, for clients that read creation times.
pub(crate) const CREATED: &str = "2026-01-01T00:00:00Z";

/// Sizes of search and list pages.
const PAGES: PageLimits = PageLimits { default: 300, max: 1_000 };

pub(crate) fn get(
    session: &Session<'_>,
    node: &NodeRef,
    version: Version,
) -> Result<Value, ApiError> {
    let node = session.require(node, &node.kind.permission("get"))?;
    Ok(shape(node, version))
}

/// The project and all nodes above it, `projects.getAncestry` of v1.
pub(crate) fn ancestry(session: &Session<'_>, node: &NodeRef) -> Result<Value, ApiError> {
    let node = session.require(node, &node.kind.permission("get"))?;
    let line = session.world.ancestry(node);
    let ancestors: Vec<Value> = line
        .iter()
        .map(|it| json!({"resourceId": {"type": it.kind.singular(), "id": it.id}}))
        .collect();
    Ok(json!({"ancestor": ancestors}))
}

/// Search shows what the caller may see; it refuses nobody.
pub(crate) fn search(
    session: &Session<'_>,
    kind: NodeKind,
    version: Version,
    query: &str,
    page: &PageRequest,
) -> Result<Value, ApiError> {
    let terms = terms(query)?;
    let visible = session
        .visible(kind)
        .into_iter()
        .filter(|node| terms.iter().all(|term| term.matches(node)));
    let shapes = visible.map(|node| shape(node, version)).collect();
    Ok(page.cut(shapes, PAGES, session.world.settings.max_page_size)?.answer(kind.collection()))
}

/// Children of one node.
pub(crate) fn list(
    session: &Session<'_>,
    kind: NodeKind,
    version: Version,
    parent: &NodeRef,
    page: &PageRequest,
) -> Result<Value, ApiError> {
    let parent = session.require(parent, &kind.permission("list"))?.name();
    let children = session
        .world
        .nodes
        .values()
        .filter(|node| node.kind == kind && node.parent.as_ref() == Some(&parent));
    let shapes = children.map(|node| shape(node, version)).collect();
    Ok(page.cut(shapes, PAGES, session.world.settings.max_page_size)?.answer(kind.collection()))
}

fn shape(node: &Node, version: Version) -> Value {
    match (version, node.kind) {
        (Version::V3, _) => shape_v3(node),
        (Version::V1 | Version::V2, NodeKind::Project) => json!({
            "projectNumber": node.number.to_string(),
            "projectId": node.id,
            "lifecycleState": "ACTIVE",
            "name": node.display_name,
            "createTime": CREATED,
            "labels": node.labels,
            "parent": parent_v1(node),
        }),
        (Version::V1 | Version::V2, NodeKind::Folder) => json!({
            "name": node.name(),
            "parent": node.parent,
            "displayName": node.display_name,
            "lifecycleState": "ACTIVE",
            "createTime": CREATED,
        }),
        (Version::V1 | Version::V2, NodeKind::Organization) => json!({
            "name": node.name(),
            "displayName": node.display_name,
            "lifecycleState": "ACTIVE",
            "creationTime": CREATED,
            "owner": {"directoryCustomerId": node.customer},
        }),
    }
}

fn shape_v3(node: &Node) -> Value {
    let mut shape = json!({
        "name": node.name_by_number(),
        "displayName": node.display_name,
        "state": "ACTIVE",
        "createTime": CREATED,
        "updateTime": CREATED,
    });
    match node.kind {
        NodeKind::Organization => shape["directoryCustomerId"] = json!(node.customer),
        NodeKind::Folder => shape["parent"] = json!(node.parent),
        NodeKind::Project => {
            shape["parent"] = json!(node.parent);
            shape["projectId"] = json!(node.id);
            shape["labels"] = json!(node.labels);
        }
    }
    shape
}

fn parent_v1(node: &Node) -> Value {
    let parent = node.parent.as_deref().and_then(NodeRef::of_name);
    parent.map_or(Value::Null, |parent| json!({"type": parent.kind.singular(), "id": parent.id}))
}

/// One `field:value` or `field=value` of a search.
#[derive(Debug, PartialEq, Eq)]
struct Term {
    field: String,
    /// In lower case; `*` stands for any text at either end.
    value: String,
}

/// The subset of the query language that is served: terms that must all match. Parentheses, which
/// gcloud puts around what its user asked for, group nothing there.
fn terms(query: &str) -> Result<Vec<Term>, ApiError> {
    if query.matches('(').count() != query.matches(')').count() {
        return Err(ApiError::invalid("query: the parentheses do not match."));
    }
    let words = query.split_whitespace().filter(|word| !word.eq_ignore_ascii_case("AND"));
    words.map(|word| term(word.trim_start_matches('(').trim_end_matches(')'))).collect()
}

fn term(word: &str) -> Result<Term, ApiError> {
    const FIELDS: [&str; 9] = [
        "id",
        "projectid",
        "name",
        "displayname",
        "parent",
        "parent.id",
        "parent.type",
        "state",
        "lifecyclestate",
    ];
    let cut = word.split_once(['=', ':']);
    let (field, value) = cut
        .ok_or_else(|| ApiError::invalid(format!("query: '{word}' is not a field and a value.")))?;
    let field = field.to_ascii_lowercase();
    if !FIELDS.contains(&field.as_str()) && !field.starts_with("labels.") {
        return Err(ApiError::invalid(format!(
            "query: the field '{field}' is not served by the simulated cloud."
        )));
    }
    Ok(Term { field, value: value.trim_matches(['"', '\'']).to_ascii_lowercase() })
}

impl Term {
    fn matches(&self, node: &Node) -> bool {
        let parent = node.parent.as_deref().and_then(NodeRef::of_name);
        let actual = match self.field.as_str() {
            "id" | "projectid" => vec![node.id.clone()],
            "name" => vec![node.name(), node.name_by_number(), node.display_name.clone()],
            "displayname" => vec![node.display_name.clone()],
            "parent" => node.parent.clone().into_iter().collect(),
            "parent.id" => parent.map(|parent| parent.id).into_iter().collect(),
            "parent.type" => {
                parent.map(|parent| parent.kind.singular().to_owned()).into_iter().collect()
            }
            "state" | "lifecyclestate" => vec!["ACTIVE".to_owned()],
            label => {
                let key = label.strip_prefix("labels.").unwrap_or(label);
                node.labels.get(key).cloned().into_iter().collect()
            }
        };
        actual.iter().any(|actual| self.fits(&actual.to_ascii_lowercase()))
    }

    fn fits(&self, actual: &str) -> bool {
        let wanted = self.value.trim_matches('*');
        match (self.value.starts_with('*'), self.value.ends_with('*')) {
            (true, true) => actual.contains(wanted),
            (true, false) => actual.ends_with(wanted),
            (false, true) => actual.starts_with(wanted),
            (false, false) => actual == wanted,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn all_terms_of_a_query_must_match() {
        for (query, expected) in [
            ("", true),
            ("parent:folders/7", true),
            ("parent=folders/8", false),
            ("id:demo-* AND state:ACTIVE", true),
            ("displayName:*shop labels.env=dev", true),
            ("labels.env=prod", false),
            ("lifecycleState:ACTIVE AND (labels.env=dev AND name:\"Web*\")", true),
            ("lifecycleState:ACTIVE AND (labels.env=prod)", false),
            ("name:*web* parent.type:folder parent.id:7", true),
        ] {
            assert_eq!(
                terms(query).unwrap().iter().all(|term| term.matches(&project())),
                expected,
                "{query}"
            );
        }
    }

    #[test]
    fn what_is_not_served_is_refused_and_not_ignored() {
        assert_eq!(terms("nonsense").unwrap_err().code(), 400);
        assert_eq!(terms("createTime:2026").unwrap_err().code(), 400);
        assert_eq!(terms("(id:demo-web OR id:demo-data)").unwrap_err().code(), 400);
        assert_eq!(terms("(id:demo-web").unwrap_err().code(), 400);
    }

    #[test]
    fn version_3_names_a_project_by_number_and_version_1_by_id() {
        assert_eq!(shape(&project(), Version::V3)["name"], "projects/1001");
        assert_eq!(shape(&project(), Version::V1)["parent"], json!({"type": "folder", "id": "7"}));
    }

    fn project() -> Node {
        Node {
            kind: NodeKind::Project,
            id: "demo-web".into(),
            number: 1001,
            display_name: "Web Shop".into(),
            parent: Some("folders/7".into()),
            labels: BTreeMap::from([("env".to_owned(), "dev".to_owned())]),
            customer: None,
        }
    }
}
