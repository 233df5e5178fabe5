//! What must never happen, judged from effects alone.
//!
//! The oracle has its own model of requests and policies: who asked for what, who has ended it, what was recorded
//! when, what stood in which policy, who has read what and when. It shares no code with the controller, and of the
//! core only the shapes of facts, bindings and signed parts, none of its decisions, conditions or comparisons.

mod facts;
mod invariant;
mod model;
mod policies;
mod settled;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};

use chrono::{DateTime, TimeDelta, Utc};
use curfew_core::entry::{Act, Entry};
use curfew_core::id::{RequestId, WriteId};
use curfew_core::policy::{Binding, Policy};
use curfew_core::principal::Email;
use curfew_core::resource::Resource;
use curfew_core::spec::Spec;
use curfew_ports::{Intent, StoredRequest};

pub use facts::Commit;
pub use invariant::{Invariant, Violation};
pub(crate) use settled::{Among, open_intents};

pub(crate) use model::force_of;

use crate::cloud::Cloud;
use crate::scene::operator;
use crate::trace::Who;
use crate::trust::Trust;
use model::{ForeignPart, Life, Mark};

/// How long a process that a stale read has misled may act on it: as long as a turn may last.
const MISLED_FOR: TimeDelta = TimeDelta::seconds(10);

/// The most violations that are kept: the first ones tell.
const VIOLATIONS_MAX: usize = 50;

/// Sees every effect and keeps what was wrong.
pub struct Oracle {
    trust: Arc<Trust>,
    lives: BTreeMap<RequestId, Life>,
    foreign: BTreeMap<Resource, ForeignPart>,
    intents: BTreeMap<WriteId, Announced>,
    sent: BTreeMap<WriteId, Sent>,
    policy_reads: BTreeMap<(Who, Resource), DateTime<Utc>>,
    answers: BTreeMap<(Who, Question), DateTime<Utc>>,
    misled: BTreeMap<Who, DateTime<Utc>>,
    lost_eligibility: BTreeMap<Email, DateTime<Utc>>,
    /// Macs of the facts that were ever committed: after a rollback they are written once more.
    committed: BTreeSet<String>,
    violations: Vec<Violation>,
}

/// A policy write that was announced.
struct Announced {
    resource: Resource,
    intent: Intent,
}

/// A policy write that was sent.
struct Sent {
    /// When its process had last read the policy.
    read_at: Option<DateTime<Utc>>,
    /// Gone when it is over.
    under_way: Weak<()>,
}

/// What the cloud is asked before somebody is given access.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Question {
    /// What a node offers.
    Offers(Resource),
    /// Whether this person belongs to the group.
    Member(Email),
}

impl Oracle {
    pub(crate) fn new(trust: Arc<Trust>, cloud: &Cloud) -> Self {
        let mut oracle = Self {
            trust,
            lives: BTreeMap::new(),
            foreign: BTreeMap::new(),
            intents: BTreeMap::new(),
            sent: BTreeMap::new(),
            policy_reads: BTreeMap::new(),
            answers: BTreeMap::new(),
            misled: BTreeMap::new(),
            lost_eligibility: BTreeMap::new(),
            committed: BTreeSet::new(),
            violations: Vec::new(),
        };
        for (resource, policy) in cloud.policies() {
            oracle.foreign_changed(resource, policy);
        }
        oracle
    }

    /// All that went wrong so far.
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// Somebody asked for something.
    pub(crate) fn filed(&mut self, at: DateTime<Utc>, spec: &Spec) {
        let mut life = Life::new(spec.clone(), at);
        if let Some(before) = self.lives.remove(&spec.id) {
            life.is_disturbed = true;
            life.former =
                before.grants().map(|(spec, grant)| (spec.clone(), grant.clone())).collect();
        }
        self.lives.insert(spec.id.clone(), life);
    }

    /// Somebody's act about a request is in the store.
    pub(crate) fn acted(&mut self, at: DateTime<Utc>, id: &RequestId, entry: &Entry) {
        let Some(life) = self.lives.get_mut(id) else { return };
        let ends = match &entry.act {
            Act::Revoke { .. } => entry.actor.email == operator().email,
            Act::Withdraw { .. } => entry.actor.subject == life.spec.requester.subject,
            Act::Decide { .. } | Act::Extend { .. } | Act::CloseReview { .. } => false,
        };
        if ends {
            life.given_up_at.get_or_insert(at);
        }
    }

    /// Somebody with access to the store or the cloud has interfered with this request: how it ends is open.
    pub(crate) fn disturbed(&mut self, id: &RequestId) {
        if let Some(life) = self.lives.get_mut(id) {
            life.is_disturbed = true;
        }
    }

    /// The document is what it was earlier: what was recorded since is unknown to whoever reads it.
    pub(crate) fn rewound(&mut self, id: &RequestId, now: Option<&StoredRequest>) {
        let facts = now.map(|stored| stored.facts.as_slice()).unwrap_or_default();
        let recorded =
            facts.iter().filter_map(|fact| self.trust.sealed(&fact.mac)).collect::<Vec<_>>();
        if let Some(life) = self.lives.get_mut(id) {
            life.rewind(&recorded);
        }
    }

    /// The person is in no eligible group from now on.
    pub(crate) fn lost_eligibility(&mut self, person: &Email, at: DateTime<Utc>) {
        self.lost_eligibility.insert(person.clone(), at);
    }

    /// Somebody else has written the policy.
    pub(crate) fn foreign_changed(&mut self, resource: &Resource, policy: &Policy) {
        let part = self.foreign_part(policy);
        self.foreign.insert(resource.clone(), part);
    }

    pub(crate) fn intended(&mut self, resource: &Resource, write: &WriteId, intent: &Intent) {
        let announced = Announced { resource: resource.clone(), intent: intent.clone() };
        self.intents.insert(write.clone(), announced);
    }

    /// A policy write is on its way, until what is returned is dropped.
    pub(crate) fn sending(&mut self, who: Who, resource: &Resource, write: &WriteId) -> Arc<()> {
        let under_way = Arc::new(());
        let sent = Sent {
            read_at: self.policy_reads.get(&(who, resource.clone())).copied(),
            under_way: Arc::downgrade(&under_way),
        };
        self.sent.insert(write.clone(), sent);
        under_way
    }

    /// S9: an intent is taken back only when its write is over.
    pub(crate) fn closed(&mut self, resource: &Resource, writes: &[WriteId], cloud: &Cloud) {
        for write in writes {
            let is_under_way =
                self.sent.get(write).is_some_and(|sent| sent.under_way.strong_count() > 0);
            let may_land = self.intents.get(write).is_some_and(|announced| {
                cloud.policy(resource).is_ok_and(|policy| policy.etag == announced.intent.etag)
            });
            if is_under_way && may_land {
                let what =
                    format!("the intent {write} was closed although its write may still land");
                self.wrong(Invariant::S9, what);
            }
        }
    }

    pub(crate) fn policy_read(&mut self, who: Who, resource: &Resource, at: DateTime<Utc>) {
        self.policy_reads.insert((who, resource.clone()), at);
    }

    pub(crate) fn answered(&mut self, who: Who, question: Question, at: DateTime<Utc>) {
        self.answers.insert((who, question), at);
    }

    /// A store that is strongly consistent has answered with an old state.
    pub(crate) fn was_misled(&mut self, who: Who, at: DateTime<Utc>) {
        self.misled.insert(who, at);
    }

    fn is_misled(&self, who: Who, at: DateTime<Utc>) -> bool {
        self.misled.get(&who).is_some_and(|since| at <= *since + MISLED_FOR)
    }

    /// The request that a binding names, if the controller has tagged it, changed since or not.
    pub(crate) fn ours(&self, binding: &Binding) -> Option<RequestId> {
        let mark = Mark::of(binding)?;
        self.trust.has_made_tag(mark.tag).then_some(mark.request)
    }

    fn foreign_part(&self, policy: &Policy) -> ForeignPart {
        ForeignPart::of(policy, |binding| self.ours(binding).is_some())
    }

    pub(crate) fn wrong(&mut self, invariant: Invariant, what: impl Into<String>) {
        if self.violations.len() < VIOLATIONS_MAX {
            self.violations.push(Violation::of(invariant, what));
        }
    }
}
