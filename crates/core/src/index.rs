//! Who may ask for what, found by who they are: an index of all eligible bindings for lists.
//!
//! It answers from the people's side, so that a page of a list costs what the person holds and not what there is. It
//! is fed node by node, and changes node by node: a policy that was edited costs its own bindings and nothing else.
//! It is as old as what it was fed with. Lists may rest on it; no request and no grant does.

mod entries;
mod node;
mod page;
mod prior;
#[cfg(test)]
mod tests;
mod verdicts;
mod walk;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::eligible::EligibleBinding;
use crate::principal::{Email, Member, Principal};
use crate::resource::Resource;
use crate::role::Role;

use entries::Shelves;
use node::ByName;
use prior::Priors;

pub use entries::{Listed, ListedRole};
pub use node::{Changes, Node, Placed};
pub use page::{Offer, OfferKey, Page, Search};
pub use verdicts::Verdicts;

/// All eligible bindings of a hierarchy, by node and by member.
#[derive(Debug, Default)]
pub struct Index {
    protected: BTreeSet<Resource>,
    nodes: BTreeSet<ByName>,
    /// For each folder and organisation every node beneath it, at any depth.
    below: BTreeMap<Resource, BTreeSet<ByName>>,
    shelves: Shelves,
    priors: Priors,
}

/// The members that a principal is, or is among: what of the index it can be found under.
///
/// A service account counts only where it is named exactly.
pub fn members_of(principal: &Principal, groups: &BTreeSet<Email>) -> BTreeSet<Member> {
    let mut members = BTreeSet::from([Member::Account(principal.clone())]);
    if let Principal::User(email) = principal {
        members.insert(Member::Domain(email.domain().to_owned()));
        members.extend(groups.iter().cloned().map(Member::Group));
    }
    members
}

impl Index {
    /// An empty index. Nothing is offered on the `protected` nodes and below them.
    pub fn new(protected: BTreeSet<Resource>) -> Self {
        Self { protected, ..Self::default() }
    }

    /// The same nodes, and nothing offered on them.
    #[must_use]
    pub fn bare(&self) -> Self {
        Self {
            protected: self.protected.clone(),
            nodes: self.nodes.clone(),
            below: self.below.clone(),
            shelves: Shelves::default(),
            priors: Priors::default(),
        }
    }

    /// The node of this name, if it is known.
    pub fn node(&self, resource: &Resource) -> Option<&Node> {
        self.nodes.get(resource).map(|node| &**node)
    }

    /// How many nodes are known.
    pub fn n_nodes(&self) -> usize {
        self.nodes.len()
    }

    /// What must change so that the known nodes are exactly `placed`.
    pub fn changes(&self, placed: &[Placed]) -> Changes {
        let whole = node::lines(placed, &self.protected);
        let is_new = |node: &Node| self.node(node.resource()) != Some(node);
        let gone = self.nodes.iter().filter(|node| !whole.contains_key(node.resource()));
        let gone = gone.map(|node| node.resource().clone()).collect();
        Changes { gone, set: whole.into_values().filter(is_new).collect() }
    }

    /// Adds a node that lies under `line` (its parent first), or puts it there. What is offered on it stays.
    pub fn place(&mut self, resource: &Resource, display_name: &str, line: &[Resource]) {
        self.set_node(Node::new(resource, display_name, line, &self.protected));
    }

    /// Adds a node, or replaces the one of its name. What is offered on it stays.
    pub fn set_node(&mut self, node: Node) {
        let resource = node.resource().clone();
        self.take_node(&resource);
        let node = ByName(Arc::new(node));
        for above in node.line() {
            self.below.entry(above.clone()).or_default().insert(node.clone());
        }
        self.shelves.move_to(&node);
        self.nodes.insert(node);
    }

    /// Forgets a node and what is offered on it.
    pub fn remove_node(&mut self, resource: &Resource) {
        self.take_node(resource);
        self.shelves.clear(resource);
        self.priors.clear(resource);
    }

    fn take_node(&mut self, resource: &Resource) {
        let Some(old) = self.nodes.take(resource) else { return };
        for above in old.line() {
            if let Some(below) = self.below.get_mut(above) {
                below.remove(resource);
                if below.is_empty() {
                    self.below.remove(above);
                }
            }
        }
    }

    /// Replaces what the policy of `node` offers. Says whether the node is known; nothing is kept for one that is not.
    pub fn set_offers(&mut self, node: &Resource, eligible: &[EligibleBinding]) -> bool {
        let Some(node) = self.nodes.get(node).cloned() else { return false };
        self.shelves.set(&node, eligible);
        true
    }

    /// Whether the policy of `node` offers exactly this, as far as lists show it.
    pub fn offers_just(&self, node: &Resource, eligible: &[EligibleBinding]) -> bool {
        let listed = self.shelves.on(node);
        listed.len() == eligible.len()
            && listed.iter().zip(eligible).all(|(listed, binding)| listed.is(binding))
    }

    /// The nodes whose policies offer anything, in order.
    pub fn offering(&self) -> impl Iterator<Item = &Resource> {
        self.shelves.nodes()
    }

    /// Every role that is offered, in order.
    pub fn roles(&self) -> impl Iterator<Item = &Role> {
        self.shelves.roles()
    }

    /// Lets go of words that nothing uses any more; worth it after many changes.
    pub fn tidy(&mut self) {
        self.shelves.tidy();
    }

    /// How many eligible bindings there are.
    pub fn n_bindings(&self) -> usize {
        self.shelves.n_bindings()
    }
}
