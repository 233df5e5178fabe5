//! A body, read: the request but for what only live answers tell.

use chrono::{SubsecRound as _, TimeDelta};
use curfew_core::condition::{NARROWING_NAMES_MAX, ResourceName};
use curfew_core::id::{Digest, Nonce, RequestId};
use curfew_core::principal::{Email, Principal};
use curfew_core::resource::Resource;
use curfew_core::role::Role;
use curfew_core::spec::{RequestedRole, Spec};
use curfew_proto::{convert, parse_duration, v1};

use super::report::Report;
use crate::App;
use crate::auth::Caller;
use crate::errors::{Reason, Refusal};
use crate::justification;
use crate::settings::Settings;
use crate::text;

/// A parsed body: the spec but for what only live answers tell, and the condition asked for per role.
pub(crate) struct Draft {
    pub(crate) spec: Spec,
    pub(crate) conditions: Vec<Option<String>>,
    pub(crate) ticket: Option<String>,
}

/// Reads every field; nothing where one cannot be read and the others were wanted nevertheless.
pub(crate) fn draft(
    app: &App,
    caller: &Caller,
    id: RequestId,
    body: v1::CreateRequestBody,
    report: &mut Report,
) -> Result<Option<Draft>, Refusal> {
    let settings = app.settings();
    // The entitlement and the permissions come from live answers, the digest from the signed text.
    let unknown = Digest::of(b"");
    let receiver = principal(caller, body.principal.as_deref());
    let receiver = report.note("the receiver can be read", receiver)?;
    let resource = report.note("the resource can be read", resource(&body.resource))?;
    let roles = roles(&body.roles, settings.rules.roles_max, &unknown);
    let roles = report.note("the roles can be read", roles)?;
    let names = resource_names(&body.resource_names);
    let names = report.note("the resource names can be read", names)?;
    let duration = duration(settings, body.duration.as_deref());
    let duration = report.note("the duration can be read", duration)?;
    let start_at = body.start_at.as_ref().map(|wire| {
        let at = convert::time_from_wire(wire);
        at.map(|at| at.trunc_subsecs(6))
            .ok_or_else(|| invalid("startAt", &"must be an RFC 3339 time"))
    });
    let start_at = report.note("the start can be read", start_at.transpose())?;
    let justification = justification::accepted(settings, &body.justification);
    let justification = report.note("the justification is accepted", justification)?;
    let approvers = chosen_approvers(&body.chosen_approvers, settings.rules.peers.chosen_max);
    let approvers = report.note("the chosen approvers can be read", approvers)?;
    let ticket = body.ticket.as_deref().map(|ticket| text::ticket("ticket", ticket)).transpose();
    let ticket = report.note("the ticket can be read", ticket)?;
    let (
        Some(principal),
        Some(resource),
        Some(roles),
        Some(resource_names),
        Some(duration),
        Some(start_at),
        Some(justification),
        Some(chosen_approvers),
        Some(ticket),
    ) = (receiver, resource, roles, names, duration, start_at, justification, approvers, ticket)
    else {
        return Ok(None);
    };
    let spec = Spec {
        id,
        digest: unknown,
        requester: caller.person.clone(),
        principal,
        resource,
        roles,
        resource_names,
        duration,
        start_at,
        justification,
        ticket: None,
        chosen_approvers,
        break_glass: body.break_glass,
        requested_at: app.now(),
        nonce: Nonce::from_bits(app.intake.entropy.bits()),
        authentication: caller.authentication.clone(),
    };
    let conditions = body.roles.into_iter().map(|role| role.resource_condition).collect();
    Ok(Some(Draft { spec, conditions, ticket }))
}

fn duration(settings: &Settings, text: Option<&str>) -> Result<TimeDelta, Refusal> {
    let Some(text) = text else { return Ok(settings.default_duration()) };
    parse_duration(text).map_err(|error| invalid("duration", &error))
}

fn invalid(field: &str, error: &dyn std::fmt::Display) -> Refusal {
    Refusal::field(Reason::FieldInvalid, field, format!("{error}."))
}

fn required(field: &str, text: &str) -> Result<(), Refusal> {
    if text.is_empty() {
        Err(Refusal::field(Reason::FieldRequired, field, "is required."))
    } else {
        Ok(())
    }
}

fn principal(caller: &Caller, text: Option<&str>) -> Result<Principal, Refusal> {
    let Some(text) = text else { return Ok(caller.principal()) };
    Principal::parse(text).map_err(|error| invalid("principal", &error))
}

fn resource(text: &str) -> Result<Resource, Refusal> {
    required("resource", text)?;
    Resource::parse(text).map_err(|error| invalid("resource", &error))
}

fn roles(
    wire: &[v1::RoleBody],
    max: usize,
    unknown: &Digest,
) -> Result<Vec<RequestedRole>, Refusal> {
    if !(1..=max).contains(&wire.len()) {
        let message = format!("must name 1 to {max} roles, each once.");
        return Err(Refusal::field(Reason::RolesOutOfBounds, "roles", message));
    }
    let read = |(position, role): (usize, &v1::RoleBody)| {
        let field = format!("roles[{position}].role");
        required(&field, &role.role)?;
        Ok(RequestedRole {
            role: Role::parse(&role.role).map_err(|error| invalid(&field, &error))?,
            resource_condition: role.resource_condition.clone().unwrap_or_default(),
            entitlement: String::new(),
            permissions_hash: unknown.clone(),
        })
    };
    wire.iter().enumerate().map(read).collect()
}

fn resource_names(wire: &[String]) -> Result<Vec<ResourceName>, Refusal> {
    if wire.len() > NARROWING_NAMES_MAX {
        let message = format!("must hold at most {NARROWING_NAMES_MAX} names.");
        return Err(Refusal::field(Reason::ResourceNamesNotAllowed, "resourceNames", message));
    }
    let read = |(position, name): (usize, &String)| {
        ResourceName::parse(name)
            .map_err(|error| invalid(&format!("resourceNames[{position}]"), &error))
    };
    wire.iter().enumerate().map(read).collect()
}

fn chosen_approvers(wire: &[String], max: usize) -> Result<Vec<Email>, Refusal> {
    if wire.len() > max {
        let message = format!("must name at most {max} people.");
        return Err(Refusal::field(Reason::ApproversNotAllowed, "chosenApprovers", message));
    }
    let read = |(position, email): (usize, &String)| {
        Email::parse(email)
            .map_err(|error| invalid(&format!("chosenApprovers[{position}]"), &error))
    };
    wire.iter().enumerate().map(read).collect()
}
