//! The edits of one turn, applied to the policy that was read.

mod room;

use std::collections::BTreeSet;

pub use room::Room;

use crate::id::RequestId;
use crate::plan::{Purpose, SetBindings};
use crate::planted;
use crate::policy::{Binding, Policy};

/// Google's limits on one allow policy (<https://cloud.google.com/iam/quotas>, "Limits").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Members over all bindings, each appearance counted.
    pub principals: usize,
    /// Bindings of one role and one member that differ in their conditions only.
    pub same_role_and_member: usize,
}

/// What Google allows.
pub const GOOGLE_LIMITS: Limits = Limits { principals: 1_500, same_role_and_member: 20 };

/// The policy version that conditions need (<https://cloud.google.com/iam/docs/policies#versions>).
const CONDITIONS_VERSION: i32 = 3;

/// The policy that a turn writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The new policy; equal to the read one where nothing is to be written.
    pub policy: Policy,
    /// Requests whose bindings do not fit now.
    pub refused: Vec<(RequestId, Refusal)>,
}

/// Why a request's bindings do not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The policy would name too many members.
    TooManyPrincipals,
    /// The member would hold the role under too many conditions.
    TooManyForRoleAndMember,
}

impl Refusal {
    /// The name in conditions and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TooManyPrincipals => "TOO_MANY_PRINCIPALS",
            Self::TooManyForRoleAndMember => "TOO_MANY_FOR_ROLE_AND_MEMBER",
        }
    }
}

/// Removals first and never refused; then additions by (`decided_at`, id), each request's all or none.
/// Fences are written only if nothing else is.
pub fn apply_edits(policy: &Policy, edits: &[SetBindings], limits: &Limits) -> Applied {
    let of = |purpose| edits.iter().filter(move |edit| edit.purpose == purpose).collect::<Vec<_>>();
    let applied = apply(policy, &of(Purpose::Difference), limits);
    if applied.policy != *policy {
        return applied;
    }
    let fenced = apply(policy, &of(Purpose::Fence), limits);
    Applied { policy: fenced.policy, refused: [applied.refused, fenced.refused].concat() }
}

fn apply(policy: &Policy, edits: &[&SetBindings], limits: &Limits) -> Applied {
    let mut next = policy.clone();
    let unwanted: BTreeSet<&Binding> = edits.iter().flat_map(|edit| &edit.replaces).collect();
    let wanted: BTreeSet<Binding> =
        edits.iter().flat_map(|edit| &edit.bindings).map(Binding::from).collect();
    #[cfg(feature = "planted-bugs")]
    let unwanted = siblings_too(policy, unwanted);
    next.bindings.retain(|binding| !unwanted.contains(binding) || wanted.contains(binding));

    let mut additions: Vec<&&SetBindings> = edits.iter().collect();
    additions.sort_by(|a, b| (a.decided_at, &a.request).cmp(&(b.decided_at, &b.request)));
    let mut refused = Vec::new();
    for edit in additions {
        let before = next.bindings.len();
        let missing: Vec<Binding> = edit
            .bindings
            .iter()
            .map(Binding::from)
            .filter(|b| !next.bindings.contains(b))
            .collect();
        next.bindings.extend(missing.iter().cloned());
        if let Some(refusal) = overflow(&next, &missing, limits) {
            next.bindings.truncate(before);
            refused.push((edit.request.clone(), refusal));
        }
    }
    if next.bindings != policy.bindings {
        next.version = CONDITIONS_VERSION;
    }
    Applied { policy: next, refused }
}

/// With the bug planted, a removal takes every binding of the same role and members.
#[cfg(feature = "planted-bugs")]
fn siblings_too<'a>(
    policy: &'a Policy,
    mut unwanted: BTreeSet<&'a Binding>,
) -> BTreeSet<&'a Binding> {
    let is_sibling = |binding: &&Binding| {
        unwanted.iter().any(|it| it.role == binding.role && it.members == binding.members)
    };
    let siblings = policy.bindings.iter().filter(is_sibling).collect::<Vec<_>>();
    unwanted.extend(siblings.into_iter().filter(|_| planted::is("siblings-go-too")));
    unwanted
}

fn overflow(policy: &Policy, added: &[Binding], limits: &Limits) -> Option<Refusal> {
    if added.is_empty() {
        return None;
    }
    let principals: usize = policy.bindings.iter().map(|binding| binding.members.len()).sum();
    if principals > planted!("no-limit-of-members", usize::MAX, limits.principals) {
        return Some(Refusal::TooManyPrincipals);
    }
    let holds = |binding: &Binding, new: &Binding| {
        binding.role == new.role
            && binding.condition.is_some()
            && new.members.iter().any(|member| binding.members.contains(member))
    };
    let most = planted!("a-place-unused", 19, limits.same_role_and_member);
    let crowded = |new: &Binding| {
        policy.bindings.iter().filter(|binding| holds(binding, new)).count()
            > planted!("no-limit", usize::MAX, most)
    };
    added.iter().any(crowded).then_some(Refusal::TooManyForRoleAndMember)
}

#[cfg(test)]
mod tests;
