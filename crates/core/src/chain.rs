//! A request's facts, read once from the oldest on. The first fact of a kind counts: each is written once.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use crate::fact::{
    Counted, DriftKind, Eligible, Ending, Fact, Grant, GrantedBinding, Outcome, OwnedBinding,
};
use crate::id::Nonce;
use crate::request::{Recorded, VerifiedFacts};
use crate::resource::Resource;

/// What the facts say, by kind.
#[derive(Debug, Clone, Default)]
pub struct Chain<'a> {
    /// Entries that were looked at.
    pub seen: BTreeMap<Nonce, Counted>,
    /// The first positive judgement.
    pub eligible: Option<Eligible>,
    /// The approval of the spec.
    pub approval: Option<Approved>,
    /// The grant.
    pub grant: Option<Granted<'a>>,
    /// When the bindings were first seen in the policy.
    pub bound_at: Option<DateTime<Utc>>,
    /// The kinds of drift that were noted.
    pub drift: BTreeSet<DriftKind>,
    /// Why access is over.
    pub outcome: Option<Over>,
    /// How it is known that nothing is left.
    pub ended: Option<Ending>,
    /// Whether a fact is of a kind that this version does not know.
    pub has_unknown: bool,
}

/// The approval of a chain.
#[derive(Debug, Clone)]
pub struct Approved {
    /// When it was recorded.
    pub at: DateTime<Utc>,
    /// The decisions that it rests on; none for self-activation.
    pub nonces: Vec<Nonce>,
}

/// The grant of a chain.
#[derive(Debug, Clone)]
pub struct Granted<'a> {
    /// When it was recorded.
    pub at: DateTime<Utc>,
    /// Whose policy the bindings stand in.
    pub resource: Resource,
    /// First instant of access.
    pub starts_at: DateTime<Utc>,
    /// First instant without access.
    pub expires_at: DateTime<Utc>,
    /// The deadline for seeing the bindings in the policy.
    pub activate_by: DateTime<Utc>,
    /// The recorded bindings; empty while the grant is only planned.
    pub bindings: &'a [GrantedBinding],
}

/// The outcome of a chain.
#[derive(Debug, Clone)]
pub struct Over {
    /// How many facts stand up to and including it.
    pub position: usize,
    /// When it was recorded.
    pub at: DateTime<Utc>,
    /// What it says.
    pub outcome: Outcome,
}

impl<'a> Chain<'a> {
    /// Reads recorded facts.
    pub fn of(facts: &'a VerifiedFacts) -> Self {
        let mut chain = Self::default();
        for (position, recorded) in (1..).zip(facts.iter()) {
            chain.record(position, recorded);
        }
        chain
    }

    /// Adds a recorded fact that stands at `position` (counted from 1).
    pub fn record(&mut self, position: usize, recorded: &'a Recorded) {
        if let Fact::Grant(grant) = &recorded.fact {
            self.add_grant(recorded.at, grant, &grant.bindings);
        }
        self.add(position, recorded.at, &recorded.fact);
    }

    /// Adds a fact that is planned and will stand at `position` (counted from 1).
    pub fn plan<B>(&mut self, position: usize, at: DateTime<Utc>, fact: &Fact<B>) {
        if let Fact::Grant(grant) = fact {
            self.add_grant(at, grant, &[]);
        }
        self.add(position, at, fact);
    }

    fn add<B>(&mut self, position: usize, at: DateTime<Utc>, fact: &Fact<B>) {
        match fact {
            Fact::Seen { nonce, counted } => {
                self.seen.entry(nonce.clone()).or_insert_with(|| counted.clone());
            }
            Fact::Eligible(eligible) => {
                self.eligible.get_or_insert_with(|| eligible.clone());
            }
            Fact::Approval { nonces, .. } => {
                self.approval.get_or_insert_with(|| Approved { at, nonces: nonces.clone() });
            }
            Fact::Grant(_) => {}
            Fact::Bound { .. } => {
                self.bound_at.get_or_insert(at);
            }
            Fact::Drift { kind } => {
                self.drift.insert(*kind);
            }
            Fact::Outcome(outcome) => {
                self.outcome.get_or_insert_with(|| Over { position, at, outcome: outcome.clone() });
            }
            Fact::Ended { how } => {
                self.ended.get_or_insert(*how);
            }
            Fact::Unknown { .. } => self.has_unknown = true,
        }
    }

    fn add_grant<B>(
        &mut self,
        at: DateTime<Utc>,
        grant: &Grant<B>,
        bindings: &'a [GrantedBinding],
    ) {
        self.grant.get_or_insert(Granted {
            at,
            resource: grant.resource.clone(),
            starts_at: grant.starts_at,
            expires_at: grant.expires_at,
            activate_by: grant.activate_by,
            bindings,
        });
    }

    /// The addresses of those whose approval counted.
    pub fn approved_by(&self) -> impl Iterator<Item = &str> {
        let nonces = self.approval.iter().flat_map(|approval| &approval.nonces);
        nonces.filter_map(|nonce| match self.seen.get(nonce) {
            Some(Counted::Yes { by, .. }) => Some(by.as_str()),
            Some(Counted::No { .. }) | None => None,
        })
    }

    /// Every binding that the facts record, live and dead.
    pub fn recorded_bindings(&self) -> impl Iterator<Item = &'a OwnedBinding> {
        let granted = self.grant.as_ref().map_or(&[][..], |grant| grant.bindings);
        granted.iter().flat_map(|binding| [&binding.live, &binding.dead])
    }
}
