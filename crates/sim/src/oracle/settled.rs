//! What must be so once nothing goes wrong any more.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use curfew_core::fact::OutcomeReason;
use curfew_core::phase::Phase;
use curfew_core::policy::Binding;
use curfew_ports::StoredRequest;

use super::approvals::Decided;
use super::facts::is_on_offer;
use super::model::{Life, Over, force_of};
use super::room::has_no_room;
use super::{Invariant, Oracle, Violation};
use crate::cloud::Cloud;
use crate::scene::{DECIDE_WITHIN, group, needs_approval};
use crate::store::Store;

/// How long after its end a binding may still stand at most.
const LEFTOVER_MAX: TimeDelta = TimeDelta::seconds(300);

/// How soon after its own end a grant's binding is gone.
const REMOVED_WITHIN: TimeDelta = TimeDelta::seconds(60);

/// How soon after its start a grant's binding stands.
const STARTED_WITHIN: TimeDelta = TimeDelta::seconds(30);

/// How long a request that is not granted is waited for.
const ACTIVATION_WINDOW: TimeDelta = TimeDelta::minutes(15);

/// How soon a revocation takes the binding away when nothing goes wrong.
const REVOKED_WITHIN: TimeDelta = TimeDelta::seconds(15);

/// Which requests are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Among {
    /// All.
    All,
    /// Those that nobody has interfered with.
    Undisturbed,
}

/// What should have become of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    /// It has ended.
    Ended,
    /// Its binding stands.
    Active,
    /// Its time has not come.
    Waiting,
    /// Nobody has approved it.
    Unapproved,
    /// Nobody can say, but the facts and the policy must agree.
    Either,
}

/// How far a request has come, by its facts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing is known to stand.
    Open,
    /// Its binding was seen.
    Active,
    /// It is over, and something may be left.
    Ending,
    /// Nothing is left.
    Ended,
}

impl Stage {
    fn of(is_bound: bool, is_over: bool, is_ended: bool) -> Self {
        match (is_ended, is_over, is_bound) {
            (true, _, _) => Self::Ended,
            (false, true, _) => Self::Ending,
            (false, false, true) => Self::Active,
            (false, false, false) => Self::Open,
        }
    }

    fn is_shown_as(self, phase: Option<Phase>) -> bool {
        match phase {
            Some(
                Phase::Pending | Phase::AwaitingApproval | Phase::Scheduled | Phase::Activating,
            )
            | None => self == Self::Open,
            Some(Phase::Active) => self == Self::Active,
            Some(Phase::Ending) => self == Self::Ending,
            Some(Phase::Ended) => self == Self::Ended,
        }
    }
}

/// S9: intents of writes that are over.
pub(crate) fn open_intents(store: &Store, cloud: &Cloud) -> Vec<Violation> {
    let is_over =
        |resource, etag: &str| cloud.policy(resource).is_ok_and(|policy| policy.etag != etag);
    let open = store.open_intents().filter(|(resource, _, intent)| is_over(resource, &intent.etag));
    open.map(|(resource, write, _)| {
        Violation::of(Invariant::S9, format!("the intent {write} on {resource} stays open"))
    })
    .collect()
}

/// Whether the cloud takes no further binding of this request: not of that member, or not so many.
fn is_shut_out(life: &Life, cloud: &Cloud) -> bool {
    has_no_room(&life.spec, cloud) || cloud.has_refused(&life.spec.principal.to_string())
}

/// Whether it may wait although it is open what becomes of it: it may not be worked on, or not be approved.
fn may_stay_open(now: DateTime<Utc>, life: &Life, stored: &StoredRequest) -> bool {
    let is_hidden = life.is_disturbed && !stored.live;
    let is_awaited = needs_approval(&life.spec) && now < life.filed_at + DECIDE_WITHIN;
    is_hidden || is_awaited
}

impl Oracle {
    /// L1: every request is where it should be, and the policies hold just that.
    pub(crate) fn unsettled(
        &self,
        now: DateTime<Utc>,
        store: &Store,
        cloud: &Cloud,
        among: Among,
    ) -> Vec<Violation> {
        let is_meant = |stored: &&StoredRequest| {
            let is_disturbed = || self.lives.get(&stored.id).is_some_and(|life| life.is_disturbed);
            among == Among::All || !is_disturbed()
        };
        let of_documents = store
            .documents()
            .filter(is_meant)
            .filter_map(|stored| self.difference(now, stored, cloud));
        let of_lives =
            self.lives.values().filter_map(|life| self.leftover(now, life, store, cloud));
        let never_came = self.lives.keys().filter(|id| store.document(id).is_none());
        let lost =
            never_came.filter(|id| self.lives.get(id).is_some_and(|life| !life.is_disturbed));
        of_documents
            .chain(lost.map(|id| format!("the document of {id} is gone")))
            .map(|what| Violation::of(Invariant::L1, what))
            .chain(of_lives)
            .collect()
    }

    /// S6: who was ended has lost access at once. For runs in which nothing holds the controller up.
    pub(crate) fn late_removals(&self, now: DateTime<Utc>, cloud: &Cloud) -> Vec<Violation> {
        let kept_until = |life: &Life| {
            let has_access = self.standing(life, cloud).iter().any(|it| force_of(it).holds_at(now));
            if has_access { Some(now) } else { life.left_policy_at }
        };
        let is_late = |life: &&Life| {
            let over_at = life.given_up_at.zip(kept_until(life));
            over_at.is_some_and(|(given_up, until)| until > given_up + REVOKED_WITHIN)
        };
        let late = self.lives.values().filter(|life| !life.is_disturbed).filter(is_late);
        late.map(|life| {
            let what =
                format!("request {} kept its access for long after it was given up", life.spec.id);
            Violation::of(Invariant::S6, what)
        })
        .collect()
    }

    /// How long until something starts, ends or is given up by itself; nothing for what should have by now.
    pub(crate) fn changes_after(&self, now: DateTime<Utc>) -> Vec<Duration> {
        let open = self.lives.values().filter(|life| life.ended.is_none());
        let times = open.flat_map(|life| {
            if let Some(grant) = &life.grant {
                return vec![grant.expires_at];
            }
            if needs_approval(&life.spec) && life.approved_at.is_none() {
                return vec![life.filed_at + DECIDE_WITHIN];
            }
            let start = life.spec.start_at.unwrap_or(life.filed_at);
            vec![start, start + ACTIVATION_WINDOW, start + life.spec.duration]
        });
        times.map(|at| (at - now).to_std().unwrap_or_default()).collect()
    }

    fn expected(&self, now: DateTime<Utc>, life: &Life, cloud: &Cloud) -> Expected {
        let person = &life.spec.requester.email;
        let has_failed = |over: &Over| {
            matches!(over.reason, OutcomeReason::ActivationFailed | OutcomeReason::ApprovalTimedOut)
        };
        let is_past = |at: Option<DateTime<Utc>>, by| at.is_some_and(|at| at + by <= now);
        let expires_at = life.grant.as_ref().map(|grant| grant.expires_at);
        let is_changed =
            || life.spec.roles.iter().any(|role| self.changed_roles.contains_key(&role.role));
        let has_lost_its_approvers = || self.has_lost_its_approvers(life, cloud);
        let is_open = life.is_disturbed
            || life.is_unsure
            || is_changed()
            || (life.approved_at.is_some() && has_lost_its_approvers())
            || life.over.as_ref().is_some_and(has_failed)
            || self.lost_eligibility.contains_key(person);
        if is_open {
            Expected::Either
        } else if !cloud.is_member(&group(), person)
            || life.given_up_at.is_some()
            || is_past(expires_at, REMOVED_WITHIN)
            || !is_on_offer(&life.spec)
            || self.is_distrusted(life)
        {
            Expected::Ended
        } else if is_past(expires_at, TimeDelta::zero()) {
            Expected::Either
        } else if needs_approval(&life.spec) && self.decided(now, life, cloud) != Decided::Approved
        {
            match self.decided(now, life, cloud) {
                Decided::Unsure => Expected::Either,
                Decided::TooLate => Expected::Ended,
                Decided::Open | Decided::Approved => Expected::Unapproved,
            }
        } else if life.spec.start_at.is_some_and(|start| now < start + STARTED_WITHIN) {
            Expected::Waiting
        } else {
            Expected::Active
        }
    }

    fn difference(
        &self,
        now: DateTime<Utc>,
        stored: &StoredRequest,
        cloud: &Cloud,
    ) -> Option<String> {
        let id = &stored.id;
        let life = self.lives.get(id)?;
        let n = self.standing(life, cloud).len();
        let asked = life.grant.as_ref().map_or(0, |grant| grant.bindings.len());
        let stage = self.stage(life, stored);
        let is_right = match (self.expected(now, life, cloud), stage) {
            (Expected::Ended | Expected::Either, Stage::Ended)
            | (Expected::Unapproved, Stage::Open) => n == 0,
            (Expected::Active | Expected::Waiting, Stage::Active) => n == asked,
            (Expected::Either, Stage::Active) | (Expected::Waiting, Stage::Open) => n <= asked,
            // Of more than there are places for, some wait; a place that is free is taken.
            (Expected::Active, Stage::Open) => n == 0 && has_no_room(&life.spec, cloud),
            // Where even the dead form does not get in, the end has to be waited for.
            (Expected::Ended | Expected::Either, Stage::Ending) => {
                n == 0 && is_shut_out(life, cloud)
            }
            // Nobody works on what says that it is not live, unless it was known before.
            (Expected::Either, Stage::Open) => n == 0 && may_stay_open(now, life, stored),
            (_, Stage::Open | Stage::Active | Stage::Ending | Stage::Ended) => false,
        };
        let shown = stored.status.as_ref().map(|status| status.phase);
        let is_shown = life.is_disturbed || stage.is_shown_as(shown);
        let kinds =
            stored.facts.iter().map(|fact| fact.kind.as_str()).collect::<Vec<_>>().join(" ");
        (!is_right || !is_shown).then(|| {
            format!("request {id} is left {stage:?}, shown as {shown:?}, with {n} bindings after {kinds}")
        })
    }

    /// By what was recorded; where somebody has interfered, by what its document says that is sealed.
    fn stage(&self, life: &Life, stored: &StoredRequest) -> Stage {
        if !life.is_disturbed {
            let (is_over, is_ended) = (life.over.is_some(), life.ended.is_some());
            return Stage::of(life.bound_at.is_some(), is_over, is_ended);
        }
        let facts = stored.facts.iter().filter_map(|fact| self.trust.sealed(&fact.mac));
        let kinds = facts.map(|recorded| recorded.fact.kind().to_owned()).collect::<Vec<_>>();
        let has = |kind: &str| kinds.iter().any(|known| known == kind);
        Stage::of(has("BOUND"), has("OUTCOME"), has("ENDED"))
    }

    fn standing<'a>(&'a self, life: &'a Life, cloud: &'a Cloud) -> Vec<&'a Binding> {
        let all = cloud.policies().flat_map(|(_, policy)| &policy.bindings);
        all.filter(|binding| self.ours(binding).as_ref() == Some(&life.spec.id)).collect()
    }

    /// S1 and S2: what gives access rests on an approval that is still believed, and what is over is gone.
    fn leftover(
        &self,
        now: DateTime<Utc>,
        life: &Life,
        store: &Store,
        cloud: &Cloud,
    ) -> Option<Violation> {
        let id = &life.spec.id;
        // A binding without a document is an orphan, which nothing sweeps yet.
        store.document(id)?;
        let standing = self.standing(life, cloud);
        let is_left = |binding: &&Binding| !force_of(binding).holds_after(now - LEFTOVER_MAX);
        if standing.iter().any(is_left) {
            let what = format!("a binding of request {id} stands long after its end");
            return Some(Violation::of(Invariant::S2, what));
        }
        let gives_access = standing.iter().any(|binding| force_of(binding).holds_at(now));
        (gives_access && self.is_distrusted(life)).then(|| {
            let what = format!("request {id} gives access on an approval that nobody trusts");
            Violation::of(Invariant::S1, what)
        })
    }
}
