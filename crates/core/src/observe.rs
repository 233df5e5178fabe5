//! Finding a request's bindings in a policy: ours, altered, or planted by somebody else.

use std::collections::BTreeSet;

use crate::fact::{OwnedBinding, TagSubject, tag_text};
use crate::id::{Installation, RequestId, Tag};
#[cfg(feature = "planted-bugs")]
use crate::planted;
use crate::policy::{Binding, Policy};
use crate::principal::Principal;
use crate::resource::Resource;
use crate::role::Role;

/// What a policy holds under one request's title.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ObservedBindings {
    /// Equal to a recorded binding, or, where none is recorded, of one member and with a valid tag.
    pub ours: BTreeSet<OwnedBinding>,
    /// The tag text of a recorded binding, but something else differs.
    pub altered: Vec<Binding>,
    /// Only the title is ours.
    pub planted: Vec<Binding>,
}

impl ObservedBindings {
    /// Whether nothing that we would remove is there.
    pub fn is_clear(&self) -> bool {
        self.ours.is_empty() && self.altered.is_empty()
    }

    /// All that we would remove, as it stands in the policy.
    pub fn standing(&self) -> Vec<Binding> {
        self.ours.iter().map(Binding::from).chain(self.altered.iter().cloned()).collect()
    }
}

/// What is needed to recognise the bindings of one request.
#[derive(Clone, Copy)]
pub struct Marks<'a> {
    /// This installation.
    pub installation: &'a Installation,
    /// The request.
    pub request: &'a RequestId,
    /// The resource that the policy belongs to.
    pub resource: &'a Resource,
    /// The bindings that the request's facts record, live and dead.
    pub recorded: &'a [&'a OwnedBinding],
    /// The controller's HMAC.
    pub tag: &'a dyn Fn(&TagSubject<'_>) -> Tag,
}

/// Sorts the bindings under the request's title. Bindings under other titles are not looked at.
pub fn observe(policy: &Policy, marks: &Marks<'_>) -> ObservedBindings {
    let title = marks.installation.title(marks.request);
    let mut observed = ObservedBindings::default();
    for binding in policy.bindings.iter().filter(|binding| binding.title() == title) {
        match as_owned(binding) {
            Some(owned) if marks.recorded.contains(&&owned) => {
                observed.ours.insert(owned);
            }
            _ if bears_recorded_tag(binding, marks.recorded) => {
                observed.altered.push(binding.clone());
            }
            Some(owned) if has_valid_tag(&owned, marks) => {
                observed.ours.insert(owned);
            }
            #[cfg(feature = "planted-bugs")]
            _ if planted::is("a-title-is-enough") => observed.altered.push(binding.clone()),
            _ => observed.planted.push(binding.clone()),
        }
    }
    observed
}

/// The binding as one of ours, if it is written exactly as we write it: one plain member in canonical form, a
/// condition, no further fields. Whatever is written otherwise could not be told again by its text to be removed.
fn as_owned(binding: &Binding) -> Option<OwnedBinding> {
    let condition = binding.condition.as_ref()?;
    let [member] = binding.members.as_slice() else { return None };
    let owned = OwnedBinding {
        role: Role::parse(&binding.role).ok()?,
        member: Principal::parse(member).ok()?,
        title: condition.title.clone(),
        description: condition.description.clone(),
        expression: condition.expression.clone(),
    };
    (Binding::from(&owned) == *binding).then_some(owned)
}

fn bears_recorded_tag(binding: &Binding, recorded: &[&OwnedBinding]) -> bool {
    let Some(condition) = &binding.condition else { return false };
    let Some(tag) = tag_text(&condition.description) else { return false };
    recorded.iter().any(|owned| tag_text(&owned.description) == Some(tag))
}

fn has_valid_tag(owned: &OwnedBinding, marks: &Marks<'_>) -> bool {
    let member = owned.member.to_string();
    let tag = (marks.tag)(&TagSubject {
        installation: marks.installation,
        request: marks.request,
        resource: marks.resource,
        role: owned.role.as_str(),
        member: &member,
        expression: &owned.expression,
    });
    tag_text(&owned.description) == Some(tag.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::tag;
    use crate::policy::{Condition, Rest};

    struct Fixture {
        installation: Installation,
        request: RequestId,
        resource: Resource,
        live: OwnedBinding,
    }

    impl Fixture {
        fn new() -> Self {
            let installation = Installation::parse("demo").unwrap();
            let request = RequestId::from_bits([3; 16]);
            let resource = Resource::parse("projects/demo-web").unwrap();
            let live = crate::fact::UntaggedBinding {
                request: request.clone(),
                resource: resource.clone(),
                role: Role::parse("roles/compute.viewer").unwrap(),
                member: Principal::parse("user:alice@example.com").unwrap(),
                digest: crate::id::Digest::of(b"spec"),
                ticket: None,
                expression: "(request.time < timestamp(\"2026-01-01T00:00:00Z\"))".into(),
            }
            .tagged(&installation, &tag);
            Self { installation, request, resource, live }
        }

        fn observe(&self, bindings: Vec<Binding>, recorded: &[&OwnedBinding]) -> ObservedBindings {
            let policy = Policy { bindings, ..Policy::default() };
            let Self { installation, request, resource, .. } = self;
            observe(&policy, &Marks { installation, request, resource, recorded, tag: &tag })
        }
    }

    fn with(binding: &OwnedBinding, change: impl Fn(&mut Binding, &mut Condition)) -> Binding {
        let mut binding = Binding::from(binding);
        let mut condition = binding.condition.take().unwrap();
        change(&mut binding, &mut condition);
        binding.condition = Some(condition);
        binding
    }

    #[test]
    fn a_recorded_binding_is_ours() {
        let f = Fixture::new();
        let seen = f.observe(vec![Binding::from(&f.live)], &[&f.live]);
        assert_eq!(seen.ours, BTreeSet::from([f.live.clone()]));
        assert_eq!(seen.standing(), vec![Binding::from(&f.live)]);
    }

    #[test]
    fn a_tagged_binding_is_ours_even_when_no_fact_records_it() {
        let f = Fixture::new();
        let seen = f.observe(vec![Binding::from(&f.live)], &[]);
        assert_eq!(seen.ours.len(), 1);
    }

    #[test]
    fn a_title_alone_is_planted() {
        let f = Fixture::new();
        let planted = [
            with(&f.live, |b, _| b.members = vec!["user:mallory@example.com".into()]),
            with(&f.live, |b, _| b.role = "roles/storage.admin".into()),
            with(&f.live, |_, c| c.expression = "true".into()),
            with(&f.live, |_, c| c.description = "v1 0 0".into()),
            with(&f.live, |_, c| c.description = String::new()),
            with(&f.live, |b, _| b.members.push("user:mallory@example.com".into())),
        ];
        let seen = f.observe(planted.to_vec(), &[]);
        assert_eq!((seen.ours.len(), seen.altered.len(), seen.planted.len()), (0, 0, 6));
    }

    #[test]
    fn a_recorded_binding_with_a_change_is_altered() {
        let f = Fixture::new();
        let altered = [
            with(&f.live, |b, _| b.members.push("user:mallory@example.com".into())),
            with(&f.live, |_, c| c.expression = "true".into()),
            with(&f.live, |b, _| b.rest = Rest("{\"x\":1}".into())),
        ];
        let seen = f.observe(altered.to_vec(), &[&f.live]);
        assert_eq!((seen.ours.len(), seen.altered.len(), seen.planted.len()), (0, 3, 0));
    }

    #[test]
    fn a_recorded_binding_in_another_spelling_is_altered_and_can_be_removed_as_it_stands() {
        let f = Fixture::new();
        let shouted = with(&f.live, |b, _| b.members = vec!["user:Alice@Example.com".into()]);
        let seen = f.observe(vec![shouted.clone()], &[&f.live]);
        assert_eq!(seen.standing(), vec![shouted.clone()]);
        assert_eq!(f.observe(vec![shouted.clone()], &[]).planted, vec![shouted]);
    }

    #[test]
    fn other_requests_and_installations_are_not_looked_at() {
        let f = Fixture::new();
        let other =
            with(&f.live, |_, c| c.title = f.installation.title(&RequestId::from_bits([4; 16])));
        let foreign = with(&f.live, |_, c| c.title = c.title.replace("demo", "prod"));
        assert_eq!(f.observe(vec![other, foreign], &[&f.live]), ObservedBindings::default());
    }
}
