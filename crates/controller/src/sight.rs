//! What one policy was last seen to hold, as far as operators watch it.

use std::collections::{BTreeMap, BTreeSet};

use curfew_core::apply::GOOGLE_LIMITS;
use curfew_core::chain::Chain;
use curfew_core::fact::OwnedBinding;
use curfew_core::id::{Installation, RequestId};
use curfew_core::observe::ObservedBindings;
use curfew_core::policy::{Binding, Policy};
use curfew_core::request::Request;

/// The free share of each of Google's limits on a policy, from 1 for an empty one to 0 for a full one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Room {
    /// Of the members over all bindings.
    pub(crate) principals: f64,
    /// Of the conditions of one role and one member; of those that have the most.
    pub(crate) role_and_member: f64,
}

impl Room {
    /// Counts what the policy holds.
    pub(crate) fn of(policy: &Policy) -> Self {
        let mut principals = 0_usize;
        let mut conditions: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for binding in &policy.bindings {
            principals = principals.saturating_add(binding.members.len());
            for member in binding.members.iter().filter(|_| binding.condition.is_some()) {
                let held = conditions.entry((&binding.role, member)).or_default();
                *held = held.saturating_add(1);
            }
        }
        let most = conditions.into_values().max().unwrap_or_default();
        Self {
            principals: free(principals, GOOGLE_LIMITS.principals),
            role_and_member: free(most, GOOGLE_LIMITS.same_role_and_member),
        }
    }

    /// What is left of both limits where either policy is the fuller.
    pub(crate) fn least(self, other: Self) -> Self {
        Self {
            principals: self.principals.min(other.principals),
            role_and_member: self.role_and_member.min(other.role_and_member),
        }
    }
}

fn free(used: usize, limit: usize) -> f64 {
    let count = |n: usize| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
    (1.0 - count(used) / count(limit)).max(0.0)
}

/// How many bindings under a request's title none of its facts asks for: planted ones, ours that somebody altered, and
/// ours that no fact records. What is recorded and over is a leftover.
pub(crate) fn unauthorised(request: &Request, seen: &ObservedBindings) -> usize {
    let chain = Chain::of(&request.facts);
    let is_recorded = |ours: &OwnedBinding| chain.recorded_bindings().any(|it| it == ours);
    let strays = seen.ours.iter().filter(|ours| !is_recorded(ours)).count();
    strays.saturating_add(seen.altered.len()).saturating_add(seen.planted.len())
}

/// See the module's documentation.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sight {
    /// How many bindings under a request's title no verified fact asks for; none of those that were looked at and are
    /// as they should be.
    unauthorised: BTreeMap<RequestId, usize>,
    room: Room,
}

impl Sight {
    /// What a turn on the requests `ids` saw; `looked`: those whose bindings were told apart, with [`unauthorised`]. Under
    /// the title of one that does not exist, or belongs elsewhere, everything is somebody else's doing.
    pub(crate) fn of<'a>(
        policy: &Policy,
        installation: &Installation,
        ids: &BTreeSet<RequestId>,
        looked: impl Iterator<Item = (&'a RequestId, usize)>,
    ) -> Self {
        let mut unauthorised: BTreeMap<RequestId, usize> =
            ids.iter().map(|id| (id.clone(), 0)).collect();
        let titled = policy.bindings.iter().map(Binding::title);
        for id in titled.filter_map(|title| installation.request_of(title)) {
            if let Some(n) = unauthorised.get_mut(&id) {
                *n = n.saturating_add(1);
            }
        }
        unauthorised.extend(looked.map(|(id, n)| (id.clone(), n)));
        Self { unauthorised, room: Room::of(policy) }
    }

    /// What is known after a look: of requests that were not looked at now, what was seen before.
    pub(crate) fn after(mut self, before: Option<Self>) -> Self {
        for (id, n) in before.map(|it| it.unauthorised).unwrap_or_default() {
            self.unauthorised.entry(id).or_insert(n);
        }
        self.unauthorised.retain(|_, n| *n > 0);
        self
    }

    pub(crate) fn unauthorised(&self) -> usize {
        self.unauthorised.values().fold(0, |sum, n| sum.saturating_add(*n))
    }

    pub(crate) fn room(&self) -> Room {
        self.room
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::float_cmp, reason = "these shares are exact")]

    use super::*;
    use curfew_core::policy::Condition;

    #[test]
    fn what_bears_our_title_counts_unless_it_was_looked_at_and_is_as_it_should_be() {
        let policy = policy(&[(1, "a"), (1, "b"), (2, "c"), (3, "d")]);
        let sight = seen(&policy, &[1, 2], &[(2, 0)]);
        assert_eq!(sight.unauthorised(), 2, "3 was not looked at, and 2 is as it should be");
        assert_eq!(seen(&policy, &[1, 2, 3], &[(2, 0), (1, 1)]).unauthorised(), 2);
    }

    #[test]
    fn what_was_not_looked_at_again_stays_as_it_was_seen() {
        let before = seen(&policy(&[(1, "a"), (2, "b")]), &[1, 2], &[]);
        assert_eq!(before.unauthorised(), 2);
        let gone = seen(&policy(&[]), &[1], &[]);
        assert_eq!(gone.clone().after(Some(before.clone())).unauthorised(), 1);
        assert_eq!(gone.after(None).unauthorised(), 0, "all was looked at");
    }

    #[test]
    fn room_is_the_free_share_of_the_fuller_policy() {
        assert_eq!(Room::of(&policy(&[])), Room { principals: 1.0, role_and_member: 1.0 });
        let five: Vec<(u8, &str)> = (0..5).map(|n| (n, "a")).collect();
        let room = Room::of(&policy(&five));
        assert_eq!(room.role_and_member, 0.75);
        let many = vec!["b"; 750];
        let crowded = Room::of(&policy(&many.iter().map(|who| (1, *who)).collect::<Vec<_>>()));
        assert_eq!((crowded.principals, crowded.role_and_member), (0.5, 0.0), "20 is the most");
        assert_eq!(room.least(crowded), Room { principals: 0.5, role_and_member: 0.0 });
    }

    fn id(n: u8) -> RequestId {
        RequestId::from_bits([n; 16])
    }

    fn seen(policy: &Policy, ids: &[u8], looked: &[(u8, usize)]) -> Sight {
        let ids = ids.iter().map(|n| id(*n)).collect();
        let looked: Vec<_> = looked.iter().map(|(n, found)| (id(*n), *found)).collect();
        let installation = Installation::parse("demo").unwrap();
        Sight::of(policy, &installation, &ids, looked.iter().map(|(id, found)| (id, *found)))
    }

    /// Bindings of one role, each with the title of a request and one member.
    fn policy(bindings: &[(u8, &str)]) -> Policy {
        let bindings = bindings.iter().map(|(n, member)| Binding {
            role: "roles/viewer".into(),
            members: vec![format!("user:{member}@example.com")],
            condition: Some(Condition {
                title: Installation::parse("demo").unwrap().title(&id(*n)),
                expression: "true".into(),
                ..Condition::default()
            }),
            ..Binding::default()
        });
        Policy { bindings: bindings.collect(), ..Policy::default() }
    }
}
