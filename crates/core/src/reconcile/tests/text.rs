//! Plans and facts as readers of a test want them.

use chrono::{DateTime, Utc};

use crate::condition::read_granted;
use crate::fact::{Counted, DraftFact, Fact, OwnedBinding};
use crate::plan::{Plan, Purpose, SetBindings};

/// The facts of a plan, or else what it asks of the policy, or else `nothing`.
pub(super) fn decision(plan: &Plan) -> String {
    if let Some(set) = &plan.bindings {
        return wanted(set);
    }
    if plan.facts.is_empty() {
        return "nothing".into();
    }
    plan.facts.iter().map(fact).collect::<Vec<_>>().join(", ")
}

/// A fact in a few words.
pub(super) fn fact(fact: &DraftFact) -> String {
    let kind = fact.kind();
    match fact {
        Fact::Seen { nonce, counted } => {
            let nonce = nonce.as_str().trim_start_matches('0');
            match counted {
                Counted::Yes { act, by } => format!("{kind} {nonce} {} by {by}", act.as_str()),
                Counted::No { why } => format!("{kind} {nonce} {why}"),
            }
        }
        Fact::Outcome(outcome) => format!("{kind} {}", outcome.reason.as_str()),
        Fact::Ended { how } => format!("{kind} {}", how.as_str()),
        Fact::Drift { kind: drift } => format!("{kind} {}", drift.as_str()),
        Fact::Approval { nonces, .. } => {
            let nonces = nonces.iter().map(|nonce| nonce.as_str().trim_start_matches('0'));
            std::iter::once(kind).chain(nonces).collect::<Vec<_>>().join(" ")
        }
        Fact::Eligible(_) | Fact::Grant(_) | Fact::Bound { .. } | Fact::Unknown { .. } => {
            kind.into()
        }
    }
}

/// What is asked of the policy.
pub(super) fn wanted(set: &SetBindings) -> String {
    let bindings: Vec<_> = set.bindings.iter().map(binding).collect();
    let verb = match set.purpose {
        Purpose::Fence => "fence with",
        Purpose::Difference if bindings.is_empty() => {
            return format!("remove {}", set.replaces.len());
        }
        Purpose::Difference => "set",
    };
    format!("{verb} {}", bindings.join(" and "))
}

/// The form and the role of a binding.
pub(super) fn binding(binding: &OwnedBinding) -> String {
    let granted = read_granted(&binding.expression).expect("we read what we write");
    let form = if granted.starts_at == granted.ends_at { "dead" } else { "live" };
    format!("{form} {}", binding.role.as_str().trim_start_matches("roles/"))
}

/// A time to the millisecond, with the date if it is not the day of the tests.
pub(super) fn time(at: DateTime<Utc>) -> String {
    let is_today = at.date_naive() == crate::fixture::at("00:00:00").date_naive();
    at.format(if is_today { "%H:%M:%S%.3f" } else { "%F %H:%M:%S%.3f" }).to_string()
}
