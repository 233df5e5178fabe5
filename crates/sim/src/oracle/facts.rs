//! What may be recorded, and when.

use chrono::{DateTime, TimeDelta, Utc};
use curfew_core::fact::{Counted, Ending, Fact, Grant, Outcome, OutcomeReason};
use curfew_core::id::RequestId;
use curfew_core::principal::Email;
use curfew_core::request::Recorded;
use curfew_core::spec::{DURATION_MIN, Spec};
use curfew_ports::{StoredFact, StoredRequest};

use super::approvals::decide_within;
use super::chain::is_unbroken;
use super::model::{Life, Mark, Over, force_of};
use super::system::reaches_the_system;
use super::{Invariant, Oracle, Question};
use crate::cloud::Cloud;
use crate::nodes::org;
use crate::scene::{DURATION_MAX, SELF_ACTIVATION, group, needs_approval};
use crate::trace::Who;

/// How old an answer of the cloud may be that a grant rests on: five seconds, and the moments that the calls take
/// which come after it. What a fault adds to those is known by itself.
const JUDGED_WITHIN: TimeDelta = TimeDelta::milliseconds(5_250);

/// Until so long after the end a read proves nothing.
const AFTER_EXPIRY: TimeDelta = TimeDelta::seconds(5);

/// How long after its approval or start a request may be granted, and after its grant be waited for.
pub(super) const WINDOW: TimeDelta = TimeDelta::minutes(15);

/// How far the controller's clock may be from the world's.
pub(super) const SKEW_MAX: TimeDelta = TimeDelta::seconds(2);

/// A commit of facts that took effect.
pub struct Commit<'a> {
    pub(crate) who: Who,
    pub(crate) at: DateTime<Utc>,
    pub(crate) before: &'a StoredRequest,
    pub(crate) stored: &'a StoredRequest,
    pub(crate) facts: &'a [StoredFact],
    pub(crate) cloud: &'a Cloud,
}

/// What is wrong with one fact.
pub(super) type Wrong = Vec<(Invariant, &'static str)>;

impl Oracle {
    /// These facts now stand in the document.
    pub(crate) fn committed(&mut self, commit: &Commit<'_>) {
        self.check_chain(commit);
        for fact in commit.facts {
            if !self.committed.insert(fact.mac.clone()) {
                continue;
            }
            match self.trust.sealed(&fact.mac) {
                Some(recorded) => self.recorded(commit, &recorded),
                None => self.wrong_about(
                    &commit.stored.id,
                    Invariant::S9,
                    "a fact without a seal was committed",
                ),
            }
        }
    }

    /// S9: the chain verifies to its end, and nothing of it that verified before is gone.
    fn check_chain(&mut self, commit: &Commit<'_>) {
        let id = &commit.stored.id;
        if self.lives.get(id).is_none_or(|life| life.is_disturbed) {
            return;
        }
        if !is_unbroken(commit.stored, &self.trust) {
            self.wrong_about(id, Invariant::S9, "a chain was committed that does not verify");
        }
        if !commit.stored.facts.starts_with(&commit.before.facts) {
            self.wrong_about(id, Invariant::S9, "a fact that stood was taken away");
        }
    }

    fn recorded(&mut self, commit: &Commit<'_>, recorded: &Recorded) {
        let id = &commit.stored.id;
        let Some(mut life) = self.lives.remove(id) else {
            return self.wrong_about(id, Invariant::S7, "a fact about a request that nobody filed");
        };
        life.recorded_by.insert(commit.who);
        let mut wrong = Wrong::new();
        match &recorded.fact {
            Fact::Seen { nonce, counted } => {
                // Where somebody has exchanged the document, what does not count may be noted in the new chain as well.
                let matters = !life.is_disturbed || matches!(counted, Counted::Yes { .. });
                if !life.seen.insert(nonce.clone()) && matters {
                    wrong.push((Invariant::S7, "a nonce counted twice"));
                }
                wrong.extend(Self::may_count(&life, nonce, counted, recorded.at));
            }
            Fact::Eligible(_) => {
                life.eligible_at.get_or_insert(recorded.at);
            }
            Fact::Approval { target, nonces } => {
                wrong.extend(self.may_approve(commit, &life, (target, nonces), recorded.at));
                if life.approved_at.is_none() {
                    life.approved_at = Some(recorded.at);
                    life.approvals.clone_from(nonces);
                }
            }
            Fact::Grant(grant) => {
                wrong.extend(self.may_grant(commit, &life, grant, recorded.at));
                life.grant.get_or_insert_with(|| grant.clone());
            }
            Fact::Bound { .. } => {
                wrong.extend(may_bind(&life));
                life.bound_at.get_or_insert(commit.at);
            }
            Fact::Outcome(outcome) => {
                wrong.extend(self.may_be_over(commit, &life, outcome, recorded.at));
                life.over.get_or_insert(Over { at: commit.at, reason: outcome.reason });
            }
            Fact::Ended { how } => {
                wrong.extend(self.may_end(commit, &life, *how, recorded.at));
                life.ended.get_or_insert(*how);
                life.has_ever_ended = true;
            }
            Fact::Drift { .. } | Fact::Unknown { .. } => {}
        }
        self.lives.insert(id.clone(), life);
        for (invariant, what) in wrong {
            self.wrong_about(id, invariant, what);
        }
    }

    fn may_grant(
        &self,
        commit: &Commit<'_>,
        life: &Life,
        grant: &Grant,
        at: DateTime<Utc>,
    ) -> Wrong {
        let mut wrong = Wrong::new();
        let mut must = |holds: bool, invariant, what| {
            if !holds {
                wrong.push((invariant, what));
            }
        };
        let spec = &life.spec;
        let signed = commit.stored.spec.as_ref().and_then(|envelope| self.trust.spec_of(envelope));
        must(
            signed.as_ref() == Some(spec),
            Invariant::S7,
            "granted although the filed request was exchanged",
        );
        must(life.grant.is_none(), Invariant::S5, "granted twice");
        must(life.over.is_none(), Invariant::S6, "granted after the outcome");
        let remembers = life.remembered_by.contains(&commit.who);
        must(!remembers, Invariant::S7, "granted anew by who remembers its grant");
        must(!life.has_ever_ended, Invariant::S6, "granted anew after its end");
        must(life.given_up_at.is_none(), Invariant::S6, "granted although it was given up");
        must(
            self.is_eligible(&spec.requester.email, at, commit.cloud),
            Invariant::S1,
            "granted to somebody who is not eligible",
        );
        must(
            self.are_roles_unchanged(spec, at),
            Invariant::S1,
            "granted although a role permits more than when it was asked for",
        );
        must(
            self.was_answered(commit, &spec.requester.email, at),
            Invariant::S10,
            "granted without asking, or without an answer",
        );
        must(
            !reaches_the_system(spec),
            Invariant::S12,
            "granted although it reaches the access system",
        );
        wrong.extend(self.rests_on_approval(commit, life, at));
        wrong.extend(is_as_asked(commit, life, grant, at));
        wrong
    }

    pub(super) fn is_eligible(&self, person: &Email, at: DateTime<Utc>, cloud: &Cloud) -> bool {
        match self.lost_eligibility.get(person) {
            Some(lost_at) => at <= *lost_at + self.judged_within(),
            None => cloud.is_member(&group(), person),
        }
    }

    pub(super) fn are_roles_unchanged(&self, spec: &Spec, at: DateTime<Utc>) -> bool {
        let changes = spec.roles.iter().filter_map(|role| self.changed_roles.get(&role.role));
        changes.into_iter().all(|changed_at| at <= *changed_at + self.judged_within())
    }

    /// Whether this process has asked the cloud about the person not long before `at`, and was answered.
    pub(super) fn was_answered(
        &self,
        commit: &Commit<'_>,
        person: &Email,
        at: DateTime<Utc>,
    ) -> bool {
        // A clock that is ahead by what is tolerated makes nothing older than it is.
        let at = at.min(commit.at);
        let was_answered = |question| {
            let answered_at = self.answers.get(&(commit.who, question));
            answered_at.is_some_and(|answered| at <= *answered + self.judged_within())
        };
        was_answered(Question::Offers(org())) && was_answered(Question::Member(person.clone()))
    }

    fn judged_within(&self) -> TimeDelta {
        JUDGED_WITHIN + self.slowed_by
    }

    fn may_be_over(
        &self,
        commit: &Commit<'_>,
        life: &Life,
        outcome: &Outcome,
        at: DateTime<Utc>,
    ) -> Wrong {
        if life.is_disturbed {
            return Wrong::new();
        }
        if life.over.is_some() {
            return vec![(Invariant::S6, "over twice")];
        }
        let is_past =
            |deadline: Option<DateTime<Utc>>| deadline.is_some_and(|deadline| deadline <= at);
        let is_right = match outcome.reason {
            OutcomeReason::Revoked => self.is_revoked(commit, life, at),
            OutcomeReason::Withdrawn => life.given_up_at.is_some(),
            OutcomeReason::Denied => self.is_rightly_denied(commit, life),
            OutcomeReason::Ineligible | OutcomeReason::NoLongerEligible => {
                self.may_be_ineligible(commit, life, outcome.reason)
            }
            OutcomeReason::ApprovalTimedOut => {
                is_past(Some(life.filed_at + may_wait_for_approval(life) - SKEW_MAX))
            }
            OutcomeReason::ActivationFailed => may_give_up(commit, life, at),
            OutcomeReason::DurationElapsed => {
                is_past(life.grant.as_ref().map(|grant| grant.expires_at + AFTER_EXPIRY))
            }
            OutcomeReason::Invalid => self.is_distrusted(life),
            OutcomeReason::Tampered | OutcomeReason::ExternallyRemoved => false,
        };
        match (is_right, outcome.reason) {
            (true, OutcomeReason::ActivationFailed | OutcomeReason::ApprovalTimedOut)
                if self.there_was_time(life, last_moment(life), commit.cloud) =>
            {
                vec![(Invariant::L1, "given up although there was time to grant it")]
            }
            (true, _) => Wrong::new(),
            (false, OutcomeReason::Ineligible | OutcomeReason::NoLongerEligible) => {
                vec![(Invariant::S10, "called ineligible although eligible")]
            }
            (false, OutcomeReason::ActivationFailed | OutcomeReason::ApprovalTimedOut) => {
                vec![(Invariant::S10, "called failed before its deadline")]
            }
            (false, _) => vec![(Invariant::S4, "ended although nobody has ended it")],
        }
    }

    fn may_be_ineligible(&self, commit: &Commit<'_>, life: &Life, reason: OutcomeReason) -> bool {
        let spec = &life.spec;
        let person = &spec.requester.email;
        self.lost_eligibility.contains_key(person)
            || !commit.cloud.is_member(&group(), person)
            || !is_on_offer(spec)
            || spec.roles.iter().any(|role| self.changed_roles.contains_key(&role.role))
            || (reason == OutcomeReason::NoLongerEligible
                && life.grant.is_none()
                && self.has_lost_its_approvers(life, commit.cloud))
    }

    fn may_end(&self, commit: &Commit<'_>, life: &Life, how: Ending, at: DateTime<Utc>) -> Wrong {
        let mut wrong = Wrong::new();
        if life.is_disturbed {
            // A broken chain no longer tells what was granted; that it is gone in the end is seen in the policy.
            return wrong;
        }
        if life.ended.is_some() {
            wrong.push((Invariant::S6, "ended twice"));
        }
        if life.over.is_none() {
            wrong.push((Invariant::S6, "ended without an outcome"));
        }
        let is_past =
            |by: TimeDelta| life.grant.as_ref().is_some_and(|grant| at >= grant.expires_at + by);
        let is_proof = match how {
            Ending::NeverGranted => life.grant.is_none(),
            Ending::SeenGone => is_past(AFTER_EXPIRY) && !self.stands(life, commit.cloud),
            Ending::ExpiredUnreadable => is_past(TimeDelta::hours(24)),
            Ending::Answered => true,
        };
        if !is_proof {
            wrong.push((Invariant::S10, "ended in a way that proves nothing"));
        }
        if how == Ending::Answered && !life.cleared_by.contains(&commit.who) {
            wrong.push((
                Invariant::S6,
                "ended without a policy write from a read after the outcome",
            ));
        }
        if self.gives_access(&life.spec.id, commit.cloud, at) {
            wrong.push((Invariant::S6, "ended with a binding in force"));
        }
        wrong
    }

    /// Whether a binding of it still stands in its policy.
    fn stands(&self, life: &Life, cloud: &Cloud) -> bool {
        let is_its =
            |mark: Mark<'_>| mark.request == life.spec.id && self.trust.has_made_tag(mark.tag);
        cloud.policies().any(|(_, policy)| policy.bindings.iter().filter_map(Mark::of).any(is_its))
    }

    /// Whether the request gives access in any policy at that time.
    fn gives_access(&self, id: &RequestId, cloud: &Cloud, at: DateTime<Utc>) -> bool {
        let mut all = cloud.policies().flat_map(|(_, policy)| &policy.bindings);
        all.any(|binding| force_of(binding).holds_at(at) && self.ours(binding).as_ref() == Some(id))
    }

    pub(super) fn wrong_about(&mut self, id: &RequestId, invariant: Invariant, what: &str) {
        self.wrong(invariant, format!("request {id} was {what}"));
    }
}

/// Whether anybody may have it: for no longer and no shorter than access is given, and with nobody asked to approve
/// who asks or need not be asked.
pub(super) fn is_on_offer(spec: &Spec) -> bool {
    let may_choose = needs_approval(spec) && !spec.chosen_approvers.contains(&spec.requester.email);
    (DURATION_MIN..=DURATION_MAX).contains(&spec.duration)
        && !reaches_the_system(spec)
        && (spec.chosen_approvers.is_empty() || may_choose)
}

/// S1, S2, S7: what is granted is what was asked for, now, and not long after it could be had.
fn is_as_asked(commit: &Commit<'_>, life: &Life, grant: &Grant, at: DateTime<Utc>) -> Wrong {
    let mut wrong = Wrong::new();
    let mut must = |holds: bool, invariant, what| {
        if !holds {
            wrong.push((invariant, what));
        }
    };
    let spec = &life.spec;
    must(grant.resource == spec.resource, Invariant::S1, "granted on another resource");
    must(
        grant.bindings.len() == spec.roles.len(),
        Invariant::S1,
        "granted other roles than were asked for",
    );
    must(
        grant.expires_at - grant.starts_at == spec.duration,
        Invariant::S2,
        "granted for another time than was asked",
    );
    must(
        grant.expires_at - grant.starts_at <= DURATION_MAX,
        Invariant::S2,
        "granted for longer than anybody may have it",
    );
    must(
        (grant.starts_at - at).abs() <= TimeDelta::seconds(1),
        Invariant::S2,
        "granted from another time on than now",
    );
    must(spec.start_at.is_none_or(|start| start <= at), Invariant::S2, "granted before its start");
    must(at <= commit.at + SKEW_MAX, Invariant::S2, "granted by a clock that is ahead");
    let base = life.approved_at.unwrap_or(at).max(spec.start_at.unwrap_or(at));
    must(at <= base + WINDOW + SKEW_MAX, Invariant::S7, "granted long after it was approved");
    wrong
}

fn may_bind(life: &Life) -> Wrong {
    let mut wrong = Wrong::new();
    if life.bound_at.is_some() {
        wrong.push((Invariant::S5, "bound twice"));
    }
    if !life.was_in_policy {
        wrong.push((Invariant::S10, "called bound, but was never in the policy"));
    }
    wrong
}

/// How long it waits to be approved: one that nobody could judge no longer than one that nobody has to approve.
fn may_wait_for_approval(life: &Life) -> TimeDelta {
    life.eligible_at.map_or(SELF_ACTIVATION, |_| decide_within(life))
}

/// The last moment at which it could be brought on: be approved, or be granted, or be seen in its policy.
fn last_moment(life: &Life) -> DateTime<Utc> {
    match (&life.grant, life.approved_at) {
        (Some(grant), _) => grant.activate_by.min(grant.expires_at),
        (None, Some(approved_at)) => {
            approved_at.max(life.spec.start_at.unwrap_or(approved_at)) + WINDOW
        }
        (None, None) => life.filed_at + may_wait_for_approval(life),
    }
}

/// The activation has failed: refused as such, or not seen by its deadline.
fn may_give_up(commit: &Commit<'_>, life: &Life, at: DateTime<Utc>) -> bool {
    let is_refused = commit.cloud.has_refused(&life.spec.principal.to_string());
    let deadline = match &life.grant {
        Some(grant) => grant.activate_by.min(grant.expires_at),
        None => life.approved_at.unwrap_or(life.filed_at) + WINDOW,
    };
    is_refused || deadline <= at + SKEW_MAX
}
