//! Whether there was time to grant what was given up: long enough that nothing held the controllers up.

use chrono::{DateTime, TimeDelta, Utc};

use super::Oracle;
use super::facts::is_on_offer;
use super::model::Life;
use super::room::has_no_room;
use crate::cloud::Cloud;
use crate::plan::LATE_MAX;
use crate::scene::{group, needs_approval};

/// How long after the last trouble what is wanted is there at the latest: a resync and a minute (L1).
const GRANTED_WITHIN: TimeDelta = TimeDelta::minutes(2);

/// When something held the controllers up.
#[derive(Default)]
pub(super) struct Troubles {
    /// From when until when, without what is too short between two of them to be of use.
    past: Vec<(DateTime<Utc>, DateTime<Utc>)>,
    /// Since when no controller runs.
    nothing_runs_since: Option<DateTime<Utc>>,
    /// Since when their clock is wrong.
    clock_wrong_since: Option<DateTime<Utc>>,
}

impl Troubles {
    /// What is late, slow or stale for it is over a while after `until`.
    fn note(&mut self, from: DateTime<Utc>, until: DateTime<Utc>) {
        let until = until + TimeDelta::from_std(LATE_MAX).unwrap_or_default();
        match self.past.last_mut() {
            Some(last) if from < last.1 + GRANTED_WITHIN => {
                *last = (last.0.min(from), last.1.max(until));
            }
            Some(_) | None => self.past.push((from, until)),
        }
    }

    /// Whether nothing was in the way for long enough between the two times.
    fn left_time_between(&self, from: DateTime<Utc>, until: DateTime<Utc>) -> bool {
        let ongoing = [self.nothing_runs_since, self.clock_wrong_since].into_iter().flatten();
        let until = ongoing.fold(until, DateTime::min);
        let mut free_since = from;
        for (start, end) in &self.past {
            if (*start).min(until) >= free_since + GRANTED_WITHIN {
                return true;
            }
            free_since = free_since.max(*end);
        }
        until >= free_since + GRANTED_WITHIN
    }
}

impl Oracle {
    /// Something goes wrong, or somebody else interferes.
    pub(crate) fn held_up(&mut self, at: DateTime<Utc>) {
        self.troubles.note(at, at);
    }

    /// Every controller is stopped.
    pub(crate) fn nothing_runs(&mut self, at: DateTime<Utc>) {
        self.troubles.nothing_runs_since.get_or_insert(at);
    }

    /// A controller was started.
    pub(crate) fn running(&mut self, at: DateTime<Utc>) {
        let since = self.troubles.nothing_runs_since.take();
        self.troubles.note(since.unwrap_or(at), at);
    }

    /// The controllers' clock was put right, or wrong.
    pub(crate) fn clock_put(&mut self, at: DateTime<Utc>, is_right: bool) {
        if is_right {
            if let Some(since) = self.troubles.clock_wrong_since.take() {
                self.troubles.note(since, at);
            }
        } else {
            self.troubles.clock_wrong_since.get_or_insert(at);
        }
    }

    /// L1: whether a request that anybody would grant could have been granted by `last_moment`.
    pub(super) fn there_was_time(
        &self,
        life: &Life,
        last_moment: DateTime<Utc>,
        cloud: &Cloud,
    ) -> bool {
        let spec = &life.spec;
        let requester = &spec.requester.email;
        let is_in_doubt = life.is_unsure
            || life.given_up_at.is_some()
            || !is_on_offer(spec)
            || !cloud.is_member(&group(), requester)
            || self.lost_eligibility.contains_key(requester)
            || spec.roles.iter().any(|role| self.changed_roles.contains_key(&role.role))
            || self.is_distrusted(life)
            || (life.approved_at.is_some() && self.has_lost_its_approvers(life, cloud))
            || cloud.has_refused(&spec.principal.to_string())
            || has_no_room(spec, cloud);
        if is_in_doubt {
            return false;
        }
        let approved_at = if needs_approval(spec) {
            self.surely_approved_at(life, cloud)
        } else {
            Some(life.filed_at)
        };
        approved_at.is_some_and(|approved_at| {
            let others = [spec.start_at, life.no_room_until].into_iter().flatten();
            let from = others.fold(approved_at.max(life.filed_at), DateTime::max);
            self.troubles.left_time_between(from, last_moment)
        })
    }
}
