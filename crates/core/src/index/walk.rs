//! The nodes on which somebody holds anything, in the order of their names, lazily.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, btree_map, btree_set};
use std::sync::Arc;

use crate::principal::Member;
use crate::resource::Resource;

use super::Index;
use super::entries::{Held, Listed};
use super::node::{ByName, Node};

/// The first name of a node that can hold others; projects come before all of them.
const FIRST_CONTAINER: Resource = Resource::Folder(0);

/// One node, and what somebody holds there, on the node itself or above it.
pub(super) struct Place<'a> {
    pub(super) node: &'a Node,
    pub(super) held: Vec<&'a Listed>,
}

/// One ordered run of nodes: those whose own policies name a member, or those below a folder whose policy does.
enum Source<'a> {
    Held(btree_map::Range<'a, ByName, Box<[Arc<Listed>]>>),
    Below(btree_set::Range<'a, ByName>),
}

impl<'a> Source<'a> {
    fn next(&mut self) -> Option<(&'a Node, &'a [Arc<Listed>])> {
        match self {
            Self::Held(run) => run.next().map(|(node, listed)| (&**node, &**listed)),
            Self::Below(run) => run.next().map(|node| (&**node, &[][..])),
        }
    }
}

/// The next node of a source.
struct Head<'a> {
    node: &'a Node,
    listed: &'a [Arc<Listed>],
    source: usize,
}

impl Head<'_> {
    fn key(&self) -> (&Resource, usize) {
        (self.node.resource(), self.source)
    }
}

impl Ord for Head<'_> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

impl PartialOrd for Head<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Head<'_> {}

/// Merges all sources of some members.
pub(super) struct Walk<'a, W> {
    /// Whether a node is worth a look; asked before it is put in order with others, which costs more.
    is_wanted: W,
    /// What the members hold on folders and organisations: it reaches down.
    above: BTreeMap<&'a Resource, Vec<&'a Listed>>,
    sources: Vec<Source<'a>>,
    heads: BinaryHeap<Reverse<Head<'a>>>,
}

impl<'a, W: Fn(&Node) -> bool> Walk<'a, W> {
    /// From `from` on, over the nodes that are wanted.
    pub(super) fn new(
        index: &'a Index,
        members: &BTreeSet<Member>,
        from: Option<&Resource>,
        is_wanted: W,
    ) -> Self {
        let held: Vec<&Held> =
            members.iter().filter_map(|member| index.shelves.held_by(member)).collect();
        let above = above(&held);
        // What lies below a folder lies below everything above that folder too.
        let is_top = |container: &&&Resource| {
            let line = index.node(container).map_or(&[][..], Node::line);
            !line.iter().any(|upper| above.contains_key(upper))
        };
        let below = above.keys().filter(is_top).filter_map(|container| index.below.get(*container));
        let first = || from.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Included);
        let unbounded = std::ops::Bound::Unbounded;
        let below =
            below.map(|nodes| Source::Below(nodes.range::<Resource, _>((first(), unbounded))));
        let own =
            held.iter().map(|held| Source::Held(held.range::<Resource, _>((first(), unbounded))));
        let sources = own.chain(below).collect();
        let mut walk = Self { is_wanted, above, sources, heads: BinaryHeap::new() };
        for source in 0..walk.sources.len() {
            walk.refill(source);
        }
        walk
    }

    fn refill(&mut self, source: usize) {
        let Some(run) = self.sources.get_mut(source) else { return };
        while let Some((node, listed)) = run.next() {
            if (self.is_wanted)(node) {
                self.heads.push(Reverse(Head { node, listed, source }));
                break;
            }
        }
    }
}

impl<'a, W: Fn(&Node) -> bool> Iterator for Walk<'a, W> {
    type Item = Place<'a>;

    fn next(&mut self) -> Option<Place<'a>> {
        let node = self.heads.peek()?.0.node;
        let mut held = Vec::new();
        while let Some(Reverse(head)) = self.heads.peek()
            && head.node.resource() == node.resource()
        {
            let (listed, source) = (head.listed, head.source);
            held.extend(listed.iter().map(|listed| &**listed));
            self.heads.pop();
            self.refill(source);
        }
        let above = node.line().iter().filter_map(|above| self.above.get(above));
        held.extend(above.flatten().copied());
        Some(Place { node, held })
    }
}

fn above<'a>(held: &[&'a Held]) -> BTreeMap<&'a Resource, Vec<&'a Listed>> {
    let mut above: BTreeMap<&Resource, Vec<&Listed>> = BTreeMap::new();
    for (node, listed) in held.iter().flat_map(|held| held.range::<Resource, _>(FIRST_CONTAINER..))
    {
        let listed = listed.iter().map(|listed| &**listed);
        above.entry(node.resource()).or_default().extend(listed);
    }
    above
}
