//! A random cloud, and a random request in it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::TimeDelta;

use crate::condition::Activation;
use crate::danger::Dangerous;
use crate::eligible::entitlement_name;
use crate::fixture;
use crate::id::Digest;
use crate::judge::{PeerRules, Rules};
use crate::principal::{Email, Person, Subject};
use crate::resource::Resource;
use crate::role::Role;
use crate::spec::{RequestedRole, Spec};

/// The nodes, each possibly below one of those before it that are no projects.
pub(super) const NODES: [&str; 10] = [
    "organizations/1",
    "organizations/2",
    "folders/10",
    "folders/20",
    "folders/21",
    "folders/30",
    "projects/demo-web",
    "projects/demo-api",
    "projects/demo-lab",
    "projects/example.com:demo-far",
];

/// How many of [`NODES`] can hold others.
const CONTAINERS: usize = 6;

/// People and service accounts.
pub(super) const ADDRESSES: [&str; 5] = [
    "alice@example.com",
    "bob@example.com",
    "carol@other.example",
    "deployer@demo-web.iam.gserviceaccount.com",
    "robot@demo-api.iam.gserviceaccount.com",
];

const GROUPS: [&str; 4] =
    ["devs@example.com", "leads@example.com", "ops@other.example", "all@example.com"];

const MEMBERS: [&str; 16] = [
    "user:alice@example.com",
    "user:bob@example.com",
    "user:Alice@Example.COM",
    "user:carol@other.example",
    "serviceAccount:deployer@demo-web.iam.gserviceaccount.com",
    "group:devs@example.com",
    "group:leads@example.com",
    "group:ops@other.example",
    "group:all@example.com",
    "domain:example.com",
    "domain:demo-web.iam.gserviceaccount.com",
    "deleted:user:alice@example.com?uid=123",
    "allUsers",
    "allAuthenticatedUsers",
    "principalSet://iam.googleapis.com/locations/global/workforcePools/p/*",
    "user:deployer@demo-web.iam.gserviceaccount.com",
];

const VIEWER: &str = "roles/compute.viewer";

/// Roles, the harmless ones first, and what they give; `None` for one that IAM does not know.
const ROLES: [(&str, Option<&[&str]>); 7] = [
    (VIEWER, Some(&["compute.instances.get"])),
    ("roles/pubsub.viewer", Some(&["pubsub.topics.get"])),
    ("roles/storage.admin", Some(&["storage.buckets.setIamPolicy"])),
    ("roles/logging.cleaner", Some(&["logging.logs.delete"])),
    ("projects/demo-web/roles/deployer", Some(&["compute.instances.start"])),
    ("organizations/1/roles/auditor", Some(&["compute.instances.list"])),
    ("roles/made.up", None),
];

const HARMLESS: usize = 2;

/// A condition, and what is known of it.
#[derive(Debug, PartialEq)]
pub(super) struct Known {
    pub(super) text: &'static str,
    pub(super) offers: Option<(Activation, &'static str)>,
    pub(super) bears_both_markers: bool,
}

const fn known(text: &'static str, offers: Option<(Activation, &'static str)>) -> Known {
    Known { text, offers, bears_both_markers: false }
}

const CONDITIONS: [Known; 8] = [
    known("has({}.jitAccessConstraint)", Some((Activation::SelfApproval, ""))),
    known("has({}.multiPartyApprovalConstraint)", Some((Activation::PeerApproval, ""))),
    known(
        "HAS({}.jitAccessConstraint) && resource.type == 'x'",
        Some((Activation::SelfApproval, "resource.type == 'x'")),
    ),
    known(
        "// by a peer\nresource.type == 'x' && has({}.multiPartyApprovalConstraint)",
        Some((Activation::PeerApproval, "resource.type == 'x'")),
    ),
    Known {
        text: "has({}.multiPartyApprovalConstraint) && has({}.jitAccessConstraint)",
        offers: Some((Activation::SelfApproval, "")),
        bears_both_markers: true,
    },
    known("resource.type == 'x'", None),
    known("a || b && has({}.jitAccessConstraint)", None),
    known("has({}.jitAccessConstraint) && (", None),
];

/// One binding of one node's policy.
#[derive(Debug, Clone)]
pub(super) struct Offered {
    pub(super) node: Resource,
    pub(super) role: &'static str,
    pub(super) condition: &'static Known,
    pub(super) members: Vec<&'static str>,
}

/// One role of the request.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) role: &'static str,
    /// The node and condition of the binding that it is asked under.
    pub(super) binding: (Resource, &'static str),
    pub(super) carried: &'static str,
}

/// Something that has to be asked outside, and may get no answer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lookup {
    /// Whether somebody is in this group.
    Group(Email),
    /// What this role gives.
    Role(&'static str),
    /// What lies above the protected resources.
    Protected,
}

impl Lookup {
    pub(super) fn group(address: &str) -> Self {
        Self::Group(Email::parse(address).unwrap())
    }
}

/// A hierarchy with its policies, groups and rules, and one request.
#[derive(Debug, Clone)]
pub(super) struct Cloud {
    pub(super) parents: BTreeMap<Resource, Resource>,
    pub(super) offered: Vec<Offered>,
    /// The direct members of each group; circles occur.
    pub(super) groups: BTreeMap<&'static str, Vec<&'static str>>,
    pub(super) scope: Resource,
    pub(super) protected: BTreeSet<Resource>,
    pub(super) from: Vec<Resource>,
    pub(super) floor: BTreeSet<&'static str>,
    pub(super) dangerous: Dangerous,
    /// Roles that gave something else when the request was filed.
    pub(super) changed: BTreeSet<&'static str>,
    /// Look-ups that are not answered.
    pub(super) silent: BTreeSet<Lookup>,
    pub(super) requester: &'static str,
    pub(super) resource: Resource,
    pub(super) asked: Vec<Asked>,
}

impl Cloud {
    pub(super) fn from_seed(seed: u64) -> Self {
        let dice = &mut Dice(seed);
        let parents: BTreeMap<_, _> =
            (2..NODES.len()).map(|n| (node(n), node(dice.below(n.min(CONTAINERS))))).collect();
        let offered: Vec<_> = (0..4 + dice.below(8)).map(|_| offered(dice)).collect();
        let some = |dice: &mut Dice, n| {
            (0..dice.below(n)).map(|_| node(dice.below(NODES.len()))).collect::<Vec<_>>()
        };
        let mut cloud = Self {
            parents,
            groups: GROUPS.iter().map(|group| (*group, members(dice, 4))).collect(),
            scope: node(if dice.once_in(2) { 0 } else { dice.below(NODES.len()) }),
            protected: if dice.once_in(2) {
                some(dice, 3).into_iter().collect()
            } else {
                BTreeSet::new()
            },
            from: if dice.once_in(4) { some(dice, 4) } else { Vec::new() },
            floor: if dice.once_in(4) { BTreeSet::from([role(dice)]) } else { BTreeSet::new() },
            dangerous: dice.of(&[
                Dangerous::Warn,
                Dangerous::Warn,
                Dangerous::Approval,
                Dangerous::Refuse,
            ]),
            changed: if dice.once_in(8) { BTreeSet::from([role(dice)]) } else { BTreeSet::new() },
            silent: BTreeSet::new(),
            requester: if dice.once_in(2) { ADDRESSES[0] } else { dice.of(&ADDRESSES) },
            resource: node(dice.below(NODES.len())),
            asked: Vec::new(),
            offered,
        };
        cloud.ask(dice);
        cloud.fall_silent(dice);
        cloud
    }

    /// Asks mostly for what reaches somewhere at or below its binding, as somebody who is meant, and now and then for
    /// what is not offered so.
    fn ask(&mut self, dice: &mut Dice) {
        let first = dice.pick(&self.offered);
        if !dice.once_in(6) {
            let below = NODES.iter().map(|name| Resource::parse(name).unwrap());
            let below: Vec<_> =
                below.filter(|node| self.line(node).contains(&first.node)).collect();
            self.resource = dice.pick(&below);
        }
        if !dice.once_in(4) {
            self.scope = dice.pick(&self.line(&first.node));
        }
        let people = ADDRESSES.iter().filter(|address| {
            let everywhere = first.members.iter().flat_map(|member| self.everybody_behind(member));
            everywhere.collect::<Vec<_>>().iter().any(|member| member.ends_with(**address))
        });
        let people: Vec<_> = people.copied().collect();
        if !people.is_empty() && !dice.once_in(4) {
            self.requester = dice.of(&people);
        }
        self.asked.push(asked(&first, dice));
        let mut others = self.offered.iter().filter(|other| other.role != first.role);
        if let (true, Some(second)) = (dice.once_in(3), others.nth(dice.below(2))) {
            self.asked.push(asked(second, dice));
        }
    }

    fn fall_silent(&mut self, dice: &mut Dice) {
        if dice.once_in(3) {
            self.silent.insert(Lookup::group(dice.of(&GROUPS)));
        }
        if dice.once_in(6) {
            self.silent.insert(Lookup::group(dice.of(&GROUPS)));
        }
        if dice.once_in(12) {
            self.silent.insert(Lookup::Role(self.asked[0].role));
        }
        if dice.once_in(6) {
            self.silent.insert(Lookup::Protected);
        }
    }

    /// The same cloud, in which everything is answered.
    pub(super) fn answering(self) -> Self {
        Self { silent: BTreeSet::new(), changed: BTreeSet::new(), ..self }
    }

    /// The same cloud, in which somebody asks for what is offered as it is offered.
    pub(super) fn asking(
        &self,
        requester: &'static str,
        resource: Resource,
        offered: &Offered,
    ) -> Self {
        let asked = vec![as_offered(offered)];
        Self { requester, resource, asked, ..self.clone() }
    }

    /// The node and all above it.
    pub(super) fn line(&self, node: &Resource) -> Vec<Resource> {
        std::iter::successors(Some(node), |node| self.parents.get(node)).cloned().collect()
    }

    /// Every node that a protected one lies in.
    pub(super) fn above_protected(&self) -> BTreeSet<Resource> {
        self.protected.iter().flat_map(|node| self.line(node).into_iter().skip(1)).collect()
    }

    /// Everybody in a group, directly or through others.
    pub(super) fn everybody_in(&self, group: &str) -> BTreeSet<String> {
        self.everybody_behind(&format!("group:{group}"))
    }

    fn everybody_behind(&self, member: &str) -> BTreeSet<String> {
        let mut seen = BTreeSet::new();
        let mut pending = vec![member.to_owned()];
        while let Some(member) = pending.pop() {
            if seen.insert(member.to_lowercase().replace("serviceaccount:", "serviceAccount:"))
                && let Some(group) = member.strip_prefix("group:")
            {
                let inside = self.groups.get(group).into_iter().flatten();
                pending.extend(inside.map(ToString::to_string));
            }
        }
        seen
    }

    /// The look-ups of this request that have no answer.
    pub(super) fn unanswered(&self) -> Vec<Lookup> {
        self.silent.iter().cloned().collect()
    }

    pub(super) fn rules(&self) -> Rules {
        let always_for = self.floor.iter().map(|role| Role::parse(role).unwrap()).collect();
        Rules {
            scope: self.scope.clone(),
            protected: self.protected.clone(),
            duration_max: TimeDelta::hours(2),
            roles_max: 3,
            peers: PeerRules { always_for, ..PeerRules::default() },
            dangerous: self.dangerous,
            from: self.from.clone(),
        }
    }

    pub(super) fn spec(&self) -> Spec {
        let email = Email::parse(self.requester).unwrap();
        let subject = Subject::parse("accounts.google.com:1").unwrap();
        let requester = Person { subject, email };
        let roles = self.asked.iter().map(|asked| RequestedRole {
            role: Role::parse(asked.role).unwrap(),
            resource_condition: asked.carried.to_owned(),
            entitlement: entitlement_name(&asked.binding.0, asked.role, asked.binding.1),
            permissions_hash: match permissions(asked.role) {
                Some(permissions) if !self.changed.contains(asked.role) => {
                    super::digest(&permissions)
                }
                Some(_) | None => Digest::of(b"before"),
            },
        });
        Spec {
            principal: requester.principal(),
            requester,
            resource: self.resource.clone(),
            roles: roles.collect(),
            ..fixture::spec()
        }
    }
}

/// What a role gives now.
pub(super) fn permissions(role: &str) -> Option<BTreeSet<String>> {
    let (_, all) = ROLES.iter().find(|(name, _)| *name == role)?;
    Some((*all)?.iter().map(ToString::to_string).collect())
}

fn node(n: usize) -> Resource {
    Resource::parse(NODES[n]).unwrap()
}

fn role(dice: &mut Dice) -> &'static str {
    let n = if dice.once_in(2) { dice.below(HARMLESS) } else { dice.below(ROLES.len()) };
    ROLES[n].0
}

fn offered(dice: &mut Dice) -> Offered {
    let n = if dice.once_in(2) { dice.below(CONTAINERS) } else { dice.below(NODES.len()) };
    let condition = if dice.once_in(5) { dice.below(CONDITIONS.len()) } else { dice.below(5) };
    let (role, members) = (role(dice), members(dice, 5));
    let role = if dice.once_in(20) { "roles/owner" } else { role };
    Offered { node: node(n), role, condition: &CONDITIONS[condition], members }
}

fn members(dice: &mut Dice, n: usize) -> Vec<&'static str> {
    (0..dice.below(n)).map(|_| dice.of(&MEMBERS)).collect()
}

fn as_offered(offered: &Offered) -> Asked {
    Asked {
        role: offered.role,
        binding: (offered.node.clone(), offered.condition.text),
        carried: offered.condition.offers.map_or("", |(_, carried)| carried),
    }
}

fn asked(offered: &Offered, dice: &mut Dice) -> Asked {
    let mut asked = as_offered(offered);
    // No request can name a basic role.
    if asked.role == "roles/owner" {
        asked.role = VIEWER;
    }
    match dice.below(30) {
        0 => asked.carried = "",
        1 => asked.carried = "resource.type == 'x'",
        2 => asked.binding.0 = node(dice.below(NODES.len())),
        3 => asked.binding.1 = CONDITIONS[dice.below(CONDITIONS.len())].text,
        4 => asked.role = role(dice),
        _ => {}
    }
    asked
}

/// `SplitMix64` (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % bound as u64).unwrap()
    }

    fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    fn pick<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())].clone()
    }
}
