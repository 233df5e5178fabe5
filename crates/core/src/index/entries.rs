//! Eligible bindings, each text of theirs held once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::condition::Activation;
use crate::eligible::EligibleBinding;
use crate::principal::Member;
use crate::resource::Resource;
use crate::role::Role;

use super::node::{ByName, Node};

/// One eligible binding as lists show it.
#[derive(Debug)]
pub struct Listed {
    name: Box<str>,
    pub(super) node: ByName,
    role: Arc<ListedRole>,
    condition: Arc<str>,
    activation: Activation,
    members: Box<[Arc<Member>]>,
}

/// A role and how it is searched for.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListedRole {
    role: Role,
    lower: Box<str>,
}

impl ListedRole {
    /// Whether its name contains this text, which is in lower case.
    pub(super) fn is_named(&self, text: &str) -> bool {
        self.lower.contains(text)
    }
}

impl Listed {
    /// The name of the eligibility.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The node whose policy carries the binding.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// The role.
    pub fn role(&self) -> &Role {
        &self.role.role
    }

    pub(super) fn listed_role(&self) -> &ListedRole {
        &self.role
    }

    /// The resource condition that is carried into a granted binding; empty for none.
    pub fn condition(&self) -> &str {
        &self.condition
    }

    /// Alone, or with a peer's approval, as the binding says.
    pub fn activation(&self) -> Activation {
        self.activation
    }

    /// Who is eligible.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().map(|member| &**member)
    }
}

impl Listed {
    /// Whether it stands for this binding. The name stands for node, role and condition.
    pub(super) fn is(&self, binding: &EligibleBinding) -> bool {
        *self.name == *binding.name
            && self.role.role == binding.role
            && self.activation == binding.activation
            && self.members().eq(binding.members.iter())
    }
}

/// A person's or group's own bindings, by the node that carries them.
pub(super) type Held = BTreeMap<ByName, Box<[Arc<Listed>]>>;

/// Every binding twice: on its node, and under each of its members.
#[derive(Debug, Default)]
pub(super) struct Shelves {
    on: BTreeMap<Resource, Box<[Arc<Listed>]>>,
    by_member: BTreeMap<Arc<Member>, Held>,
    roles: BTreeMap<Role, Arc<ListedRole>>,
    conditions: BTreeSet<Arc<str>>,
}

impl Shelves {
    pub(super) fn on(&self, node: &Resource) -> &[Arc<Listed>] {
        self.on.get(node).map_or(&[], |listed| listed)
    }

    pub(super) fn held_by(&self, member: &Member) -> Option<&Held> {
        self.by_member.get(member)
    }

    pub(super) fn nodes(&self) -> impl Iterator<Item = &Resource> {
        self.on.keys()
    }

    pub(super) fn roles(&self) -> impl Iterator<Item = &Role> {
        self.roles.keys()
    }

    pub(super) fn is_any_role_named(&self, text: &str) -> bool {
        self.roles.values().any(|role| role.is_named(text))
    }

    pub(super) fn n_bindings(&self) -> usize {
        self.on.values().map(|listed| listed.len()).sum()
    }

    pub(super) fn set(&mut self, node: &ByName, eligible: &[EligibleBinding]) {
        self.clear(node.resource());
        let listed: Box<[_]> = eligible.iter().map(|binding| self.listed(node, binding)).collect();
        self.put(node, listed);
    }

    /// The bindings of the node of this name, from now on on this one.
    pub(super) fn move_to(&mut self, node: &ByName) {
        let moved = |old: &Arc<Listed>| {
            Arc::new(Listed {
                name: old.name.clone(),
                node: node.clone(),
                role: old.role.clone(),
                condition: old.condition.clone(),
                activation: old.activation,
                members: old.members.clone(),
            })
        };
        let listed: Box<[_]> = self.on(node.resource()).iter().map(moved).collect();
        self.clear(node.resource());
        self.put(node, listed);
    }

    pub(super) fn clear(&mut self, node: &Resource) {
        let Some(old) = self.on.remove(node) else { return };
        for member in old.iter().flat_map(|listed| &listed.members) {
            if let Some(held) = self.by_member.get_mut(member) {
                held.remove(node);
                if held.is_empty() {
                    self.by_member.remove(member);
                }
            }
        }
    }

    fn put(&mut self, node: &ByName, listed: Box<[Arc<Listed>]>) {
        if listed.is_empty() {
            return;
        }
        let mut of_member: BTreeMap<Arc<Member>, Vec<Arc<Listed>>> = BTreeMap::new();
        for binding in &listed {
            for member in &binding.members {
                let held = of_member.entry(member.clone()).or_default();
                // A binding may name somebody twice.
                if held.last().is_none_or(|last| !Arc::ptr_eq(last, binding)) {
                    held.push(binding.clone());
                }
            }
        }
        for (member, held) in of_member {
            self.by_member.entry(member).or_default().insert(node.clone(), held.into());
        }
        self.on.insert(node.resource().clone(), listed);
    }

    fn listed(&mut self, node: &ByName, binding: &EligibleBinding) -> Arc<Listed> {
        Arc::new(Listed {
            name: binding.name.as_str().into(),
            node: node.clone(),
            role: self.role(&binding.role),
            condition: self.condition(&binding.carried.to_string()),
            activation: binding.activation,
            members: binding.members.iter().map(|member| self.member(member)).collect(),
        })
    }

    fn role(&mut self, role: &Role) -> Arc<ListedRole> {
        let make = || {
            let lower = role.as_str().to_lowercase().into();
            Arc::new(ListedRole { role: role.clone(), lower })
        };
        match self.roles.get(role) {
            Some(held) => held.clone(),
            None => self.roles.entry(role.clone()).or_insert_with(make).clone(),
        }
    }

    fn condition(&mut self, text: &str) -> Arc<str> {
        if let Some(held) = self.conditions.get(text) {
            return held.clone();
        }
        let held: Arc<str> = text.into();
        self.conditions.insert(held.clone());
        held
    }

    fn member(&self, member: &Member) -> Arc<Member> {
        let held = self.by_member.get_key_value(member);
        held.map_or_else(|| Arc::new(member.clone()), |(member, _)| member.clone())
    }

    pub(super) fn tidy(&mut self) {
        self.roles.retain(|_, role| Arc::strong_count(role) > 1);
        self.conditions.retain(|condition| Arc::strong_count(condition) > 1);
    }
}
