//! Whose approval a grant rests on.

use chrono::{DateTime, TimeDelta, Utc};
use curfew_core::entry::ActKind;
use curfew_core::fact::Counted;
use curfew_core::id::{Digest, Nonce};
use curfew_core::principal::Email;

use super::facts::{Commit, SKEW_MAX, WINDOW, Wrong};
use super::model::Life;
use super::words::{Said, Word, is_same_human};
use super::{Invariant, Oracle};
use crate::cloud::Cloud;
use crate::scene::{DECIDE_WITHIN, SELF_ACTIVATION, group, needs_approval, operator};

/// How old an approval may be when it is first looked at.
const FRESH: TimeDelta = TimeDelta::minutes(10);

/// What is expected of an approval that just makes it: not before this much of its time is left.
const IN_GOOD_TIME: TimeDelta = TimeDelta::minutes(2);

/// What people have made of a request that a peer must approve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decided {
    /// Somebody who may has approved it in good time.
    Approved,
    /// Nobody has, and there is time.
    Open,
    /// Nobody has in time.
    TooLate,
    /// Whether what was said counts is a matter of moments.
    Unsure,
}

impl Oracle {
    /// S7: what counts was said by somebody, and an approval not long ago.
    pub(super) fn may_count(
        life: &Life,
        nonce: &Nonce,
        counted: &Counted,
        at: DateTime<Utc>,
    ) -> Wrong {
        let Counted::Yes { act, .. } = counted else { return Wrong::new() };
        let Some(word) = life.word(nonce) else {
            return vec![(Invariant::S7, "acted upon by what nobody has said")];
        };
        let is_old = (at - word.at).abs() > FRESH + SKEW_MAX;
        match (&word.said, act) {
            (Said::Approve(_), ActKind::Decision) if is_old => {
                vec![(Invariant::S7, "decided by an approval that is old")]
            }
            (Said::Approve(_) | Said::Deny(_), ActKind::Decision) => {
                word.flaw(&life.spec).into_iter().collect()
            }
            (Said::Revoke, ActKind::Revoke) | (Said::Withdraw, ActKind::Withdraw) => Wrong::new(),
            (Said::Approve(_) | Said::Deny(_) | Said::Revoke | Said::Withdraw | Said::Else, _) => {
                vec![(Invariant::S7, "acted upon by something else than was said")]
            }
        }
    }

    /// S1, S6, S7: an approval is over the filed request, in time, by peers, and nobody has said no.
    pub(super) fn may_approve(
        &self,
        commit: &Commit<'_>,
        life: &Life,
        (target, nonces): (&Digest, &[Nonce]),
        at: DateTime<Utc>,
    ) -> Wrong {
        let mut wrong = Wrong::new();
        let mut must = |holds: bool, invariant, what| {
            if !holds {
                wrong.push((invariant, what));
            }
        };
        must(life.over.is_none(), Invariant::S6, "approved after the outcome");
        must(
            at <= commit.stored.created_at + decide_within(life) + SKEW_MAX,
            Invariant::S7,
            "approved long after it was filed",
        );
        must(*target == life.spec.digest, Invariant::S7, "approved by another digest");
        if !needs_approval(&life.spec) {
            return wrong;
        }
        must(!self.is_denied(life, commit.cloud), Invariant::S6, "approved although it was denied");
        must(!nonces.is_empty(), Invariant::S1, "approved by nobody");
        for nonce in nonces {
            wrong.extend(self.may_rest_on(commit, life, nonce, at));
        }
        wrong
    }

    fn may_rest_on(
        &self,
        commit: &Commit<'_>,
        life: &Life,
        nonce: &Nonce,
        at: DateTime<Utc>,
    ) -> Wrong {
        let Some(word) = life.word(nonce) else {
            return vec![(Invariant::S7, "approved by what nobody has said")];
        };
        let mut wrong = Wrong::from_iter(word.flaw(&life.spec));
        let mut must = |holds: bool, invariant, what| {
            if !holds {
                wrong.push((invariant, what));
            }
        };
        must(!matches!(word.said, Said::Deny(_)), Invariant::S6, "approved by a no");
        must(
            at <= word.at + FRESH + WINDOW + SKEW_MAX,
            Invariant::S7,
            "approved by a word that is long out of date",
        );
        let approver = &word.actor.email;
        must(
            self.is_eligible(approver, at, commit.cloud),
            Invariant::S1,
            "approved by somebody who is no peer",
        );
        must(
            self.was_answered(commit, approver, at),
            Invariant::S10,
            "approved without asking who approves, or without an answer",
        );
        wrong
    }

    /// S1, S6, S10: what a grant rests on still stands at its very moment.
    pub(super) fn rests_on_approval(
        &self,
        commit: &Commit<'_>,
        life: &Life,
        at: DateTime<Utc>,
    ) -> Wrong {
        if !needs_approval(&life.spec) {
            return Wrong::new();
        }
        if self.is_denied(life, commit.cloud) {
            return vec![(Invariant::S6, "granted although it was denied")];
        }
        let approvals = life.approval_words().filter(|word| word.is_approval_of(&life.spec));
        let mut trusted = approvals.filter(|word| self.is_trusted(&word.key, at)).peekable();
        if trusted.peek().is_none() {
            return vec![(Invariant::S1, "granted without an approval that counts")];
        }
        let mut peers =
            trusted.filter(|word| self.is_eligible(&word.actor.email, at, commit.cloud)).peekable();
        if peers.peek().is_none() {
            return vec![(Invariant::S1, "granted on the word of nobody who may approve it now")];
        }
        if peers.any(|word| self.was_answered(commit, &word.actor.email, at)) {
            Wrong::new()
        } else {
            vec![(Invariant::S10, "granted without asking anew who has approved")]
        }
    }

    /// Whether somebody who may has said no to it.
    fn is_denied(&self, life: &Life, cloud: &Cloud) -> bool {
        life.words.iter().any(|word| {
            word.is_denial_of(&life.spec)
                && self.is_surely_peer(&word.actor.email, cloud)
                && !self.distrusted.contains_key(&word.key)
        })
    }

    fn is_surely_peer(&self, person: &Email, cloud: &Cloud) -> bool {
        cloud.is_member(&group(), person) && !self.lost_eligibility.contains_key(person)
    }

    /// Whether this act ends access for good, as soon as it stands in the store.
    pub(super) fn ends_access(&self, life: &Life, word: &Word, cloud: &Cloud) -> bool {
        match &word.said {
            Said::Revoke => {
                word.actor.email == operator().email || life.is_approver(&word.actor.email)
            }
            Said::Withdraw => is_same_human(&word.actor, &life.spec.requester),
            Said::Deny(_) => {
                needs_approval(&life.spec)
                    && word.is_denial_of(&life.spec)
                    && self.is_surely_peer(&word.actor.email, cloud)
            }
            Said::Approve(_) | Said::Else => false,
        }
    }

    /// Whether an end as revoked is somebody's doing: of an operator, of an approver, or of a peer who says no. Where
    /// nobody could say who somebody is, a no counts all the same.
    pub(super) fn is_revoked(&self, commit: &Commit<'_>, life: &Life, at: DateTime<Utc>) -> bool {
        life.words.iter().any(|word| match &word.said {
            Said::Revoke => {
                word.actor.email == operator().email || life.is_approver(&word.actor.email)
            }
            Said::Deny(_) => {
                let actor = &word.actor.email;
                word.is_denial_of(&life.spec)
                    && needs_approval(&life.spec)
                    && (self.may_be_peer(actor, commit.cloud)
                        || !self.was_answered(commit, actor, at))
            }
            Said::Withdraw | Said::Approve(_) | Said::Else => false,
        })
    }

    pub(super) fn is_rightly_denied(&self, commit: &Commit<'_>, life: &Life) -> bool {
        let is_peers_no = |word: &Word| {
            word.is_denial_of(&life.spec) && self.may_be_peer(&word.actor.email, commit.cloud)
        };
        life.grant.is_none() && needs_approval(&life.spec) && life.words.iter().any(is_peers_no)
    }

    fn may_be_peer(&self, person: &Email, cloud: &Cloud) -> bool {
        cloud.is_member(&group(), person) || self.lost_eligibility.contains_key(person)
    }

    /// Whether nobody whose approval was recorded may approve any more.
    pub(super) fn has_lost_its_approvers(&self, life: &Life, cloud: &Cloud) -> bool {
        needs_approval(&life.spec)
            && life.approval_words().all(|word| !self.is_surely_peer(&word.actor.email, cloud))
    }

    /// Whether all that it was approved on was signed with keys that count no more.
    pub(super) fn is_distrusted(&self, life: &Life) -> bool {
        let mut approvals = life.approval_words().peekable();
        approvals.peek().is_some() && approvals.all(|word| self.distrusted.contains_key(&word.key))
    }

    /// When somebody who may has approved it in good time, if anybody has.
    pub(super) fn surely_approved_at(&self, life: &Life, cloud: &Cloud) -> Option<DateTime<Utc>> {
        let decide_by = life.filed_at + DECIDE_WITHIN;
        let approvals = life.words.iter().filter(|word| word.is_approval_of(&life.spec));
        let in_good_time = approvals.filter(|word| {
            self.is_surely_peer(&word.actor.email, cloud)
                && !self.distrusted.contains_key(&word.key)
                && word.stored_at + IN_GOOD_TIME < decide_by
                && (word.stored_at - word.at).abs() + IN_GOOD_TIME < FRESH
        });
        in_good_time.map(|word| word.stored_at).min()
    }

    /// What becomes of a request that a peer must approve.
    pub(super) fn decided(&self, now: DateTime<Utc>, life: &Life, cloud: &Cloud) -> Decided {
        let decide_by = life.filed_at + DECIDE_WITHIN;
        let mut approvals = life.words.iter().filter(|word| word.is_approval_of(&life.spec));
        let might_count = |word: &Word| {
            self.may_be_peer(&word.actor.email, cloud) && word.stored_at < decide_by + SKEW_MAX
        };
        if self.surely_approved_at(life, cloud).is_some() {
            Decided::Approved
        } else if approvals.any(might_count) {
            Decided::Unsure
        } else if now < decide_by {
            Decided::Open
        } else {
            Decided::TooLate
        }
    }
}

/// How long after its creation a request may be approved.
pub(super) fn decide_within(life: &Life) -> TimeDelta {
    if needs_approval(&life.spec) { DECIDE_WITHIN } else { SELF_ACTIVATION }
}
