//! Edits of a turn, on policies of any kind.

#![allow(clippy::arithmetic_side_effects, reason = "a test may panic: it then fails")]

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;

use super::*;
use crate::fact::OwnedBinding;
use crate::fixture::{ADMIN, VIEWER, at};
use crate::policy::{Condition, Rest};
use crate::principal::Principal;
use crate::role::Role;

const ROLES: [&str; 2] = [VIEWER, ADMIN];

#[test]
fn a_policy_with_nothing_to_do_is_not_changed_in_any_way() {
    for version in [0, 1, 3] {
        let policy = Policy { version, ..policy(vec![foreign("a")]) };
        let standing = Policy { version, ..policy_of(&[owned(1, VIEWER)]) };
        assert_eq!(apply_edits(&policy, &[], &GOOGLE_LIMITS).policy, policy);
        assert_eq!(apply_edits(&policy, &[remove(1, &[])], &GOOGLE_LIMITS).policy, policy);
        assert_eq!(apply_edits(&standing, &[add(1, &[VIEWER])], &GOOGLE_LIMITS).policy, standing);
    }
}

#[test]
fn a_changed_policy_is_of_version_3_under_the_etag_that_was_read() {
    let read = Policy { version: 1, etag: "e".into(), ..policy(vec![foreign("a")]) };
    let written = apply_edits(&read, &[add(1, &[VIEWER])], &GOOGLE_LIMITS).policy;
    assert_eq!((written.version, written.etag.as_str()), (3, "e"));
    let read = Policy { version: 1, ..policy_of(&[owned(1, VIEWER)]) };
    assert_eq!(apply_edits(&read, &[remove(1, &[VIEWER])], &GOOGLE_LIMITS).policy.version, 3);
}

#[test]
fn a_replacement_is_one_write_that_keeps_what_already_stands() {
    let mut stray = Binding::from(&owned(1, VIEWER));
    stray.members.push("user:mallory@example.com".into());
    let read = policy(vec![Binding::from(&owned(1, ADMIN)), stray.clone()]);
    let mut edit = add(1, &ROLES);
    edit.replaces = vec![Binding::from(&owned(1, ADMIN)), stray];
    let applied = apply_edits(&read, &[edit], &GOOGLE_LIMITS);
    assert_eq!(applied.policy.bindings, [ADMIN, VIEWER].map(|role| Binding::from(&owned(1, role))));
}

#[test]
fn removals_are_never_refused_and_make_room_first() {
    let full = Limits { principals: 1, ..GOOGLE_LIMITS };
    let read = policy_of(&[owned(2, VIEWER)]);
    let applied = apply_edits(&read, &[add(1, &[VIEWER]), remove(2, &[VIEWER])], &full);
    assert_eq!(
        (applied.policy, applied.refused),
        (Policy { version: 3, ..policy_of(&[owned(1, VIEWER)]) }, vec![])
    );
    let none = Limits { principals: 0, same_role_and_member: 0 };
    let applied = apply_edits(&read, &[remove(2, &[VIEWER])], &none);
    assert_eq!((applied.policy.bindings, applied.refused), (vec![], vec![]));
}

#[test]
fn a_request_is_added_whole_or_not_at_all() {
    let one_free = Limits { principals: 2, ..GOOGLE_LIMITS };
    let read = policy(vec![foreign("a")]);
    let applied = apply_edits(&read, &[add(1, &ROLES)], &one_free);
    assert_eq!(
        (applied.policy, applied.refused),
        (read.clone(), vec![(id(1), Refusal::TooManyPrincipals)])
    );
    let applied = apply_edits(&read, &[add(1, &ROLES), add(2, &[VIEWER])], &one_free);
    assert_eq!(titles(&applied.policy), [String::new(), owned(2, VIEWER).title]);
    assert_eq!(applied.refused, [(id(1), Refusal::TooManyPrincipals)]);
}

#[test]
fn who_was_granted_first_is_added_first_and_then_by_id() {
    let one_free = Limits { principals: 1, ..GOOGLE_LIMITS };
    let later = SetBindings { decided_at: at("10:00:01"), ..add(1, &[VIEWER]) };
    for edits in [
        [later.clone(), add(2, &[VIEWER]), add(3, &[VIEWER])],
        [add(3, &[VIEWER]), add(2, &[VIEWER]), later],
    ] {
        let applied = apply_edits(&policy(vec![]), &edits, &one_free);
        assert_eq!(titles(&applied.policy), [owned(2, VIEWER).title]);
        assert_eq!(
            applied.refused.iter().map(|(id, _)| id.clone()).collect::<Vec<_>>(),
            [id(3), id(1)]
        );
    }
}

#[test]
fn google_allows_1500_members_of_a_policy() {
    let members =
        |n: usize| Binding { members: vec!["user:a@example.com".into(); n], ..foreign("a") };
    let fits = apply_edits(&policy(vec![members(1_499)]), &[add(1, &[VIEWER])], &GOOGLE_LIMITS);
    assert_eq!(fits.refused, []);
    let full = policy(vec![members(1_500)]);
    let refused = apply_edits(&full, &[add(1, &[VIEWER])], &GOOGLE_LIMITS);
    assert_eq!(
        (refused.policy, refused.refused),
        (full, vec![(id(1), Refusal::TooManyPrincipals)])
    );
}

#[test]
fn google_allows_20_conditions_of_one_role_and_member() {
    let standing = |n: u8| (100..100 + n).map(|n| owned(n, VIEWER)).collect::<Vec<_>>();
    let unconditional = Binding { condition: None, ..Binding::from(&owned(1, VIEWER)) };
    let mut read = policy_of(&standing(19));
    read.bindings.push(unconditional);
    assert_eq!(apply_edits(&read, &[add(1, &[VIEWER])], &GOOGLE_LIMITS).refused, []);
    let full = policy_of(&standing(20));
    let refused = apply_edits(&full, &[add(1, &[VIEWER]), add(2, &[ADMIN])], &GOOGLE_LIMITS);
    assert_eq!(refused.refused, [(id(1), Refusal::TooManyForRoleAndMember)]);
    assert_eq!(refused.policy.bindings.len(), 21, "another role is not concerned");
}

#[test]
fn what_stands_already_is_not_refused() {
    let none = Limits { principals: 0, same_role_and_member: 0 };
    let read = policy_of(&[owned(1, VIEWER)]);
    assert_eq!(
        apply_edits(&read, &[add(1, &[VIEWER])], &none),
        Applied { policy: read, refused: vec![] }
    );
}

#[test]
fn a_fence_is_written_only_if_nothing_else_is() {
    let fence = SetBindings { purpose: Purpose::Fence, ..add(1, &[VIEWER]) };
    let read = policy_of(&[owned(2, VIEWER)]);
    let alone = apply_edits(&read, &[fence.clone(), add(2, &[VIEWER])], &GOOGLE_LIMITS).policy;
    assert_eq!(titles(&alone), [owned(2, VIEWER).title, owned(1, VIEWER).title]);
    let beside_a_removal =
        apply_edits(&read, &[fence.clone(), remove(2, &[VIEWER])], &GOOGLE_LIMITS).policy;
    assert_eq!(titles(&beside_a_removal), Vec::<String>::new());
    let full = Limits { principals: 1, ..GOOGLE_LIMITS };
    let refused = apply_edits(&read, &[fence, add(3, &[VIEWER])], &full);
    assert_eq!(
        refused.refused.iter().map(|(id, _)| id.clone()).collect::<Vec<_>>(),
        [id(3), id(1)]
    );
}

#[test]
fn a_thousand_grants_at_once_are_applied_in_one_go() {
    let edits: Vec<_> = (0..1_000_u16)
        .map(|n| {
            let member = Principal::parse(&format!("user:p{n}@example.com")).unwrap();
            let mut edit = add(1, &[VIEWER]);
            edit.request = RequestId::from_bits(u128::from(n).to_be_bytes());
            edit.bindings.iter_mut().for_each(|binding| binding.member = member.clone());
            edit
        })
        .collect();
    let applied = apply_edits(&policy(vec![foreign("a")]), &edits, &GOOGLE_LIMITS);
    assert_eq!((applied.policy.bindings.len(), applied.refused.len()), (1_001, 0));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_not_ours_goes_back_as_it_came(read in any_policy(), edits in any_edits(), limits in any_limits()) {
        let ours = |binding: &Binding| binding.title().starts_with("curfew demo ");
        let written = apply_edits(&read, &edits, &limits).policy;
        prop_assert_eq!(read.foreign(ours), written.foreign(ours));
        prop_assert_eq!(&read.rest, &written.rest);
        prop_assert_eq!(&read.etag, &written.etag);
        let foreign = |policy: &Policy| policy.bindings.iter().filter(|binding| !ours(binding)).cloned().collect::<Vec<_>>();
        prop_assert_eq!(foreign(&read), foreign(&written), "not even the order changes");
    }

    #[test]
    fn what_fits_is_foreseen(
        read in any_policy(),
        n in 0u8..4,
        roles in proptest::sample::subsequence(ROLES.to_vec(), 1..=2),
        limits in any_limits(),
    ) {
        let add = add(n, &roles);
        let stands = |binding: &OwnedBinding| read.bindings.contains(&Binding::from(binding));
        prop_assume!(!add.bindings.iter().any(stands));
        let said = apply_edits(&read, std::slice::from_ref(&add), &limits).refused;
        let parsed: Vec<Role> = roles.iter().map(|role| Role::parse(role).unwrap()).collect();
        let member = &add.bindings.first().unwrap().member;
        let foreseen = Room::of(&read).refuses(member, &parsed, &limits);
        prop_assert_eq!(foreseen, said.first().map(|(_, refusal)| *refusal));
    }

    #[test]
    fn applying_twice_is_applying_once(read in any_policy(), edits in any_edits(), limits in any_limits()) {
        let once = apply_edits(&read, &edits, &limits);
        let twice = apply_edits(&once.policy, &edits, &limits);
        prop_assert_eq!(&twice.policy, &once.policy);
        // Of two limits that are both in the way, another may be named.
        let ids = |applied: Applied| applied.refused.into_iter().map(|(id, _)| id).collect::<Vec<_>>();
        prop_assert_eq!(ids(twice), ids(once));
    }

    #[test]
    fn the_order_of_the_edits_does_not_matter(read in any_policy(), edits in any_edits(), limits in any_limits()) {
        let backwards: Vec<_> = edits.iter().rev().cloned().collect();
        prop_assert_eq!(apply_edits(&read, &edits, &limits), apply_edits(&read, &backwards, &limits));
    }

    #[test]
    fn each_request_gets_all_or_none_of_what_it_lacks(read in any_policy(), edits in any_edits(), limits in any_limits()) {
        let applied = apply_edits(&read, &edits, &limits);
        for edit in &edits {
            let is_refused = applied.refused.iter().any(|(id, _)| *id == edit.request);
            for binding in edit.bindings.iter().map(Binding::from) {
                let expected = !is_refused || read.bindings.contains(&binding);
                prop_assert_eq!(applied.policy.bindings.contains(&binding), expected);
            }
            let unwanted = edit.replaces.iter().filter(|old| !edit.bindings.iter().any(|new| Binding::from(new) == **old));
            for binding in unwanted {
                prop_assert!(!applied.policy.bindings.contains(binding), "a removal was refused");
            }
        }
    }
}

fn id(n: u8) -> RequestId {
    RequestId::from_bits([n; 16])
}

/// The binding of a request, all for one member.
fn owned(n: u8, role: &str) -> OwnedBinding {
    OwnedBinding {
        role: Role::parse(role).unwrap(),
        member: Principal::parse("user:alice@example.com").unwrap(),
        title: format!("curfew demo {}", id(n)),
        description: format!("v1 x {n}"),
        expression: "true".into(),
    }
}

fn foreign(name: &str) -> Binding {
    Binding {
        role: "roles/owner".into(),
        members: vec![format!("user:{name}@example.com")],
        ..Binding::default()
    }
}

fn policy(bindings: Vec<Binding>) -> Policy {
    Policy { version: 3, bindings, ..Policy::default() }
}

fn policy_of(owned: &[OwnedBinding]) -> Policy {
    policy(owned.iter().map(Binding::from).collect())
}

fn titles(policy: &Policy) -> Vec<String> {
    policy.bindings.iter().map(|binding| binding.title().to_owned()).collect()
}

fn edit(
    n: u8,
    decided_at: DateTime<Utc>,
    bindings: Vec<OwnedBinding>,
    replaces: &[&str],
) -> SetBindings {
    let replaces = replaces.iter().map(|role| Binding::from(&owned(n, role))).collect();
    SetBindings { request: id(n), decided_at, bindings, replaces, purpose: Purpose::Difference }
}

fn add(n: u8, roles: &[&str]) -> SetBindings {
    edit(n, at("10:00:00"), roles.iter().map(|role| owned(n, role)).collect(), &[])
}

fn remove(n: u8, roles: &[&str]) -> SetBindings {
    edit(n, at("10:00:00"), vec![], roles)
}

fn any_limits() -> impl Strategy<Value = Limits> {
    (0_usize..20, 0_usize..6)
        .prop_map(|(principals, same_role_and_member)| Limits { principals, same_role_and_member })
}

/// Ours of requests 0 to 5, and others with any text, a title much like ours included.
fn any_policy() -> impl Strategy<Value = Policy> {
    let ours = (0_u8..6, prop::sample::select(ROLES.to_vec()))
        .prop_map(|(n, role)| Binding::from(&owned(n, role)));
    let text = "[a-z {}\"]{0,6}";
    let rest = prop::sample::select(vec!["{}", "{\"new\":1}"]).prop_map(|rest| Rest(rest.into()));
    let condition = (
        prop_oneof![text.boxed(), Just("curfew prod x".to_owned()).boxed()],
        text,
        text,
        rest.clone(),
    )
        .prop_map(|(title, description, expression, rest)| Condition {
            title,
            description,
            expression,
            rest,
        });
    let members = prop::collection::vec("[ab]{1,2}", 0..4);
    let other = (text, members, prop::option::of(condition), rest.clone())
        .prop_map(|(role, members, condition, rest)| Binding { role, members, condition, rest });
    let bindings = prop::collection::vec(prop_oneof![ours, other], 0..12);
    (0_i32..4, text, bindings, rest).prop_map(|(version, etag, mut bindings, rest)| {
        // IAM merges equal bindings.
        let mut known = std::collections::BTreeSet::new();
        bindings.retain(|binding| known.insert(binding.clone()));
        Policy { version, etag, bindings, rest }
    })
}

/// One edit of each of some requests, as a decision would ask for it.
fn any_edits() -> impl Strategy<Value = Vec<SetBindings>> {
    let one = (
        prop::sample::subsequence(ROLES.to_vec(), 0..=2),
        prop::sample::subsequence(ROLES.to_vec(), 0..=2),
        0_i64..3,
    );
    let wanted = prop::collection::btree_map(0_u8..6, one, 0..6);
    wanted.prop_map(|wanted| {
        let edits = wanted.into_iter().map(|(n, (roles, old, decided_at))| {
            let bindings = roles.iter().map(|role| owned(n, role)).collect();
            edit(n, at("10:00:00") + TimeDelta::seconds(decided_at), bindings, &old)
        });
        edits.collect()
    })
}
