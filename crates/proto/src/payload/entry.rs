//! The payloads of people's acts on a filed request.

use chrono::{DateTime, Utc};
use curfew_core::entry::{Act, ActKind, Verdict};
use curfew_core::id::{Digest, Installation, Nonce, RequestId};
use curfew_core::principal::Person;
use curfew_core::spec::Authentication;

use super::spec::{authentication, read_authentication, read_person};
use super::{
    PayloadError, SCHEMA, malformed, message, open_envelope, parsed, read_seconds, required,
    same_text, seconds, text, time,
};
use crate::convert::person_to_wire;
use crate::v1;

/// What an entry's payload says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryPayload {
    /// The installation that the request was filed at.
    pub installation: Installation,
    /// The request.
    pub request: RequestId,
    /// The entry's key in the document.
    pub nonce: Nonce,
    /// Who acted.
    pub actor: Person,
    /// When, by the signer's clock.
    pub at: DateTime<Utc>,
    /// What was done.
    pub act: Act,
    /// SHA-256 of the text; what a decision on an extension names as its target.
    pub digest: Digest,
    /// What is known of the sign-in.
    pub authentication: Authentication,
}

/// The text of an act. Its envelope type is `act.kind().as_str()`.
pub fn entry(
    installation: &Installation,
    request: &RequestId,
    nonce: &Nonce,
    actor: &Person,
    at: DateTime<Utc>,
    act: &Act,
    signed_in: &Authentication,
) -> String {
    let mut wire = v1::EntryPayload {
        r#type: act.kind().as_str().into(),
        schema: SCHEMA,
        installation: installation.to_string(),
        request_id: request.to_string(),
        actor: Some(person_to_wire(actor)),
        at: time::timestamp(at),
        nonce: nonce.to_string(),
        authentication: Some(authentication(signed_in)),
        ..v1::EntryPayload::default()
    };
    match act {
        Act::Decide { verdict, comment, target } => {
            wire.verdict = Some(verdict_name(*verdict).into());
            wire.comment = Some(comment.clone());
            wire.target = Some(target.to_string());
        }
        Act::Withdraw { reason } | Act::Revoke { reason } => wire.reason = Some(reason.clone()),
        Act::Extend { duration, justification } => {
            wire.duration_seconds = Some(seconds(*duration));
            wire.justification = Some(justification.clone());
        }
        Act::CloseReview { findings } => wire.findings = Some(findings.clone()),
    }
    text(&wire)
}

/// Reads the text of an act. The caller has verified its signature, or believes none of it.
pub fn read_entry(payload: &str) -> Result<EntryPayload, PayloadError> {
    let (value, kind) = open_envelope(payload)?;
    let kind = ActKind::parse(&kind).ok_or(PayloadError::OtherType)?;
    let wire: v1::EntryPayload = message(&value)?;
    let read = EntryPayload {
        installation: parsed("installation", Installation::parse(&wire.installation))?,
        request: parsed("requestId", RequestId::parse(&wire.request_id))?,
        nonce: parsed("nonce", Nonce::parse(&wire.nonce))?,
        actor: read_person("actor", wire.actor.clone())?,
        at: time::read("at", &wire.at)?,
        digest: Digest::of(payload.as_bytes()),
        authentication: read_authentication(wire.authentication.clone())?,
        act: read_act(kind, wire)?,
    };
    let EntryPayload { installation, request, nonce, actor, at, act, authentication, digest: _ } =
        &read;
    same_text(payload, &entry(installation, request, nonce, actor, *at, act, authentication))?;
    Ok(read)
}

fn read_act(kind: ActKind, wire: v1::EntryPayload) -> Result<Act, PayloadError> {
    Ok(match kind {
        ActKind::Decision => Act::Decide {
            verdict: read_verdict(&required("verdict", wire.verdict)?)?,
            comment: required("comment", wire.comment)?,
            target: parsed("target", Digest::parse(&required("target", wire.target)?))?,
        },
        ActKind::Withdraw => Act::Withdraw { reason: required("reason", wire.reason)? },
        ActKind::Revoke => Act::Revoke { reason: required("reason", wire.reason)? },
        ActKind::Extend => Act::Extend {
            duration: read_seconds(required("durationSeconds", wire.duration_seconds)?)?,
            justification: required("justification", wire.justification)?,
        },
        ActKind::CloseReview => Act::CloseReview { findings: required("findings", wire.findings)? },
    })
}

fn verdict_name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Approve => "APPROVE",
        Verdict::Deny => "DENY",
    }
}

fn read_verdict(name: &str) -> Result<Verdict, PayloadError> {
    match name {
        "APPROVE" => Ok(Verdict::Approve),
        "DENY" => Ok(Verdict::Deny),
        _ => Err(malformed("verdict", "must be APPROVE or DENY")),
    }
}
