//! What must never happen, judged from effects alone.
//!
//! The oracle has its own model of requests and policies: who asked for what, who has ended it, what was recorded
//! when, what stood in which policy, who has read what and when. It shares no code with the controller, and of the
//! core only the shapes of facts, bindings and signed parts, none of its decisions, conditions or comparisons.

mod approvals;
mod chain;
mod facts;
mod in_time;
mod invariant;
mod model;
mod policies;
mod room;
mod settled;
mod system;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use curfew_core::entry::Entry;
use curfew_core::id::{Digest, RequestId, WriteId};
use curfew_core::policy::{Binding, Policy};
use curfew_core::principal::Email;
use curfew_core::resource::Resource;
use curfew_core::role::Role;
use curfew_core::spec::Spec;
use curfew_ports::{Intent, StoredRequest};

pub use facts::Commit;
pub use invariant::{Invariant, Violation};
pub(crate) use settled::{Among, open_intents};

pub(crate) use model::force_of;

use crate::cloud::Cloud;
use crate::connection::Freshness;
use crate::trace::Who;
use crate::trust::Trust;
use in_time::Troubles;
use model::{GivenPart, Life, Mark};
use words::{Said, Word};

/// How long a process that a stale read has misled may act on it: as long as a turn may last.
const MISLED_FOR: TimeDelta = TimeDelta::seconds(10);

/// How old the documents may be that a policy write rests on.
const DOCUMENTS_AGE_MAX: TimeDelta = TimeDelta::seconds(5);

/// The most violations that are kept: the first ones tell.
const VIOLATIONS_MAX: usize = 50;

/// Sees every effect and keeps what was wrong.
pub struct Oracle {
    trust: Arc<Trust>,
    lives: BTreeMap<RequestId, Life>,
    given: BTreeMap<Resource, GivenPart>,
    intents: BTreeMap<WriteId, Announced>,
    sent: BTreeMap<WriteId, Sent>,
    turns: BTreeMap<(Who, Resource), Turn>,
    answers: BTreeMap<(Who, Question), DateTime<Utc>>,
    misled: BTreeMap<Who, DateTime<Utc>>,
    lost_eligibility: BTreeMap<Email, DateTime<Utc>>,
    changed_roles: BTreeMap<Role, DateTime<Utc>>,
    distrusted: BTreeMap<String, DateTime<Utc>>,
    /// For how long in all the cloud has kept those waiting who ask who is eligible.
    slowed_by: TimeDelta,
    troubles: Troubles,
    n_reads: u64,
    /// Macs of the facts that were ever committed: after a rollback they are written once more.
    committed: BTreeSet<String>,
    violations: Vec<Violation>,
}

/// A policy write that was announced.
struct Announced {
    resource: Resource,
    intent: Intent,
}

/// What a process has read of one resource's policy and of the requests there.
#[derive(Clone)]
struct Turn {
    /// When it last read the policy.
    read_at: DateTime<Utc>,
    /// When it first read each document after that.
    first_reread: BTreeMap<RequestId, DateTime<Utc>>,
    /// When it last did.
    last_reread: BTreeMap<RequestId, DateTime<Utc>>,
}

/// A policy write that was sent.
struct Sent {
    /// What it rests on.
    turn: Option<Turn>,
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
            given: BTreeMap::new(),
            intents: BTreeMap::new(),
            sent: BTreeMap::new(),
            turns: BTreeMap::new(),
            answers: BTreeMap::new(),
            misled: BTreeMap::new(),
            lost_eligibility: BTreeMap::new(),
            changed_roles: BTreeMap::new(),
            distrusted: BTreeMap::new(),
            slowed_by: TimeDelta::zero(),
            troubles: Troubles::default(),
            n_reads: 0,
            committed: BTreeSet::new(),
            violations: Vec::new(),
        };
        for (resource, policy) in cloud.policies() {
            oracle.foreign_changed(resource, policy);
        }
        oracle
    }

    /// The digest of a request as it was filed.
    pub(crate) fn digest_of(&self, id: &RequestId) -> Option<Digest> {
        self.lives.get(id).map(|life| life.spec.digest.clone())
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

    /// Somebody's act about a request is in the store, signed with this key.
    pub(crate) fn acted(
        &mut self,
        at: DateTime<Utc>,
        id: &RequestId,
        (entry, key): (&Entry, &str),
        cloud: &Cloud,
    ) {
        let Some(mut life) = self.lives.remove(id) else { return };
        // What is repeated with the same bytes was said once.
        if life.word(&entry.nonce).is_none() {
            let mut word = Word::of(entry, key, at);
            word.ends_access = self.ends_access(&life, &word, cloud);
            if word.ends_access {
                life.given_up_at.get_or_insert(at);
            } else {
                // Of an approver it counts from the moment on at which the approval is recorded.
                let has_approved = life.words.iter().any(|other| {
                    other.actor.email == word.actor.email && matches!(other.said, Said::Approve(_))
                });
                life.is_unsure |= word.said == Said::Revoke && has_approved;
            }
            life.words.push(word);
        }
        self.lives.insert(id.clone(), life);
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
        for life in self.lives.values_mut().filter(|life| life.ended.is_none()) {
            let by_this_one = life
                .words
                .iter()
                .any(|word| word.actor.email == *person && matches!(word.said, Said::Deny(_)));
            if by_this_one && life.over.is_none() {
                // Whether that no was looked at while it counted is a matter of moments.
                life.is_unsure = true;
                let others = life.words.iter().filter(|word| word.actor.email != *person);
                let ending = others.filter(|word| word.ends_access);
                life.given_up_at = ending.map(|word| word.stored_at).min();
            }
        }
    }

    /// The role permits something else from now on.
    pub(crate) fn role_changed(&mut self, role: &Role, at: DateTime<Utc>) {
        self.changed_roles.entry(role.clone()).or_insert(at);
    }

    /// What was signed with this key counts no more for whoever starts from now on.
    pub(crate) fn distrusted(&mut self, key: &str, at: DateTime<Utc>) {
        self.distrusted.entry(key.to_owned()).or_insert(at);
    }

    /// Whether what was signed with this key counts for what is decided then.
    fn is_trusted(&self, key: &str, at: DateTime<Utc>) -> bool {
        self.distrusted.get(key).is_none_or(|distrusted_at| at <= *distrusted_at)
    }

    /// Whoever asks the cloud who is eligible has to wait for so long.
    pub(crate) fn slowed(&mut self, by: Duration) {
        self.slowed_by += TimeDelta::from_std(by).unwrap_or_default();
    }

    /// Somebody else has written the policy.
    pub(crate) fn foreign_changed(&mut self, resource: &Resource, policy: &Policy) {
        let part = self.given_part(policy);
        self.given.insert(resource.clone(), part);
    }

    pub(crate) fn intended(&mut self, resource: &Resource, write: &WriteId, intent: &Intent) {
        let announced = Announced { resource: resource.clone(), intent: intent.clone() };
        self.intents.insert(write.clone(), announced);
    }

    /// A policy write is on its way, until what is returned is dropped.
    pub(crate) fn sending(
        &mut self,
        who: Who,
        at: DateTime<Utc>,
        resource: &Resource,
        write: &WriteId,
    ) -> Arc<()> {
        let turn = self.turns.get(&(who, resource.clone())).cloned();
        let announced = self.intents.get(write).map(|announced| &announced.intent.requests);
        let is_old = |id: &&RequestId| {
            let read_at = turn.as_ref().and_then(|turn| turn.last_reread.get(*id));
            read_at.is_none_or(|read_at| at > *read_at + DOCUMENTS_AGE_MAX)
        };
        let old = announced.into_iter().flatten().filter(is_old).cloned().collect::<Vec<_>>();
        for id in old {
            self.wrong_about(&id, Invariant::S8, "written by what was read long before, or never");
        }
        let under_way = Arc::new(());
        self.sent.insert(write.clone(), Sent { turn, under_way: Arc::downgrade(&under_way) });
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
        let turn =
            Turn { read_at: at, first_reread: BTreeMap::new(), last_reread: BTreeMap::new() };
        self.turns.insert((who, resource.clone()), turn);
        self.n_reads = self.n_reads.saturating_add(1);
    }

    /// How often a policy was read to write it.
    pub(crate) fn n_reads(&self) -> u64 {
        self.n_reads
    }

    /// These documents were read, as they are or as they were.
    pub(crate) fn documents_read(
        &mut self,
        who: Who,
        ids: &[RequestId],
        (at, freshness): (DateTime<Utc>, Freshness),
    ) {
        if freshness == Freshness::Stale {
            self.misled.insert(who, at);
        }
        for (_, turn) in self.turns.iter_mut().filter(|((reader, _), _)| *reader == who) {
            for id in ids {
                if freshness == Freshness::Now {
                    turn.first_reread.entry(id.clone()).or_insert(at);
                }
                turn.last_reread.insert(id.clone(), at);
            }
        }
    }

    pub(crate) fn answered(&mut self, who: Who, question: Question, at: DateTime<Utc>) {
        self.answers.insert((who, question), at);
    }

    /// Whether a store that is strongly consistent has answered this process with an old state not long ago.
    fn is_misled(&self, who: Who, at: DateTime<Utc>) -> bool {
        self.misled.get(&who).is_some_and(|since| at <= *since + MISLED_FOR)
    }

    /// The request that a binding names, if the controller has tagged it, changed since or not.
    pub(crate) fn ours(&self, binding: &Binding) -> Option<RequestId> {
        let mark = Mark::of(binding)?;
        self.trust.has_made_tag(mark.tag).then_some(mark.request)
    }

    fn given_part(&self, policy: &Policy) -> GivenPart {
        GivenPart::of(policy, |binding| self.ours(binding).is_some())
    }

    pub(crate) fn wrong(&mut self, invariant: Invariant, what: impl Into<String>) {
        if self.violations.len() < VIOLATIONS_MAX {
            self.violations.push(Violation::of(invariant, what));
        }
    }
}
