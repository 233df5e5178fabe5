//! How fast "what may I ask for" is answered: 1,000 groups, 10,000 projects, 40 eligible bindings each.
//!
//! `cargo run --release -p curfew-intake --example bench_listing`. Beside the index, in the same run, the naive way: a
//! look at every binding in force on every project.
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![expect(clippy::print_stdout, reason = "a benchmark prints its table")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use curfew_core::condition::Activation;
use curfew_core::eligible::EligibleBinding;
use curfew_core::index::{
    Index, Listed, Node, Offer, OfferKey, Placed, Search, Verdicts, members_of,
};
use curfew_core::policy::{Binding, Condition, Policy};
use curfew_core::principal::{Email, Member, Principal};
use curfew_core::resource::Resource;

const N_GROUPS: u64 = 1_000;
const N_PROJECTS: u64 = 10_000;
const N_BINDINGS: usize = 40;
const N_FOLDERS: u64 = 200;
const N_ROLES: u64 = 300;
/// Groups that one person is in.
const N_OWN_GROUPS: usize = 25;
const N_PEOPLE: u64 = 40;
const N_ROUNDS: usize = 2_000;
const N_NAIVE_ROUNDS: usize = 20;
const PAGE: usize = 50;

fn main() {
    let mut rng = Numbers(7);
    let before = resident_kib();
    let mut index = Index::new(BTreeSet::new());
    let began = Instant::now();
    for node in index.changes(&hierarchy()).set {
        index.set_node(node);
    }
    let mut verdicts = Verdicts::default();
    for n in 0..N_PROJECTS {
        let policy = random_policy(&mut rng);
        index.set_offers(&project(n), &verdicts.offers(&project(n), &policy).eligible);
    }
    // A few that reach everything, or a whole folder.
    let everybody = binding("roles/everybody.viewer", "domain:example.com", JIT);
    let organization = Resource::Organization(1);
    index.set_offers(&organization, &verdicts.offers(&organization, &of(vec![everybody])).eligible);
    for n in 0..20 {
        let (folder, group) = (Resource::Folder(n + 1), format!("group:g{n}@example.com"));
        let policy = of(vec![binding("roles/folder.admin", &group, MPA)]);
        index.set_offers(&folder, &verdicts.offers(&folder, &policy).eligible);
    }
    println!(
        "built from {} bindings on {} nodes in {:?}",
        index.n_bindings(),
        index.n_nodes(),
        began.elapsed()
    );
    println!("memory of the index: {} MiB", resident_kib().saturating_sub(before) / 1_024);
    measure_pages(&index, &mut rng);
    measure_updates(&mut index, &mut verdicts, &mut rng);
    measure_naive(&index, &mut rng);
}

fn measure_pages(index: &Index, rng: &mut Numbers) {
    let people: Vec<_> = (0..N_PEOPLE).map(|n| person(n, rng)).collect();
    let one = project(N_PROJECTS / 2);
    for (name, search) in [
        ("a page", Search::default()),
        ("a page of a search that hits", Search { text: Some("project 77"), ..Search::default() }),
        ("a page of a search for a role", Search { text: Some("role17"), ..Search::default() }),
        ("a search that finds nothing", Search { text: Some("zzzz"), ..Search::default() }),
        ("one project", Search { resource: Some(&one), ..Search::default() }),
    ] {
        let (mut took, mut shown) = (Vec::with_capacity(N_ROUNDS), 0_usize);
        for round in 0..N_ROUNDS {
            let members = &people[round % people.len()];
            // Any page of the list, as likely as any other.
            let after = OfferKey {
                resource: project(rng.below(N_PROJECTS)),
                role: curfew_core::role::Role::parse("roles/a").unwrap_or_else(|_| unreachable!()),
                condition: String::new(),
            };
            let after = search.resource.is_none().then_some(&after).filter(|_| round % 2 == 1);
            let began = Instant::now();
            let page = index.offers(members, search, after, PAGE, &as_bound);
            took.push(began.elapsed());
            shown += page.items.iter().map(Offer::key).count();
        }
        report(name, took, &format!("{:.1} offers", per(shown, N_ROUNDS)));
    }
    let (mut took, mut shown) = (Vec::with_capacity(N_ROUNDS), 0_usize);
    for round in 0..N_ROUNDS {
        let began = Instant::now();
        let page = index.offered_on(&people[round % people.len()], None, None, PAGE, &as_bound);
        took.push(began.elapsed());
        shown += page.items.len();
    }
    report("a page of resources", took, &format!("{:.1} resources", per(shown, N_ROUNDS)));
}

fn measure_updates(index: &mut Index, verdicts: &mut Verdicts, rng: &mut Numbers) {
    let mut took = Vec::with_capacity(N_ROUNDS);
    for _ in 0..N_ROUNDS {
        let node = project(rng.below(N_PROJECTS));
        let policy = random_policy(rng);
        let began = Instant::now();
        let eligible = verdicts.offers(&node, &policy).eligible;
        index.set_offers(&node, &eligible);
        took.push(began.elapsed());
    }
    report("one policy read and replaced", took, "40 bindings");
    let fresh = random_policy(rng);
    let began = Instant::now();
    let read = curfew_core::eligible::offers(&project(0), &fresh).eligible;
    index.set_offers(&project(0), &read);
    println!(
        "{:<34} {:>10.1?}  (nothing remembered)",
        "one policy, every condition new",
        began.elapsed()
    );
}

/// Every binding in force on every project, each member compared.
fn measure_naive(index: &Index, rng: &mut Numbers) {
    let mut plain: BTreeMap<Resource, Vec<EligibleBinding>> = BTreeMap::new();
    let mut verdicts = Verdicts::default();
    for n in 0..N_PROJECTS {
        let policy = random_policy(rng);
        plain.insert(project(n), verdicts.offers(&project(n), &policy).eligible);
    }
    let members = person(0, rng);
    let mut took = Vec::new();
    for _ in 0..N_NAIVE_ROUNDS {
        let began = Instant::now();
        let mut found = Vec::new();
        for n in 0..N_PROJECTS {
            let node = project(n);
            let line = index.node(&node).map(|node| node.line().to_vec()).unwrap_or_default();
            for above in std::iter::once(&node).chain(&line) {
                let held = plain.get(above).into_iter().flatten();
                let held = held.filter(|one| one.members.iter().any(|it| members.contains(it)));
                found.extend(
                    held.map(|one| (node.clone(), one.role.clone(), one.carried.to_string())),
                );
            }
        }
        found.sort();
        found.truncate(PAGE);
        took.push(began.elapsed());
    }
    report("naive scan, a page", took, "beside the index");
}

fn hierarchy() -> Vec<Placed> {
    let organization = Resource::Organization(1);
    let placed = |resource, display_name: String, parent| Placed { resource, display_name, parent };
    let folders = (1..=N_FOLDERS).map(|n| {
        // Ten at the top, the others in one of those.
        let parent = if n <= 10 { organization.clone() } else { Resource::Folder(n % 10 + 1) };
        placed(Resource::Folder(n), format!("Folder {n}"), Some(parent))
    });
    let projects = (0..N_PROJECTS).map(|n| {
        let folder = Resource::Folder(n % N_FOLDERS + 1);
        placed(project(n), format!("Project {n}"), Some(folder))
    });
    let top = placed(organization.clone(), "example.com".into(), None);
    std::iter::once(top).chain(folders).chain(projects).collect()
}

const JIT: &str = "has({}.jitAccessConstraint)";
const MPA: &str = "has({}.multiPartyApprovalConstraint)";

fn random_policy(rng: &mut Numbers) -> Policy {
    let one = |rng: &mut Numbers| {
        let zone = rng.below(50);
        let condition = match rng.below(4) {
            0 => JIT.to_owned(),
            1 => MPA.to_owned(),
            _ => format!("{JIT} && resource.name.startsWith(\"projects/p/zones/zone-{zone}/\")"),
        };
        let group = format!("group:g{}@example.com", rng.below(N_GROUPS));
        binding(&format!("roles/service.role{}", rng.below(N_ROLES)), &group, &condition)
    };
    of((0..N_BINDINGS).map(|_| one(rng)).collect())
}

fn binding(role: &str, member: &str, expression: &str) -> Binding {
    Binding {
        role: role.into(),
        members: vec![member.into()],
        condition: Some(Condition { expression: expression.into(), ..Condition::default() }),
        ..Binding::default()
    }
}

fn of(bindings: Vec<Binding>) -> Policy {
    Policy { bindings, ..Policy::default() }
}

fn project(n: u64) -> Resource {
    Resource::Project(format!("project-{n:05}"))
}

fn person(n: u64, rng: &mut Numbers) -> BTreeSet<Member> {
    let address = |text: String| Email::parse(&text).unwrap_or_else(|_| unreachable!());
    let group = |_| address(format!("g{}@example.com", rng.below(N_GROUPS)));
    let groups = (0..N_OWN_GROUPS).map(group).collect();
    members_of(&Principal::User(address(format!("user{n}@example.com"))), &groups)
}

/// Numbers that look random and are the same in every run (`SplitMix64`, <https://prng.di.unimi.it/splitmix64.c>).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

#[expect(clippy::unnecessary_wraps, reason = "what the index asks for")]
fn as_bound(_: &Node, listed: &Listed) -> Option<Activation> {
    Some(listed.activation())
}

fn report(name: &str, mut took: Vec<Duration>, what: &str) {
    took.sort();
    let at = |permille: usize| took.get(took.len() * permille / 1_000).copied().unwrap_or_default();
    println!(
        "{name:<34} p50 {:>10.1?}  p99 {:>10.1?}  max {:>10.1?}  {what}",
        at(500),
        at(990),
        took.last().copied().unwrap_or_default()
    );
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn per(n: usize, of: usize) -> f64 {
    n as f64 / of as f64
}

/// `VmRSS` of this process (`proc_pid_status(5)`), KiB.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).unwrap_or_default()
}
