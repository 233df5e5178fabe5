//! Who may ask for what, told a second time: eligibility on random clouds equals a plain model of the rules.
//!
//! [`cloud`] makes a hierarchy, policies, groups and a request from a seed; [`model`] says in a few lines who may have
//! what; here both are compared. A model that leaves any one rule out is told apart, so no rule is there untested.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a test may panic: it then fails"
)]

mod cloud;
mod model;

use std::collections::{BTreeMap, BTreeSet};

use cloud::{ADDRESSES, Cloud, Lookup, NODES, Offered, permissions};
use model::{Model, Rule};

use super::*;
use crate::condition::Activation;
use crate::entry::Level;
use crate::fixture::failed;
use crate::id::Digest;
use crate::index::{Index, Placed, Search, Verdicts, members_of};
use crate::policy::{Binding, Condition, Policy};
use crate::principal::Principal;
use crate::role::Powers;
use crate::world::Standing;

/// Random clouds, each with one request.
const CLOUDS: u64 = 4_000;

/// What is compared: the verdict on the requester, and on everybody as an approver.
type Judged = (Observed<Option<Activation>>, BTreeMap<&'static str, Observed<bool>>);

#[test]
fn eligibility_equals_the_model() {
    let mut seen = BTreeMap::new();
    let mut memo = Verdicts::default();
    for seed in 0..CLOUDS {
        let cloud = Cloud::from_seed(seed);
        let judged = judged(&cloud, None, &mut memo);
        let difference = difference(&cloud, &judged, None);
        assert_eq!(difference, None, "seed {seed}: {difference:?} in {cloud:#?}");
        *seen.entry(format!("{:?}", judged.0.known())).or_insert(0) += 1;
        for standing in judged.1.values() {
            *seen.entry(format!("peer {:?}", standing.known())).or_insert(0) += 1;
        }
    }
    // Alone, with a peer, no, unknown; and of approvers yes, no, unknown: each often enough to mean something.
    assert!(seen.len() == 7 && seen.values().all(|n| *n > 100), "{seen:#?}");
}

#[test]
fn a_model_without_any_one_of_the_rules_is_told_apart() {
    let mut memo = Verdicts::default();
    let mut left: BTreeSet<Rule> = Rule::ALL.into_iter().collect();
    for seed in 0..CLOUDS {
        let cloud = Cloud::from_seed(seed);
        let judged = judged(&cloud, None, &mut memo);
        left.retain(|rule| difference(&cloud, &judged, Some(*rule)).is_none());
    }
    assert!(left.is_empty(), "no cloud needs these rules: {left:?}");
}

#[test]
fn silence_that_is_taken_for_an_answer_is_told_apart() {
    let mut memo = Verdicts::default();
    for taken_for in [true, false] {
        let mut clouds = (0..CLOUDS).map(Cloud::from_seed);
        let is_wrong = |cloud: Cloud| {
            let judged = judged(&cloud, Some(taken_for), &mut memo);
            difference(&cloud, &judged, None).is_some()
        };
        assert!(clouds.any(is_wrong), "silence means {taken_for}, and nothing contradicts");
    }
}

#[test]
fn lists_show_exactly_what_the_model_lets_be_asked_for() {
    let mut memo = Verdicts::default();
    let mut n_offers = 0;
    for seed in 0..CLOUDS / 20 {
        let cloud = Cloud::from_seed(seed).answering();
        let index = index(&cloud, &mut memo);
        for address in ADDRESSES {
            let listed = listed(&cloud, &index, address);
            assert_eq!(listed, offered(&cloud, address), "seed {seed}, {address}: {cloud:#?}");
            n_offers += listed.len();
        }
    }
    assert!(n_offers > 500, "{n_offers} offers");
}

#[test]
fn nothing_that_a_list_shows_is_refused_to_whoever_asks_for_it_as_it_is_shown() {
    let mut memo = Verdicts::default();
    let mut n_offers = 0;
    for seed in 0..CLOUDS / 4 {
        let cloud = Cloud::from_seed(seed).answering();
        let index = index(&cloud, &mut memo);
        for address in ADDRESSES {
            for ((resource, role, condition), activation) in listed(&cloud, &index, address) {
                let is_it = |offered: &&Offered| {
                    let carried = offered.condition.offers.map(|(_, carried)| carried);
                    offered.role == role.as_str() && carried == Some(condition.as_str())
                };
                // Several bindings may offer the same: one of them, at least, gives what is shown.
                let granted = cloud.offered.iter().filter(is_it).map(|offered| {
                    let asking = cloud.asking(address, resource.clone(), offered);
                    judged(&asking, None, &mut memo).0
                });
                let granted: Vec<_> = granted.collect();
                let shown = Observed::Known(Some(activation));
                assert!(
                    granted.contains(&shown),
                    "seed {seed}: {address} is shown {role} on {resource} {condition:?} as {activation:?}, and judged {granted:?}: {cloud:#?}"
                );
                n_offers += 1;
            }
        }
    }
    assert!(n_offers > 1_000, "{n_offers} offers");
}

/// Where what was judged contradicts the model; `without` leaves a rule out of the model.
fn difference(cloud: &Cloud, judged: &Judged, without: Option<Rule>) -> Option<String> {
    let unanswered = cloud.unanswered();
    // A look-up without an answer could have either: what counts is what holds whatever the answers are.
    let completions = || {
        (0..1_u32 << unanswered.len()).map(|bits| {
            let yes = unanswered.iter().enumerate().filter(move |(n, _)| bits >> n & 1 == 1);
            let yes = yes.map(|(_, lookup)| lookup.clone()).collect::<BTreeSet<_>>();
            Model { cloud, yes, without }
        })
    };
    let all_answered = unanswered.is_empty();
    let may = completions().map(|model| model.may_have()).collect();
    if let Some(wrong) = contradiction(&judged.0, &may, all_answered) {
        return Some(format!("the requester: {wrong}"));
    }
    judged.1.iter().find_map(|(address, standing)| {
        let may = completions().map(|model| model.may_decide(address)).collect();
        contradiction(standing, &may, all_answered).map(|wrong| format!("{address}: {wrong}"))
    })
}

/// `may` holds what the model says for each way in which the open look-ups could be answered.
fn contradiction<T: Ord + std::fmt::Debug>(
    judged: &Observed<T>,
    may: &BTreeSet<T>,
    all_answered: bool,
) -> Option<String> {
    let agrees = match judged {
        Observed::Known(verdict) => may.len() == 1 && may.contains(verdict),
        Observed::Unknown(_) => !all_answered,
    };
    (!agrees).then(|| format!("judged {judged:?}, the model says {may:?}"))
}

/// Everything as it is done outside: ask the cloud what has to be asked, and judge. What is asked about a group and not
/// answered is unknown, unless it is taken for an answer.
fn judged(cloud: &Cloud, silence: Option<bool>, memo: &mut Verdicts) -> Judged {
    let (spec, rules) = (cloud.spec(), cloud.rules());
    let mut evidence = evidence(cloud, memo);
    // Every node's offers are there, not only those of the ancestry: what counts is the core's to say.
    let groups = groups_in_question(&spec, &evidence.offered);
    evidence.member_of = memberships(cloud, &groups, &spec.principal, silence);
    let verdict = match judge(&spec, &evidence, &rules) {
        Observed::Known(Eligibility::Yes(basis)) => Observed::Known(Some(basis.activation)),
        Observed::Known(Eligibility::No(_)) => Observed::Known(None),
        Observed::Unknown(why) => Observed::Unknown(why),
    };
    let mut standing = |address: &str| {
        let email = Email::parse(address).unwrap();
        let groups = peer_groups_in_question(&spec, &email, &evidence.offered);
        evidence.member_of = memberships(cloud, &groups, &Principal::of(email.clone()), silence);
        match judge_peer(&spec, &email, Level::Session, &evidence, &rules) {
            Observed::Known(standing) => Observed::Known(standing == Standing::Peer),
            Observed::Unknown(why) => Observed::Unknown(why),
        }
    };
    (verdict, ADDRESSES.into_iter().map(|address| (address, standing(address))).collect())
}

fn evidence(cloud: &Cloud, memo: &mut Verdicts) -> Evidence {
    let offers = NODES.iter().flat_map(|node| {
        let node = Resource::parse(node).unwrap();
        memo.offers(&node, &policy(cloud, &node)).eligible
    });
    let is_open = |lookup: &Lookup| cloud.silent.contains(lookup);
    let known = |role: &'static str| {
        let powers = permissions(role).map(|permissions| Powers::of(&permissions));
        (Role::parse(role).unwrap(), powers)
    };
    let roles = cloud.asked.iter().map(|asked| asked.role);
    let above = cloud.above_protected();
    Evidence {
        ancestry: cloud.line(&cloud.resource),
        offered: offers.collect(),
        member_of: BTreeMap::new(),
        permissions: roles.filter(|role| !is_open(&Lookup::Role(role))).map(known).collect(),
        above_protected: if is_open(&Lookup::Protected) {
            failed()
        } else {
            Observed::Known(above)
        },
    }
}

fn policy(cloud: &Cloud, node: &Resource) -> Policy {
    let binding = |offered: &Offered| Binding {
        role: offered.role.into(),
        members: offered.members.iter().map(ToString::to_string).collect(),
        condition: Some(Condition {
            expression: offered.condition.text.into(),
            ..Condition::default()
        }),
        ..Binding::default()
    };
    let offered = cloud.offered.iter().filter(|offered| offered.node == *node);
    Policy { bindings: offered.map(binding).collect(), ..Policy::default() }
}

fn memberships(
    cloud: &Cloud,
    groups: &BTreeSet<Email>,
    who: &Principal,
    silence: Option<bool>,
) -> BTreeMap<Email, Observed<bool>> {
    let answer = |group: &Email| {
        if cloud.silent.contains(&Lookup::Group(group.clone())) {
            silence.map_or_else(failed, Observed::Known)
        } else {
            Observed::Known(cloud.everybody_in(group.as_str()).contains(&who.to_string()))
        }
    };
    groups.iter().map(|group| (group.clone(), answer(group))).collect()
}

fn index(cloud: &Cloud, memo: &mut Verdicts) -> Index {
    let mut index = Index::new(cloud.protected.clone());
    let nodes = NODES.iter().map(|node| Resource::parse(node).unwrap());
    let inside: Vec<_> = nodes.filter(|node| cloud.line(node).contains(&cloud.scope)).collect();
    let placed = |resource: &Resource| Placed {
        resource: resource.clone(),
        display_name: String::new(),
        parent: cloud.parents.get(resource).cloned(),
    };
    // What lies above the scope is known too; nothing there is offered.
    let above = cloud.line(&cloud.scope);
    let known = inside.iter().chain(&above[1..]);
    let changes = index.changes(&known.map(placed).collect::<Vec<_>>());
    for node in changes.set {
        index.set_node(node);
    }
    for node in &inside {
        let eligible = memo.offers(node, &policy(cloud, node)).eligible;
        assert!(index.set_offers(node, &eligible), "{node} is known");
    }
    index
}

/// Resource, role and condition, and what it takes.
type Listing = BTreeMap<(Resource, Role, String), Activation>;

fn listed(cloud: &Cloud, index: &Index, address: &str) -> Listing {
    let principal = Principal::of(Email::parse(address).unwrap());
    let groups = cloud
        .groups
        .keys()
        .filter(|group| cloud.everybody_in(group).contains(&principal.to_string()));
    let groups = groups.map(|group| Email::parse(group).unwrap()).collect();
    let (rules, above_protected) = (cloud.rules(), cloud.above_protected());
    let takes = |node: &crate::index::Node, listed: &crate::index::Listed| {
        let powers = permissions(listed.role().as_str()).map(|all| Powers::of(&all));
        let role = powers.map_or(RoleKnown::Nonexistent, |powers| RoleKnown::Gives {
            is_dangerous: powers.is_dangerous,
            touches_system: powers.touches_system,
        });
        foreseen(node, listed, role, above_protected.contains(node.resource()), &rules)
    };
    let members = members_of(&principal, &groups);
    let page = index.offers(&members, Search::default(), None, usize::MAX - 1, &takes);
    let key = |offer: &crate::index::Offer<'_>| {
        let key = offer.key();
        ((key.resource, key.role, key.condition), offer.activation)
    };
    page.items.iter().map(key).collect()
}

/// The same by asking the model about everything that anybody offers anywhere.
fn offered(cloud: &Cloud, address: &'static str) -> Listing {
    let mut all = Listing::new();
    for (node, offered) in
        NODES.iter().flat_map(|node| cloud.offered.iter().map(move |it| (node, it)))
    {
        let asking = cloud.asking(address, Resource::parse(node).unwrap(), offered);
        let model = Model { cloud: &asking, yes: BTreeSet::new(), without: None };
        if let Some(activation) = model.may_have() {
            let carried = asking.asked[0].carried.to_owned();
            let key = (asking.resource.clone(), Role::parse(offered.role).unwrap(), carried);
            let kept = all.entry(key).or_insert(activation);
            *kept = activation.min(*kept);
        }
    }
    all
}

/// The permissions of a role when the request was filed, as a digest.
fn digest(permissions: &BTreeSet<String>) -> Digest {
    Powers::of(permissions).hash
}
