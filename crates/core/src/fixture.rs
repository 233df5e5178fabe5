#![cfg(test)]
#![allow(clippy::arithmetic_side_effects, reason = "a test may panic: it then fails")]
//! Requests and worlds for tests, built in sentences: `request().eligible().approved().granted().bound()`.
//!
//! Alice asks at 10:00:00 for `roles/compute.viewer` on `projects/demo-web` for an hour, and every fact is recorded
//! at that instant, unless the sentence says otherwise.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};

use crate::apply::Refusal;
use crate::condition::{Activation, Carried, granted_expression};
use crate::entry::{Act, ActKind, Entry, Level, Verdict};
use crate::fact::{
    Counted, DriftKind, Eligible, Ending, Fact, Grant, GrantedBinding, Outcome, OutcomeReason,
    OwnedBinding, TagSubject, UntaggedBinding,
};
use crate::id::{Digest, Installation, Nonce, RequestId, Tag, sha256};
use crate::judge::{Basis, Eligibility, Ineligible, Objection};
use crate::observe::ObservedBindings;
use crate::policy::Binding;
use crate::principal::{Email, Person, Principal, Subject};
use crate::reconcile::SELF_ACTIVATION_WINDOW;
use crate::request::{Recorded, Rejection, Request, Verified, VerifiedFacts};
use crate::resource::Resource;
use crate::role::Role;
use crate::spec::{Authentication, RequestedRole, Spec};
use crate::world::{Answered, Observed, Standing, Unanswered, World};

/// The role that is asked for.
pub(crate) const VIEWER: &str = "roles/compute.viewer";

/// A second role.
pub(crate) const ADMIN: &str = "roles/storage.admin";

/// A time of the day of the tests.
pub(crate) fn at(time: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(&format!("2026-03-02T{time}Z")).unwrap().to_utc()
}

/// Milliseconds.
pub(crate) fn ms(n: i64) -> TimeDelta {
    TimeDelta::milliseconds(n)
}

/// The installation of the tests.
pub(crate) fn installation() -> Installation {
    Installation::parse("demo").unwrap()
}

/// A stand-in for the controller's HMAC: another subject gets another tag.
pub(crate) fn tag(subject: &TagSubject<'_>) -> Tag {
    let resource = subject.resource.to_string();
    let parts = [
        subject.installation.as_str(),
        subject.request.as_str(),
        &resource,
        subject.role,
        subject.member,
        subject.expression,
    ];
    let hash = sha256(&parts.map(str::as_bytes));
    Tag::from_bits(*hash.first_chunk().unwrap())
}

/// A person of example.com.
pub(crate) fn person(name: &str) -> Person {
    Person {
        subject: Subject::parse(&format!("accounts.google.com:{name}")).unwrap(),
        email: Email::parse(&format!("{name}@example.com")).unwrap(),
    }
}

/// The `n`-th nonce.
pub(crate) fn nonce(n: u128) -> Nonce {
    Nonce::from_bits(n.to_be_bytes())
}

/// A role as it is asked for, under the eligibility of that name, with permissions hashed from its own name.
pub(crate) fn requested(role: &str, entitlement: &str, resource_condition: &str) -> RequestedRole {
    RequestedRole {
        role: Role::parse(role).unwrap(),
        resource_condition: resource_condition.into(),
        entitlement: entitlement.into(),
        permissions_hash: Digest::of(role.as_bytes()),
    }
}

/// What Alice asks for.
pub(crate) fn spec() -> Spec {
    let requester = person("alice");
    Spec {
        id: RequestId::from_bits([3; 16]),
        digest: Digest::of(b"spec"),
        principal: Principal::User(requester.email.clone()),
        requester,
        resource: Resource::parse("projects/demo-web").unwrap(),
        roles: vec![requested(VIEWER, "iam-viewer", "")],
        resource_names: Vec::new(),
        duration: TimeDelta::hours(1),
        start_at: None,
        justification: "to look".into(),
        ticket: None,
        chosen_approvers: Vec::new(),
        break_glass: false,
        requested_at: at("10:00:00"),
        nonce: nonce(0),
        authentication: Authentication::default(),
    }
}

/// A request under construction.
#[derive(Debug, Clone)]
pub(crate) struct Filed {
    spec: Spec,
    rejection: Option<Rejection>,
    entries: BTreeMap<Nonce, Result<Verified<Entry>, Rejection>>,
    facts: Vec<Recorded>,
    rolled_back: bool,
    now: DateTime<Utc>,
}

/// Alice's request as it was filed.
pub(crate) fn request() -> Filed {
    Filed {
        spec: spec(),
        rejection: None,
        entries: BTreeMap::new(),
        facts: Vec::new(),
        rolled_back: false,
        now: at("10:00:00"),
    }
}

impl Filed {
    /// As the core sees it.
    pub(crate) fn request(&self) -> Request {
        Request {
            id: self.spec.id.clone(),
            created_at: at("10:00:00"),
            spec: self.rejection.map_or_else(|| Ok(Verified::vouch(self.spec.clone())), Err),
            entries: self.entries.clone(),
            facts: VerifiedFacts::vouch(self.facts.clone(), 0),
            rolled_back: self.rolled_back,
        }
    }

    /// For these roles, each under the eligibility `iam-<n>`.
    pub(crate) fn for_roles(mut self, roles: &[&str]) -> Self {
        self.spec.roles = roles.iter().map(|role| requested(role, "iam-x", "")).collect();
        self
    }

    /// For so long.
    pub(crate) fn lasting(mut self, duration: TimeDelta) -> Self {
        self.spec.duration = duration;
        self
    }

    /// From then on.
    pub(crate) fn starting(mut self, start_at: DateTime<Utc>) -> Self {
        self.spec.start_at = Some(start_at);
        self
    }

    /// The stored spec does not verify.
    pub(crate) fn unverifiable(mut self, why: Rejection) -> Self {
        self.rejection = Some(why);
        self
    }

    /// The stored facts are behind what the process remembers.
    pub(crate) fn rolled_back(mut self) -> Self {
        self.rolled_back = true;
        self
    }

    /// Somebody has done this.
    pub(crate) fn entry(mut self, n: u128, actor: &str, act: Act) -> Self {
        let entry = Entry {
            nonce: nonce(n),
            digest: Digest::of(&n.to_be_bytes()),
            actor: person(actor),
            at: at("10:00:00"),
            level: Level::Session,
            act,
        };
        self.entries.insert(nonce(n), Ok(Verified::vouch(entry)));
        self
    }

    /// Somebody has asked to end it.
    pub(crate) fn revoked_by(self, n: u128, actor: &str) -> Self {
        self.entry(n, actor, Act::Revoke { reason: String::new() })
    }

    /// Somebody says not to want it any more.
    pub(crate) fn withdrawn_by(self, n: u128, actor: &str) -> Self {
        self.entry(n, actor, Act::Withdraw { reason: String::new() })
    }

    /// Somebody has approved it.
    pub(crate) fn approved_by(self, n: u128, actor: &str) -> Self {
        self.decided_by(n, actor, Verdict::Approve)
    }

    /// Somebody has denied it.
    pub(crate) fn denied_by(self, n: u128, actor: &str) -> Self {
        self.decided_by(n, actor, Verdict::Deny)
    }

    /// Somebody with this immutable id and this address has approved it.
    pub(crate) fn approved_as(mut self, n: u128, subject: &str, address: &str) -> Self {
        self = self.approved_by(n, address);
        let mut entry = (**self.entries.get(&nonce(n)).unwrap().as_ref().unwrap()).clone();
        entry.actor.subject = person(subject).subject;
        self.entries.insert(nonce(n), Ok(Verified::vouch(entry)));
        self
    }

    fn decided_by(self, n: u128, actor: &str, verdict: Verdict) -> Self {
        let target = self.spec.digest.clone();
        self.entry(n, actor, Act::Decide { verdict, comment: String::new(), target })
    }

    /// The requester has turned to these people.
    pub(crate) fn choosing(mut self, people: &[&str]) -> Self {
        self.spec.chosen_approvers = people.iter().map(|name| person(name).email).collect();
        self
    }

    /// An entry that does not verify.
    pub(crate) fn forged(mut self, n: u128, why: Rejection) -> Self {
        self.entries.insert(nonce(n), Err(why));
        self
    }

    /// The facts that follow are recorded then.
    pub(crate) fn at(mut self, now: DateTime<Utc>) -> Self {
        self.now = now;
        self
    }

    /// `ELIGIBLE`
    pub(crate) fn eligible(self) -> Self {
        let decide_by = at("10:15:00");
        self.fact(Fact::Eligible(Eligible { decide_by, steps_required: 0, rests_on: Vec::new() }))
    }

    /// `ELIGIBLE`, if a peer approves within the hour.
    pub(crate) fn eligible_by_peers(self) -> Self {
        let decide_by = at("11:00:00");
        self.fact(Fact::Eligible(Eligible { decide_by, steps_required: 1, rests_on: Vec::new() }))
    }

    /// `SEEN`, and it counts as a decision.
    pub(crate) fn seen_decision(self, n: u128, actor: &str) -> Self {
        let by = person(actor).email.to_string();
        self.seen(n, Counted::Yes { act: ActKind::Decision, by })
    }

    /// `APPROVAL` of the spec by these decisions.
    pub(crate) fn approved_on(self, nonces: &[u128]) -> Self {
        let target = self.spec.digest.clone();
        let nonces = nonces.iter().map(|n| nonce(*n)).collect();
        self.fact(Fact::Approval { target, nonces })
    }

    /// `APPROVAL` of the spec.
    pub(crate) fn approved(self) -> Self {
        let target = self.spec.digest.clone();
        self.fact(Fact::Approval { target, nonces: Vec::new() })
    }

    /// `GRANT` of every role, from now (or the asked-for start) on.
    pub(crate) fn granted(self) -> Self {
        let starts_at =
            self.spec.start_at.map_or(self.now, |start| start.max(self.now)).trunc_subsecs(0);
        let expires_at = starts_at + self.spec.duration;
        let binding = |role: &RequestedRole| GrantedBinding {
            live: self.binding(role, starts_at, expires_at),
            dead: self.binding(role, starts_at, starts_at),
        };
        let grant = Grant {
            resource: self.spec.resource.clone(),
            bindings: self.spec.roles.iter().map(binding).collect(),
            starts_at,
            expires_at,
            activate_by: self.now + TimeDelta::minutes(15),
            rests_on: Vec::new(),
        };
        self.fact(Fact::Grant(grant))
    }

    /// `BOUND`
    pub(crate) fn bound(self) -> Self {
        let expires_at = self.grant().expires_at;
        self.fact(Fact::Bound { expires_at })
    }

    /// `DRIFT`
    pub(crate) fn drifted(self, kind: DriftKind) -> Self {
        self.fact(Fact::Drift { kind })
    }

    /// `SEEN`
    pub(crate) fn seen(self, n: u128, counted: Counted) -> Self {
        self.fact(Fact::Seen { nonce: nonce(n), counted })
    }

    /// `OUTCOME`
    pub(crate) fn over(self, reason: OutcomeReason) -> Self {
        self.fact(Fact::Outcome(Outcome { reason, by: None, message: String::new() }))
    }

    /// `ENDED`
    pub(crate) fn ended(self, how: Ending) -> Self {
        self.fact(Fact::Ended { how })
    }

    /// A fact of a kind that a newer version has introduced.
    pub(crate) fn newer_fact(self) -> Self {
        self.fact(Fact::Unknown { kind: "EXTENSION".into() })
    }

    /// Any fact.
    pub(crate) fn fact(mut self, fact: Fact) -> Self {
        self.facts.push(Recorded { at: self.now, fact });
        self
    }

    /// How many facts stand.
    pub(crate) fn n_facts(&self) -> usize {
        self.facts.len()
    }

    /// The live bindings of the grant.
    pub(crate) fn live(&self) -> Vec<OwnedBinding> {
        self.grant().bindings.iter().map(|binding| binding.live.clone()).collect()
    }

    /// The dead bindings of the grant.
    pub(crate) fn dead(&self) -> Vec<OwnedBinding> {
        self.grant().bindings.iter().map(|binding| binding.dead.clone()).collect()
    }

    /// A binding of the request's first role with other times, tagged as ours.
    pub(crate) fn bound_until(&self, ends_at: DateTime<Utc>) -> OwnedBinding {
        self.binding(self.spec.roles.first().unwrap(), at("10:00:00"), ends_at)
    }

    fn binding(
        &self,
        role: &RequestedRole,
        starts_at: DateTime<Utc>,
        ends_at: DateTime<Utc>,
    ) -> OwnedBinding {
        let untagged = UntaggedBinding {
            request: self.spec.id.clone(),
            resource: self.spec.resource.clone(),
            role: role.role.clone(),
            member: self.spec.principal.clone(),
            digest: self.spec.digest.clone(),
            ticket: None,
            expression: granted_expression(starts_at, ends_at, &Carried::NONE).unwrap(),
        };
        untagged.tagged(&installation(), &tag)
    }

    fn grant(&self) -> &Grant {
        let mut newest = self.facts.iter().rev();
        newest
            .find_map(
                |recorded| if let Fact::Grant(grant) = &recorded.fact { Some(grant) } else { None },
            )
            .unwrap()
    }
}

/// A verdict that every one of so many roles may be granted.
pub(crate) fn yes(n_roles: usize) -> Eligibility {
    Eligibility::Yes(Basis {
        activation: Activation::SelfApproval,
        decide_within: SELF_ACTIVATION_WINDOW,
        carried: vec![Carried::NONE; n_roles],
        rests_on: vec!["a rule".into(); n_roles],
    })
}

/// A verdict that every one of so many roles may be granted once a peer approves, within an hour.
pub(crate) fn yes_by_peers(n_roles: usize) -> Eligibility {
    let Eligibility::Yes(basis) = yes(n_roles) else { panic!("not eligible") };
    let decide_within = TimeDelta::hours(1);
    Eligibility::Yes(Basis { activation: Activation::PeerApproval, decide_within, ..basis })
}

/// A verdict that they may not.
pub(crate) fn no() -> Eligibility {
    Eligibility::No(Ineligible {
        reason: Objection::NotEligible,
        field: "roles",
        message: "no rule".into(),
    })
}

/// A look-up that failed.
pub(crate) fn failed<T>() -> Observed<T> {
    Observed::Unknown(Unanswered::Failed("503".into()))
}

/// A look-up that was not made.
pub(crate) fn not_asked<T>() -> Observed<T> {
    Observed::Unknown(Unanswered::NotAsked)
}

/// A world in which nobody has asked anything.
pub(crate) fn world() -> World {
    World {
        eligibility: not_asked(),
        standing: BTreeMap::new(),
        bindings: not_asked(),
        room: Observed::Known(None),
        strays: Observed::Known(BTreeSet::new()),
        answered: None,
        refused: None,
    }
}

impl World {
    /// The requester may have one role.
    pub(crate) fn eligible(self) -> Self {
        self.eligible_for(1)
    }

    /// The requester may have so many roles.
    pub(crate) fn eligible_for(self, n_roles: usize) -> Self {
        self.judging(Observed::Known(yes(n_roles)))
    }

    /// The requester may have it once a peer says so.
    pub(crate) fn eligible_by_peers(self) -> Self {
        self.judging(Observed::Known(yes_by_peers(1)))
    }

    /// The requester may not have it.
    pub(crate) fn ineligible(self) -> Self {
        self.judging(Observed::Known(no()))
    }

    /// This is how the requester is judged.
    pub(crate) fn judging(self, eligibility: Observed<Eligibility>) -> Self {
        Self { eligibility, ..self }
    }

    /// This is known of who has made the `n`-th entry.
    pub(crate) fn standing(mut self, n: u128, standing: Observed<Standing>) -> Self {
        self.standing.insert(nonce(n), standing);
        self
    }

    /// The policy holds just these of the request.
    pub(crate) fn holding(self, ours: impl IntoIterator<Item = OwnedBinding>) -> Self {
        let ours = ours.into_iter().collect();
        self.showing(ObservedBindings { ours, ..ObservedBindings::default() })
    }

    /// The policy holds nothing of the request.
    pub(crate) fn bare(self) -> Self {
        self.holding([])
    }

    /// The policy holds this under the request's title.
    pub(crate) fn showing(self, seen: ObservedBindings) -> Self {
        Self { bindings: Observed::Known(seen), ..self }
    }

    /// And this altered binding too.
    pub(crate) fn altered(mut self, binding: &OwnedBinding) -> Self {
        let mut altered = Binding::from(binding);
        altered.members.push("user:mallory@example.com".into());
        let Observed::Known(seen) = &mut self.bindings else { panic!("the policy is not known") };
        seen.altered.push(altered);
        self
    }

    /// And this binding that only bears the title.
    pub(crate) fn planted(mut self, binding: &OwnedBinding) -> Self {
        let Observed::Known(seen) = &mut self.bindings else { panic!("the policy is not known") };
        seen.planted.push(Binding::from(binding));
        self
    }

    /// The policy takes no further binding of the kind.
    pub(crate) fn full(self) -> Self {
        Self { room: Observed::Known(Some(Refusal::TooManyForRoleAndMember)), ..self }
    }

    /// Bindings of ours bear the request's title in these policies.
    pub(crate) fn astray(self, on: &[&str]) -> Self {
        let on = on.iter().map(|name| Resource::parse(name).unwrap()).collect();
        Self { strays: Observed::Known(on), ..self }
    }

    /// Not every policy that may hold a binding of it could be looked at.
    pub(crate) fn unsearched(self) -> Self {
        Self { strays: failed(), ..self }
    }

    /// The policy cannot be read.
    pub(crate) fn unreadable(self) -> Self {
        Self { bindings: failed(), ..self }
    }

    /// A policy write was answered that leaves what is seen; so many facts stood before its read.
    pub(crate) fn answered(self, facts_known_before_read: usize) -> Self {
        let seen = self.bindings.known().cloned().unwrap_or_default();
        let left: BTreeSet<OwnedBinding> = seen.ours;
        let left_altered = seen.altered.len();
        Self { answered: Some(Answered { facts_known_before_read, left, left_altered }), ..self }
    }

    /// The request's bindings were refused as such.
    pub(crate) fn refused(self) -> Self {
        Self { refused: Some("400".into()), ..self }
    }
}
