//! What people said about a request: the oracle's own reading of whose word counts.

use chrono::{DateTime, Utc};
use curfew_core::entry::{Act, Entry, Verdict};
use curfew_core::id::{Digest, Nonce};
use curfew_core::principal::{Email, Person};
use curfew_core::spec::Spec;

use super::Invariant;
use crate::trust::WRITER_KEY;

/// One act of a person that intake has stored.
#[derive(Debug, Clone)]
pub(super) struct Word {
    pub(super) nonce: Nonce,
    pub(super) actor: Person,
    pub(super) said: Said,
    /// When it was said, by intake's clock.
    pub(super) at: DateTime<Utc>,
    /// When it stood in the store.
    pub(super) stored_at: DateTime<Utc>,
    /// What signed it.
    pub(super) key: String,
    /// Whether it ended access as soon as it stood in the store.
    pub(super) ends_access: bool,
}

/// What was said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// Yes, to what has this digest.
    Approve(Digest),
    /// No, to what has this digest.
    Deny(Digest),
    /// Somebody else ends it.
    Revoke,
    /// The requester gives it up.
    Withdraw,
    /// Nothing that matters here.
    Else,
}

impl Word {
    pub(super) fn of(entry: &Entry, key: &str, stored_at: DateTime<Utc>) -> Self {
        let said = match &entry.act {
            Act::Decide { verdict: Verdict::Approve, target, .. } => Said::Approve(target.clone()),
            Act::Decide { verdict: Verdict::Deny, target, .. } => Said::Deny(target.clone()),
            Act::Revoke { .. } => Said::Revoke,
            Act::Withdraw { .. } => Said::Withdraw,
            Act::Extend { .. } | Act::CloseReview { .. } => Said::Else,
        };
        Self {
            nonce: entry.nonce.clone(),
            actor: entry.actor.clone(),
            said,
            at: entry.at,
            stored_at,
            key: key.to_owned(),
            ends_access: false,
        }
    }

    /// What this says about the request, if it is a decision: yes or no, and to what.
    pub(super) fn decides(&self) -> Option<(bool, &Digest)> {
        match &self.said {
            Said::Approve(target) => Some((true, target)),
            Said::Deny(target) => Some((false, target)),
            Said::Revoke | Said::Withdraw | Said::Else => None,
        }
    }

    /// Why this can be no peer's decision about `spec`, whatever groups its actor is in.
    pub(super) fn flaw(&self, spec: &Spec) -> Option<(Invariant, &'static str)> {
        let Some((_, target)) = self.decides() else {
            return Some((Invariant::S7, "decided by what is no decision"));
        };
        if *target != spec.digest {
            Some((Invariant::S7, "decided by a word about something else"))
        } else if is_same_human(&self.actor, &spec.requester) {
            Some((Invariant::S1, "decided by whoever asks for it"))
        } else if !spec.chosen_approvers.is_empty()
            && !spec.chosen_approvers.contains(&self.actor.email)
        {
            Some((Invariant::S1, "decided by somebody who was not chosen"))
        } else if self.key == WRITER_KEY {
            Some((Invariant::S1, "decided on the word of a system that only speaks for people"))
        } else {
            None
        }
    }

    pub(super) fn is_denial_of(&self, spec: &Spec) -> bool {
        matches!(self.said, Said::Deny(_)) && self.flaw(spec).is_none()
    }

    pub(super) fn is_approval_of(&self, spec: &Spec) -> bool {
        matches!(self.said, Said::Approve(_)) && self.flaw(spec).is_none()
    }
}

/// By the immutable id, or by the mailbox that an address leads to.
pub(super) fn is_same_human(one: &Person, other: &Person) -> bool {
    one.subject == other.subject || mailbox(&one.email) == mailbox(&other.email)
}

/// The address without what follows a `+`.
fn mailbox(email: &Email) -> (&str, &str) {
    let (local, domain) = email.as_str().split_once('@').unwrap_or((email.as_str(), ""));
    (local.split('+').next().unwrap_or_default(), domain)
}
