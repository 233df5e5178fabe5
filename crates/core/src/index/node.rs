//! Projects, folders and organisations, each with all that lies above it.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;
use std::sync::Arc;

use crate::resource::Resource;

/// Hierarchies are at most a dozen nodes deep: ten folders, a project, an organisation
/// (<https://cloud.google.com/resource-manager/docs/limits>). A longer line is a circle in what was told.
const LINE_MAX: usize = 16;

/// A node as the hierarchy tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// Its canonical name.
    pub resource: Resource,
    /// For people; may be empty.
    pub display_name: String,
    /// What it lies in.
    pub parent: Option<Resource>,
}

/// A known node.
#[derive(Debug, PartialEq, Eq)]
pub struct Node {
    resource: Resource,
    display_name: Box<str>,
    line: Box<[Resource]>,
    is_protected: bool,
    /// Name and display name in lower case, for searches.
    haystack: Box<str>,
}

/// What separates an index from a list of nodes.
#[derive(Debug, PartialEq, Eq, Default)]
pub struct Changes {
    /// To be removed.
    pub gone: Vec<Resource>,
    /// To be added or replaced.
    pub set: Vec<Node>,
}

impl Node {
    pub(super) fn new(
        resource: &Resource,
        display_name: &str,
        line: &[Resource],
        protected: &BTreeSet<Resource>,
    ) -> Self {
        Self {
            is_protected: protected.contains(resource)
                || line.iter().any(|above| protected.contains(above)),
            haystack: format!("{resource}\n{}", display_name.to_lowercase()).into(),
            resource: resource.clone(),
            display_name: display_name.into(),
            line: line.into(),
        }
    }

    /// Its canonical name.
    pub fn resource(&self) -> &Resource {
        &self.resource
    }

    /// For people; may be empty.
    pub fn display_name(&self) -> &str {
        &self.display_name
    }

    /// All that lies above it, its parent first, as far up as is known.
    pub fn line(&self) -> &[Resource] {
        &self.line
    }

    /// Whether it, or anything above it, holds the system itself: nothing is offered there.
    pub fn is_protected(&self) -> bool {
        self.is_protected
    }

    /// Whether its name or display name contains this text, which is in lower case.
    pub(super) fn is_named(&self, text: &str) -> bool {
        self.haystack.contains(text)
    }

    /// How far above this node another one lies: 0 for itself.
    pub(super) fn height_of(&self, other: &Resource) -> Option<usize> {
        if *other == self.resource {
            return Some(0);
        }
        self.line.iter().position(|above| above == other).map(|at| at.saturating_add(1))
    }
}

/// A shared node that is found and ordered by its name.
#[derive(Debug, Clone)]
pub(super) struct ByName(pub(super) Arc<Node>);

impl Deref for ByName {
    type Target = Node;

    fn deref(&self) -> &Node {
        &self.0
    }
}

impl Borrow<Resource> for ByName {
    fn borrow(&self) -> &Resource {
        &self.0.resource
    }
}

impl Ord for ByName {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.resource.cmp(&other.0.resource)
    }
}

impl PartialOrd for ByName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for ByName {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for ByName {}

/// Every placed node with its whole line, by name. A parent that is not placed itself ends the line.
pub(super) fn lines(placed: &[Placed], protected: &BTreeSet<Resource>) -> BTreeMap<Resource, Node> {
    let parents: BTreeMap<&Resource, Option<&Resource>> =
        placed.iter().map(|node| (&node.resource, node.parent.as_ref())).collect();
    let line = |node: &Placed| -> Vec<Resource> {
        let up = std::iter::successors(node.parent.as_ref(), |above| {
            parents.get(above).copied().flatten()
        });
        up.take(LINE_MAX).cloned().collect()
    };
    let whole = |node: &Placed| {
        let whole = Node::new(&node.resource, &node.display_name, &line(node), protected);
        (node.resource.clone(), whole)
    };
    placed.iter().map(whole).collect()
}
