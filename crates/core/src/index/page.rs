//! Pages of lists.

use std::collections::{BTreeMap, BTreeSet};

use crate::condition::Activation;
use crate::principal::Member;
use crate::resource::Resource;
use crate::role::Role;

use super::Index;
use super::entries::Listed;
use super::node::Node;
use super::walk::{Place, Walk};

/// What a list is narrowed to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Search<'a> {
    /// Only on this node.
    pub resource: Option<&'a Resource>,
    /// Only this role.
    pub role: Option<&'a Role>,
    /// Only where the node's name, its display name or the role contains this text, which is in lower case.
    pub text: Option<&'a str>,
}

/// The place of an offer in a list, which stays the same whatever else comes and goes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct OfferKey {
    /// Where.
    pub resource: Resource,
    /// Which role.
    pub role: Role,
    /// Under which condition.
    pub condition: String,
}

/// Something that somebody may ask for.
#[derive(Debug, Clone, Copy)]
pub struct Offer<'a> {
    /// Where.
    pub node: &'a Node,
    /// By which binding, on the node or above it.
    pub by: &'a Listed,
    /// What it takes.
    pub activation: Activation,
}

impl Offer<'_> {
    /// Its place in a list.
    pub fn key(&self) -> OfferKey {
        OfferKey {
            resource: self.node.resource().clone(),
            role: self.by.role().clone(),
            condition: self.by.condition().to_owned(),
        }
    }
}

/// Part of a list.
#[derive(Debug)]
pub struct Page<T> {
    /// In order.
    pub items: Vec<T>,
    /// Whether the list goes on.
    pub has_more: bool,
}

/// What it takes to activate a binding on a node; `None` where it is not offered at all.
type Takes<'a> = &'a dyn Fn(&Node, &Listed) -> Option<Activation>;

impl Index {
    /// What these members may ask for, by node, role and condition, at most `limit` of it and from behind `after` on.
    ///
    /// Where several bindings offer the same, the one that filing would choose stands for them: without a peer before
    /// with one, then the nearest.
    pub fn offers<'a>(
        &'a self,
        members: &BTreeSet<Member>,
        search: Search<'_>,
        after: Option<&OfferKey>,
        limit: usize,
        takes: Takes<'_>,
    ) -> Page<Offer<'a>> {
        // A node is worth a look if it is named, or if a role might be.
        let by_role = search.text.is_some_and(|text| self.shelves.is_any_role_named(text));
        let is_wanted =
            move |node: &Node| by_role || search.text.is_none_or(|text| node.is_named(text));
        let mut items = Vec::new();
        for place in
            self.places(members, search.resource, after.map(|after| &after.resource), is_wanted)
        {
            let here = after.filter(|after| after.resource == *place.node.resource());
            items.extend(offers_here(&place, search, takes).filter(|offer| {
                here.is_none_or(|after| {
                    (offer.by.role(), offer.by.condition()) > (&after.role, &*after.condition)
                })
            }));
            if items.len() > limit {
                break;
            }
        }
        page(items, limit)
    }

    /// The nodes on which these members may ask for anything, at most `limit` of them and from behind `after` on.
    pub fn offered_on<'a>(
        &'a self,
        members: &BTreeSet<Member>,
        text: Option<&str>,
        after: Option<&Resource>,
        limit: usize,
        takes: Takes<'_>,
    ) -> Page<&'a Node> {
        let is_wanted = |node: &Node| {
            after != Some(node.resource()) && text.is_none_or(|text| node.is_named(text))
        };
        let mut items = Vec::new();
        for place in self.places(members, None, after, is_wanted) {
            if place.held.iter().any(|listed| takes(place.node, listed).is_some()) {
                items.push(place.node);
            }
            if items.len() > limit {
                break;
            }
        }
        page(items, limit)
    }

    /// The binding of this name that these members hold, if they do.
    pub fn held<'a>(&'a self, members: &BTreeSet<Member>, name: &str) -> Option<&'a Listed> {
        self.all_held(members).find(|listed| listed.name() == name)
    }

    /// Everything that these members hold, on whatever node; what several of them hold comes several times.
    pub fn all_held<'a>(&'a self, members: &BTreeSet<Member>) -> impl Iterator<Item = &'a Listed> {
        let held = members.iter().filter_map(|member| self.shelves.held_by(member));
        held.flat_map(|held| held.values()).flatten().map(|listed| &**listed)
    }

    /// Whether these members hold the binding of this name, and it reaches `resource`.
    pub fn holds(&self, members: &BTreeSet<Member>, resource: &Resource, name: &str) -> bool {
        let Some(node) = self.node(resource) else { return false };
        let held = || members.iter().filter_map(|member| self.shelves.held_by(member));
        let nodes = std::iter::once(resource).chain(node.line());
        let mut listed = nodes.flat_map(|node| held().filter_map(|held| held.get(node))).flatten();
        listed.any(|listed| listed.name() == name)
    }

    /// Every member of the bindings that make the same eligibility: same role, condition and node.
    pub fn sharing<'a>(&'a self, listed: &'a Listed) -> BTreeSet<&'a Member> {
        let same = self.shelves.on(listed.node().resource()).iter();
        let same = same.filter(|other| other.name() == listed.name());
        same.flat_map(|other| other.members()).collect()
    }

    /// Where these members hold anything, on one node or from a node on.
    fn places<'a>(
        &'a self,
        members: &BTreeSet<Member>,
        only: Option<&Resource>,
        after: Option<&Resource>,
        is_wanted: impl Fn(&Node) -> bool,
    ) -> impl Iterator<Item = Place<'a>> {
        let is_wanted = move |node: &Node| !node.is_protected() && is_wanted(node);
        // Behind the one node that is asked for there is nothing.
        let walk = Walk::new(self, members, after.max(only), is_wanted);
        walk.take_while(move |place| only.is_none_or(|only| place.node.resource() <= only))
    }
}

fn page<T>(mut items: Vec<T>, limit: usize) -> Page<T> {
    let has_more = items.len() > limit;
    items.truncate(limit);
    Page { items, has_more }
}

/// What of a place the search is about, one for each role and condition, in order.
fn offers_here<'a>(
    place: &Place<'a>,
    search: Search<'_>,
    takes: Takes<'_>,
) -> impl Iterator<Item = Offer<'a>> + use<'a> {
    let node = place.node;
    let role_must_match = search.text.filter(|text| !node.is_named(text));
    let is_meant = |listed: &&'a Listed| {
        search.role.is_none_or(|role| role == listed.role())
            && role_must_match.is_none_or(|text| listed.listed_role().is_named(text))
    };
    let mut best: BTreeMap<(&Role, &str), Candidate<'a>> = BTreeMap::new();
    for listed in place.held.iter().copied().filter(is_meant) {
        let (Some(activation), Some(height)) =
            (takes(node, listed), node.height_of(listed.node().resource()))
        else {
            continue;
        };
        let candidate = Candidate { listed, activation, height };
        let kept = best.entry((listed.role(), listed.condition())).or_insert(candidate);
        if candidate.rank() < kept.rank() {
            *kept = candidate;
        }
    }
    best.into_values().map(move |best| Offer { node, by: best.listed, activation: best.activation })
}

/// A binding that offers something here.
#[derive(Clone, Copy)]
struct Candidate<'a> {
    listed: &'a Listed,
    activation: Activation,
    height: usize,
}

impl Candidate<'_> {
    fn rank(&self) -> (Activation, usize) {
        (self.listed.activation(), self.height)
    }
}
