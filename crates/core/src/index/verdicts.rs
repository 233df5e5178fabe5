//! Verdicts on conditions, remembered: an organisation has many bindings and few conditions.

use std::collections::BTreeMap;

use crate::condition::{self, Verdict};
use crate::eligible::{Offers, offers_by};
use crate::policy::Policy;
use crate::resource::Resource;

/// Texts that are remembered. Each is bounded by what the reader of conditions accepts at all; with this many
/// different ones they are made up, and nothing is lost but time when all are forgotten.
const REMEMBERED_MAX: usize = 4_096;

/// Reads the eligible bindings of many policies, each condition once.
#[derive(Debug, Default)]
pub struct Verdicts {
    seen: BTreeMap<Box<str>, Verdict>,
}

impl Verdicts {
    /// What [`crate::eligible::offers`] says of the policy of `node`.
    pub fn offers(&mut self, node: &Resource, policy: &Policy) -> Offers {
        offers_by(node, policy, |condition| self.of(condition))
    }

    fn of(&mut self, condition: &str) -> Verdict {
        // A long text would be held at its length, and is refused for it faster than it is found.
        if condition.len() > condition::CONDITION_BYTES_MAX {
            return condition::eligibility(condition);
        }
        if let Some(verdict) = self.seen.get(condition) {
            return verdict.clone();
        }
        let verdict = condition::eligibility(condition);
        if self.seen.len() >= REMEMBERED_MAX {
            self.seen.clear();
        }
        self.seen.insert(condition.into(), verdict.clone());
        verdict
    }
}
