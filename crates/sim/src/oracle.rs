//! What must never happen, judged from effects alone. It shares no code with the controller, and of the core only
//! the reading of what is written.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use curfew_core::condition::read_granted;
use curfew_core::fact::{Ending, Fact, Grant, OwnedBinding, tag_text};
use curfew_core::id::{Nonce, RequestId, WriteId};
use curfew_core::policy::{Binding, Policy};
use curfew_core::principal::Email;
use curfew_core::request::Recorded;
use curfew_ports::{Intent, StoredFact, StoredRequest};

use crate::cloud::{Cloud, PolicyWrite};
use crate::scene::{group, installation};
use crate::trust::Trust;

/// How long before a grant its requester may have stopped being eligible: answers are shared for five seconds, and
/// calls take their time, up to the eight seconds of the slowest.
const JUDGED_WITHIN: TimeDelta = TimeDelta::seconds(30);

/// Until so long after the end a read proves nothing.
const AFTER_EXPIRY: TimeDelta = TimeDelta::seconds(5);

/// Sees every effect and keeps what was wrong.
pub struct Oracle {
    trust: Arc<Trust>,
    requests: BTreeMap<RequestId, Life>,
    intents: BTreeMap<WriteId, Intent>,
    lost_eligibility: BTreeMap<Email, DateTime<Utc>>,
    violations: Vec<String>,
    /// Macs of the facts that were ever committed: after a rollback they are written once more.
    committed: BTreeSet<String>,
}

#[derive(Default)]
struct Life {
    grant: Option<Grant>,
    is_bound: bool,
    is_over: bool,
    ended: Option<Ending>,
    seen: BTreeSet<Nonce>,
    was_in_policy: bool,
}

impl Oracle {
    pub(crate) fn new(trust: Arc<Trust>) -> Self {
        Self {
            trust,
            requests: BTreeMap::new(),
            intents: BTreeMap::new(),
            lost_eligibility: BTreeMap::new(),
            violations: Vec::new(),
            committed: BTreeSet::new(),
        }
    }

    /// All that went wrong so far.
    pub fn violations(&self) -> &[String] {
        &self.violations
    }

    /// Whether the binding was tagged by the controller, changed since or not.
    pub fn is_ours(&self, binding: &Binding) -> bool {
        let tag = binding.condition.as_ref().and_then(|condition| tag_text(&condition.description));
        installation().request_of(binding.title()).is_some()
            && tag.is_some_and(|tag| self.trust.has_made_tag(tag))
    }

    /// The person is in no eligible group from now on.
    pub(crate) fn lost_eligibility(&mut self, person: &Email, at: DateTime<Utc>) {
        self.lost_eligibility.insert(person.clone(), at);
    }

    pub(crate) fn intended(&mut self, write: &WriteId, intent: &Intent) {
        self.intents.insert(write.clone(), intent.clone());
    }

    /// These facts were added to the document.
    pub(crate) fn committed(
        &mut self,
        stored: &StoredRequest,
        facts: &[StoredFact],
        cloud: &Cloud,
    ) {
        for fact in facts {
            if !self.committed.insert(fact.mac.clone()) {
                continue;
            }
            match self.trust.sealed(&fact.mac) {
                Some(recorded) => self.recorded(stored, &recorded, cloud),
                None => self.wrong(&stored.id, "a fact without a seal was committed"),
            }
        }
    }

    fn recorded(&mut self, stored: &StoredRequest, recorded: &Recorded, cloud: &Cloud) {
        let id = &stored.id;
        let mut life = self.requests.remove(id).unwrap_or_default();
        let mut wrong = Vec::new();
        match &recorded.fact {
            Fact::Seen { nonce, .. } if !life.seen.insert(nonce.clone()) => {
                wrong.push("a nonce counted twice");
            }
            Fact::Grant(_) if life.grant.is_some() => wrong.push("granted twice"),
            Fact::Grant(_) if life.is_over => wrong.push("granted after the outcome"),
            Fact::Grant(grant) => {
                wrong.extend(self.is_earned(stored, recorded.at, cloud));
                let spec = stored.spec.as_ref().and_then(|envelope| self.trust.spec_of(envelope));
                wrong.extend(is_as_asked(spec.map(|spec| spec.duration), grant));
                life.grant = Some(grant.clone());
            }
            Fact::Bound { .. } if life.is_bound => wrong.push("bound twice"),
            Fact::Bound { .. } if !life.was_in_policy => {
                wrong.push("bound, but never in the policy");
            }
            Fact::Bound { .. } => life.is_bound = true,
            Fact::Outcome(_) if life.is_over => wrong.push("over twice"),
            Fact::Outcome(_) => life.is_over = true,
            Fact::Ended { .. } if life.ended.is_some() => wrong.push("ended twice"),
            Fact::Ended { how } => {
                wrong.extend(may_end(&life, *how, recorded.at));
                life.ended = Some(*how);
                let in_force =
                    cloud.policies().any(|(_, policy)| self.in_force(policy, id, recorded.at));
                wrong.extend(in_force.then_some("S6: ended with a binding in force"));
            }
            Fact::Seen { .. }
            | Fact::Eligible(_)
            | Fact::Approval { .. }
            | Fact::Drift { .. }
            | Fact::Unknown { .. } => {}
        }
        self.requests.insert(id.clone(), life);
        for what in wrong {
            self.wrong(id, what);
        }
    }

    /// S1, S10: a grant rests on a verified spec and on a requester who was eligible just before.
    fn is_earned(
        &self,
        stored: &StoredRequest,
        at: DateTime<Utc>,
        cloud: &Cloud,
    ) -> Option<&'static str> {
        let Some(spec) = stored.spec.as_ref().and_then(|envelope| self.trust.spec_of(envelope))
        else {
            return Some("S1: granted without a signed request");
        };
        let person = &spec.requester.email;
        let lost_at = self.lost_eligibility.get(person);
        let was_eligible = match lost_at {
            Some(lost_at) => at <= *lost_at + JUDGED_WITHIN,
            None => cloud.is_member(&group(), person),
        };
        (!was_eligible || spec.id != stored.id)
            .then_some("S1: granted to somebody who is not eligible")
    }

    /// A write of the controller took effect.
    pub(crate) fn policy_written(&mut self, written: &PolicyWrite) {
        let PolicyWrite { at, resource, write, before, after } = written;
        let foreign = |policy: &Policy| policy.foreign(|binding| self.is_ours(binding));
        let mut wrong = Vec::new();
        if foreign(before) != foreign(after) {
            wrong.push(format!("S3: a write to {resource} changed what is not ours"));
        }
        let intent = write.as_ref().and_then(|write| self.intents.get(write));
        if intent.is_none_or(|intent| intent.etag != before.etag) {
            wrong.push(format!("S9: a write to {resource} without an intent"));
        }
        let ours =
            after.bindings.iter().filter(|binding| self.is_ours(binding)).collect::<Vec<_>>();
        for binding in &ours {
            let id = installation().request_of(binding.title());
            let life = id.as_ref().and_then(|id| self.requests.get(id));
            let grant = life.and_then(|life| life.grant.as_ref());
            let is_new = !before.bindings.contains(binding);
            let renders = |grant: &Grant| {
                grant.resource == *resource
                    && forms(grant).any(|form| Binding::from(form) == **binding)
            };
            if is_new && !grant.is_some_and(renders) {
                wrong.push(format!(
                    "S1: {} was added to {resource} without a grant",
                    binding.title()
                ));
            }
            let same =
                |other: &&&Binding| other.role == binding.role && other.title() == binding.title();
            if ours.iter().filter(same).count() > 1 {
                wrong.push(format!("S5: {} stands twice in {resource}", binding.title()));
            }
            if life.is_some_and(|life| life.ended.is_some()) && is_in_force(binding, *at) {
                wrong.push(format!("S6: {} gives access again after its end", binding.title()));
            }
        }
        self.violations.extend(wrong);
        for life in self.requests.values_mut() {
            let stands = |grant: &Grant| {
                grant
                    .bindings
                    .iter()
                    .all(|form| after.bindings.contains(&Binding::from(&form.live)))
            };
            life.was_in_policy |= life.grant.as_ref().is_some_and(stands);
        }
    }

    fn in_force(&self, policy: &Policy, id: &RequestId, at: DateTime<Utc>) -> bool {
        let title = installation().title(id);
        policy.bindings.iter().any(|binding| {
            binding.title() == title && self.is_ours(binding) && is_in_force(binding, at)
        })
    }

    fn wrong(&mut self, id: &RequestId, what: &str) {
        self.violations.push(format!("request {id}: {what}"));
    }
}

/// Whether the binding gives access at that time. One that says something else than we write always does.
pub(crate) fn is_in_force(binding: &Binding, at: DateTime<Utc>) -> bool {
    let expression = binding.condition.as_ref().map_or("", |condition| &condition.expression);
    read_granted(expression).is_none_or(|granted| granted.starts_at <= at && at < granted.ends_at)
}

fn forms(grant: &Grant) -> impl Iterator<Item = &OwnedBinding> {
    grant.bindings.iter().flat_map(|binding| [&binding.live, &binding.dead])
}

/// S2: as long as was asked for, and no longer.
fn is_as_asked(duration: Option<TimeDelta>, grant: &Grant) -> Option<&'static str> {
    let lasts = grant.expires_at.signed_duration_since(grant.starts_at);
    (duration != Some(lasts)).then_some("S2: granted for longer than was asked")
}

fn may_end(life: &Life, how: Ending, at: DateTime<Utc>) -> Option<&'static str> {
    let is_past = |grant: &Grant| at >= grant.expires_at + AFTER_EXPIRY;
    match (&life.grant, how) {
        _ if !life.is_over => Some("ended without an outcome"),
        (None, Ending::NeverGranted) | (Some(_), Ending::Answered) => None,
        (Some(grant), Ending::SeenGone) if is_past(grant) => None,
        (Some(grant), Ending::ExpiredUnreadable)
            if at >= grant.expires_at + TimeDelta::hours(24) =>
        {
            None
        }
        (
            _,
            Ending::NeverGranted | Ending::Answered | Ending::SeenGone | Ending::ExpiredUnreadable,
        ) => Some("S10: ended in a way that proves nothing"),
    }
}
