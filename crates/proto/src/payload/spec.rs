//! The payload of a filed request.

use curfew_core::condition::ResourceName;
use curfew_core::id::{Digest, Installation, Nonce, RequestId};
use curfew_core::principal::{Email, Person, Principal, Subject};
use curfew_core::resource::Resource;
use curfew_core::role::Role;
use curfew_core::spec::{Authentication, RequestedRole, Spec, Ticket};

use super::{
    PayloadError, SCHEMA, TICKET_LENGTH_MAX, each, malformed, message, open_envelope, parsed,
    read_seconds, required, same_text, seconds, text, time,
};
use crate::convert::{person_to_wire, role_to_wire};
use crate::v1;

/// The envelope type of a filed request.
pub const SPEC_TYPE: &str = "spec";

/// What a spec's payload says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecPayload {
    /// The installation that the request was filed at.
    pub installation: Installation,
    /// The request. Its ticket is there only if it has the grammar of one.
    pub spec: Spec,
    /// SHA-256 of the body as it was sent.
    pub body_digest: Digest,
    /// The ticket as it was given, for readers.
    pub ticket: Option<String>,
}

/// The text of a spec. `spec.digest` and `spec.ticket` are not looked at: the digest is that of the text, and
/// `ticket`, at most [`TICKET_LENGTH_MAX`] characters, may be any text.
pub fn spec(
    spec: &Spec,
    installation: &Installation,
    body_digest: &Digest,
    ticket: Option<&str>,
) -> String {
    text(&v1::SpecPayload {
        r#type: SPEC_TYPE.into(),
        schema: SCHEMA,
        installation: installation.to_string(),
        request_id: spec.id.to_string(),
        requester: Some(person_to_wire(&spec.requester)),
        principal: spec.principal.to_string(),
        resource: spec.resource.to_string(),
        roles: spec.roles.iter().map(role_to_wire).collect(),
        resource_names: spec.resource_names.iter().map(ToString::to_string).collect(),
        duration_seconds: seconds(spec.duration),
        start_at: spec.start_at.map(time::timestamp),
        justification: spec.justification.clone(),
        ticket: ticket.map(str::to_owned),
        chosen_approvers: spec.chosen_approvers.iter().map(ToString::to_string).collect(),
        break_glass: spec.break_glass,
        requested_at: time::timestamp(spec.requested_at),
        nonce: spec.nonce.to_string(),
        body_digest: body_digest.to_string(),
        authentication: Some(authentication(&spec.authentication)),
    })
}

/// Reads the text of a spec. The caller has verified its signature, or believes none of it.
pub fn read_spec(payload: &str) -> Result<SpecPayload, PayloadError> {
    let (value, kind) = open_envelope(payload)?;
    if kind != SPEC_TYPE {
        return Err(PayloadError::OtherType);
    }
    let read = read_message(payload, message(&value)?)?;
    same_text(
        payload,
        &spec(&read.spec, &read.installation, &read.body_digest, read.ticket.as_deref()),
    )?;
    Ok(read)
}

fn read_message(payload: &str, wire: v1::SpecPayload) -> Result<SpecPayload, PayloadError> {
    let ticket = wire.ticket;
    if ticket.as_ref().is_some_and(|ticket| ticket.chars().count() > TICKET_LENGTH_MAX) {
        return Err(malformed(
            "ticket",
            format_args!("must have at most {TICKET_LENGTH_MAX} characters"),
        ));
    }
    let spec = Spec {
        id: parsed("requestId", RequestId::parse(&wire.request_id))?,
        digest: Digest::of(payload.as_bytes()),
        requester: read_person("requester", wire.requester)?,
        principal: parsed("principal", Principal::parse(&wire.principal))?,
        resource: parsed("resource", Resource::parse(&wire.resource))?,
        roles: wire.roles.into_iter().map(read_role).collect::<Result<_, _>>()?,
        resource_names: each("resourceNames", &wire.resource_names, ResourceName::parse)?,
        duration: read_seconds(wire.duration_seconds)?,
        start_at: time::read_optional("startAt", wire.start_at.as_ref())?,
        justification: wire.justification,
        ticket: ticket.as_deref().and_then(Ticket::parse),
        chosen_approvers: each("chosenApprovers", &wire.chosen_approvers, Email::parse)?,
        break_glass: wire.break_glass,
        requested_at: time::read("requestedAt", &wire.requested_at)?,
        nonce: parsed("nonce", Nonce::parse(&wire.nonce))?,
        authentication: read_authentication(wire.authentication)?,
    };
    Ok(SpecPayload {
        installation: parsed("installation", Installation::parse(&wire.installation))?,
        spec,
        body_digest: parsed("bodyDigest", Digest::parse(&wire.body_digest))?,
        ticket,
    })
}

pub(super) fn read_person(field: &str, person: Option<v1::Person>) -> Result<Person, PayloadError> {
    let person = required(field, person)?;
    Ok(Person {
        subject: parsed(field, Subject::parse(&person.subject))?,
        email: parsed(field, Email::parse(&person.email))?,
    })
}

fn read_role(wire: v1::RequestedRole) -> Result<RequestedRole, PayloadError> {
    Ok(RequestedRole {
        role: parsed("roles", Role::parse(&wire.role))?,
        resource_condition: wire.resource_condition,
        entitlement: wire.entitlement,
        permissions_hash: parsed("roles", Digest::parse(&wire.permissions_hash))?,
    })
}

pub(super) fn authentication(authentication: &Authentication) -> v1::AuthenticationPayload {
    v1::AuthenticationPayload {
        assertion_digest: authentication.assertion_digest.as_ref().map(ToString::to_string),
        hosted_domain: authentication.hosted_domain.clone(),
        access_levels: authentication.access_levels.clone(),
        device_id: authentication.device_id.clone(),
        issued_at: authentication.issued_at.map(time::timestamp),
    }
}

pub(super) fn read_authentication(
    wire: Option<v1::AuthenticationPayload>,
) -> Result<Authentication, PayloadError> {
    let wire = required("authentication", wire)?;
    let digest = wire.assertion_digest.as_deref().map(Digest::parse).transpose();
    Ok(Authentication {
        assertion_digest: parsed("authentication.assertionDigest", digest)?,
        hosted_domain: wire.hosted_domain,
        access_levels: wire.access_levels,
        device_id: wire.device_id,
        issued_at: time::read_optional("authentication.issuedAt", wire.issued_at.as_ref())?,
    })
}
