//! The payloads of the controller's facts.

use curfew_core::entry::ActKind;
use curfew_core::fact::{
    Counted, DriftKind, Eligible, Ending, Fact, Grant, GrantedBinding, Outcome, OutcomeReason,
    OwnedBinding,
};
use curfew_core::id::{Digest, Nonce};
use curfew_core::principal::Principal;
use curfew_core::resource::Resource;
use curfew_core::role::Role;

use super::{
    PayloadError, each, malformed, message, open, parsed, required, same_text, text, time,
};
use crate::v1;

/// The text of a fact. A fact that is not understood has no text of its own and is never written; its text is `{}`.
pub fn fact(fact: &Fact) -> String {
    match fact {
        Fact::Seen { nonce, counted } => text(&seen(nonce, counted)),
        Fact::Eligible(eligible) => text(&v1::EligibleFact {
            decide_by: time::timestamp(eligible.decide_by),
            steps_required: eligible.steps_required,
            rests_on: eligible.rests_on.clone(),
        }),
        Fact::Approval { target, nonces } => text(&v1::ApprovalFact {
            target: target.to_string(),
            nonces: nonces.iter().map(ToString::to_string).collect(),
        }),
        Fact::Grant(grant) => text(&v1::GrantFact {
            resource: grant.resource.to_string(),
            bindings: grant.bindings.iter().map(granted).collect(),
            starts_at: time::timestamp(grant.starts_at),
            expires_at: time::timestamp(grant.expires_at),
            activate_by: time::timestamp(grant.activate_by),
            rests_on: grant.rests_on.clone(),
        }),
        Fact::Bound { expires_at } => {
            text(&v1::BoundFact { expires_at: time::timestamp(*expires_at) })
        }
        Fact::Drift { kind } => text(&v1::DriftFact { kind: kind.as_str().into() }),
        Fact::Outcome(outcome) => text(&v1::OutcomeFact {
            reason: outcome.reason.as_str().into(),
            by: outcome.by.clone(),
            message: outcome.message.clone(),
        }),
        Fact::Ended { how } => text(&v1::EndedFact { how: how.as_str().into() }),
        Fact::Unknown { .. } => "{}".into(),
    }
}

/// Reads the text of a fact of this kind. A kind that is not known is [`Fact::Unknown`], whatever its text.
pub fn read_fact(kind: &str, payload: &str) -> Result<Fact, PayloadError> {
    let Some(read) = reader(kind) else { return Ok(Fact::Unknown { kind: kind.into() }) };
    let read = read(&open(payload)?)?;
    same_text(payload, &fact(&read))?;
    Ok(read)
}

type Read = fn(&serde_json::Value) -> Result<Fact, PayloadError>;

fn reader(kind: &str) -> Option<Read> {
    Some(match kind {
        "SEEN" => |value| read_seen(message(value)?),
        "ELIGIBLE" => |value| read_eligible(message(value)?),
        "APPROVAL" => |value| read_approval(&message(value)?),
        "GRANT" => |value| read_grant(message(value)?),
        "BOUND" => |value| {
            let wire: v1::BoundFact = message(value)?;
            Ok(Fact::Bound { expires_at: time::read("expiresAt", &wire.expires_at)? })
        },
        "DRIFT" => |value| {
            let wire: v1::DriftFact = message(value)?;
            let kind = DriftKind::ALL.into_iter().find(|kind| kind.as_str() == wire.kind);
            Ok(Fact::Drift { kind: known("kind", kind)? })
        },
        "OUTCOME" => |value| read_outcome(message(value)?),
        "ENDED" => |value| {
            let wire: v1::EndedFact = message(value)?;
            Ok(Fact::Ended {
                how: known("how", Ending::ALL.into_iter().find(|how| how.as_str() == wire.how))?,
            })
        },
        _ => return None,
    })
}

fn known<T>(field: &str, value: Option<T>) -> Result<T, PayloadError> {
    value.ok_or_else(|| malformed(field, "is not one of the known names"))
}

fn seen(nonce: &Nonce, counted: &Counted) -> v1::SeenFact {
    let (act, by, why_not) = match counted {
        Counted::Yes { act, by } => (Some(act.as_str().into()), Some(by.clone()), None),
        Counted::No { why } => (None, None, Some(why.clone())),
    };
    v1::SeenFact { nonce: nonce.to_string(), act, by, why_not }
}

fn read_seen(wire: v1::SeenFact) -> Result<Fact, PayloadError> {
    let counted = match wire.why_not {
        Some(why) => Counted::No { why },
        None => Counted::Yes {
            act: known("act", ActKind::parse(&required("act", wire.act)?))?,
            by: required("by", wire.by)?,
        },
    };
    Ok(Fact::Seen { nonce: parsed("nonce", Nonce::parse(&wire.nonce))?, counted })
}

fn read_eligible(wire: v1::EligibleFact) -> Result<Fact, PayloadError> {
    Ok(Fact::Eligible(Eligible {
        decide_by: time::read("decideBy", &wire.decide_by)?,
        steps_required: wire.steps_required,
        rests_on: wire.rests_on,
    }))
}

fn read_approval(wire: &v1::ApprovalFact) -> Result<Fact, PayloadError> {
    Ok(Fact::Approval {
        target: parsed("target", Digest::parse(&wire.target))?,
        nonces: each("nonces", &wire.nonces, Nonce::parse)?,
    })
}

fn read_grant(wire: v1::GrantFact) -> Result<Fact, PayloadError> {
    Ok(Fact::Grant(Grant {
        resource: parsed("resource", Resource::parse(&wire.resource))?,
        bindings: wire.bindings.into_iter().map(read_granted).collect::<Result<_, _>>()?,
        starts_at: time::read("startsAt", &wire.starts_at)?,
        expires_at: time::read("expiresAt", &wire.expires_at)?,
        activate_by: time::read("activateBy", &wire.activate_by)?,
        rests_on: wire.rests_on,
    }))
}

fn read_outcome(wire: v1::OutcomeFact) -> Result<Fact, PayloadError> {
    let reason = OutcomeReason::ALL.into_iter().find(|reason| reason.as_str() == wire.reason);
    Ok(Fact::Outcome(Outcome {
        reason: known("reason", reason)?,
        by: wire.by,
        message: wire.message,
    }))
}

fn granted(binding: &GrantedBinding) -> v1::GrantedBinding {
    v1::GrantedBinding { live: Some(owned(&binding.live)), dead: Some(owned(&binding.dead)) }
}

fn read_granted(wire: v1::GrantedBinding) -> Result<GrantedBinding, PayloadError> {
    Ok(GrantedBinding {
        live: read_owned("live", wire.live)?,
        dead: read_owned("dead", wire.dead)?,
    })
}

fn owned(binding: &OwnedBinding) -> v1::OwnedBinding {
    v1::OwnedBinding {
        role: binding.role.to_string(),
        member: binding.member.to_string(),
        title: binding.title.clone(),
        description: binding.description.clone(),
        expression: binding.expression.clone(),
    }
}

fn read_owned(field: &str, wire: Option<v1::OwnedBinding>) -> Result<OwnedBinding, PayloadError> {
    let wire = required(field, wire)?;
    Ok(OwnedBinding {
        role: parsed(field, Role::parse(&wire.role))?,
        member: parsed(field, Principal::parse(&wire.member))?,
        title: wire.title,
        description: wire.description,
        expression: wire.expression,
    })
}
