//! Who is in which group, and who has which address.

use std::collections::{BTreeMap, BTreeSet};

use crate::world::World;

/// How a group holds a member.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Paths {
    pub(crate) direct: bool,
    pub(crate) indirect: bool,
}

impl World {
    /// Whether the address belongs to somebody or something here.
    pub(crate) fn knows(&self, email: &str) -> bool {
        self.people.contains_key(email)
            || self.service_accounts.contains_key(email)
            || self.groups.contains_key(email)
    }

    /// The domains that people and groups here have addresses in.
    pub(crate) fn domains(&self) -> BTreeSet<&str> {
        self.people
            .keys()
            .chain(self.groups.keys())
            .filter_map(|email| Some(email.split_once('@')?.1))
            .collect()
    }

    /// The address of a person, service account or group, by its address or id.
    pub(crate) fn email_of<'world>(&'world self, key: &str) -> Option<&'world str> {
        let people = self.people.values().map(|it| (it.email.as_str(), it.id.as_str()));
        let accounts = self.service_accounts.values().map(|it| (it.email.as_str(), it.id.as_str()));
        let groups = self.groups.values().map(|it| (it.email.as_str(), it.id.as_str()));
        let mut all = people.chain(accounts).chain(groups);
        all.find(|(email, id)| *email == key || *id == key).map(|(email, _)| email)
    }

    /// The group's members, direct and through other groups, without the group itself.
    pub(crate) fn transitive_members(&self, group: &str) -> BTreeMap<&str, Paths> {
        let mut found: BTreeMap<&str, Paths> = BTreeMap::new();
        let mut open = vec![(group, true)];
        while let Some((outer, direct)) = open.pop() {
            let members = self.groups.get(outer).into_iter().flat_map(|it| &it.members);
            for member in members.filter(|member| *member != group) {
                let is_new = !found.contains_key(member.as_str());
                let paths = found.entry(member).or_default();
                paths.direct |= direct;
                paths.indirect |= !direct;
                if is_new {
                    open.push((member, false));
                }
            }
        }
        found
    }

    /// Groups that hold the address directly or through other groups; `true` marks direct ones.
    /// Groups that contain each other are tolerated, as Google tolerates them.
    pub(crate) fn transitive_groups(&self, email: &str) -> BTreeMap<&str, Paths> {
        let mut found: BTreeMap<&str, Paths> = BTreeMap::new();
        let mut open = vec![(email, true)];
        while let Some((member, direct)) = open.pop() {
            for group in self.groups_of.get(member).into_iter().flatten() {
                let is_new = !found.contains_key(group.as_str());
                let paths = found.entry(group).or_default();
                paths.direct |= direct;
                paths.indirect |= !direct;
                if is_new {
                    open.push((group, false));
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::{Change, Group, Record};

    #[test]
    fn transitive_groups_follow_nesting_and_survive_a_cycle() {
        let mut world = World::default();
        for (email, members) in [
            ("a@x", vec!["me@x", "c@x"]),
            ("b@x", vec!["a@x"]),
            ("c@x", vec!["b@x"]),
            ("d@x", vec!["you@x"]),
        ] {
            let members = members.into_iter().map(str::to_owned).collect();
            world.apply(Change::Put(Record::Group(Group {
                email: email.into(),
                name: String::new(),
                id: email.into(),
                members,
            })));
        }
        let found = world.transitive_groups("me@x");
        assert_eq!(found.keys().copied().collect::<Vec<_>>(), ["a@x", "b@x", "c@x"]);
        assert_eq!(found["a@x"], Paths { direct: true, indirect: true });
        assert_eq!(found["b@x"], Paths { direct: false, indirect: true });
        let members = world.transitive_members("b@x");
        assert_eq!(members.keys().copied().collect::<Vec<_>>(), ["a@x", "c@x", "me@x"]);
        assert_eq!(members["a@x"], Paths { direct: true, indirect: false });
        assert_eq!(members["me@x"], Paths { direct: false, indirect: true });
    }
}
