//! Chains that a writer of the store could make: nothing but a prefix of ours ever stands.

use chrono::TimeDelta;
use curfew_core::fact::Fact;
use curfew_core::id::{Nonce, RequestId};
use curfew_core::principal::Principal;
use curfew_core::resource::Resource;

use super::*;
use crate::scene::{Scene, binding, facts, installation, noon, request_id, sealer};

type Tamper = fn(&mut StoredFact);

#[test]
fn sealed_facts_verify_and_read_the_same() {
    let scene = sealed();
    let verified = sealer().verify_facts(&scene.stored);
    assert_eq!(verified.rejected(), 0);
    let expected: Vec<Fact> = facts()
        .iter()
        .map(|fact| fact.tagged(&installation(), &|subject| sealer().tag(subject)))
        .collect();
    let read: Vec<Fact> = verified.iter().map(|recorded| recorded.fact.clone()).collect();
    assert_eq!(read, expected);
    assert!(verified.iter().all(|recorded| recorded.at == noon()));
}

#[test]
fn facts_sealed_in_several_commits_are_one_chain() {
    let mut scene = Scene::new();
    for fact in facts() {
        scene.record(noon(), &[fact]);
    }
    assert_eq!(scene.stored.facts, sealed().stored.facts);
}

#[test]
fn a_tampered_fact_and_what_follows_do_not_exist() {
    let tampers: [(&str, Tamper); 13] = [
        ("n", |fact| fact.n += 1),
        ("n negative", |fact| fact.n = -1),
        ("kind in lower case", |fact| fact.kind.make_ascii_lowercase()),
        ("kind unknown", |fact| fact.kind = "NEW".into()),
        ("at", |fact| fact.at = payload::timestamp(noon() + TimeDelta::days(1))),
        ("at spelled otherwise", |fact| fact.at = fact.at.replace('Z', "+00:00")),
        ("payload", |fact| fact.payload = "{}".into()),
        ("payload spaced", |fact| fact.payload.insert(1, ' ')),
        ("prev", |fact| fact.prev = Digest::of(b"").to_string()),
        ("mac empty", |fact| fact.mac.clear()),
        ("mac cut", |fact| fact.mac.truncate(62)),
        ("mac in upper case", |fact| fact.mac = fact.mac.to_uppercase()),
        ("mac of another", |fact| fact.mac = "0".repeat(64)),
    ];
    for (name, tamper) in tampers {
        for position in 0..facts().len() {
            let mut scene = sealed();
            tamper(&mut scene.stored.facts[position]);
            let verified = sealer().verify_facts(&scene.stored);
            assert_eq!(verified.len(), position, "{name} of fact {position}");
            assert_eq!(verified.rejected(), facts().len() - position, "{name} of fact {position}");
        }
    }
}

#[test]
fn every_flipped_bit_breaks_a_mac() {
    let genuine = sealed();
    for position in 0..64 {
        for bit in 0..4 {
            let mut scene = Scene::new();
            scene.stored.facts = genuine.stored.facts[..1].to_vec();
            let digits = scene.stored.facts[0].mac.clone();
            let digit = u8::from_str_radix(&digits[position..=position], 16).unwrap() ^ (1 << bit);
            scene.stored.facts[0].mac.replace_range(position..=position, &format!("{digit:x}"));
            assert_eq!(sealer().verify_facts(&scene.stored).len(), 0, "digit {position} bit {bit}");
        }
    }
}

#[test]
fn facts_count_in_their_order_only() {
    let scene = sealed();
    let of = |facts: Vec<StoredFact>| {
        let stored = StoredRequest { facts, ..scene.stored.clone() };
        sealer().verify_facts(&stored).len()
    };
    let all = &scene.stored.facts;
    assert_eq!(
        of(all[..3].to_vec()),
        3,
        "a shorter chain verifies; who remembers more must notice"
    );
    assert_eq!(of(all[1..].to_vec()), 0, "without the first");
    assert_eq!(of([&all[..2], &all[3..]].concat()), 2, "with a gap");
    assert_eq!(of([&all[..2], &all[1..]].concat()), 2, "one twice");
    assert_eq!(of(all.iter().rev().cloned().collect()), 0, "backwards");
    assert_eq!(of([&all[..2], &[all[3].clone(), all[2].clone()]].concat()), 2, "two swapped");
    assert_eq!(of([&all[..], &all[7..]].concat()), 8, "extended by a copy");
}

#[test]
fn facts_of_another_place_do_not_count() {
    let scene = sealed();
    let other_request = StoredRequest { id: RequestId::from_bits([9; 16]), ..scene.stored.clone() };
    assert_eq!(sealer().verify_facts(&other_request).len(), 0);
    let other_installation = Sealer::new(Installation::parse("prod").unwrap(), sealer().key);
    assert_eq!(other_installation.verify_facts(&scene.stored).len(), 0);
    let other_key = Sealer::new(installation(), FactsKey::new(&[0x43; 32]));
    assert_eq!(other_key.verify_facts(&scene.stored).len(), 0);
}

#[test]
fn an_edited_spec_breaks_the_chain() {
    let mut scene = sealed();
    scene.stored.spec.as_mut().unwrap().payload.push(' ');
    assert_eq!(sealer().verify_facts(&scene.stored).len(), 0);
    scene.stored.spec = None;
    assert_eq!(sealer().verify_facts(&scene.stored).len(), 0);
}

#[test]
fn an_end_can_be_recorded_without_a_spec() {
    let mut scene = Scene::new();
    scene.stored.spec = None;
    scene.record(noon(), &facts()[6..]);
    assert_eq!(sealer().verify_facts(&scene.stored).len(), 2);
}

#[test]
fn the_next_commit_replaces_a_rejected_tail() {
    let mut scene = sealed();
    scene.stored.facts[3].payload = "{}".into();
    scene.record(noon() + TimeDelta::seconds(1), &facts()[6..]);
    let verified = sealer().verify_facts(&scene.stored);
    assert_eq!((verified.len(), verified.rejected()), (5, 0));
    assert_eq!(scene.stored.facts[3].n, 3);
}

#[test]
fn a_kind_of_a_newer_version_verifies_and_the_chain_goes_on() {
    let mut scene = Scene::new();
    scene.record(noon(), &facts()[..1]);
    let newer =
        seal_as_it_stands(&scene.stored, 1, "NUDGED", &payload::timestamp(noon()), "{\"a\":1}");
    scene.stored.facts.push(newer);
    scene.record(noon(), &facts()[1..]);
    let verified = sealer().verify_facts(&scene.stored);
    assert_eq!((verified.len(), verified.rejected()), (9, 0));
    assert_eq!(verified.iter().nth(1).unwrap().fact, Fact::Unknown { kind: "NUDGED".into() });
}

#[test]
fn a_valid_mac_over_the_unreadable_ends_the_chain() {
    let at = payload::timestamp(noon());
    for (kind, at, payload) in [
        ("ENDED", at.as_str(), "{}"),
        ("ENDED", at.as_str(), "{\"how\":\"SEEN_GONE\",\"more\":1}"),
        ("ENDED", at.as_str(), "{ \"how\":\"SEEN_GONE\"}"),
        ("ENDED", "2026-11-24", "{\"how\":\"SEEN_GONE\"}"),
    ] {
        let mut scene = Scene::new();
        scene.record(noon(), &facts()[..1]);
        let unreadable = seal_as_it_stands(&scene.stored, 1, kind, at, payload);
        scene.stored.facts.push(unreadable);
        assert_eq!(sealer().verify_facts(&scene.stored).len(), 1, "{at} {payload}");
    }
}

#[test]
fn a_valid_mac_with_a_gap_in_the_count_ends_the_chain() {
    for (n, stands) in [(0, 1), (1, 2), (2, 1), (-1, 1)] {
        let mut scene = Scene::new();
        scene.record(noon(), &facts()[..1]);
        let next = seal_as_it_stands(&scene.stored, n, "NEW", &payload::timestamp(noon()), "{}");
        scene.stored.facts.push(next);
        assert_eq!(sealer().verify_facts(&scene.stored).len(), stands, "n {n}");
    }
}

#[test]
fn a_tag_changes_with_everything_that_it_covers() {
    let base = binding("(request.time < timestamp(\"2026-11-24T13:00:00Z\"))");
    let tag = |change: &dyn Fn(&mut curfew_core::fact::UntaggedBinding)| {
        let mut changed = base.clone();
        change(&mut changed);
        changed.tagged(&installation(), &|subject| sealer().tag(subject)).description
    };
    let genuine = tag(&|_| {});
    let changes: [&dyn Fn(&mut curfew_core::fact::UntaggedBinding); 5] = [
        &|binding| binding.request = RequestId::from_bits([9; 16]),
        &|binding| binding.resource = Resource::parse("projects/demo-prod").unwrap(),
        &|binding| binding.role = curfew_core::role::Role::parse("roles/compute.admin").unwrap(),
        &|binding| binding.member = Principal::parse("user:bob@example.com").unwrap(),
        &|binding| binding.expression.push(' '),
    ];
    for (n, change) in changes.into_iter().enumerate() {
        assert_ne!(tag(change), genuine, "change {n}");
    }
    let other = base
        .tagged(&Installation::parse("prod").unwrap(), &|subject| sealer().tag(subject))
        .description;
    assert_ne!(other, genuine);
}

#[test]
fn fields_of_a_tag_do_not_run_into_each_other() {
    let installation = installation();
    let (request, resource) = (request_id(), Resource::parse("projects/demo-web").unwrap());
    let tag = |role: &str, member: &str| {
        let (installation, request, resource) = (&installation, &request, &resource);
        sealer().tag(&TagSubject { installation, request, resource, role, member, expression: "e" })
    };
    assert_ne!(tag("ab", "c"), tag("a", "bc"));
    assert_ne!(tag("a\",\"member\":\"b", ""), tag("a", "b"));
}

#[test]
fn ledger_entries_verify_as_they_were_sealed_only() {
    let entry = sealer().seal_ledger([3; 16], "FORGED_FACTS", noon(), "{\"a\":1}".into());
    assert!(sealer().verify_ledger(&entry));
    let tampers: [fn(&mut LedgerEntry); 5] = [
        |entry| entry.id = Nonce::from_bits([4; 16]).to_string(),
        |entry| entry.kind = "ORPHAN".into(),
        |entry| entry.at = payload::timestamp(noon() + TimeDelta::seconds(1)),
        |entry| entry.payload = "{}".into(),
        |entry| entry.mac = "0".repeat(64),
    ];
    for (n, tamper) in tampers.into_iter().enumerate() {
        let mut forged = entry.clone();
        tamper(&mut forged);
        assert!(!sealer().verify_ledger(&forged), "tamper {n}");
    }
}

#[test]
fn macs_of_one_kind_are_none_of_another() {
    let fields = json!({});
    let macs: std::collections::BTreeSet<String> = ["fact", "ledger", "tag"]
        .iter()
        .map(|what| sealer().key.hex_mac(&mac_input(what, &fields)))
        .collect();
    assert_eq!(macs.len(), 3);
}

#[test]
fn the_key_is_in_no_debug_text() {
    let text = format!("{:?}", sealer());
    assert!(text.contains("FactsKey(…)") && !text.contains("42"), "{text}");
}

fn sealed() -> Scene {
    let mut scene = Scene::new();
    scene.record(noon(), &facts());
    scene
}

/// A fact with a valid mac that `seal` would never write.
fn seal_as_it_stands(
    base: &StoredRequest,
    n: i64,
    kind: &str,
    at: &str,
    payload: &str,
) -> StoredFact {
    let prev =
        base.facts.last().map(|last| Digest::of(sealer().fact_input(&base.id, last).as_bytes()));
    let mut fact = StoredFact {
        n,
        kind: kind.into(),
        at: at.into(),
        payload: payload.into(),
        prev: prev.unwrap().to_string(),
        mac: String::new(),
    };
    fact.mac = sealer().key.hex_mac(&sealer().fact_input(&base.id, &fact));
    fact
}
