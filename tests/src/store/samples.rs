//! Well-formed things to store. Nothing here is signed: the store does not look at signatures.

use chrono::{DateTime, TimeDelta, Utc};
use curfew_core::id::{Digest, Installation, Nonce, RequestId};
use curfew_core::phase::Phase;
use curfew_core::principal::{Email, Person, Principal, Subject};
use curfew_core::resource::Resource;
use curfew_core::role::Role;
use curfew_core::spec::{Authentication, RequestedRole, Spec};
use curfew_core::status::{EntryStatus, OutcomeStatus, Status};
use curfew_ports::{Committed, FactsCommit, StoredEnvelope, StoredFact, Version};
use curfew_proto::payload;

/// What tells one sample from another.
#[derive(Clone)]
pub(super) struct Sample {
    pub(super) id: RequestId,
    pub(super) person: &'static str,
    pub(super) resource: &'static str,
    pub(super) requested_at: DateTime<Utc>,
}

impl Sample {
    pub(super) fn new() -> Self {
        Self {
            id: RequestId::from_bits(rand::random()),
            person: "alice",
            resource: "projects/demo-web",
            requested_at: at(0),
        }
    }

    pub(super) fn path(&self) -> String {
        format!("requests/{}", self.id)
    }

    pub(super) fn spec(&self) -> StoredEnvelope {
        let email = Email::parse(&format!("{}@example.com", self.person)).unwrap();
        let spec = Spec {
            id: self.id.clone(),
            digest: Digest::of(b""),
            requester: Person {
                subject: Subject::parse(&self.subject()).unwrap(),
                email: email.clone(),
            },
            principal: Principal::parse(&format!("user:{}", email.as_str())).unwrap(),
            resource: Resource::parse(self.resource).unwrap(),
            roles: vec![RequestedRole {
                role: Role::parse("roles/logging.viewer").unwrap(),
                resource_condition: String::new(),
                entitlement: "iam-0123456789abcdefghjkmnpqrs".into(),
                permissions_hash: Digest::of(b"permissions"),
            }],
            resource_names: Vec::new(),
            duration: TimeDelta::hours(1),
            start_at: None,
            justification: "look at the log".into(),
            ticket: None,
            chosen_approvers: Vec::new(),
            break_glass: false,
            requested_at: self.requested_at,
            nonce: Nonce::from_bits([9; 16]),
            authentication: Authentication::default(),
        };
        let installation = Installation::parse("demo").unwrap();
        envelope(payload::spec(&spec, &installation, &Digest::of(b"body"), None))
    }

    pub(super) fn subject(&self) -> String {
        format!("accounts.google.com:{}", self.person)
    }

    /// Facts of this request on this version.
    pub(super) fn commit(&self, base: Version) -> FactsCommit {
        FactsCommit {
            id: self.id.clone(),
            base,
            facts: vec![fact(0, "SEEN"), fact(1, "ELIGIBLE")],
            status: status(Phase::AwaitingApproval),
            live: true,
            purge_at: None,
        }
    }

    /// The last facts of this request on this version.
    pub(super) fn ending(&self, base: Version) -> FactsCommit {
        let mut commit = self.commit(base);
        commit.facts.push(fact(2, "ENDED"));
        commit.status = status(Phase::Ended);
        commit.status.outcome = Some(OutcomeStatus {
            reason: "WITHDRAWN".into(),
            at: at(5),
            by: Some("alice@example.com".into()),
            message: "withdrawn".into(),
        });
        commit.live = false;
        commit.purge_at = Some(at(86_400));
        commit
    }
}

/// So many seconds after some instant.
pub(super) fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_000 + seconds, 123_456_000).unwrap()
}

pub(super) fn envelope(payload: String) -> StoredEnvelope {
    StoredEnvelope { payload, key_id: "intake-1".into(), signature: "c2ln".into() }
}

pub(super) fn entry(number: u32) -> (Nonce, StoredEnvelope) {
    let nonce = Nonce::from_bits((u128::from(number) << 100 | 7).to_be_bytes());
    (nonce, envelope(format!(r#"{{"number":{number}}}"#)))
}

pub(super) fn fact(n: i64, kind: &str) -> StoredFact {
    StoredFact {
        n,
        kind: kind.into(),
        at: "2026-11-24T05:46:34.000000Z".into(),
        payload: "{}".into(),
        prev: Digest::of(&n.to_be_bytes()).to_string(),
        mac: Digest::of(format!("{n} {kind}").as_bytes()).to_string(),
    }
}

pub(super) fn status(phase: Phase) -> Status {
    Status {
        phase,
        outcome: None,
        conditions: Vec::new(),
        grant: None,
        decide_by: Some(at(900)),
        steps_required: Some(1),
        approved_by: vec!["bob@example.com".into()],
        observed_entries: Vec::new(),
    }
}

pub(super) fn observed(nonce: &Nonce) -> EntryStatus {
    EntryStatus { nonce: nonce.to_string(), why_not: None }
}

/// The later of two answers.
pub(super) fn assert_later(earlier: Committed, later: Committed) {
    assert!(earlier.version < later.version, "{earlier:?} {later:?}");
    assert!(earlier.at < later.at, "{earlier:?} {later:?}");
}
