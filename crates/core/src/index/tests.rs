//! The index against the plainest way to find the same, and its behaviour under changes.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::condition::Activation;
use crate::eligible::offers;
use crate::policy::{Binding, Condition, Policy};

const JIT: &str = "has({}.jitAccessConstraint)";
const MPA: &str = "has({}.multiPartyApprovalConstraint)";

#[test]
fn a_binding_reaches_down_from_its_node_and_never_up_or_sideways() {
    let mut small = small();
    small.offer("folders/2", &[("roles/a.x", "user:alice@x.org", JIT)]);
    assert_eq!(
        small.listed("alice"),
        ["projects/in-two roles/a.x ", "folders/2 roles/a.x ", "folders/3 roles/a.x "]
    );
    small.offer("folders/2", &[]);
    small.offer("projects/in-two", &[("roles/a.x", "user:alice@x.org", JIT)]);
    assert_eq!(small.listed("alice"), ["projects/in-two roles/a.x "]);
}

#[test]
fn people_are_found_by_address_domain_and_group_and_accounts_by_address_alone() {
    let mut small = small();
    small.offer(
        "projects/in-one",
        &[
            ("roles/a.user", "user:alice@x.org", JIT),
            ("roles/a.domain", "domain:x.org", JIT),
            ("roles/a.group", "group:g@x.org", JIT),
            ("roles/a.robot", "serviceAccount:r@p.iam.gserviceaccount.com", JIT),
            ("roles/a.all", "allUsers", JIT),
        ],
    );
    let roles = |small: &Small, who: &str, groups: &[&str]| {
        let groups = groups.iter().map(|group| Email::parse(group).unwrap()).collect();
        let members = members_of(&Principal::parse(who).unwrap(), &groups);
        let page = small.index.offers(&members, Search::default(), None, 100, &as_bound);
        page.items.iter().map(|offer| offer.by.role().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(
        roles(&small, "user:alice@x.org", &["g@x.org"]),
        ["roles/a.domain", "roles/a.group", "roles/a.user"]
    );
    assert_eq!(roles(&small, "user:bob@y.org", &["g@x.org"]), ["roles/a.group"]);
    let robot = "serviceAccount:r@p.iam.gserviceaccount.com";
    assert_eq!(roles(&small, robot, &["g@x.org"]), ["roles/a.robot"]);
}

#[test]
fn of_equal_offers_the_one_that_filing_would_choose_is_shown() {
    let mut small = small();
    small.offer("organizations/1", &[("roles/a.x", "user:alice@x.org", JIT)]);
    small.offer("folders/2", &[("roles/a.x", "user:alice@x.org", MPA)]);
    small.offer("projects/in-two", &[("roles/a.x", "user:alice@x.org", MPA)]);
    let by = |small: &Small| {
        let in_two = resource("projects/in-two");
        let search = Search { resource: Some(&in_two), ..Search::default() };
        let page = small.index.offers(&alice(), search, None, 9, &as_bound);
        page.items.iter().map(|offer| offer.by.node().resource().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(by(&small), ["organizations/1"], "alone before with a peer");
    small.offer("organizations/1", &[("roles/a.x", "user:alice@x.org", MPA)]);
    assert_eq!(by(&small), ["projects/in-two"], "the nearest");
}

#[test]
fn nothing_is_offered_on_protected_nodes_or_below_them() {
    let mut small = Small::new(&["folders/2"]);
    small.offer("organizations/1", &[("roles/a.x", "user:alice@x.org", JIT)]);
    let resources: Vec<String> =
        small.listed("alice").iter().map(|row| row.split(' ').next().unwrap().into()).collect();
    assert_eq!(resources, ["projects/in-one", "organizations/1"]);
}

#[test]
fn what_is_not_to_be_shown_is_not_shown_and_hides_nothing() {
    let mut small = small();
    let both = [("roles/a.bad", "user:alice@x.org", JIT), ("roles/a.x", "user:alice@x.org", JIT)];
    small.offer("projects/in-one", &both);
    let takes = |_: &Node, listed: &Listed| {
        (listed.role().as_str() != "roles/a.bad").then_some(Activation::PeerApproval)
    };
    let page = small.index.offers(&alice(), Search::default(), None, 9, &takes);
    let [only] = &page.items[..] else { panic!("{page:?}") };
    assert_eq!((only.by.role().as_str(), only.activation), ("roles/a.x", Activation::PeerApproval));
}

#[test]
fn a_moved_or_renamed_node_keeps_what_is_offered_on_it() {
    let mut small = small();
    small.offer("projects/in-two", &[("roles/a.x", "user:alice@x.org", JIT)]);
    small.offer("folders/2", &[("roles/a.y", "user:alice@x.org", JIT)]);
    let mut placed = hierarchy();
    for node in &mut placed {
        if node.resource == resource("projects/in-two") {
            node.parent = Some(resource("organizations/1"));
            node.display_name = "Renamed".into();
        }
    }
    let changes = small.index.changes(&placed);
    assert_eq!((changes.set.len(), changes.gone.len()), (1, 0));
    small.apply(changes);
    assert_eq!(small.index.changes(&placed), Changes::default());
    assert_eq!(
        small.listed("alice"),
        ["projects/in-two roles/a.x ", "folders/2 roles/a.y ", "folders/3 roles/a.y "]
    );
    let search = Search { text: Some("renamed"), ..Search::default() };
    assert_eq!(small.index.offers(&alice(), search, None, 9, &as_bound).items.len(), 1);
}

#[test]
fn a_folder_that_moves_takes_along_what_lies_below_it() {
    let mut small = small();
    small.offer("folders/2", &[("roles/a.x", "user:alice@x.org", JIT)]);
    let mut placed = hierarchy();
    for node in &mut placed {
        if node.resource == resource("folders/3") {
            node.parent = Some(resource("organizations/1"));
        }
    }
    let changes = small.index.changes(&placed);
    assert_eq!(changes.set.len(), 2, "the folder and the project in it");
    small.apply(changes);
    assert_eq!(small.listed("alice"), ["folders/2 roles/a.x "]);
}

#[test]
fn a_node_that_is_gone_takes_its_offers_along() {
    let mut small = small();
    small.offer("projects/in-one", &[("roles/a.x", "user:alice@x.org", JIT)]);
    let left: Vec<Placed> = hierarchy()
        .into_iter()
        .filter(|node| node.resource != resource("projects/in-one"))
        .collect();
    let changes = small.index.changes(&left);
    small.apply(changes);
    assert_eq!(small.listed("alice"), Vec::<String>::new());
    assert!(!small.index.set_offers(&resource("projects/in-one"), &[]), "nobody knows it");
    small.index.tidy();
    assert_eq!((small.index.n_bindings(), small.index.roles().count()), (0, 0));
}

#[test]
fn a_circle_among_parents_is_cut_off() {
    let placed = |node: &str, parent: &str| Placed {
        resource: resource(node),
        display_name: String::new(),
        parent: Some(resource(parent)),
    };
    let mut index = Index::new(BTreeSet::new());
    let circle = [placed("folders/2", "folders/3"), placed("folders/3", "folders/2")];
    for node in index.changes(&circle).set {
        index.set_node(node);
    }
    assert_eq!(index.n_nodes(), 2);
}

#[test]
fn peers_are_those_of_the_same_role_condition_and_node() {
    let mut small = small();
    small.offer(
        "projects/in-one",
        &[
            ("roles/a.x", "user:alice@x.org", MPA),
            ("roles/a.x", "group:g@x.org", MPA),
            ("roles/a.x", "user:eve@x.org", JIT),
            ("roles/a.y", "user:eve@x.org", MPA),
        ],
    );
    let mine = small.index.all_held(&alice()).next().unwrap();
    let peers: Vec<String> =
        small.index.sharing(mine).iter().map(|member| format!("{member:?}")).collect();
    assert_eq!(peers.len(), 2, "{peers:?}");
    assert!(small.index.held(&alice(), mine.name()).is_some());
    assert!(small.index.holds(&alice(), &resource("projects/in-one"), mine.name()));
    assert!(!small.index.holds(&alice(), &resource("projects/in-two"), mine.name()));
    let eve = members_of(&Principal::parse("user:eve@x.org").unwrap(), &BTreeSet::new());
    assert!(small.index.held(&eve, mine.name()).is_none());
}

#[test]
fn a_policy_that_did_not_change_is_told_apart() {
    let mut small = small();
    let node = resource("projects/in-one");
    let read = |who: &str| offers(&node, &policy(&[("roles/a.x", who, JIT)])).eligible;
    small.index.set_offers(&node, &read("user:alice@x.org"));
    assert!(small.index.offers_just(&node, &read("user:alice@x.org")));
    assert!(!small.index.offers_just(&node, &read("user:bob@x.org")));
    assert!(!small.index.offers_just(&node, &[]));
}

#[test]
fn remembered_verdicts_are_the_same_verdicts() {
    let mut verdicts = Verdicts::default();
    let node = resource("projects/in-one");
    for condition in [JIT, MPA, "true", "has({}.jitAccessConstraint) ||", &"x".repeat(99_999)] {
        let policy = policy(&[("roles/a.x", "user:alice@x.org", condition)]);
        for _ in 0..2 {
            assert_eq!(verdicts.offers(&node, &policy), offers(&node, &policy), "{condition:.60}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Whatever is offered and changed, in pages of any size, the index lists what a look at everything finds.
    #[test]
    fn the_index_lists_what_a_scan_of_everything_finds(
        edits in prop::collection::vec((0..6_usize, prop::collection::vec((0..3_u8, 0..5_u8, 0..3_u8), 0..5)), 0..14),
        groups in prop::collection::btree_set(0..2_u8, 0..3),
        size in 1..7_usize,
        text in prop::option::of(prop::sample::select(vec!["two", "role1", "in-", "zzz"])),
    ) {
        let mut small = small();
        let mut policies = BTreeMap::new();
        for (node, bindings) in edits {
            let node = hierarchy().swap_remove(node).resource;
            let eligible = offers(&node, &random_policy(&bindings)).eligible;
            small.index.set_offers(&node, &eligible);
            policies.insert(node, eligible);
        }
        let groups: BTreeSet<Email> =
            groups.iter().map(|n| Email::parse(&format!("g{n}@x.org")).unwrap()).collect();
        let members = members_of(&Principal::parse("user:alice@x.org").unwrap(), &groups);
        let search = Search { text, ..Search::default() };
        let paged = all_pages(&small.index, &members, search, size);
        prop_assert_eq!(&paged, &scan(&policies, &members, text));
        let mut places: Vec<Resource> = scan(&policies, &members, None).into_iter().map(|row| row.0.resource).collect();
        places.dedup();
        prop_assert_eq!(all_places(&small.index, &members, size), places);
    }
}

/// An offer, and by which node it is shown.
type Row = (OfferKey, Resource, Activation);

fn all_pages(
    index: &Index,
    members: &BTreeSet<Member>,
    search: Search<'_>,
    size: usize,
) -> Vec<Row> {
    let (mut rows, mut after): (Vec<Row>, Option<OfferKey>) = (Vec::new(), None);
    loop {
        let page = index.offers(members, search, after.as_ref(), size, &as_bound);
        assert!(page.items.len() == size || !page.has_more);
        let row =
            |offer: &Offer<'_>| (offer.key(), offer.by.node().resource().clone(), offer.activation);
        rows.extend(page.items.iter().map(row));
        if !page.has_more {
            return rows;
        }
        after = page.items.last().map(Offer::key);
    }
}

fn all_places(index: &Index, members: &BTreeSet<Member>, size: usize) -> Vec<Resource> {
    let (mut places, mut after): (Vec<Resource>, Option<Resource>) = (Vec::new(), None);
    loop {
        let page = index.offered_on(members, None, after.as_ref(), size, &as_bound);
        places.extend(page.items.iter().map(|node| node.resource().clone()));
        if !page.has_more {
            return places;
        }
        after = places.last().cloned();
    }
}

/// The plainest way: every node, every policy above it, every binding, every member.
fn scan(
    policies: &BTreeMap<Resource, Vec<EligibleBinding>>,
    members: &BTreeSet<Member>,
    text: Option<&str>,
) -> Vec<Row> {
    let mut best: BTreeMap<OfferKey, (Activation, usize, Resource)> = BTreeMap::new();
    for node in hierarchy() {
        let mut line = vec![node.resource.clone()];
        while let Some(parent) = parent_of(line.last().unwrap()) {
            line.push(parent);
        }
        for (height, above) in line.iter().enumerate() {
            for binding in policies.get(above).into_iter().flatten() {
                let key = OfferKey {
                    resource: node.resource.clone(),
                    role: binding.role.clone(),
                    condition: binding.carried.to_string(),
                };
                let words = format!("{} {}", node.resource, node.display_name).to_lowercase();
                let is_meant = text.is_none_or(|text| {
                    words.contains(text) || binding.role.as_str().to_lowercase().contains(text)
                });
                if is_meant && binding.members.iter().any(|member| members.contains(member)) {
                    let candidate = (binding.activation, height, above.clone());
                    let kept = best.entry(key).or_insert(candidate.clone());
                    if (candidate.0, candidate.1) < (kept.0, kept.1) {
                        *kept = candidate;
                    }
                }
            }
        }
    }
    best.into_iter().map(|(key, (activation, _, by))| (key, by, activation)).collect()
}

fn random_policy(bindings: &[(u8, u8, u8)]) -> Policy {
    let rows: Vec<(String, &str, &str)> = bindings
        .iter()
        .map(|(role, member, condition)| {
            let members = [
                "user:alice@x.org",
                "group:g0@x.org",
                "group:g1@x.org",
                "domain:x.org",
                "user:bob@x.org",
            ];
            let conditions = [JIT, MPA, "has({}.jitAccessConstraint) && resource.name == \"n\""];
            let (member, condition) = (usize::from(*member), usize::from(*condition));
            let member = members.get(member).unwrap();
            (format!("roles/a.Role{role}"), *member, *conditions.get(condition).unwrap())
        })
        .collect();
    policy(
        &rows.iter().map(|(role, who, condition)| (&**role, *who, *condition)).collect::<Vec<_>>(),
    )
}

/// One organisation: `projects/in-one` right in it, `folders/2` with `folders/3` and `projects/in-two` below.
struct Small {
    index: Index,
}

fn small() -> Small {
    Small::new(&[])
}

impl Small {
    fn new(protected: &[&str]) -> Self {
        let protected = protected.iter().map(|name| resource(name)).collect();
        let mut small = Self { index: Index::new(protected) };
        let changes = small.index.changes(&hierarchy());
        small.apply(changes);
        small
    }

    fn apply(&mut self, changes: Changes) {
        changes.set.into_iter().for_each(|node| self.index.set_node(node));
        changes.gone.iter().for_each(|gone| self.index.remove_node(gone));
    }

    fn offer(&mut self, node: &str, bindings: &[(&str, &str, &str)]) {
        let node = resource(node);
        let eligible = offers(&node, &policy(bindings)).eligible;
        assert_eq!(eligible.len(), bindings.len());
        assert!(self.index.set_offers(&node, &eligible));
    }

    fn listed(&self, name: &str) -> Vec<String> {
        let who = Principal::parse(&format!("user:{name}@x.org")).unwrap();
        let members = members_of(&who, &BTreeSet::new());
        let page = self.index.offers(&members, Search::default(), None, 100, &as_bound);
        assert!(!page.has_more);
        let row = |offer: &Offer<'_>| {
            format!("{} {} {}", offer.node.resource(), offer.by.role(), offer.by.condition())
        };
        page.items.iter().map(row).collect()
    }
}

fn hierarchy() -> Vec<Placed> {
    [
        ("organizations/1", ""),
        ("folders/2", "organizations/1"),
        ("folders/3", "folders/2"),
        ("projects/in-one", "organizations/1"),
        ("projects/in-two", "folders/3"),
        ("projects/alone-1", "folders/9"),
    ]
    .map(|(node, parent)| Placed {
        resource: resource(node),
        display_name: format!("Node {node}"),
        parent: (!parent.is_empty()).then(|| resource(parent)),
    })
    .to_vec()
}

fn parent_of(node: &Resource) -> Option<Resource> {
    hierarchy().into_iter().find(|placed| placed.resource == *node)?.parent
}

fn policy(bindings: &[(&str, &str, &str)]) -> Policy {
    let binding = |(role, member, expression): &(&str, &str, &str)| Binding {
        role: (*role).into(),
        members: vec![(*member).into()],
        condition: Some(Condition { expression: (*expression).into(), ..Condition::default() }),
        ..Binding::default()
    };
    Policy { bindings: bindings.iter().map(binding).collect(), ..Policy::default() }
}

fn resource(name: &str) -> Resource {
    Resource::parse(name).unwrap()
}

fn alice() -> BTreeSet<Member> {
    members_of(&Principal::parse("user:alice@x.org").unwrap(), &BTreeSet::new())
}

#[expect(clippy::unnecessary_wraps, reason = "what the index asks for")]
fn as_bound(_: &Node, listed: &Listed) -> Option<Activation> {
    Some(listed.activation())
}
