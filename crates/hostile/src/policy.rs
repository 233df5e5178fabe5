//! Edits of a policy: what is not ours stays as it is, and doing it again does nothing.

use std::collections::BTreeSet;

use chrono::DateTime;
use curfew_core::apply::{Limits, apply_edits};
use curfew_core::fact::{OwnedBinding, TagSubject, UntaggedBinding};
use curfew_core::id::{Digest, Installation, RequestId, Tag, sha256};
use curfew_core::observe::{Marks, observe};
use curfew_core::plan::{Purpose, SetBindings};
use curfew_core::policy::{Binding, Condition, Policy, Rest};
use curfew_core::principal::Principal;
use curfew_core::resource::Resource;
use curfew_core::role::Role;

use crate::choices::{Choices, damage};

const ROLES: &[&str] = &["roles/compute.viewer", "roles/storage.admin"];

const MEMBERS: &[&str] = &["user:alice@example.com", "user:bob@example.com"];

const FOREIGN: &[&str] = &["user:carol@example.com", "group:devs@example.com", "allUsers"];

const EXPRESSIONS: &[&str] = &["request.time < timestamp(\"2026-01-01T00:00:00Z\")", "true", ""];

const RESTS: &[&str] = &["{}", "{}", "{\"auditConfigs\":[1]}"];

const FRAGMENTS: &[&str] = &["curfew ", "v1 ", " ", "0", "demo", "\n", "\u{202e}", "x", ""];

/// A policy, edits of it, and what is recognised in it.
pub fn check(data: &[u8]) {
    let choices = &mut Choices::new(data);
    let policy = policy(choices);
    check_marks(&policy, choices);
    let edits: Vec<_> = (0..choices.below(4)).map(|n| edit(n, &policy, choices)).collect();
    let limits = Limits { principals: choices.below(20), same_role_and_member: choices.below(4) };
    check_edits(&policy, &edits, &limits);
}

fn check_edits(policy: &Policy, edits: &[SetBindings], limits: &Limits) {
    let applied = apply_edits(policy, edits, limits);
    let claimed: BTreeSet<Binding> = edits
        .iter()
        .flat_map(|edit| {
            edit.bindings.iter().map(Binding::from).chain(edit.replaces.iter().cloned())
        })
        .collect();
    let foreign = |policy: &Policy| policy.foreign(|binding| claimed.contains(binding));
    assert_eq!(foreign(&applied.policy), foreign(policy), "{edits:#?}");
    assert_eq!((&applied.policy.etag, &applied.policy.rest), (&policy.etag, &policy.rest));

    let added: Vec<_> =
        applied.policy.bindings.iter().filter(|it| !policy.bindings.contains(it)).collect();
    let wanted: BTreeSet<_> =
        edits.iter().flat_map(|edit| edit.bindings.iter().map(Binding::from)).collect();
    assert!(
        added.iter().all(|binding| wanted.contains(*binding)),
        "added, and nobody asked: {added:#?}"
    );
    if !added.is_empty() {
        assert_eq!(applied.policy.version, 3, "conditions need version 3");
        let principals: usize = applied.policy.bindings.iter().map(|it| it.members.len()).sum();
        assert!(principals <= limits.principals, "{principals} principals");
    }
    for (request, _) in &applied.refused {
        let mine = edits.iter().filter(|edit| edit.request == *request);
        let own: BTreeSet<Binding> =
            mine.flat_map(|edit| edit.bindings.iter().map(Binding::from)).collect();
        let others = edits.iter().filter(|edit| edit.request != *request);
        let others: BTreeSet<Binding> =
            others.flat_map(|edit| edit.bindings.iter().map(Binding::from)).collect();
        let partly = added.iter().any(|it| own.contains(*it) && !others.contains(*it));
        assert!(!partly, "{request} is refused, and partly there");
    }
    let removed = policy.bindings.iter().filter(|it| !applied.policy.bindings.contains(it));
    let unwanted: BTreeSet<_> = edits.iter().flat_map(|edit| &edit.replaces).collect();
    assert!(
        removed.into_iter().all(|binding| unwanted.contains(binding)),
        "removed, and nobody asked"
    );

    if edits.iter().all(|edit| edit.purpose == Purpose::Difference) {
        let again = apply_edits(&applied.policy, edits, limits);
        let all = |policy: &Policy| policy.bindings.iter().cloned().collect::<BTreeSet<_>>();
        assert_eq!(
            all(&again.policy),
            all(&applied.policy),
            "a second time is not the first: {edits:#?}"
        );
    }
}

/// What bears our title is counted once; what is called ours bears our tag or is recorded, to the letter.
fn check_marks(policy: &Policy, choices: &mut Choices<'_>) {
    let (installation, resource) = (installation(), resource());
    let request = RequestId::from_bits([u8::from(choices.once_in(2)); 16]);
    let recorded = [owned(0, choices)];
    let recorded: Vec<_> = recorded.iter().take(choices.below(2)).collect();
    let marks = Marks {
        installation: &installation,
        request: &request,
        resource: &resource,
        recorded: &recorded,
        tag: &tag,
    };
    let seen = observe(policy, &marks);
    let title = installation.title(&request);
    let titled: Vec<_> =
        policy.bindings.iter().filter(|binding| binding.title() == title).collect();
    for ours in &seen.ours {
        assert!(titled.contains(&&Binding::from(ours)), "ours, and not there: {ours:#?}");
        let subject = TagSubject {
            installation: &installation,
            request: &request,
            resource: &resource,
            role: ours.role.as_str(),
            member: &ours.member.to_string(),
            expression: &ours.expression,
        };
        let is_tagged = ours.description.split(' ').nth(2) == Some(tag(&subject).as_str());
        assert!(is_tagged || recorded.contains(&ours), "ours by its title alone: {ours:#?}");
    }
    let distinct: BTreeSet<_> = titled.iter().copied().cloned().collect();
    let sorted: BTreeSet<_> =
        seen.standing().into_iter().chain(seen.planted.iter().cloned()).collect();
    assert_eq!(sorted, distinct, "something under our title is overlooked");
    for binding in &policy.bindings {
        if let Some(named) = installation.request_of(binding.title()) {
            assert_eq!(installation.title(&named), binding.title(), "a title with two spellings");
        }
    }
}

fn policy(choices: &mut Choices<'_>) -> Policy {
    let bindings = (0..choices.below(6)).map(|_| match choices.below(3) {
        0 => foreign(choices),
        1 => Binding::from(&owned(choices.below(3), choices)),
        _ => altered(choices),
    });
    Policy {
        bindings: bindings.collect(),
        version: i32::from(choices.byte() % 4),
        etag: "BwX".into(),
        rest: Rest(choices.of(RESTS).into()),
    }
}

fn foreign(choices: &mut Choices<'_>) -> Binding {
    let condition =
        Condition { expression: choices.of(EXPRESSIONS).into(), ..Condition::default() };
    Binding {
        role: choices.of(ROLES).into(),
        members: (0..choices.below(3)).map(|_| choices.of(FOREIGN).to_owned()).collect(),
        condition: choices.once_in(2).then_some(condition),
        rest: Rest(choices.of(RESTS).into()),
    }
}

/// One of ours in which something was changed.
fn altered(choices: &mut Choices<'_>) -> Binding {
    let mut binding = Binding::from(&owned(choices.below(3), choices));
    let mut condition = binding.condition.take().expect("ours have one");
    match choices.below(5) {
        0 => condition.title = damage(&condition.title, FRAGMENTS, 2, choices),
        1 => condition.description = damage(&condition.description, FRAGMENTS, 2, choices),
        2 => condition.expression = choices.of(EXPRESSIONS).into(),
        3 => binding.members.push(choices.of(FOREIGN).into()),
        _ => binding.rest = Rest("{\"x\":1}".into()),
    }
    Binding { condition: Some(condition), ..binding }
}

fn edit(n: usize, policy: &Policy, choices: &mut Choices<'_>) -> SetBindings {
    let (id, bindings) = (u8::try_from(n).unwrap_or_default(), choices.below(3));
    let replaced = policy.bindings.iter().filter(|_| choices.once_in(3)).cloned().collect();
    SetBindings {
        request: RequestId::from_bits([id; 16]),
        decided_at: DateTime::from_timestamp(i64::from(choices.byte()), 0).expect("a time"),
        bindings: (0..bindings).map(|_| owned(n, choices)).collect(),
        replaces: replaced,
        purpose: if choices.once_in(4) { Purpose::Fence } else { Purpose::Difference },
    }
}

fn owned(request: usize, choices: &mut Choices<'_>) -> OwnedBinding {
    let request = RequestId::from_bits([u8::try_from(request).unwrap_or_default(); 16]);
    let untagged = UntaggedBinding {
        request,
        resource: resource(),
        role: Role::parse(choices.of(ROLES)).expect("a role"),
        member: Principal::parse(choices.of(MEMBERS)).expect("a principal"),
        digest: Digest::of(b"spec"),
        ticket: None,
        expression: choices.of(EXPRESSIONS).into(),
    };
    untagged.tagged(&installation(), &tag)
}

fn installation() -> Installation {
    Installation::parse("demo").expect("a name")
}

fn resource() -> Resource {
    Resource::parse("projects/demo-web").expect("a project")
}

/// A stand-in for the controller's HMAC: another subject has another tag.
fn tag(subject: &TagSubject<'_>) -> Tag {
    let text = format!("{subject:?}");
    let hash = sha256(&[text.as_bytes()]);
    Tag::from_bits(*hash.first_chunk().expect("32 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runs::{corpus, seeded};

    #[test]
    fn what_is_not_ours_stays_as_it_is() {
        for data in seeded(0x90_11c7, 20_000, 200) {
            check(&data);
        }
        for data in corpus("policy") {
            check(&data);
        }
    }
}
