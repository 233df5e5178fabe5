//! What JIT Access gave, by who has it and where.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::{Index, Node};
use crate::eligible::PriorActivation;
use crate::principal::Principal;
use crate::resource::Resource;
use crate::role::Role;

/// Activations on each node, and under each person. Few are in force at a time, and only those are kept.
#[derive(Debug, Default)]
pub(super) struct Priors {
    on: BTreeMap<Resource, Box<[PriorActivation]>>,
    by_member: BTreeMap<Principal, BTreeMap<Resource, Box<[PriorActivation]>>>,
}

impl Priors {
    pub(super) fn set(&mut self, node: &Resource, all: Vec<PriorActivation>) {
        self.clear(node);
        let mut of_member: BTreeMap<Principal, Vec<PriorActivation>> = BTreeMap::new();
        for prior in &all {
            of_member.entry(prior.member.clone()).or_default().push(prior.clone());
        }
        for (member, own) in of_member {
            self.by_member.entry(member).or_default().insert(node.clone(), own.into());
        }
        if !all.is_empty() {
            self.on.insert(node.clone(), all.into());
        }
    }

    pub(super) fn clear(&mut self, node: &Resource) {
        for prior in self.on.remove(node).into_iter().flatten() {
            if let Some(own) = self.by_member.get_mut(&prior.member) {
                own.remove(node);
                if own.is_empty() {
                    self.by_member.remove(&prior.member);
                }
            }
        }
    }
}

impl Index {
    /// Replaces what JIT Access gave on `node`. Nothing is kept for a node that is not known.
    pub fn set_prior(&mut self, node: &Resource, all: Vec<PriorActivation>) {
        if self.node(node).is_some() {
            self.priors.set(node, all);
        }
    }

    /// Whether JIT Access gave exactly this on `node`, as far as is known.
    pub fn has_just_prior(&self, node: &Resource, all: &[PriorActivation]) -> bool {
        self.priors.on.get(node).map_or(&[][..], |known| known) == all
    }

    /// The nodes on which JIT Access gave something, in order.
    pub fn with_prior(&self) -> impl Iterator<Item = &Resource> {
        self.priors.on.keys()
    }

    /// The activation of JIT Access by which `who` has the role under this condition on `node` at `now`, and the node
    /// that carries it; of several the one that lasts longest.
    pub fn prior<'a>(
        &'a self,
        who: &Principal,
        node: &'a Node,
        role: &Role,
        condition: &str,
        now: DateTime<Utc>,
    ) -> Option<(&'a Resource, &'a PriorActivation)> {
        let own = self.priors.by_member.get(who)?;
        let nodes = std::iter::once(node.resource()).chain(node.line());
        let all = nodes.filter_map(|node| Some((node, own.get(node)?)));
        let all = all.flat_map(|(node, own)| own.iter().map(move |prior| (node, prior)));
        let in_force = all.filter(|(_, prior)| prior.gives(who, role, condition, now));
        in_force.max_by_key(|(_, prior)| prior.activation.ends_at)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::eligible::prior_activations;
    use crate::policy::{Binding, Condition, Policy};

    #[test]
    fn what_jit_access_gave_is_found_by_person_place_role_condition_and_time() {
        let mut index = index();
        let on_folder = given("roles/a.x", "user:alice@x.org", "12:00:00", "");
        let on_project = given("roles/a.x", "user:alice@x.org", "11:00:00", "");
        let narrowed = given("roles/a.y", "user:alice@x.org", "11:00:00", "resource.type == \"x\"");
        index.set_prior(&resource("folders/1"), read(vec![on_folder]));
        index.set_prior(&resource("projects/in-one"), read(vec![on_project, narrowed]));
        let until = |who: &str, node: &str, role: &str, condition: &str, time: &str| {
            let (who, role) = (Principal::parse(who).unwrap(), Role::parse(role).unwrap());
            let node = index.node(&resource(node)).unwrap();
            let (by, prior) = index.prior(&who, node, &role, condition, at(time))?;
            Some(format!("{by} {}", prior.activation.ends_at.format("%H:%M")))
        };
        let alice = "user:alice@x.org";
        let some = |text: &str| Some(text.to_owned());
        // The longest, on the node or above it; never below.
        assert_eq!(
            until(alice, "projects/in-one", "roles/a.x", "", "10:30:00"),
            some("folders/1 12:00")
        );
        assert_eq!(until(alice, "folders/1", "roles/a.x", "", "10:30:00"), some("folders/1 12:00"));
        assert_eq!(
            until(alice, "folders/1", "roles/a.y", "resource.type == 'x'", "10:30:00"),
            None
        );
        let narrowed =
            until(alice, "projects/in-one", "roles/a.y", "resource.type == 'x'", "10:30:00");
        assert_eq!(narrowed, some("projects/in-one 11:00"));
        for (who, role, condition, time) in [
            ("user:bob@x.org", "roles/a.x", "", "10:30:00"),
            (alice, "roles/a.z", "", "10:30:00"),
            (alice, "roles/a.x", "resource.type == 'x'", "10:30:00"),
            (alice, "roles/a.y", "", "10:30:00"),
            (alice, "roles/a.x", "", "12:00:00"),
        ] {
            assert_eq!(until(who, "projects/in-one", role, condition, time), None, "{who} {role}");
        }
    }

    #[test]
    fn what_is_replaced_or_removed_is_gone_in_both_ways() {
        let mut index = index();
        let node = resource("projects/in-one");
        let all = read(vec![given("roles/a.x", "user:alice@x.org", "12:00:00", "")]);
        index.set_prior(&node, all.clone());
        assert!(index.has_just_prior(&node, &all) && !index.has_just_prior(&node, &[]));
        assert_eq!(index.with_prior().collect::<Vec<_>>(), [&node]);
        index.set_prior(&node, Vec::new());
        assert!(index.has_just_prior(&node, &[]));
        assert!(index.priors.by_member.is_empty() && index.priors.on.is_empty());
        index.set_prior(&node, all.clone());
        index.remove_node(&node);
        assert!(index.priors.by_member.is_empty() && index.priors.on.is_empty());
        index.set_prior(&node, all);
        assert!(index.priors.on.is_empty(), "a node that is not known");
    }

    fn index() -> Index {
        let mut index = Index::new(BTreeSet::new());
        index.place(&resource("folders/1"), "", &[]);
        index.place(&resource("projects/in-one"), "", &[resource("folders/1")]);
        index
    }

    fn resource(name: &str) -> Resource {
        Resource::parse(name).unwrap()
    }

    fn at(time: &str) -> DateTime<Utc> {
        format!("2026-01-01T{time}Z").parse().unwrap()
    }

    fn read(bindings: Vec<Binding>) -> Vec<PriorActivation> {
        let n = bindings.len();
        let policy = Policy { bindings, ..Policy::default() };
        let all = prior_activations(&policy, at("10:30:00"));
        assert_eq!(all.len(), n);
        all
    }

    fn given(role: &str, member: &str, until: &str, condition: &str) -> Binding {
        let times = format!(
            "(request.time >= timestamp(\"2026-01-01T10:00:00Z\") && request.time < timestamp(\"2026-01-01T{until}Z\"))"
        );
        let expression =
            if condition.is_empty() { times } else { format!("({times}) && ({condition})") };
        let title = crate::condition::JIT_ACCESS_TITLE.into();
        Binding {
            role: role.into(),
            members: vec![member.into()],
            condition: Some(Condition { title, expression, ..Condition::default() }),
            ..Binding::default()
        }
    }
}
