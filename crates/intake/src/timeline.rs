//! What happened to a request, oldest first: people's acts, and the facts that the store has of the controller.

use chrono::{DateTime, Utc};
use curfew_core::entry::{Act, ActKind, Entry, Verdict};
use curfew_core::fact::{Counted, Fact, Outcome};
use curfew_ports::StoredFact;
use curfew_proto::payload::{self, read_timestamp};
use curfew_proto::{convert, v1};

use crate::view::Seen;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Happened {
    /// `None` where the store's text is no time.
    pub(crate) at: Option<DateTime<Utc>>,
    /// `FILED`, the type of an act, or the kind of a fact.
    pub(crate) kind: String,
    /// The address of who caused it, if a person did.
    pub(crate) by: Option<String>,
    /// For people.
    pub(crate) message: String,
}

impl Happened {
    pub(crate) fn to_wire(&self) -> v1::Event {
        v1::Event {
            at: self.at.map(convert::time_to_wire),
            kind: self.kind.clone(),
            by: self.by.clone(),
            message: self.message.clone(),
        }
    }
}

pub(crate) fn timeline(seen: &Seen) -> Vec<Happened> {
    let filed = seen.spec().map(|filed| Happened {
        at: Some(filed.spec.requested_at),
        kind: "FILED".into(),
        by: Some(filed.spec.requester.email.to_string()),
        message: "asked for access".into(),
    });
    let acts = seen.entries().map(|entry| act(entry));
    let facts = seen.stored().facts.iter().map(fact);
    let mut all: Vec<Happened> = filed.into_iter().chain(acts).chain(facts).collect();
    // Stable: what has the same time stays in the order of the chain, and what has none comes last.
    all.sort_by_key(|happened| happened.at.map_or((1, DateTime::<Utc>::MIN_UTC), |at| (0, at)));
    all
}

fn act(entry: &Entry) -> Happened {
    let message = match &entry.act {
        Act::Decide { verdict: Verdict::Approve, comment, .. } => with("approved", comment),
        Act::Decide { verdict: Verdict::Deny, comment, .. } => with("denied", comment),
        Act::Withdraw { reason } => with("withdrew the request", reason),
        Act::Revoke { reason } => with("revoked the access", reason),
        Act::Extend { duration, justification } => {
            with(&format!("asked for {} more minutes", duration.num_minutes()), justification)
        }
        Act::CloseReview { findings } => with("closed the review", findings),
    };
    Happened {
        at: Some(entry.at),
        kind: entry.act.kind().as_str().into(),
        by: Some(entry.actor.email.to_string()),
        message,
    }
}

fn with(what: &str, words: &str) -> String {
    if words.is_empty() { what.to_owned() } else { format!("{what}: {words}") }
}

fn fact(stored: &StoredFact) -> Happened {
    let (by, message) = match payload::read_fact(&stored.kind, &stored.payload) {
        Ok(fact) => said(&fact),
        Err(_) => (None, "the stored fact cannot be read".into()),
    };
    Happened { at: read_timestamp(&stored.at), kind: stored.kind.clone(), by, message }
}

fn said(fact: &Fact) -> (Option<String>, String) {
    match fact {
        Fact::Seen { counted: Counted::Yes { act, by }, .. } => {
            (Some(by.clone()), format!("{} counts", act_noun(*act)))
        }
        Fact::Seen { counted: Counted::No { why }, .. } => {
            (None, format!("an act does not count: {why}"))
        }
        Fact::Eligible(eligible) => {
            (None, format!("is eligible by {}", eligible.rests_on.join(", ")))
        }
        Fact::Approval { nonces, .. } if nonces.is_empty() => {
            (None, "needs no further approval".into())
        }
        Fact::Approval { nonces, .. } => (None, format!("approved by {} decisions", nonces.len())),
        Fact::Grant(grant) => (
            None,
            format!("access granted from {} to {}", utc(grant.starts_at), utc(grant.expires_at)),
        ),
        Fact::Bound { expires_at } => {
            (None, format!("the policy gives access until {}", utc(*expires_at)))
        }
        Fact::Drift { kind } => {
            (None, format!("somebody else changed the policy: {}", kind.as_str()))
        }
        Fact::Outcome(Outcome { reason, by, message }) => {
            (by.clone(), format!("access is over, {}: {message}", reason.as_str()))
        }
        Fact::Ended { how } => (None, format!("nothing is left of the access ({})", how.as_str())),
        Fact::Unknown { kind } => (None, format!("{kind}, as a newer version calls it")),
    }
}

fn act_noun(kind: ActKind) -> &'static str {
    match kind {
        ActKind::Decision => "the decision",
        ActKind::Withdraw => "the withdrawal",
        ActKind::Revoke => "the revocation",
        ActKind::Extend => "the extension",
        ActKind::CloseReview => "the review",
    }
}

fn utc(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}
